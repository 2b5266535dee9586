"""What this machine knows about package mirrors and certificates, handed to the lab's guests.

So that installs inside work where they work outside: behind a company's proxy, with a mirror,
without the open internet. Nothing is named here: all of it is read from the machine.
"""

import asyncio
import hashlib
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from phoenix_hypervisor.model.errors import TimedOut

_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_PIP_KEYS = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "no-index")
_CREDENTIALS = re.compile(rb"://[^/\s@]+@|^[^#\n]*_(?:auth|password)", re.MULTILINE)
_ELSEWHERE = re.compile(r"(?<![\w+.-])(?!file:)[A-Za-z][\w+.-]*://\S+")
_ASK_S = 60.0
_NPM_KEYS = ("registry", "proxy", "https-proxy", "noproxy", "strict-ssl")


@dataclass(frozen=True, slots=True)
class Handover:
    """Files to write into a guest (path to content), and local folders to mount read-only."""

    files: dict[str, bytes]
    folders: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """Tells whether a guest, or the one that it was cloned from, has had just this."""
        parts = [f"{path}\0".encode() + content for path, content in sorted(self.files.items())]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where this machine gets its distribution's packages from."""

    distribution: str
    uri: str
    security_uri: str | None


def mode(content: bytes) -> int:
    """The mode of a file in a guest: services read settings, but nobody another's password."""
    return 0o600 if _CREDENTIALS.search(content) else 0o644


async def collect(suite: str, distribution: str) -> Handover:
    """Everything for a guest of that distribution and release (`trixie`, `debian`)."""
    files = {str(path): path.read_bytes() for path in sorted(_CERTIFICATES.rglob("*.crt"))}
    pip, npm, mirror, conf = await asyncio.gather(_pip(), _npm(), find_mirror(), _apt_conf())
    if pip:
        files["/etc/pip.conf"] = pip.encode()
    if npm:
        files["/usr/etc/npmrc"] = files["/usr/local/etc/npmrc"] = npm.encode()
    if mirror is not None and mirror.distribution == distribution:
        files["/etc/apt/sources.list"] = apt_sources(mirror, suite).encode()
        if conf:
            files["/etc/apt/apt.conf.d/80phoenix-handover"] = conf.encode()
    texts = [pip, npm, files.get("/etc/apt/sources.list", b"").decode()]
    return Handover(files, tuple(_local_folders(texts)))


def apt_sources(mirror: Mirror, suite: str) -> str:
    """The machine's mirror as a `sources.list` for another release. Source: sources.list(5)."""
    components = "main" if mirror.distribution == "debian" else "main universe"
    security = mirror.security_uri or mirror.uri
    return (
        f"deb {mirror.uri} {suite} {components}\n"
        f"deb {mirror.uri} {suite}-updates {components}\n"
        f"deb {security} {suite}-security {components}\n"
    )


async def find_mirror() -> Mirror | None:
    """The mirror of the machine's own distribution, as apt itself understands its sources.

    Source: apt-get(8), `indextargets`. None on a machine without apt.
    """
    release = platform.freedesktop_os_release()
    codename = release.get("VERSION_CODENAME", "")
    form = "$(REPO_URI) $(CODENAME) $(COMPONENT)"
    text = await _ask("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    uris: dict[str, str] = {}
    for line in text.splitlines():
        uri, suite, component = line.split()
        if component == "main":
            uris.setdefault(suite, uri)
    if codename not in uris:
        return None
    return Mirror(release.get("ID", ""), uris[codename], uris.get(f"{codename}-security"))


async def _pip() -> str:
    text = await _ask("python3", "-m", "pip", "config", "list", "--disable-pip-version-check")
    values: dict[str, str] = {}
    for line in text.splitlines():
        if match := re.match(r"(?:global|install|user|:env:)\.([a-z-]+)='(.*)'$", line.strip()):
            values.setdefault(match[1], match[2])
    kept = {key: values[key] for key in _PIP_KEYS if key in values}
    if not kept and not any(_CERTIFICATES.rglob("*.crt")):
        return ""
    lines = ["[global]", *(f"{key} = {value}" for key, value in kept.items())]
    return "\n".join([*lines, f"cert = {_BUNDLE}"]) + "\n"


async def _npm() -> str:
    if not which("npm"):
        return ""
    lines = []
    # All at once: each start of npm takes a third of a second. It answers `key=value`.
    for line in (await _ask("npm", "config", "get", *_NPM_KEYS)).splitlines():
        key, _, value = line.partition("=")
        if key in _NPM_KEYS and value not in ("", "null", "undefined", "true"):
            lines.append(f"{key}={value}")
    if any(_CERTIFICATES.rglob("*.crt")):
        lines.append(f"cafile={_BUNDLE}")
    return "\n".join(lines) + "\n" if lines else ""


async def _apt_conf() -> str:
    text = await _ask("apt-config", "dump", "--no-empty", "Acquire::http", "Acquire::https")
    kept = [line for line in text.splitlines() if "Proxy" in line or "CaInfo" in line]
    return "\n".join(kept) + "\n" if kept else ""


def _local_folders(texts: Sequence[str]) -> Iterable[Path]:
    found = set()
    for text in texts:
        for match in re.finditer(r"(?:file://)?(/[\w./-]+)", _ELSEWHERE.sub(" ", text)):
            path = Path(match[1])
            if path.is_dir() and match[0] != _BUNDLE and path.parts[1:2] != ("etc",):
                found.add(_top(path))
    return sorted(found)


def _top(path: Path) -> Path:
    # An index such as /srv/pypi/simple links to files beside it: its parent is mounted.
    return path.parent if path.name == "simple" else path


async def _ask(*argv: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except FileNotFoundError:
        return ""
    try:
        async with asyncio.timeout(_ASK_S):
            out, _ = await process.communicate()
    except TimeoutError:
        raise TimedOut(
            f"`{' '.join(argv)}` on this machine has said nothing for {_ASK_S:.0f} s",
            hint="guests are given this machine's package settings, and it is asked for them",
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode(errors="replace")
