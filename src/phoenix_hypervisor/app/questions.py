"""What the files' own `llm` checks can't get: a key, a model, or so many answers at once."""

from collections.abc import Iterator
from dataclasses import dataclass

from phoenix_hypervisor.features._nginx_asked import answering
from phoenix_hypervisor.features._nginx_inputs import upstreams
from phoenix_hypervisor.model.desired import Desired, Guest, Route
from phoenix_hypervisor.model.feature import Flaw
from phoenix_hypervisor.verify.checks.llm import Llm

_LOCAL = ("127.0.0.1", "::1", "localhost")


def flaws(desired: Desired) -> Iterator[Flaw]:
    """Warnings, each at its check. Only checks that ask through a route of the files are judged."""
    for guest in desired.guests.values():
        for index, check in enumerate(guest.checks if guest.runs else ()):
            if not isinstance(check, Llm):
                continue
            proxy = _asked(check, guest, desired)
            found = proxy and answering(proxy, _port(check), check.host, check.path, desired)
            if found:
                yield from _Asking(guest, index, check, *found).flaws(desired)


def questions(check: Llm) -> int:
    """How many requests one try of a check makes."""
    asked = sum(check.concurrency) * check.samples
    return asked + (1 if check.warm_up else 0) + (1 if check.model is None else 0)


def _asked(check: Llm, guest: Guest, desired: Desired) -> Guest | None:
    """The guest that is asked; None where nobody can tell."""
    if check.address is None or (check.source == "inside" and check.address in _LOCAL):
        return guest
    return next((one for one in desired.guests.values() if one.ip == check.address), None)


def _port(check: Llm) -> int:
    return check.port or (443 if check.scheme == "https" else 80)


@dataclass(frozen=True, slots=True)
class _Asking:
    """A check of `guest` that asks at a route of `owner`."""

    guest: Guest
    index: int
    check: Llm
    owner: Guest
    route: Route

    @property
    def where(self) -> str:
        return f"{self.route.host or ''}{self.route.path} of {self.owner.name}"

    def flaws(self, desired: Desired) -> Iterator[Flaw]:
        yield from self._keyless()
        yield from self._nobodys(desired)
        yield from self._too_many()

    def _flaw(self, message: str, hint: str, *at: str) -> Flaw:
        return Flaw(
            message, ("checks", self.index, "llm", *at), self.guest.address, hint, "warning"
        )

    def _keyless(self) -> Iterator[Flaw]:
        auth = self.route.auth
        if self.check.api_key is None and auth is not None and auth.kind != "basic":
            message = f"{self.where} asks for a key, and this check has none: it will get 401"
            hint = 'give it one of the route\'s: "api_key": {"secret": "NAME"}'
            yield self._flaw(message, hint)

    def _nobodys(self, desired: Desired) -> Iterator[Flaw]:
        """A model that no server behind an endpoint has. Some servers don't tell theirs."""
        llm, model = self.route.llm, self.check.model
        if model is None or llm is None or not set(llm.guests) <= set(desired.guests):
            return
        engines = [engine for _, engine in upstreams(self.owner, llm, desired)]
        models = list(dict.fromkeys(one.name for engine in engines for one in engine.models))
        if engines and all(engine.models for engine in engines) and model not in models:
            message = f"no model server behind {self.where} has {model!r}: it will get 404"
            yield self._flaw(message, f"models there are: {', '.join(models)}", "model")

    def _too_many(self) -> Iterator[Flaw]:
        rate, asked = self.route.rate_limit, questions(self.check)
        if rate is None or asked <= rate.burst:
            return
        message = (
            f"each try of this check asks {asked} questions, and {self.where} lets {rate.burst} "
            f"at once through and {rate.requests} a {rate.per} of each {rate.by}: it may get 429"
        )
        hint = (
            f'raise the route\'s "burst" to {asked}, or ask less: "concurrency": [1], "samples": 1'
        )
        if rate.by == "key":
            hint += "; and give checks a key of their own, whose limit they don't share with people"
        yield self._flaw(message, hint)
