"""Docker's engine: the texts of its settings, packages and logins."""

import json
from pathlib import Path

import pytest
from tests.unit.features.guests import guest

from phoenix_hypervisor.features import _docker_engine as engine
from phoenix_hypervisor.features import _system, docker
from phoenix_hypervisor.features._docker_options import BaseImage, DockerOptions
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Inside

TRIXIE = ("debian", "13")


def test_daemon_json_turns_logs_and_keeps_what_others_wrote() -> None:
    before = {"runtimes": {"nvidia": {"path": "x"}}, "log-driver": "syslog", "bip": "1.1.1.1/8"}
    options = DockerOptions.model_validate(
        {
            "registry_mirrors": ["https://mirror.test"],
            "insecure_registries": ["10.0.0.5:5000"],
            "address_pools": [{"base": "172.30.0.0/16", "size": 26}],
            "data_root": "/srv/docker",
            "live_restore": False,
            "settings": {"experimental": True},
        }
    )
    assert json.loads(engine.daemon_text(options, json.dumps(before), "fuse-overlayfs")) == {
        "runtimes": {"nvidia": {"path": "x"}},
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "3"},
        "live-restore": False,
        "storage-driver": "fuse-overlayfs",
        "data-root": "/srv/docker",
        "registry-mirrors": ["https://mirror.test"],
        "insecure-registries": ["10.0.0.5:5000"],
        "default-address-pools": [{"base": "172.30.0.0/16", "size": 26}],
        "experimental": True,
    }
    usual_options = DockerOptions.model_validate({})
    usual = json.loads(engine.daemon_text(usual_options, "", None))
    assert usual.keys() == {"log-driver", "log-opts", "live-restore"}
    as_others_write_it = json.dumps(usual, indent=4)
    assert engine.daemon_text(usual_options, as_others_write_it, None) == as_others_write_it


def test_the_storage_driver_fits_the_guest_and_stays() -> None:
    usual = DockerOptions.model_validate({})
    assert engine.storage_driver(usual, {}, "overlay2") is None
    assert engine.storage_driver(usual, {}, "fuse-overlayfs") == "fuse-overlayfs"
    kept = {"storage-driver": "fuse-overlayfs"}
    assert engine.storage_driver(usual, kept, "overlay2") == "fuse-overlayfs"
    vfs = DockerOptions.model_validate({"storage_driver": "vfs"})
    assert engine.storage_driver(vfs, kept, "none") == "vfs"
    with pytest.raises(ConfigureFailed, match="bears no overlay"):
        engine.storage_driver(usual, {}, "none")


def test_packages_are_those_of_the_release_or_of_docker() -> None:
    pinned = {"version": "26.1", "compose_version": "2.26"}
    usual = DockerOptions.model_validate(pinned)
    assert engine.packages(usual, TRIXIE)[:3] == [
        "docker.io=26.1",
        "docker-cli",
        "docker-compose=2.26",
    ]
    with pytest.raises(ConfigureFailed, match="debian 12 has no packages"):
        engine.packages(usual, ("debian", "12"))
    own = {"url": "https://docker.test/linux/debian", "key": "-----BEGIN PGP PUBLIC KEY-----"}
    options = DockerOptions.model_validate(pinned | {"repository": own})
    assert engine.packages(options, ("debian", "12"))[:2] == [
        "docker-ce=26.1",
        "docker-ce-cli=26.1",
    ]
    assert "Suites: bookworm\nComponents: stable\n" in engine.sources_text(options, "bookworm")


def test_logins_leave_those_of_others() -> None:
    before = '{"auths": {"mine": {"auth": "x"}, "old": {"auth": "y"}}, "proxies": {}}'
    after = json.loads(engine.client_text(before, ["old"], {"new:5000": ("ann", "s3")}))
    assert after == {
        "auths": {"mine": {"auth": "x"}, "new:5000": {"auth": "YW5uOnMz"}},
        "proxies": {},
    }
    with pytest.raises(ConfigureFailed, match="colon"):
        engine.client_text("", [], {"x": ("a:b", "c")})


def test_an_image_is_known_by_what_it_is_made_of() -> None:
    one, other = (BaseImage(tag="local/x", packages=p) for p in (("curl", "git"), ("git", "curl")))
    assert engine.image_digest(one, "trixie") == engine.image_digest(other, "trixie")
    assert engine.image_digest(one, "trixie") != engine.image_digest(one, "forky")


@pytest.mark.parametrize(
    ("there", "root", "remaps", "told"),
    [
        ("/srv/docker", "/srv/docker/", (False, False), None),
        ("/srv/docker/100000.100000", "/srv/docker", (True, True), None),
        ("/srv/docker/100000.100000", "/srv/docker", (False, True), "would hide"),
        ("/srv/docker", "/srv/docker", (True, False), "would hide"),
        ("/srv/docker2", "/srv/docker", (False, False), "in /srv/docker2"),
        ("", "/srv/docker", (True, False), None),
    ],
)
def test_volumes_are_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
    there: str,
    root: str,
    remaps: tuple[bool, bool],
    told: str | None,
) -> None:
    remapped, before = remaps
    monkeypatch.setattr(_system, "ask", lambda words: there if "info" in words else "volume")
    if told is None:
        docker._refuse_to_hide(root, remapped=remapped, before=before)
    else:
        with pytest.raises(ConfigureFailed, match=told):
            docker._refuse_to_hide(root, remapped=remapped, before=before)


@pytest.mark.parametrize("interrupted", [1, 2, 3, None])
def test_a_login_that_was_written_is_always_listed(
    monkeypatch: pytest.MonkeyPatch, interrupted: int | None
) -> None:
    files = {engine.OWN_LOGINS: "old\n", engine.CLIENT: '{"auths": {"old": {}}}'}
    written = 0

    def write(path: str, text: str) -> None:
        nonlocal written
        written += 1
        if written == interrupted:
            raise KeyboardInterrupt
        files[path] = text

    monkeypatch.setattr(_system, "ask", lambda words: files[words.split()[1]])
    monkeypatch.setattr(_system, "folder", lambda *_, **__: False)
    monkeypatch.setattr(_system, "text_file", write)
    monkeypatch.setattr(_system, "secret_file", write)
    login = {"registry": "new", "username": "ann", "password": "s3"}
    inside = Inside(guest(1, "apps"), Path("/nowhere"))
    options = DockerOptions.model_validate({"logins": [login]})
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            docker._log_in(options, inside)
    else:
        docker._log_in(options, inside)
        assert files[engine.OWN_LOGINS] == "new\n"
    auths = json.loads(files[engine.CLIENT])["auths"]
    assert set(auths) <= set(files[engine.OWN_LOGINS].split())
