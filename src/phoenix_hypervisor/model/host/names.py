"""Names and certificates inside: DNS and a certificate authority."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """Names."""
