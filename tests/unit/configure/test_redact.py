"""Secrets are taken out of texts, however a shell, JSON or an exception has written them."""

import json
import shlex
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.configure.redact import Redactor

WRITINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "shell": shlex.quote,
    "shell in shell": lambda value: shlex.quote(shlex.quote(value)),
    "JSON": json.dumps,
    "JSON in UTF-8": lambda value: json.dumps(value, ensure_ascii=False),
    "Python": repr,
    "URL": quote,
    "URL part": lambda value: quote(value, safe=""),
}


@pytest.mark.parametrize("how", WRITINGS)
@given(value=st.text(min_size=1, max_size=30), before=st.sampled_from(["", "x", "password="]))
def test_no_writing_of_a_secret_is_left(how: str, value: str, before: str) -> None:
    try:
        written = WRITINGS[how](value)
    except UnicodeEncodeError:
        return  # a lone surrogate has no URL form
    text = Redactor([value])(f"{before}{written} end")
    assert "[secret]" in text
    rest = text.replace("[secret]", "")
    assert len(rest) <= len(before) + len(" end") + 12  # quotes around it at most


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
