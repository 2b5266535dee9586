"""Releases of a Python program: its source, and a virtual environment beside it."""

import hashlib
import re
import shlex
from pathlib import Path

from phoenix_hypervisor.model.errors import ConfigureFailed

from ._release import Tree, upload

_COMMIT = re.compile(r"[0-9a-f]{40}")
READY = ".venv/.phoenix-ready"


def from_folder(root: str, folder: Path, python: str) -> str:
    """Uploads a folder as a release; returns its hash. Must be called in a deploy function.

    Another Python makes another release, since a virtual environment belongs to one version.
    """
    from . import _system

    tree = Tree.of_folder(folder)
    digest = tree.digest(_system.ask(f"{python} --version"))
    upload(tree, root, digest)
    return digest


def from_git(root: str, url: str, ref: str, token: str | None, python: str) -> str:
    """Fetches one commit as a release; returns its hash. Must be called in a deploy function.

    A `token` reaches Git through its environment: not through arguments, and not into a file.
    Raises `ConfigureFailed` where the repository doesn't have `ref`.
    """
    from . import _system

    _system.install("git", "ca-certificates")
    stdin = f"{token}\n" if token else None
    where = shlex.quote(url)
    commit = ref
    if not _COMMIT.fullmatch(ref):
        names = f"{shlex.quote(ref)} {shlex.quote(f'{ref}^{{}}')}"
        said = _system.ask(
            f"{_login(token)}git ls-remote -- {where} {names} 2>&1 || true", stdin=stdin
        )
        commit = commit_of(said)
        if not commit:
            raise ConfigureFailed(
                f"{url} has no {ref}", hint="mend git.ref or git.url", detail=said
            )
    version = _system.ask(f"{python} --version")
    digest = hashlib.sha256(f"{commit} {version}".encode()).hexdigest()[:16]
    target = f"{root}/releases/{digest}"
    if _system.ask(f"test -d {target} && echo there || true"):
        return digest
    repository = f"{root}/repository.git"
    _system.run(
        f"Fetch {ref} of {url}",
        f"""set -e
{_login(token)}[ -d {repository} ] || git init -q --bare {repository}
cd {repository}
git fetch -q --depth 1 -- {where} {commit}
rm -rf {target}.new
mkdir -p {target}.new
git archive {commit} | tar -x --touch -C {target}.new
mv -T {target}.new {target}
""",
        stdin=stdin,
    )
    return digest


def commit_of(listed: str) -> str:
    """The commit that `git ls-remote` names; of an annotated tag, that which it points to."""
    found = [line.split("\t") for line in listed.splitlines() if "\t" in line]
    commits = [(ref.endswith("^{}"), commit) for commit, ref in found if _COMMIT.fullmatch(commit)]
    return max(commits, default=(False, ""), key=lambda c: c[0])[1]


def _login(token: str | None) -> str:
    words = "export GIT_TERMINAL_PROMPT=0 HOME=/root\n"
    if token:
        words += (
            "IFS= read -r token\nexport GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.extraHeader\n"
            'export GIT_CONFIG_VALUE_0="Authorization: Basic '
            '$(printf \'x-access-token:%s\' "$token" | base64 -w0)"\n'
        )
    return words


def make_venv(root: str, digest: str, python: str, requirements: str | None) -> bool:
    """Makes a release's virtual environment; returns whether it had to be made.

    Packages come from where the guest's own pip is told to look (pip.conf), nowhere else.
    """
    from . import _system

    release = f"{root}/releases/{digest}"
    if _system.ask(f"test -e {release}/{READY} && echo ready || true") == "ready":
        return False
    if requirements:
        path = f"{release}/{requirements}"
        if not _system.ask(f"test -f {shlex.quote(path)} && echo there || true"):
            raise ConfigureFailed(
                f"the source has no {requirements}",
                hint="add it, with exact versions and uvicorn among them, or name another in "
                "python_api_service.requirements",
            )
        what = f"-r {shlex.quote(path)}"
    else:
        what = f"{release}"
    pip = ".venv/bin/python -m pip --disable-pip-version-check --no-input"
    _system.run(
        f"Install Python packages for release {digest}",
        f"""set -e
cd {release}
rm -rf .venv
{python} -m venv .venv
{pip} install -q {what}
.venv/bin/python -c 'import uvicorn' || {{
    echo 'uvicorn is not among the packages: add it to the requirements' >&2; exit 1; }}
.venv/bin/python -m compileall -q -x '[.]venv' . || true
touch {READY}
""",
    )
    return True
