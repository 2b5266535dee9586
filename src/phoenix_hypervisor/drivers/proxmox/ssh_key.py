"""The key pair with which Phoenix gets into virtual machines: made once, in the folder.

It lies in `.phoenix/ssh`, which Git ignores. Without it (another machine, a lost folder) a new one
is made, which only machines that are made from then on know: cloud-init reads keys once.
"""

import subprocess
from pathlib import Path

from phoenix_hypervisor.model.errors import DriverError

_LIMIT_S = 30


class SshKey:
    """The key of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / ".phoenix" / "ssh"
        self.private = self.folder / "id_ed25519"

    def text(self) -> str:
        """The public half as one line; the pair is made where there is none yet.

        Raises `DriverError` where it can't be made.
        """
        if not self.private.exists():
            self._make()
        return self.private.with_suffix(".pub").read_text(encoding="utf-8").strip()

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "phoenix")
        try:
            done = subprocess.run(
                [*command, "-f", str(self.private)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._not_made(str(error)) from error
        if done.returncode:
            raise self._not_made(done.stderr.strip())

    def _not_made(self, why: str) -> DriverError:
        return DriverError(
            f"no SSH key could be made in {self.folder}: {why}",
            hint="`ssh-keygen` belongs to the package openssh-client",
        )
