"""HTML as values: what is text is escaped, always."""

from collections.abc import Iterable
from html import escape

_VOID = ("br", "hr", "input", "img", "path", "line", "rect", "circle", "polyline")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def el(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. `cls` is its class, `data_x` becomes `data-x`; None and False leave one out."""
    told = "".join(map(_attribute, attributes.items()))
    if name in _VOID and not children:
        return Html(f"<{name}{told}>" if name in _VOID[:4] else f"<{name}{told}/>")
    return Html(f"<{name}{told}>{join(*children)}</{name}>")


def join(*children: object) -> Html:
    """Several parts, one after the other; texts are escaped, None is nothing."""
    return Html("".join(map(_text, children)))


def table(head: Iterable[str], rows: Iterable[Iterable[object]], caption: str) -> Html:
    """A table in a box that scrolls where the screen is narrow. Cells may be elements `td`."""
    heads = el("tr", *(el("th", one, scope="col") for one in head))
    body = [
        el(
            "tr",
            *(c if str(c).startswith("<td") and isinstance(c, Html) else el("td", c) for c in r),
        )
        for r in rows
    ]
    made = el("table", el("caption", caption, cls="unseen"), el("thead", heads), el("tbody", *body))
    return el("div", made, cls="scroll", tabindex="0", role="region", aria_label=caption)


def link(text: object, to: str, cls: str | None = None) -> Html:
    """A link inside the dashboard."""
    return el("a", text, href=to, cls=cls)


def _attribute(pair: tuple[str, object]) -> str:
    name, value = pair
    if value is None or value is False:
        return ""
    name = {"cls": "class"}.get(name, name.rstrip("_").replace("_", "-"))
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def _text(part: object) -> str:
    if part is None:
        return ""
    if isinstance(part, Html):
        return str(part)
    if isinstance(part, str):
        return escape(part)
    if isinstance(part, Iterable):
        return join(*part)
    return escape(str(part))
