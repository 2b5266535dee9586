"""Phoenix's marks on a guest: tags, and a block in its notes.

Tags are rolled back with a guest's disks and come in one call for all guests, notes stay as they
are. So what is true of the inside is a tag, and the notes hold what was asked for:

    phoenix.<stack>           the stack that the guest belongs to
    phoenix-id.<id>           Phoenix finished making it, and nothing is configured inside
    phoenix-id.<id>.<hex>     … and its inside has this fingerprint
    phoenix-id.<id>.new       it is being made

A clone copies tags and notes; so both hold the id, and one with another id is no mark.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

_STACK = "phoenix."
_ID = "phoenix-id."
_NEW = "new"
_BETWEEN = re.compile(r"[;,\s]+")
_BLOCK = re.compile(r"\n*<!-- phoenix: (\{.*\}) -->\n*")


@dataclass(frozen=True, slots=True)
class Tags:
    """Phoenix's tags of one guest, and the others (somebody's own), which stay."""

    stack: str | None = None
    complete: bool = False
    fingerprint: str | None = None
    others: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str | None, vmid: int) -> Self:
        """From PVE's `a;b;c`. Tags of another id are a clone's, and dropped."""
        found = [tag for tag in _BETWEEN.split(text or "") if tag]
        mark = f"{_ID}{vmid}"
        own = next((t for t in found if t == mark or t.startswith(f"{mark}.")), None)
        stack = next((t.removeprefix(_STACK) for t in found if t.startswith(_STACK)), None)
        rest = own.removeprefix(mark).lstrip(".") if own is not None else ""
        return cls(
            stack=stack if own is not None else None,
            complete=own is not None and rest != _NEW,
            fingerprint=rest if rest and rest != _NEW else None,
            others=tuple(t for t in found if not t.startswith((_STACK, _ID))),
        )

    def write(self, vmid: int) -> str:
        """As PVE shows them: lower case, sorted, joined by `;`."""
        own = list(self.others)
        if self.stack is not None:
            state = self.fingerprint or ("" if self.complete else _NEW)
            own += [f"{_STACK}{self.stack}", f"{_ID}{vmid}" + (f".{state}" if state else "")]
        return ";".join(sorted({tag.lower() for tag in own}))


@dataclass(frozen=True, slots=True)
class Notes:
    """What the notes say: a text for people, and Phoenix's block.

    `volumes` and `nics` name the keys (`mp0`) of volumes, and the cards whose MAC was asked for;
    `frozen` are snapshots that the storage can't hold: the guest itself, at rest, stands for them.
    `asked` are fields that only count because the files asked for them (`ha`, `raw`).
    """

    text: str = ""
    stack: str | None = None
    making: bool = False
    volumes: Mapping[str, str] = field(default_factory=dict)
    macs: tuple[str, ...] = ()
    frozen: Mapping[str, str] = field(default_factory=dict)
    asked: tuple[str, ...] = ()

    @classmethod
    def read(cls, description: str | None, vmid: int) -> Self:
        """From a guest's description; a block of another id (a clone's) does not count."""
        description = description or ""
        match = _BLOCK.search(description)
        text = (_BLOCK.sub("\n", description) if match else description).strip("\n")
        block = _loads(match[1]) if match else {}
        if block.get("id") != vmid:
            return cls(text=text)
        return cls(
            text=text,
            stack=_text(block.get("stack")),
            making=block.get("making") is True,
            volumes=_texts(block.get("volumes")),
            macs=_words(block.get("macs")),
            frozen=_texts(block.get("frozen")),
            asked=_words(block.get("asked")),
        )

    def write(self, vmid: int) -> str:
        """The description: the text for people, then the block, which PVE's pages don't show."""
        if self.stack is None:
            return self.text
        block: dict[str, Any] = {"stack": self.stack, "id": vmid}
        block |= {
            key: value
            for key, value in {
                "making": self.making,
                "volumes": dict(sorted(self.volumes.items())),
                "macs": sorted(self.macs),
                "frozen": dict(sorted(self.frozen.items())),
                "asked": sorted(self.asked),
            }.items()
            if value
        }
        return f"{self.text}\n\n<!-- phoenix: {json.dumps(block)} -->".lstrip("\n")

    def asking(self, words: Iterable[str]) -> Self:
        """With these words as the ones that the files asked for."""
        return replace(self, asked=tuple(sorted(words)))


def _loads(text: str) -> dict[str, Any]:
    """The block; somebody may have edited it, and then it says nothing."""
    try:
        block = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return block if isinstance(block, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> dict[str, str]:
    entries = value.items() if isinstance(value, dict) else ()
    return {key: each for key, each in entries if isinstance(each, str)}


def _words(value: object) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else ()
    return tuple(each for each in entries if isinstance(each, str))
