"""A firewall of Proxmox VE as nftables' rules, loaded in a namespace that real packets reach.

It is written from pve-firewall's chains and shares nothing with the product's own reckoning, which
is to say the same: `with nft_rules.wire() as wire: wire.load(rules); wire.outcomes(attempts)`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

Attempt = tuple[str, str, int]
"""Source, destination, port."""
_PORTS = {
    "SSH": "tcp dport 22",
    "Web": "tcp dport { 80, 443 }",
    "PMG": "tcp dport 8006",
    "Ping": "icmp type echo-request",
}
_NAMES = {"ssh": "22", "https": "443"}
_VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject with tcp reset"}
_CLIENT = r"""
import json, select, socket, sys, time
for line in sys.stdin:
    said, open_ones = {}, {}
    for number, (source, dest, port) in enumerate(json.loads(line)):
        s = socket.socket()
        s.setblocking(False)
        s.bind((source, 0))
        s.connect_ex((dest, port))
        open_ones[s] = number
    until = time.monotonic() + 0.5
    while open_ones and time.monotonic() < until:
        for s in select.select([], list(open_ones), [], 0.05)[1]:
            error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            said[open_ones.pop(s)] = "REJECT" if error else "ACCEPT"
            s.close()
    for s, number in open_ones.items():
        said[number] = "DROP"
        s.close()
    print(json.dumps([said[n] for n in sorted(said)]), flush=True)
"""
_SERVER = r"""
import socket, sys, threading
def serve(s):
    while True:
        s.accept()[0].close()
for port in map(int, sys.argv[1:]):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port))
    s.listen(64)
    threading.Thread(target=serve, args=(s,), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


def script(rules: Mapping[str, Any]) -> str:
    """`rules`: node, cluster, policy, aliases, ipsets, groups, local_network, as PVE has them."""
    lines = ["flush ruleset", "table inet pve {"]
    for name, entries in rules["ipsets"].items():
        for end, some in (("", [e for e in entries if e[0] != "!"]),
                          ("_not", [e[1:] for e in entries if e[0] == "!"])):  # fmt: skip
            held = [rules["aliases"].get(each, each) for each in some]
            inside = f"elements = {{ {', '.join(held)} }}" if held else ""
            lines.append(
                f"set {name}{end} {{ type ipv4_addr; flags interval; auto-merge; {inside}\n}}"
            )
    for name, inside in rules["groups"].items():
        lines += [f"chain GROUP-{name} {{", *_chain(inside, rules), "}"]
    lines += ["chain input {", "type filter hook input priority 0; policy accept;",
              'iifname "lo" accept', "ct state established,related accept"]  # fmt: skip
    if "blacklist" in rules["ipsets"]:
        lines.append(_set("saddr", "blacklist") + "drop")
    lines += _chain([*rules["node"], *rules["cluster"]], rules)
    ports = "tcp dport { 22, 3128, 5900-5999, 8006, 60000-60050 } accept"
    if "management" in rules["ipsets"]:
        lines.append(_set("saddr", "management") + ports)
    local = rules["aliases"].get("local_network") or rules["local_network"]
    if local:
        lines.append(f"ip saddr {local} {ports}")
    lines += [_VERDICTS[rules["policy"]], "}", "}"]
    return "\n".join(lines) + "\n"


def _chain(rules: Sequence[Mapping[str, str]], world: Mapping[str, Any]) -> list[str]:
    lines = []
    for rule in rules:
        if rule.get("enable", "1") == "0" or rule["type"] == "out":
            continue
        words = f'iifname "{rule["iface"]}" ' if rule.get("iface") else ""
        if rule["type"] == "group":
            lines.append(f"{words}jump GROUP-{rule['action']}")
            continue
        for key, side in (("source", "saddr"), ("dest", "daddr")):
            place = rule.get(key, "").replace("dc/", "")
            if place.startswith("+"):
                words += _set(side, place[1:])
            elif place:
                words += f"ip {side} {{ {world['aliases'].get(place, place)} }} "
        if rule.get("macro"):
            words += _PORTS[rule["macro"]] + " "
        elif rule.get("dport"):
            parts = [_NAMES.get(p, p).replace(":", "-") for p in rule["dport"].split(",")]
            words += f"{rule['proto']} dport {{ {', '.join(parts)} }} "
        elif rule.get("proto"):
            words += f"meta l4proto {rule['proto']} "
        words, verdict = _verdict(rule["action"], words)
        lines.append(words + verdict)
    return lines


def _verdict(action: str, words: str) -> tuple[str, str]:
    """A reset answers TCP alone; all else is rejected by ICMP."""
    if action != "REJECT" or "tcp" in words:
        return words, _VERDICTS[action]
    if "udp" in words or "icmp" in words:
        return words, "reject"
    return f"{words}meta l4proto tcp ", _VERDICTS[action]


def _set(side: str, name: str) -> str:
    return f"ip {side} @{name} ip {side} != @{name}_not "


@dataclass
class Wire:
    """Two namespaces with a veth between them; the second one has the rules and the servers."""

    node: int
    client: "subprocess.Popen[str]"

    def load(self, rules: Mapping[str, Any]) -> None:
        """Real `nft -f`, which takes all of it or nothing."""
        argv = ["nsenter", "-t", str(self.node), "-n", "nft", "-f", "-"]
        done = subprocess.run(
            argv, input=script(rules), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{done.stderr}\n{script(rules)}"

    def outcomes(self, attempts: Sequence[Attempt]) -> list[str]:
        """What becomes of real connections: ACCEPT, REJECT or, after half a second, DROP."""
        stdin, stdout = _pipes(self.client)
        stdin.write(json.dumps(attempts) + "\n")
        stdin.flush()
        found: list[str] = json.loads(stdout.readline())
        return found


@contextmanager
def wire(sources: Sequence[str], addresses: Sequence[str], ports: Sequence[int]) -> Iterator[Wire]:
    """`sources` are the client's addresses, `addresses` the node's, on its card `vmbr0`."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    python = sys.executable
    node = ["unshare", "-n", python, "-c", _SERVER, *map(str, ports)]
    with (
        subprocess.Popen(node, **pipes) as server,
        subprocess.Popen(["unshare", "-n", python, "-c", _CLIENT], **pipes) as client,
    ):
        try:
            assert _pipes(server)[1].readline() == "ready\n"
            while (
                Path(f"/proc/{client.pid}/ns/net").readlink()
                == Path(f"/proc/{os.getpid()}/ns/net").readlink()
            ):
                subprocess.run(["sleep", "0.02"], check=True)
            _in(client.pid, f"ip link add op0 type veth peer name vmbr0 netns {server.pid}")
            for pid, card, own in ((client.pid, "op0", sources), (server.pid, "vmbr0", addresses)):
                _in(pid, "ip link set lo up", f"ip link set {card} up")
                _in(pid, *(f"ip addr add {each}/32 dev {card}" for each in own))
            for pid, card in ((client.pid, "op0"), (server.pid, "vmbr0")):
                _in(pid, f"ip route add 0.0.0.0/0 dev {card}")
            yield Wire(server.pid, client)
        finally:
            _pipes(client)[0].close()
            _pipes(server)[0].close()
            client.wait(10)
            server.wait(10)


def _in(pid: int, *commands: str) -> None:
    for command in commands:
        subprocess.run(["nsenter", "-t", str(pid), "-n", *command.split()], check=True)


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout
