"""Reads all files of a folder into words, one guest at a time, so that no mistake hides another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from phoenix_hypervisor.config import told
from phoenix_hypervisor.config.document import Document, Pointer, read_document
from phoenix_hypervisor.config.folder import (
    CLOUD,
    HYPERVISOR,
    LXC,
    VM,
    AnyEntry,
    Entry,
    Folder,
    Spot,
    Vocabulary,
)
from phoenix_hypervisor.config.judge import judge
from phoenix_hypervisor.config.options import Options, known_features, split
from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.cloud import CloudFile
from phoenix_hypervisor.config.words.hypervisor import HypervisorFile
from phoenix_hypervisor.config.words.lxc import Container, LxcFile
from phoenix_hypervisor.config.words.vm import Machine, VmFile
from phoenix_hypervisor.model.problem import Problem

W = TypeVar("W", bound=Words)
G = TypeVar("G", Container, Machine)


@dataclass
class _Reading:
    """The work of reading one folder."""

    path: Path
    vocabulary: Vocabulary
    problems: list[Problem] = field(default_factory=list)
    spots: dict[str, Spot] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)

    @cached_property
    def _features(self) -> tuple[str, ...]:
        return tuple(known_features(self.vocabulary))

    def file(self, name: str, model: type[W]) -> W:
        """One file's words; those of an empty file where it isn't there or is hopeless."""
        document = read_document(self.path, name)
        if document is None:
            self.spots[name] = Spot(Document(name))
            return model()
        self.problems.extend(document.problems)
        if document.broken:
            self.broken.add(name)
            self.spots[name] = Spot(Document(name))
            return model()
        judged = judge(model, document.value, document, lambda path: path)
        self.problems.extend(judged.problems)
        self.spots[name] = Spot(document, (), judged.original)
        return judged.model or model()

    def containers(self, words: LxcFile) -> list[AnyEntry]:
        """The containers that have a usable id."""
        found: list[AnyEntry] = []
        document = self.spots[LXC].document
        for key, raw in words.lxc_configs.items():
            base: Pointer = ("lxc_configs", key)
            if not (key.isascii() and key.isdigit() and 0 < int(key) <= 999_999_999):  # noqa: PLR2004 - the most that Proxmox VE takes
                message = f'"{key}" is not the id of a container'
                hint = 'containers are keyed by a number, such as "101"'
                self.problems.append(document.problem("error", base, message, hint, key=True))
                self.lost.append(key)
                self._guest(raw, Container, document, base)
                continue
            if str(int(key)) != key:
                message = f'"{key}" starts with a zero'
                hint = f'write "{int(key)}"'
                self.problems.append(document.problem("error", base, message, hint, key=True))
            read = self._guest(raw, Container, document, base)
            if read is None:
                self.lost.append(key)
                continue
            container, options, spot = read
            found.append(Entry("lxc", int(key), container, spot, *options))
        return found

    def machines(self, words: VmFile) -> list[AnyEntry]:
        """The virtual machines that have a usable id."""
        found: list[AnyEntry] = []
        document = self.spots[VM].document
        for index, raw in enumerate(words.vms):
            base: Pointer = ("vms", index)
            read = self._guest(raw, Machine, document, base)
            if read is None:
                self.lost.append(f"the virtual machine in entry {index + 1}")
                continue
            machine, options, spot = read
            if machine.vmid is None:
                self.lost.append(f"the virtual machine in entry {index + 1}")
                if "vmid" not in raw or raw["vmid"] in (None, "", "NOT_SET"):
                    hint = 'give it a number, such as "vmid": 201'
                    self.problems.append(spot.error((), "`vmid` is missing", hint))
                continue
            found.append(Entry("vm", machine.vmid, machine, spot, *options))
        return found

    def _guest(
        self, raw: Any, model: type[G], document: Document, base: Pointer
    ) -> tuple[G, tuple[Any, Any], Spot] | None:
        """One guest's words, its features and checks, and its place."""
        if not isinstance(raw, Mapping):
            message = f"a guest must be an object, but this is {told.show(raw)}"
            self.problems.append(document.problem("error", base, message, "write { … }"))
            return None
        own, beside = split(raw, model, self.vocabulary)
        judged = judge(model, own, document, lambda path: (*base, *path), also=self._features)
        self.problems.extend(judged.problems)
        if judged.model is None:
            return None
        spot = Spot(document, base, judged.original)
        options = Options(judged.model, beside, spot, self.vocabulary, self.problems)
        return judged.model, (options.features(), options.checks()), spot


def read(
    path: Path,
    vocabulary: Vocabulary,
    on: str | None,
    known_secrets: Callable[[str], bool] | None = None,
) -> tuple[Folder, list[Problem]]:
    """All files of a folder as words, and what is wrong with each word by itself."""
    reading = _Reading(path, vocabulary)
    host = reading.file(HYPERVISOR, HypervisorFile)
    lxc = reading.file(LXC, LxcFile)
    vm = reading.file(VM, VmFile)
    cloud = reading.file(CLOUD, CloudFile)
    guests = [*reading.containers(lxc), *reading.machines(vm)]
    folder = Folder(
        path=path,
        vocabulary=vocabulary,
        on=on,
        host=host,
        lxc=lxc,
        vm=vm,
        cloud=cloud,
        spots=reading.spots,
        guests=tuple(guests),
        broken=frozenset(reading.broken),
        lost=tuple(reading.lost),
        known_secrets=known_secrets,
    )
    return folder, reading.problems
