"""step-ca: Smallstep's certificate authority, by ACME, installed as its maker says.

Facts are from smallstep.com/docs: the Debian repository, `step ca init`, and the unit for running
it as a daemon (github.com/smallstep/certificates, systemd/step-ca.service).
"""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from phoenix_hypervisor.features._acme_clients import client_hosts, known_names, write_hosts
from phoenix_hypervisor.features._engine_units import NOTE
from phoenix_hypervisor.features._fetch import WebAddress
from phoenix_hypervisor.features._guests import static_ip
from phoenix_hypervisor.features._take import NewFile, take
from phoenix_hypervisor.features._words import PlainHost, Port
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, Inside
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.secret import Secret

HOME = "/etc/step-ca"
PASSWORD = f"{HOME}/password.txt"
CONF = f"{HOME}/config/ca.json"
USER = "step"
UNIT = "step-ca.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
PROVISIONER = "acme"
KEYRING = "/etc/apt/keyrings/smallstep.asc"
SOURCES = "/etc/apt/sources.list.d/smallstep.sources"
REPOSITORY = "https://packages.smallstep.com/stable/debian"
KEY = "https://packages.smallstep.com/keys/apt/repo-signing-key.gpg"
Title = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._()@-]{0,62}$")]


class StepCaOptions(FeatureOptions):
    """Options of `step_ca`."""

    title: Title | None = Field(
        None, description="The authority's name. Default: the hypervisor's `step_ca`, or Phoenix."
    )
    dns_name: PlainHost | None = Field(
        None, description="More of a host name. Default: the hypervisor's `step_ca.dns_name`."
    )
    provisioner: Title | None = Field(
        None, description="The first provisioner, for the `step` tool. Default: as with `title`."
    )
    password: Secret | None = Field(
        None, description="Guards its keys on the disk. Default: one that is made in the guest."
    )
    lifetime_days: int = Field(60, ge=1, le=90, description="How long certificates are valid.")
    port: Port = Field(443, description="TCP port.")
    repository: WebAddress = Field(REPOSITORY, description="Where its Debian packages are.")
    repository_key: WebAddress = Field(KEY, description="The key that signs them.")


class StepCa(Feature[StepCaOptions]):
    """An authority that knows more ways than ACME; made once, its keys stay in the guest."""

    name = "step_ca"
    keeps = "the authority's keys"
    options = StepCaOptions
    units = (UNIT,)

    def flaws(self, options: StepCaOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """A guest whose address nobody knows."""
        try:
            static_ip(guest, "others ask it for certificates")
        except ConfigError as error:
            return [Flaw(error.message)]
        return ()

    def inputs(self, options: StepCaOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        """What it is called, and the addresses of those who ask it for certificates."""
        names = desired.host.setup.names.authority
        address = static_ip(guest, "others ask it for certificates")
        more = (options.dns_name or names.dns_name, *known_names(guest, desired.host.domain))
        return {
            "title": options.title or names.root or "Phoenix",
            "provisioner": options.provisioner or names.provisioner or "admin",
            "names": [address, *dict.fromkeys(name for name in more if name)],
            "hosts": client_hosts(guest, desired),
        }

    def listens(self, options: StepCaOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """ACME's port."""
        return (Listen(options.port, ("port",)),)

    def checks(self, options: StepCaOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """Its own health answer, and the ACME directory."""
        asked = {"scheme": "https", "port": options.port, "verify_tls": False}
        return (
            {"http": {**asked, "path": "/health", "contains": "ok"}},
            {"http": {**asked, "path": f"/acme/{PROVISIONER}/directory", "contains": "newOrder"}},
        )

    def deploy(self, options: StepCaOptions, inside: Inside) -> None:
        """Installs it, makes the authority once, and keeps its configuration and unit."""
        from phoenix_hypervisor.features import _system

        _install(options)
        _system.service_user(USER, HOME)
        _system.folder(HOME, mode="700", user=USER, group=USER)
        _password(inside.reveal(options.password) if options.password else None)
        write_hosts(inside.inputs["hosts"])
        if _system.ask(f"test -e {CONF} && echo there || true") != "there":
            _system.run("Make the certificate authority", make(options, inside.inputs))
        before = _system.ask(f"cat {CONF} 2>/dev/null || true")
        if not before:
            return  # only looked at, and there is none yet
        take(
            "configuration of the certificate authority",
            [
                NewFile(CONF, settings(before, options, inside.inputs), "600", USER, USER),
                NewFile(UNIT_FILE, unit()),
            ],
            accept=f"systemctl daemon-reload\nsystemctl restart {UNIT}\n{answers(options)}",
            undo=f"systemctl daemon-reload; systemctl restart {UNIT}",
        )
        _system.service(UNIT)


def _install(options: StepCaOptions) -> None:
    from phoenix_hypervisor.features import _system

    _system.install("ca-certificates", "curl", "openssl")
    _system.folder(KEYRING.rpartition("/")[0])
    if _system.ask(f"test -s {KEYRING} && echo there || true") != "there":
        _system.run(
            "Fetch the repository's key",
            f"set -e\ncurl -fsSL --retry 3 -o {KEYRING}.new '{options.repository_key}'\n"
            f"mv {KEYRING}.new {KEYRING}",
        )
    if _system.text_file(SOURCES, sources(options.repository)):
        _system.run("Fetch the package index", f"apt-get {_system.APT_PATIENCE} update")
    _system.install("step-cli", "step-ca")


def _password(wanted: str | None) -> None:
    from phoenix_hypervisor.features import _system

    if wanted is not None:
        there = _system.ask(f"test -e {CONF} && sha256sum {PASSWORD} 2>/dev/null || true")
        if there and there.split()[0] != hashlib.sha256(wanted.encode()).hexdigest():
            raise ConfigureFailed(
                f"the authority's keys are guarded by another password than `password` says, which "
                f"stands in {PASSWORD}",
                hint="`step crypto change-pass` changes it on both keys; then write it there too",
            )
        _system.text_file(PASSWORD, wanted, mode="600", user=USER, group=USER)
    elif _system.ask(f"test -s {PASSWORD} && echo there || true") != "there":
        _system.run(
            "Make a password for its keys",
            f"set -e\numask 077\nopenssl rand -hex 32 > {PASSWORD}\nchown {USER}: {PASSWORD}",
        )


def sources(repository: str) -> str:
    """The repository as sources.list(5) describes it in deb822 style."""
    return (
        f"{NOTE}Types: deb\nURIs: {repository}\nSuites: debs\nComponents: main\n"
        f"Signed-By: {KEYRING}\n"
    )


def make(options: StepCaOptions, told: Mapping[str, Any]) -> str:
    """The shell script that makes the authority, all or nothing."""
    dns = " ".join(f"--dns {shlex.quote(name)}" for name in told["names"])
    return f"""\
set -e
cd /
half() {{ rm -rf {HOME}/certs {HOME}/secrets {HOME}/config {HOME}/db {HOME}/templates; }}
half
trap 'half' EXIT
runuser -u {USER} -- env STEPPATH={HOME} HOME={HOME} step ca init \\
    --deployment-type standalone --name {shlex.quote(told["title"])} {dns} \\
    --address :{options.port} \\
    --provisioner {shlex.quote(told["provisioner"])} --acme \\
    --password-file {PASSWORD} --provisioner-password-file {PASSWORD}
trap - EXIT
"""


def settings(before: str, options: StepCaOptions, told: Mapping[str, Any]) -> str:
    """Its configuration with our words, and all others as they are.

    `dnsNames`, `address` and the claims of the ACME provisioner are those of
    smallstep.com/docs/step-ca/configuration. Raises `ConfigError` for one that is none.
    """
    try:
        found: dict[str, Any] = json.loads(before)
        provisioners = found["authority"]["provisioners"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{CONF} is not a configuration of step-ca: {error}") from None
    found["address"] = f":{options.port}"
    found["dnsNames"] = list(told["names"])
    ours = [one for one in provisioners if one.get("type") == "ACME"]
    if not ours:
        ours = [{"type": "ACME", "name": PROVISIONER}]
        provisioners.extend(ours)
    hours = f"{options.lifetime_days * 24}h"
    for one in ours:
        claims = {"maxTLSCertDuration": hours, "defaultTLSCertDuration": hours}
        one["claims"] = {**one.get("claims", {}), **claims}
    return json.dumps(found, indent="\t") + "\n"


def answers(options: StepCaOptions) -> str:
    """Shell words that wait until it is healthy; they fail with its log."""
    return f"""\
for _ in $(seq 50); do
    curl -fsk --max-time 2 https://127.0.0.1:{options.port}/health && exit 0
    sleep 0.2
done
journalctl -u {UNIT} -n 10 -o cat >&2
exit 1
"""


def unit() -> str:
    """The unit that its maker publishes, with the paths of its Debian package."""
    return f"""\
{NOTE}[Unit]
Description=step-ca, a certificate authority
Documentation=https://smallstep.com/docs/step-ca
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0
ConditionFileNotEmpty={CONF}
ConditionFileNotEmpty={PASSWORD}

[Service]
Type=simple
User={USER}
Group={USER}
Environment=STEPPATH={HOME}
WorkingDirectory={HOME}
ExecStart=/usr/bin/step-ca {CONF} --password-file {PASSWORD}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=200ms
RestartSteps=8
RestartMaxDelaySec=30s
TimeoutStopSec=30
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=full
ReadWritePaths={HOME}/db
ProtectHome=true
RestrictNamespaces=true
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
PrivateTmp=true
PrivateDevices=true
ProtectControlGroups=true
ProtectKernelTunables=true
ProtectKernelModules=true
LockPersonality=true
RestrictSUIDSGID=true
RestrictRealtime=true
SystemCallFilter=@system-service
SystemCallArchitectures=native
MemoryDenyWriteExecute=true

[Install]
WantedBy=multi-user.target
"""
