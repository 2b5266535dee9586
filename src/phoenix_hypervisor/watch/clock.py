"""Whether the wall clock can be believed: what is forgotten by a wrong one never comes back."""

import time

_JUMP_S = 3600.0
_GAP_S = 86400.0
_DOUBTED_S = 86400.0


class Clock:
    """Compares the wall clock with one that is never set.

    One that jumps forward by more than an hour, or that is at the start more than a day after the
    newest of what was kept, is believed once it has gone on for a day; set back, it is at once.
    """

    def __init__(self, newest: float | None) -> None:
        """`newest`: of what was kept (Unix time); None where nothing was."""
        self._newest = newest
        self._apart: float | None = None
        self._doubted_until = float("-inf")

    def is_believed(self, now: float, moment: float | None = None) -> bool:
        """To be asked every minute or so. `moment` is of the other clock, in seconds.

        Where it is not given, it is the one of this machine that runs on while it sleeps.
        """
        if moment is None:
            moment = time.clock_gettime(time.CLOCK_BOOTTIME)
        apart = now - moment
        if self._apart is not None:
            jump_s, most_s = apart - self._apart, _JUMP_S
        else:
            jump_s, most_s = now - self._newest if self._newest is not None else 0.0, _GAP_S
        self._apart = apart
        if jump_s > most_s:
            self._doubted_until = moment + _DOUBTED_S
        elif jump_s < -_JUMP_S:
            self._doubted_until = float("-inf")
        return moment >= self._doubted_until
