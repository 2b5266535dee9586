"""Makes Ollama have exactly the wanted models; runs in a guest, with Python's own library alone.

`ollama` copies this file into the guest. It speaks Ollama's documented API (docs/api.md of its
repository): `/api/version`, `/api/tags`, `/api/pull`, `/api/create`, `/api/delete`. Which models
came by it, and which it uses, is kept in a file beside them, one for each guest: what somebody
pulled by hand is never removed, nor what another guest that shares the folder uses. With `look` it
only tells what it would do, one line for each.
"""

import hashlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SILENCE_S = 900.0
"""Checking a large model's digest takes long, and nothing is told meanwhile."""
TRIES = 4
SPARE = 64 << 20
GB = 1e9
_GONE = 404
_OURS = ("from", "system", "template", "parameters", "messages", "license")
"""What of a wanted model goes to `/api/create` as it is."""


class Failed(Exception):
    """It can't be had; the message is for people."""


class _Broken(Exception):
    """A transfer broke off, which may be tried again."""


def full(name: str) -> str:
    """A model's name with its tag, as Ollama tells it: `latest` where none is given."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


class Api:
    """Ollama's API at `base`, such as `http://127.0.0.1:11434`."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def digests(self) -> dict[str, str]:
        """The models that are there, by full name, each with its digest."""
        told = self._ask("GET", "/api/tags")
        return {full(one["name"]): one.get("digest", "") for one in told.get("models") or ()}

    def version(self) -> str:
        """The server's version."""
        return str(self._ask("GET", "/api/version")["version"])

    def delete(self, name: str) -> None:
        """Removes a model; one that is gone already is right too."""
        try:
            self._ask("DELETE", "/api/delete", {"model": name})
        except urllib.error.HTTPError as error:
            if error.code != _GONE:
                raise Failed(f"{name} can't be removed: {_words(error)}") from error

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The lines of a transfer up to its `success`.

        Raises `Failed` where the server refuses, `_Broken` where it ends before.
        """
        try:
            with self._send("POST", path, body) as reply:
                for line in reply:
                    if not line.strip():
                        continue
                    told = json.loads(line)
                    if "error" in told:  # Ollama has tried again by itself before it says so
                        raise Failed(str(told["error"]))
                    yield told
                    if told.get("status") == "success":
                        return
        except urllib.error.HTTPError as error:
            raise Failed(_words(error)) from error
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            raise _Broken(str(error) or type(error).__name__) from error
        raise _Broken("it ended in the middle")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        with self._send(method, path, body) as reply:
            said = reply.read()
        found: dict[str, Any] = json.loads(said) if said.strip() else {}
        return found

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - an address of this guest
            f"{self._base}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        return self._open(request, timeout=SILENCE_S)


def _words(error: urllib.error.HTTPError) -> str:
    """What the server says of its refusal."""
    said = error.read().decode(errors="replace")
    try:
        return str(json.loads(said)["error"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason} {said[:200]}".strip()


class Sync:
    """Compares what is there with what is wanted, and makes it so.

    `wanted` are models with `name` and, where they are made here, `from` and what else
    `/api/create` takes. `state` is the file that says what came by us and what we use; its
    siblings `phoenix-*.json` are those of other guests.
    """

    def __init__(
        self,
        api: Api,
        wanted: list[dict[str, Any]],
        state: Path,
        store: Path,
        *,
        say: Callable[[str], object],
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._api = api
        self._made = {full(one["name"]): one for one in wanted if one.get("from")}
        bases = [full(one["from"]) for one in self._made.values()]
        plain = [full(one["name"]) for one in wanted if not one.get("from")]
        pulled = [name for name in (*plain, *bases) if name not in self._made]
        self._pulled = list(dict.fromkeys(pulled))
        self._path = state
        self._store = store
        self._say = say
        self._pause = pause
        self._there: dict[str, str] = {}
        self._state: dict[str, dict[str, str]] = {
            part: {} for part in ("pulled", "created", "specs", "used")
        }

    def steps(self) -> list[str]:
        """What is to be done, one line for each: `pull`, `create` or `delete` and a full name.

        Where nothing else is to be done, `note` stands for a changed list of what this guest uses.
        """
        self._there = self._api.digests()
        if self._path.exists():
            self._state |= json.loads(self._path.read_text())
        found = [f"pull {name}" for name in self._pulled if name not in self._there]
        found += [f"create {name}" for name in self._made if self._differs(name)]
        kept = {*self._pulled, *self._made}
        ours = {**self._state["pulled"], **self._state["created"]}
        spared = kept | self._used_elsewhere()
        found += [f"delete {name}" for name in ours if name in self._there and name not in spared]
        return found or (["note models that are used"] if kept != set(self._state["used"]) else [])

    def run(self) -> None:
        """Does it; what was done is written down after each step. Raises `Failed`."""
        steps = self.steps()
        kept = {*self._pulled, *self._made}
        self._state["used"] = dict.fromkeys(sorted(kept), "")
        self._write()  # before all else, so that no other guest removes one meanwhile
        for step in steps:
            verb, _, name = step.partition(" ")
            getattr(self, f"_{verb}")(name)
            self._write()
        kept |= self._used_elsewhere()  # these are still ours to remove, once nobody uses them
        for part in ("pulled", "created", "specs"):
            for name in set(self._state[part]) - kept:
                del self._state[part][name]
        self._write()

    def _used_elsewhere(self) -> set[str]:
        """Models that other guests use which share the folder."""
        found: set[str] = set()
        for path in self._path.parent.glob("phoenix-*.json"):
            if path != self._path:
                try:
                    found |= set(json.loads(path.read_text())["used"])
                except (ValueError, KeyError, TypeError) as error:
                    raise Failed(f"{path} doesn't say which models another guest uses") from error
        return found

    def _differs(self, name: str) -> bool:
        return (
            name not in self._there
            or self._state["created"].get(name) != self._there[name]
            or self._state["specs"].get(name) != self._spec(name)
        )

    def _spec(self, name: str) -> str:
        """A hash of how it is made, the model that it is made from included."""
        model = self._made[name]
        base = self._there.get(full(model["from"]), "")
        words = json.dumps([{key: model.get(key) for key in _OURS}, base], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()

    def _pull(self, name: str) -> None:
        for left in reversed(range(TRIES)):
            try:
                self._transfer(name)
                break
            except _Broken as error:
                if not left:
                    raise Failed(f"{name} can't be pulled: {error}") from error
                self._say(f"{name}: {error}: trying again")
                self._pause(5.0)
            except Failed as error:
                raise Failed(f"{name} can't be pulled: {error}") from error
        self._there = self._api.digests()
        self._state["pulled"][name] = self._there.get(name, "")

    def _transfer(self, name: str) -> None:
        parts: dict[str, tuple[int, int]] = {}
        told_at = 0.0
        for line in self._api.stream("/api/pull", {"model": name, "stream": True}):
            digest, total = line.get("digest"), line.get("total")
            if digest is None or total is None:
                continue
            if digest not in parts:
                self._room_for(name, total - line.get("completed", 0))
            parts[digest] = (line.get("completed", 0), total)
            if time.monotonic() - told_at >= 1:
                told_at = time.monotonic()
                here, whole = (sum(numbers) for numbers in zip(*parts.values(), strict=True))
                self._say(f"{name}: {100 * here // max(whole, 1)} % of {whole / GB:.2f} GB")

    def _room_for(self, name: str, more: int) -> None:
        disk = os.statvfs(self._store)
        free = disk.f_bavail * disk.f_frsize
        if more + SPARE > free:
            raise Failed(
                f"it needs {more / GB:.2f} GB more, but {self._store} has {free / GB:.2f} GB free: "
                f"make room, or let ollama.models_directory lie on a larger volume ({name})"
            )

    def _create(self, name: str) -> None:
        model = self._made[name]
        body = {key: model[key] for key in _OURS if model.get(key)}
        try:
            for line in self._api.stream("/api/create", {"model": name, "stream": True} | body):
                self._say(f"{name}: {line.get('status', '')}")
        except (Failed, _Broken) as error:
            raise Failed(f"{name} can't be made from {model['from']}: {error}") from error
        self._there = self._api.digests()
        self._state["created"][name] = self._there.get(name, "")
        self._state["specs"][name] = self._spec(name)

    def _note(self, _: str) -> None:
        """Nothing but what `run` writes down."""

    def _delete(self, name: str) -> None:
        self._say(f"removing {name}")
        self._api.delete(name)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(f"{self._path.name}.new")
        new.write_text(json.dumps(self._state, indent=1, sort_keys=True))
        new.replace(self._path)


def main() -> int:
    """`ollama_sync.py look|run`; `{"base", "models", "state", "store"}` as JSON on the input."""
    asked = json.load(sys.stdin)
    sync = Sync(
        Api(asked["base"]), asked["models"], Path(asked["state"]), Path(asked["store"]), say=_say
    )
    try:
        if sys.argv[1] == "look":
            for step in sync.steps():
                _say(step)
        else:
            sync.run()
    except (Failed, OSError, http.client.HTTPException, ValueError) as error:
        sys.stderr.write(f"Ollama: {error}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
