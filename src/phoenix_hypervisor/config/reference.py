"""The reference of all words as Markdown, made from the models, so that it is never out of date."""

import json
import re
from collections.abc import Iterator
from typing import Any

from phoenix_hypervisor.config.folder import Vocabulary
from phoenix_hypervisor.config.schema import COMMENTS, Schema, schemas

_FORMATS = {
    "ipv4": "IPv4 address",
    "ipv6": "IPv6 address",
    "ipv4network": "IPv4 subnet",
    "ipv6network": "IPv6 subnet",
}
_CHOICE = re.compile(r"^\^\(([\w|-]+)\)\$$")
_HEAD = """\
# Configuration reference

Made by Phoenix from its own models: every word that the files may hold, with its type, its
default and its meaning. A file that is not needed may be missing. Keys that start with `x-` or `_`
are comments; empty texts and `NOT_SET` mean the same as a key that is left out. Words marked
*later* are read and checked; what they ask for is not built yet, and `phoenix validate` says so.
Words marked *old* still work.
"""


def markdown(vocabulary: Vocabulary) -> str:
    """The whole reference: a chapter for each file, then one for the options of each feature."""
    out = [_HEAD]
    told: dict[str, Schema] = {}
    for schema in schemas(vocabulary).values():
        definitions: dict[str, Schema] = schema["$defs"]
        out.append(f"## {schema['title']}\n")
        out.append(_sentence(schema))
        out.append(table(schema, definitions))
        for name in _reached(schema, definitions):
            if name not in told:
                told[name] = definitions[name]
                out.append(chapter(name, definitions))
            elif told[name] != definitions[name]:
                raise ValueError(f"two models of the files are called {name}: rename one")
    return "\n".join(part for part in out if part)


def options(name: str, definitions: dict[str, Schema]) -> str:
    """The words of one model as a table, then a chapter for each model that it uses."""
    parts = [table(definitions[name], definitions)]
    parts += [chapter(inner, definitions) for inner in _reached(definitions[name], definitions)]
    return "\n".join(part for part in parts if part)


def chapter(name: str, definitions: dict[str, Schema]) -> str:
    """A heading, what the model is, and its words."""
    about = definitions[name]
    parts = [f"### {_title(name)}\n", _sentence(about), table(about, definitions)]
    return "\n".join(part for part in parts if part)


def _title(name: str) -> str:
    """Where two models bear the same name, pydantic puts their modules before it."""
    return " ".join(name.rpartition("features__")[2].split("__"))


def _reached(schema: Schema, definitions: dict[str, Schema]) -> list[str]:
    """The definitions that a schema uses, in the order of their first use."""
    found: list[str] = []
    waiting = list(_refs({key: value for key, value in schema.items() if key != "$defs"}))
    while waiting:
        name = waiting.pop(0)
        if name not in found and "properties" in definitions[name]:
            found.append(name)
            waiting = [*_refs(definitions[name]), *waiting]
    return found


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield str(value["$ref"]).rpartition("/")[2]
        for inside in value.values():
            yield from _refs(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _refs(inside)


def _sentence(schema: Schema) -> str:
    text = str(schema.get("description", "")).strip()
    return f"{text}\n" if text else ""


def table(schema: Schema, definitions: dict[str, Schema]) -> str:
    """Each word of a model with its type and limits, its default and its meaning."""
    required = schema.get("required", [])
    rows = ["| word | type | default | meaning |", "|---|---|---|---|"]
    words: dict[str, Schema] = schema.get("properties", {})
    for word, about in sorted(words.items(), key=lambda item: bool(item[1].get("deprecated"))):
        if word == "$schema":
            continue
        default = "**required**" if word in required else _default(about)
        told = about.get("description") or _of_ref(about, definitions)
        rows.append(f"| `{word}` | {_type(about)} | {default} | {_marks(about)}{_cell(told)} |")
    return "\n".join(rows) + "\n" if len(rows) > 2 else ""  # noqa: PLR2004 - the two lines of the head


def _marks(about: Schema) -> str:
    later = "*later* " if about.get("x-later") else ""
    return later + ("*old* " if about.get("deprecated") else "")


def _of_ref(about: Schema, definitions: dict[str, Schema]) -> str:
    """Pydantic leaves a description out where it is the same as its model's."""
    name = next(_refs(about), None)
    return str(definitions[name].get("description", "")) if name in definitions else ""


def _default(about: Schema) -> str:
    default = about.get("default")
    if default in (None, [], {}, "") or isinstance(default, dict):
        return ""
    return f"`{_cell(json.dumps(default, ensure_ascii=False))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _type(about: Schema) -> str:
    if "$ref" in about and not about["$ref"].endswith("/JsonValue"):
        name = str(about["$ref"]).rpartition("/")[2]
        return f"[{_title(name)}](#{_title(name).lower().replace(' ', '-')})"
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    if "anyOf" in about:
        kinds = [_type(kind) for kind in about["anyOf"] if kind.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "allOf" in about:
        return _type(about["allOf"][0])
    return _plain(about)


def _plain(about: Schema) -> str:
    kind = about.get("type")
    if list(about.get("properties", {})) == ["secret"]:
        return '`{"secret": "NAME"}`'
    if kind == "array":
        inside = about.get("items") or next(iter(about.get("prefixItems", [])), None)
        return f"list of {_type(inside)}" if inside else "list"
    if kind == "object":
        inside = about.get("additionalProperties") or _of_patterns(about)
        return f"map of {_type(inside)}" if isinstance(inside, dict) and inside else "map"
    if kind == "string":
        return _text(about)
    names = {"integer": "whole number", "boolean": "true, false"}
    shown = names.get(str(kind), str(kind) if isinstance(kind, str) else "any")
    return shown + _bounds(about)


def _of_patterns(about: Schema) -> Schema | None:
    """What a map holds whose keys have a form."""
    patterns = about.get("patternProperties", {}).items()
    return next((inside for pattern, inside in patterns if pattern != COMMENTS), None)


def _text(about: Schema) -> str:
    pattern = str(about.get("pattern", ""))
    if choice := _CHOICE.match(pattern):
        return ", ".join(f"`{value}`" for value in choice[1].split("|"))
    shown = _FORMATS.get(str(about.get("format")), "text")
    if pattern:
        shown += f" like `{_cell(pattern)}`"
    return shown + (f", at most {about['maxLength']} characters" if "maxLength" in about else "")


def _bounds(about: Schema) -> str:
    low = about.get("minimum", about.get("exclusiveMinimum"))
    high = about.get("maximum", about.get("exclusiveMaximum"))
    if low is None and high is None:
        return ""
    if high is None:
        return f", {'from' if 'minimum' in about else 'above'} {low}"
    return f", {'' if low is None else low} to {high}".replace(",  to", ", to")
