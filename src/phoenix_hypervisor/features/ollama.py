"""Ollama: models pulled by name, loaded when they are asked for, unloaded when they are idle."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phoenix_hypervisor.features import _fetch
from phoenix_hypervisor.features._engine_units import (
    accept_script,
    card_groups,
    undo_script,
    visible_cards,
)
from phoenix_hypervisor.features._engine_words import address_inside, unhurried
from phoenix_hypervisor.features._ollama_unit import (
    HOME,
    INSTALLED,
    UNIT,
    USER,
    OllamaModel,
    OllamaOptions,
    Running,
    store,
)
from phoenix_hypervisor.features._take import take
from phoenix_hypervisor.model import llm_bits, llm_memory
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, Flaw, Inside
from phoenix_hypervisor.model.gpu import Claim, Said
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.llm_memory import LLAMA_CPP_RUNTIME_MB, Estimate
from phoenix_hypervisor.model.serving import Engine, ServedModel

PROGRAMS = "/opt/ollama"
SYNC = "/usr/local/lib/phoenix/ollama_sync.py"
CONTEXT = 4096
"""Tokens that Ollama gives a model where nothing else is said."""
QUANTISATION = "Q4_K_M"
"""What its library keeps chat models in where the tag says nothing else."""


class Ollama(Feature[OllamaOptions]):
    """`ollama serve`, with the models of the files and an OpenAI-compatible API beside its own."""

    name = "ollama"
    options = OllamaOptions
    units = (UNIT,)

    def flaws(self, options: OllamaOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Cards that the guest does not have."""
        if guest.kind != "lxc":
            return ()
        strange = [number for number in options.gpus or () if number not in guest.gpus]
        if not strange:
            return ()
        cards = ", ".join(map(str, guest.gpus)) or "none"
        hint = f"gpu_assignment has {cards}: add it there, or take it out here"
        message = f"Ollama wants graphics card {strange[0]}, which {guest.name} does not have"
        return (Flaw(message, ("gpus",), hint=hint),)

    def checks(self, options: OllamaOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """Its first model answers inside; without one, the server itself."""
        address = address_inside(options.host).strip("[]")
        words: dict[str, Any] = {"port": options.port, "address": address, "from": "inside"}
        if not options.models:
            return ({"http": words | {"path": "/api/version", "status": 200}},)
        first = options.models[0]
        words |= {"model": first.name, "kind": first.kind, "deadline_s": 600.0}
        return ({"llm": words | unhurried(guest, first.kind)},)

    def engines(self, options: OllamaOptions, guest: Guest, desired: Desired) -> Sequence[Engine]:
        """One server with all models. It asks nobody for a key."""
        models = tuple(ServedModel(model.name, model.kind) for model in options.models)
        return (Engine(feature=self.name, port=options.port, models=models),)

    def listens(self, options: OllamaOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """Its only port."""
        return (Listen(options.port, ("port",), address=str(options.host or "") or None),)

    def claims(self, options: OllamaOptions, guest: Guest, desired: Desired) -> Sequence[Claim]:
        """Its largest models, as many as it may load at once (one, where that isn't told).

        Ollama unloads idle models before it takes more than there is, so the largest one must fit.
        """
        cards = len(options.gpus) if options.gpus is not None else len(guest.gpus or guest.pci)
        if not cards:
            return ()
        found = [_estimate(model, options, cards) for model in options.models]
        known = sorted(
            ((one.per_card_mb, one.told) for one in found if one.per_card_mb is not None),
            reverse=True,
        )
        need, told = known[0] if known else (None, "how large its models are is not known")
        at_once = sum(mb for mb, _ in known[: options.max_loaded_models or 1]) or None
        return (
            Claim(
                what="ollama",
                cards=cards,
                memory_mb=options.gpu_memory_mb or at_once,
                need_mb=need,
                told=told,
                index=options.gpus or (),
                said=Said(
                    model=(self.name, "models"),
                    context=(self.name, "context") if options.context else (),
                    given=(self.name, "gpu_memory_mb") if options.gpu_memory_mb else (),
                ),
            ),
        )

    def deploy(self, options: OllamaOptions, inside: Inside) -> None:
        """Brings the program, runs it, then pulls, makes and removes models."""
        from phoenix_hypervisor.features import _system

        _system.install("python3", "ca-certificates")
        _user()
        program = _program(options)
        folder = store(options, inside.guest)
        _system.folder(folder, user=USER, group=USER)
        running = _running(options, inside.guest, program, folder)
        unit = running.unit
        accept, undo = accept_script([unit], []), undo_script([unit], [])
        take("Ollama", unit.files, accept=accept, undo=undo)
        _system.service(UNIT)
        _sync(options, running, inside.guest)
        _forget_programs(program)


def _estimate(model: OllamaModel, options: OllamaOptions, cards: int) -> Estimate:
    name = model.base or model.name
    own = model.parameters.get("num_ctx")
    plain = model.kind == "chat" and llm_bits.in_name(name) is None
    return llm_memory.estimate(
        name,
        quantization=QUANTISATION if plain else None,
        context=own if isinstance(own, int) else options.context or CONTEXT,
        sequences=options.parallel or 1,
        cards=cards,
        kv_dtype=options.kv_cache_type,
        runtime_mb=LLAMA_CPP_RUNTIME_MB,
    )


def _user() -> None:
    """Makes the user, unless the installer did."""
    from phoenix_hypervisor.features import _system

    if not _system.ask(f"getent passwd {USER} || true"):
        _system.service_user(USER, HOME)


def _program(options: OllamaOptions) -> str:
    """Makes the program be in the guest: its path there."""
    from pyinfra.operations import files

    from phoenix_hypervisor.features import _system

    if options.version is None:
        path = options.path or INSTALLED
        if not _system.ask(f"test -x {path} && echo there || true"):
            raise ConfigureFailed(
                f"the guest has no program {path}",
                hint="give ollama.version and ollama.checksum to have one installed, or mend "
                "ollama.path",
            )
        return path
    home = f"{PROGRAMS}/{options.version}-{_fetch.key(options.archive, options.checksum)}"
    if not _system.ask(f"test -e {home} && echo there || true"):
        archive = f"{home}.{options.archive.partition('?')[0].rpartition('/')[2]}"
        what = f"Ollama {options.version}"
        _fetch.download(what, options.archive, archive, checksum=options.checksum)
        _fetch.unpack_archive(archive, home)
        _system.no_file(archive)
    program = f"{home}/bin/ollama"
    if not _system.ask(f"test -x {program} && echo there || true"):
        raise ConfigureFailed(
            f"the archive {options.archive} holds no bin/ollama", hint="mend ollama.url"
        )
    files.link(name="Let people call ollama", path="/usr/local/bin/ollama", target=program)
    return program


def _forget_programs(used: str) -> None:
    """Removes the releases before this one."""
    from phoenix_hypervisor.features import _system

    there = _system.ask(f"ls {PROGRAMS} 2>/dev/null || true").splitlines()
    old = [name for name in there if not used.startswith(f"{PROGRAMS}/{name}/")]
    if old:
        gone = shlex.join(f"{PROGRAMS}/{name}" for name in old)
        _system.run("Remove the Ollama before this one", f"rm -rf {gone}")


def _running(options: OllamaOptions, guest: Guest, program: str, folder: str) -> Running:
    # Of no card at all there is nothing to number, but it is a choice.
    devices = None if options.gpus is None else visible_cards(options.gpus, guest) or ()
    groups = card_groups() if guest.gpus or guest.pci else ()
    return Running(options, program, folder, devices, groups)


def _sync(options: OllamaOptions, running: Running, guest: Guest) -> None:
    """Pulls, makes and removes models, where there is anything to do."""
    from phoenix_hypervisor.features import _system

    script = Path(__file__).with_name("_ollama_sync.py").read_text()
    _system.folder(str(Path(SYNC).parent))
    _system.text_file(SYNC, script)
    asked = {
        "base": running.url,
        "models": [model.wanted() for model in options.models],
        "state": f"{running.store}/phoenix-{guest.kind}-{guest.id}-{guest.name}.json",
        "store": running.store,
    }
    # Not run from the file: where only differences are told, it isn't there yet.
    look = f"python3 -c {shlex.quote(script)} look"
    steps = _system.ask(look, stdin=json.dumps(asked)).splitlines()
    if steps:
        _system.run(", ".join(steps), f"python3 {SYNC} run", stdin=json.dumps(asked))
