"""The words of `phoenix_cloud_configs.json`: servers, names and tunnels outside the house."""

from typing import Annotated, Any

from pydantic import Field

from phoenix_hypervisor.config.words.base import Later, Words

Free = dict[str, Any]


class CloudFile(Words):
    """The edge."""

    linode: Annotated[Free, Later()] = Field(default_factory=dict, description="Linode servers.")
    cloudflare: Annotated[Free, Later()] = Field(
        default_factory=dict, description="Cloudflare's zones, records and tunnels."
    )
