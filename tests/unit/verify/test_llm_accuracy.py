"""What `phoenix bench llm` reports of a server whose times are known: it keeps its own account.

The server is a process of its own. It is compared with what it really did, not with what it was to
do, so that a busy machine disturbs little; what still differs is the network and the client. One
round may be disturbed all the same, three in a row are not.
"""

import json
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.cli.main import run

FIRST_S, BETWEEN_S, TOKENS = (0.3, 0.34, 0.4, 0.52), 0.02, 12
ROOT = Path(__file__).parents[3]
MEASURES = {"first_token_ms": "first_s", "total_ms": "total_s"}
WARM_UP = 9_000_000
ROUNDS = 3


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    delays = [",".join(map(str, FIRST_S)), str(BETWEEN_S), str(TOKENS)]
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.llm_timed", *delays],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        assert server.stdin is not None
        server.stdin.close()


def truth(url: str) -> list[dict[str, float]]:
    """What the server has done since, without the warm-up."""
    with urllib.request.urlopen(f"{url}/truth") as reply:
        return [one for one in json.load(reply) if 0 <= one["number"] < WARM_UP]


def off(level: dict[str, Any], done: list[dict[str, float]]) -> dict[str, float]:
    """How far each reported percentile is from the truth, as a share of it."""
    found = {}
    for measure, word in MEASURES.items():
        percentiles = statistics.quantiles([one[word] for one in done], n=100, method="inclusive")
        for percent in (50, 95):
            real = percentiles[percent - 1] * 1000
            found[f"{measure} p{percent}"] = abs(level[measure][f"p{percent}"] - real) / real
    real = statistics.median((one["last_s"] - one["first_s"]) / (TOKENS - 1) for one in done)
    found["between"] = abs(level["between_tokens_ms"]["p50"] - real * 1000) / (real * 1000)
    return found


@pytest.mark.parametrize(("concurrency", "requests"), [(1, 8), (8, 24), (32, 64)])
def test_it_reports_the_truth(
    url: str, concurrency: int, requests: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = []
    for _ in range(ROUNDS):
        before = len(truth(url))
        words = ["--concurrency", str(concurrency), "--requests", str(requests)]
        status = run(["--json", "bench", "llm", url, *words, "--output-tokens", str(TOKENS)])
        done = truth(url)[before:]
        document = json.loads(capsys.readouterr().out)
        assert (status, document["ok"], len(done)) == (0, True, requests)
        [level] = document["levels"]
        assert level["tokens"] == requests * TOKENS
        rounds.append(off(level, done))
        if max(rounds[-1].values()) < 0.05:
            return
    pytest.fail(f"further off than 5 % in {ROUNDS} rounds: {rounds}")
