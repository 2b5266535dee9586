"""The two stacks that are hurt: copies of the examples in corners of their own, by real applies."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.stack import ROOT, Stack, copy_of, environ_secrets
from tests.support import lab

KEY = "a-key-of-these-faults"
_SECRETS = {"PORTFOLIO_DB_PASSWORD": "only-for-these-faults", "LLM_API_KEY": KEY}
_TEMPLATE = "900"
# A fault a minute is sixty times the one an hour that guests have to bear, so the limits against
# flapping, which count by the hour, would rightly end the healing in the middle of the run.
_HEAL = {"per_hour": 60, "stable_s": 10}
# Small, so that a disk is full soon; the pool holds more than all of them together. What is cloned
# is counted for each guest, as if it shared nothing.
_DISK_GB = 3
_APPLY_S = 900
_END_S = 60
Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Stacks:
    """Both of them."""

    quickstart: Stack
    replicas: Stack


@contextmanager
def brought_up(place: Path, letters: tuple[str, str]) -> Iterator[Stacks]:
    """Brings both up side by side; clears their corners at the end, whatever happens."""
    corners = tuple(lab.Lab(letter) for letter in letters)
    with ExitStack() as after:
        for corner in corners:
            after.callback(lab.clear, corner.name)
        stacks = Stacks(_quickstart(place, corners[0]), _replicas(place, corners[1]))
        _apply(stacks.quickstart, stacks.replicas)
        yield stacks


def _quickstart(place: Path, corner: lab.Lab) -> Stack:
    names = ("10.98.76", "phxquick0", "phoenix-quickstart")
    stack = _copy("quickstart", place, corner, names)
    environ_secrets(stack.folder, **_SECRETS)
    return stack


def _replicas(place: Path, corner: lab.Lab) -> Stack:
    return _copy("replicas", place, corner, ("10.98.77", "phxrepl0", "phoenix-replicas"))


def _copy(example: str, place: Path, corner: lab.Lab, names: tuple[str, str, str]) -> Stack:
    own: Mapping[str, str] = dict(
        zip(names, (corner.subnet(), corner.name, corner.name), strict=True)
    )
    stack = copy_of(ROOT / "examples" / example, place / example, corner, own)
    with stack.edit() as words:
        for ident, guest in words["lxc_configs"].items():
            guest["storage_size_gb"] = _DISK_GB
            if ident != _TEMPLATE:
                guest["heal"] = _HEAL
    return stack


def _apply(*stacks: Stack) -> None:
    """All at once. Where one fails, or this is interrupted, none goes on."""
    with ThreadPoolExecutor(len(stacks)) as hands, ExitStack() as after:
        begun = [stack.start("apply", "--yes") for stack in stacks]
        for process in begun:
            after.callback(_end, process)
        for process, told in zip(begun, hands.map(_output, begun), strict=True):
            if process.returncode:
                sys.exit(f"the stack did not come up:\n{told}")


def _output(process: Process) -> str:
    return process.communicate(timeout=_APPLY_S)[0]


def _end(process: Process) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
