"""A container in PVE's words: what its configuration is to hold, and what the one there says.

`wanted` gives PVE's keys, `fields` reads them back into the words of `drivers.fields`; both are
pure. Source: the Proxmox VE API documentation, `/nodes/{node}/lxc/{vmid}/config`, and pct.conf(5).
"""

from collections.abc import Mapping

from phoenix_hypervisor.drivers import fields as words
from phoenix_hypervisor.drivers.proxmox import idmaps, network
from phoenix_hypervisor.drivers.proxmox.marks import Notes
from phoenix_hypervisor.drivers.proxmox.property import flag, free, indexed, parse, size_gb, text
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Boot, Guest, Image, Json, Mount, Volume

Config = Mapping[str, object]
Keys = dict[str, str | None]

_PROFILE = "lxc.apparmor.profile"
_NVIDIA = "/dev/nvidia"
_NVIDIA_SHARED = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
_ROOT_ONLY = ("dev", "hookscript")
_ALIKE = ("net", "mp", "dev")


def wanted(guest: Guest, config: Config, notes: Notes) -> Keys:
    """PVE's keys for all that the guest asks for; None: the key is to go.

    `config` is what is there now (empty for a new one): numbers of cards and mounts stay, and
    parts that nobody asked for are kept. New volumes read `store:8,mp=/data`.
    """
    keys: Keys = {
        "hostname": guest.name,
        "memory": str(guest.memory_mb),
        "cores": str(guest.cores),
        "onboot": str(int(guest.boot.at_boot)),
        "protection": str(int(guest.protected)),
        "startup": startup(guest),
        "features": _features(guest, str(config.get("features", ""))),
    }
    if guest.swap_mb is not None:
        keys["swap"] = str(guest.swap_mb)
    config = {**config, **_numbered(guest)}  # their numbers are taken
    keys |= network.wanted(guest, config)
    keys |= _mounts(guest, config, notes)
    keys |= _devices(guest, config)
    keys |= {key: value for key, value in guest.options if key != "features"}
    return keys


def root_only(key: str, value: str | None, config: Config, *, unprivileged: bool) -> bool:
    """Whether PVE lets nobody but root@pam himself write this, so that no token may."""
    if key.startswith(_ROOT_ONLY):
        return True
    if key.startswith("mp"):
        return (value or str(config.get(key, ""))).startswith("/")
    if key == "features":
        before, after = parse(str(config.get(key, ""))), parse(value or "")
        changed = {each for each in {*before, *after} if before.get(each) != after.get(each)}
        return bool(changed) and (not unprivileged or changed != {"nesting"})
    return False


def raw(guest: Guest) -> tuple[tuple[str, str], ...]:
    """The lines of LXC's own configuration that the guest asks for, in order."""
    given = list(guest.raw)
    if guest.apparmor_profile and _PROFILE not in dict(guest.raw):
        given.append((_PROFILE, guest.apparmor_profile))
    return (*given, *idmaps.lines(guest.id_maps))


def volume_keys(guest: Guest, config: Config, notes: Notes) -> dict[str, str]:
    """Which key (`mp0`) is which volume's: the one at its place, or the one that the notes name."""
    there = {
        key: parse(value, "volume")
        for key, value in indexed(config, "mp").items()
        if not value.startswith("/")
    }
    found: dict[str, str] = {}
    for volume in guest.volumes:
        noted = notes.volumes.get(volume.name)
        at_place = [key for key, parts in there.items() if parts.get("mp") == volume.target]
        key = noted if noted in there else next(iter(at_place), None)
        if key is not None:
            found[volume.name] = key
    return found


def bind_keys(config: Config) -> list[str]:
    """The keys of bind mounts: with one, PVE takes no snapshot and makes no clone."""
    return [key for key, value in indexed(config, "mp").items() if value.startswith("/")]


def fields(config: Config, guest: Guest | None, notes: Notes) -> dict[str, Json]:
    """What a configuration shows. `guest` is what the files ask for: it tells what counts.

    It is read into a `Guest`, so that both sides of a comparison pass through the same words. A
    card or device that the files give as a raw option (`net1`) is compared as that alone; a disk
    without a size, on plain folders, is as large as anybody asks.
    """
    said = _numbered(guest) if guest is not None else {}
    whole, config = config, {key: each for key, each in config.items() if key not in said}
    root = parse(str(config.get("rootfs", "")), "volume")
    start = parse(str(config.get("startup", "")), "order")
    pairs = raw_pairs(config)
    profile = next((value for key, value in pairs if key == _PROFILE), None)
    own_profile = guest is None or _PROFILE not in dict(guest.raw)
    seen = Guest(
        address=Address("lxc/0"),
        kind="lxc",
        id=0,
        name=str(config.get("hostname", "")),
        source=Image(""),
        memory_mb=int(str(config.get("memory", 512))),
        cores=int(str(config.get("cores", 0))),
        swap_mb=int(str(config.get("swap", 512))),
        pool=root.get("volume", "").partition(":")[0] or None,
        disk_gb=size_gb(root.get("size")) or (guest.disk_gb if guest is not None else None),
        nics=network.seen(config, guest, notes),
        mounts=_seen_mounts(config),
        volumes=_seen_volumes(config, guest, notes),
        boot=Boot(
            flag(config.get("onboot")), _number(start.get("order")), _number(start.get("up"))
        ),
        unprivileged=flag(config.get("unprivileged")),
        nesting=flag(parse(str(config.get("features", ""))).get("nesting")),
        apparmor_profile=profile if own_profile else None,
        raw=tuple(pair for pair in pairs if not (own_profile and pair[0] == _PROFILE)),
        gpus=_seen_gpus(config),
        protected=flag(config.get("protection")),
    )
    shown = words.guest_fields(seen)
    for key in dict(guest.options) if guest else ():
        shown[f"options.{key}"] = _option(key, whole)
    return shown


def projected(guest: Guest) -> dict[str, Json]:
    """What `fields` shows once all is as the guest asks."""
    extra = [pair for pair in raw(guest) if pair[0] != _PROFILE or pair in guest.raw]
    shown = words.guest_fields(guest)
    shown = {path: value for path, value in shown.items() if not path.startswith("raw.")}
    shown |= words.raw_fields(extra)
    for key, value in guest.options:
        shown[f"options.{key}"] = _plain_features(value) if key == "features" else value
    return shown


def startup(guest: Guest) -> str | None:
    """`order=1,up=5`, or None where the files leave the order open."""
    return text({"order": guest.boot.order, "up": guest.boot.delay_s}) or None


def _numbered(guest: Guest) -> dict[str, str]:
    """The raw options that are one of several alike: cards, mounts, devices."""
    found = {key: value for key, value in guest.options if key.rstrip("0123456789") in _ALIKE}
    return {key: value for key, value in found.items() if key not in _ALIKE}


def _features(guest: Guest, before: str) -> str | None:
    told = parse(dict(guest.options).get("features", ""))
    # Other features that somebody set by hand stay: nobody asked for them to go.
    parts: dict[str, str] = {**parse(before), **told}
    parts.pop("nesting", None)
    if guest.nesting or flag(told.get("nesting")):
        parts["nesting"] = "1"
    return text(parts) or None


def _mounts(guest: Guest, config: Config, notes: Notes) -> Keys:
    there = indexed(config, "mp")
    taken: Keys = dict(there)
    found: Keys = {}
    known = volume_keys(guest, config, notes)
    for volume in guest.volumes:
        key = known.get(volume.name)
        if key is not None:
            found[key] = text({**parse(there[key], "volume"), "mp": volume.target}, "volume")
        else:
            key = free(taken, "mp")
            size = volume.size_gb or 1
            found[key] = f"{volume.pool or guest.pool}:{size},mp={volume.target},backup=1"
        taken[key] = found[key]
    binds = {parse(value, "volume").get("mp"): key for key, value in there.items()}
    for mount in guest.mounts:
        key = binds.get(mount.target)
        if key is None or key in found:
            key = free(taken, "mp")
        found[key] = _bind(mount, there.get(key, ""))
        taken[key] = found[key]
    return {**{key: None for key in there if key not in found}, **found}


def _bind(mount: Mount, before: str) -> str:
    parts = {**parse(before, "volume"), "volume": mount.source, "mp": mount.target}
    parts.pop("ro", None)
    return text(parts | ({"ro": "1"} if mount.read_only else {}), "volume")


def _devices(guest: Guest, config: Config) -> Keys:
    """The devices of NVIDIA's cards as `dev[n]`; other devices are left alone."""
    there = {
        key: parse(value, "path").get("path", "") for key, value in indexed(config, "dev").items()
    }
    cards = [f"{_NVIDIA}{index}" for index in guest.gpus]
    paths = [*cards, *_NVIDIA_SHARED] if cards else []
    found: Keys = {key: None for key, path in there.items() if path.startswith(_NVIDIA)}
    taken: Keys = dict(there)
    for path in paths:
        key = next((key for key, each in there.items() if each == path), None)
        if key is not None:
            del found[key]
        else:
            key = free(taken, "dev")
            taken[key] = found[key] = f"{path},mode=0666"
    return found


def _seen_mounts(config: Config) -> tuple[Mount, ...]:
    found = [parse(value, "volume") for value in indexed(config, "mp").values()]
    return tuple(
        Mount(each["volume"], each.get("mp", ""), flag(each.get("ro")))
        for each in found
        if each.get("volume", "").startswith("/")
    )


def _seen_volumes(config: Config, guest: Guest | None, notes: Notes) -> tuple[Volume, ...]:
    names = {key: name for name, key in notes.volumes.items()}
    if guest is not None:
        names |= {key: name for name, key in volume_keys(guest, config, notes).items()}
    found = []
    for key, value in indexed(config, "mp").items():
        parts = parse(value, "volume")
        pool, colon, _ = parts.get("volume", "").partition(":")
        if colon and not value.startswith("/"):
            target = parts.get("mp", "")
            name = names.get(key, target)
            found.append(Volume(name, pool, size_gb(parts.get("size")), target))
    return tuple(found)


def _seen_gpus(config: Config) -> tuple[int, ...]:
    paths = [parse(value, "path").get("path", "") for value in indexed(config, "dev").values()]
    numbers = [path.removeprefix(_NVIDIA) for path in paths if path.startswith(_NVIDIA)]
    return tuple(sorted(int(number) for number in numbers if number.isdigit()))


def raw_pairs(config: Config) -> list[tuple[str, str]]:
    """The lines of LXC's own configuration that are there."""
    lines = config.get("lxc")
    return [(str(key), str(value)) for key, value in lines] if isinstance(lines, list) else []


def _option(key: str, config: Config) -> Json:
    value = config.get(key)
    if key == "features":
        return _plain_features(str(value or ""))
    return None if value is None else str(value)


def _plain_features(value: str) -> Json:
    return {key: each for key, each in sorted(parse(value).items()) if key != "nesting"}


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isdigit() else None
