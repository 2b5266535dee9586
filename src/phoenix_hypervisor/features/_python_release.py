"""Releases of a Python program: its source, and the virtual environment that it runs in."""

import hashlib
import re
import shlex
from pathlib import Path

from phoenix_hypervisor.features._release import Tree, upload
from phoenix_hypervisor.model.errors import ConfigureFailed

_COMMIT = re.compile(r"[0-9a-f]{40}")
READY = ".phoenix-ready"
_LOCAL = r"^[[:space:]]*(-[rce]|--(requirement|constraint|editable)|[./])|@ *(file:|[./])"


REFUSE_LINKS = """\
cd {folder}
strays=$(find . -type l -exec sh -c '
    home=$(pwd -P)
    for link; do
        case $(readlink -m -- "$link") in "$home"/*) ;; *) echo "$link" ;; esac
    done' sh {{}} +)
if [ -n "$strays" ]; then
    echo "links of the repository lead out of it: $strays" >&2
    exit 1
fi"""
"""Shell words that fail where a link of a tree in the guest leads out of it."""


def from_folder(root: str, folder: Path, home: Path, python: str) -> str:
    """Uploads a folder as a release; returns its hash. Must be called in a deploy function.

    `home` is the folder of the configuration, which no link may leave.

    Another Python makes another release, since a virtual environment belongs to one version.
    """
    from phoenix_hypervisor.features import _system

    tree = Tree.of_folder(folder, home)
    digest = tree.digest(_system.ask(f"{python} --version"))
    upload(tree, root, digest)
    return digest


def from_git(root: str, url: str, ref: str, token: str | None, python: str) -> str:
    """Fetches one commit as a release; returns its hash. Must be called in a deploy function.

    A `token` reaches Git through its environment: not through arguments, and not into a file.
    Raises `ConfigureFailed` where the repository doesn't have `ref`.
    """
    from phoenix_hypervisor.features import _system

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
{REFUSE_LINKS.format(folder=f"{target}.new")}
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
    """Gives a release its virtual environment; returns whether anything had to be made.

    Releases with the same requirements share one, so that a change of the source alone needs no
    installation. Packages come from where the guest's own pip is told to look (pip.conf), nowhere
    else. Raises `ConfigureFailed` where the source lacks its requirements.
    """
    from phoenix_hypervisor.features import _system

    release = f"{root}/releases/{digest}"
    venv = f"{root}/venvs/{_venv_key(release, digest, python, requirements)}"
    built = _system.ask(f"test -e {venv}/{READY} && echo ready || true") != "ready"
    if built:
        what = f"-r {shlex.quote(f'{release}/{requirements}')}" if requirements else release
        _system.run(
            f"Install Python packages for release {digest}",
            f"""set -e
rm -rf {venv}
{python} -m venv {venv}
cd {release}
{venv}/bin/python -m pip --disable-pip-version-check --no-input install -q {what}
{venv}/bin/python -c 'import uvicorn' || {{
    echo 'uvicorn is not among the packages: add it to the requirements' >&2; exit 1; }}
touch {venv}/{READY}
""",
        )
    target = f"../../venvs/{venv.rpartition('/')[2]}"
    if _system.ask(f"readlink {release}/.venv || true") == target:
        return built
    _system.run(
        f"Prepare release {digest}",
        f"cd {release} && rm -rf .venv && ln -s {target} .venv"
        " && { .venv/bin/python -m compileall -q -x '[.]venv' . || true; }",
    )
    return True


def _venv_key(release: str, digest: str, python: str, requirements: str | None) -> str:
    """What makes a virtual environment: the requirements and the Python.

    Requirements that name other files belong to their release alone.
    """
    from phoenix_hypervisor.features import _system

    if not requirements:
        return digest
    path = shlex.quote(f"{release}/{requirements}")
    said = _system.ask(
        f"test -f {path} || {{ echo missing; exit 0; }}\n"
        f"if grep -Eq {shlex.quote(_LOCAL)} {path}\n"
        f"then echo {digest}; else sha256sum < {path}; fi\n"
        f"{python} --version"
    )
    if said == "missing":
        raise ConfigureFailed(
            f"the source has no {requirements}",
            hint="add it, with exact versions and uvicorn among them, or name another in "
            "python_api_service.requirements",
        )
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def prune_venvs_script(root: str) -> str:
    """Shell words that remove the virtual environments that no release uses any more."""
    return (
        f"cd {root}/venvs && for venv in *; do"
        ' [ -n "$(find ../releases -maxdepth 2 -name .venv -lname "*/$venv")" ] ||'
        ' rm -rf "$venv"; done'
    )
