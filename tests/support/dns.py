"""One question to a DNS server, as RFC 1035 writes it: no tool has to be installed for it."""

import ipaddress
import socket
import struct

A, PTR, AAAA = 1, 12, 28
_RECURSE = 0x0100


def ask(server: str, name: str, kind: int = A, *, port: int = 53) -> tuple[int, list[str]]:
    """The answer's code (0: right, 3: no such name, 5: refused) and its records as texts."""
    question = _name(name) + struct.pack("!HH", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as raw:
        raw.settimeout(5)
        raw.connect((server, port))
        raw.send(struct.pack("!6H", 7, _RECURSE, 1, 0, 0, 0) + question)
        reply = raw.recv(4096)
    flags, count = struct.unpack("!H", reply[2:4])[0], struct.unpack("!H", reply[6:8])[0]
    place, found = 12 + len(question), []
    for _ in range(count):
        place = _after(reply, place)
        got, _, _, size = struct.unpack("!HHIH", reply[place : place + 10])
        place += 10
        if got == kind:
            found.append(_text(reply, place, size, kind))
        place += size
    return flags & 15, found


def _name(text: str) -> bytes:
    labels = [part.encode() for part in text.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _after(reply: bytes, place: int) -> int:
    while reply[place]:
        if reply[place] >= 0xC0:
            return place + 2
        place += reply[place] + 1
    return place + 1


def _text(reply: bytes, place: int, size: int, kind: int) -> str:
    if kind != PTR:
        return str(ipaddress.ip_address(reply[place : place + size]))
    labels = []
    while reply[place]:
        if reply[place] >= 0xC0:
            place = struct.unpack("!H", reply[place : place + 2])[0] & 0x3FFF
            continue
        labels.append(reply[place + 1 : place + 1 + reply[place]].decode())
        place += reply[place] + 1
    return ".".join(labels)
