"""A guest trusts certificate authorities of one's own: programs in it accept what those issue."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from phoenix_hypervisor.features import _acme
from phoenix_hypervisor.features._guests import refuse
from phoenix_hypervisor.features._release import own
from phoenix_hypervisor.features.base_setup import PEM_START, Certificate, certificates
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, InFolder, Inside

PREFIX = "phoenix-trusted-"
AUTHORITY = f"{PREFIX}authority.crt"


class TrustedCaOptions(FeatureOptions):
    """Options of `trusted_ca`."""

    source: int | str | None = Field(
        None,
        alias="from",
        description="The guest with `acme_ca` or `step_ca`. Default: the only one there is, "
        "unless `certificates` are given.",
    )
    fingerprint: _acme.Fingerprint | None = Field(
        None,
        description="The SHA-256 that its root must have. Without it the first root is believed, "
        "and another one refused later.",
    )
    certificates: Annotated[tuple[Certificate, ...], InFolder("", "file", or_text=PEM_START)] = (
        Field((), description="More roots to trust: PEM text, or files of the folder.")
    )


class TrustedCa(Feature[TrustedCaOptions]):
    """The root of an authority among the guests, or roots of the folder, in the system's store."""

    name = "trusted_ca"
    options = TrustedCaOptions

    def flaws(self, options: TrustedCaOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """An authority that is none, or that this guest does not depend on."""
        if not _asks(options):
            return ()
        return list(_acme.flaws(("from",), options.source, guest, desired))

    def inputs(
        self, options: TrustedCaOptions, guest: Guest, desired: Desired
    ) -> Mapping[str, Any]:
        """Where the root is asked for. Raises `ConfigError` for flaws."""
        if not _asks(options):
            return {"authority": None}
        refuse(_acme.flaws(("from",), options.source, guest, desired))
        found = _acme.authority(options.source, desired, f"{guest.name} trusts it")
        return {"authority": found.told()}

    def files(self, options: TrustedCaOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        """Certificates that are files."""
        return [
            own(folder / text, folder) for text in options.certificates if PEM_START not in text
        ]

    def reaches(
        self, options: TrustedCaOptions, guest: Guest, desired: Desired
    ) -> Sequence[tuple[Address, int | None]]:
        """The authority."""
        if not _asks(options):
            return ()
        return [(_acme.owner(options.source, desired).address, None)]

    def deploy(self, options: TrustedCaOptions, inside: Inside) -> None:
        """Writes them where update-ca-certificates(8) looks."""
        from phoenix_hypervisor.features import _system

        _system.install("ca-certificates", "curl")
        wanted: dict[str, str] = {}
        told = inside.inputs["authority"]
        if told is not None:
            path = f"{_acme.TRUSTED}/{AUTHORITY}"
            wanted[AUTHORITY] = _acme.fetch_root(told, options.fingerprint, path)
        for text in options.certificates:
            pem, where = text, "trusted_ca.certificates"
            if PEM_START not in text:
                pem, where = own(inside.folder / text, inside.folder).read_text(), text
            for name, one in certificates(pem, where).items():
                wanted[name.replace("phoenix-ca-", PREFIX)] = one
        _acme.trust(wanted, PREFIX)


def _asks(options: TrustedCaOptions) -> bool:
    return options.source is not None or not options.certificates
