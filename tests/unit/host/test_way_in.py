"""Nobody takes the keys or the sudo away from the user that Phoenix itself comes in as."""

from dataclasses import replace
from pathlib import Path

import pytest

from phoenix_hypervisor.host.part import Choice, Decided, Seen
from phoenix_hypervisor.host.way_in import PART
from phoenix_hypervisor.model.desired import Desired, Host, HostUser
from phoenix_hypervisor.model.secret import Secret

ONE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIone ops@laptop"
TWO = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAItwo ops@desk"
HASH = Secret(literal="$6$x$y")
FREE = "ops ALL=(ALL:ALL) NOPASSWD: ALL"


def decided(printed: str, *users: HostUser) -> Decided:
    host = replace(Host(), users=users)
    wanted = Desired(folder=Path("/nowhere"), stack="s", host=host)
    return PART.decide(wanted, Seen(facts={"look": printed}), Choice())


def comes_in(*, keys: tuple[str, ...] = (), sudo: tuple[str, ...] = ()) -> str:
    lines = ["name ops", "groups ops wheel", *(f"key {key}" for key in keys)]
    return "\n".join([*lines, *(f"sudo {line}" for line in sudo)]) + "\n"


def test_root_and_others_are_left_alone() -> None:
    assert decided("", HostUser("ops", ssh_keys=(TWO,))) == Decided()
    assert decided(comes_in(keys=(ONE,)), HostUser("ann", ssh_keys=(TWO,))) == Decided()


def test_a_key_that_would_go_is_named() -> None:
    (refusal,) = decided(comes_in(keys=(ONE, TWO)), HostUser("ops", ssh_keys=(TWO,))).refusals
    assert (
        "comes in as ops, who would lose the key …NTE5AAAAIone (ops@laptop): add it to" in refusal
    )
    other = HostUser("ops", ssh_keys=("ssh-rsa AAAAB new",))
    (refusal,) = decided(comes_in(keys=(ONE, TWO)), other).refusals
    assert "(ops@laptop), the key …NTE5AAAAItwo (ops@desk): add them to" in refusal


def test_keys_that_stay_are_known_by_themselves() -> None:
    same = f'from="10.0.0.1" {ONE.replace("ops@laptop", "renamed")}'
    printed = comes_in(keys=("# a remark", same, ""))
    assert decided(printed, HostUser("ops", ssh_keys=(ONE, TWO))) == Decided()


def test_without_keys_in_the_files_only_those_that_phoenix_wrote_would_go() -> None:
    assert decided(comes_in(keys=(ONE,)), HostUser("ops")) == Decided()
    ours = "# Made by Phoenix; changes made by hand are overwritten."
    (refusal,) = decided(comes_in(keys=(ours, ONE)), HostUser("ops")).refusals
    assert "would lose the key" in refusal


@pytest.mark.parametrize(
    ("rules", "user"),
    [
        (("early " + FREE,), HostUser("ops", sudo=True, password_hash=HASH)),
        (
            ("sudoers %wheel ALL=(ALL) NOPASSWD: ALL",),
            HostUser("ops", sudo=True, password_hash=HASH),
        ),
        (("a ops ALL=(root) NOPASSWD: /bin/sh",), HostUser("ops", sudo=True, password_hash=HASH)),
        (("phoenix-ops " + FREE,), HostUser("ops", sudo=True, password_hash=HASH)),
        (("phoenix-ops " + FREE,), HostUser("ops")),
        (("phoenix-ops " + FREE,), HostUser("ann", sudo=True)),
        (("phoenix-ops " + FREE, "sudoers ops ALL=(ALL) ALL"), HostUser("ops")),
    ],
)
def test_sudo_that_would_be_over_is_refused(rules: tuple[str, ...], user: HostUser) -> None:
    (refusal,) = decided(comes_in(sudo=rules), user).refusals
    assert "becomes root as ops" in refusal
    assert "sorts after phoenix-ops" in refusal


@pytest.mark.parametrize(
    ("rules", "user"),
    [
        (("early " + FREE,), HostUser("ops", sudo=True)),
        (("early " + FREE,), HostUser("ops")),
        (("zz " + FREE,), HostUser("ops", sudo=True, password_hash=HASH)),
        (("early " + FREE, "phoenix-ops " + FREE), HostUser("ops")),
        (("phoenix-ops ops ALL=(ALL:ALL) ALL",), HostUser("ops")),
        (("sudoers Defaults env_reset", "x someone ALL=(ALL) NOPASSWD: ALL"), HostUser("ops")),
        ((), HostUser("ops", sudo=True, password_hash=HASH)),
    ],
)
def test_sudo_that_stays_or_was_never_free_is_not_refused(
    rules: tuple[str, ...], user: HostUser
) -> None:
    assert decided(comes_in(sudo=rules), user) == Decided()
