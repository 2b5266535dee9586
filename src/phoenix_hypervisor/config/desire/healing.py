"""What may be done by itself for a guest, from its words."""

from phoenix_hypervisor.config.words.shared import GuestWords
from phoenix_hypervisor.model.heal import HealPolicy


def heal(words: GuestWords) -> HealPolicy:
    """The policy; the usual one where the files say nothing of it."""
    said = words.heal
    if said is None:
        return HealPolicy(snapshot=words.template_snapshot_name)
    return HealPolicy(
        steps=tuple(said.steps),
        per_hour=said.per_hour,
        settle_s=said.settle_s,
        back_off_s=said.back_off_s,
        stable_s=said.stable_s,
        flaps=said.flaps,
        snapshot=said.snapshot or words.template_snapshot_name,
    )
