"""The JSON documents that commands print with `--json` and the dashboard's API answers with."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phoenix_hypervisor.app.health import Health
from phoenix_hypervisor.app.undo import Listed
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.plan import Plan
from phoenix_hypervisor.plan import as_json
from phoenix_hypervisor.plan.options import Options


def health(guests: Sequence[Health], *, real: bool) -> dict[str, Any]:
    """Of `status` and `check`: every guest with its state, addresses and checks.

    `real` False: on the simulated node, where no check can be asked.
    """
    return {
        "format": 1,
        "simulated": not real,
        "guests": [
            {
                "address": guest.address,
                "name": guest.name,
                "state": guest.state,
                "managed": guest.managed,
                "healthy": guest.healthy,
                "left_out": guest.left_out,
                "addresses": list(guest.seen.addresses) if guest.seen else [],
                "checks": [
                    {
                        "name": check.title,
                        "kind": check.kind,
                        "ok": outcome.ok,
                        "latency_ms": outcome.latency_ms,
                        "message": outcome.message,
                    }
                    for check, outcome in guest.answers
                ],
            }
            for guest in guests
        ],
    }


def snapshots(desired: Desired, found: Listed, untold: Mapping[Address, str]) -> dict[str, Any]:
    """`snapshot --list`."""
    names = desired.guests
    told: list[dict[str, Any]] = [
        {
            "address": address,
            "name": names[address].name,
            "snapshots": [
                {
                    "name": one.name,
                    "taken": one.taken.isoformat() if one.taken else None,
                    "ours": one.stack == desired.stack,
                    "whole": one.whole,
                    "newer_to_delete": list(one.above),
                    "volumes_left_out": list(one.left),
                }
                for one in taken
            ],
        }
        for address, taken in found.items()
    ]
    told += [
        {"address": address, "name": names[address].name, "snapshots": None, "problem": why}
        for address, why in untold.items()
    ]
    return {"format": 1, "guests": told}


class _Asked(BaseModel):
    """What a plan was made for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    targets: list[str] = Field(default_factory=list)
    prune: bool = False
    reconfigure: list[str] = Field(default_factory=list)


def plan(found: Plan, options: Options) -> dict[str, Any]:
    """`plan`: with what it was asked for, so that it can be made again."""
    asked = _Asked(
        targets=sorted(options.targets),
        prune=options.prune,
        reconfigure=sorted(options.reconfigure),
    )
    return as_json.dump(found) | {"options": asked.model_dump()}


def read_plan(document: Any, where: str) -> tuple[Plan, Options]:
    """What `plan` gave. Raises `UsageError` for everything else; `where` it came from."""
    found = as_json.load(document)
    try:
        asked = _Asked.model_validate(document.get("options", {}))
    except ValidationError as error:
        raise UsageError(
            f"the saved plan {where} is damaged: its options are not right",
            hint="make it again with `phoenix plan --out FILE`",
        ) from error
    return found, Options(
        targets=frozenset(map(Address, asked.targets)),
        prune=asked.prune,
        reconfigure=frozenset(map(Address, asked.reconfigure)),
    )
