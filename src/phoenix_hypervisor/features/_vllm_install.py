"""vLLM in a virtual environment of its own, which uv makes."""

import shlex
from pathlib import Path

from phoenix_hypervisor.features import _fetch
from phoenix_hypervisor.features._python_release import READY
from phoenix_hypervisor.features._vllm_options import VllmOptions
from phoenix_hypervisor.model.errors import ConfigureFailed

ROOT = "/opt/vllm"
SCRIPT = "/usr/local/lib/phoenix/run_uv.py"
SPARE_GB = {True: 5, False: 15}
"""Room that an installation needs, by whether it is one without CUDA's libraries."""
_NAMED = """\
import importlib.metadata as found, pathlib, sys, sysconfig
try:
    found.version("vllm")
except found.PackageNotFoundError:
    name = pathlib.Path(sysconfig.get_path("purelib"), f"vllm-{sys.argv[1]}.dist-info")
    name.mkdir(exist_ok=True)
    words = ("Metadata-Version: 2.1", "Name: vllm", f"Version: {sys.argv[1]}", "")
    (name / "METADATA").write_text(chr(10).join(words))
"""
"""vLLM asks for its own version by this name, also where its package is called otherwise."""


def install(options: VllmOptions) -> str:
    """Makes vLLM be in the guest: the path of its virtual environment there.

    Another version, package or Python gets another one, beside that which may be running. Must be
    called in a deploy function. Raises `ConfigureFailed` where the disk hasn't got room for it.
    """
    from phoenix_hypervisor.features import _system

    _system.install("python3", "python3-venv", "ca-certificates", *options.packages)
    home = f"{ROOT}/{_key(options)}"
    if _system.ask(f"test -e {home}/{READY} && echo ready || true") == "ready":
        return home
    said = _system.ask(room_script(home)).split()
    room = sum(map(int, said)) if said and all(map(str.isdigit, said)) else None
    need = SPARE_GB[without_cuda(options)]
    if room is not None and room < need * 10**9:
        raise ConfigureFailed(
            f"{options.package} needs about {need} GB, but /opt has {room / 1e9:.1f} GB for it",
            hint="give the guest a larger disk",
        )
    _system.folder(str(Path(SCRIPT).parent))
    _system.text_file(SCRIPT, Path(__file__).with_name("_run_uv.py").read_text())
    _system.run(f"Install {options.package}", install_script(options, home))
    return home


def room_script(home: str) -> str:
    """Shell words that print two numbers of bytes: what is free, and what an installation that
    was interrupted left, which goes or is used again. One `du` counts what both share once.
    """
    return (
        "df --output=avail -B1 /opt | tail -n 1\n"
        f"du -scB1 {home} {ROOT}/cache 2>/dev/null | tail -n 1 | cut -f 1"
    )


def without_cuda(options: VllmOptions) -> bool:
    """Whether it is a build for the CPU, which uses no cards."""
    name, _, version = options.package.partition("==")
    return "cpu" in name.split("-") or version.endswith("+cpu") or options.torch_backend == "cpu"


def _key(options: VllmOptions) -> str:
    """What tells one environment from another; another Python of the guest makes another one."""
    from phoenix_hypervisor.features import _system

    version = _system.ask("python3 --version") if options.python == "python3" else options.python
    return _fetch.key(
        options.package,
        *options.requirements,
        "without",
        *options.exclude,
        options.torch_backend,
        version,
    )


def install_script(options: VllmOptions, home: str) -> str:
    """The shell script that installs it. What it fetched stays for another try."""
    uv_home = f"{ROOT}/uv-{options.uv.partition('==')[2]}"
    uv = f"{uv_home}/bin/python {SCRIPT} {uv_home}/bin/uv --no-progress"
    own = options.python == "python3"
    wanted = "\n".join([options.package, *options.requirements])
    never = "\n".join(f'{name} ; sys_platform == "never"' for name in options.exclude)
    backend = f" --torch-backend={options.torch_backend}" if options.torch_backend else ""
    name, _, version = options.package.partition("==")
    if "cpu" in name.split("-") and "+" not in version:
        version += "+cpu"  # by this vLLM knows that it is a build for the CPU
    return f"""set -e
mkdir -p {ROOT}
cd {ROOT}
if [ ! -e {uv_home}/{READY} ]; then
    rm -rf {uv_home}
    python3 -m venv {uv_home}
    {uv_home}/bin/python -m pip --disable-pip-version-check --no-input install -q \\
        --no-cache-dir {shlex.quote(options.uv)}
    touch {uv_home}/{READY}
fi
export UV_CACHE_DIR={ROOT}/cache UV_HTTP_TIMEOUT=300 UV_LINK_MODE=hardlink
export UV_PYTHON_INSTALL_DIR={ROOT}/python UV_PYTHON_DOWNLOADS={"never" if own else "automatic"}
rm -rf {home}
{uv} venv -q --python {"/usr/bin/python3" if own else options.python} {home}
printf '%s\\n' {shlex.quote(wanted)} > {home}/requirements.txt
printf '%s\\n' {shlex.quote(never)} > {home}/overrides.txt
{uv} pip install --python {home}/bin/python --overrides {home}/overrides.txt{backend} \\
    -r {home}/requirements.txt
test -x {home}/bin/vllm || {{ echo {shlex.quote(f"{options.package} brings no program vllm")} >&2
    exit 1; }}
{home}/bin/python -c {shlex.quote(_NAMED)} {shlex.quote(version)}
touch {home}/{READY}
rm -rf {ROOT}/cache
"""


def forget_others(home: str, uv: str) -> None:
    """Removes the environments before this one. Must be called in a deploy function."""
    from phoenix_hypervisor.features import _system

    kept = {home.rpartition("/")[2], f"uv-{uv.partition('==')[2]}", "python"}
    there = _system.ask(f"ls {ROOT} 2>/dev/null || true").splitlines()
    old = sorted(set(there) - kept)
    if old:
        gone = shlex.join(f"{ROOT}/{name}" for name in old)
        _system.run("Remove the vLLM before this one", f"rm -rf {gone}")
