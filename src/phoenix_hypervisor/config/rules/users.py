"""People: each has a login name, which may be the key that they stand under."""

from collections.abc import Iterator

from pydantic import TypeAdapter, ValidationError

from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.config.words.base import steps
from phoenix_hypervisor.config.words.values import LoginName
from phoenix_hypervisor.model.problem import Problem

_LOGIN: TypeAdapter[str] = TypeAdapter(LoginName)


def find(folder: Folder) -> Iterator[Problem]:
    """Users without a `username` whose key is no login name either."""
    spot = folder.spot(HYPERVISOR)
    for key, user in folder.host.users.items():
        place = ("users", *steps(key))
        if user.username is None and not spot.document.raw((*spot.path(*place), "username")):
            try:
                _LOGIN.validate_python(key)
            except ValidationError:
                hint = 'small letters, digits, - and _, such as "username": "ada"'
                yield spot.error(place, "the user has no login name", hint)
