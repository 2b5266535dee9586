"""Turns what an operation would do into differences that people can read."""

import gzip
import hashlib
import io
import shlex
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from phoenix_hypervisor.configure import edits, textdiff
from phoenix_hypervisor.configure.commands import Ask, Meaning, meanings
from phoenix_hypervisor.configure.looking import Operation, Upload
from phoenix_hypervisor.model import staging
from phoenix_hypervisor.model.drift import Difference
from phoenix_hypervisor.model.errors import NotFound, PhoenixError
from phoenix_hypervisor.shell import Shell
from phoenix_hypervisor.shell.answer import text

_READ_BYTES = 256 << 10
_MOST_FILES = 40
_COMMAND_CHARS = 500
_OTHERS_READ = 0o004
_ASKS: dict[Ask, str] = {
    "mode": "stat -L -c %a -- {0} 2>/dev/null",
    "owner": "stat -L -c %U:%G -- {0} 2>/dev/null",
    "link": "readlink -- {0} 2>/dev/null",
    "version": "dpkg-query -W -f '${{db:Status-Abbrev}} ${{Version}}' -- {0} 2>/dev/null",
}
_TREE = (
    "cd {0} 2>/dev/null && find . \\( -name .venv -o -name __pycache__ \\) -prune -o -type f"
    " -exec sha256sum {{}} +"
)


@dataclass(frozen=True, slots=True)
class _Stat:
    """A file as it is: bytes, permission bits, owner and group."""

    size: int
    mode: int
    owner: str


class Reader:
    """Reads the differences of one guest's features. `found` are those of the current one."""

    def __init__(
        self, shell: Shell, remaining: Callable[[], float], redact: Callable[[str], str]
    ) -> None:
        self._shell = shell
        self._remaining = remaining
        self._redact = redact
        self._release = ""
        self.found: list[Difference] = []

    def begin(self) -> None:
        """Another feature begins."""
        self.found, self._release = [], ""

    def hear(self, operation: Operation) -> None:
        """Takes what an operation would do."""
        uploads = {staging.place(c.path) for c in operation.commands if isinstance(c, Upload)}
        told: list[Difference] = []
        for command in operation.commands:
            if isinstance(command, Upload):
                told += self._upload(command)
            else:
                told += self._command(command, operation, uploads)
        linked = {one.what for one in told if one.kind == "link"}
        for one in told:
            if one.kind != "file" or one.what not in linked:  # removed, to be made as a link
                self.found.append(replace(one, operation=operation.name).without(self._hide))

    def _hide(self, words: str) -> str:
        return textdiff.mask(self._redact(words))

    def _upload(self, upload: Upload) -> Iterator[Difference]:
        release = staging.unpacked(upload.path)
        if release is not None:
            self._release = staging.release(*release)
            yield from self._tree(*release, upload.content)
        elif not (self._release and upload.path.startswith(self._release)):
            path = staging.place(upload.path)
            yield from self._file(path, upload.content, self._stat(path))

    def _file(
        self, path: str, after: bytes, stat: _Stat | None, *, private: bool = False
    ) -> Iterator[Difference]:
        small = max(stat.size if stat else 0, len(after)) <= _READ_BYTES
        before = (self._read(path) if stat else b"") if small else None
        if before is not None and stat is not None and before == after:
            return  # only its mode or owner differ, which are commands of their own
        was = _size(stat.size) if stat else "missing"
        if before is None or not (textdiff.is_text(before) and textdiff.is_text(after)):
            yield Difference("file", path, was, f"{_size(len(after))}, no text")
            return
        private = private or (stat is not None and _is_private(stat))
        told = self._diff(text(before), text(after), private=private)
        if stat is None:
            yield Difference("file", path, was, "made", diff=told)
        elif told:
            yield Difference("file", path, diff=told)
        else:
            yield Difference("file", path, "", "differs in secrets or the ends of lines only")

    def _diff(self, before: str, after: str, *, private: bool) -> str:
        secret = self._redact(after) != after or self._redact(before) != before
        return textdiff.diff(before, after, redact=self._redact, private=private or secret)

    def _tree(self, base: str, digest: str, packed: bytes) -> Iterator[Difference]:
        """A release of files against the one that counts now."""
        current = f"{base}/current"
        new = dict(_unpack(packed))
        old = self._sums(current)
        stat = self._stat(f"{base}/releases")
        private = stat is not None and _is_private(stat)
        paths = sorted({*new, *old})
        differing = [p for p in paths if p not in new or old.get(p) != _sum(new[p])]
        for path in differing[:_MOST_FILES]:
            whole = f"{current}/{path}"
            if path not in new:
                yield Difference("file", whole, "there", "removed")
            else:
                seen = self._stat(whole) if path in old else None
                yield from self._file(whole, new[path], seen, private=private)
        if len(differing) > _MOST_FILES:
            more = f"{len(differing) - _MOST_FILES} more files"
            yield Difference("folder", current, "", f"{more} differ")
        if not differing:
            yield Difference("folder", current, "", f"release {digest}, the same files")

    def _sums(self, folder: str) -> dict[str, str]:
        answer = self._run(_TREE.format(shlex.quote(f"{folder}/")))
        lines = (line.partition("  ./") for line in answer.splitlines())
        return {name: total for total, _, name in lines if name}

    def _command(
        self, command: str, operation: Operation, uploads: set[str]
    ) -> Iterator[Difference]:
        if self._release and self._release in command:
            return  # unpacks the release, whose files were told
        edit = self._edit(operation) or self._written(command, operation)
        if edit is not None:
            yield edit
            return
        known = meanings(command)
        for meaning in known:
            told = self._meaning(meaning, uploads)
            if told is not None:
                yield told
        if not known:
            yield self._other(command, operation)

    def _edit(self, operation: Operation) -> Difference | None:
        path = edits.path_of(operation.function, operation.arguments)
        stat = self._stat(path) if path else None
        if path is None or stat is None or stat.size > _READ_BYTES:
            return None
        before = text(self._read(path) or b"")
        after = edits.edited(operation.function, operation.arguments, before)
        if after is None or after == before:
            return None
        return Difference("file", path, diff=self._diff(before, after, private=_is_private(stat)))

    def _written(self, command: str, operation: Operation) -> Difference | None:
        """A file that a script writes from what it is given, told as a diff."""
        path = edits.keys_written(command) if operation.stdin else None
        if path is None:
            return None
        stat = self._stat(path)
        before = text(self._read(path) or b"") if stat else ""
        after = edits.keys_after(command, operation.stdin, before)
        # Keys that may log in are no secrets, whoever may read the file.
        told = textdiff.diff(before, after, redact=self._redact, private=False)
        if not told:
            return None
        return Difference("file", path, "" if stat else "missing", "" if stat else "made", told)

    def _meaning(self, meaning: Meaning, uploads: set[str]) -> Difference | None:
        what = staging.place(meaning.what)
        before = self._before(meaning.ask, what) or meaning.before
        after = meaning.after
        if meaning.ask in ("mode", "owner"):
            if not before:
                return None  # what was told as missing gets it when it is made
            if after.startswith(":"):
                before = f":{before.partition(':')[2]}"
            elif meaning.ask == "owner" and ":" not in after:
                before = before.partition(":")[0]
        if before == after:
            return None  # a link may be set again to where it leads
        if meaning.kind == "folder" and any(path.startswith(f"{what}/") for path in uploads):
            return None
        follows = meaning.follows and bool(self.found or meaning.kind == "command")
        return Difference(meaning.kind, what, before, after, follows=follows)

    def _before(self, ask: Ask, what: str) -> str:
        if ask not in _ASKS:
            return ""
        said = self._run(_ASKS[ask].format(shlex.quote(what))).strip()
        if ask == "version":
            installed = said.startswith("ii ")
            return said.partition(" ")[2].strip() if installed else "not installed"
        if ask == "link":
            return said or "missing"
        return said

    def _other(self, command: str, operation: Operation) -> Difference:
        if operation.stdin and "psql" in command:
            lines = [f"+ {line}" for line in self._redact(operation.stdin).splitlines() if line]
            return Difference("database", operation.name, diff="\n".join(lines))
        follows = bool(self.found)
        shown = "" if follows else self._redact(command).strip()
        if len(shown) > _COMMAND_CHARS:
            shown = f"{shown[:_COMMAND_CHARS]} …"
        return Difference("command", operation.name, after=shown, follows=follows)

    def _stat(self, path: str) -> _Stat | None:
        said = self._run(f"stat -L -c '%s %a %U:%G' -- {shlex.quote(path)} 2>/dev/null").split()
        return _Stat(int(said[0]), int(said[1], 8), said[2]) if said else None

    def _read(self, path: str) -> bytes | None:
        try:
            return self._shell.get(path, timeout_s=self._remaining())
        except NotFound:
            return None
        except PhoenixError as error:
            if type(error) is not PhoenixError:
                raise  # the way in is lost, or the time is over
            return None

    def _run(self, script: str) -> str:
        return text(self._shell.run(script, timeout_s=self._remaining()).out)


def _is_private(stat: _Stat) -> bool:
    return not stat.mode & _OTHERS_READ


def _size(count: int) -> str:
    return f"{count} bytes" if count < 10_000 else f"{count // 1000} kB"  # noqa: PLR2004


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _unpack(packed: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                yield member.name, file.read()
