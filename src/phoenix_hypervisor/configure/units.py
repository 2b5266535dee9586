"""Lets systemd read its units again once, instead of after each `systemctl enable`. Pure.

Reading them takes a tenth of a second of the processor in a guest, more than most operations.
"""

import re

READ_AGAIN = "systemctl daemon-reload"
READ_AGAIN_IF_THERE = f"! command -v systemctl >/dev/null || {READ_AGAIN}"
"""For a guest where a run was broken off that may have owed it."""

_ENABLE = re.compile(r"systemctl (?P<words>(?:enable|disable) [\w@.:\\-]+)")
_STOP = re.compile(r"systemctl stop [\w@.:\\-]+")


class Units:
    """What one guest's systemd has yet to be told."""

    def __init__(self) -> None:
        self.owed = False

    def instead(self, command: str) -> tuple[str, ...]:
        """What is to be run for an operation's command.

        `systemctl enable` and `disable` only change links, which are read before anything else is
        done, and in the end where `owed` says so.
        """
        if enable := _ENABLE.fullmatch(command):
            self.owed = True
            return (f"systemctl --no-reload {enable['words']}",)
        if not self.owed or _STOP.fullmatch(command):
            return (command,)
        self.owed = False
        return (command,) if command == READ_AGAIN else (READ_AGAIN, command)

    def concerns(self, line: bytes) -> bool:
        """Whether a line asks for what is owed: nobody has to do that by hand."""
        return self.owed and READ_AGAIN.encode() in line
