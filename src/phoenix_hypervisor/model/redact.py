"""Takes secrets out of texts, however a shell, a database or a library has written them.

A text that leaves Phoenix (an event, an error, a log line, a report of a bug) goes through a
`Redactor` that knows the values which this run has used.
"""

import base64
import html
import json
import math
import re
import shlex
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from phoenix_hypervisor.model.secret import HIDDEN

SHORTEST = 4
"""Characters from which on a value is hidden wherever it stands; a shorter one, where it stands
alone: hiding every “a” would make texts unreadable and hide nothing."""

_CUT_SHORTEST = 6
_CODE_SHORTEST = 8
_BARE_SHORTEST = 8
_SPECIAL = re.compile(r"[^A-Za-z0-9_@%+=:,./-]")  # what shells and others quote
_ELLIPSIS = re.compile(r" ?(?:…|\.\.\.)")
_CODED_BYTE = re.compile(r"%[0-9A-F]{2}")
_ESCAPED = str.maketrans({"\n": "n", "\t": "t", "\r": "r"})
_JSON_IN_HTML = [
    str.maketrans({one: f"\\u{ord(one):04{case}}" for one in which})
    for which in ("&<>", "&<>'")
    for case in "xX"
]
"""What Go, among others, writes in JSON for characters that mean something in HTML."""
_BASE64_LINE = 76  # as `base64` of coreutils and MIME (RFC 2045) cut it


class Redactor:
    """Knows values that no text may hold; more can be added as they become known."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._waiting: list[str] = []
        self._written = _Index()
        self._bare = _Index()
        self._short: set[str] = set()
        self._alone: re.Pattern[str] | None = None
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Hides this value from now on."""
        if value not in self._values and value.strip():
            self._values.add(value)
            self._waiting.append(value)

    def __call__(self, text: str, before: str = "") -> str:
        """The text with `[secret]` in the place of each secret.

        A secret that the text's end or an ellipsis cuts off is hidden too, as is one that began in
        `before`, the part of a stream that came just before this one.
        """
        if not text or not self._values:
            return text
        if self._waiting:
            self._learn()
        before = before[max(0, len(before) - self._written.longest) :]
        whole, skipped = before + text, len(before)
        parts, at = [], skipped
        for start, end in _united([*self._written.find(whole), *self._find_bare(whole)]):
            if end > skipped:
                parts += [whole[at : max(start, at)], HIDDEN]
                at = end
        shown = "".join([*parts, whole[at:]])
        return self._alone.sub(HIDDEN, shown) if self._alone else shown

    def _learn(self) -> None:
        """Thinks of all ways to write the new values: only when the first text comes."""
        written: set[str] = set()
        bare: set[str] = set()
        while self._waiting:
            value = self._waiting.pop()
            written |= set(_forms(value))
            if _SPECIAL.search(value):
                bare |= set(_bare_forms(value))
        self._short |= {form for form in written if len(form) < SHORTEST}
        self._written.add(form for form in written if len(form) >= SHORTEST)
        self._bare.add(form for form in bare if len(form) >= _BARE_SHORTEST)
        if self._short:
            words = "|".join(map(re.escape, sorted(self._short, key=len, reverse=True)))
            self._alone = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])")

    def _find_bare(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets stand in whatever quotes: only letters and digits are compared."""
        if not self._bare.longest:
            return
        places = [at for at, character in enumerate(text) if character.isalnum()]
        for start, end in self._bare.find("".join(text[at] for at in places)):
            yield places[start], places[end - 1] + 1


class _Index:
    """Texts by their first characters: another is looked through once, however many they are."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._starting: dict[str, list[str]] = {}
        self.longest = 0

    def add(self, forms: Iterable[str]) -> None:
        """Texts of at least `SHORTEST` characters to be found from now on."""
        touched: set[str] = set()
        for form in set(forms) - self._forms:
            self._forms.add(form)
            self.longest = max(self.longest, len(form))
            self._starting.setdefault(form[:SHORTEST], []).append(form)
            touched.add(form[:SHORTEST])
        for start in touched:
            self._starting[start].sort(key=len, reverse=True)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where they begin and end in this text, the longest at each place; also cut off ones."""
        cuts = [found.start() for found in _ELLIPSIS.finditer(text)]
        for at in range(len(text) - SHORTEST + 1):
            forms = self._starting.get(text[at : at + SHORTEST])
            if forms is None:
                continue
            after = bisect_right(cuts, at)
            cut = cuts[after] if after < len(cuts) else len(text)
            if length := self._length(text, at, cut, forms):
                yield at, at + length

    def _length(self, text: str, at: int, cut: int, forms: Iterable[str]) -> int:
        for form in forms:
            if text.startswith(form, at):
                return len(form)
        if _CUT_SHORTEST <= cut - at < self.longest:
            shown = text[at:cut]
            if any(form.startswith(shown) for form in forms):
                return len(shown)
        return 0


def _united(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Places that overlap or touch, as one."""
    last: tuple[int, int] | None = None
    for start, end in sorted(places):
        if last is None or start > last[1]:
            if last is not None:
                yield last
            last = (start, end)
        else:
            last = (last[0], max(last[1], end))
    if last is not None:
        yield last


def _forms(value: str) -> Iterator[str]:
    lines = (line.strip() for line in value.splitlines())
    plain = {value, *(line for line in lines if len(line) >= SHORTEST)}
    for form in plain:
        yield form
        for written in _written(form):
            if written:
                yield written
    yield from _in_base64(value)


def _bare_forms(value: str) -> Iterator[str]:
    """Letters and digits alone, of the value and of its lines; a newline may be written as an n."""
    for form in (value, *value.splitlines()):
        for text in (form, form.translate(_ESCAPED)):
            yield "".join(character for character in text if character.isalnum())


def _written(form: str) -> Iterator[str]:
    """As quoting puts it; what stands around it (quotes) is left out."""
    quoted = shlex.quote(form)
    if quoted.startswith("'"):
        yield quoted[1:-1]
        yield shlex.quote(quoted)[1:-1]  # inside of other quotes it is quoted twice
    yield form.replace("'", "'\\''")  # as bash traces commands
    for escaped in (json.dumps(form), json.dumps(form, ensure_ascii=False), repr(form)):
        yield escaped[1:-1]
        for codes in _JSON_IN_HTML:
            yield escaped[1:-1].translate(codes)
    yield json.dumps(json.dumps(form, ensure_ascii=False))[1:-1].removeprefix('\\"')[:-2]
    yield form.replace("'", "''")  # SQL
    escaped = form.replace("\\", "\\\\").replace('"', '\\"')
    yield escaped
    yield escaped.replace("$", "\\$").replace("`", "\\`")  # a shell, in double quotes
    yield form.replace("%", "%%")  # units of systemd
    yield escaped.replace("%", "%%")
    yield escaped.replace("$", "$$").replace("%", "%%")
    yield html.escape(form)
    yield html.escape(form, quote=False)
    data = form.encode("utf-8", "surrogatepass")
    for coded in (quote(data), quote(data, safe=""), quote_plus(data)):
        yield coded
        yield _CODED_BYTE.sub(lambda found: found[0].lower(), coded)
    if len(data) >= SHORTEST:
        yield data.hex()
        yield data.hex().upper()


def _in_base64(value: str) -> Iterator[str]:
    """Base64 (RFC 4648) of the value, also in the middle of other data, such as `user:password`."""
    data = value.encode("utf-8", "surrogatepass")
    for shift in range(3):
        code = base64.b64encode(bytes(shift) + data).decode()
        # Only the characters that no neighbour has a part in.
        sure = code[math.ceil(shift * 8 / 6) : (shift + len(data)) * 8 // 6]
        pieces = {sure}
        if shift == 0:
            pieces |= {sure[at : at + _BASE64_LINE] for at in range(0, len(sure), _BASE64_LINE)}
        for piece in pieces:
            if len(piece) >= _CODE_SHORTEST:
                yield piece
                yield piece.replace("+", "-").replace("/", "_")
