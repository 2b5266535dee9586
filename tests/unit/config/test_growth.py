"""What takes longer than linear time on big and wrong files: each of these once took minutes.

Times are of the processor and generous: they tell linear from quadratic, not fast from slow.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.config.folder import LXC, Vocabulary
from phoenix_hypervisor.config.load import load

GUEST = {"name": "a", "template": "debian-13-standard"}


def guests(count: int, make: Callable[[int], dict[str, Any]]) -> str:
    rows = {str(1000 + i): {"name": f"g{i}", "template": "x"} | make(i) for i in range(count)}
    return json.dumps({"lxc_configs": rows})


def one(**words: Any) -> str:
    return json.dumps({"lxc_configs": {"101": GUEST | words}})


def unclosed(count: int) -> str:
    return '{"lxc_configs":{' + ",".join(f'"{1000 + i}":{{"name":"a{i}"}}' for i in range(count))


LIMIT_S = 10.0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(unclosed(30_000), id="unclosed"),
        pytest.param(unclosed(30_000) + "}}}", id="closed-too-often"),
        pytest.param(one(dependencies=["x"] * 10_000), id="bad-entries"),
        pytest.param(one(volumes=[{"name": "-"}] * 5_000), id="bad-objects"),
        pytest.param(guests(4_000, lambda _: {"memry_mb": 1}), id="unknown-words"),
        pytest.param(
            guests(300, lambda i: {"dependencies": [1000 + j for j in range(300) if j != i]}),
            id="all-circles",
        ),
        pytest.param(
            guests(4_000, lambda i: {"dependencies": [1000 + (i + 1) % 4_000]}), id="one-circle"
        ),
        pytest.param(one(description="x" * 1_000_000, **{"y" * 1_000_000: 1}), id="long-texts"),
    ],
)
def test_it_grows_with_the_text_only(text: str, tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / LXC).write_text(text)
    begin = time.process_time()
    loaded = load(tmp_path, vocabulary)
    took = time.process_time() - begin
    assert loaded.desired is None
    assert took < LIMIT_S
    assert all(len(p.message) < 1000 and len(p.hint) < 1000 for p in loaded.problems)


def test_of_very_many_circles_some_are_told(tmp_path: Path, vocabulary: Vocabulary) -> None:
    everything = guests(30, lambda i: {"dependencies": [1000 + j for j in range(30) if j != i]})
    (tmp_path / LXC).write_text(everything)
    found = [p for p in load(tmp_path, vocabulary).problems if "circle" in p.message]
    assert len(found) == 50
