"""Large files in a guest: downloaded there, or taken out of a Python wheel.

All of it must be called in a deploy function.
"""

import hashlib
import json
import shlex
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from phoenix_hypervisor.model.errors import ConfigureFailed

SCRIPT = "/usr/local/lib/phoenix/fetch_file.py"

Checksum = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""A file's SHA-256, in the words that images are told by too."""

WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9][!#-&(-;=?-\[\]-~]*$")]
"""An address of the web without spaces, quotes, `<`, `>` and backslashes."""

Requirement = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*$"),
]
"""A Python package in exactly one version: `name==1.2.3`."""

Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.*?\[\]-]+$")]
"""A file's name, or a pattern as shells know it: `*.gguf`."""


def download(
    what: str, url: str, target: str, *, checksum: str | None = None, token: str | None = None
) -> bool:
    """Makes `target` hold what the address serves; returns whether it was not there before.

    What is there already is not looked at again: give another content another path. Progress is
    told while it runs; a broken-off download is gone on with.
    """
    from phoenix_hypervisor.features import _system

    if _there(target):
        return False
    _system.install("python3", "ca-certificates")
    _system.folder(str(Path(SCRIPT).parent))
    _system.text_file(SCRIPT, Path(__file__).with_name("_fetch_file.py").read_text())
    asked = {
        "url": url,
        "sha256": checksum.removeprefix("sha256:") if checksum else None,
        "token": token,
    }
    _system.run(
        f"Download {what}", f"python3 {SCRIPT} {shlex.quote(target)}", stdin=json.dumps(asked)
    )
    return True


def _there(path: str) -> bool:
    from phoenix_hypervisor.features import _system

    return _system.ask(f"test -e {shlex.quote(path)} && echo there || true") == "there"


def unpack_wheel(requirement: str, folder: str, *, checksum: str | None = None) -> bool:
    """Makes a folder hold a wheel's content; returns whether it was not there before.

    pip fetches it from where the guest's own configuration says. Nothing of it is run, and what it
    depends on is not fetched.
    """
    from phoenix_hypervisor.features import _system

    if _there(folder):
        return False
    _system.install("python3-pip")
    _system.run(f"Fetch {requirement}", wheel_script(requirement, folder, checksum))
    return True


def wheel_script(requirement: str, folder: str, checksum: str | None) -> str:
    """The shell script of `unpack_wheel`. Guests that share the folder wait for each other."""
    line = requirement + (f" --hash={checksum}" if checksum else "")
    new = shlex.quote(f"{folder}.new")
    words = shlex.quote(f"{folder}.txt")
    parent = shlex.quote(str(Path(folder).parent))
    return f"""set -e
mkdir -p {parent}
exec 9>> {words}
flock 9
if [ ! -e {shlex.quote(folder)} ]; then
    rm -rf {new}
    echo {shlex.quote(line)} > {words}
    export TMPDIR={parent} PIP_ROOT_USER_ACTION=ignore
    python3 -m pip --disable-pip-version-check --no-input install -q --no-cache-dir --no-deps \\
        --no-compile --only-binary :all: --target {new} -r {words}
    chmod -R a+rX {new}
    mv -T {new} {shlex.quote(folder)}
fi
rm -f {words}
"""


def unpack_archive(archive: str, folder: str) -> bool:
    """Makes a folder hold what an archive does (zip, tar with gzip, xz, bzip2 or zstd); returns
    whether it was not there before.
    """
    from phoenix_hypervisor.features import _system

    if _there(folder):
        return False
    if archive.endswith(".zip"):
        _system.install("unzip")
        how = "unzip -q {} -d {}"
    else:
        if archive.endswith((".zst", ".zstd")):
            _system.install("zstd")
        how = "tar --no-same-owner -xf {} -C {}"
    new = shlex.quote(f"{folder}.new")
    _system.run(
        f"Unpack {archive.rpartition('/')[2]}",
        f"set -e\nrm -rf {new}\nmkdir -p {new}\n{how.format(shlex.quote(archive), new)}\n"
        f"mv -T {new} {shlex.quote(folder)}",
    )
    return True


def only_file(folder: str, pattern: str, what: str) -> str:
    """The one file below a folder whose name fits a pattern.

    Raises `ConfigureFailed` where there is none, or more than one.
    """
    from phoenix_hypervisor.features import _system

    said = _system.ask(
        f"find {shlex.quote(folder)} -type f -name {shlex.quote(pattern)} 2>/dev/null | sort"
    )
    found = said.splitlines()
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.removeprefix(f"{folder}/") for path in found) or "none"
    raise ConfigureFailed(
        f"{what} must hold exactly one file {pattern}; it holds: {names}",
        hint="name the file that is meant, or mend the pattern",
    )


def key(*parts: str | None) -> str:
    """12 hex digits that tell one content from another in a path."""
    return hashlib.sha256("\0".join(part or "" for part in parts).encode()).hexdigest()[:12]
