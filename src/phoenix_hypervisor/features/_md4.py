"""MD4, of which SMB's passwords are made (RFC 1320); OpenSSL no longer has it switched on."""

import struct
from collections.abc import Callable

_MASK = 0xFFFFFFFF
_Mix = Callable[[int, int, int], int]
_ROUNDS: tuple[tuple[_Mix, int, tuple[int, ...], tuple[int, ...]], ...] = (
    (lambda x, y, z: (x & y) | (~x & z), 0, tuple(range(16)), (3, 7, 11, 19)),
    (
        lambda x, y, z: (x & y) | (x & z) | (y & z),
        0x5A827999,
        (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        (3, 5, 9, 13),
    ),
    (
        lambda x, y, z: x ^ y ^ z,
        0x6ED9EBA1,
        (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
        (3, 9, 11, 15),
    ),
)


def md4(data: bytes) -> bytes:
    """The digest of 16 bytes."""
    size = struct.pack("<Q", 8 * len(data))
    padded = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + size
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    for start in range(0, len(padded), 64):
        words = struct.unpack("<16I", padded[start : start + 64])
        a, b, c, d = state
        for mix, constant, order, shifts in _ROUNDS:
            for step, index in enumerate(order):
                total = (a + mix(b, c, d) + words[index] + constant) & _MASK
                shift = shifts[step % 4]
                turned = (total << shift | total >> (32 - shift)) & _MASK
                a, b, c, d = d, turned, b, c
        state = [(old + new) & _MASK for old, new in zip(state, (a, b, c, d), strict=True)]
    return struct.pack("<4I", *state)


def nt_hash(password: str) -> str:
    """A password as Samba keeps it, and `pdbedit -Lw` shows it ([MS-NLMP] 3.3.1): 32 digits."""
    return md4(password.encode("utf-16-le")).hex().upper()
