"""How `status --gpus` shows the ledger of graphics cards; `plan` shows the same."""

from typing import TYPE_CHECKING, Any

from rich.text import Text

from phoenix_hypervisor.plan.ledger import show

if TYPE_CHECKING:
    from phoenix_hypervisor.plan.ledger import Ledger

_NONE = "Graphics cards: none is declared in `gpus`, and no guest uses one."


def as_json(ledger: "Ledger") -> list[dict[str, Any]]:
    """The word `gpus` of the document."""
    return show.as_json(ledger.cards)


def table(ledger: "Ledger") -> Text:
    """For people: the cards with their bars, then what can't be and what can't be judged."""
    lines = list(show.lines(ledger.cards)) if ledger.cards else [_NONE]
    lines += [f"note: {note}" for note in ledger.notes]
    lines += [f"refused: {refusal.text}" for refusal in ledger.refusals]
    return Text("\n".join(lines))
