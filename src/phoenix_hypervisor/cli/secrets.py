"""`phoenix secrets`: passwords and tokens, encrypted in the folder, never in its files."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.errors import PhoenixError, UsageError

secrets = typer.Typer(
    help="Keeps passwords and tokens out of the files: sets, lists, edits and renews them.",
    epilog="Examples: phoenix secrets set DB_PASSWORD · phoenix secrets list",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[str, typer.Argument(help='The secret\'s name, as in {"secret": "NAME"}.')]
Local = Annotated[
    bool,
    typer.Option(
        "--local", help="Only for this machine: in .phoenix-secrets.env, which is not in Git."
    ),
]
_RANDOM_CHARS = 40


@secrets.command("init", epilog="Example: phoenix secrets init")
def init(ctx: typer.Context) -> None:
    """Makes a key, where you have none, and adds it to those who may read the secrets."""
    from phoenix_hypervisor.cli import _secrets

    context: Context = ctx.obj
    done = _secrets.store(context).start(_secrets.whose())
    ignored, trouble = [], None
    try:
        ignored = _secrets.ignore(_secrets.folder(context))
    except PhoenixError as error:
        trouble = error
    where = str(done.path) if done.path else "the environment"
    if context.json:
        shown = {"key": done.public, "path": where, "made": done.made, "added": done.added}
        context.document({"format": 1, **shown, "readable": done.readable})
    if done.made:
        context.print(f"made a key: {escape(where)} — keep a copy of it in a safe place")
    else:
        context.print(f"your key: {escape(where)}")
    state = "added to" if done.added else "is already in"
    context.print(f"its public part {state} secrets.recipients: {done.public}")
    if ignored:
        context.print(f"added to .gitignore: {escape(', '.join(ignored))}")
    if trouble:
        context.say(f"[yellow]note:[/] {escape(trouble.message)}; {escape(trouble.hint)}")
    if not done.readable:
        context.say(
            "[yellow]not yet for you:[/] the secrets are not encrypted for this key. Commit "
            "secrets.recipients; somebody who can read them runs "
            "`phoenix secrets rotate --keep-key`"
        )


@secrets.command(
    "set",
    epilog="Examples: phoenix secrets set DB_PASSWORD · "
    "phoenix secrets set TLS_KEY --file key.pem · pass show db | phoenix secrets set DB_PASSWORD",
)
def set_(
    ctx: typer.Context,
    name: Name,
    value: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Take the content of this file, as it is.")
    ] = None,
    local: Local = False,
) -> None:
    """Sets a secret: from a file, from standard input (without its last newline), or typed in."""
    from phoenix_hypervisor.cli import _secrets
    from phoenix_hypervisor.config.secrets import files

    if value:
        raise UsageError(
            "a secret's value is never an argument: others can see it there",
            hint="type it when asked, pipe it in, or name a file with --file",
        )
    context: Context = ctx.obj
    files.check_name(name)
    text = _secrets.content(file) if file else _secrets.typed(name)
    files.check_value(text)
    _secrets.put(context, {name: text}, local=local)
    _secrets.tell_written(context, [name], local=local)
    if len(text) < _secrets.SHORT:
        context.say("[yellow]note:[/] so short a secret is easily guessed, and hidden badly")


@secrets.command("unset", epilog="Example: phoenix secrets unset OLD_TOKEN")
def unset(ctx: typer.Context, name: Name, local: Local = False) -> None:
    """Removes a secret."""
    from phoenix_hypervisor.cli import _secrets

    context: Context = ctx.obj
    _secrets.remove(context, name, local=local)
    if context.json:
        context.document({"format": 1, "name": name, "removed": True})
    context.print(f"removed {escape(name)}")


@secrets.command("list", epilog="Examples: phoenix secrets list · phoenix --json secrets list")
def list_(ctx: typer.Context) -> None:
    """Shows which secrets there are and which are missing, where each comes from, and who uses it.

    Never a value.
    """
    from phoenix_hypervisor.cli import _secrets_list

    raise typer.Exit(_secrets_list.show(ctx.obj))


@secrets.command("show", epilog="Example: phoenix secrets show DB_PASSWORD")
def show(
    ctx: typer.Context,
    name: Name,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Also where the output is no terminal.")
    ] = False,
) -> None:
    """Shows one secret's value, on a terminal."""
    from phoenix_hypervisor.cli import _secrets

    context: Context = ctx.obj
    if not reveal and not sys.stdout.isatty():
        raise UsageError(
            "a secret is shown on a terminal only", hint="--reveal shows it here all the same"
        )
    value = _secrets.known(context).lookup(name)
    if context.json:
        context.document({"format": 1, "name": name, "value": value})
    else:
        sys.stdout.write(value + "\n" * (not value.endswith("\n")))


@secrets.command("edit", epilog="Example: EDITOR=nano phoenix secrets edit")
def edit(ctx: typer.Context) -> None:
    """Opens all encrypted secrets in $VISUAL or $EDITOR, as JSON; nothing of it stays on disk."""
    from phoenix_hypervisor.cli import _secrets_edit

    raise typer.Exit(_secrets_edit.edit(ctx.obj))


@secrets.command(
    "rotate",
    epilog="Examples: phoenix secrets rotate DB_PASSWORD · "
    "phoenix secrets rotate · phoenix secrets rotate --keep-key",
)
def rotate(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Secrets that get a new random value.")
    ] = None,
    keep_key: Annotated[
        bool,
        typer.Option(
            "--keep-key", help="Only encrypt anew, for those who are in secrets.recipients now."
        ),
    ] = False,
    local: Local = False,
) -> None:
    """Gives secrets a new random value; without names gives you a new key, and encrypts anew."""
    from phoenix_hypervisor.cli import _secrets

    context: Context = ctx.obj
    if names and keep_key:
        raise UsageError("--keep-key is for rotating without names")
    if names:
        _rotate_values(context, names, local=local)
        return
    if local:
        raise UsageError("--local is for rotating secrets by their names")
    store = _secrets.store(context)
    told: dict[str, Any] = {}
    if keep_key:
        store.renew_recipients()
    else:
        public, path = store.renew_key()
        told = {"key": public, "path": str(path)}
        context.print(f"a new key: {public}, in {escape(str(path))}; the old one stays behind it")
    readers = store.recipients()
    if context.json:
        names = [one.name or one.key for one in readers]
        context.document({"format": 1, **told, "recipients": names})
    context.print(f"encrypted for: {escape(', '.join(one.label for one in readers))}")
    context.print("commit secrets.json.age and secrets.recipients")
    context.say(
        "[yellow]note:[/] whoever could read the file before still finds the old values in Git: "
        "where that matters, `phoenix secrets rotate NAME`"
    )


def _rotate_values(context: Context, names: list[str], *, local: bool) -> None:
    import secrets as random
    import string

    from phoenix_hypervisor.app.secret_uses import uses
    from phoenix_hypervisor.cli import _secrets

    used, known = uses(context.folder, context.on), _secrets.known(context)
    for name in names:
        if known.sources(name) == ["environment"]:
            raise UsageError(
                f"{name} comes from the environment, which is not Phoenix's to change",
                hint="set it where the variable is set",
            )
        _secrets.check_there(context, name, local=local)
        value = (known.local() if local else known.sealed())[name]
        why = used.no_random(name)
        if not why and "\n" in value:
            why = "its value has several lines, as a key or a certificate"
        if why:
            hint = "mend the files first: phoenix validate"
            if not used.unread:
                hint = f"make its new value where it belongs, then: phoenix secrets set {name}"
            raise UsageError(f"{name} gets no random value: {why}", hint=hint)
    letters = string.ascii_letters + string.digits
    values = {name: "".join(random.choice(letters) for _ in range(_RANDOM_CHARS)) for name in names}
    _secrets.put(context, values, local=local)
    _secrets.tell_written(context, list(values), local=local)
