"""PostgreSQL's stored form of a password, made and compared here rather than in the database.

So the database is only asked to change a password that differs, and the plain password never
reaches its guest: not in a command, not in a statement, not in the server's log.

Sources: RFC 5802 (SCRAM), RFC 7677 (SHA-256), RFC 4013 (SASLprep), and PostgreSQL's
src/common/scram-common.c for the form `SCRAM-SHA-256$<rounds>:<salt>$<stored>:<server>`.
"""

import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from base64 import b64decode, b64encode

ROUNDS = 4096
_FORM = re.compile(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)\Z")
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def verifier(password: str, *, salt: bytes | None = None, rounds: int = ROUNDS) -> str:
    """What `pg_authid.rolpassword` holds for a password; the salt is random where none is given."""
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, rounds)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = b64encode(hashlib.sha256(client).digest()).decode()
    server = b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${rounds}:{b64encode(salt).decode()}${stored}:{server}"


def matches(password: str, known: str | None) -> bool:
    """Whether a stored form is that of the password. An older form (md5) never matches."""
    found = _FORM.match(known or "")
    if not found:
        return False
    mine = verifier(password, salt=b64decode(found[2]), rounds=int(found[1]))
    return hmac.compare_digest(mine, found[0])


def prepared(password: str) -> bytes:
    """SASLprep; a password that it prohibits is used as it is, as PostgreSQL does."""
    if password.isascii():
        return password.encode()
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    normal = unicodedata.normalize("NFKC", mapped)
    if not normal or any(test(char) for char in normal for test in _PROHIBITED):
        return password.encode()
    right_to_left = [stringprep.in_table_d1(char) for char in normal]
    if any(right_to_left) and (
        any(stringprep.in_table_d2(char) for char in normal)
        or not (right_to_left[0] and right_to_left[-1])
    ):
        return password.encode()
    return normal.encode()
