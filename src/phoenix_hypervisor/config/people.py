"""What is told of people: whether a key is one, and whether a password is a hash."""

import base64
import binascii
import re

from phoenix_hypervisor.model.secret import Secret

_HASH = re.compile(r"\$(y|gy|7|6|5|2[aby])\$[./A-Za-z0-9$,=+-]+|[!*]+")
_KEY = re.compile(
    r"(?:^|[\s,])((?:sk-)?(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521))"
    r"(?:-cert-v01)?(?:@openssh\.com)?)\s+(\S+)"
)
MAKE_HASH = "make one with `mkpasswd` (package whois) or `openssl passwd -6`"


def is_hash(secret: Secret | None) -> bool:
    """Whether it is a password's hash (crypt(5)); of one that is named, nothing is known here."""
    return secret is None or secret.name is not None or bool(_HASH.fullmatch(secret.literal or ""))


def key_flaw(line: str) -> str | None:
    """Why a line of authorized_keys (sshd(8)) lets nobody in; None where it can.

    The key itself is a row of texts, each after its length, of which the first is its type
    (RFC 4253 6.6).
    """
    found = _KEY.search(line)
    if found is None:
        return "it has no type, such as ssh-ed25519"
    try:
        data = base64.b64decode(found[2], validate=True)
    except (binascii.Error, ValueError):
        return "its second word is no key: something of it is missing"
    texts = list[bytes]()
    while data:
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length:
            return "it is cut off"
        texts.append(data[4 : 4 + length])
        data = data[4 + length :]
    if not texts[1:] or texts[0].decode("ascii", "replace") != found[1]:
        return f"it is no key of the type {found[1]}"
    return None
