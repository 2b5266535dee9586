"""The lab's scripts, with stand-ins for the programs that would change this machine."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HELPERS = ["btrfs-progs", "dnsmasq-base", "nftables", "uidmap", "lxcfs", "mmdebstrap", "zstd"]


class Machine:
    """A copy of `lab/` beside stand-ins that write down how they were called.

    Incus's daemon is looked for among them, and not on the machine that the tests run on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.log.touch()
        shutil.copytree(ROOT / "lab", folder / "lab")
        script = (folder / "lab/incus.sh").read_text()
        known = "/usr/libexec/incus/incusd /opt/incus/bin/incusd"
        assert known in script
        (folder / "lab/incus.sh").write_text(script.replace(known, f"{folder}/bin/incusd"))
        (folder / "bin").mkdir()
        (folder / ".venv/bin").mkdir(parents=True)
        self.kind("")
        for tool in ("phoenix", "pytest"):
            self.tool(tool, "", self.folder / ".venv/bin")
        (folder / "lab/venv.sh").write_text("#!/bin/bash\n")
        # Debian 12 has its backports already, so that no source is added to this machine.
        backports = (
            '[ "$1" = indextargets ] && . /etc/os-release && echo $VERSION_CODENAME-backports'
        )
        self.tool("apt-get", f"{backports}; true")
        for tool in ("systemctl", "make", "setsid"):
            self.tool(tool, "")
        self.tool("dpkg-query", "echo installed")

    def kind(self, why: str, proxmox: str = "false") -> None:
        """What sort of machine it is."""
        text = (ROOT / "lab/machine.sh").read_text()
        text += f"why_no_containers() {{ printf %s '{why}'; }}\non_proxmox() {{ {proxmox}; }}\n"
        text += "has_systemd() { true; }\n"
        (self.folder / "lab/machine.sh").write_text(text)

    def tool(self, name: str, script: str, folder: Path | None = None) -> None:
        path = (folder or self.folder / "bin") / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>"{self.log}"\n{script}\n')
        path.chmod(0o755)

    def incus(self, answers: dict[str, str]) -> None:
        cases = "".join(
            f"'{words}') cat <<'END'\n{out}\nEND\n;;\n" for words, out in answers.items()
        )
        self.tool("incus", f'case "$*" in {cases}esac')

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", self.folder / "lab" / script, *words],
            env=os.environ | {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def called(self, start: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(start)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_nothing_is_installed_where_all_is_there(machine: Machine) -> None:
    machine.incus({})
    assert machine.run("incus.sh").returncode == 0
    assert machine.called("apt-get") == []
    assert machine.called("systemctl") == []


def test_an_incus_that_answers_is_never_installed_over(machine: Machine) -> None:
    """Wherever it came from: only missing helpers are added, and nothing is removed for them."""
    machine.incus({})
    machine.tool(
        "dpkg-query",
        '[ "${@: -1}" != zstd ] || exit 1; [[ ${@: -1} != incus* ]] || exit 1\necho installed',
    )
    assert machine.run("incus.sh").returncode == 0
    (install,) = machine.called("apt-get install")
    assert install.endswith("--no-remove zstd")


def test_a_machine_without_anything_gets_it_all(machine: Machine) -> None:
    machine.tool("incus", f'grep -q incus-base "{machine.log}"')
    machine.tool("dpkg-query", "exit 1")
    done = machine.run("incus.sh")
    helpers, incus = machine.called("apt-get install")
    assert done.returncode == 0, done.stderr
    assert helpers.split()[-len(HELPERS) :] == HELPERS
    assert incus.split()[-2:] == ["incus-base", "incus-client"]


def test_only_starting_installs_nothing(machine: Machine) -> None:
    machine.tool("incusd", "")
    machine.tool("incus", '[ "$1" = admin ]')
    machine.tool("dpkg-query", "exit 1")
    assert machine.run("incus.sh", "start").returncode == 0
    assert machine.called("apt-get") == []
    assert machine.called("systemctl") == ["systemctl start incus"]


ALIASES = "image alias list --project default --format csv"
PROJECTS = "query /1.0/projects"
GUESTS = "query /1.0/instances?recursion=1&all-projects=true"


def test_down_removes_the_images_that_phoenix_made(machine: Machine) -> None:
    listed = "phoenix/debian-13/1,aaa,CONTAINER,\nphoenix/new,aaa,,\nphoenix/u,bbb,,\n"
    listed += "mine,bbb,,\nx,ccc,,"
    machine.incus({ALIASES: listed, PROJECTS: '["/1.0/projects/default"]', GUESTS: "[]"})
    done = machine.run("down.sh")
    assert done.returncode == 0, done.stderr
    assert machine.called("phoenix") == [
        "phoenix --dir examples/quickstart --on incus destroy --all --yes"
    ]
    assert machine.called("incus image delete") == ["incus image delete --project default aaa"]
    assert machine.called("incus image alias delete") == [
        "incus image alias delete --project default phoenix/u"
    ]
    assert machine.called("apt-get") == []


@pytest.mark.parametrize(
    ("projects", "guests"),
    [
        ('["/1.0/projects/default",\n"/1.0/projects/phxt17a"]', "[]"),
        ('["/1.0/projects/default"]', '[{"config": {\n"user.phoenix.stack": "other"}}]'),
    ],
)
def test_down_keeps_images_that_others_use(machine: Machine, projects: str, guests: str) -> None:
    machine.incus({ALIASES: "phoenix/debian-13/1,aaa,,", PROJECTS: projects, GUESTS: guests})
    done = machine.run("down.sh")
    assert done.returncode == 0, done.stderr
    assert "images are kept" in done.stderr
    assert machine.called("incus image") == []


@pytest.mark.parametrize(
    ("why", "proxmox", "chosen", "said"),
    [
        ("", "false", "not long and not pve and not vllm", ""),
        ("no root", "false", "not long and not pve and not vllm and not incus", "(no root)"),
        ("", "true", "not long and not pve and not vllm and not incus", "Proxmox node"),
    ],
)
def test_the_tests_run_where_containers_do_not(
    machine: Machine, why: str, proxmox: str, chosen: str, said: str
) -> None:
    machine.incus({})
    machine.kind(why, proxmox)
    done = machine.run("test.sh")
    assert done.returncode == 0, done.stderr
    (called,) = machine.called("pytest")
    assert called.endswith(f" --dist loadscope -m {chosen}")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == (1 if said else 0)


def test_the_doctor_looks_for_all_that_is_installed() -> None:
    listed = re.search(r"^helpers=\((.*)\)$", (ROOT / "lab/incus.sh").read_text(), re.MULTILINE)
    assert listed is not None
    assert listed[1].split() == HELPERS
    doctor = (ROOT / "src/phoenix_hypervisor/cli/_machine.py").read_text()
    assert [name for name in HELPERS if f'("{name}",' not in doctor] == []


def test_on_a_proxmox_node_nothing_is_installed_and_the_way_is_shown(machine: Machine) -> None:
    machine.incus({})
    machine.kind("", "true")
    done = machine.run("up.sh")
    assert done.returncode == 1
    assert machine.called("apt-get") == machine.called("incus") == machine.called("phoenix") == []
    for command in ("doctor", "discover --write", "adopt, apply", "docs/proxmox.md"):
        assert command in done.stderr
