"""Trees of files put into a guest as a whole: uploaded once, switched to in one step.

A tree (a web site, a program's source, a server's generated configuration) gets a folder named by
a hash of its content, and a link `current` points to one of them. So a half-finished upload is
never served, files that left the tree are gone, an unchanged tree costs one question, and the way
back is a link.

    <base>/releases/<hash>/   <base>/current -> releases/<hash>
"""

import gzip
import hashlib
import io
import shlex
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from phoenix_hypervisor.features._words import is_private
from phoenix_hypervisor.model import staging
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed

IGNORED = frozenset(
    {"__pycache__", ".venv", "node_modules", ".DS_Store", ".mypy_cache", ".ruff_cache"}
)
"""What editors and tools leave in a folder; it never goes into a guest."""


def own(path: Path, home: Path) -> Path:
    """The path itself, if it is one of the files of the folder `home` that may go into a guest.

    Raises `ConfigError` naming the link that leads elsewhere: what else is on the operator's
    machine, secrets above all, never gets into a guest by one.
    """
    real, root = path.resolve(), home.resolve()
    if not real.is_relative_to(root) or any(map(is_private, real.relative_to(root).parts)):
        raise ConfigError(f"{path} leads to {real}, which must not go into a guest")
    return path


def listed(folder: Path, home: Path) -> list[Path]:
    """The files below a folder that go into a guest; the folder itself where there are none.

    So a missing folder is still named to those who look whether it is there. `home` is the folder
    of the configuration: raises `ConfigError` for a link that leads out of it, and for a name
    that can't be told to a guest.
    """
    found = [
        own(_sayable(path, folder), home)
        for path in sorted(own(folder, home).rglob("*"))
        if (path.is_file() or path.is_symlink()) and not _left_out(path.relative_to(folder).parts)
    ]
    return [path for path in found if path.is_file()] or [folder]


def _sayable(path: Path, folder: Path) -> Path:
    """Raises `ConfigError` for a name that a manifest can't hold, or that is not UTF-8."""
    name = str(path.relative_to(folder))
    if any(char in "\n\r\\" or "\ud800" <= char <= "\udfff" for char in name):
        raise ConfigError(
            f"the file name {name!a} in {folder} holds a line break, a backslash or bytes "
            "that are not UTF-8: rename the file"
        )
    return path


def _left_out(parts: Iterable[str]) -> bool:
    return any(part in IGNORED or is_private(part) for part in parts)


@dataclass(frozen=True, slots=True)
class Tree:
    """Files by their relative path; a value is the content and whether it may be executed."""

    files: Mapping[str, tuple[bytes, bool]]

    @classmethod
    def of_texts(cls, texts: Mapping[str, str]) -> "Tree":
        """A tree of generated texts."""
        return cls({name: (text.encode(), False) for name, text in texts.items()})

    @classmethod
    def of_folder(cls, folder: Path, home: Path) -> "Tree":
        """A folder's files. Raises `ConfigureFailed` where it is missing or empty.

        `home`: as for `listed`.
        """
        if not folder.is_dir():
            raise ConfigureFailed(
                f"the folder {folder} is missing", hint="make it, or mend the path in the files"
            )
        files = {
            path.relative_to(folder).as_posix(): (
                path.read_bytes(),
                bool(path.stat().st_mode & 0o100),
            )
            for path in listed(folder, home)
            if path != folder
        }
        if not files:
            raise ConfigureFailed(
                f"the folder {folder} holds no files", hint="fill it, or take it out of the files"
            )
        return cls(files)

    def digest(self, *more: str) -> str:
        """16 hex digits over all names, contents and modes, and over `more`."""
        hasher = hashlib.sha256()
        for name, (content, executable) in sorted(self.files.items()):
            for part in (name.encode(), b"x" if executable else b"-", content):
                hasher.update(len(part).to_bytes(8, "big") + part)
        for text in more:
            hasher.update(b"+" + len(text.encode()).to_bytes(8, "big") + text.encode())
        return hasher.hexdigest()[:16]

    def manifest(self) -> str:
        """What `sha256sum --check` reads, so that changes made by hand in the guest are seen.

        Names with a newline or backslash would need an escape, and are refused.
        """
        for name in self.files:
            if any(char in name for char in "\n\r\\"):
                raise ConfigureFailed(f"the file name {name!r} holds a newline or a backslash")
        return "".join(
            f"{hashlib.sha256(content).hexdigest()}  {name}\n"
            for name, (content, _) in sorted(self.files.items())
        )

    def pack(self) -> bytes:
        """The tree as a gzipped tar, the same bytes for the same content.

        It has no times: `upload` unpacks with the guest's own, since Nginx makes a file's ETag of
        its time and size.
        """
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
            folders = sorted({p.as_posix() for n in self.files for p in _parents(n)})
            for folder in folders:
                info = tarfile.TarInfo(folder)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            for name, (content, executable) in sorted(self.files.items()):
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(content), 0o755 if executable else 0o644
                tar.addfile(info, io.BytesIO(content))
        return gzip.compress(raw.getvalue(), mtime=0)


def _parents(name: str) -> Iterable[PurePosixPath]:
    return (path for path in PurePosixPath(name).parents if path.name)


def upload(tree: Tree, base: str, digest: str, *, mode: str = "755") -> bool:
    """Makes `<base>/releases/<digest>` hold exactly the tree; `current` isn't touched.

    Returns whether anything had to be done. `mode` is that of `<base>/releases`. Must be called
    in a deploy function.
    """
    from pyinfra.context import host
    from pyinfra.facts.server import Command
    from pyinfra.operations import files, server

    target = staging.release(base, digest)
    check = (
        f"cd {shlex.quote(target)} 2>/dev/null && "
        "sha256sum --check --status --strict ../$(basename $PWD).sha256 2>/dev/null "
        "&& echo intact || echo missing"
    )
    if host.get_fact(Command, command=check) == "intact":
        return False
    files.directory(name=f"Make {base}/releases", path=f"{base}/releases", mode=mode)
    archive = staging.archive(base, digest)
    files.put(
        name=f"Upload {len(tree.files)} files for {base}",
        src=io.BytesIO(tree.pack()),
        dest=archive,
        mode="600",
    )
    files.put(
        name=f"Upload the checksums for {base}",
        src=io.StringIO(tree.manifest()),
        dest=f"{target}.sha256",
        mode="600",
    )
    new = f"{target}{staging.NEW}"
    server.shell(
        name=f"Unpack release {digest} in {base}",
        commands=[
            f"rm -rf {shlex.quote(new)} && mkdir -p {shlex.quote(new)}"
            f" && tar -xzf {shlex.quote(archive)} -C {shlex.quote(new)} --no-same-owner --touch"
            f" && rm -rf {shlex.quote(target)} && mv -T {shlex.quote(new)} {shlex.quote(target)}"
            f" && rm -f {shlex.quote(archive)}"
        ],
    )
    return True


def current(base: str) -> str | None:
    """The hash that `<base>/current` points to, or None. Must be called in a deploy function."""
    from pyinfra.context import host
    from pyinfra.facts.server import Command

    said = host.get_fact(
        Command, command=f"readlink {shlex.quote(f'{base}/current')} 2>/dev/null || true"
    )
    return said.rpartition("/")[2] if said else None


def switch_script(base: str, digest: str) -> str:
    """Shell words that point `current` to a release in one step (rename(2) is atomic)."""
    link = shlex.quote(f"{base}/current")
    return f"ln -sfn {shlex.quote(f'releases/{digest}')} {link}.new && mv -T {link}.new {link}"


def prune_script(base: str, keep: int) -> str:
    """Shell words that remove all but the `keep` newest releases and never the current one."""
    return (
        f'cd {shlex.quote(f"{base}/releases")} && now=$(basename "$(readlink ../current)") && '
        f"ls -1t | grep -Ex '[0-9a-f]+' | grep -vx \"$now\" | tail -n +{max(keep, 1)} | "
        'while read -r old; do rm -rf "$old" "$old.sha256"; done'
    )
