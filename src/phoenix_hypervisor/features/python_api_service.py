"""A Python web service (FastAPI or any ASGI application) from a folder or a Git repository."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from phoenix_hypervisor.features._asgi_units import (
    LAUNCHER,
    Service,
    environment_text,
    service_unit,
    socket_unit,
)
from phoenix_hypervisor.features._guests import Place, find, reached, static_ip, unreachable
from phoenix_hypervisor.features._python_release import (
    from_folder,
    from_git,
    make_venv,
    prune_venvs_script,
)
from phoenix_hypervisor.features._release import listed, prune_script
from phoenix_hypervisor.features._take import NewFile, differing, take
from phoenix_hypervisor.features._words import (
    AddressOf,
    FolderBelow,
    PackageName,
    Port,
    RelativePath,
    UserName,
)
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, InFolder, Inside
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.secret import Secret

ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
UrlPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~%/?=&+-]*$")]


class Git(FeatureOptions):
    """A repository that the guest fetches."""

    url: Annotated[
        str, StringConstraints(pattern=r"^(https?|ssh|git|file)://[^\s'\\-][^\s'\\]*$")
    ] = Field(description="Where it is.")
    ref: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$")] = Field(
        "HEAD", description="A branch, tag or commit, looked up when the guest is configured."
    )
    token: Secret | None = Field(None, description="For private repositories over https.")

    @model_validator(mode="after")
    def _token_is_safe(self) -> Self:
        if self.token is not None and not self.url.startswith("https://"):
            raise ValueError("a token is only sent over https: mend the url, or remove the token")
        return self


class PythonApiServiceOptions(FeatureOptions):
    """Options of `python_api_service`. Without `source` and `git`, only Python is installed."""

    name: ServiceName = Field("api", description="Of the service and its folder below /opt.")
    source: Annotated[FolderBelow | None, InFolder("", "folder")] = Field(
        None, description="A folder beside the files."
    )
    git: Git | None = None
    app: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$")
    ] = Field("main:app", description="module:attribute of the ASGI application.")
    factory: bool = Field(False, description="The attribute is a function that makes it.")
    requirements: RelativePath | None = Field(
        "requirements.txt",
        description="Pinned packages, uvicorn among them; null: install the source as a package.",
    )
    packages: tuple[PackageName, ...] = Field((), description="Debian packages that it needs.")
    python: Annotated[str, StringConstraints(pattern=r"^python3(\.[0-9]+)?$")] = Field(
        "python3", description="The interpreter, and Debian's package of it."
    )
    host: IPv4Address | IPv6Address | None = Field(
        None, description="The address to listen on; default: all."
    )
    port: Port = Field(8000, description="TCP port.")
    workers: int = Field(1, ge=1, le=64, description="Processes.")
    user: UserName | None = Field(None, description="Default: one of its own, named as it is.")
    environment: dict[EnvironmentName, str | Secret | AddressOf] = Field(
        {}, description='Values, {"secret": "NAME"}, or {"address_of": "guest"}.'
    )
    devices: bool = Field(False, description="Whether it may see devices, such as GPUs.")
    health_path: UrlPath = Field("/health", description="Answers 200 when it can serve.")
    start_s: int = Field(90, ge=1, le=3600, description="How long it may take to come up.")
    graceful_s: int = Field(
        30, ge=1, le=3600, description="How long a restart waits for open requests."
    )
    keep_releases: int = Field(3, ge=1, le=100, description="Older ones are removed.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.source and self.git:
            raise ValueError("give either source or git, not both")
        return self

    @property
    def served(self) -> bool:
        """Whether there is an application to serve."""
        return bool(self.source or self.git)


class PythonApiService(Feature[PythonApiServiceOptions]):
    """Releases in their virtual environments, served by uvicorn on a socket of systemd's."""

    name = "python_api_service"
    options = PythonApiServiceOptions

    def leave_script(self) -> str:
        """The service is named by its options: it is told by the launcher that its unit starts."""
        return f"""\
failed=0
for unit in $(grep -ls -F {LAUNCHER} /etc/systemd/system/*.service); do
name=$(basename "$unit" .service)
for each in "$name.socket" "$name.service"; do
systemctl disable --now --quiet "$each" || failed=1
done
done
exit $failed
"""

    def flaws(
        self, options: PythonApiServiceOptions, guest: Guest, desired: Desired
    ) -> Sequence[Flaw]:
        """Guests that the environment names, but that have no address."""
        wanted: dict[Place, int | str] = {
            ("environment", name): value.address_of
            for name, value in options.environment.items()
            if isinstance(value, AddressOf)
        }
        return list(unreachable(wanted, desired, f"{guest.name} connects to it"))

    def inputs(
        self, options: PythonApiServiceOptions, guest: Guest, desired: Desired
    ) -> Mapping[str, Any]:
        """Addresses of guests that the environment names, and of the proxies before it."""
        proxies = {
            other.ip
            for other in desired.guests.values()
            if guest.routes and other.ip and any(use.name == "nginx" for use in other.features)
        }
        return {
            "addresses": {
                name: static_ip(find(value.address_of, desired), f"{guest.name} connects to it")
                for name, value in options.environment.items()
                if isinstance(value, AddressOf)
            },
            "proxies": sorted(proxies),
        }

    def listens(
        self, options: PythonApiServiceOptions, guest: Guest, desired: Desired
    ) -> Sequence[Listen]:
        """Its port, where there is something to serve."""
        if not options.served:
            return ()
        return (Listen(options.port, ("port",), address=str(options.host or "") or None),)

    def reaches(
        self, options: PythonApiServiceOptions, guest: Guest, desired: Desired
    ) -> Sequence[tuple[Address, int | None]]:
        """The guests that its environment names."""
        return list(reached(options.environment.values(), desired))

    def files(self, options: PythonApiServiceOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        """The source's files."""
        return listed(folder / options.source, folder) if options.source else ()

    def checks(self, options: PythonApiServiceOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """It says that it is healthy."""
        if not options.served:
            return ()
        http = {"port": options.port, "path": options.health_path, "status": 200, "from": "inside"}
        return ({"http": http},)

    def deploy(self, options: PythonApiServiceOptions, inside: Inside) -> None:
        """Makes the release, then restarts into it; one that doesn't come up is taken back."""
        from phoenix_hypervisor.features import _system

        _system.install(options.python, f"{options.python}-venv", *options.packages)
        if not options.served:
            return
        root = f"/opt/{options.name}"
        _system.folder(root)
        if options.git:
            token = inside.reveal(options.git.token) if options.git.token else None
            digest = from_git(root, options.git.url, options.git.ref, token, options.python)
        else:
            source = inside.folder / str(options.source)
            digest = from_folder(root, source, inside.folder, options.python)
        rebuilt = make_venv(root, digest, options.python, options.requirements)
        _serve(options, inside, root, digest, force=rebuilt)


def _serve(
    options: PythonApiServiceOptions, inside: Inside, root: str, digest: str, *, force: bool
) -> None:

    from phoenix_hypervisor.features import _system

    service = _service(options, inside, root)
    if service.user != "root":
        _system.service_user(service.user, "/nonexistent")
    launcher = Path(__file__).with_name("_serve_asgi.py").read_text()
    _system.folder("/etc/phoenix")
    _system.folder(f"/etc/phoenix/{service.name}", mode="700")
    units = "/etc/systemd/system"
    socket = NewFile(f"{units}/{service.name}.socket", socket_unit(service))
    files = [
        NewFile(LAUNCHER, launcher),
        NewFile(f"{units}/{service.name}.service", service_unit(service)),
        NewFile(service.environment_path, environment_text(_environment(options, inside)), "600"),
        socket,
    ]
    _system.folder(str(Path(LAUNCHER).parent))
    rebind = bool(differing([socket]))
    take(
        f"{service.name} release",
        files,
        links={f"{root}/current": f"releases/{digest}"},
        accept=accept_script(service, options, rebind=rebind),
        undo=restart_script(service.name, rebind=rebind),
        force=force,
    )
    _system.service(f"{service.name}.socket")
    _system.service(f"{service.name}.service")


def _service(options: PythonApiServiceOptions, inside: Inside, root: str) -> Service:
    host = options.host
    written = f"[{host}]" if isinstance(host, IPv6Address) else host
    return Service(
        name=options.name,
        user=options.user or options.name,
        app=options.app,
        listen=f"{written}:{options.port}" if written else str(options.port),
        root=root,
        workers=options.workers,
        graceful_s=options.graceful_s,
        start_s=options.start_s,
        factory=options.factory,
        devices=options.devices,
        proxies=tuple(inside.inputs["proxies"]),
    )


def _environment(options: PythonApiServiceOptions, inside: Inside) -> dict[str, str]:
    found = {}
    for name, value in options.environment.items():
        if isinstance(value, AddressOf):
            found[name] = str(inside.inputs["addresses"][name])
        else:
            found[name] = inside.reveal(value) if isinstance(value, Secret) else value
    return found


def restart_script(name: str, *, rebind: bool) -> str:
    """Shell words that restart the service; only a changed socket is closed for it."""
    if not rebind:
        return f"systemctl daemon-reload\nsystemctl restart {name}.service"
    return (
        f"systemctl stop {name}.service {name}.socket 2>/dev/null || true\n"
        f"systemctl daemon-reload\nsystemctl start {name}.socket\nsystemctl start {name}.service"
    )


def accept_script(service: Service, options: PythonApiServiceOptions, *, rebind: bool) -> str:
    """Shell words that fail, with the service's own last words, where it doesn't come up."""
    host = str(options.host) if options.host else "127.0.0.1"
    at = f"[{host}]" if ":" in host else host
    url = f"http://{at}:{options.port}{options.health_path}"
    ask = f"import urllib.request as r; r.urlopen('{url}', timeout=5)"
    return f"""
since=$(date '+%Y-%m-%d %H:%M:%S')
words() {{ journalctl -u {service.name}.service --since "$since" -n 40 --no-pager -o cat; }}
( {restart_script(service.name, rebind=rebind)} ) || {{ words; exit 1; }}
end=$(( $(date +%s) + {options.start_s} ))
until said=$({service.root}/current/.venv/bin/python -c "{ask}" 2>&1); do
    if [ $(date +%s) -ge $end ]; then
        echo "{url} did not answer with 200: $(echo "$said" | tail -n 1)"
        words
        exit 1
    fi
    sleep 0.3
done
{prune_script(service.root, options.keep_releases)}
{prune_venvs_script(service.root)}
"""
