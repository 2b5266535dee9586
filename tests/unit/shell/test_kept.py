"""How much of an output is kept, on a real `sh` of this machine."""

import io
from collections.abc import Iterator

import pytest

from phoenix_hypervisor.shell import Shell

S = 20.0


@pytest.fixture
def shell() -> Iterator[Shell]:
    with Shell(["sh"], name="here") as opened:
        yield opened


def test_of_a_long_output_only_the_ends_are_kept(shell: Shell) -> None:
    answer = shell.run("echo first; yes | head -n 500000; echo last", timeout_s=S, keep=1000)
    assert answer.out.startswith(b"first\ny\n")
    assert answer.out.endswith(b"y\nlast\n")
    assert b"\n[999011 bytes left out]\n" in answer.out
    assert shell.run("echo short", timeout_s=S, keep=12).out == b"short\n"


def test_nothing_is_kept_where_nobody_wants_it(shell: Shell) -> None:
    lines: list[bytes] = []
    answer = shell.run(
        "echo a; head -c 200000 /dev/zero | tr '\\0' x; echo; echo b",
        timeout_s=S,
        keep=0,
        on_line=lambda _, line: lines.append(line),
    )
    assert len(answer.out) < 100
    assert (lines[0], lines[-1]) == (b"a", b"b")
    assert b"".join(lines) == b"a" + b"x" * 200000 + b"b"
    assert all(len(line) < 140000 for line in lines)


def test_both_outputs_go_to_files_as_they_are(shell: Shell) -> None:
    out, err = io.BytesIO(), io.BytesIO()
    answer = shell.run("printf 'a\\000b'; printf 'c\\377' >&2", timeout_s=S, out_to=out, err_to=err)
    assert (answer.out, answer.err) == (b"", b"")
    assert (out.getvalue(), err.getvalue()) == (b"a\x00b", b"c\xff")
