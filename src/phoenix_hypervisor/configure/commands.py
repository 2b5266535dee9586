"""Tells from a command what it would change: a package, a unit, a user, a mode, a link. Pure.

Only commands of pyinfra's operations and of our features' helpers are known; others stay commands.
"""

import re
import shlex
from dataclasses import dataclass
from typing import Literal

from phoenix_hypervisor.model.drift import DifferenceKind

Ask = Literal["nothing", "mode", "owner", "link", "version", "active"]

_SYSTEMCTL = {
    "start": ("not running", "running"),
    "stop": ("running", "stopped"),
    "enable": ("not started at boot", "started at boot"),
    "disable": ("started at boot", "not started at boot"),
    "restart": ("running", "restarted"),
    "reload": ("running", "reloaded"),
}
_FOLLOWING = ("restart", "reload")
_INDEX = re.compile(r"apt-get\b.*\bupdate\b")
_LINK = re.compile(
    r"ln -sfn (?P<target>'[^']*'|\S+) (?P<new>'[^']*\.new'|'[^']*'\.new|\S+\.new)"
    r" && mv -T (?P=new) (?P<path>'[^']*'|\S+)"
)
_OPTION_WITH_VALUE = ("-o", "-t", "-c")
_USER_WORDS = ("useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a command is about. `ask` is what the guest is asked to tell `before`."""

    kind: DifferenceKind
    what: str
    before: str = ""
    after: str = ""
    ask: Ask = "nothing"
    follows: bool = False


def meanings(command: str) -> list[Meaning]:
    """What the command would change, one by one; empty where that is not known."""
    links = [
        Meaning("link", _word(found["path"]), after=_word(found["target"]), ask="link")
        for found in _LINK.finditer(command)
    ]
    if links:
        return links
    if _INDEX.search(command) and "install" not in command:
        return [Meaning("command", "the package index", after="fetched", follows=True)]
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    while words and re.fullmatch(r"[A-Za-z_]\w*=.*", words[0]):
        words = words[1:]  # its environment
    if not words or any(word in ("&&", "||", ";", "|") or "\n" in word for word in words):
        return []
    return _simple(words[0], words[1:])


def _simple(program: str, words: list[str]) -> list[Meaning]:
    plain = _without_options(words)
    match program, plain:
        case "apt-get", ["install", *packages]:
            return [_package(one) for one in packages]
        case "apt-get", ["remove" | "purge", *packages]:
            return [Meaning("package", one, "installed", "removed") for one in packages]
        case "systemctl", ["daemon-reload"]:
            return [Meaning("command", "systemd", after="reads its units again", follows=True)]
        case "systemctl", [verb, unit] if verb in _SYSTEMCTL:
            before, after = _SYSTEMCTL[verb]
            return [Meaning("service", unit, before, after, follows=verb in _FOLLOWING)]
    if program in _USER_WORDS and plain:
        before = "missing" if program.endswith("add") else "there"
        after = "removed" if program.endswith("del") else shlex.join([program, *words[:-1]])
        return [Meaning("user", words[-1], before, after)]
    return _on_path(program, plain)


def _on_path(program: str, words: list[str]) -> list[Meaning]:
    match program, words:
        case "chmod", [mode, path]:
            return [Meaning("mode", path, after=mode.lstrip("0") or "0", ask="mode")]
        case "chown", [owner, path]:
            return [Meaning("mode", path, after=owner, ask="owner")]
        case "chgrp", [group, path]:
            return [Meaning("mode", path, after=f":{group}", ask="owner")]
        case "mkdir", [path]:
            return [Meaning("folder", path, "missing", "made")]
        case "rm", [path]:
            return [Meaning("file", path, "there", "removed")]
        case "ln", [target, path]:
            return [Meaning("link", path, after=target, ask="link")]
    return []


def _package(word: str) -> Meaning:
    name, _, version = word.partition("=")
    return Meaning("package", name, after=version or "installed", ask="version")


def _without_options(words: list[str]) -> list[str]:
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _OPTION_WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            found.append(word)
    return found


def _word(quoted: str) -> str:
    return shlex.split(quoted)[0]
