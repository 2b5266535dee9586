"""What a fingerprint covers and what it doesn't."""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from phoenix_hypervisor.configure import fingerprints, overall
from phoenix_hypervisor.configure.fingerprint import tree
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest, Image, Script
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.feature import Feature, FeatureOptions
from phoenix_hypervisor.model.secret import Secret


class SiteOptions(FeatureOptions):
    port: int = 80
    words: dict[str, str] = Field(default_factory=dict)
    key: Secret | None = None
    folder: str | None = None


class Site(Feature[SiteOptions]):
    name = "site"
    options = SiteOptions

    def inputs(self, options: SiteOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        return {"names": sorted(each.name for each in desired.guests.values())}

    def files(self, options: SiteOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        return (folder / options.folder,) if options.folder else ()


FEATURES: dict[str, Feature[Any]] = {"site": Site()}


def digest(secret: Secret) -> str:
    return f"digest of {secret.reveal(lambda name: f'value of {name}')}"


def guest(guest_id: int = 101, **options: Any) -> Guest:
    return Guest(
        address=address.lxc(guest_id),
        kind="lxc",
        id=guest_id,
        name="web",
        source=Image("debian-13-standard"),
        memory_mb=512,
        cores=1,
        features=(FeatureUse("site", SiteOptions(**options)),),
    )


def prints(
    wanted: Guest,
    *others: Guest,
    folder: Path = Path(),
    features: Mapping[str, Feature[Any]] = FEATURES,
) -> dict[str, str]:
    desired = Desired(folder, "test", guests={each.address: each for each in (wanted, *others)})
    return fingerprints(wanted, desired, features, folder, digest)


def test_the_same_gives_the_same() -> None:
    first = prints(guest(words={"a": "1", "b": "2"}))
    assert first == prints(guest(words={"b": "2", "a": "1"}))
    assert list(first) == ["site"]
    assert len(first["site"]) == 64


@pytest.mark.parametrize(
    "other",
    [
        guest(port=81),
        guest(words={"a": "1"}),
        guest(102),
        guest(key=Secret(name="KEY")),
        guest(key=Secret(literal="k")),
    ],
    ids=["option", "map", "address", "named secret", "literal secret"],
)
def test_what_counts(other: Guest) -> None:
    assert prints(other) != prints(guest())


@pytest.mark.parametrize("field", [{"memory_mb": 4096}, {"cores": 4}, {"name": "web"}])
def test_what_does_not_count(field: dict[str, Any]) -> None:
    assert prints(replace(guest(), **field)) == prints(guest())


def test_a_secret_counts_by_its_digest_alone() -> None:
    named = prints(guest(key=Secret(name="KEY")))
    assert named == prints(guest(key=Secret(literal="value of KEY")))


def test_inputs_from_other_guests_count() -> None:
    assert prints(guest(), replace(guest(102), name="api")) != prints(guest())


def test_files_count(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("a")
    before = prints(guest(folder="site"), folder=tmp_path)
    assert before == prints(guest(folder="site"), folder=tmp_path)
    (tmp_path / "site" / "index.html").write_text("b")
    assert before != prints(guest(folder="site"), folder=tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(PhoenixError, match="gone can't be read: No such file"):
        prints(guest(folder="gone"), folder=tmp_path)


def changes(path: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each change of a folder that has to be seen."""
    yield "content", lambda: (path / "a").write_text("other")
    yield "name", lambda: (path / "a").rename(path / "b")
    yield "mode", lambda: (path / "b").chmod(0o755)
    yield "new", lambda: (path / "deep" / "new").write_text("")
    yield "empty folder", (path / "empty").mkdir
    yield "link", lambda: (path / "link").symlink_to("b")
    yield "no link", (path / "link").unlink
    yield "link's target", lambda: (path / "link").symlink_to("none")
    yield "moved", lambda: (path / "deep" / "new").rename(path / "deep" / "deeper")
    yield "one more", lambda: (path / "empty" / "file").write_text("text")


def test_every_change_of_a_tree_is_seen(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_text("text")
    (tmp_path / "a").chmod(0o644)
    seen = [tree(tmp_path)]
    for what, change in changes(tmp_path):
        change()
        assert tree(tmp_path) != seen[-1], what
        seen.append(tree(tmp_path))
    assert len(set(seen)) == len(seen) - 1  # without the link it was as before
    assert len(tree(tmp_path / "b")) == 64


def test_the_boundary_between_names_and_contents_counts(tmp_path: Path) -> None:
    for name, files in {"one": {"ab": "c"}, "two": {"a": "bc"}}.items():
        (tmp_path / name / "x").mkdir(parents=True)
        for file, content in files.items():
            (tmp_path / name / "x" / file).write_text(content)
    assert tree(tmp_path / "one" / "x") != tree(tmp_path / "two" / "x")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def test_code_of_the_module_and_its_helpers_counts(tmp_path: Path) -> None:
    source = (
        "from phoenix_hypervisor.model.feature import Feature, FeatureOptions\n"
        "class F(Feature[FeatureOptions]):\n    name = 'site'\n    options = FeatureOptions\n"
    )
    module = tmp_path / "coded.py"

    def now() -> dict[str, str]:
        return prints(guest(), features={"site": load(module).F()})

    module.write_text(source)
    (tmp_path / "_helper.py").write_text("")
    (tmp_path / "other.py").write_text("")
    first = now()
    (tmp_path / "other.py").write_text("# another feature's code")
    assert now() == first
    (tmp_path / "_helper.py").write_text("# changed")
    second = now()
    assert second != first
    module.write_text(source + "# changed\n")
    third = now()
    assert third not in (first, second)
    (tmp_path / "coded.conf").write_text("a template beside it")
    assert now() not in (first, second, third)


def test_the_script(tmp_path: Path) -> None:
    path = tmp_path / "app.sh"
    path.write_text("#!/bin/sh\n")

    def of(*args: str, **env: str | Secret) -> dict[str, str]:
        return prints(replace(guest(), script=Script(path, args, tuple(env.items()))))

    first = of("a", X="1")
    assert list(first) == ["site", "application_script"]
    assert first["site"] == prints(guest())["site"]
    assert first == of("a", X="1")
    others = [of("b", X="1"), of("a", X="2"), of("a", X=Secret(name="1")), of("a"), of("a", Y="1")]
    path.write_text("#!/bin/bash\n")
    others.append(of("a", X="1"))
    scripts = [each["application_script"] for each in (first, *others)]
    assert len(set(scripts)) == len(scripts)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4))
def test_overall_is_short_and_depends_on_all(each: dict[str, str]) -> None:
    total = overall(each)
    assert len(total) == 16
    assert int(total, 16) >= 0
    assert overall({**each, "one more": ""}) != total


def test_the_order_of_features_counts() -> None:
    assert overall({"a": "1", "b": "2"}) != overall({"b": "2", "a": "1"})
