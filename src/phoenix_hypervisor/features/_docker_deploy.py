"""Takes base images and stacks into a guest. All of it must be called in a deploy function."""

import shlex
from dataclasses import replace

from phoenix_hypervisor.features import _docker_engine as engine
from phoenix_hypervisor.features import _docker_folder as folders
from phoenix_hypervisor.features import _docker_stacks as texts
from phoenix_hypervisor.features import _system
from phoenix_hypervisor.features._docker_options import BaseImage, DockerOptions, Stack
from phoenix_hypervisor.features._docker_tool import ETC, TOOL, TOOL_TEXT
from phoenix_hypervisor.features._release import Tree, current, upload
from phoenix_hypervisor.features._take import NewFile, differing, take
from phoenix_hypervisor.features._words import AddressOf
from phoenix_hypervisor.model import staging
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Inside
from phoenix_hypervisor.model.secret import Secret

_CONFIG = """\
if [ ! -d {release} ] || ! command -v docker >/dev/null; then echo absent; exit 0; fi
errors=$(mktemp)
if out=$(sh -s -- config --format json 2>"$errors"); then echo read; printf '%s\\n' "$out"
else echo refused; cat "$errors"
fi
rm -f "$errors"
"""


def base_image(image: BaseImage) -> bool:
    """Makes an image of the distribution's packages; returns whether it had to be made."""
    codename = _system.ask('. /etc/os-release && echo "$VERSION_CODENAME"')
    label = f'{{{{index .Config.Labels "{engine.MADE_OF}"}}}}'
    look = f"docker image inspect --format '{label}' {image.tag} 2>/dev/null || true"
    if _system.ask(look) == engine.image_digest(image, codename):
        return False
    _system.install("mmdebstrap")
    _system.run(f"Make the image {image.tag}", engine.image_script(image, codename))
    return True


def stacks(options: DockerOptions, inside: Inside, *, again: bool) -> None:
    """Takes all stacks, and removes those that are no longer in the files.

    `again`: build images anew, since those below them are.
    """
    there = _system.ask(f"ls {ETC} 2>/dev/null || true").splitlines()
    wanted = {stack.called for stack in options.stacks}
    for name in sorted(set(there) - wanted):
        _system.run(f"Remove the stack {name}", texts.remove_script(name))
    if not options.stacks:
        if there:
            _system.no_file(TOOL)
        return
    for folder, mode in (("/etc/phoenix", "755"), (ETC, "700"), (texts.OPT, "755")):
        _system.folder(folder, mode=mode)
    _system.text_file(TOOL, TOOL_TEXT, mode="755")
    for stack in options.stacks:
        found = folders.find(inside.folder, stack.name)
        if found is not None:
            _take_stack(stack, Tree.of_folder(*found), inside, again=again)
        elif not stack.optional:
            raise ConfigureFailed(
                f"there is no folder stacks/{stack.name}", hint="make it, or take it off the files"
            )


def _take_stack(stack: Stack, tree: Tree, inside: Inside, *, again: bool) -> None:
    project = _project(stack, tree, inside)
    digest = tree.digest()
    release = staging.release(project.base, digest)
    _system.folder(project.base)
    _system.folder(project.etc, mode="700")
    look = f"cat {project.etc}/salt 2>/dev/null || true"
    if not _system.ask(look):
        _system.run(f"Make a salt for {project.name}", texts.salt_script(project))
    project = replace(project, salt=_system.ask(look))
    changed = upload(tree, project.base, digest, mode="700")
    script = texts.compose_text(project, release=release)
    found = _read(stack, script, tree, project, release)
    files = [
        NewFile(f"{project.etc}/compose", texts.compose_text(project), "700"),
        NewFile(f"{project.etc}/environment", texts.environment_text(project), "600"),
        NewFile(f"{project.etc}/volumes", "remove\n" if stack.remove_volumes else "keep\n"),
    ]
    if found is not None:
        files += [
            NewFile(f"{project.etc}/labels.json", texts.labels_text(found)),
            NewFile(f"{project.etc}/services", texts.services_text(found)),
            NewFile(f"{project.etc}/built", " ".join(texts.to_build(found.services)) + "\n"),
        ]
    found = found or texts.Read()
    new = changed or again or current(project.base) != digest or bool(differing(files))
    missing = _missing(found)
    if not (new or missing or _down(project.name)):
        return
    if any(not service.built for service in missing):
        names = shlex.join(service.name for service in missing if not service.built)
        _system.run(
            f"Fetch images of {project.name}", f"sh -s -- pull --quiet {names}", stdin=script
        )
    if built := texts.to_build(found.services if new else missing):
        _system.run(
            f"Build images of {project.name}",
            f"sh -s -- build --quiet {shlex.join(built)}",
            stdin=script,
        )
    take(
        f"stack {project.name}",
        files,
        links={f"{project.base}/current": f"releases/{digest}"},
        accept=texts.accept_script(project, digest, found, start_s=stack.start_s),
        undo=texts.undo_script(project, start_s=stack.start_s),
        force=True,
    )


def _project(stack: Stack, tree: Tree, inside: Inside) -> texts.Project:
    there = set(tree.files)
    files = folders.compose_files(there, stack)
    if not files:
        raise ConfigureFailed(f"stacks/{stack.name} has no docker-compose.yml")
    addresses = inside.inputs["addresses"][stack.called]
    variables = {}
    for name, value in stack.variables.items():
        if isinstance(value, AddressOf):
            variables[name] = str(addresses[name])
        else:
            variables[name] = inside.reveal(value) if isinstance(value, Secret) else value
    return texts.Project(
        name=stack.called,
        files=tuple(files),
        variable_files=tuple(folders.variable_files(there, stack)),
        profiles=stack.profiles,
        variables=variables,
    )


def _read(
    stack: Stack, script: str, tree: Tree, project: texts.Project, release: str
) -> texts.Read | None:
    """What compose makes of the files; None where a look alone finds nothing to read yet.

    The script holds secrets, so it travels by standard input. Raises `ConfigureFailed` with
    compose's own words where it refuses them.
    """
    said = _system.ask(_CONFIG.format(release=release), stdin=script)
    verdict, _, words = said.partition("\n")
    if verdict == "read":
        return texts.read(words, tree, project, release)
    if verdict == "refused":
        raise ConfigureFailed(
            f"docker compose refuses the stack {stack.name}",
            hint=f"mend {' or '.join(f'stacks/{stack.name}/{name}' for name in project.files)}",
            detail=words,
        )
    return None


def _missing(found: texts.Read) -> list[texts.Service]:
    """Services whose image the guest doesn't have."""
    return [
        service
        for service in found.services
        if _system.ask(
            f"docker image inspect {shlex.quote(service.image)} >/dev/null 2>&1 || echo missing"
        )
    ]


def _down(name: str) -> bool:
    """Whether a service is not up, and not on its way."""
    look = f"{TOOL} {name} healthy >/dev/null 2>&1; case $? in 0|2) ;; *) echo down ;; esac"
    return bool(_system.ask(look))
