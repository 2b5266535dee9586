"""What stands between two quotes: escapes to characters, with every mistake in them told."""

from phoenix_hypervisor.config.tokens import CONTROL, ESCAPE, ESCAPES

Trouble = tuple[int, str, str]
"""Offset in the text between the quotes, message, hint."""

_NAMES = {"\t": "a tab", "\n": "a line break", "\r": "a line break", "\0": "a NUL byte"}
_WRITE = {"\t": "write \\t", "\n": "write \\n", "\r": "write \\r"}


def unescape(body: str) -> tuple[str, list[Trouble]]:
    """The text that a JSON string's body means, and its mistakes (RFC 8259, section 7).

    NUL is one: nothing of Linux can hold it. In the text U+FFFD stands for it.
    """
    faults: list[Trouble] = []
    for control in CONTROL.finditer(body):
        name = _NAMES.get(control[0], f"the control character U+{ord(control[0]):04X}")
        hint = _WRITE.get(control[0], f"write \\u{ord(control[0]):04x}")
        faults.append((control.start(), f"{name} stands in a text", hint))
    out: list[str] = []
    end = 0
    high = ""
    for match in ESCAPE.finditer(body):
        out.append(body[end : match.start()])
        if high and match.start() != end:
            faults.append(_half(end - 6))
            high = ""
        end = match.end()
        code, letter = match[1], match[2]
        if code is not None and int(code, 16) == 0:
            hint = "take it out: no name, path or option can hold one"
            faults.append((match.start(), "a NUL character stands in a text", hint))
        if code is not None:
            high = _unit(chr(int(code, 16)), match.start(), high, out, faults)
            continue
        if high:
            faults.append(_half(match.start() - 6))
            high = ""
        if letter not in ESCAPES:
            hint = f"a backslash itself is written twice: \\\\{letter}"
            faults.append((match.start(), f"`\\{letter}` is no escape of JSON", hint))
        out.append(ESCAPES.get(letter, letter))
    if high:
        faults.append(_half(end - 6))
    out.append(body[end:])
    return "".join(out).replace("\0", "\ufffd"), faults


def _unit(unit: str, offset: int, high: str, out: list[str], faults: list[Trouble]) -> str:
    """Adds one UTF-16 unit; gives it back where it waits for its second half."""
    if "\ud800" <= unit <= "\udbff":
        if high:
            faults.append(_half(offset - 6))
        return unit
    if "\udc00" <= unit <= "\udfff":
        if not high:
            faults.append(_half(offset))
            return ""
        out.append((high + unit).encode("utf-16", "surrogatepass").decode("utf-16"))
        return ""
    if high:
        faults.append(_half(offset - 6))
    out.append(unit)
    return ""


def _half(offset: int) -> Trouble:
    return (offset, "half of a surrogate pair stands alone", "write the character itself")
