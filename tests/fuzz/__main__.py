"""`make fuzz SECONDS=…`: fuzzes every target in turn, and tells executions, coverage and findings.

A corpus is kept in .cache/fuzz, so that each run goes on where the last one ended; a finding is
kept there too, and is run again by `python -m tests.fuzz --again FILE`.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import LENGTHS, SEEDS, SHARES, TARGETS

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".cache/fuzz"
_STATUS = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)/")
_CASE_LIMIT_S = 30


@dataclass(frozen=True)
class Outcome:
    """How one target went. `lines`: edges of bytecode that were reached (libFuzzer's `cov`)."""

    target: str
    executions: int
    lines: int
    corpus: int
    finding: str


def main() -> int:
    """Returns 1 where something was found."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--seconds", type=int, default=300, help="for all targets together")
    options.add_argument("--target", choices=TARGETS, action="append", help="only this one")
    options.add_argument("--again", type=Path, help="runs one kept finding again")
    asked = options.parse_args()
    if asked.again is not None:
        return _again(asked.again)
    chosen = asked.target or list(TARGETS)
    whole = sum(SHARES[name] for name in chosen)
    found = [fuzz(name, max(1, asked.seconds * SHARES[name] // whole)) for name in chosen]
    sys.stdout.write("target    executions  coverage  corpus  finding\n")
    for one in found:
        sys.stdout.write(
            f"{one.target:9} {one.executions:10,} {one.lines:9,} {one.corpus:7,}  {one.finding}\n"
        )
    return int(any(one.finding != "none" for one in found))


def fuzz(name: str, seconds: int) -> Outcome:
    """Fuzzes one target for so long, or until something is found."""
    corpus, findings = KEPT / name, KEPT / "findings"
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    if name == "reader" and not any(corpus.iterdir()):
        _seed(corpus)
    before = {*findings.iterdir()}
    arguments = [
        f"-max_total_time={seconds}",
        f"-timeout={_CASE_LIMIT_S}",
        f"-report_slow_units={_CASE_LIMIT_S}",
        f"-max_len={LENGTHS.get(name, 64)}",
        f"-artifact_prefix={findings}/{name}-",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        str(corpus),
    ]
    python = ROOT / ".venv-fuzz/bin/python"
    done = subprocess.run(
        ["nice", python, "-m", "tests.fuzz.worker", name, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=seconds + 300,
    )
    rows = _STATUS.findall(done.stdout)
    new = sorted({*findings.iterdir()} - before)
    finding = str(new[0].relative_to(ROOT)) if new else "none"
    if done.returncode or not rows:
        sys.stdout.write(done.stdout[-6000:])
        finding = finding if new else f"ended with {done.returncode}"
    count, lines, size = map(int, rows[-1]) if rows else (0, 0, 0)
    return Outcome(name, count, lines, size, finding)


def _seed(corpus: Path) -> None:
    """The bad and good files of the tests, for a corpus that is empty yet."""
    files = [path for folder in SEEDS for path in (ROOT / folder).rglob("phoenix_*.json")]
    for number, path in enumerate(sorted(files)):
        (corpus / f"seed-{number}").write_bytes(path.read_bytes()[: LENGTHS["reader"]])


def _again(finding: Path) -> int:
    name = finding.name.partition("-")[0]
    with tempfile.TemporaryDirectory(prefix="phoenix-fuzz-") as scratch:
        TARGETS[name](finding.read_bytes(), Path(scratch))
    sys.stdout.write(f"{finding}: nothing is wrong now\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
