"""The node side of `played_node.py`: a root shell and the node's network API, over real TCP.

Started in a network namespace of its own. Port 22 runs scripts, as sshd would: SSH_CONNECTION says
the ends of the connection. Port 8006 keeps the node's interfaces as Proxmox VE does: writes go into
/etc/network/interfaces.new, and one PUT puts that in place and runs ifupdown2's `ifreload -a`. It
keeps what PVE::API2::Network documents, and only for bridges, VLANs and cards with IPv4; an update
without an address takes the address away, as there.

A request is a line of JSON, and so is its answer.
"""

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FILE = Path("/etc/network/interfaces")
_NEW = Path("/etc/network/interfaces.new")
_WORDS = {
    "cidr": "address",
    "gateway": "gateway",
    "bridge_ports": "bridge-ports",
    "bridge_vlan_aware": "bridge-vlan-aware",
    "vlan-id": "vlan-id",
    "vlan-raw-device": "vlan-raw-device",
    "mtu": "mtu",
}
Rows = dict[str, dict[str, Any]]


def _read() -> Rows:  # noqa: C901 - one branch for each kind of line
    rows: Rows = {}
    auto, row = set[str](), dict[str, Any]()
    file = _NEW if _NEW.exists() else _FILE
    for line in file.read_text().splitlines():
        words = line.split()
        if line.startswith("#"):
            row["comments"] = row.get("comments", "") + line[1:] + "\n"
        elif words[:1] == ["auto"]:
            auto.update(words[1:])
        elif words[:1] == ["iface"]:
            row = {"iface": words[1], "method": words[3], "type": "eth"}
            rows[words[1]] = row
        elif words:
            key = next((k for k, word in _WORDS.items() if word == words[0]), None)
            if key is not None:
                row[key] = " ".join(words[1:])
    for name, row in rows.items():
        if name in auto:
            row["autostart"] = 1
        if "bridge_ports" in row:
            row["type"] = "bridge"
            row["bridge_ports"] = row["bridge_ports"].replace("none", "")
            if row.pop("bridge_vlan_aware", "no") == "yes":
                row["bridge_vlan_aware"] = 1
        elif "vlan-raw-device" in row or "." in name:
            row["type"] = "vlan"
    rows.pop("lo", None)
    return rows


def _write(rows: Rows) -> None:
    lines = ["auto lo", "iface lo inet loopback", ""]
    for name, row in rows.items():
        if row.get("autostart"):
            lines.append(f"auto {name}")
        lines.append(f"iface {name} inet {'static' if row.get('cidr') else 'manual'}")
        for key, word in _WORDS.items():
            value = row.get(key)
            if key == "bridge_ports" and row["type"] == "bridge":
                lines.append(f"\tbridge-ports {value or 'none'}\n\tbridge-stp off\n\tbridge-fd 0")
            elif key == "bridge_vlan_aware" and value is not None:
                lines.append("\tbridge-vlan-aware yes")  # whatever it says
            elif value and key != "bridge_ports":
                lines.append(f"\t{word} {value}")
        lines += [f"#{line}" for line in str(row.get("comments", "")).splitlines()]
        lines.append("")
    _NEW.write_text("\n".join(lines))


def _api(method: str, path: str, told: dict[str, Any]) -> Any:
    *_, what, name = [*path.split("/")[3:], ""] if path.count("/") == 3 else path.split("/")
    assert what == "network", path
    rows = _read()
    if method == "GET":
        return list(rows.values())
    if method == "DELETE":
        _NEW.unlink(missing_ok=True)
    elif method == "POST":
        if told["iface"] in rows:
            raise ValueError("interface already exists")
        rows[told.pop("iface")] = told
        _write(rows)
    elif name:
        row = rows[name]
        for key in str(told.pop("delete", "")).split(","):
            row.pop(key, None)
        if "cidr" not in told:
            row.pop("cidr", None)
        row |= told
        _write(rows)
    else:
        if _NEW.exists():
            _NEW.rename(_FILE)
        done = subprocess.run(["ifreload", "-a"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"command 'ifreload -a' failed: {done.stderr}")
    return None


def _shell(request: dict[str, Any], ends: str) -> dict[str, Any]:
    done = subprocess.run(
        ["sh", "-c", request["script"]],
        input=request.get("stdin", ""),
        capture_output=True,
        text=True,
        env=os.environ | {"SSH_CONNECTION": ends},
        check=False,
    )
    return {"status": done.returncode, "out": done.stdout, "err": done.stderr}


def _ask_api(request: dict[str, Any], ends: str) -> dict[str, Any]:
    del ends
    try:
        return {"data": _api(request["method"], request["path"], request["told"])}
    except (ValueError, KeyError) as error:
        return {"error": str(error)}


def _serve(port: int, answer: Callable[[dict[str, Any], str], dict[str, Any]]) -> None:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            peer, own = self.client_address, self.request.getsockname()
            ends = f"{peer[0]} {peer[1]} {own[0]} {own[1]}"
            for line in self.rfile:
                self.wfile.write(json.dumps(answer(json.loads(line), ends)).encode() + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    threading.Thread(target=Server(("0.0.0.0", port), Handler).serve_forever).start()  # noqa: S104


if __name__ == "__main__":
    _FILE.write_text(sys.stdin.readline().replace("|", "\n"))
    subprocess.run(["ifreload", "-a"], check=True, capture_output=True)
    _serve(22, _shell)
    _serve(8006, _ask_api)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()  # until who started it ends
    os._exit(0)
