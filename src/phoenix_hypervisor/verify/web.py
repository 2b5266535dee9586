"""What all checks that ask over HTTP have in common: where the question goes."""

from typing import Literal

from pydantic import Field

from phoenix_hypervisor.model.check import Check


class WebCheck(Check):
    """Base of checks that ask a web server."""

    scheme: Literal["http", "https"] = Field("http", description="`https` asks over TLS.")
    port: int | None = Field(
        None, ge=1, le=65535, description="By default the scheme's own: 80 or 443."
    )
    host: str | None = Field(
        None,
        min_length=1,
        description="Host name to ask for (also for TLS); connects to the guest all the same.",
    )
    address: str | None = Field(
        None,
        min_length=1,
        description="Where to connect: by default the guest's address, from inside 127.0.0.1.",
    )
    verify_tls: bool = Field(True, description="Whether the certificate must be trusted.")

    @property
    def _port(self) -> int:
        return self.port or (443 if self.scheme == "https" else 80)
