"""Secrets are taken out of texts, however a shell, JSON or an exception has written them."""

import base64
import html
import json
import re
import shlex
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_hypervisor.model.redact import Redactor


def _in_base64(before: str) -> Callable[[str], str]:
    return lambda value: base64.b64encode(f"{before}{value}\n".encode()).decode()


def _in_html(text: str, which: str, case: str) -> str:
    return "".join(f"\\u{ord(one):04{case}}" if one in which else one for one in text)


WRITINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "shell": shlex.quote,
    "shell in shell": lambda value: shlex.quote(shlex.quote(value)),
    "JSON": json.dumps,
    "JSON in UTF-8": lambda value: json.dumps(value, ensure_ascii=False),
    "Python": repr,
    "URL": quote,
    "URL part": lambda value: quote(value, safe=""),
    "form": quote_plus,
    "SQL": lambda value: value.replace("'", "''"),
    "JSON in JSON": lambda value: json.dumps(json.dumps(value, ensure_ascii=False)),
    "HTML": html.escape,
    "JSON of Go": lambda value: _in_html(json.dumps(value), "&<>", "x"),
    "JSON in a page": lambda value: _in_html(json.dumps(value), "&<>'", "X"),
    "URL in lower case": lambda value: re.sub(
        "%..", lambda found: found[0].lower(), quote(value, safe="")
    ),
    "hexadecimal": lambda value: value.encode().hex(),
}
CODED: dict[str, Callable[[str], str]] = {
    "alone": _in_base64(""),
    "after one byte": _in_base64(":"),
    "after two": _in_base64("u:"),
    "after many": _in_base64("a user's name: "),
    "for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
}


TEXTS = st.text(min_size=4, max_size=30).filter(lambda text: len(text.strip()) >= 4)


@pytest.mark.parametrize("how", WRITINGS)
@settings(max_examples=40)
@given(value=TEXTS, before=st.sampled_from(["", "x", "password="]))
def test_no_writing_of_a_secret_is_left(how: str, value: str, before: str) -> None:
    try:
        written = WRITINGS[how](value)
    except UnicodeEncodeError:
        return  # a lone surrogate has no URL form
    text = Redactor([value])(f"{before}{written} end")
    assert "[secret]" in text
    rest = text.replace("[secret]", "")
    assert len(rest) <= len(before) + len(" end") + 12  # quotes around it at most


@pytest.mark.parametrize("how", CODED)
@settings(max_examples=40)
@given(value=st.text(st.characters(exclude_categories=["Cs"]), min_size=9, max_size=200))
def test_no_base64_of_a_secret_is_left(how: str, value: str) -> None:
    if not value.strip():
        return
    code = CODED[how](value)
    shown = Redactor([value])(f"it is {code}.")
    assert "[secret]" in shown
    longest = max((len(part) for part in shown.split("[secret]")), default=0)
    assert longest <= len("it is ") + 24  # what surrounds the value


def test_base64_in_lines() -> None:
    key = "".join(chr(33 + number % 90) for number in range(300))
    wrapped = base64.encodebytes(key.encode()).decode()
    shown = Redactor([key])(wrapped)
    assert set(shown.split()) == {"[secret]"}


def test_a_short_value_is_hidden_where_it_stands_alone() -> None:
    redact = Redactor(["ab", " ", "7"])
    assert (
        redact("a cab, ab; 'ab' 7 17 x=7") == "a cab, [secret]; '[secret]' [secret] 17 x=[secret]"
    )


@pytest.mark.parametrize("end", ["…", " …", "...", " ...", "....", "... (cut)"])
def test_what_an_ellipsis_cuts_is_hidden(end: str) -> None:
    assert Redactor(["correct-horse-battery"])(f"x correct-ho{end}") == f"x [secret]{end}"


def test_dots_in_a_row_are_not_slow() -> None:
    redact = Redactor(["correct-horse-battery"])
    begin = time.process_time()
    redact("corr... " * 50_000)
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("which", ["a&b&c&d", "<<a>>", "it's&<me>"])
def test_escapes_of_json_for_pages(which: str) -> None:
    for case in "xX":
        for signs in ("&<>", "&<>'"):
            assert Redactor([which])(_in_html(which, signs, case)) == "[secret]"


def test_secrets_that_overlap_leave_nothing() -> None:
    assert Redactor(["abcdef", "defghi"])("x abcdefghi x") == "x [secret] x"


@given(st.integers(1, 30), st.integers(0, 40), st.booleans())
def test_no_part_is_left_where_a_stream_is_cut(cut: int, lead: int, twice: bool) -> None:
    secret = "correct-horse-battery-staple"
    text = "." * lead + secret * (1 + twice) + " end"
    redact = Redactor([secret])
    first, second = text[: lead + cut], text[lead + cut :]
    shown = redact(first) + "|" + redact(second, before=first)
    for at in range(len(secret) - 8):
        assert secret[at : at + 9] not in shown
    assert shown.endswith(" end") or twice or cut > len(secret)


def test_thousands_of_secrets_are_not_slow() -> None:
    values = [f"value-{number}-{number * 7919:x}" for number in range(2000)]
    redact = Redactor(values)
    text = "nothing to see here, value- and value-1 " * 200 + values[1234]
    begin = time.process_time()
    shown = redact(text)
    assert time.process_time() - begin < 1
    assert shown.endswith(" [secret]")


def test_values_can_be_added() -> None:
    redact = Redactor()
    assert redact("hunter22") == "hunter22"
    redact.add("hunter22")
    assert redact("hunter22") == "[secret]"


def test_each_line_of_a_key_is_hidden_where_it_stands_alone() -> None:
    key = "-----BEGIN KEY-----\n  c2VjcmV0\nx=\n-----END KEY-----\n"
    redact = Redactor([key])
    assert redact(f"it is {key}!") == "it is [secret]!"
    assert redact("line 2: c2VjcmV0, line 3: x=") == "line 2: [secret], line 3: x="


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert Redactor(["pass", "password"])("password, pass") == "[secret], [secret]"


def test_nothing_to_hide() -> None:
    assert Redactor([])("text") == "text"
    assert Redactor([""])("text") == "text"
