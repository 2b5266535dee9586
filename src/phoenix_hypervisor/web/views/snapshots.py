"""A guest's snapshots, as its page lists them."""

from collections.abc import Sequence

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.snapshot import Taken, remarks
from phoenix_hypervisor.plan import undo
from phoenix_hypervisor.web import parts
from phoenix_hypervisor.web.desk import Desk
from phoenix_hypervisor.web.frame import panel
from phoenix_hypervisor.web.markup import Html, el, table


async def shown(desk: Desk, address: Address) -> Html:
    """Which there are now, asked of the target. Raises `PhoenixError`."""
    seen = await desk.seen()
    guest = seen.desired.guests.get(address)
    if guest is None:
        return Html("")
    if why := undo.hindrance(address, seen.desired, seen.observed):
        return listed(guest, seen.desired.stack, (), why)
    async with desk.session(kept=True) as session:
        return listed(guest, seen.desired.stack, await session.driver.snapshots(address))


def listed(guest: Guest, stack: str, found: Sequence[Taken], untold: str = "") -> Html:
    """The newest first; `untold` says why none can be told."""
    if not found:
        return panel("Snapshots", el("p", untold or "None.", cls="dim"))
    ordered = sorted(found, key=lambda one: one.taken.timestamp() if one.taken else 0, reverse=True)
    rows = [
        (
            el("td", one.name, cls="wrap"),
            parts.time_of(one.taken.timestamp()) if one.taken else "not known",
            el(
                "td",
                remarks(one, template=guest.snapshot_name, stack=stack),
                cls="dim says",
            ),
        )
        for one in ordered
    ]
    head = ("Name", "Taken", "Says")
    back = el("p", "Back to one: ", el("code", f"phoenix rollback {guest.address} NAME"), cls="dim")
    return panel("Snapshots", table(head, rows, "Snapshots of this guest"), back)
