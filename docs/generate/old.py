"""The words of the old files that still work, and what to write today, read from the models."""

from collections.abc import Iterator

from pydantic import AliasChoices, BaseModel

from phoenix_hypervisor.config.models import inner, key_of
from phoenix_hypervisor.config.words.base import Old, Unused, Words
from phoenix_hypervisor.config.words.cloud import CloudFile
from phoenix_hypervisor.config.words.hypervisor import HypervisorFile
from phoenix_hypervisor.config.words.lxc import Container, LxcFile
from phoenix_hypervisor.config.words.vm import Machine, VmFile

_FILES: dict[str, tuple[type[Words], ...]] = {
    "the hypervisor": (HypervisorFile,),
    "a container": (LxcFile, Container),
    "a virtual machine": (VmFile, Machine),
    "the cloud": (CloudFile,),
}


def old_words() -> str:
    """A table of old words, where they stand, and their words of today."""
    found: dict[tuple[str, str], list[str]] = {}
    for where, tops in _FILES.items():
        for model in _models(*tops):
            for old, instead in _old(model):
                found.setdefault((old, instead), []).append(where)
    rows = [
        f"| `{old}` | {' and '.join(dict.fromkeys(where))} | {instead} |"
        for (old, instead), where in found.items()
    ]
    return "\n".join(["| old | of | today |", "|---|---|---|", *rows]) + "\n"


def _models(*tops: type[BaseModel]) -> list[type[BaseModel]]:
    """The models that a file uses, each once."""
    found: list[type[BaseModel]] = []
    waiting = list(tops)
    while waiting:
        model = waiting.pop(0)
        if model not in found:
            found.append(model)
            for field in model.model_fields.values():
                waiting += inner(field.annotation)
    return found


def _old(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        key = key_of(name, field)
        for mark in field.metadata:
            if isinstance(mark, Old):
                yield key, mark.instead
            elif isinstance(mark, Unused):
                yield key, "nothing: it is not needed any more"
        if isinstance(field.validation_alias, AliasChoices):
            for other in field.validation_alias.choices[1:]:
                yield str(other), f"`{key}`"
