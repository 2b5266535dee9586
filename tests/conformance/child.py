"""A second process for the suite: holds a stack or creates a guest until it is killed.

Reads a pickled job from standard input; writes one line for each thing it has reached.
"""

import asyncio
import pickle
import subprocess
import sys
from typing import Any

from phoenix_hypervisor.drivers import open_driver
from phoenix_hypervisor.model.driver import Driver


def say(line: str) -> None:
    """Tells the test."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def hold(driver: Driver, job: dict[str, Any]) -> None:
    """Holds the stack, with a process of its own that outlives it."""
    async with driver.hold(job["stack"], job["run"]):
        sleeper = await asyncio.create_subprocess_exec(
            "sleep", "60", stdout=subprocess.DEVNULL, start_new_session=True
        )
        say(f"held {sleeper.pid}")
        await asyncio.sleep(60)


async def create(driver: Driver, job: dict[str, Any]) -> None:
    """Creates a guest."""
    say("creating")
    await driver.create(job["guest"], job["desired"], say)
    say("created")


async def main() -> None:
    """Does the job."""
    # The test that started this process wrote it.
    job: dict[str, Any] = pickle.load(sys.stdin.buffer)  # noqa: S301
    driver = open_driver(
        job["driver"],
        job["target"],
        job["stack"],
        environ=job["environ"],
        folder=job["folder"],
        reveal=lambda name: str(job["environ"][name]),
    )
    async with driver:
        await {"hold": hold, "create": create}[job["action"]](driver, job)


if __name__ == "__main__":
    asyncio.run(main())
