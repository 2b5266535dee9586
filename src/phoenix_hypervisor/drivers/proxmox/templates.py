"""Templates of containers and images of VMs: found on a storage, or downloaded with a checksum.

Source: the Proxmox VE API documentation, `/nodes/{node}/aplinfo`,
`/nodes/{node}/storage/{storage}/content` and `…/download-url`.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from phoenix_hypervisor.drivers.proxmox.api.client import Api, path
from phoenix_hypervisor.drivers.proxmox.cluster import Cluster, Storage
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest, Image, Json
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import DriverError, NotFound

_CONTENT = {"lxc": "vztmpl", "vm": "import"}
_ENDINGS = (".tar.zst", ".tar.gz", ".tar.xz", ".qcow2", ".img", ".raw", ".vmdk")
_DOWNLOAD_S = 3600.0


async def outlook(
    api: Api, desired: Desired, cluster: Cluster, node: str
) -> dict[Address, dict[str, Json]]:
    """Of the guests that aren't there yet: what stands in the way of their templates.

    `missing` is the reason why one can't be had; `download` is the storage that it goes to on
    `node`, and `web` whether it comes from a web address, which is only tried when it is used.
    """
    wanted = {
        address: (guest.kind, guest.source.template, guest.node or node)
        for address, guest in desired.guests.items()
        if address not in cluster.guests and isinstance(guest.source, Image)
        if (guest.node or node) in cluster.online
    }
    distinct = sorted(set(wanted.values()))
    told = await asyncio.gather(*(_outlook(api, cluster, *each) for each in distinct))
    found = dict(zip(distinct, told, strict=True))
    return {address: found[key] for address, key in wanted.items() if found[key]}


async def _outlook(
    api: Api, cluster: Cluster, kind: str, template: str, node: str
) -> dict[str, Json]:
    if not is_url(template):
        if await _find(api, cluster, kind, template, node) is not None:
            return {}
        if await _offered(api, kind, template, node) is None:
            there = sorted({file_name(each) for each in await _all(api, cluster, kind, node)})
            told = f"; there are {', '.join(there)}" if there else ""
            return {"missing": f"there is no template “{template}” on {node}{told}"}
    try:
        storage = _store(cluster, _CONTENT[kind], node).name
    except DriverError as error:
        return {"missing": f"{error.message}: {error.hint}"}
    if is_url(template):
        volume = _web_volume(kind, template, storage)
        if volume in await _volumes(api, node, storage, _CONTENT[kind]):
            return {}
    return {"download": storage, "node": node, "web": is_url(template)}


async def ensure(api: Api, cluster: Cluster, guest: Guest, node: str, tell: Tell) -> str:
    """The volume of a guest's template on its node, downloaded where it isn't there yet.

    Raises `NotFound` with what is there instead.
    """
    assert isinstance(guest.source, Image)  # noqa: S101 - the caller's own case distinction
    image = guest.source
    if is_url(image.template):
        return await _from_web(api, cluster, guest, node, tell)
    volume = await _find(api, cluster, guest.kind, image.template, node)
    if volume is not None:
        return volume
    offered = await _offered(api, guest.kind, image.template, node)
    if offered is None:
        raise NotFound(
            f"there is no template “{image.template}” on {node}",
            hint=f"`pveam update; pveam available` on {node} lists what can be had; "
            "or name a web address with its `template_checksum`",
        )
    storage = _store(cluster, "vztmpl", node)
    tell(f"downloading {offered} to {storage.name}")
    where = path("nodes", node, "aplinfo")
    await api.run("POST", where, tell, _DOWNLOAD_S, storage=storage.name, template=offered)
    return f"{storage.name}:vztmpl/{offered}"


def is_url(template: str) -> bool:
    """Whether a template is named by a web address."""
    return template.startswith(("http://", "https://"))


def file_name(template: str) -> str:
    """The file's name in a volume, path or address."""
    return urlsplit(template).path.rpartition("/")[2] or template.rpartition("/")[2]


def best(names: Iterable[str], wanted: str) -> str | None:
    """The newest file of that name: itself, or one that begins with it (`debian-13-standard`)."""
    name = file_name(wanted)
    stem = re.escape(_stem(name))
    fits = [each for each in names if re.fullmatch(rf"{stem}(?:[_-].*)?", _stem(file_name(each)))]
    exact = [each for each in fits if file_name(each) == name]
    return max(exact or fits, key=_version, default=None)


def _stem(name: str) -> str:
    ending = next((each for each in _ENDINGS if name.endswith(each)), "")
    return name.removesuffix(ending)


def _version(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", file_name(name))
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


async def _find(api: Api, cluster: Cluster, kind: str, template: str, node: str) -> str | None:
    if ":" in template:  # a volume: its storage is named
        storage = template.partition(":")[0]
        return template if template in await _kept(api, kind, node, storage) else None
    return best(await _all(api, cluster, kind, node), template)


async def _all(api: Api, cluster: Cluster, kind: str, node: str) -> list[str]:
    """All templates of a kind that the node's storages hold."""
    content = _CONTENT[kind]
    fits = [one for one in cluster.storages if one.node == node and one.active]
    return [
        volume
        for one in fits
        if content in one.content
        for volume in await _kept(api, kind, node, one.name)
    ]


async def _kept(api: Api, kind: str, node: str, storage: str) -> list[str]:
    kinds = (_CONTENT[kind], "iso") if kind == "vm" else (_CONTENT[kind],)
    lists = [await _volumes(api, node, storage, each) for each in kinds]
    return [volume for volumes in lists for volume in volumes]


async def _volumes(api: Api, node: str, storage: str, content: str) -> list[str]:
    where = path("nodes", node, "storage", storage, "content")
    rows: list[Mapping[str, Any]] = await api.get(where, content=content)
    return [str(row["volid"]) for row in rows or ()]


async def _offered(api: Api, kind: str, template: str, node: str) -> str | None:
    """The file of that name among those that Proxmox itself offers."""
    if kind != "lxc" or ":" in template:
        return None
    rows = await api.get(path("nodes", node, "aplinfo"))
    return best([str(row.get("template", "")) for row in rows or ()], template)


async def _from_web(api: Api, cluster: Cluster, guest: Guest, node: str, tell: Tell) -> str:
    assert isinstance(guest.source, Image)  # noqa: S101 - the caller's own case distinction
    image, content = guest.source, _CONTENT[guest.kind]
    storage = _store(cluster, content, node)
    volume = _web_volume(guest.kind, image.template, storage.name)
    name = volume.rpartition("/")[2]
    if volume in await _volumes(api, node, storage.name, content):
        return volume
    algorithm, _, digest = (image.checksum or "").partition(":")
    tell(f"downloading {name} to {storage.name}")
    await api.run(
        "POST",
        path("nodes", node, "storage", storage.name, "download-url"),
        tell,
        _DOWNLOAD_S,
        content=content,
        filename=name,
        url=image.template,
        **({"checksum-algorithm": algorithm, "checksum": digest} if digest else {}),
    )
    return volume


def _web_volume(kind: str, template: str, storage: str) -> str:
    """The volume that a web address is downloaded to."""
    name = file_name(template)
    if kind == "vm" and name.endswith(".img"):
        name = name.removesuffix(".img") + ".qcow2"  # a cloud image's own format; PVE needs to know
    return f"{storage}:{_CONTENT[kind]}/{name}"


def _store(cluster: Cluster, content: str, node: str) -> Storage:
    """Where downloads go: `local` where it takes them, else the storage with most room."""
    fits = [
        one
        for one in cluster.storages
        if one.node == node and one.active and content in one.content
    ]
    if not fits:
        raise DriverError(
            f"no storage of {node} takes downloads of the kind `{content}`",
            hint=f"`pvesm set local --content vztmpl,iso,import,snippets,backup` on {node}",
        )
    return max(fits, key=lambda one: (one.name == "local", one.free_gb or 0.0))


def reason(facts: Mapping[str, Any], address: Address) -> str | None:
    """From `Observed.facts`: why a guest's template can't be had, if it can't."""
    told = facts.get("templates", {}).get(address, {}).get("missing")
    return f"{address}: {told}" if told else None


def needs(facts: Mapping[str, Any], address: Address) -> Iterator[tuple[str, str]]:
    """From `Observed.facts`: paths and privileges that downloading a guest's template takes."""
    told = facts.get("templates", {}).get(address, {})
    if "download" in told:
        yield f"/storage/{told['download']}", "Datastore.AllocateTemplate"
    if told.get("web"):
        yield f"/nodes/{told['node']}", "Sys.AccessNetwork"
