"""Whole models of a hub in a guest: all files of one commit, fetched once into a shared folder.

    <folder>/hub/<owner>--<name>/<commit>/   <folder>/hub/<owner>--<name>/at-<revision> -> <commit>

The link appears once all files are there. So what is there is never asked for again: another
guest that mounts the folder finds it, and a broken-off download is gone on with.
"""

import fnmatch
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from phoenix_hypervisor.features import _fetch
from phoenix_hypervisor.model.errors import ConfigureFailed

SCRIPT = "/usr/local/lib/phoenix/hub_files.py"
SPARE = 1 << 30
"""Bytes that stay free on the file system."""
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=@,() -]*(/[A-Za-z0-9_][A-Za-z0-9_.+=@,() -]*)*")
_WEIGHTS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.ot")
_OTHERS = ("*.gguf", "*.onnx", "*.onnx_data", "*.tflite", "*.mlmodel", "*.llamafile")
_FOLDERS = ("original/*", "onnx/*", "openvino/*", "coreml/*", "metal/*")
_GB = 1e9


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a model: its size in bytes, and its SHA-256 where the hub tells it."""

    name: str
    size: int
    sha256: str | None = None


def home(folder: str, repo: str) -> str:
    """Where all commits of a model are kept."""
    return f"{folder}/hub/{repo.replace('/', '--')}"


def bring(
    repo: str,
    revision: str,
    folder: str,
    *,
    endpoint: str,
    token: str | None = None,
    patterns: Sequence[str] = (),
) -> str:
    """Makes a model be in the guest: the path of its folder there.

    Must be called in a deploy function. Raises `ConfigureFailed` where the hub hasn't got it, or
    the disk hasn't got room for it.
    """
    from phoenix_hypervisor.features import _system

    base = home(folder, repo)
    link = f"{base}/at-{_fetch.key(revision, *patterns) if patterns else revision}"
    there = _system.ask(f"readlink {shlex.quote(link)} 2>/dev/null || true")
    if there:
        return f"{base}/{there}"
    commit, files = _listed(repo, revision, endpoint, token)
    wanted = chosen(files, patterns)
    if not wanted:
        raise ConfigureFailed(
            f"{repo} holds no file that is asked for", hint="mend vllm.files, or the model's name"
        )
    target = f"{base}/{commit}"
    _system.folder(target)
    _room(repo, wanted, target)
    where = f"{endpoint.rstrip('/')}/{repo}/resolve/{commit}"
    for file in wanted:
        _fetch.download(
            f"{repo}: {file.name}",
            f"{where}/{quote(file.name)}",
            f"{target}/{file.name}",
            checksum=f"sha256:{file.sha256}" if file.sha256 else None,
            token=token,
        )
    _system.run(f"Note that {repo} is whole", f"ln -sfn {commit} {shlex.quote(link)}")
    return target


def _listed(
    repo: str, revision: str, endpoint: str, token: str | None
) -> tuple[str, list[HubFile]]:
    from phoenix_hypervisor.features import _system

    _system.install("python3", "ca-certificates")
    _system.folder(str(Path(SCRIPT).parent))
    _system.text_file(SCRIPT, Path(__file__).with_name("_hub_files.py").read_text())
    url = f"{endpoint.rstrip('/')}/api/models/{repo}/revision/{quote(revision, safe='')}?blobs=true"
    said = _system.ask(f"python3 {SCRIPT}", stdin=json.dumps({"url": url, "token": token}))
    return told(said, repo, revision)


def told(said: str, repo: str, revision: str) -> tuple[str, list[HubFile]]:
    """Commit and files of what `_hub_files.py` printed.

    Raises `ConfigureFailed` for its errors, and for names that must not become paths.
    """
    answer = json.loads(said or '{"error": "nobody answered"}')
    if "error" in answer:
        raise ConfigureFailed(
            f"the model {repo} ({revision}) can't be had: {answer['error']}",
            hint="mend vllm.model or vllm.revision; models that are not open to all need "
            "vllm.hf_token",
        )
    commit, files = str(answer["commit"]), [HubFile(*file) for file in answer["files"]]
    odd = [
        file.name
        for file in files
        if ".." in file.name.split("/")
        or not (file.name.startswith(".") or _NAME.fullmatch(file.name))
    ]
    if odd or not _COMMIT.fullmatch(commit):
        raise ConfigureFailed(f"the hub names a file or commit that is none: {[commit, *odd]}")
    return commit, [file for file in files if not file.name.startswith(".")]


def chosen(files: Iterable[HubFile], patterns: Sequence[str]) -> list[HubFile]:
    """The files that vLLM reads: safetensors where there are some, else PyTorch's, and all that is
    not weights. With `patterns` those that fit one of them.
    """
    files = list(files)
    if patterns:
        return [file for file in files if _fits(file.name, patterns)]
    files = [file for file in files if not _fits(file.name, (*_OTHERS, *_FOLDERS))]
    tensors = [file.name for file in files if file.name.endswith(".safetensors")]
    skipped: tuple[str, ...] = ()
    if tensors:
        skipped = _WEIGHTS
        if any(not name.startswith("consolidated") for name in tensors):
            skipped += ("consolidated*.safetensors",)
    return [file for file in files if not _fits(file.name, skipped)]


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _room(repo: str, wanted: Sequence[HubFile], target: str) -> None:
    from phoenix_hypervisor.features import _system

    said = _system.ask(
        f"df --output=avail -B1 {shlex.quote(target)} 2>/dev/null | tail -n 1\n"
        f"cd {shlex.quote(target)} 2>/dev/null && find . -type f -printf '%s %P\\n' || true"
    )
    free, _, listed = said.partition("\n")
    if not free.strip().isdigit():
        return
    need, have = missing(wanted, sizes(listed)), int(free)
    if need and need + SPARE > have:
        raise ConfigureFailed(
            f"{repo} needs {need / _GB:.1f} GB more, but {target} has {have / _GB:.1f} GB free",
            hint="make room, or let the models lie on a larger volume (vllm.models_directory)",
        )


def sizes(listed: str) -> dict[str, int]:
    """Bytes by path, of lines `1234 path`."""
    pairs = (line.partition(" ") for line in listed.splitlines())
    return {path: int(size) for size, _, path in pairs if size.isdigit()}


def missing(wanted: Iterable[HubFile], there: Mapping[str, int]) -> int:
    """Bytes that still have to come; of a broken-off file the rest."""
    return sum(
        max(0, file.size - there.get(f"{file.name}.part", 0))
        for file in wanted
        if file.name not in there
    )
