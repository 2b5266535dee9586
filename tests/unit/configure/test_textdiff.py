"""Diffs that people may see: readable, and without what could be a secret."""

import pytest

from phoenix_hypervisor.configure.textdiff import diff, is_text, mask
from phoenix_hypervisor.model.redact import Redactor

HIDE = Redactor(["new pass", "line one\nline two"])


def shown(before: str, after: str, *, private: bool = False) -> list[str]:
    return diff(before, after, redact=HIDE, private=private).splitlines()


def test_a_changed_line_reads_like_git() -> None:
    before, after = "a\nb\nc\nd\ne\n", "a\nb\nX\nd\ne\n"
    assert shown(before, after) == ["@@ -1,5 +1,5 @@", " a", " b", "-c", "+X", " d", " e"]


def test_known_secrets_are_hidden_in_both() -> None:
    assert shown("p new pass\nx\n", "p new pass\ny\n")[1:] == [" p [secret]", "-x", "+y"]
    assert shown("", "k line one\nline two\n")[1:] == ["+k [secret]"]


def test_of_a_private_file_an_old_secret_is_hidden_and_the_rest_can_be_read() -> None:
    before = 'maxmemory 99mb\nrequirepass "forgotten one"\nadded by hand\nallow 10.0.0.0/8\n'
    after = 'maxmemory 128mb\nrequirepass "new pass"\n'
    assert shown(before, after, private=True)[1:] == [
        "-maxmemory 99mb",
        '-requirepass "[hidden] [hidden]"',
        "-[hidden] [hidden] [hidden]",
        "-[hidden] 10.0.0.0/8",
        "+maxmemory 128mb",
        '+requirepass "[secret]"',
    ]
    assert "-added by hand" in shown(before, after)


@pytest.mark.parametrize("word", ["12345678", "1234567890123", "tok3n", "a.b.c.d", "off2"])
def test_what_could_be_a_secret_is_no_plain_word(word: str) -> None:
    assert shown(f"key {word}\n", "key x\n", private=True)[1] == "-key [hidden]"


@pytest.mark.parametrize(
    "text",
    [
        "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy",
        "$6$salt$hashhashhash",
        "$y$j9T$salt$hashhash",
        "$2b$06$abcdefghijklmnopqrstuv",
    ],
)
def test_hashes_of_passwords_are_hidden(text: str) -> None:
    assert mask(f"PASSWORD '{text}';") == "PASSWORD '[hidden]';"


def test_logins_in_urls_are_hidden() -> None:
    assert mask("https://ann:pw@host/x https://host/y") == "https://[hidden]@host/x https://host/y"


def test_a_long_diff_is_whole() -> None:
    lines = shown("", "".join(f"{n} {'x' * 900}\n" for n in range(500)))
    assert lines[1:] == [f"+{n} {'x' * 900}" for n in range(500)]


def test_ends_of_lines_alone_are_no_diff() -> None:
    assert shown("a\nb", "a\nb\n") == []


def test_bytes_are_no_text() -> None:
    assert is_text("ü\n".encode())
    assert not is_text(b"\x7fELF\0")
