"""One script through a way in: its status, its words, and an end in time."""

import time

import pytest

from phoenix_hypervisor.drivers import script
from phoenix_hypervisor.model.errors import DriverError, TimedOut


async def test_what_it_says() -> None:
    assert await script.run(["sh"], "echo a; echo b >&2; exit 3", "it", 10) == (3, "a\n", "b\n")
    assert await script.must(["sh"], "echo a", "it failed", 10) == "a\n"


@pytest.mark.parametrize(
    ("text", "detail"), [("echo no >&2; exit 1", "no"), ("exit 4", "exit status 4")]
)
async def test_a_bad_end_is_an_error_also_without_words(text: str, detail: str) -> None:
    with pytest.raises(DriverError, match="it failed") as caught:
        await script.must(["sh"], text, "it failed", 10)
    assert caught.value.detail == detail


async def test_it_is_ended_in_time() -> None:
    begun = time.monotonic()
    with pytest.raises(TimedOut, match=r"it: not done within 0 s"):
        await script.run(["sh"], "exec sleep 30", "it", 0.2)
    assert time.monotonic() - begun < 5
