"""What Proxmox VE's firewall does with one new TCP connection to a node. Pure.

Source: PVE::Firewall (`enable_host_firewall`, `generate_group_rules`, `compile_ipsets`): the IP set
`blacklist`, then the node's rules, the data centre's, the IP set `management` and the node's own
subnet on the ports of Proxmox VE itself, then the policy. The newer proxmox-firewall asks for
`management` before the rules, and so lets in at least as much of that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

Rule = Mapping[str, Any]
"""As the API tells it: type, action, enable, source, dest, proto, dport, sport, macro, iface."""

MANAGEMENT_PORTS = "22,3128,5900:5999,8006,60000:60050"
_MACROS = {
    "DNS": "53",
    "FTP": "21",
    "HTTP": "80",
    "HTTPS": "443",
    "LDAP": "389",
    "LDAPS": "636",
    "Mail": "25,465,587",
    "MySQL": "3306",
    "NTP": "",
    "PMG": "8006",
    "Ping": "",
    "PostgreSQL": "5432",
    "RDP": "3389",
    "SMB": "135,139,445",
    "SPICEproxy": "3128",
    "SSH": "22",
    "VNC": "5900:5999",
    "Web": "80,443",
}
"""The TCP ports of Proxmox VE's macros; what isn't here counts as not known."""
_SERVICES = {"ssh": "22", "http": "80", "https": "443", "domain": "53", "smtp": "25"}


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a TCP connection. An empty `dest` or `interface` is not known."""

    source: str
    dest: str
    port: int
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to it, and which rule or policy says so."""

    action: str
    why: str

    @property
    def passes(self) -> bool:
        """Whether the connection comes about."""
        return self.action == "ACCEPT"


@dataclass(frozen=True)
class Rules:
    """All that decides on what comes in to one node."""

    node: Sequence[Rule] = ()
    cluster: Sequence[Rule] = ()
    policy: str = "DROP"
    aliases: Mapping[str, str] = field(default_factory=dict)
    ipsets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Entries by name; one with `!` is left out of the others (`nomatch`)."""
    groups: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    local_network: str = ""

    def verdict(self, packet: Packet) -> Verdict:
        """The first that fits decides. What can't be known counts against the packet."""
        if self._in_set("blacklist", packet.source):
            return Verdict("DROP", "the IP set blacklist")
        for place, rules in (("node", self.node), ("data centre", self.cluster)):
            for position, rule in enumerate(rules):
                if found := self._decided(rule, packet):
                    return Verdict(found, f"rule {position} of the {place}: {describe(rule)}")
        if self._is_management(packet.source) and _port_in(packet.port, MANAGEMENT_PORTS):
            return Verdict("ACCEPT", "the IP set management")
        return Verdict(self.policy, f"the policy for incoming traffic, {self.policy}")

    def _decided(self, rule: Rule, packet: Packet) -> str | None:
        if str(rule.get("enable", 1)) == "0":
            return None
        action = str(rule["action"])
        if rule["type"] == "group":
            if self._interface(rule, packet) is False:
                return None
            inside = (self._decided(one, packet) for one in self.groups.get(action, ()))
            return next((found for found in inside if found), None)
        if rule["type"] != "in":
            return None
        fits = self._fits(rule, packet)
        return action if fits or (fits is None and action != "ACCEPT") else None

    def _fits(self, rule: Rule, packet: Packet) -> bool | None:
        """None: that can't be known."""
        parts = (
            self._interface(rule, packet),
            self._place(rule.get("source"), packet.source),
            self._place(rule.get("dest"), packet.dest),
            _service(rule, packet),
        )
        if False in parts:
            return False
        return None if None in parts else True

    @staticmethod
    def _interface(rule: Rule, packet: Packet) -> bool | None:
        if not rule.get("iface"):
            return True
        return rule["iface"] == packet.interface if packet.interface else None

    def _place(self, spec: Any, address: str) -> bool | None:
        if not spec:
            return True
        if not address:
            return None
        name = str(spec).removeprefix("+").removeprefix("dc/")
        if str(spec).startswith("+"):
            if name.startswith("sdn/"):
                return None
            return self._in_set(name, address)  # a rule with a set that isn't there is no rule
        if self._alias(name) is not None:
            return _inside(address, str(self._alias(name)))
        return any(_inside(address, each) for each in str(spec).split(","))

    def _in_set(self, name: str, address: str) -> bool:
        """The narrowest entry that holds the address decides, as in the kernel's hash:net."""
        best, found = -1, False
        for entry in self.ipsets.get(name, ()):
            bare = entry.removeprefix("!")
            network = _network(self._alias(bare.removeprefix("dc/")) or bare)
            if network is None or not _holds(network, address):
                continue
            if network.prefixlen > best:
                best, found = network.prefixlen, not entry.startswith("!")
        return found

    def _is_management(self, address: str) -> bool:
        local = self._alias("local_network") or self.local_network
        return self._in_set("management", address) or bool(local and _inside(address, local))

    def _alias(self, name: str) -> str | None:
        return self.aliases.get(name.lower())


def describe(rule: Rule) -> str:
    """A rule in a few words, for people."""
    if rule["type"] == "group":
        words = f"group {rule['action']}"
    else:
        words = f"{rule['type']} {rule['action']}"
    for key, before in (("macro", ""), ("proto", ""), ("source", "from "), ("sport", "port "),
                        ("dest", "to "), ("dport", "port "), ("iface", "on ")):  # fmt: skip
        if rule.get(key):
            words += f" {before}{rule[key]}"
    return words + (f" ({rule['comment']})" if rule.get("comment") else "")


def _service(rule: Rule, packet: Packet) -> bool | None:
    macro, proto = rule.get("macro"), str(rule.get("proto") or "")
    if macro:
        if macro not in _MACROS:
            return None
        return _port_in(packet.port, _MACROS[macro])
    if proto not in {"", "tcp", "6"}:
        return False
    ports = str(rule.get("dport") or "")
    if ports and not _port_in(packet.port, ports):
        named = [part for part in ports.split(",") if part.isalpha() and part not in _SERVICES]
        return None if named else False
    return None if rule.get("sport") else True


def _port_in(port: int, spec: str) -> bool:
    for part in filter(None, spec.split(",")):
        low, _, high = (_SERVICES.get(part) or part).partition(":")
        if low.isdigit() and int(low) <= port <= int(high or low):
            return True
    return False


def _inside(address: str, spec: str) -> bool:
    low, dash, high = spec.partition("-")
    if dash:
        try:
            first, last, one = ip_address(low), ip_address(high), ip_address(address)
        except ValueError:  # a name with a dash, of an alias that is not there
            return False
        return one.version == first.version and int(first) <= int(one) <= int(last)
    network = _network(spec)
    return network is not None and _holds(network, address)


def _network(spec: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(spec, strict=False)
    except ValueError:
        return None


def _holds(network: IPv4Network | IPv6Network, address: str) -> bool:
    one = ip_address(address)
    return one.version == network.version and one in network
