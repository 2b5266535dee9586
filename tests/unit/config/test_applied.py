"""No word is silently ignored: each is read by what makes the desired state, or marked."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pydantic import BaseModel

from phoenix_hypervisor import config
from phoenix_hypervisor.config import models
from phoenix_hypervisor.config.words.base import Later, Note, Old, Unused
from phoenix_hypervisor.config.words.hypervisor import HypervisorFile
from phoenix_hypervisor.config.words.lxc import Container, LxcFile
from phoenix_hypervisor.config.words.vllm import OldVllm
from phoenix_hypervisor.config.words.vm import Machine, VmFile

MADE_BY = (
    "desire/*.py",
    "desire/hosts/*.py",
    "sizes.py",
    "networks.py",
    "folder.py",
    "options.py",
    "reading.py",
    "replicas.py",
    "stacks.py",
)
MARKS = Later | Note | Old | Unused


def _words(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[tuple[str, str]]:
    """Model and name of all words that bear no mark, but not below those that do."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        if name in OldVllm.model_fields or any(isinstance(m, MARKS) for m in field.metadata):
            continue  # vLLM's old words are read by name from one table
        yield model.__name__, name
        for below in models.inner(field.annotation):
            yield from _words(below, seen)
    extra = model.__annotations__.get("__pydantic_extra__")
    for below in models.inner(extra):
        yield from _words(below, seen)


@cache
def _read() -> set[str]:
    home = Path(config.__file__).parent
    return {
        node.attr
        for pattern in MADE_BY
        for path in home.glob(pattern)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }


ALL = sorted(
    {
        word
        for model in (HypervisorFile, LxcFile, VmFile, Container, Machine)
        for word in _words(model, set())
    }
)


@pytest.mark.parametrize(("model", "name"), ALL)
def test_every_word_is_used_or_told(model: str, name: str) -> None:
    assert name in _read(), f"{model}.{name} is read by nobody: use it, or mark it `Later`"


def test_words_that_are_only_carried_are_marked() -> None:
    """The desired state holds these too, but no driver and no feature does anything with them."""
    told = {
        name
        for model in (Container, Machine)
        for name, field in model.model_fields.items()
        if any(isinstance(mark, Later) for mark in field.metadata)
    }
    assert {"ports", "portainer_role", "tests"} <= told
