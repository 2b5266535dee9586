"""The ledger as text with bars, and as JSON. Nothing in it needs a colour; 80 columns are enough.

A bar is a card's whole memory, each claim at its place in it: `#` what its model needs at least,
`+` what it is given beyond that, `?` what is given where the need can't be told, `.` what others
have or nobody.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from phoenix_hypervisor.model.ledger import Card, Taken
from phoenix_hypervisor.plan.ledger.judge import percent

_BAR = 20
_WHAT = 34
_LEGEND = "# what the model needs, + more that it is given, . the rest"
_BLIND_LEGEND = "# what the model needs, + more, ? need not known, . the rest"


def lines(cards: Sequence[Card]) -> Iterator[str]:
    """The table, without markup, at most 80 columns wide."""
    if any(card.taken for card in cards):
        blind = any(
            _needed(one) is None and _part(one, card) for card in cards for one in card.taken
        )
        yield f"Graphics cards ({_BLIND_LEGEND if blind else _LEGEND}):"
    else:
        yield "Graphics cards:"
    for card in cards:
        yield from _card(card)


def _card(card: Card) -> Iterator[str]:
    size = "memory not known" if card.memory_mb is None else f"{card.memory_mb} MiB"
    name = f"  {_cut(card.name, 40)}" if card.name else ""
    owner = f", all of it for {card.whole}" if card.whole else ""
    yield f"  card {card.index}{name}  {size}{owner}"
    before = 0.0
    for one in card.taken:
        part = _part(one, card)
        bar = "" if part is None else _bar(before, part, _needed(one))
        yield _row(f"{one.address}  {one.claim.what}", bar, _mb(one.mb, part), part)
        before += part or 0.0
    claiming = {one.address for one in card.taken}
    for address in card.guests:
        if address not in claiming:
            yield _row(f"{address}  may use it")
    if card.taken and card.free_mb is not None:
        word = "free" if card.free_mb >= 0 else "too much"
        left = abs(card.free_mb)
        yield _row(word, "", _mb(left), left / (card.memory_mb or left))
    elif not card.guests:
        yield _row("nobody has it")


def _part(one: Taken, card: Card) -> float | None:
    """The part of the card that it takes; None where nobody can tell."""
    if card.memory_mb is not None and one.mb is not None:
        return one.mb / card.memory_mb
    return one.claim.share


def _needed(one: Taken) -> float | None:
    """The part of what it is given that its model needs; None where nobody can tell."""
    need = one.claim.need_mb
    if need is None:
        return None
    return min(1.0, need / one.mb) if one.mb else 1.0


def _bar(before: float, part: float, needed: float | None) -> str:
    """Ends where the card ends, however much is claimed."""
    begin, end = (min(_BAR, round(edge * _BAR)) for edge in (before, before + part))
    if needed is None:
        return ("." * begin + "?" * (end - begin)).ljust(_BAR, ".")
    inner = round((end - begin) * needed)
    return ("." * begin + "#" * inner + "+" * (end - begin - inner)).ljust(_BAR, ".")


def _mb(mb: int | None, part: float | None = None) -> str:
    if mb is None:
        return "?" if part is None else ""
    return f"{mb} MiB"


def _row(what: str, bar: str = "", size: str = "", part: float | None = None) -> str:
    told = "" if part is None else percent(part)
    return f"    {_cut(what, _WHAT):{_WHAT}} {bar:{_BAR}} {size:>11} {told:>8}".rstrip()


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def as_json(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Each card with its claims; memory in MiB, shares from 0 to 1."""
    return [
        {
            "index": card.index,
            "name": card.name,
            "memory_mb": card.memory_mb,
            "taken_mb": card.taken_mb,
            "free_mb": card.free_mb,
            "share": round(card.share, 4),
            "vm": card.whole,
            "guests": list(card.guests),
            "claims": [
                {
                    "address": one.address,
                    "name": one.name,
                    "what": one.claim.what,
                    "cards": one.claim.cards,
                    "share": one.claim.share,
                    "memory_mb": one.mb,
                    "need_mb": one.claim.need_mb,
                    "told": one.claim.told,
                }
                for one in card.taken
            ],
        }
        for card in cards
    ]
