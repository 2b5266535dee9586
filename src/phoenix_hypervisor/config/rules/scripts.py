"""Scripts that guests are given: they are in the folder."""

from collections.abc import Iterator
from pathlib import Path

from phoenix_hypervisor.config import lookup
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Application scripts that aren't there, and arguments for none."""
    for guest in folder.containers:
        words = guest.words
        if words.application_script is None:
            for word in ("application_script_args", "application_script_env"):
                if getattr(words, word) and not guest.spot.raw("application_script"):
                    message = f"`{word}` stands here, but there is no `application_script`"
                    yield guest.spot.warning((word,), message, "name the script", key=True)
            continue
        path = lookup.find(folder.path, words.application_script, lookup.SCRIPTS)
        place = ("application_script",)
        if Path(words.application_script).is_absolute():
            message = "the script is named by an absolute path"
            yield guest.spot.error(place, message, f"put it {lookup.told(lookup.SCRIPTS[:1])}")
        elif path is None:
            message = f"the script {words.application_script} is not there"
            yield guest.spot.error(place, message, f"looked {lookup.told(lookup.SCRIPTS)}")
        elif lookup.astray(folder.path, path, lookup.SCRIPTS):
            message = (
                f"the script leads to {lookup.seen_from(folder.path, path)}, "
                "which must not go into a guest"
            )
            yield guest.spot.error(place, message, f"put it {lookup.told(lookup.SCRIPTS[:1])}")
        elif not path.is_file():
            message = f"{words.application_script} is a folder, not a script"
            yield guest.spot.error(place, message, "name the script in it")
