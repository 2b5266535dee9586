"""A round: a state, one or two applies that are broken off, then one that has to mend it all."""

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.kills import processes
from tests.kills.folder import LEAVES
from tests.kills.shot import Struck, draw, strike
from tests.kills.world import Left, World, held_locks, run, strewn

_TRIES = 6
_ENDED = "ended what"
_HALF_MADE = "its creation broke off"
_DRY = 5
_LEAVES_S = {"kill": 1.0, "int": 25.0, "term": 25.0, "int twice": 5.0}
"""How long a command may take to leave; the first interruption ends what runs in guests."""


@dataclass
class Outcome:
    """A line of the table; `flaws` empty: it converged, and said what it had found."""

    number: int
    start: str
    kind: str
    at_s: float
    last: str
    left: str = ""
    found: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    left_s: float = 0.0
    mend_s: float = 0.0
    took_s: float = 0.0
    output: str = ""
    told_later: str = ""
    was_held: bool = False
    """Whether it was struck while it held the stack."""


class Player:
    """Plays rounds over one world, whose state goes from one to the next."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._dice = random.Random(seed)  # noqa: S311 - it is to be the same each time
        self._mark = f"{world.folder.path}-{seed}"
        self._whole_s = 0.0

    def measure(self) -> float:
        """The seconds of an apply that nobody disturbs, over which the moments are drawn."""
        began = time.monotonic()
        done = run(self._world, self._mark, "--json", "apply", "--yes")
        took_s = time.monotonic() - began
        if done.returncode:
            raise SystemExit(f"an apply that nobody disturbs fails:\n{done.stdout}")
        if flaws := self._world.flaws():
            raise SystemExit(f"an apply that nobody disturbs leaves {flaws}")
        self._whole_s = float(json.loads(done.stdout.splitlines()[-1])["elapsed_s"])
        return took_s

    def play(self, kills: int) -> Iterator[Outcome]:
        """So many strikes, each an outcome; several may come before one mending apply."""
        number = dry = 0
        while number < kills and dry < _DRY:
            start = self._start()
            chain = min(self._dice.choice((1, 1, 1, 2, 3)), kills - number)
            outcomes: list[Outcome] = []
            for _ in range(chain):
                outcome = self._strike(number + len(outcomes) + 1, start, outcomes)
                if outcome is None:
                    break  # the apply was faster each time: nothing is left to break off
                outcomes.append(outcome)
                start = "the same"
            self._mend(outcomes)
            number += len(outcomes)
            dry = 0 if outcomes else dry + 1
            yield from outcomes

    def _start(self) -> str:
        """Brings about a state from which an apply has something to do."""
        chance = self._dice.random()
        if chance < 0.3:
            run(self._world, self._mark, "destroy", "--all", "--yes")
            return "nothing"
        changed = self._world.folder.edit(self._dice)
        if chance < 0.7:
            gone = sorted(self._dice.sample(LEAVES, self._dice.randint(1, 3)))
            run(self._world, self._mark, "destroy", *gone, "--yes")
            return f"gone {' '.join(gone)}, edited {' '.join(changed)}"
        return f"edited {' '.join(changed)}"

    def _strike(self, number: int, start: str, before: Sequence[Outcome]) -> Outcome | None:
        kinds = self._world.kinds
        began = time.monotonic()
        for _ in range(_TRIES):
            [kind] = self._dice.choices(list(kinds), list(kinds.values()))
            span = self._whole_s if start == "nothing" else self._whole_s / 2
            moment = draw(self._dice, span)
            pause_s = self._dice.uniform(0.3, 4.0 if self._world.name == "incus" else 0.6)
            struck = strike(self._world, self._mark, kind, moment, pause_s)
            if struck.at_s is not None:
                outcome = Outcome(number, start, kind, struck.at_s, struck.last)
                outcome.output, outcome.left_s = struck.output, struck.left_s
                outcome.was_held = bool(struck.last) and not struck.report
                outcome.flaws += _flaws_of_the_struck(kind, struck)
                outcome.took_s = time.monotonic() - began
                return outcome
            if not struck.report.get("ok"):
                message = f"an undisturbed apply failed:\n{struck.output}"
                return Outcome(number, start, "none", 0.0, struck.last, flaws=[message])
            for one in before:
                one.told_later += struck.output
            start = self._start()
        return None

    def _mend(self, outcomes: list[Outcome]) -> None:
        """Applies again, and looks at everything."""
        if not outcomes:
            return
        last, began = outcomes[-1], time.monotonic()
        left = self._world.left()
        begun = time.monotonic()
        done = run(self._world, self._mark, "apply", "--yes")
        last.mend_s = time.monotonic() - begun
        output = done.stdout
        last.left = str(left)
        last.found = [line.strip() for line in output.splitlines() if _tells(line)]
        if done.returncode:
            last.flaws.append(f"the next apply ended with {done.returncode}:\n{output}")
        last.flaws += _unsaid(left, output)
        for number, one in enumerate(outcomes):
            later = [one.told_later, *(other.output for other in outcomes[number + 1 :]), output]
            told = any("broken off" in text for text in later)
            if one.kind == "kill" and one.was_held and not told:
                last.flaws.append(f"nobody says that {one.number} was broken off:\n{output}")
        plan = run(self._world, self._mark, "--json", "plan", "--detailed-exitcode")
        if plan.returncode or json.loads(plan.stdout)["changes"]:
            last.flaws.append(f"something is left to plan:\n{plan.stdout}")
        last.flaws += self._world.flaws() + strewn(self._world)
        last.flaws += processes.orphans(self._mark)
        last.flaws += held_locks(self._stack)
        last.took_s += time.monotonic() - began

    @property
    def _stack(self) -> str:
        words = json.loads((self._world.folder.path / "phoenix_hypervisor_config.json").read_text())
        return str(words["hypervisor"]["stack"])


def _tells(line: str) -> bool:
    return "found:" in line or "broke off" in line or "broken off" in line


def _unsaid(left: Left, output: str) -> Iterator[str]:
    """What was there to be found, and the next apply did not say."""
    lines = output.splitlines()
    for address in left.half_made:
        if not any(address in line and _HALF_MADE in line for line in lines):
            yield f"it does not say that {address} was half made:\n{output}"
    for address in left.busy:
        if not any(address in line and _ENDED in line for line in lines):
            yield f"it does not say that a run went on in {address}:\n{output}"


def _flaws_of_the_struck(kind: str, struck: Struck) -> Iterator[str]:
    """How a command may end that was disturbed."""
    # Before and after the work nothing is there that would have to be told.
    in_start_up = not (struck.planned and not struck.report) and struck.status in {-2, -15}
    statuses = {
        "kill": {-9}, "int": {130}, "term": {130}, "int twice": {130, -2},
        "worker": {0, 1}, "fork server": {0, 1}, "loss": {0, 1},
    }[kind]  # fmt: skip
    if struck.report.get("ok"):  # the signal came when all was done
        statuses.add(0)
    if struck.hung:
        yield f"it hung:\n{struck.output}"
    elif struck.status not in statuses and not in_start_up:
        yield f"it ended with {struck.status}:\n{struck.output}"
    if kind in _LEAVES_S and struck.left_s > _LEAVES_S[kind]:
        yield f"it took {struck.left_s:.1f} s to leave:\n{struck.output}"
    if "Traceback" in struck.output and not in_start_up:
        yield f"a traceback:\n{struck.output}"
    interrupted = kind == "int" and struck.report.get("interrupted")
    if interrupted and " started" in struck.last and not struck.report["half_done"]:
        yield f"it does not say what is half done:\n{struck.output}"
