# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the daemons of Proxmox VE do and fakepve does not, added to it.

Source: replies recorded from Proxmox VE 9.2, and its sources.
"""

import json
import re
import time
from typing import Any

from aiohttp import web

from fakepve import FakePve  # type: ignore[import-not-found]
from fakepve.lxc import (  # type: ignore[import-not-found]
    SNAPSHOT_STORAGE,
    format_size,
    mount_type,
    normalise,
    os_base,
    parse_mount,
    parse_size,
    split_props,
)
from fakepve.model import PveError, TaskError  # type: ignore[import-not-found]
from fakepve.server import USER  # type: ignore[import-not-found]

_MOUNT = re.compile(r"rootfs|mp\d+")
_RAW_DEVICE = re.compile(r"(hostpci|usb|serial|parallel)\d+")
_ROOT_ONLY_VM = ("args", "hookscript")
_NET = re.compile(r"net\d+")

Values = dict[str, Any]


class StrictPve(FakePve):  # type: ignore[misc]
    """fakepve with the rules that it lacks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Without it every token passes every check, also those for root@pam alone.
        self.acl: dict[str, Any] = {}
        self.bridges = {"vmbr0": "10.88.0.1/24"}
        self.task_errors: dict[str, str] = {}

    async def task(
        self, node: str, ttype: str, tid: Any, user: str, body: Any, **options: Any
    ) -> str:
        """A task whose type is in `task_errors` ends with that status, once, and does nothing."""
        status = self.task_errors.pop(ttype, None)

        async def broken() -> None:
            raise TaskError(status)

        wanted = body if status is None else broken
        return str(await super().task(node, ttype, tid, user, wanted, **options))

    # -- logging in -------------------------------------------------------------------------

    def check_password(self, user: str, password: str) -> bool:
        """A valid ticket of the user, or of root@pam, is a password too."""
        session = self.tickets.get(password)
        if session is not None and session["expires"] >= time.time():
            return session["user"] in {"root@pam", user}
        return bool(super().check_password(user, password))

    # -- bridges ----------------------------------------------------------------------------

    def _routes_bridges(self) -> list[Any]:
        return [
            ("GET", "/nodes/{node}/network", self._network),
            ("GET", "/nodes/{node}/lxc/{vmid}/feature", self._feature),
            ("PUT", "/nodes/{node}/qemu/{vmid}/resize", self._vm_resize),
        ]

    async def _resources(self, request: web.Request) -> web.Response:
        """Storages that a user may not look at are not in the list."""
        found: web.Response = await super()._resources(request)
        rows = [
            row
            for row in json.loads(found.text or "")["data"]
            if row["type"] != "storage"
            or self.allowed(request[USER], f"/storage/{row['storage']}", "Datastore.Audit")
        ]
        return web.json_response({"data": rows})

    async def _cluster_status(self, request: web.Request) -> web.Response:
        self.require(request[USER], "/", "Sys.Audit")
        answer: web.Response = await super()._cluster_status(request)
        return answer

    async def _network(self, values: Values, user: str) -> list[Values]:
        kind = values.get("type")
        if kind not in {None, "bridge", "any_bridge", "any_local_bridge", "include_sdn"}:
            return []
        return [
            {
                "iface": name,
                "type": "bridge",
                "active": 1,
                "autostart": 1,
                "method": "static" if cidr else "manual",
                "families": ["inet"],
                **({"cidr": cidr, "address": cidr.split("/")[0]} if cidr else {}),
            }
            for name, cidr in sorted(self.bridges.items())
            if kind not in {"any_bridge", "include_sdn"} or self._may_use_bridge(user, name)
        ]

    def _may_use_bridge(self, user: str, name: str) -> bool:
        where = f"/sdn/zones/localnetwork/{name}"
        return any(self.allowed(user, where, privilege) for privilege in ("SDN.Use", "SDN.Audit"))

    def _missing_bridge(self, config: Values) -> str | None:
        for key in sorted(config):
            if _NET.fullmatch(key):
                bridge = split_props(config[key])[1].get("bridge")
                if bridge and bridge not in self.bridges:
                    return f"bridge '{bridge}' does not exist"
        return None

    async def _start_steps(self, ct: Any, user: str, skiplock: bool = False) -> None:
        why = self._missing_bridge({**ct.config, **{k: v for k, v in ct.pending.items() if v}})
        if why and not ct.template:
            raise TaskError(why)
        await super()._start_steps(ct, user, skiplock)

    async def _do_start(self, vm: Any, user: str, p: Values) -> str:
        why = self._missing_bridge({**vm.config, **{k: v for k, v in vm.pending.items() if v}})
        if why and not (vm.template or vm.lock or vm.status == "running"):

            async def body() -> None:
                raise TaskError(why)

            return str(await self.task(vm.node, "qmstart", vm.vmid, user, body, vm=vm))
        return str(await super()._do_start(vm, user, p))

    # -- containers -------------------------------------------------------------------------

    async def _update_config(
        self, ct: Any, user: str, values: Values, deletes: list[str], reverts: list[str]
    ) -> None:
        """A network card that can't be plugged in is gone, and its bad value stays pending."""
        bad = {
            key: value
            for key, value in values.items()
            if ct.status == "running" and self._missing_bridge({key: value})
        }
        good = {key: value for key, value in values.items() if key not in bad}
        await super()._update_config(ct, user, good, deletes, reverts)
        for key, value in bad.items():
            ct.config.pop(key, None)
            ct.pending[key] = normalise(key, value)
        if bad:
            errors = {
                key: f"unable to hotplug {key}: {self._missing_bridge({key: value})}\n"
                for key, value in bad.items()
            }
            raise PveError(400, "Parameter verification failed.", errors)
        # The config is written before LXC's own is made from it, which is what fails.
        why = self._missing_bridge(ct.config) if ct.status != "running" else None
        if why:
            raise PveError(500, why)

    async def _lxc_config_get(self, user: str, v: Values) -> Values:
        return _with_newline(await super()._lxc_config_get(user, v))

    async def _lxc_pending(self, user: str, v: Values) -> list[Values]:
        """The digest is a row like the others; raw lines, a list, are none."""
        found: list[Values] = await super()._lxc_pending(user, v)
        for item in found:
            if item["key"] == "description":
                for name in ("value", "pending"):
                    if name in item:
                        item[name] = _ended(item[name])
        digest = self._find_ct(v["node"], v["vmid"]).digest()
        shown = [item for item in found if item["key"] != "lxc"]
        return [*shown, {"key": "digest", "value": digest}]

    async def _lxc_snapshot(self, user: str, v: Values) -> str:
        ct = self._find_ct(v["node"], v["vmid"])
        if _others(ct.config) and not ct.lock and not ct.template:

            async def body() -> None:
                raise TaskError("snapshot feature is not available")

            return str(await self._ct_task(ct, "vzsnapshot", user, body, lock=False))
        return str(await super()._lxc_snapshot(user, v))

    async def _feature(self, v: Values, user: str) -> Values:
        """PVE::LXC::Config has_feature."""
        ct = self._find_ct(v["node"], v["vmid"])
        name = v.get("snapname")
        if name and name not in ct.snapshots:
            raise PveError(500, f"snapshot '{name}' does not exist")
        config = ct.snapshots[name] if name else ct.config
        volumes = [mount["volume"] for _, mount in ct.volumes(config)]
        kinds = [self.storages.get(volume.split(":")[0], {}).get("type") for volume in volumes]
        able = {
            "snapshot": not ct.template and all(kind in SNAPSHOT_STORAGE for kind in kinds),
            "clone": all(os_base(volume) for volume in volumes),
            "copy": bool(name) or ct.status != "running",
        }[v["feature"]]
        return {"hasFeature": int(able and not _others(config))}

    # -- virtual machines -------------------------------------------------------------------

    async def _apply_config(self, vm: Any, user: str, p: Values) -> None:
        for key, value in p.items():
            raw = _RAW_DEVICE.fullmatch(key) and "mapping=" not in str(value)
            if user != "root@pam" and raw and str(value) not in {"socket", "spice"}:
                what = "non-mapped" if key.startswith(("hostpci", "usb")) else "real"
                raise PveError(500, f"only root can set '{key}' config for {what} devices")
            if user != "root@pam" and key in _ROOT_ONLY_VM:
                raise PveError(500, f"only root can set '{key}' config")
        if p.get("tags"):
            p = {**p, "tags": normalise("tags", p["tags"])}
        await super()._apply_config(vm, user, p)

    async def _config_get(self, request: web.Request) -> web.Response:
        """Values that wait for a restart are shown unless `current=1`."""
        vm = self._vm(request, "VM.Audit")
        if request.query.get("current") in {"1", "true"} or "snapshot" in request.query:
            answer: web.Response = await super()._config_get(request)
            return answer
        config = {**vm.config, **vm.pending}
        shown = {key: value for key, value in config.items() if value is not None}
        if "memory" in shown:
            shown["memory"] = str(shown["memory"])
        return web.json_response({"data": {**shown, "digest": vm.digest()}})

    async def _pending(self, request: web.Request) -> web.Response:
        """The digest is a row like the others."""
        vm = self._vm(request, "VM.Audit")
        found: web.Response = await super()._pending(request)
        rows = json.loads(found.text or "")["data"]
        return web.json_response({"data": [*rows, {"key": "digest", "value": vm.digest()}]})

    async def _vm_resize(self, v: Values, user: str) -> str:
        vm = self.find(v["node"], v["vmid"])
        if vm.lock:
            raise PveError(500, f"VM is locked ({vm.lock})")
        if v.get("digest") and v["digest"] != vm.digest():
            raise PveError(500, "checksum mismatch (file change by other user?)")
        self.require(user, f"/vms/{vm.vmid}", "VM.Config.Disk")
        disk, text = v["disk"], str(v["size"])
        if disk not in vm.config:
            raise PveError(500, f"disk '{disk}' does not exist")
        first, props = split_props(vm.config[disk])
        old = parse_size(props.get("size", "0")) or 0
        new = (parse_size(text.lstrip("+")) or 0) + (old if text.startswith("+") else 0)
        if new < old:
            raise PveError(500, "shrinking disks is not supported")

        async def body() -> None:
            props["size"] = format_size(new)
            vm.config[disk] = ",".join([first, *(f"{k}={x}" for k, x in props.items())])

        return str(await self.task(vm.node, "resize", vm.vmid, user, body, vm=vm))


def _others(config: Values) -> list[str]:
    """The keys of mounts that are no volumes: bind and device mounts."""
    return [
        key
        for key, value in config.items()
        if _MOUNT.fullmatch(key) and mount_type(parse_mount(value).get("volume", "")) != "volume"
    ]


def _ended(text: str) -> str:
    return f"{text.rstrip()}\n" if text else text


def _with_newline(config: Values) -> Values:
    if config.get("description"):
        return {**config, "description": _ended(config["description"])}
    return config
