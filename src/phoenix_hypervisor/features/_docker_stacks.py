"""What a compose project needs in the guest, as texts and scripts. Pure.

    /etc/phoenix/stacks/<project>/   compose, environment (both for root alone), services, …
    /opt/stacks/<project>/current    the release that counts; `kept/` holds what services write

Relative paths of a compose file begin at `current`, so that a new release by itself changes no
service. A label says what a service mounts of the release: where that differs, compose makes this
service anew and no other.
"""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phoenix_hypervisor.features._docker_tool import ETC, NOTE, TOOL
from phoenix_hypervisor.features._release import Tree
from phoenix_hypervisor.model.errors import ConfigureFailed

OPT = "/opt/stacks"
LABEL = "phoenix.files"


@dataclass(frozen=True, slots=True)
class Project:
    """How compose is called for one stack. `files` are relative to the release.

    `salt` is the guest's own, so that a label's hash tells nobody a secret that can be guessed.
    """

    name: str
    files: tuple[str, ...]
    variable_files: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    salt: str = field(default="", repr=False)

    @property
    def etc(self) -> str:
        """The folder of what Phoenix writes for it."""
        return f"{ETC}/{self.name}"

    @property
    def base(self) -> str:
        """The folder of its releases."""
        return f"{OPT}/{self.name}"


@dataclass(frozen=True, slots=True)
class Service:
    """A service as compose reads it: what it mounts, and the image that it runs."""

    name: str
    image: str
    built: bool
    files: str
    expected: bool


@dataclass(frozen=True, slots=True)
class Read:
    """What compose makes of the files. `kept`: mounted folders that are not among them."""

    services: tuple[Service, ...] = ()
    kept: tuple[str, ...] = ()


def environment_text(project: Project) -> str:
    """The variables as a shell reads them, each literally.

    Raises `ConfigureFailed` for what no environment can hold.
    """
    lines = []
    for name, value in sorted(project.variables.items()):
        if "\0" in value:
            raise ConfigureFailed(f"the variable {name} holds a NUL character")
        lines.append(f"{name}={shlex.quote(value)}\n")
    return NOTE + "".join(lines)


def compose_text(project: Project, *, release: str | None = None) -> str:
    """The script that calls compose for this project, with its own arguments to follow.

    With `release` it is for one that doesn't count yet: nothing of it lies in /etc.
    """
    root = release or f"{project.base}/current"
    words = ["docker", "compose", "--ansi", "never", "--project-name", project.name]
    words += ["--project-directory", root]
    for name in project.files:
        words += ["--file", f"{root}/{name}"]
    if release is None:
        words += ["--file", f"{project.etc}/labels.json"]
    for name in project.variable_files:
        words += ["--env-file", f"{root}/{name}"]
    for name in project.profiles:
        words += ["--profile", name]
    variables = f". {project.etc}/environment\n" if release is None else environment_text(project)
    return (
        f"#!/bin/sh\n{NOTE}export HOME=/root\nset -a\n{variables}set +a\n"
        f'exec {shlex.join(words)} "$@"\n'
    )


def read(text: str, tree: Tree, project: Project, release: str) -> Read:
    """What `compose config --format json` prints, for the release's own tree."""
    words: dict[str, Any] = json.loads(text)
    shared = {
        (kind, name): entry
        for kind in ("configs", "secrets")
        for name, entry in (words.get(kind) or {}).items()
    }
    services, kept = [], set()
    for name, service in sorted((words.get("services") or {}).items()):
        told: list[str] = []
        for mount in service.get("volumes") or ():
            below = _below(mount.get("source", ""), release)
            if mount.get("type") != "bind" or below is None:
                continue
            part = _part(tree, below)
            if part is None:
                kept.add(below)
            else:
                told.append(f"{below} {part}")
        for kind in ("configs", "secrets"):
            for use in service.get(kind) or ():
                entry = shared.get((kind, use["source"]), {})
                told.append(_shared(entry, tree, project, release))
        scale = (service.get("deploy") or {}).get("replicas", service.get("scale", 1))
        services.append(
            Service(
                name=name,
                image=service.get("image") or f"{project.name}-{name}",
                built="build" in service,
                files=_hash(*told) if told else "",
                expected=scale != 0,
            )
        )
    return Read(tuple(services), tuple(sorted(kept)))


def _below(source: str, release: str) -> str | None:
    """The path below the release; None for another one."""
    path = source.rstrip("/")
    if path == release:
        return ""
    return path.removeprefix(f"{release}/") if path.startswith(f"{release}/") else None


def _part(tree: Tree, path: str) -> str | None:
    """A hash over a file or folder of the tree; None where the tree has no such thing."""
    inside = f"{path}/" if path else ""
    part = {
        name: content
        for name, content in tree.files.items()
        if name == path or name.startswith(inside)
    }
    return Tree(part).digest() if part else None


def _shared(entry: Mapping[str, Any], tree: Tree, project: Project, release: str) -> str:
    """What tells a config or secret that a service mounts from another version of it."""
    value = ""
    below = _below(entry.get("file", ""), release)
    if below is not None:
        value = _part(tree, below) or ""
    if "environment" in entry:
        files = "".join(_part(tree, name) or "" for name in project.variable_files)
        value = _hash(project.salt, project.variables.get(entry["environment"], files))
    # Where a file of the release lies, differs from release to release.
    told = {key: text for key, text in entry.items() if key != "file"}
    return f"{json.dumps(told, sort_keys=True)} {value}"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def labels_text(found: Read) -> str:
    """A compose file that says of each service what it mounts of the release. JSON is YAML."""
    services = {
        service.name: {"labels": {LABEL: service.files}}
        for service in found.services
        if service.files
    }
    return json.dumps({"services": services}, indent=2, sort_keys=True) + "\n"


def services_text(found: Read) -> str:
    """The services that are to have a container, one to a line."""
    return "".join(f"{service.name}\n" for service in found.services if service.expected)


def to_build(services: Sequence[Service]) -> list[str]:
    """Services to build, one for each image: compose marks an image with the service's name, so
    that a second one would make another image of the same files.
    """
    by_image: dict[str, str] = {}
    for service in services:
        if service.built:
            by_image.setdefault(service.image, service.name)
    return list(by_image.values())


def salt_script(project: Project) -> str:
    """Shell words that make the guest's own salt."""
    return f"umask 077\nhead -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n' > {project.etc}/salt"


def keep_script(project: Project, digest: str, kept: Sequence[str]) -> str:
    """Shell words that give what services write a place that outlives the release."""
    lines = []
    for path in kept:
        place = shlex.quote(f"{project.base}/kept/{path}")
        link = shlex.quote(f"{project.base}/releases/{digest}/{path}")
        lines.append(f'mkdir -p {place} "$(dirname {link})"\nln -sfn {place} {link}')
    return "\n".join(lines)


def accept_script(project: Project, digest: str, found: Read, *, start_s: int) -> str:
    """Shell words that fail, with the services' last words, where they don't come up in time."""
    call = f"{project.etc}/compose"
    name = project.name
    return f"""
{keep_script(project, digest, found.kept)}
end=$(( $(date +%s) + {start_s} ))
if ! timeout {start_s} {call} up --detach --remove-orphans --quiet-pull; then
    [ $(date +%s) -lt $end ] || echo "the services did not start within {start_s} s"
    {TOOL} {name} troubles
    exit 1
fi
before=none
while :; do
    now=$({TOOL} {name} healthy) && state=0 || state=$?
    # Twice the same, since one that dies at once runs for a moment after each restart.
    if [ $state = 0 ] && [ "$now" = "$before" ]; then break; fi
    before=none
    [ $state != 0 ] || before=$now
    if [ $state = 1 ] || [ $(date +%s) -ge $end ]; then
        [ $state = 1 ] || echo "the services were not up within {start_s} s"
        echo "$now"
        {TOOL} {name} troubles
        exit 1
    fi
    sleep 2
done
{_prune(project)}
"""


def _prune(project: Project) -> str:
    """A release that a container still has mounted stays."""
    return f"""\
docker image prune --force --filter label=com.docker.compose.project={project.name} >/dev/null
cd {project.base}/releases
now=$(basename "$(readlink ../current)")
ls -1t | grep -Ex '[0-9a-f]+' | grep -vx "$now" | tail -n +3 | while read -r old; do
    grep -qsF "{project.base}/releases/$old" /proc/[0-9]*/mountinfo || rm -rf "$old" "$old.sha256"
done
cd /"""


def undo_script(project: Project, *, start_s: int) -> str:
    """Shell words that bring the stack as it was up again; one that wasn't there goes."""
    call = f"{project.etc}/compose"
    return f"""
if [ -x {call} ]; then
    built=$(cat {project.etc}/built)
    [ -z "$built" ] || {call} build --quiet $built
    timeout {start_s} {call} up --detach --remove-orphans
    end=$(( $(date +%s) + {start_s} ))
    while {TOOL} {project.name} healthy; [ $? = 2 ] && [ $(date +%s) -lt $end ]; do sleep 1; done
else
    docker compose --project-name {project.name} down --remove-orphans
fi
"""


def remove_script(name: str) -> str:
    """Shell words that take a stack down that is no longer in the files.

    Its volumes, and what its services wrote below its folder, go only where the files said so.
    They fail, and what tells of the stack stays, where compose can't take it down.
    """
    etc, base, name = (shlex.quote(text) for text in (f"{ETC}/{name}", f"{OPT}/{name}", name))
    return f"""
volumes=
[ "$(cat {etc}/volumes 2>/dev/null)" != remove ] || volumes=--volumes
timeout 300 {etc}/compose down --remove-orphans --rmi local $volumes ||
    timeout 300 docker compose --project-name {name} down --remove-orphans $volumes || exit 1
[ -z "$volumes" ] || rm -rf {base}
docker image prune --force --filter label=com.docker.compose.project={name} >/dev/null
rm -rf {base}/releases {base}/current {etc}
rmdir {base} 2>/dev/null || true
"""
