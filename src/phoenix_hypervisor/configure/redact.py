"""Takes secrets out of every text that leaves a worker process."""

import json
import re
import shlex
from collections.abc import Iterable
from urllib.parse import quote

from phoenix_hypervisor.model.secret import HIDDEN

_SHORTEST_LINE = 4


class Redactor:
    """Knows the values of a guest's secrets, also as shells, JSON and URLs write them."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values if value for form in _forms(value)}
        # The longest first: one secret may contain another.
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """The text with `[secret]` in the place of each secret."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def _forms(value: str) -> set[str]:
    lines = {line.strip() for line in value.splitlines()}
    forms = {value, *(line for line in lines if len(line) >= _SHORTEST_LINE)}
    for form in tuple(forms):
        quoted = shlex.quote(form)
        if quoted.startswith("'"):
            # Inside of other quotes it is quoted twice.
            forms |= {quoted[1:-1], shlex.quote(quoted)[1:-1]}
        forms |= {json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1]}
        forms |= {repr(form)[1:-1], quote(form), quote(form, safe="")}
    return {form for form in forms if form}
