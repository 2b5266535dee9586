"""The options that say where a target is, for commands that work without a folder."""

from pathlib import Path
from typing import Annotated, Any

import typer

from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.secret import Secret

TOKEN = "PHOENIX_PVE_TOKEN"  # noqa: S105 - a variable's name
PASSWORD = "PHOENIX_PVE_PASSWORD"  # noqa: S105 - a variable's name

Endpoint = Annotated[
    str | None, typer.Option("--endpoint", help="The API's address, as `https://pve1:8006`.")
]
Node = Annotated[str | None, typer.Option("--node", help="The node's name.")]
Token = Annotated[
    str | None,
    typer.Option(
        "--token-id",
        help=f"The API token, as `user@realm!name`; its secret is read from ${TOKEN}.",
    ),
]
Username = Annotated[
    str | None,
    typer.Option("--username", help=f"A user instead; the password is read from ${PASSWORD}."),
]
CaFile = Annotated[Path | None, typer.Option("--ca-file", help="A file of certificates to trust.")]
Pin = Annotated[
    str | None,
    typer.Option("--fingerprint", help="The SHA-256 fingerprint of the API's certificate."),
]


def given(
    *,
    endpoint: str | None,
    node: str | None,
    token_id: str | None,
    username: str | None,
    ca_file: Path | None,
    fingerprint: str | None,
) -> dict[str, Any]:
    """Those that were given, as fields of `Target`. Raises `UsageError` for one that is none."""
    if token_id and username:
        raise UsageError("--token-id and --username are two ways to log in", hint="give one")
    told = {
        "endpoint": endpoint,
        "node": node,
        "token_id": token_id,
        "username": username,
        "fingerprint": fingerprint,
    }
    found: dict[str, Any] = {word: _read(word, text) for word, text in told.items() if text}
    if ca_file is not None:
        found["ca_file"] = str(ca_file.expanduser().absolute())
    # A login that is given replaces the folder's, whichever of both that was.
    if token_id:
        found |= {"token_secret": Secret(name=TOKEN), "username": None, "password": None}
    elif username:
        found |= {"password": Secret(name=PASSWORD), "token_id": None, "token_secret": None}
    return found


def _read(word: str, text: str) -> str:
    from pydantic import ValidationError

    from phoenix_hypervisor.config.words.hypervisor import Hypervisor

    try:
        found = Hypervisor.model_validate({word: text})
    except ValidationError as error:
        told = error.errors()[0]
        hint = str(told.get("ctx", {}).get("hint", ""))
        raise UsageError(f"--{word.replace('_', '-')}: {told['msg']}", hint=hint) from None
    return str(getattr(found, word))
