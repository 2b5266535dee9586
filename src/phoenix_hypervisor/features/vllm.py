"""vLLM: language models on graphics cards, with an API like OpenAI's; on the CPU for trying."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from phoenix_hypervisor.features import _hub
from phoenix_hypervisor.features._engine_units import (
    EngineUnit,
    bring_up,
    card_groups,
    check_keys,
    checked_key,
    visible_cards,
)
from phoenix_hypervisor.features._engine_words import answer_checks, engines, listens, unit_at
from phoenix_hypervisor.features._gguf import models_folder
from phoenix_hypervisor.features._main_memory import too_little
from phoenix_hypervisor.features._release import own
from phoenix_hypervisor.features._take import NewFile
from phoenix_hypervisor.features._vllm_claim import claim, in_memory
from phoenix_hypervisor.features._vllm_install import forget_others, install, without_cuda
from phoenix_hypervisor.features._vllm_names import NOT_HERE, nearest, version_of
from phoenix_hypervisor.features._vllm_options import VllmOptions, VllmServer
from phoenix_hypervisor.features._vllm_unit import (
    PREFIX,
    SETTINGS,
    Running,
    environment,
    environment_path,
    template_path,
    unit_text,
)
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, Flaw, Inside
from phoenix_hypervisor.model.gpu import Claim
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import Engine

WHAT = "vLLM servers"
_OF_CHAT = (
    "enable_auto_tool_choice",
    "tool_call_parser",
    "reasoning_parser",
    "chat_template",
    "chat_template_file",
    "response_role",
    "speculative_config",
)
_Place = tuple[str | int, ...]


class Vllm(Feature[VllmOptions]):
    """`vllm serve`, one systemd unit for each model, in one environment that uv makes."""

    name = "vllm"
    options = VllmOptions
    units = (f"{PREFIX}*.service",)
    sets = ("api_key", "servers/*/api_key")

    def flaws(self, options: VllmOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Options that don't go together, names that are nearly vLLM's, and too little memory."""
        on_cpu = [
            in_memory(server, _at(options, index))
            for index, server in enumerate(options.all)
            if without_cuda(options)
        ]
        return [*_flaws(options), *too_little([one for one in on_cpu if one], guest)]

    def files(self, options: VllmOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        """Chat templates of the folder."""
        named = (server.chat_template_file for server in options.all)
        return [own(folder / path, folder) for path in named if path]

    def checks(self, options: VllmOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """Every model answers inside."""
        return answer_checks(options.all, guest)

    def unit_at(self, options: VllmOptions, port: int) -> str:
        """Each server has its own."""
        return unit_at(options.all, PREFIX, port)

    def engines(self, options: VllmOptions, guest: Guest, desired: Desired) -> Sequence[Engine]:
        """One for each server."""
        return engines(self.name, options.all)

    def listens(self, options: VllmOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """One for each server."""
        return listens(self.name, options.all, among=bool(options.servers))

    def claims(self, options: VllmOptions, guest: Guest, desired: Desired) -> Sequence[Claim]:
        """Each server's share of its cards; a build for the CPU takes nothing."""
        if without_cuda(options):
            return []
        return [
            claim(server, (self.name, *_at(options, index)))
            for index, server in enumerate(options.all)
        ]

    def deploy(self, options: VllmOptions, inside: Inside) -> None:
        """Installs vLLM, fetches models, then restarts exactly the servers that differ."""
        from phoenix_hypervisor.features import _system

        check_keys({server.title: server.api_key for server in options.all}, inside)
        home = install(options)
        folder = models_folder(options.models_directory, inside.guest)
        cards = bool(inside.guest.gpus or inside.guest.pci) and not without_cuda(options)
        groups = card_groups() if cards and options.all else ()
        _system.folder("/etc/phoenix")
        _system.folder(SETTINGS, mode="711")
        units = []
        for server in options.all:
            running = Running(
                server,
                home,
                _model(server, options, folder, inside),
                version_of(options.package),
                cards,
                visible_cards(server.gpus, inside.guest) if cards else None,
                groups,
            )
            units.append(_unit(running, inside))
        bring_up(WHAT, PREFIX, units, leaves=_leaves)
        forget_others(home, options.uv)


def _at(options: VllmOptions, index: int) -> _Place:
    """The way from the options to a server's words."""
    return ("servers", index) if options.servers else ()


def _flaws(options: VllmOptions) -> Iterator[Flaw]:
    for index, server in enumerate(options.all):
        at = _at(options, index)
        for name in server.more:
            if name in NOT_HERE:
                yield Flaw(f"`{name}` can't be given here: {NOT_HERE[name]}", (*at, name))
            elif (meant := nearest(name, type(server).model_fields)) is not None:
                yield Flaw(
                    f"`{name}` is not a known word",
                    (*at, name),
                    hint=f"did you mean `{meant}`? An option of vLLM's that is called so all the "
                    "same belongs into extra_args",
                )
        given = {*server.model_fields_set, *server.more}
        if server.serves != "chat":
            for name in (name for name in _OF_CHAT if name in given):
                yield Flaw(
                    f"{server.title} is for {server.serves}: `{name}` is for chat models only",
                    (*at, name),
                    hint='take it out, or write "kind": "chat"',
                )
        if server.enable_auto_tool_choice and server.tool_call_parser is None:
            yield Flaw(
                "enable_auto_tool_choice needs tool_call_parser, which says how the model's calls "
                "are read",
                (*at, "enable_auto_tool_choice"),
                hint='such as "tool_call_parser": "hermes" for Qwen2.5',
            )
        elif server.tool_call_parser is not None and not server.enable_auto_tool_choice:
            yield Flaw(
                "tool_call_parser does nothing without enable_auto_tool_choice",
                (*at, "tool_call_parser"),
                hint='add "enable_auto_tool_choice": true',
            )
        if server.gpus and without_cuda(options):
            yield Flaw(
                f"{options.package} is a build for the CPU: it uses no graphics card",
                (*at, "gpus"),
            )


def _model(server: VllmServer, options: VllmOptions, folder: str, inside: Inside) -> str:
    """Makes the model be in the guest: what vLLM is told to load."""
    from phoenix_hypervisor.features import _system

    if server.from_hub:
        return _hub.bring(
            server.model,
            server.revision,
            folder,
            endpoint=options.hub_endpoint,
            token=inside.reveal(options.hf_token) if options.hf_token else None,
            patterns=server.files,
        )
    path = server.model
    if path.startswith("/") and not _system.ask(
        f"test -e {shlex.quote(path)} && echo there || true"
    ):
        raise ConfigureFailed(
            f"the guest has no {path}",
            hint="mend vllm.model, or mount the volume that holds it",
        )
    return path


def _unit(running: Running, inside: Inside) -> EngineUnit:
    server = running.server
    key = server.api_key
    more = {
        name: inside.reveal(value) if isinstance(value, Secret) else value
        for name, value in server.environment.items()
    }
    token = checked_key(inside.reveal(key), server.title) if key is not None else None
    files = [
        NewFile(running.path, unit_text(running)),
        NewFile(environment_path(server.title), environment(running, more, token), "600"),
    ]
    if server.chat_template_file is not None:
        source = own(inside.folder / server.chat_template_file, inside.folder)
        files.append(NewFile(template_path(server.title), source.read_text(encoding="utf-8")))
    return EngineUnit(running.unit, tuple(files), running.health, server.start_s)


def _leaves(title: str) -> tuple[str, ...]:
    return (environment_path(title), template_path(title))
