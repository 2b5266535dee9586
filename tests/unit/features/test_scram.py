"""The stored form of passwords, against known answers and against PostgreSQL's own rules."""

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.features import _scram

# RFC 7677, section 3: user "user", password "pencil".
SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
KNOWN = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_the_rfcs_example() -> None:
    assert _scram.verifier("pencil", salt=SALT) == KNOWN
    assert _scram.matches("pencil", KNOWN)
    assert not _scram.matches("pencils", KNOWN)


@pytest.mark.parametrize("known", [None, "", "md5" + "0" * 32, "SCRAM-SHA-256$x", KNOWN[:40]])
def test_other_forms_never_match(known: str | None) -> None:
    assert not _scram.matches("pencil", known)


# RFC 4013, section 3, and what PostgreSQL does where SASLprep refuses: the text as it is.
@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("\u0627\u0031", "\u0627\u0031"),
        ("a\u0007\u00e4", "a\u0007\u00e4"),
    ],
)
def test_saslprep(password: str, prepared: str) -> None:
    assert _scram.prepared(password) == prepared.encode()


@given(st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_a_password_matches_its_own_verifier(password: str) -> None:
    made = _scram.verifier(password, rounds=2)
    assert _scram.matches(password, made)
    assert "'" not in made
    assert not _scram.matches(password + "x", made)
