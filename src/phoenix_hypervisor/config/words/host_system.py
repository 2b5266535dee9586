"""Words of the host's own software: package sources, updates, microcode, the CPU's governor."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.values import choice, shaped
from phoenix_hypervisor.model.package_pattern import package_pattern

Clock = Annotated[
    str, shaped(r"([01][0-9]|2[0-3]):[0-5][0-9]", "a time of the day", "such as 03:30")
]
Pattern = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9.^*+?|()\[\]_-]{1,100}\$?",
        "the name of a package",
        "a package, or a regular expression such as ^proxmox-kernel",
    ),
    AfterValidator(package_pattern),
]
Governor = Annotated[
    str, shaped(r"[a-z][a-z0-9_]{0,15}", "a governor", "such as performance, powersave, schedutil")
]


class SecurityUpdates(Words):
    """Security updates that install themselves every day."""

    also: list[Annotated[Literal["updates", "proxmox"], choice("updates", "proxmox")]] = Field(
        default_factory=list,
        description="What is installed beside security updates: `updates` (Debian's other updates "
        "of this release), `proxmox` (Proxmox VE's own packages).",
    )
    keep: list[Pattern] = Field(
        default_factory=list, description="Packages that are never updated by themselves."
    )
    reboot_at: Clock | None = Field(
        None,
        description="When the machine restarts by itself after an update that needs it, as "
        "`03:30`; never where missing.",
    )


@dataclass(frozen=True, slots=True)
class _YesOrHow:
    """True is the same as a map with nothing in it, and false as no word at all."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "boolean"}, handler(schema)]}

    @staticmethod
    def read(value: object) -> object:
        if value is True:
            return {}
        return None if value is False else value


_YES_OR_HOW = _YesOrHow()


class HostSystem(Words):
    """The host's own software."""

    repositories: Annotated[
        Literal["no-subscription", "enterprise"] | None, choice("no-subscription", "enterprise")
    ] = Field(
        None,
        description="Where Proxmox VE's packages come from: `no-subscription` or `enterprise`; "
        "left alone where missing. Debian's own sources are always left alone.",
    )
    security_updates: Annotated[SecurityUpdates | None, _YES_OR_HOW] = Field(
        None, description="Whether security updates install themselves, or how: a map."
    )
    microcode: bool = Field(False, description="Whether the CPU's microcode is kept up to date.")
    cpu_governor: Governor | None = Field(
        None, description="How the CPU chooses its speed, such as `performance`."
    )
