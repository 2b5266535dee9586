"""Docker's engine: the texts of its settings, packages and logins."""

import json

import pytest

from phoenix_hypervisor.features import _docker_engine as engine
from phoenix_hypervisor.features._docker_options import BaseImage, DockerOptions
from phoenix_hypervisor.model.errors import ConfigureFailed

TRIXIE = ("debian", "13")


def test_daemon_json_turns_logs_and_keeps_what_others_wrote() -> None:
    before = {"runtimes": {"nvidia": {"path": "x"}}, "log-driver": "syslog", "bip": "1.1.1.1/8"}
    options = DockerOptions.model_validate(
        {
            "registry_mirrors": ["https://mirror.test"],
            "insecure_registries": ["10.0.0.5:5000"],
            "address_pools": [{"base": "172.30.0.0/16", "size": 26}],
            "data_root": "/srv/docker",
            "settings": {"experimental": True, "live-restore": False},
        }
    )
    assert json.loads(engine.daemon_text(options, before, "fuse-overlayfs")) == {
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
    usual = json.loads(engine.daemon_text(DockerOptions.model_validate({}), {}, None))
    assert usual.keys() == {"log-driver", "log-opts", "live-restore"}


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
