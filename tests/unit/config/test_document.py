import os
from pathlib import Path

import pytest

from phoenix_hypervisor.config.document import Document, pointer, read_document

TEXT = '{\r\n  "a": [1, {"b/c": "é", "d~": 2}],\n  "z": null\r}'


def test_places_count_lines_and_characters_from_one():
    document = Document("x.json")
    document.take(TEXT)
    assert document.problems == []
    assert document.place(()) == (1, 1)
    assert document.place(("a",)) == (2, 8)
    assert document.place(("a",), key=True) == (2, 3)
    assert document.place(("a", 1, "d~")) == (2, 31)
    assert document.place(("a", 1, "d~"), key=True) == (2, 25)
    assert document.place(("z",)) == (3, 8)


def test_what_is_not_there_is_told_at_the_nearest_place():
    document = Document("x.json")
    document.take(TEXT)
    assert document.place(("a", 7, "q")) == document.place(("a",))
    assert document.place(("z", "y"), key=True) == document.place(("z",), key=True)
    assert document.raw(("a", 7, "q")) is None
    assert document.raw(("a", 1, "b/c")) == "é"


def test_pointers_are_escaped():
    assert pointer(("a", 1, "b/c", "d~")) == "/a/1/b~1c/d~0"
    assert pointer(()) == ""


def test_a_file_that_is_not_there_is_none(tmp_path):
    assert read_document(tmp_path, "x.json") is None


def test_a_folder_in_the_files_place_is_a_problem(tmp_path):
    (tmp_path / "x.json").mkdir()
    document = read_document(tmp_path, "x.json")
    assert document is not None
    assert document.broken
    assert "can't be read" in document.problems[0].message


def test_a_file_that_may_not_be_read_is_a_problem(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.symlink_to(path)
    document = read_document(tmp_path, "x.json")
    assert document is not None
    assert "symbolic links" in document.problems[0].message


@pytest.mark.parametrize(
    "text", [b"\xff", b'{"a": "\xed\xa0\x80"}', bytes(range(160, 224)) + b"\xfe"]
)
def test_bytes_that_are_not_text(tmp_path, text):
    (tmp_path / "x.json").write_bytes(text)
    document = read_document(tmp_path, "x.json")
    assert document is not None
    assert document.broken
    assert document.problems


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "phoenix_lxc_configs.json")
    found = read_document(tmp_path, "phoenix_lxc_configs.json")
    assert found is not None
    assert [one.message for one in found.problems] == ["the file can't be read: not a regular file"]
