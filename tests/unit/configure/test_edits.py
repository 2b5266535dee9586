"""Edits of a part of a file, told without running them."""

from typing import Any

import pytest

from phoenix_hypervisor.configure.edits import edited, keys_after, keys_written, path_of

BLOCK = {"path": "/etc/hosts", "present": True, "marker": "# {mark} Phoenix"}


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("files.block", BLOCK, "/etc/hosts"),
        ("files.line", {"path": "/x", "present": True}, "/x"),
        ("files.line", {"path": "/x", "present": False}, None),
        ("files.line", {"path": "/x", "present": True, "backup": True}, None),
        ("files.put", {"dest": "/x"}, None),
        ("", {}, None),
    ],
)
def test_which_file(function: str, arguments: dict[str, Any], expected: str | None) -> None:
    assert path_of(function, arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "before", "after"),
    [
        ({"line": "x = 1"}, "a\n", "a\nx = 1\n"),
        ({"line": "x = 1", "ensure_newline": True}, "a", "a\nx = 1\n"),
        ({"line": "x .*", "replace": "x = 1"}, "x = 2\n", None),
        ({"line": "^x = 1$"}, "a\n", None),
    ],
)
def test_a_line(arguments: dict[str, Any], before: str, after: str | None) -> None:
    assert edited("files.line", arguments, before) == after


@pytest.mark.parametrize(
    ("more", "before", "after"),
    [
        ({}, "a\n", "a\n# BEGIN Phoenix\nnew\n# END Phoenix\n"),
        ({"before": True, "after": True}, "a\n", "# BEGIN Phoenix\nnew\n# END Phoenix\na\n"),
        (
            {},
            "a\n# BEGIN Phoenix\nold\nolder\n# END Phoenix\nb\n",
            "a\n# BEGIN Phoenix\nnew\n# END Phoenix\nb\n",
        ),
        ({"content": ["x", "y"]}, "", "# BEGIN Phoenix\nx\ny\n# END Phoenix\n"),
        ({"before": True, "line": "a"}, "a\n", None),
        ({"content": ""}, "a\n", None),
        ({"marker": "<{mark}>", "begin": "1", "end": "2"}, "<1>\nold\n<2>\n", "<1>\nnew\n<2>\n"),
    ],
)
def test_a_block(more: dict[str, Any], before: str, after: str | None) -> None:
    assert edited("files.block", {**BLOCK, "content": "new", **more}, before) == after


WRITTEN = (
    'cd / && runuser -u ann -- sh -c \'mv -T "$new" "$1/authorized_keys"\n\' sh /home/ann/.ssh'
)
ADDED = "umask 077; cat >> /root/.ssh/authorized_keys"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (WRITTEN, "/home/ann/.ssh/authorized_keys"),
        (WRITTEN.replace("/home/ann", ""), None),  # who has no account yet
        (ADDED, "/root/.ssh/authorized_keys"),
        ("smbpasswd -s -a ann", None),
        ("it's", None),
        ("", None),
    ],
)
def test_whose_keys_a_command_writes(command: str, expected: str | None) -> None:
    assert keys_written(command) == expected


def test_keys_are_written_anew_or_added() -> None:
    assert keys_after(WRITTEN, "b\n", "a\n") == "b\n"
    assert keys_after(ADDED, "b\n", "a") == "a\nb\n"
    assert keys_after(ADDED, "b\n", "") == "b\n"
