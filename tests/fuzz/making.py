"""Makes values for the files from the JSON Schemas of their models: right, nearly right, and odd.

A fuzzer that only knows bytes never writes `network_config`; the schemas hold every word.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any

from tests.fuzz.choices import Choices, one_in, pick

Schema = Mapping[str, Any]
Step = str | int

DEEPEST = 6

TEXTS = (
    "", "web", "101", "\xb2", "\u0663", "-1", "0", "a b", "a.b.c", "-", "--", "-rf", "..", "../x",
    "/", "/srv/a", "/a/../b", "//", "\n", "a\nb", "a\tb", "\x1b[31m", "\x7f", "\x85", "\u2028",
    "\xe9", "e\u0301", "\u202eabc", "\U0001f600", "%", "%n", "${A}", "$(id)", "`id`", "'", '"',
    "\\", "{{ a }}", "{0}", ";", "|", "&", "*", "?", "#", "~", "NOT_SET", "null", "true", "NaN",
    "1e9", "0x10", "1_000", " ", "\u3000", "10.0.0.1", "10.0.0.5/24", "10.0.0.0/24",
    "10.0.0.5/33", "::1", "fd00::7/64", "fe80::1%eth0", "0.0.0.0/0", "10.0.0.1-10.0.0.9", "dhcp",
    "none", "0,1", "80", "80:81", "80-81", "9-1", "8080:80/tcp", "65536", "debian-13-standard",
    "local:vztmpl/x.tar.zst", "https://a.test/x", "http://", "https://[::1/", "https://a:b/",
    "sha256:00", "features: nesting=1", "--net0 x", "lxc.a=b", "vmbr0", "local-zfs", "rpool/data",
    "ACCEPT", "in", "52:54:00:12:34:56", "01:00:00:00:00:00", "a@b", "a@b!c", "*.a.test", "a..b",
    ".a", "a.", "x" * 64, "x" * 300, "1" * 400, "_", "x-", "$schema", "index.html", "demo",
    "setup.sh", "scripts", ".git/config", "Europe/Berlin", "postgres", "nginx", "base_setup",
    "redis", "python_api_service", "postgresql", "http", "tcp", "sql", "command",
)  # fmt: skip
"""Texts that mean something to one reader or another, or nothing to any."""

NUMBERS = (0, 1, -1, 2, 22, 80, 101, 999, 65535, 65536, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, 1.0)
ODD: tuple[Any, ...] = (None, True, False, [], {}, [None], [[]], {"": ""}, {"secret": "A"})


class Maker:
    """Makes and changes values by one file's schema."""

    def __init__(self, schema: Schema, choices: Choices) -> None:
        self._top = schema
        self._choices = choices

    def value(self, schema: Schema, depth: int = 0) -> Any:
        """A value that the schema mostly allows."""
        if one_in(self._choices, 12):
            return self.odd()
        schema = self._plain(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return pick(self._choices, schema["enum"])
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = pick(self._choices, kind)
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        if kind == "array":
            count = 0 if depth > DEEPEST else self._choices.below(3)
            return [self.value(schema.get("items", {}), depth + 1) for _ in range(count)]
        return self._scalar(kind, schema)

    def odd(self) -> Any:
        """Something that fits nowhere in particular."""
        rows = (*ODD, pick(self._choices, TEXTS), pick(self._choices, NUMBERS))
        return copy.deepcopy(pick(self._choices, rows))

    def text(self) -> str:
        """A text, or several joined."""
        found = pick(self._choices, TEXTS)
        return found + pick(self._choices, TEXTS) if one_in(self._choices, 4) else found

    def change(self, root: Any) -> Any:
        """The value with one change: another value, one more word, one less, one twice."""
        path, schema = self._walk(root)
        if not path:
            return self.value(schema) if one_in(self._choices, 20) else self._more(root, schema)
        holder = root
        for step in path[:-1]:
            holder = holder[step]
        last, here = path[-1], holder[path[-1]]
        match self._choices.below(6):
            case 0:
                holder[last] = self.odd()
            case 1 if isinstance(holder, list):
                holder.append(copy.deepcopy(here))
            case 1:
                holder[self.text()] = holder.pop(last)
            case 2:
                del holder[last]
            case 3 if isinstance(here, str):
                holder[last] = here + self.text()
            case 4:
                holder[last] = self._more(here, schema)
            case _:
                holder[last] = self.value(schema)
        return root

    def _more(self, value: Any, schema: Schema) -> Any:
        """The object with one more word that it knows; anything else made anew."""
        schema = self._plain(schema)
        words = sorted(schema.get("properties", {}))
        if not isinstance(value, dict) or not words:
            return self.value(schema)
        word = pick(self._choices, words)
        value[word] = self.value(schema["properties"][word], 1)
        return value

    def _walk(self, value: Any) -> tuple[list[Step], Schema]:
        """A random place, and what the schema says of it."""
        path: list[Step] = []
        schema: Schema = self._top
        while isinstance(value, dict | list) and value and not one_in(self._choices, 5):
            schema = self._plain(schema, value)
            if isinstance(value, dict):
                word = pick(self._choices, sorted(value))
                schema, value = self._member(schema, word), value[word]
                path.append(word)
            else:
                index = self._choices.below(len(value))
                schema, value = schema.get("items", {}), value[index]
                path.append(index)
        return path, schema

    def _member(self, schema: Schema, word: str) -> Schema:
        if word in schema.get("properties", {}):
            found: Schema = schema["properties"][word]
            return found
        for pattern, inside in schema.get("patternProperties", {}).items():
            if re.search(pattern, word):
                return inside if isinstance(inside, dict) else {}
        rest = schema.get("additionalProperties")
        return rest if isinstance(rest, dict) else {}

    def _plain(self, schema: Schema, value: Any = None) -> Schema:
        """Without references, and with one branch of a choice (one that fits the value, if any)."""
        for _ in range(DEEPEST):
            if "$ref" in schema:
                schema = self._top["$defs"][schema["$ref"].rpartition("/")[2]]
            elif "anyOf" in schema:
                rows = schema["anyOf"]
                kind = "object" if isinstance(value, dict) else ""
                kind = "array" if isinstance(value, list) else kind
                fitting = [row for row in rows if kind and self._plain(row).get("type") == kind]
                schema = pick(self._choices, fitting or rows)
            else:
                break
        return schema

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        words = schema.get("properties", {})
        wanted = list(schema.get("required", []))
        if words and depth <= DEEPEST:
            known = sorted(words)
            wanted += [pick(self._choices, known) for _ in range(self._choices.below(4))]
        made = {word: self.value(words.get(word, {}), depth + 1) for word in wanted}
        rest = schema.get("additionalProperties")
        if isinstance(rest, dict) and depth <= DEEPEST:
            count = self._choices.below(3)
            made |= {self.text(): self.value(rest, depth + 1) for _ in range(count)}
        return made

    def _scalar(self, kind: str | None, schema: Schema) -> Any:
        if kind == "boolean":
            return not one_in(self._choices, 2)
        if kind in ("integer", "number"):
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            high = schema.get("maximum", low + 1000)
            near = (low, low + 1, low - 1, high, high + 1, schema.get("default", low))
            return pick(self._choices, near)
        if kind == "null":
            return None
        if "default" in schema and not one_in(self._choices, 3):
            return copy.deepcopy(schema["default"])
        return self.text() if kind == "string" else self.odd()
