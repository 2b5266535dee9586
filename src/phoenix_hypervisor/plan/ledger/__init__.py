"""The ledger of graphics cards: who has which, how much of it, and what of that can't be."""

from phoenix_hypervisor.plan.ledger.judge import Refusal
from phoenix_hypervisor.plan.ledger.make import Ledger, make

__all__ = ["Ledger", "Refusal", "make"]
