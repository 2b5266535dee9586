"""A place for check tests: this machine, through real shells and real sockets."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.check import Check, Outcome
from phoenix_hypervisor.model.errors import SecretMissing
from phoenix_hypervisor.verify import GuestPlace, ask
from phoenix_hypervisor.verify.checks import available

_BASE = ("sh", "cat", "head", "base64", "sleep", "setsid", "env", "tr", "grep", "sed", "ls", "rm")


class ThisMachine:
    """What `GuestPlace` needs of a driver; the guest is the machine that the tests run on."""

    def __init__(self, ip: str | None = "127.0.0.1", way_in: Sequence[str] = ("sh",)) -> None:
        self.ip = ip
        self._way_in = way_in

    async def addresses(self, address: str) -> Sequence[str]:
        return [self.ip] if self.ip else []

    async def way_in(self, address: str) -> Sequence[str]:
        return self._way_in


def lookup(name: str) -> str:
    if name == "TOKEN":
        return 'Bearer a"b\\c'
    raise SecretMissing(f"the secret {name} has no value")


def place(ip: str | None = "127.0.0.1", way_in: Sequence[str] = ("sh",)) -> GuestPlace:
    # Of a driver, GuestPlace uses these two methods only.
    return GuestPlace(ThisMachine(ip, way_in), lxc(101), lookup)  # type: ignore[arg-type]


def only_with(folder: Path, *tools: str) -> Sequence[str]:
    """A way into a shell that finds these tools and the basic ones, and no others."""
    for tool in (*_BASE, *tools):
        # The interpreter itself: a `python3` in PATH may be a script that needs other tools.
        found = str(Path(sys.executable).resolve()) if tool == "python3" else shutil.which(tool)
        if found and not (folder / tool).exists():
            (folder / tool).symlink_to(found)
    return ("env", f"PATH={folder}", f"{folder}/sh")


def check(kind: str, /, **words: object) -> Check:
    """A check as the files give it; `at` stands for `from`, which is a word of Python."""
    if "at" in words:
        words["from"] = words.pop("at")
    return available()[kind].model_validate(words)


async def once(one: Check, where: GuestPlace | None = None) -> Outcome:
    """The answer to one check."""
    async with where or place() as opened:
        [(_, outcome)] = await ask([one], opened)
    return outcome


def open_files() -> int:
    """How many files and pipes this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
