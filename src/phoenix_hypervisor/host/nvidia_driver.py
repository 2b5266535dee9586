"""NVIDIA's driver on the host: one pinned version, built by DKMS, loaded before guests start.

Its exchange stops everything that uses the cards; `app.host.driver_upgrade` plans that around it.
There was no card to run it on: what decides is tested as text, and the scripts against doubles.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from phoenix_hypervisor.host import _nvidia, _nvidia_exchange, _pci
from phoenix_hypervisor.host._nvidia_exchange import Ended
from phoenix_hypervisor.host._script import with_arguments
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task
from phoenix_hypervisor.model import nvidia
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.change import Action, FieldChange, Impact
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError
from phoenix_hypervisor.model.host.cards import Cards, HostDriver
from phoenix_hypervisor.model.node import Node

ADDRESS = Address("host/nvidia-driver")
_BUILD_S = 3600.0
_LOOK = _nvidia.LOOK + _nvidia_exchange.LOOK + _pci.LOOK
_NOUVEAU = "nouveau holds the cards; NVIDIA's driver gets them when the node starts without it"
_WAY_BACK = 8
_HINTS = {
    6: "stop what uses the cards (guests that the files don't name as well), and run this again",
    7: "mend what is told, and run this again",
    8: "nothing is lost: the guests run on with the old one. Name another version, or mend it",
    9: "the guests with cards can't run until one of both versions is installed again",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a look found. `installed` is of the module on the disk, `live` of the one that runs.

    `before` is the version that an exchange began with, where it did not end well; `exchange` the
    version to which one is at work now.
    """

    live: str | None
    installed: str | None
    library: str | None
    nouveau: bool
    packaged: str
    files: Mapping[str, str]
    enabled: bool
    kept: frozenset[str]
    cards: tuple[str, ...]
    has_card: bool
    before: str | None = None
    exchange: str | None = None

    @property
    def is_half(self) -> bool:
        """Whether an exchange was broken off on its way from the version before."""
        return self.before is not None and not self.before == self.installed == self.library

    @property
    def old(self) -> str | None:
        """The version that an exchange goes back to."""
        return self.before if self.is_half or self.exchange is not None else self.installed

    @property
    def whole(self) -> str | None:
        """The version of module and user space; both, where they are not the same."""
        if self.installed == self.library:
            return self.installed
        return f"module {self.installed or 'none'}, user space {self.library or 'none'}"


class NvidiaDriver:
    """The driver and its devices."""

    name = "nvidia_driver"
    turn = 65

    async def look(self, node: Node, desired: Desired) -> Seen:
        """Versions on the disk and in the kernel, the cards, kept installers."""
        if desired.host.setup.cards.driver is None:
            return Seen()
        said = await node.run(_LOOK, "looking at NVIDIA's driver")
        if said.status:
            raise PhoenixError(f"NVIDIA's driver can't be seen: {said.err.strip()}")
        return Seen(facts={"look": said.out})

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """What is to be installed, exchanged or written."""
        del choice
        cards = desired.host.setup.cards
        driver = cards.driver
        if driver is None:
            return Decided()
        facts = _facts(seen, cards)
        if not facts.has_card:
            told = "the node has no graphics card of NVIDIA's: its driver is left out"
            return Decided(notes=(told,))
        if facts.packaged and facts.exchange is None:
            return Decided(refusals=(_packaged(facts, driver),))
        fields = tuple(_differing(facts, cards, driver))
        if not fields:
            return Decided()
        if facts.exchange is None and facts.nouveau and {one.path for one in fields} == {"running"}:
            return Decided(restarts=(_NOUVEAU,))
        exchanged = facts.exchange is not None or (
            facts.live is not None and (facts.live != driver.version or facts.is_half)
        )
        task = Task(
            ADDRESS,
            Action.UPDATE if facts.live or facts.installed else Action.CREATE,
            fields,
            _reason(facts, cards, driver, exchanged=exchanged),
            Impact.RESTART if exchanged else Impact.LIVE,
            (Address("host/vfio"),),
            300.0 if facts.whole != driver.version or facts.is_half else 20.0,
            restarts=_NOUVEAU if facts.nouveau else "",
        )
        notes = (_way_back(facts),) if (exchanged or facts.is_half) and facts.old else ()
        return Decided((task,), notes=notes)

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Prepares, fetches, exchanges, and looks at each card; a failed exchange is taken back.

        One that an earlier run began is followed to its end first.
        """
        del task
        cards = desired.host.setup.cards
        driver = cards.driver
        assert driver is not None  # noqa: S101 - nothing was decided without
        facts = _facts(await self.look(node, desired), cards)
        if facts.exchange is not None:
            ended = await _nvidia_exchange.follow(node, tell)
            if facts.exchange == driver.version:
                _judge(ended, driver.version, facts.old)
            facts = _facts(await self.look(node, desired), cards)
        indices = [one.index for one in cards.kept]
        tell("packages, modules at boot")
        await _run(node, _nvidia.prepare_script(indices), "preparing the node for NVIDIA's driver")
        names = "\n".join(one.name or "any" for one in cards.kept)
        is_there = facts.whole == driver.version and not facts.is_half
        if is_there and facts.live in (None, driver.version):
            if not facts.nouveau:
                await _run(
                    node, with_arguments(_nvidia.LOAD, driver.version, names), "NVIDIA's driver"
                )
            return
        await self._exchange(node, facts, driver, names, tell)

    async def _exchange(
        self, node: Node, facts: Facts, driver: HostDriver, names: str, tell: Tell
    ) -> None:
        old = facts.old
        if old is not None and old != driver.version and f"{old}.run" not in facts.kept:
            tell(f"fetching the installer of {old}, the way back")
            await _run(node, _fetch(driver, old), f"the installer of NVIDIA's driver {old}")
        tell(f"fetching the installer of {driver.version}")
        await _run(
            node, _fetch(driver, driver.version), f"the installer of NVIDIA's {driver.version}"
        )
        tell(f"exchanging {old or 'nothing'} for {driver.version}")
        restart = "yes" if facts.nouveau else "no"
        await _nvidia_exchange.start(
            node, driver.version, old or "", driver.modules or "", restart, names
        )
        ended = await _nvidia_exchange.follow(node, tell)
        if ended.status is None:
            raise ConfigureFailed(
                f"the exchange for NVIDIA's driver {driver.version} was broken off on the node",
                hint="run this again: it goes on, or back to the version before",
                detail=ended.log,
            )
        _judge(ended, driver.version, old)
        tell(f"each card is served by {driver.version}")


async def at_rest(node: Node, tell: Tell) -> None:
    """Waits for an exchange that is at work on the node, however it ends. Raises `TimedOut`."""
    said = await node.run(_nvidia_exchange.LOOK, "whether NVIDIA's driver is being exchanged")
    if said.status:
        raise PhoenixError(f"NVIDIA's driver can't be seen: {said.err.strip()}")
    if read(said.out).exchange is not None:
        await _nvidia_exchange.follow(node, tell)


def _judge(ended: Ended, version: str, old: str | None) -> None:
    """Raises `ConfigureFailed` where an exchange came to its end and the new one does not serve."""
    if ended.status:
        back = f"; {old} is back and serves" if ended.status == _WAY_BACK else ""
        raise ConfigureFailed(
            f"NVIDIA's driver {version} was not taken{back}",
            hint=_HINTS.get(ended.status, ""),
            detail=ended.log,
        )


def read(printed: str) -> Facts:
    """What `LOOK` printed."""
    lines = [line.partition(" ")[::2] for line in printed.splitlines()]
    one = {word: value.strip() for word, value in lines}
    named = [value.partition(" ") for word, value in lines if word == "file"]
    return Facts(
        live=nvidia.live_version(one.get("live", "")),
        installed=one.get("module") or None,
        library=nvidia.library_version(one.get("library", "")),
        nouveau=one.get("nouveau", "0") not in ("0", ""),
        packaged=one.get("packaged", ""),
        files={path: digest.strip() for path, _, digest in named},
        enabled=one.get("unit") == "enabled",
        kept=frozenset(value for word, value in lines if word == "kept"),
        cards=tuple(value for word, value in lines if word == "card"),
        has_card=any(card.is_nvidia for card in _pci.read(printed)),
        before=one.get("before") or None,
        exchange=one.get("exchange"),
    )


def _facts(seen: Seen, cards: Cards) -> Facts:
    """What the look found. A note that broke off after all served is not of a version to go to."""
    facts = read(str(seen.facts.get("look", "")))
    is_one = facts.live is not None and facts.live == facts.installed == facts.library
    serves = is_one and facts.exchange is None and not tuple(_cards(facts, cards))
    return replace(facts, before=None) if serves else facts


def _differing(facts: Facts, cards: Cards, driver: HostDriver) -> Iterator[FieldChange]:
    if facts.whole != driver.version:
        yield FieldChange("installed", facts.whole, driver.version)
    if facts.exchange is not None:
        yield FieldChange("running", f"an exchange for {facts.exchange}", driver.version)
    elif facts.live != driver.version:
        yield FieldChange("running", facts.live, driver.version)
    wanted = _nvidia.files([one.index for one in cards.kept])
    for path, text in wanted.items():
        if facts.files.get(path) != hashlib.sha256(text.encode()).hexdigest():
            yield FieldChange(path, "other" if facts.files.get(path) else None, "as Phoenix has it")
    if not facts.enabled:
        yield FieldChange("phoenix-nvidia.service", None, "enabled")
    if facts.live == driver.version:
        yield from _cards(facts, cards)


def _reason(facts: Facts, cards: Cards, driver: HostDriver, *, exchanged: bool) -> str:
    if facts.exchange is not None:
        return "an exchange that an earlier run began is at work on the node: it is waited for"
    if facts.is_half:
        return f"an exchange of {facts.before} was broken off: {facts.whole or 'nothing'} is there"
    if exchanged:
        return f"the kernel runs {facts.live}: what uses the cards stops for {driver.version}"
    if facts.whole != driver.version:
        return f"{facts.whole or 'nothing'} is installed"
    if facts.live == driver.version and tuple(_cards(facts, cards)):
        return "it does not serve each card that the files name"
    return "it is not set up to be there before guests start"


def _way_back(facts: Facts) -> str:
    kept = "is kept on the node" if f"{facts.old}.run" in facts.kept else "is fetched before"
    return (
        f"the way back: the installer of {facts.old} {kept}; where the new driver does not "
        "serve each card, the old one is installed again, and the guests start with it"
    )


def _packaged(facts: Facts, driver: HostDriver) -> str:
    return (
        f"NVIDIA's driver {facts.library or ''} on the host comes from the package "
        f"{facts.packaged}, which its installer of {driver.version} must not overwrite: remove "
        "it (apt purge '*nvidia*' libcuda1), or take `install` out"
    )


def _cards(facts: Facts, cards: Cards) -> Iterator[FieldChange]:
    """Whether the running driver serves each card that the files name, and not others."""
    there = list(facts.cards)
    missing = False
    for card in sorted(cards.kept, key=lambda one: -len(one.name)):
        found = next((each for each in there if card.name.lower() in each.lower()), None)
        missing |= found is None
        if found is not None:
            there.remove(found)
    if missing or (cards.kept and there):
        wanted = "; ".join(card.name or "any" for card in cards.kept)
        yield FieldChange("cards", "; ".join(facts.cards) or None, wanted)


def _fetch(driver: HostDriver, version: str) -> str:
    """Shell words for one installer; only that of the named version has a checksum."""
    own = driver.runfile_url or nvidia.RUNFILE
    fits = version == driver.version or "{version}" in own
    url = (own if fits else nvidia.RUNFILE).replace("{version}", version)
    known = driver.checksum if version == driver.version else None
    return with_arguments(_nvidia.FETCH, url, version, (known or "").removeprefix("sha256:"))


async def _run(node: Node, script: str, why: str) -> None:
    said = await node.run(script, why, timeout_s=_BUILD_S)
    if said.status:
        raise ConfigureFailed(f"{why}: that failed", detail=(said.out + said.err).strip())


PART = NvidiaDriver()
