"""Docker: the engine and compose in a guest, and the stacks that run there."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from phoenix_hypervisor.features import _docker_engine as engine
from phoenix_hypervisor.features import _docker_folder as folders
from phoenix_hypervisor.features._docker_options import KEY_START, OWN_WORDS, DockerOptions
from phoenix_hypervisor.features._docker_ports import published
from phoenix_hypervisor.features._docker_tool import TOOL
from phoenix_hypervisor.features._guests import Place, find, reached, static_ip, unreachable
from phoenix_hypervisor.features._release import listed, own
from phoenix_hypervisor.features._restarting import lasting_service
from phoenix_hypervisor.features._take import NewFile, take
from phoenix_hypervisor.features._words import AddressOf
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, Flaw, Inside
from phoenix_hypervisor.model.listen import Listen

_REMAP = "userns-remap"


class Docker(Feature[DockerOptions]):
    """The engine, proven by a container, and compose projects that are brought up healthy."""

    name = "docker"
    options = DockerOptions
    units = ("docker.socket", "docker.service", "containerd.service")

    def leave_script(self) -> str:
        """Its containers end too: with `live_restore` they would outlive the engine."""
        stop = "docker ps -q 2>/dev/null | xargs -r docker stop >/dev/null\n"
        return stop + super().leave_script()

    def flaws(self, options: DockerOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Stacks without folder or compose file, files that are no YAML, names used twice."""
        return [
            *_flaws(options, desired.folder),
            *unreachable(_wanted(options), desired, f"a stack of {guest.name} connects to it"),
        ]

    def inputs(self, options: DockerOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        """Addresses of guests that stacks name, by project and variable."""
        why = f"a stack of {guest.name} connects to it"
        return {
            "addresses": {
                stack.called: {
                    name: static_ip(find(value.address_of, desired), why)
                    for name, value in stack.variables.items()
                    if isinstance(value, AddressOf)
                }
                for stack in options.stacks
            }
        }

    def reaches(
        self, options: DockerOptions, guest: Guest, desired: Desired
    ) -> Sequence[tuple[Address, int | None]]:
        """The guests that variables of its stacks name."""
        values = (value for stack in options.stacks for value in stack.variables.values())
        return list(reached(values, desired))

    def listens(self, options: DockerOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """What the stacks publish."""
        return [
            Listen(
                port.port,
                ("stacks", index),
                f"the stack {stack.called}",
                port.address or None,
                port.protocol,
            )
            for index, stack in enumerate(options.stacks)
            for port in published(desired.folder, stack)
        ]

    def files(self, options: DockerOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        """The stacks' files, and the key of the package repository."""
        taken: list[Path] = []
        for stack in options.stacks:
            found = folders.find(folder, stack.name)
            if found is not None:
                taken += listed(*found)
            elif not stack.optional:
                taken.append(folder / "stacks" / stack.name)
        if options.repository and KEY_START not in options.repository.key:
            taken.append(own(folder / options.repository.key, folder))
        return taken

    def checks(self, options: DockerOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """A container runs, and so do the services of each stack."""
        proof = {"command": engine.PROOF, "contains": "tini"}
        stacks = [
            f"phoenix-stack {stack.called} healthy"
            if not stack.optional
            else f"! {TOOL} {stack.called} ps -q >/dev/null 2>&1 || {TOOL} {stack.called} healthy"
            for stack in options.stacks
        ]
        return [{"command": proof}, *({"command": {"command": words}} for words in stacks)]

    def deploy(self, options: DockerOptions, inside: Inside) -> None:
        """Installs the engine, then takes each stack; one that doesn't come up is taken back."""
        from phoenix_hypervisor.features import _docker_deploy

        _install(options, inside)
        _configure(options)
        _log_in(options, inside)
        remade = [_docker_deploy.base_image(image) for image in options.images]
        _docker_deploy.stacks(options, inside, again=any(remade))


def _flaws(options: DockerOptions, folder: Path) -> Iterator[Flaw]:
    projects = Counter(stack.called for stack in options.stacks)
    for index, stack in enumerate(options.stacks):
        if projects[stack.called] > 1:
            message = f"two stacks are called {stack.called}"
            yield Flaw(message, ("stacks", index), hint="give one of them another `project`")
        for message, hint in folders.flaws(folder, stack):
            yield Flaw(message, ("stacks", index), hint=hint)
    tags = Counter(image.tag for image in options.images)
    for index, image in enumerate(options.images):
        if tags[image.tag] > 1:
            yield Flaw(f"two images are called {image.tag}", ("images", index, "tag"))
    for key in options.settings:
        # Another log driver takes other options, which have no word here.
        if key in OWN_WORDS and not (key == "log-opts" and "log-driver" in options.settings):
            yield Flaw(
                f"{key} of daemon.json has a word of its own",
                ("settings", key),
                hint=f"take it out of settings, and write {OWN_WORDS[key]} instead",
            )


def _wanted(options: DockerOptions) -> dict[Place, int | str]:
    return {
        ("stacks", index, "variables", name): value.address_of
        for index, stack in enumerate(options.stacks)
        for name, value in stack.variables.items()
        if isinstance(value, AddressOf)
    }


def _install(options: DockerOptions, inside: Inside) -> None:
    from phoenix_hypervisor.features import _system

    release = _system.os_release()
    wanted = engine.packages(options, release)
    if options.repository:
        _repository(options, inside)
    elif _system.no_file(engine.SOURCES):
        _system.no_file(engine.KEYRING)
    # The engine loads a profile for its containers where the kernel has AppArmor.
    enforced = _system.ask("cat /sys/module/apparmor/parameters/enabled 2>/dev/null || true")
    _system.install(*wanted, *(["apparmor"] if enforced == "Y" else []))


def _repository(options: DockerOptions, inside: Inside) -> None:
    from phoenix_hypervisor.features import _system

    repository = options.repository
    if repository is None:
        return
    key = repository.key
    if KEY_START not in key:
        key = own(inside.folder / key, inside.folder).read_text()
    codename = _system.ask('. /etc/os-release && echo "$VERSION_CODENAME"')
    _system.folder("/etc/apt/keyrings")
    one = _system.text_file(engine.KEYRING, key)
    two = _system.text_file(engine.SOURCES, engine.sources_text(options, codename))
    if one or two:
        _system.install("ca-certificates")
        _system.run(
            "Fetch the package index",
            f"apt-get {_system.APT_PATIENCE} -o Acquire::Retries=3 update",
        )


def _configure(options: DockerOptions) -> None:
    from phoenix_hypervisor.features import _system

    root = options.data_root or engine.DATA_ROOT
    encoded = _system.ask(f"base64 -w0 {engine.DAEMON} 2>/dev/null || true")
    there = base64.b64decode(encoded).decode(errors="replace")  # to the last newline
    before = engine.read_json(there)
    _refuse_to_hide(root, remapped=_REMAP in options.settings, before=_REMAP in before)
    probed = _system.ask(engine.probe_script(root))
    driver = engine.storage_driver(options, before, probed)
    if driver == "fuse-overlayfs":
        _system.install("fuse-overlayfs")
    _system.folder("/etc/docker")
    take(
        "Docker configuration",
        [NewFile(engine.DAEMON, engine.daemon_text(options, there, driver))],
        accept=engine.accept_script(vfs=driver == "vfs"),
        undo=engine.UNDO,
    )
    lasting_service("docker")


def _refuse_to_hide(root: str, *, remapped: bool, before: bool) -> None:
    """Volumes that lie elsewhere are never moved, and never hidden by none.

    With user namespaces (`remapped`) the engine keeps all below `<root>/<uid>.<gid>`.
    """
    from phoenix_hypervisor.features import _system

    there = _system.ask("docker info --format '{{.DockerRootDir}}' 2>/dev/null || true")
    same = re.sub(r"/\d+\.\d+$", "", there) == root.rstrip("/")
    if not there or (same and remapped == before):
        return
    if _system.ask("docker volume ls --quiet; docker ps --all --quiet"):
        if same:
            raise ConfigureFailed(
                f"Docker already keeps volumes or containers in {there}, which {_REMAP} would hide",
                hint=f"leave {_REMAP} of docker.settings as it was, or remove them by hand first",
            )
        raise ConfigureFailed(
            f"Docker already keeps volumes or containers in {there}",
            hint=f"stop it and move that to {root} by hand, or set docker.data_root to {there}: "
            "Phoenix never moves data",
        )


def _log_in(options: DockerOptions, inside: Inside) -> None:
    """Writes who the client is; what was written by hand beside it stays."""
    from phoenix_hypervisor.features import _system

    logins = {
        login.registry: (login.username, inside.reveal(login.password)) for login in options.logins
    }
    own = _system.ask(f"cat {engine.OWN_LOGINS} 2>/dev/null || true").split()
    if not logins and not own:
        return
    before = _system.ask(f"cat {engine.CLIENT} 2>/dev/null || true")
    _system.folder("/root/.docker", mode="700")
    _system.folder("/etc/phoenix")
    # Whatever is interrupted in between: the list never lacks a login that the file may hold.
    text = engine.client_text(before, own, logins)
    _system.text_file(engine.OWN_LOGINS, _lines(dict.fromkeys([*own, *logins])))
    _system.secret_file(engine.CLIENT, text)
    _system.text_file(engine.OWN_LOGINS, _lines(logins))


def _lines(names: Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in names)
