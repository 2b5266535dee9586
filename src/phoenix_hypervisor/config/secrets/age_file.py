"""`secrets.json.age`: the folder's secrets, encrypted, so that they can be in Git.

It is an age file (C2SP age specification) in its text form; inside is one JSON object of names and
values, so that `age --decrypt -i KEY secrets.json.age` shows the same.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phoenix_hypervisor.config.document import Document
from phoenix_hypervisor.config.secrets import files
from phoenix_hypervisor.config.secrets.keys import VARIABLE, Key
from phoenix_hypervisor.config.secrets.recipients import Recipient
from phoenix_hypervisor.model.errors import SecretsUnreadable
from phoenix_hypervisor.model.problem import Problem

FILE = "secrets.json.age"

_BINARY = b"age-encryption.org/"
_QUOTES_NOTHING = re.compile(
    r"a (comma|colon) is missing after (this value|the key)|one comma too many"
    r"|a (key|value) is missing here|this text is not closed on its line|JSON has no comments"
    r"|text must stand in double quotes|a key must be text in double quotes|the file is empty"
    r"|the comma before `[\]}]` is one too many|there is more text after the end of the document"
    r"|the file ends, but the `[\[{]` of line [0-9]+ is not closed"
    r"|a (comma|colon) must stand here, not `[;=]`"
    r"|`[\]}]` stands where the `[\[{]` of line [0-9]+ must be closed"
)
_ARMORED = b"-----BEGIN AGE ENCRYPTED FILE-----"


def text_of(path: Path, keys: Sequence[Key]) -> str:
    """What is inside. Raises `SecretsUnreadable`: no key, the wrong ones, or damage."""
    from pyrage import DecryptError, decrypt

    data = files.content(path).lstrip()
    if not data.startswith((_ARMORED, _BINARY)):
        raise SecretsUnreadable(
            f"{path} is not a file of age", hint=f"take it back from Git: git log -- {path.name}"
        )
    if not keys:
        raise SecretsUnreadable(
            f"there is no key for {path}",
            hint=f"put your key where ${VARIABLE} says, or make one: `phoenix secrets init`",
        )
    try:
        return bytes(decrypt(data, [key.identity for key in keys])).decode("utf-8", "replace")
    except DecryptError as error:
        tried = ", ".join(dict.fromkeys(str(key.path or f"${VARIABLE}") for key in keys))
        raise SecretsUnreadable(
            f"{path} can't be opened with {tried}: {error}",
            hint="if no key matches, somebody who has one runs `phoenix secrets rotate --keep-key` "
            f"when yours is in secrets.recipients; a damaged file is in Git: git log -- {FILE}",
        ) from None


def read(path: Path, keys: Sequence[Key]) -> dict[str, str]:
    """The secrets in the file. Raises what `text_of` raises, also where they are no secrets."""
    values, problems = parse(text_of(path, keys))
    if problems:
        first = problems[0]
        raise SecretsUnreadable(
            f"what is in {path} is not right: line {first.line}, column {first.column}: "
            f"{first.message}",
            hint="`phoenix secrets edit` mends it",
        )
    return values


def written(values: Mapping[str, str]) -> str:
    """The text that is encrypted."""
    return json.dumps(dict(values), indent=1, ensure_ascii=False) + "\n"


def sealed(
    values: Mapping[str, str], recipients: Sequence[Recipient], keys: Sequence[Key]
) -> bytes:
    """The secrets, encrypted for these, if one of the `keys` can open them again.

    Raises `SecretsUnreadable` where none could, or where there is nobody to encrypt for.
    """
    from pyrage import DecryptError, decrypt, encrypt

    if not recipients:
        raise SecretsUnreadable(
            "there is nobody to encrypt the secrets for: secrets.recipients holds no key",
            hint="`phoenix secrets init` puts yours there",
        )
    data = encrypt(written(values).encode(), [one.public for one in recipients], armored=True)
    try:
        decrypt(data, [key.identity for key in keys])
    except DecryptError:
        raise SecretsUnreadable(
            "you could not read the secrets any more: no key of yours is in secrets.recipients",
            hint="`phoenix secrets init` puts yours there",
        ) from None
    return bytes(data)


def write(
    path: Path, values: Mapping[str, str], recipients: Sequence[Recipient], keys: Sequence[Key]
) -> None:
    """Writes the file anew. Raises what `sealed` raises, and `PhoenixError` for a full disk."""
    files.replace(path, sealed(values, recipients, keys), 0o644)


def readers(path: Path) -> int:
    """For how many keys the file is encrypted, as its head says (0: the head can't be read)."""
    data = files.content(path).strip()
    if data.startswith(_ARMORED):
        lines = [line.strip() for line in data.splitlines()[1:-1]]
        try:
            data = base64.b64decode(b"".join(lines))
        except binascii.Error:
            return 0
    head = data.partition(b"\n---")[0].splitlines()
    return sum(line.startswith((b"-> X25519 ", b"-> ssh-")) for line in head)


def parse(text: str, where: str = FILE) -> tuple[dict[str, str], list[Problem]]:
    """The secrets in a text, and what is wrong with it: lines and names, never a value.

    `where` is what problems call the text.
    """
    document = Document(where)
    document.take(text)
    problems = [one for one in document.problems if one.severity == "error"]
    if problems:
        return {}, [_without_values(problems[0])]
    values: dict[str, str] = {}
    for name, value in document.value.items():
        message = _wrong(name, value)
        if message:
            problems.append(document.problem("error", (name,), message, key=True))
        else:
            values[name] = value
    return values, problems


def _wrong(name: str, value: Any) -> str:
    if not files.is_name(name):
        return "a name is of letters, digits, _ . and -, and begins with no digit"
    if not isinstance(value, str):
        return f"the value of {name} must be a text, in double quotes"
    if not value:
        return f"the value of {name} is empty"
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        return f"the value of {name} holds what is not text"
    return ""


def _without_values(problem: Problem) -> Problem:
    """The reader's messages may quote the text, of which each part may be secret."""
    message = "this is not JSON"
    if _QUOTES_NOTHING.fullmatch(problem.message):
        message = f"{message}: {problem.message}"
    return Problem("error", problem.file, problem.line, problem.column, "", message, "")
