"""What the command line asks of a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.gpu import Claim


@dataclass(frozen=True, slots=True)
class Options:
    """How to plan.

    `targets`: only these and what they need (empty: everything). `prune`: also delete what the
    files no longer name. `reconfigure`: run all features of these again. `fingerprints`: what
    each guest's inside is to be, by `configure.fingerprint`; None where it has nothing to be.
    `claims`: what each guest's software asks of its graphics cards. `proxies`: who leads requests
    to each replica.
    """

    targets: frozenset[Address] = frozenset()
    prune: bool = False
    reconfigure: frozenset[Address] = frozenset()
    fingerprints: Mapping[Address, str | None] = field(default_factory=dict)
    claims: Mapping[Address, Sequence[Claim]] = field(default_factory=dict)
    proxies: Mapping[Address, tuple[Address, ...]] = field(default_factory=dict)
