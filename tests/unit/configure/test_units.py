"""systemd reads its units once for several that are enabled, and before anything is started."""

import pytest

from phoenix_hypervisor.configure.units import READ_AGAIN, Units


def run(*commands: str) -> list[str]:
    """What is run for these commands, the end included."""
    units = Units()
    done = [each for command in commands for each in units.instead(command)]
    return [*done, READ_AGAIN] if units.owed else done


def test_one_reading_for_several() -> None:
    assert run(
        "systemctl enable a.service", "systemctl stop b.timer", "systemctl disable b.timer"
    ) == [
        "systemctl --no-reload enable a.service",
        "systemctl stop b.timer",
        "systemctl --no-reload disable b.timer",
        READ_AGAIN,
    ]


@pytest.mark.parametrize("command", ["systemctl start c.target", "sh -c 'it may start one'"])
def test_whatever_may_start_a_unit_comes_after_it(command: str) -> None:
    assert run("systemctl enable a.service", command) == [
        "systemctl --no-reload enable a.service",
        READ_AGAIN,
        command,
    ]


def test_what_is_asked_for_anyway_is_not_done_twice() -> None:
    assert run("systemctl enable a.service", READ_AGAIN) == [
        "systemctl --no-reload enable a.service",
        READ_AGAIN,
    ]


@pytest.mark.parametrize(
    "command",
    [
        "systemctl --user enable a.service",
        "systemctl enable a.service && echo x",
        "systemctl enable --now a.service",
        "systemctl enable $(x)",
        "systemctl start a.service",
        READ_AGAIN,
    ],
)
def test_anything_else_stays_as_it_is(command: str) -> None:
    assert run(command) == [command]


def test_a_hint_at_what_is_owed_is_left_out() -> None:
    units = Units()
    hint = b"Warning: it changed on disk. Run 'systemctl daemon-reload' to reload units."
    assert not units.concerns(hint)
    units.instead("systemctl enable a.service")
    assert units.concerns(hint)
    assert not units.concerns(b"Created symlink")
