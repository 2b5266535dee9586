from phoenix_hypervisor.configure.lines import WholeLines
from phoenix_hypervisor.shell.shell import LONGEST_LINE


def test_only_whole_lines_are_told() -> None:
    told: list[str] = []
    take = WholeLines(told.append)
    long = b"x" * (LONGEST_LINE + 1)
    for output, line in [
        ("out", b"one"),
        ("out", long),
        ("err", b"of the other output"),
        ("out", b"the rest of the long one"),
        ("out", b"two \xff"),
    ]:
        take(output, line)  # type: ignore[arg-type]  # a literal in a list
    assert told == ["one", "of the other output", "two �"]
