"""People: each has a login name, which may be the key that they stand under, and can come in."""

from collections.abc import Iterator

from pydantic import TypeAdapter, ValidationError

from phoenix_hypervisor.config import people
from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.config.words.base import steps
from phoenix_hypervisor.config.words.values import LoginName
from phoenix_hypervisor.model.problem import Problem

_LOGIN: TypeAdapter[str] = TypeAdapter(LoginName)


def find(folder: Folder) -> Iterator[Problem]:
    """Users without a login name; keys and hashes that let nobody in."""
    spot = folder.spot(HYPERVISOR)
    for key, user in folder.host.users.items():
        place = ("users", *steps(key))
        if user.username is None and not spot.document.raw((*spot.path(*place), "username")):
            try:
                _LOGIN.validate_python(key)
            except ValidationError:
                hint = 'small letters, digits, - and _, such as "username": "ada"'
                yield spot.error(place, "the user has no login name", hint)
        if not people.is_hash(user.password_hash):
            message = "`password_hash` is not the hash of a password: the host would not take it"
            yield spot.warning((*place, "password_hash"), message, people.MAKE_HASH)
        for line in user.ssh_public_key:
            if why := people.key_flaw(line):
                message = f"`{line[:60]}` is no SSH key that lets anybody in: {why}"
                hint = "write the one line of the file that ends in .pub"
                yield spot.warning((*place, "ssh_public_key"), message, hint)
