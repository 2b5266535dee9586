"""Pydantic's errors in plain words: what is wrong with which word, and how to mend it."""

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

Step = str | int

_SENSITIVE = re.compile(
    r"pass(word|wd|phrase)?|secret|token|api_?key|private|hash|credential", re.IGNORECASE
)
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text in double quotes",
    "list": "a list, such as [ … ]",
    "tuple": "a list, such as [ … ]",
    "set": "a list, such as [ … ]",
    "dict": "an object, such as { … }",
    "model": "an object, such as { … }",
    "dataclass": "an object, such as { … }",
    "none": "null",
    "mapping": "an object, such as { … }",
    "decimal": "a number",
    "path": "a path",
    "enum": "one of the words that are known here",
}
_STEMS = {"int_from_float": "int", "model_attributes_type": "model", "mapping_type": "dict"}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_WRITE = {"ge": "write {:.12g} or more", "le": "write {:.12g} or less", "gt": "", "lt": ""}
_LONGEST = 600
"""Of a message or hint; the longest of our own, a list of all features, has half of it."""
_PERCENT = 100
_DOUBLED = 2
"""Below it, a little too much of a share was meant, not percent."""
_EXACT = 2.0**53
"""From here on a number with a fraction or an exponent is not exact (IEEE 754)."""
_NETS = {
    "ip_v4_address": "an IPv4 address, such as 10.0.0.5",
    "ip_v6_address": "an IPv6 address",
    "ip_any_address": "an IP address",
    "ip_v4_network": "a subnet, such as 10.0.0.0/24",
    "ip_v6_network": "a subnet, such as fd00::/64",
    "ip_any_network": "a subnet, such as 10.0.0.0/24",
    "ip_v4_interface": "an address with its prefix length, such as 10.0.0.5/24",
    "ip_v6_interface": "an address with its prefix length",
    "ip_any_interface": "an address with its prefix length, such as 10.0.0.5/24",
}


def is_sensitive(key: object) -> bool:
    """Whether a key's value is likely a secret, so that it must not be shown."""
    return isinstance(key, str) and _SENSITIVE.search(key) is not None


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that was most likely meant."""
    return _nearest(word, tuple(known))


@lru_cache(maxsize=1024)
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    """Kept, since a mistake is often made in every guest, and looking takes a millisecond."""
    by_lower = {other.lower(): other for other in reversed(known)}
    close = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def did_you_mean(word: str, known: Sequence[str], otherwise: str = "") -> str:
    """A hint with the nearest known word; where none is near: all of a few, or `otherwise`."""
    near = nearest(word, known)
    if near is not None:
        return f"did you mean `{near}`?"
    if 0 < len(known) <= 10:  # noqa: PLR2004 - more than a line holds helps nobody
        return "known here: " + ", ".join(sorted(known))
    return otherwise


def one_line(text: str) -> str:
    """The text as one line of reasonable length in which nothing moves a terminal's cursor.

    Characters that are not printed as themselves (line breaks, controls, marks that turn the
    direction of writing) become escapes; of a long text the middle is left out.
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def show(value: Any, key: object = None) -> str:
    """A value of the file, short enough for a message; never a secret."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if is_sensitive(key):
        return "text" if isinstance(value, str) else "something else"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + '…"'  # noqa: PLR2004 - half a line


def name(path: Sequence[Step]) -> str:
    """A word's name for a message: `memory_mb`, or `entry 2 of features`."""
    if not path:
        return "the file"
    last = path[-1]
    if isinstance(last, str):
        return f"`{last}`"
    before = next((step for step in reversed(path) if isinstance(step, str)), None)
    return f"entry {last + 1} of `{before}`" if before is not None else f"entry {last + 1}"


def tell(
    kind: str, context: Mapping[str, Any], text: str, path: Sequence[Step], value: Any
) -> tuple[str, str]:
    """Message and hint of one error.

    `kind`, `context` and `text` are pydantic's type, ctx and msg (see its "Validation Errors");
    `value` is what stands in the file.
    """
    word = name(path)
    key = next((step for step in reversed(path) if isinstance(step, str)), None)
    shown = show(value, key)
    if kind == "phoenix":
        return _joined(word, context["message"]), str(context["hint"])
    if kind in ("value_error", "assertion_error"):
        return _joined(word, str(context.get("error", text))), ""
    stem = _STEMS.get(kind) or kind.removesuffix("_type").removesuffix("_parsing")
    if stem in _KINDS and kind != stem:
        return f"{word} must be {_KINDS[stem]}, but is {shown}", _mend(stem, value)
    if kind in _NETS:
        return f"{word} must be {_NETS[kind]}, but is {shown}", ""
    if kind in _BOUNDS:
        bound, phrase = _BOUNDS[kind]
        message = f"{word} must be {phrase} {context[bound]:.12g}, but is {shown}"
        return message, _share(bound, context[bound], value) or _WRITE[bound].format(context[bound])
    if kind in ("literal_error", "enum"):
        known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        near = nearest(value, known) if isinstance(value, str) else None
        hint = f"did you mean `{near}`?" if near else ""
        return f"{word} must be one of {', '.join(known)}, but is {shown}", hint
    if kind == "string_pattern_mismatch":
        return f"{word} can't be {shown}: its form is {context['pattern']}", ""
    return _of_length(kind, context, word) or _as_pydantic_says(text, word), ""


def _share(bound: str, most: float, value: Any) -> str:
    """A hint where percent were meant."""
    if (
        bound == "le"
        and most == 1
        and isinstance(value, int | float)
        and _DOUBLED <= value <= _PERCENT
    ):
        return f"it is a share of 1: write {value / _PERCENT:.12g} for {value:.12g} %"
    return ""


def _joined(word: str, message: str) -> str:
    plain = re.sub(r"^(Input|Value) should ", "must ", message)
    return f"{word} {plain}" if plain.startswith("must ") else f"{word}: {plain}"


def _of_length(kind: str, context: Mapping[str, Any], word: str) -> str:
    unit = "characters" if kind.startswith("string") else "entries"
    if kind in ("string_too_short", "too_short"):
        least = context["min_length"]
        return f"{word} must " + ("not be empty" if least == 1 else f"have at least {least} {unit}")
    if kind in ("string_too_long", "too_long"):
        return f"{word} must have at most {context['max_length']} {unit}"
    return ""


def _as_pydantic_says(text: str, word: str) -> str:
    plain = re.sub(r"^(Input|Value) should ", "must ", text)
    return _joined(word, plain[:1].lower() + plain[1:])


def _whole(value: float) -> str:
    if abs(value) >= _EXACT:
        return "write a smaller number"
    return f"write {int(value)}" if value.is_integer() else ""


def _mend(stem: str, value: Any) -> str:
    if stem in ("int", "float") and isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return f"write {int(value)} without quotes"
    if stem == "int" and isinstance(value, float):
        return _whole(value)
    if stem == "bool" and isinstance(value, str) and value.lower() in ("true", "false"):
        return f"write {value.lower()} without quotes"
    if stem == "bool" and value in (0, 1):
        return f"write {'true' if value else 'false'}"
    if stem == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return f'write "{value}"'
    if stem in ("list", "tuple", "set") and isinstance(value, str):
        return "write it in brackets, as [ … ]"
    return ""
