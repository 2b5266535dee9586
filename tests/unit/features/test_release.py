"""Trees: the same content has the same hash and the same archive; the scripts do what they say."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from phoenix_hypervisor.features._release import Tree, listed, prune_script, switch_script
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed


def put(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_hash_covers_names_contents_and_modes(tmp_path: Path) -> None:
    one = Tree.of_folder(put(tmp_path / "1", a="x", d__b="y"), tmp_path)
    same = Tree.of_folder(put(tmp_path / "2", a="x", d__b="y"), tmp_path)
    assert one.digest() == same.digest()
    assert one.pack() == same.pack()
    assert one.digest() != one.digest("python 3.13")
    assert one.digest() != Tree.of_texts({"a": "x", "d/c": "y"}).digest()
    assert one.digest() != Tree.of_texts({"a": "xd/b", "": "y"}).digest()
    (tmp_path / "2/a").chmod(0o755)
    assert one.digest() != Tree.of_folder(tmp_path / "2", tmp_path).digest()


def test_the_archive_unpacks_to_the_manifest(tmp_path: Path) -> None:
    tree = Tree.of_folder(put(tmp_path / "in", a="x", d__e__b="y"), tmp_path)
    out = tmp_path / "out"
    with tarfile.open(fileobj=io.BytesIO(tree.pack())) as tar:
        tar.extractall(out, filter="data")
    subprocess.run(
        ["sha256sum", "--check", "--strict"], cwd=out, input=tree.manifest().encode(), check=True
    )


def test_tools_leavings_stay_out(tmp_path: Path) -> None:
    for name in (
        "a",
        "__pycache__/a.pyc",
        "d/node_modules/b.js",
        ".git/config",
        ".venv/x",
        ".phoenix-secrets.env",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert set(Tree.of_folder(tmp_path, tmp_path).files) == {"a"}
    assert listed(tmp_path, tmp_path) == [tmp_path / "a"]


def test_a_link_stays_in_the_folder_and_off_its_secrets(tmp_path: Path) -> None:
    home = put(tmp_path / "home", site__index="x", shared__logo="l", site__d__e="y")
    (home / "site/logo").symlink_to("../shared/logo")
    assert Tree.of_folder(home / "site", home).files["logo"] == (b"l", False)
    (tmp_path / "outside").mkdir()
    (home / ".phoenix-secrets.env").write_text("A=1")
    for target in ("/etc/passwd", "../../outside", "../.phoenix-secrets.env", "/no/such/file"):
        link = home / "site/stray"
        link.symlink_to(target)
        with pytest.raises(ConfigError, match=f"{link} leads to .*must not go into a guest"):
            listed(home / "site", home)
        link.unlink()
    (home / "linked").symlink_to(tmp_path / "outside")
    with pytest.raises(ConfigError, match="linked leads to"):
        Tree.of_folder(home / "linked", home)


def test_missing_and_empty_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigureFailed, match="is missing"):
        Tree.of_folder(tmp_path / "none", tmp_path)
    with pytest.raises(ConfigureFailed, match="holds no files"):
        Tree.of_folder(tmp_path, tmp_path)


def test_odd_names_are_refused() -> None:
    with pytest.raises(ConfigureFailed, match="newline"):
        Tree.of_texts({"a\nb": "x"}).manifest()


def test_switch_and_prune_keep_the_current_and_the_newest(tmp_path: Path) -> None:
    for age, name in enumerate(("aaaa", "bbbb", "cccc", "dddd")):
        folder = tmp_path / "releases" / name
        folder.mkdir(parents=True)
        (tmp_path / f"releases/{name}.sha256").touch()
        os.utime(folder, (1000 + age, 1000 + age))
    sh = ["sh", "-ec"]
    subprocess.run([*sh, switch_script(str(tmp_path), "dddd")], check=True)
    subprocess.run([*sh, switch_script(str(tmp_path), "aaaa")], check=True)
    assert (tmp_path / "current").readlink() == Path("releases/aaaa")
    subprocess.run([*sh, prune_script(str(tmp_path), 2)], check=True)
    left = sorted(path.name for path in (tmp_path / "releases").iterdir())
    assert left == ["aaaa", "aaaa.sha256", "dddd", "dddd.sha256"]


@pytest.mark.parametrize("name", [b"a\nb", b"a\\b", b"d/a\rb", b"\xff"])
def test_a_name_that_no_manifest_holds_is_refused_before_anything_is_done(
    tmp_path: Path, name: bytes
) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 - of bytes
    Path(os.fsdecode(path)).parent.mkdir(exist_ok=True)
    Path(os.fsdecode(path)).touch()
    with pytest.raises(ConfigError, match="rename the file"):
        listed(tmp_path, tmp_path)


def test_other_strange_names_are_right(tmp_path: Path) -> None:
    names = ["-rf", "a b", "'\"$(x)`", "e\u0301 \U0001f9d1\u200d\U0001f680", "a\tb"]
    for name in names:
        (tmp_path / name).touch()
    assert {path.name for path in listed(tmp_path, tmp_path)} == set(names)
