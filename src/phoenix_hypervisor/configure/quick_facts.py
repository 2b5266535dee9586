"""A quicker question for one of pyinfra's facts, which answers the same.

`server.user` asks for all users before and after each change. pyinfra asks a handful of programs
for each of them, which takes a quarter of a second in a fresh guest: more than all else that
twenty operations ask.
"""

from typing import Any

from pyinfra.facts.server import Users

_SLOW: Any = Users.command
# One line a user, as `Users.process` reads them: entry|group|groups|last login|password. The last
# login is left out: no operation uses it. Source: passwd(5), group(5), shadow(5).
_QUICK = """\
awk -F: '
FILENAME == "/etc/group" {
  name[$3] = $1; count = split($4, members, ",")
  for (i = 1; i <= count; i++) if (members[i] != "") more[members[i]] = more[members[i]] " " $1
  next
}
FILENAME == "/etc/shadow" { password[$1] = $2; next }
$1 != "" { print $0 "|" name[$4] "|" name[$4] more[$1] "||" password[$1] }
' /etc/group /etc/shadow /etc/passwd"""


def install() -> None:
    """Puts it in the place of pyinfra's own, which stays for guests without awk or shadow."""
    untyped: Any = Users
    untyped.command = _command


def _command(fact: Users) -> str:
    slow = _SLOW(fact)
    return f"if command -v awk >/dev/null && [ -r /etc/shadow ]; then\n{_QUICK}\nelse\n{slow}\nfi"
