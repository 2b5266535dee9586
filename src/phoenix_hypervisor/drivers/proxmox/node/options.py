"""The words of `hypervisor.ssh`: the way to a root shell on a node."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path

from phoenix_hypervisor.drivers.shell_node import SHELL_VARIABLE
from phoenix_hypervisor.model.desired import Json
from phoenix_hypervisor.model.errors import ConfigError

_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Options:
    """How a node is reached. What is None is left to the user's own SSH configuration.

    `host` is for the node that `hypervisor` names; `hosts` maps other nodes of its cluster to
    their addresses. `command` starts a POSIX shell as root on the node that reads its standard
    input; `{node}` and `{host}` in it become the node's name and address.
    """

    host: str | None = None
    hosts: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    user: str = "root"
    identity_file: Path | None = None
    known_hosts: Path | None = None
    config_file: Path | None = None
    command: str | None = None


def read(words: Mapping[str, Json], environ: Mapping[str, str], folder: Path) -> Options:
    """Reads `hypervisor.ssh`. Relative paths are of the folder, `~` is the user's home.

    `PHOENIX_NODE_SHELL` comes before `command`. Raises `ConfigError` that names the word.
    """
    known = {each.name for each in fields(Options)}
    for word in words:
        if word not in known and not word.startswith(("x-", "_")):
            near = get_close_matches(word, known, 1)
            more = f"; did you mean “{near[0]}”?" if near else ""
            raise ConfigError(f"hypervisor.ssh: the word “{word}” is not known{more}")
    command = environ.get(SHELL_VARIABLE, "").strip() or _text(words, "command")
    if command:
        _check_command(command)
    return Options(
        host=_text(words, "host"),
        hosts=_hosts(words),
        port=_port(words),
        user=_text(words, "user") or "root",
        identity_file=_path(words, "identity_file", folder),
        known_hosts=_path(words, "known_hosts", folder),
        config_file=_path(words, "config_file", folder),
        command=command,
    )


def _check_command(command: str) -> None:
    try:
        shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"the command for a root shell on the node: {error}: {command}") from None


def _text(words: Mapping[str, Json], word: str) -> str | None:
    value = words.get(word)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigError(f"hypervisor.ssh.{word} is a text, not {value!r}")
    if value.startswith("-"):  # `ssh` would take it for an option
        raise ConfigError(f"hypervisor.ssh.{word} does not begin with a dash: {value}")
    return value


def _path(words: Mapping[str, Json], word: str, folder: Path) -> Path | None:
    value = _text(words, word)
    return None if value is None else folder / Path(value).expanduser()


def _port(words: Mapping[str, Json]) -> int | None:
    value = words.get("port")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LAST_PORT:
        raise ConfigError(f"hypervisor.ssh.port is a number from 1 to {_LAST_PORT}, not {value!r}")
    return value


def _hosts(words: Mapping[str, Json]) -> dict[str, str]:
    value = words.get("hosts")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError("hypervisor.ssh.hosts maps nodes to addresses, as {“pve2”: “10.0.0.2”}")
    return {node: _text(value, node) or node for node in value}
