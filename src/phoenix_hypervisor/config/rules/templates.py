"""Templates from the web: nobody must be able to change them on the way."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Checksums of nothing, and downloads that nothing vouches for."""
    for guest in folder.guests:
        word, template = _template(guest)
        checksum = guest.words.template_checksum
        if checksum is not None and guest.clone_of is not None:
            message = f"`template_checksum` is not used: {guest.label} is a clone"
            yield guest.spot.warning(("template_checksum",), message, "remove it", key=True)
        elif checksum is not None and "://" not in (template or ""):
            message = "`template_checksum` is only looked at where the template is a web address"
            yield guest.spot.warning(("template_checksum",), message, "remove it", key=True)
        elif checksum is None and template is not None and template.startswith("http://"):
            message = f"{template} is fetched without encryption, and nothing tells its checksum"
            yield guest.spot.warning((word,), message, 'add "template_checksum": "sha256:…"')


def _template(guest: AnyEntry) -> tuple[str, str | None]:
    words = guest.words
    if isinstance(words, Container) or words.template_image is None:
        return "template", words.template
    return "template_image", words.template_image
