"""Finds and ends what a killed run left running in a guest.

`kill -9` of Phoenix leaves its commands running there: an `apt-get` that holds its lock, a script
that goes on changing things. So each configuring shell bears its run's id in its environment, and
the guest knows the id of the run that is configuring it.
"""

import contextlib
import shlex
import subprocess
from collections.abc import Sequence

from phoenix_hypervisor.shell import ending
from phoenix_hypervisor.shell.shell import Shell

RUN_ENV = "PHOENIX_RUN"
RUN_FILE = "/run/phoenix/run"
CHECK = "check"
DRIVER = "driver"
"""After a run's id and a dot: which part of it runs something. Configuring has a name a guest."""

_S = 10.0


def take_over(shell: Shell, run_id: str) -> tuple[str | None, Sequence[str]]:
    """Notes that `run_id` configures the guest now.

    `shell` was opened with `RUN_ENV=run_id`. Gives the id of the run that was broken off (None:
    none was) and the names of its processes that were ended. Processes without that id are not
    touched. Raises what `Shell` raises.
    """
    look = f"mkdir -p -m 700 {RUN_FILE.rpartition('/')[0]}; cat {RUN_FILE} 2>/dev/null"
    old = shell.run(look, timeout_s=_S).said().out.strip()
    ended: Sequence[str] = ()
    if old and old != run_id:
        ended = shell.end_marked(RUN_ENV, old)
    shell.put(run_id.encode(), RUN_FILE, mode=0o600, timeout_s=_S)
    return (old if old != run_id else None) or None, ended


def give_back(shell: Shell, run_id: str) -> None:
    """Notes that `run_id` has ended cleanly, unless another one has taken over since."""
    shell.run(
        f'[ "$(cat {RUN_FILE} 2>/dev/null)" != {shlex.quote(run_id)} ] || rm -f {RUN_FILE}',
        timeout_s=_S,
    )


def end_run(way_in: Sequence[str], run_id: str, name: str) -> Sequence[str]:
    """Ends the processes of an interrupted run at once, over a new shell; gives their names."""
    with Shell(way_in, name=name, open_s=_S) as shell:
        ended = shell.end_marked(RUN_ENV, run_id)
        give_back(shell, run_id)
        return ended


def end_runs(way_in: Sequence[str], runs: Sequence[str], name: str) -> Sequence[str]:
    """Ends what these runs, all killed, left running there; gives the names.

    That is what checks and the driver ran, and the configuring that was broken off there. What a
    configuring that had ended well has started stays: it is the application, which nobody would
    start again. Raises what `Shell` raises.
    """
    marks = [f"{run}.{part}" for run in runs for part in (CHECK, DRIVER)]
    with Shell(way_in, name=name, open_s=_S) as shell:
        job = shell.run(f"cat {RUN_FILE} 2>/dev/null", timeout_s=_S).said().out.strip()
        if job.partition(".")[0] in runs:  # one that has ended has given the file back
            marks.append(job)
        return shell.end_marked(RUN_ENV, *marks)


def abandon_run(way_in: Sequence[str], run_id: str) -> None:
    """Ends the processes of a run without waiting for it: for one who has to leave at once.

    A process of its own, which goes on when this one has ended, hands the script over.
    """
    script = ending.ending(RUN_ENV, (run_id,), at_once=True)
    with contextlib.suppress(OSError):  # then the next run ends them
        process = subprocess.Popen(
            way_in,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if process.stdin is not None:
            with process.stdin as stdin:
                stdin.write(script.encode())  # less than a pipe holds
