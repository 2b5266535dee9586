"""The text of dnsmasq's configuration. Pure; the words are those of dnsmasq(8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.features._engine_units import NOTE

FOLDER = "/etc/phoenix/dns"
CONF = f"{FOLDER}/dnsmasq.conf"
HOSTS = f"{FOLDER}/hosts"
UNIT = "phoenix-dns.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
_PID = "/run/phoenix-dns.pid"


@dataclass(frozen=True, slots=True)
class Served:
    """What is answered, and where: `listen` are addresses; `zones` are never asked elsewhere."""

    listen: tuple[str, ...]
    port: int
    domain: str | None
    zones: tuple[str, ...]
    upstream: tuple[str, ...]
    extra: str = ""


def conf(served: Served, records: Mapping[str, Sequence[str]]) -> str:
    """The configuration: plain names are in the file of hosts, which is read again on its own."""
    zones = dict.fromkeys([*([served.domain] if served.domain else []), *served.zones])
    lines = [
        f"port={served.port}",
        # Only what is named here is listened on, also where it comes up later.
        "bind-dynamic",
        *(f"listen-address={address}" for address in served.listen),
        "no-resolv",
        "no-hosts",
        f"addn-hosts={HOSTS}",
        "domain-needed",
        "bogus-priv",
        "cache-size=2000",
        *([f"domain={served.domain}"] if served.domain else []),
        *(f"local=/{zone}/" for zone in zones),
        *(f"server={address}" for address in served.upstream),
        *(
            f"address=/{name.removeprefix('*.')}/{address}"
            for name, addresses in sorted(records.items())
            if name.startswith("*.")
            for address in addresses
        ),
    ]
    return NOTE + "\n".join(lines) + "\n" + (f"{served.extra.rstrip()}\n" if served.extra else "")


def hosts(records: Mapping[str, Sequence[str]]) -> str:
    """The file of names. The first name of an address is what it is called back."""
    by_address: dict[str, list[str]] = {}
    for name, addresses in records.items():
        for address in addresses:
            if not name.startswith("*."):
                by_address.setdefault(address, []).append(name)
    lines = (f"{address} {' '.join(names)}" for address, names in by_address.items())
    return NOTE + "".join(f"{line}\n" for line in lines)


def unit() -> str:
    """The unit. It forks, so that starting it fails where an address can't be listened on."""
    return f"""\
{NOTE}[Unit]
Description=Names of the guests
After=network.target
Before=nss-lookup.target
Wants=nss-lookup.target
StartLimitIntervalSec=0

[Service]
Type=forking
PIDFile={_PID}
ExecStart=/usr/sbin/dnsmasq --conf-file={CONF} --pid-file={_PID} --user=dnsmasq
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=200ms
RestartSteps=8
RestartMaxDelaySec=30s
ProtectSystem=full
ProtectHome=true
PrivateTmp=true

[Install]
WantedBy=multi-user.target
"""


def accept(listen: Sequence[str], port: int, *, restart: bool) -> str:
    """The shell script that tests a new configuration and has it served."""
    test = f"/usr/sbin/dnsmasq --test --conf-file={CONF}\n"
    if not restart:
        return f"{test}systemctl reload-or-restart {UNIT}\n"
    return f"""\
{test}for address in {" ".join(listen)}; do
    case $address in *:*) address="[$address]" ;; esac
    for holder in "$address" 0.0.0.0 '*' '[::]'; do
        held=$(ss -Hlntup "sport = :{port}" | awk -v at="$holder:{port}" \\
            '$5 == at && !/"dnsmasq"/ {{print $7; exit}}')
        if [ -n "$held" ]; then
            echo "Port {port} of $address is taken already, by $held." >&2
            echo "Stop that one (systemd-resolved: DNSStubListener=no), or set dnsmasq.port" \\
                "or dnsmasq.listen." >&2
            exit 1
        fi
    done
done
systemctl daemon-reload
systemctl restart {UNIT} || {{ journalctl -u {UNIT} -n 5 -o cat >&2; exit 1; }}
"""
