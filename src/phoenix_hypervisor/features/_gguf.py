"""Models as GGUF files: where one comes from, what it is called, and how it gets into a guest."""

import hashlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from phoenix_hypervisor.features import _fetch
from phoenix_hypervisor.features._release import own
from phoenix_hypervisor.features._words import AbsolutePath, RelativePath
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import FeatureOptions, InFolder, Inside
from phoenix_hypervisor.model.lacking import Lacking
from phoenix_hypervisor.model.secret import Secret

HUB = "https://huggingface.co"
FOLDER = "/var/lib/models"
_SOURCES = ("file", "path", "url", "hub", "wheel")
_PART = re.compile(r"^(?P<stem>.+)-00001-of-(?P<parts>\d{5})\.gguf$")
_UPLOAD = re.compile(r"[0-9a-f]{12}")

HubName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$")
]


def _stays(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("the path must not hold ..")
    return path


HubFile = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*[.]gguf$"),
    AfterValidator(_stays),
]
Revision = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class GgufHub(FeatureOptions):
    """A model of a hub that speaks as the Hugging Face hub does."""

    repo: HubName = Field(description="Such as `Qwen/Qwen2.5-1.5B-Instruct-GGUF`.")
    file: HubFile = Field(
        description="The file in it; of a model in parts the first (`…-00001-of-00003.gguf`)."
    )
    revision: Revision = Field("main", description="A branch, tag or commit. A commit never moves.")
    token: Secret | None = Field(None, description="For models that are not open to all.")
    endpoint: _fetch.WebAddress = Field(HUB, description="Another hub, or a mirror.")

    @model_validator(mode="after")
    def _token_is_safe(self) -> Self:
        if self.token is not None and not self.endpoint.startswith("https://"):
            raise ValueError("a token is only sent over https: mend the endpoint")
        return self

    def parts(self) -> list[str]:
        """All files of the model."""
        match = _PART.match(self.file)
        if match is None:
            return [self.file]
        return [
            f"{match['stem']}-{number:05}-of-{match['parts']}.gguf"
            for number in range(1, int(match["parts"]) + 1)
        ]

    def url(self, file: str) -> str:
        """Where one file is served."""
        return f"{self.endpoint.rstrip('/')}/{self.repo}/resolve/{self.revision}/{file}"


class GgufWheel(FeatureOptions):
    """A file that a Python package holds, for places that reach nothing but a package index."""

    package: _fetch.Requirement = Field(description="The package, as `name==1.2.3`.")
    file: _fetch.Pattern = Field("*.gguf", description="The file's name in it, or a pattern.")
    checksum: _fetch.Checksum | None = Field(None, description="The wheel's: `sha256:…`.")


class GgufModel(FeatureOptions):
    """Where a GGUF file comes from: exactly one of these."""

    file: Annotated[RelativePath | None, InFolder("", "file")] = Field(
        None, description="A file of the folder; it is uploaded."
    )
    path: AbsolutePath | None = Field(
        None, description="A file that the guest has already, such as one of a shared volume."
    )
    url: _fetch.WebAddress | None = Field(
        None, description="An address of the web; `checksum` says what comes from there."
    )
    checksum: _fetch.Checksum | None = Field(
        None, description="`sha256:…` of the file that `url` names."
    )
    hub: GgufHub | None = Field(None, description="A file of a model hub.")
    wheel: GgufWheel | None = Field(None, description="A file of a Python package.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [word for word in _SOURCES if getattr(self, word) is not None]
        if len(given) != 1:
            raise (ValueError if given else Lacking)(
                f"give exactly one of {', '.join(_SOURCES)}; given: {', '.join(given) or 'none'}"
            )
        if (self.url is None) != (self.checksum is None):
            raise Lacking("url and checksum belong together: give both, or none of them")
        return self

    @property
    def title(self) -> str:
        """A short name for people and for requests, made from where it comes from."""
        if self.wheel is not None:
            return self.wheel.package.partition("==")[0]
        name = self.file or self.path or (self.hub.file if self.hub else str(self.url))
        stem = PurePosixPath(name.partition("?")[0]).name.removesuffix(".gguf")
        return re.sub(r"-00001-of-\d{5}$", "", stem)


def models_folder(wanted: str | None, guest: Guest) -> str:
    """Where models are kept: as told, else the guest's volume named `models`, else below /var."""
    if wanted:
        return wanted
    volumes = {volume.name: volume.target for volume in guest.volumes}
    return volumes.get("models", FOLDER)


def bring(model: GgufModel, folder: str, inside: Inside) -> tuple[str, bool]:
    """Makes the file be in the guest: its path there, and whether it is new.

    Nothing is removed here (see `forget_uploads`). Must be called in a deploy function. Raises
    `ConfigureFailed` where it is not there.
    """
    if model.path is not None:
        _must_be_there(model.path)
        return model.path, False
    if model.file is not None:
        return _upload(model.file, folder, inside)
    if model.hub is not None:
        return _from_hub(model.hub, folder, inside)
    if model.wheel is not None:
        wheel = model.wheel
        name = wheel.package.replace("==", "-")
        unpacked = f"{folder}/wheels/{name}-{_fetch.key(wheel.package, wheel.checksum)}"
        new = _fetch.unpack_wheel(wheel.package, unpacked, checksum=wheel.checksum)
        return _fetch.only_file(unpacked, wheel.file, wheel.package), new
    assert model.url is not None  # noqa: S101 - the validator saw to it
    name = PurePosixPath(model.url.partition("?")[0]).name or "model.gguf"
    target = f"{folder}/urls/{_fetch.key(model.checksum)}/{name}"
    return target, _fetch.download(name, model.url, target, checksum=model.checksum)


def _must_be_there(path: str) -> None:
    from phoenix_hypervisor.features import _system

    if not _system.ask(f"test -f {shlex.quote(path)} && echo there || true"):
        raise ConfigureFailed(
            f"the guest has no file {path}",
            hint="mend model.path, or mount the volume that holds it",
        )


def _upload(file: str, folder: str, inside: Inside) -> tuple[str, bool]:
    from pyinfra.operations import files

    from phoenix_hypervisor.features import _system

    source = own(inside.folder / file, inside.folder)
    with source.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    target = f"{folder}/files/{digest[:12]}/{file}"  # another content makes another unit
    _system.folder(str(Path(target).parent))
    size = source.stat().st_size
    said = _system.ask(
        f"stat -c %s {shlex.quote(target)} 2>/dev/null || echo 0\n"
        f"df --output=avail -B1 {shlex.quote(folder)} 2>/dev/null | tail -n 1"
    ).split()
    if len(said) == 2 and int(said[0]) != size and int(said[1]) < size:  # noqa: PLR2004
        raise ConfigureFailed(
            f"{file} needs {size / 1e9:.2f} GB, but {folder} has {int(said[1]) / 1e9:.2f} GB free",
            hint="make room, or let the models lie on a larger volume",
        )
    done = files.put(name=f"Upload {file}", src=str(source), dest=target, mode="644")
    return target, done.did_change()


def forget_uploads(folder: str, used: Sequence[str], guest: Guest) -> None:
    """Removes uploaded models that no server of the guest uses any more, where they lie on its own
    disk: other guests may use a volume's. Must be called in a deploy function.
    """
    from phoenix_hypervisor.features import _system

    targets = [each.target for each in guest.volumes]
    targets += [each.target for each in guest.mounts] + [each.target for each in guest.shares]
    if any(f"{folder}/".startswith(f"{target.rstrip('/')}/") for target in targets):
        return
    there = _system.ask(f"ls {shlex.quote(f'{folder}/files')} 2>/dev/null || true").splitlines()
    paths = [f"{folder}/files/{name}" for name in there if _UPLOAD.fullmatch(name)]
    old = [path for path in paths if not any(each.startswith(f"{path}/") for each in used)]
    if old:
        _system.run("Remove models before these", f"rm -rf {shlex.join(old)}")


def _from_hub(hub: GgufHub, folder: str, inside: Inside) -> tuple[str, bool]:
    token = inside.reveal(hub.token) if hub.token else None
    home = f"{folder}/hub/{hub.repo.replace('/', '--')}/{hub.revision}"
    new = [
        _fetch.download(part, hub.url(part), f"{home}/{part}", token=token) for part in hub.parts()
    ]
    return f"{home}/{hub.file}", any(new)
