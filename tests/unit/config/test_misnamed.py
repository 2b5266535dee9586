"""A file whose name is a little wrong is told; one that means to be something else is not."""

import os
import tempfile
from pathlib import Path

import pytest

from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.config.misnamed import misnamed

LXC = "phoenix_lxc_configs.json"
VM = "phoenix_vm_configs.json"


@pytest.mark.parametrize(
    ("name", "meant", "mend"),
    [
        ("phoenix_lxc_config.json", LXC, "rename it"),
        ("lxc_configs.json", LXC, "rename it"),
        ("lxc-config.json", LXC, "rename it"),
        ("PHOENIX_LXC_CONFIGS.JSON", LXC, "rename it"),
        ("phoenix_lxc_configs.json.txt", LXC, "rename it"),
        ("phoenix_lxc_configs", LXC, "rename it"),
        ("phoenix_lcx_configs.json", LXC, "rename it"),
        ("phoenix_lxc_configs.json5", LXC, "write it as JSON"),
        ("phoenix_lxc_configs.yaml", LXC, "write it as JSON"),
        ("phoenix_vms_configs.json", VM, "rename it"),
        ("phoenix_hypervisor_configs.json", "phoenix_hypervisor_config.json", "rename it"),
    ],
)
def test_a_near_name_is_told(tmp_path, name, meant, mend):
    (tmp_path / name).write_text("{}")
    (problem,) = misnamed(tmp_path)
    assert (problem.severity, problem.file) == ("warning", meant)
    assert name in problem.message
    assert mend in problem.hint
    assert meant in problem.hint


@pytest.mark.parametrize(
    "name",
    [
        "phoenix_lxc_configs.json.bak",
        "phoenix_lxc_configs.json.1",
        "phoenix_lxc_configs.schema.json",
        "package.json",
        "config.json",
        "secrets.json.age",
        "README",
    ],
)
def test_other_files_are_not(tmp_path, name):
    (tmp_path / name).write_text("{}")
    assert list(misnamed(tmp_path)) == []


def test_neither_are_folders_nor_files_whose_right_one_is_there(tmp_path):
    (tmp_path / "phoenix_vm_config.json").mkdir()
    (tmp_path / LXC).write_text("{}")
    (tmp_path / "phoenix_lxc_config.json").write_text("{}")
    assert list(misnamed(tmp_path)) == []


def test_odd_letters_move_no_cursor(tmp_path, vocabulary):
    (tmp_path / "phoenix_lxc\x1b_configs.json").write_text("{}")
    told = [problem.message for problem in load(tmp_path, vocabulary).problems]
    assert any("\\x1b" in message for message in told)
    assert not any("\x1b" in message for message in told)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else for a moment")
@pytest.mark.parametrize("below", ["", "inside"])
def test_a_folder_that_is_closed_to_this_user_is_one_error(vocabulary, below):
    with tempfile.TemporaryDirectory() as closed:  # nobody else's folder lies above it
        path = Path(closed) / below
        path.mkdir(exist_ok=True)
        load(path, vocabulary)  # what is imported on the way may be closed to others too
        os.seteuid(65534)
        try:
            (problem,) = load(path, vocabulary).problems
        finally:
            os.seteuid(0)
    assert problem.message == f"the folder {path} can't be opened: permission denied"


@pytest.mark.parametrize("below", ["", "further"])
def test_a_file_in_the_place_of_a_folder_is_one_error(tmp_path, vocabulary, below):
    path = tmp_path / LXC
    path.write_text("{}")
    loaded = load(path / below, vocabulary)
    (problem,) = loaded.problems
    assert loaded.desired is None
    assert problem.file == "."
    if below:
        assert problem.message == f"there is no folder {path / below}"
    else:
        assert problem.message == f"{path} is a file, not a folder"
        assert problem.hint == f"write --dir {tmp_path}"
