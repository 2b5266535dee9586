"""Lines of a command's outputs as progress: only whole ones."""

from collections.abc import Callable

from phoenix_hypervisor.shell.answer import text
from phoenix_hypervisor.shell.shell import LONGEST_LINE, Output


class WholeLines:
    """Tells each line, but none that is so long that it comes in parts.

    A secret may be cut in two there, and half a secret is not found.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._cut: dict[Output, bool] = {}

    def __call__(self, output: Output, line: bytes) -> None:
        """Takes what `Shell.run` gives its `on_line`."""
        in_parts = len(line) > LONGEST_LINE
        if not in_parts and not self._cut.get(output):
            self._tell(text(line))
        self._cut[output] = in_parts
