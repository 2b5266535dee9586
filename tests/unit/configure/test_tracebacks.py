"""What is told of a traceback that a command wrote, with real ones of Python."""

import subprocess
import sys
from typing import Any

from phoenix_hypervisor.configure.connector import Link, Ran
from phoenix_hypervisor.configure.session import Session
from phoenix_hypervisor.configure.tracebacks import raised, shortened

DEEP = """
def deeper(left):
    if left:
        deeper(left - 1)
    raise RuntimeError("broken on purpose")
deeper(2)
"""


def written(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"exec(compile({program!r}, '/opt/x.py', 'exec'))"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.splitlines()


def test_only_the_innermost_calls_are_kept() -> None:
    lines = ["Refused.", *written(DEEP), "x.service: Failed"]
    assert raised(lines) == "RuntimeError: broken on purpose"
    told = shortened(lines)
    assert told[:3] == ["Refused.", "Traceback (most recent call last):", "  … 3 calls before"]
    assert [line.rpartition(" in ")[2] for line in told if "File" in line] == ["deeper"] * 2
    assert told[-2:] == ["RuntimeError: broken on purpose", "x.service: Failed"]
    assert raised(told) == "RuntimeError: broken on purpose"


def test_one_that_was_cut_begins_with_a_whole_call() -> None:
    told = shortened(["Refused.", "    server.run()", "    ~~~~~~^^", *written(DEEP)[1:]])
    assert told[:2] == ["Refused.", "  … 3 calls before"]


def test_the_last_of_several_is_what_was_raised() -> None:
    program = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise ValueError('two\\nlines')"
    lines = written(program)
    assert raised(lines) == "ValueError: two"
    assert "ZeroDivisionError: division by zero" in shortened(lines)


def test_a_syntax_error_is_one_too() -> None:
    assert raised(written("def x(:")) == "SyntaxError: invalid syntax"


def test_what_was_raised_is_told_first_and_a_script_not_at_all() -> None:
    session = object.__new__(Session)
    session._guest, session._task = "lxc/1", "api"
    nothing: Any = None
    session._link = Link(nothing, lambda: 1.0, lambda text: text.replace("purpose", "***"))
    words = "\n".join(shortened(written(DEEP)))
    failure = session._failure("Take it", Ran("\ncd /\nmake", 1, words))
    assert failure.message == (
        "lxc/1: api: Take it failed (exit status 1): RuntimeError: broken on ***"
    )
    assert failure.detail.startswith("Traceback")
    failure = session._failure("Take it", Ran("make " + "x" * 300, 2, "no rule"))
    assert failure.message == "lxc/1: api: Take it failed (exit status 2)"
    assert failure.detail == f"$ make {'x' * 195} …\nno rule"


def test_other_words_stay_as_they_are() -> None:
    lines = ["ls: no such file", "    indented", "", "more"]
    assert shortened(lines) == lines
    assert raised(lines) == ""
