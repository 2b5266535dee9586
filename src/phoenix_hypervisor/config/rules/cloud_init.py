"""What cloud-init is given: the folder's own file is there, and passwords are hashes."""

from collections.abc import Iterator
from pathlib import Path

from phoenix_hypervisor.config import lookup, people
from phoenix_hypervisor.config.folder import Entry, Folder
from phoenix_hypervisor.config.words.vm import Machine
from phoenix_hypervisor.model.problem import Problem

_KINDS = ("#cloud-config", "#!", "#cloud-boothook", "#include", "## template: jinja")


def find(folder: Folder) -> Iterator[Problem]:
    """Files that aren't there or that cloud-init would not take, and hashes that are none."""
    for guest in folder.machines:
        secret = guest.words.user_config.password_hash
        if not people.is_hash(secret):
            place = ("user_config", "password_hash")
            message = "`password_hash` is not the hash of a password"
            yield guest.spot.error(place, message, people.MAKE_HASH)
        if guest.words.user_config.username is None:
            yield from _nobody(guest)
        if guest.words.cloud_init.user_data is not None:
            yield from _file(folder, guest, guest.words.cloud_init.user_data)


def _nobody(guest: Entry[Machine]) -> Iterator[Problem]:
    words = guest.words.user_config
    for word in ("ssh_public_key", "password_hash", "shell", "groups", "sudo"):
        if word in words.model_fields_set and not guest.spot.raw("user_config", "username"):
            message = "`user_config` describes a user without a `username`"
            hint = 'add "username": "…"; people of all guests stand in `users` of the host file'
            yield guest.spot.warning(("user_config",), message, hint, key=True)
            return


def _file(folder: Folder, guest: Entry[Machine], name: str) -> Iterator[Problem]:
    place = ("cloud_init", "user_data")
    path = lookup.find(folder.path, name, lookup.CLOUD_INIT)
    if Path(name).is_absolute():
        message = "the file is named by an absolute path"
        yield guest.spot.error(place, message, f"put it {lookup.told(lookup.CLOUD_INIT[:1])}")
    elif path is None:
        message = f"the file {name} is not there"
        yield guest.spot.error(place, message, f"looked {lookup.told(lookup.CLOUD_INIT)}")
    elif lookup.astray(folder.path, path, lookup.CLOUD_INIT):
        message = (
            f"the file leads to {lookup.seen_from(folder.path, path)}, "
            "which must not go into a guest"
        )
        yield guest.spot.error(place, message, f"put it {lookup.told(lookup.CLOUD_INIT[:1])}")
    elif not path.is_file():
        yield guest.spot.error(place, f"{name} is a folder", "it must be a file")
    elif not path.read_bytes()[:32].startswith(tuple(kind.encode() for kind in _KINDS)):
        message = f"cloud-init would not take {name}: its first line does not say what it is"
        yield guest.spot.error(place, message, "a cloud-config begins with #cloud-config")
