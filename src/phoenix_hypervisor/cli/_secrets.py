"""What the commands of `phoenix secrets` share: reading values, writing them, telling of it."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer
from rich.markup import escape

from phoenix_hypervisor.app.secret_uses import guests_of, uses
from phoenix_hypervisor.cli import _hidden
from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.config.secrets import Secrets, age_file, env_file
from phoenix_hypervisor.config.secrets.store import Store
from phoenix_hypervisor.history import origin
from phoenix_hypervisor.model.errors import PhoenixError, SecretMissing, UsageError

SHORT = 8
_IGNORED = {f"{env_file.FILE}*": f"{env_file.FILE}.1.new", ".phoenix/": ".phoenix/"}
"""Lines of .gitignore, and a path that each is to cover."""
_GIT_S = 10.0


def folder(context: Context) -> Path:
    """The folder. Raises `UsageError` where there is none."""
    if not context.folder.is_dir():
        if context.folder.exists():
            raise UsageError(
                f"{context.folder} is a file, not a folder",
                hint=f"write --dir {context.folder.absolute().parent}",
            )
        raise UsageError(
            f"there is no folder {context.folder}", hint="name one with --dir, or `phoenix init`"
        )
    return context.folder.absolute()


def known(context: Context) -> Secrets:
    """The folder's secrets; from now on no core of this process is dumped."""
    _hidden.no_core()
    return Secrets(folder(context), os.environ, context.redactor)


def store(context: Context) -> Store:
    """The folder's encrypted secrets. Raises `UsageError` where there is no folder."""
    known(context)  # so that the person's own key is in no text
    return Store(folder(context), os.environ)


def whose() -> str:
    """Whose key it is, for the comment beside it."""
    return f"{origin.user()}@{platform.node()}"


def content(path: Path) -> str:
    """A file's text, as it is. Raises `UsageError`."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(
            f"{path} is not text in UTF-8", hint="encode it, for example with base64"
        ) from None


def typed(name: str) -> str:
    """What is typed in, twice and not shown; else standard input without its last newline."""
    if sys.stdin.isatty():
        value: str = typer.prompt(f"value of {name}", hide_input=True, confirmation_prompt=True)
        return value
    try:
        text = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise UsageError(
            "standard input is not text in UTF-8", hint="encode it, for example with base64"
        ) from None
    return text.removesuffix("\n").removesuffix("\r")


def put(context: Context, values: Mapping[str, str], *, local: bool) -> None:
    """Writes secrets, as one change."""
    path = folder(context)
    for value in values.values():
        context.redactor.add(value)
    if local:
        env_file.change(path / env_file.FILE, values)
        warn_if_in_git(context, path)
        return
    sealed = store(context)
    if not sealed.there:
        raise UsageError(
            f"{path} keeps no encrypted secrets yet",
            hint="`phoenix secrets init` prepares it; or keep this one on this machine alone: "
            "--local",
        )
    sealed.change(lambda there: there.update(values))


def check_there(context: Context, name: str, *, local: bool) -> None:
    """Raises `SecretMissing` where this file holds no secret of this name."""
    there = known(context)
    if name in (there.local() if local else there.sealed()):
        return
    hint = f"phoenix secrets list; phoenix secrets set {name}"
    if name in (there.sealed() if local else there.local()):
        hint = "it is in the other file: " + ("leave --local out" if local else "add --local")
    raise SecretMissing(f"there is no secret {name} in {_file(local=local)}", hint=hint)


def remove(context: Context, name: str, *, local: bool) -> None:
    """Removes one secret. Raises `SecretMissing` where it isn't."""
    check_there(context, name, local=local)
    if local:
        env_file.change(folder(context) / env_file.FILE, {name: None})
    else:
        store(context).change(lambda there: _forget(there, name))


def _forget(values: dict[str, str], name: str) -> None:
    values.pop(name, None)


def _file(*, local: bool) -> str:
    return env_file.FILE if local else age_file.FILE


def tell_written(context: Context, names: Sequence[str], *, local: bool) -> None:
    """Says what was written, and which guests the next apply configures anew."""
    found = uses(context.folder, context.on)
    guests = guests_of(found, names)
    if context.json:
        context.document({"format": 1, "names": list(names), "local": local, "guests": guests})
        return
    context.print(f"wrote {escape(', '.join(names))} into {_file(local=local)}")
    if guests:
        context.print(f"the next apply configures again: {escape(', '.join(guests))}")
    elif not found.sure:
        context.print("which guests use it is not known: the files have errors")
    elif any(found.places.get(name) for name in names):
        context.print("no guest is configured again by that")
    else:
        example = f'{{"secret": "{names[0]}"}}'
        context.print(f"nothing uses it yet; write {escape(example)} where it is wanted")
    for name in names:
        if os.environ.get(name):
            context.say(f"[yellow]note:[/] the environment variable {name} goes before it")
        elif not local and known(context).local().get(name):
            context.say(f"[yellow]note:[/] the one in {env_file.FILE} goes before it")


def ignore(path: Path) -> list[str]:
    """Adds what must not get into Git to the folder's .gitignore; gives what was added.

    Raises `PhoenixError` where that file can't be read or written.
    """
    missing = [line for line, one in _IGNORED.items() if _git(path, "check-ignore", "-q", one) != 0]
    file = path / ".gitignore"
    try:
        old = file.read_bytes() if file.exists() else b""
        missing = [line for line in missing if line.encode() not in old.splitlines()]
        if missing:
            lead = b"" if not old or old.endswith(b"\n") else b"\n"
            with file.open("ab") as opened:
                opened.write(lead + "".join(f"{line}\n" for line in missing).encode())
    except OSError as error:
        raise PhoenixError(
            f"{file} can't be written: {error.strerror}",
            hint=f"add these lines yourself: {', '.join(missing)}",
        ) from None
    return missing


def warn_if_in_git(context: Context, path: Path) -> None:
    """Says so where Git has, or would take, the file of plain secrets."""
    if not (path / env_file.FILE).exists():
        return
    if _git(path, "ls-files", "--error-unmatch", env_file.FILE) == 0:
        context.say(
            f"[bold red]in Git:[/] {env_file.FILE} is committed, so its secrets are known to "
            f"all who have the repository: `git rm --cached {env_file.FILE}`, and new values"
        )
    elif _git(path, "check-ignore", "-q", env_file.FILE) == 1:
        context.say(
            f"[yellow]not ignored:[/] Git would take {env_file.FILE}; add it to .gitignore "
            "(`phoenix secrets init` does)"
        )


def _git(path: Path, *words: str) -> int | None:
    """Git's exit status; None where there is no Git. 128: not in a repository."""
    try:
        return subprocess.run(
            ["git", "-C", str(path), *words], capture_output=True, check=False, timeout=_GIT_S
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return None
