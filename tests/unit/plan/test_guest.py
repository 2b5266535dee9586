"""What is decided for one guest: the wanted one, the one that is there, and what follows."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.plan.worlds import (
    INCUS,
    NEW,
    OLD,
    STACK,
    at_boot,
    clone,
    desired,
    guest,
    plain,
    prints,
    seen,
    template,
)

from phoenix_hypervisor.model.change import Action, Impact
from phoenix_hypervisor.model.desired import (
    Boot,
    Firewall,
    FirewallRule,
    Guest,
    Mount,
    Nic,
    Script,
    Volume,
)
from phoenix_hypervisor.model.observed import SeenGuest, Snapshot
from phoenix_hypervisor.plan.decision import Decision
from phoenix_hypervisor.plan.guest import decide
from phoenix_hypervisor.plan.options import Options

LIVE, RESTART, DESTRUCTIVE = Impact.LIVE, Impact.RESTART, Impact.DESTRUCTIVE
CREATE, UPDATE, REPLACE = Action.CREATE, Action.UPDATE, Action.REPLACE
CONFIGURE, START, STOP = Action.CONFIGURE, Action.START, Action.STOP

WEB = guest()
BARE = plain()
BASE = template()
SERVING_BASE = at_boot(replace(template(), checks=WEB.checks))
SCRIPT = replace(plain(), script=Script(Path("/nowhere/run.sh")))
NIC = WEB.nics[0]
DATA = Volume("data", "tank", 4, "/srv/data")
FOLLOWS = replace(DATA, pool=None, size_gb=None)
SHARED = Mount("/mnt/shared", "/srv/shared")


@dataclass(frozen=True)
class Case:
    """`there` None: the guest is missing. `action` None: nothing is done."""

    title: str
    wanted: Guest
    there: SeenGuest | None
    action: Action | None
    steps: str = ""
    impact: Impact = LIVE
    fields: str = ""
    reason: str = ""
    reconfigure: bool = False
    others: tuple[Guest, ...] = field(default=())


def moved(title: str, wanted: Guest, steps: str, impact: Impact, fields: str, **was: Any) -> Case:
    """A complete guest that differs in the words `was`, and so is updated."""
    return Case(title, wanted, seen(replace(wanted, **was)), UPDATE, steps, impact, fields)


OVER = "stop update start check"
ON = "update check"

CASES = [
    # Not there, or not completely.
    Case("new", WEB, None, CREATE, "create start configure check", reason="it is not there"),
    Case("new, nothing inside", BARE, None, CREATE, "create start"),
    Case("new, only checked", replace(BARE, checks=WEB.checks), None, CREATE, "create start check"),
    Case("new, only a script", SCRIPT, None, CREATE, "create start configure"),
    Case("new template", BASE, None, CREATE, "create start configure stop snapshot"),
    Case("new bare template", replace(BASE, features=()), None, CREATE, "create snapshot"),
    Case(
        "new template that also runs",
        SERVING_BASE,
        None,
        CREATE,
        "create start configure stop snapshot start check",
    ),
    Case(
        "broken off",
        WEB,
        seen(WEB, complete=False, state="stopped", fields={}),
        CREATE,
        "create start configure check",
        reason="broke off",
    ),
    # As wanted.
    Case("complete", WEB, seen(WEB), None),
    Case("complete template", BASE, seen(BASE), None),
    Case("complete template that also runs", SERVING_BASE, seen(SERVING_BASE), None),
    Case(
        "what the files leave open is left alone",
        WEB,
        seen(WEB, fields={**INCUS.project(WEB), "swap_mb": 64, "boot.order": 3}),
        None,
    ),
    # One kind of field after the other.
    moved("memory", WEB, ON, LIVE, "memory_mb", memory_mb=256),
    moved("cores", WEB, ON, LIVE, "cores", cores=4),
    moved("swap", replace(WEB, swap_mb=0), ON, LIVE, "swap_mb", swap_mb=64),
    moved("larger disk", WEB, ON, LIVE, "disk_gb", disk_gb=4),
    moved("protected from now on", replace(WEB, protected=True), ON, LIVE, "protected",
                                         protected=False),
    moved("no longer protected", WEB, ON, LIVE, "protected", protected=True),
    moved("start with the host", at_boot(WEB), ON, LIVE, "boot.at_boot", boot=Boot()),
    moved("firewall", replace(WEB, firewall=Firewall(enabled=True)), ON, LIVE, "firewall",
                            firewall=None),
    moved("no firewall", WEB, ON, LIVE, "firewall", firewall=Firewall(
        enabled=True, rules=(FirewallRule("in", "ACCEPT"),))),
    moved("nameservers", WEB, ON, LIVE, "network.eth0.nameservers",
                               nics=(replace(NIC, nameservers=("9.9.9.9",)),)),
    moved("new mount", replace(WEB, mounts=(SHARED,)), ON, LIVE,
                             "mounts./srv/shared.read_only mounts./srv/shared.source", mounts=()),
    moved("new volume", replace(WEB, volumes=(DATA,)), ON, LIVE,
                              "volumes.data.pool volumes.data.size_gb volumes.data.target",
                              volumes=()),
    moved("larger volume", replace(WEB, volumes=(DATA,)), ON, LIVE, "volumes.data.size_gb",
                                 volumes=(replace(DATA, size_gb=2),)),
    moved("name", WEB, OVER, RESTART, "name", name="old"),
    moved("nesting", WEB, OVER, RESTART, "nesting", nesting=True),
    moved("privileged", WEB, OVER, RESTART, "unprivileged", unprivileged=False),
    moved("raw option", WEB, OVER, RESTART, "raw.lxc.tty.max", raw=(("lxc.tty.max", "2"),)),
    moved("address", WEB, OVER, RESTART, "network.eth0.address",
                           nics=(replace(NIC, address="10.0.0.9/24"),)),
    moved("gateway", WEB, OVER, RESTART, "network.eth0.gateway",
                           nics=(replace(NIC, gateway=None),)),
    moved("bridge", WEB, OVER, RESTART, "network.eth0.bridge",
                          nics=(replace(NIC, bridge="vmbr1"),)),
    moved("MAC dropped from the files", WEB, OVER, RESTART, "network.eth0.mac",
                                              nics=(replace(NIC, mac="02:00:00:00:00:01"),)),
    moved("second card dropped", WEB, OVER, RESTART, "network.eth1.bridge",
                                       nics=(NIC, Nic("eth1", "vmbr0"))),
    moved("mount dropped", WEB, OVER, RESTART,
                                 "mounts./srv/shared.read_only mounts./srv/shared.source",
                                 mounts=(SHARED,)),
    moved("mount from elsewhere", replace(WEB, mounts=(SHARED,)), OVER, RESTART,
                                        "mounts./srv/shared.source",
                                        mounts=(replace(SHARED, source="/mnt/old"),)),
    moved("volume mounted elsewhere", replace(WEB, volumes=(DATA,)), OVER, RESTART,
                                            "volumes.data.target",
                                            volumes=(replace(DATA, target="/old"),)),
    moved("volume dropped", WEB, OVER, DESTRUCTIVE,
                                  "volumes.data.pool volumes.data.size_gb volumes.data.target",
                                  volumes=(DATA,)),
    moved("smaller volume", replace(WEB, volumes=(DATA,)), OVER, DESTRUCTIVE,
                                  "volumes.data.size_gb", volumes=(replace(DATA, size_gb=9),)),
    moved("volume in another pool", replace(WEB, volumes=(DATA,)), OVER, DESTRUCTIVE,
                                          "volumes.data.pool",
                                          volumes=(replace(DATA, pool="old"),)),
    moved("live and restart at once", WEB, OVER, RESTART, "cores name", cores=2, name="old"),
    Case("root disk in another pool", WEB, seen(replace(WEB, pool="old")), REPLACE,
         "stop delete create start configure check", DESTRUCTIVE, "pool", "its root disk is lost"),
    Case("smaller disk, and more", WEB, seen(replace(WEB, disk_gb=9, cores=2)), REPLACE,
         "stop delete create start configure check", DESTRUCTIVE, "cores disk_gb",
         "disk_gb can only"),
    Case("stopped, root disk in another pool", WEB, seen(replace(WEB, pool="old"), state="stopped"),
         REPLACE, "delete create start configure check", DESTRUCTIVE, "pool"),
    Case("a volume follows its guest to another pool", replace(WEB, volumes=(FOLLOWS,)),
         seen(replace(WEB, pool="old", volumes=(FOLLOWS,))), REPLACE,
         "stop delete create start configure check", DESTRUCTIVE, "pool volumes.data.pool",
         "its volume data is lost too"),
    Case("volume's size dropped from the files", replace(WEB, volumes=(FOLLOWS,)),
         seen(replace(WEB, volumes=(replace(FOLLOWS, size_gb=4),))), None),
    # The inside.
    Case("features changed", WEB, seen(WEB, fingerprint=OLD), CONFIGURE, "configure check",
         reason="its inside is not as its features, their options and their files are now: nginx"),
    Case("features never applied", WEB, seen(WEB, fingerprint=None), CONFIGURE, "configure check",
         reason="not completely applied"),
    Case("script changed", SCRIPT, seen(SCRIPT, fingerprint=OLD), CONFIGURE, "configure",
         reason="their files are now: its script"),
    Case("features dropped", BARE, seen(BARE, fingerprint=OLD), CONFIGURE, "configure",
         reason="no features any more: what they run is ended"),
    Case("memory and features", WEB, seen(replace(WEB, memory_mb=256), fingerprint=OLD), UPDATE,
         "update configure check", LIVE, "memory_mb", "features"),
    Case("name and features", WEB, seen(replace(WEB, name="old"), fingerprint=OLD), UPDATE,
         "stop update start configure check", RESTART, "name"),
    Case("asked to configure again", WEB, seen(WEB), CONFIGURE, "configure check",
         reason="asked to run all features again: nginx", reconfigure=True),
    Case("asked, but nothing inside", BARE, seen(BARE), None, reconfigure=True),
    # Running or not.
    Case("stopped", WEB, seen(WEB, state="stopped"), START, "start check", reason="it is stopped"),
    Case("stopped, memory", WEB, seen(replace(WEB, memory_mb=256), state="stopped"), UPDATE,
         "update start check", LIVE, "memory_mb"),
    Case("stopped, name: nothing restarts", WEB, seen(replace(WEB, name="old"), state="stopped"),
         UPDATE, "update start check", LIVE, "name"),
    Case("stopped, features", WEB, seen(WEB, state="stopped", fingerprint=OLD), CONFIGURE,
         "start configure check"),
    Case("waits for a restart", WEB, seen(WEB, pending=("nesting",)), UPDATE, "stop start check",
         RESTART, reason="nesting waits for a restart"),
    Case("waits for a restart, but is stopped", WEB,
         seen(WEB, pending=("nesting",), state="stopped"), START, "start check"),
    # Templates.
    Case("template left running", BASE, seen(BASE, state="running"), STOP, "stop",
         reason="a template rests"),
    Case("template without its snapshot", BASE, seen(BASE, snapshots=()), CONFIGURE, "snapshot",
         reason="its snapshot base is missing"),
    Case("snapshot under another name", BASE, seen(BASE, snapshots=(Snapshot("old", NEW),)),
         CONFIGURE, "snapshot", reason="its snapshot base is missing"),
    Case("running template without its snapshot", BASE, seen(BASE, snapshots=(), state="running"),
         CONFIGURE, "stop snapshot"),
    Case("stale snapshot", BASE, seen(BASE, snapshots=(Snapshot("base", OLD),)), CONFIGURE,
         "snapshot", reason="its snapshot base is taken again"),
    Case("stale snapshot with clones", BASE, seen(BASE, snapshots=(Snapshot("base", OLD),)),
         CONFIGURE, "snapshot", others=(clone(101, BASE), clone(102, BASE), guest(103)),
         reason="clones made before stay as they are: lxc/101, lxc/102"),
    Case("template's features changed: it rests, so nothing restarts", BASE,
         seen(BASE, fingerprint=OLD), CONFIGURE, "start configure stop snapshot"),
    Case("template's features dropped", replace(BASE, features=()), seen(
        replace(BASE, features=()), fingerprint=OLD), CONFIGURE, "start configure stop snapshot"),
    Case("template's memory: its snapshot stays", BASE, seen(replace(BASE, memory_mb=256)), UPDATE,
         "update", LIVE, "memory_mb"),
    Case("serving template with a stale snapshot", SERVING_BASE,
         seen(SERVING_BASE, snapshots=(Snapshot("base", OLD),)), CONFIGURE,
         "stop snapshot start check", RESTART),
]  # fmt: skip


def decision(case: Case) -> Decision:
    folder = desired(case.wanted, *case.others)
    asked = frozenset({case.wanted.address}) if case.reconfigure else frozenset()
    options = Options(fingerprints=prints(folder), reconfigure=asked)
    return decide(case.wanted, case.there, folder, INCUS, options)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_decision(case: Case) -> None:
    found = decision(case)
    shown = (found.action, " ".join(found.steps), found.impact)
    assert shown == (case.action, case.steps, case.impact)
    if case.action is not CREATE:
        assert " ".join(change.path for change in found.fields) == case.fields
    assert case.reason in "; ".join(found.reasons)
    assert bool(found.reasons) is (case.action is not None)
    assert found.refusals == ()


def test_the_reason_names_all_that_differs() -> None:
    (one,) = decision(moved("", WEB, ON, LIVE, "", memory_mb=256)).reasons
    assert one == "memory_mb differs from the files"
    (two,) = decision(moved("", WEB, OVER, RESTART, "", cores=2, name="old")).reasons
    assert two == "cores, name differ from the files"


def test_fields_tell_before_and_after() -> None:
    found = decision(Case("", WEB, seen(replace(WEB, memory_mb=256)), UPDATE))
    (change,) = found.fields
    assert (change.path, change.before, change.after) == ("memory_mb", 256, 512)


def test_a_new_guest_is_told_whole() -> None:
    """With what it is made from, each word of the target, and what comes into it."""
    found = decision(Case("", clone(WEB.id, BASE), None, CREATE, others=(BASE,)))
    told = {change.path: change.after for change in found.fields}
    assert told["source"] == BASE.address
    assert told["memory_mb"] == 512
    assert all(change.before is None for change in found.fields)


def test_a_guest_without_an_inside_is_not_checked(sim_only: Callable[[Guest], Decision]) -> None:
    assert sim_only(WEB).steps == ("create", "start", "configure")


@pytest.fixture
def sim_only() -> Callable[[Guest], Decision]:
    from phoenix_hypervisor.drivers.sim import connect
    from phoenix_hypervisor.model.desired import Target

    driver = connect(Target(), STACK, environ={}, folder=Path("/nowhere"))
    return lambda wanted: decide(wanted, None, desired(wanted), driver, Options())


@dataclass(frozen=True)
class Refused:
    title: str
    wanted: Guest
    there: SeenGuest
    words: tuple[str, ...]


KEPT = replace(WEB, protected=True)
REFUSED = [
    Refused("nobody's", WEB, seen(WEB, stack=None, name="by-hand"),
            ("lxc/101", "“by-hand”", "somebody else", "another id")),
    Refused("another stack's", WEB, seen(WEB, stack="other"), ("“g101”", "the stack “other”")),
    Refused("another stack's, half made", WEB, seen(WEB, stack="other", complete=False),
            ("the stack “other”",)),
    Refused("not to be seen", WEB, seen(WEB, state="unknown"), ("lxc/101", "can't be seen")),
    Refused("protected: another pool", KEPT, seen(replace(KEPT, pool="old")),
            ("lxc/101 is protected", "changing pool", "set `protected` to false")),
    Refused("protected: a smaller disk", KEPT, seen(replace(KEPT, disk_gb=9)), ("disk_gb",)),
    Refused("protected: a volume dropped", KEPT, seen(replace(KEPT, volumes=(DATA,))),
            ("volumes.data.pool",)),
    Refused("protected until now: the files drop both at once", WEB,
            seen(replace(KEPT, pool="old")), ("is protected", "pool")),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.title)
def test_refused(case: Refused) -> None:
    found = decision(Case("", case.wanted, case.there, None))
    assert (found.action, found.steps) == (None, ())
    (told,) = found.refusals
    assert [word for word in case.words if word not in told] == []


def test_a_protected_guest_is_changed_where_nothing_is_lost() -> None:
    found = decision(Case("", KEPT, seen(replace(KEPT, memory_mb=256), fingerprint=OLD), UPDATE))
    assert (found.action, found.impact, found.refusals) == (UPDATE, LIVE, ())
