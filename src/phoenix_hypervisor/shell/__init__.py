"""The Exec port: one class that speaks to a POSIX shell in a guest, on a host or right here.

A way in is an argument vector that starts such a shell over pipes. The shell is kept open, since
a process for each command is what makes configuring slow.
"""

from phoenix_hypervisor.shell.answer import Answer
from phoenix_hypervisor.shell.shell import Shell

__all__ = ["Answer", "Shell"]
