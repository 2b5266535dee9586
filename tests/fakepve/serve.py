# SPDX-License-Identifier: AGPL-3.0-or-later
"""Serves the double of Proxmox VE and a port to control it until standard input ends.

    .venv-fakepve/bin/python -m tests.fakepve.serve --nodes pve1,pve2 --time-scale 0.05

prints one line of JSON: url, control, ca_file, fingerprint, files (the folder in `files.py`).
"""

import argparse
import asyncio
import copy
import hashlib
import inspect
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web
from tests.fakepve.backups import KeptBackups
from tests.fakepve.files import Files
from tests.fakepve.insides import PlayedPve
from tests.fakepve.record import Fault, Recorder
from tests.fakepve.rules import StrictPve

from fakepve.certs import make_cert  # type: ignore[import-not-found]

_HOST = "127.0.0.1"
_GUEST = (
    "vmid", "node", "status", "config", "pending", "template", "lock", "pool", "snapshots",
)  # fmt: skip
_KEPT = (
    "nodes", "storages", "bridges", "pools", "apitokens", "users", "acl", "quorate", "network",
    "ct_secs", "task_errors", "failures", "ticket_ttl", "time_scale", "tasklog", "cts", "vms",
    "backup_jobs", "archives", "clock_s",
)  # fmt: skip
_STATE = ("nodes", "storages", "bridges", "pools", "apitokens", "users", "acl", "quorate")


class Served(KeptBackups, PlayedPve):
    """The double, with the recorder in front of it."""

    def __init__(self, recorder: Recorder, **options: Any) -> None:
        super().__init__(**options)
        self._recorder = recorder

    def _build_app(self) -> web.Application:
        app: web.Application = super()._build_app()
        app.middlewares.insert(0, self._recorder.middleware())
        return app

    def in_step(self) -> None:
        """The files say what the state says, also in the middle of a task."""
        if self._recorder.files is not None:
            self._recorder.files.read_in()
            self._recorder.files.write_out()


class Control:
    """The port's requests; each answers with JSON."""

    def __init__(self, pve: StrictPve, recorder: Recorder, files: Files | None) -> None:
        self.pve = pve
        self.recorder = recorder
        self.files = files
        self._kept: dict[str, Any] = {}

    async def handle(self, request: web.Request) -> web.Response:
        """`POST /OPERATION` with the operation's arguments as a JSON object."""
        operation = getattr(self, f"do_{request.match_info['operation']}", None)
        if operation is None:
            return web.json_response({"error": "no such operation"}, status=404)
        try:
            if self.files is not None:
                self.files.read_in()
            result = operation(**await request.json())
            if inspect.isawaitable(result):
                result = await result
            if self.files is not None:
                self.files.write_out()
        except Exception as error:  # noqa: BLE001 - the test is told
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        return web.json_response({"result": result}, dumps=_dumps)

    async def do_call(self, name: str, args: list[Any], options: dict[str, Any]) -> Any:
        """A method of FakePve: add_ct, fail, hold_config_lock, lose_quorum, grant, …"""
        if name.startswith("_"):
            raise ValueError(f"{name} is private")
        result = getattr(self.pve, name)(*args, **options)
        if inspect.isawaitable(result):
            result = await result
        return _guest(result) if hasattr(result, "vmid") else result

    def do_set(self, name: str, value: Any) -> None:
        """An attribute of FakePve: time_scale, ct_secs, ticket_ttl, apitokens, storages, …"""
        if not hasattr(self.pve, name):
            raise AttributeError(name)
        old = getattr(self.pve, name)
        if name == "storages":
            for store in value.values():
                store.setdefault("files", set())
        if isinstance(old, dict) and isinstance(value, dict):
            old.update(value)
        else:
            setattr(self.pve, name, value)

    def do_drop(self, name: str, key: str) -> None:
        """Takes one entry out of an attribute that is a mapping."""
        del getattr(self.pve, name)[key]

    def do_set_guest(self, vmid: int, values: dict[str, Any]) -> None:
        """Attributes of a guest: start_secs, start_error, node, config, ha_state, …"""
        guest = self.pve.guest(vmid)
        for name, value in values.items():
            if not hasattr(guest, name):
                raise AttributeError(name)
            old = getattr(guest, name)
            if isinstance(old, dict) and isinstance(value, dict):
                old.update(value)
            else:
                setattr(guest, name, value)

    def do_guest(self, vmid: int) -> dict[str, Any] | None:
        """All that is known of a guest."""
        guest = self.pve.guest(vmid)
        return _guest(guest) if guest is not None else None

    def do_guests(self) -> list[dict[str, Any]]:
        """All guests."""
        return [_guest(one) for one in (*self.pve.vms, *self.pve.cts)]

    def do_state(self) -> dict[str, Any]:
        """Nodes, storages, bridges, logins."""
        return {name: getattr(self.pve, name) for name in _STATE}

    def do_tasks(self) -> list[dict[str, Any]]:
        """All tasks there were, with their logs."""
        return list(self.pve.tasklog)

    def do_forget_task(self, upid: str) -> None:
        """The node went down in the middle: nothing is known of the task any more."""
        task = self.pve.tasks.pop(upid)
        self.pve.tasklog.remove(task)

    def do_end_task(self, upid: str, exitstatus: str, log: list[str]) -> None:
        """Makes a task look as if it had ended so."""
        self.pve.tasks[upid].update(status="stopped", exitstatus=exitstatus, endtime=1, log=log)

    async def do_task(self, node: str, kind: str, vmid: int, secs: float, user: str) -> str:
        """Begins a task that does nothing for some of PVE's seconds."""

        async def body() -> None:
            await self.pve.pause(secs)

        return str(await self.pve.task(node, kind, vmid, user, body))

    def do_keep(self) -> None:
        """Keeps the state for `reset`. Tasks must have ended."""
        self._kept = {name: copy.deepcopy(getattr(self.pve, name)) for name in _KEPT}

    def do_reset(self) -> None:
        """Everything as it was at `keep`, without faults; the record begins anew."""
        for name, value in self._kept.items():
            setattr(self.pve, name, copy.deepcopy(value))
        self.recorder.faults.clear()
        self.do_forget()

    def do_fault(self, **options: Any) -> None:
        """See `record.Fault`."""
        self.recorder.faults.append(Fault(**options))

    def do_no_faults(self) -> None:
        """Takes all faults back."""
        self.recorder.faults.clear()
        self.pve.failures.clear()

    def do_asked(self) -> dict[str, Any]:
        """The requests so far, and the most that were under way at once per node."""
        return {"requests": self.recorder.asked, "most": self.recorder.most}

    def do_forget(self) -> None:
        """Empties the record."""
        self.recorder.asked.clear()
        self.recorder.most.clear()


def _guest(guest: Any) -> dict[str, Any]:
    kind, _, _ = guest.guest.partition("/")
    return {"type": kind, **{name: getattr(guest, name) for name in _GUEST}}


def _dumps(value: Any) -> str:
    return json.dumps(value, default=lambda one: sorted(one) if isinstance(one, set) else str(one))


async def _serve(options: argparse.Namespace) -> None:
    recorder = Recorder()
    pve = Served(recorder, user="root@pam", password=options.password, host=_HOST, port=0)
    pve.time_scale = options.time_scale
    pve.insides = options.insides
    pve.nodes = {name: {"online": True} for name in options.nodes.split(",")}
    with tempfile.TemporaryDirectory(prefix="phoenix-fakepve-") as folder:
        files = Files(pve, Path(folder) / "pve") if options.files else None
        if files is not None:
            recorder.files = files
            files.write_out()
        cert, key, der = make_cert(folder, hosts=(_HOST,))
        await pve.start(cert, key)
        control = web.Application()
        control.router.add_post("/{operation}", Control(pve, recorder, files).handle)
        runner = web.AppRunner(control)
        await runner.setup()
        await web.TCPSite(runner, _HOST, 0).start()
        said = {
            "url": pve.url,
            "control": f"http://{_HOST}:{runner.addresses[0][1]}",
            "ca_file": cert,
            "files": f"{folder}/pve" if options.files else "",
            "fingerprint": hashlib.sha256(der).digest().hex(":").upper(),
        }
        print(json.dumps(said), flush=True)  # noqa: T201 - what it is for
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()
        await pve.stop()


def main() -> None:
    """Reads the options and serves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", default="pve1")
    parser.add_argument("--password", default="secret")
    parser.add_argument("--time-scale", type=float, default=0.05)
    parser.add_argument("--files", action="store_true", help="keep the containers' files")
    parser.add_argument("--insides", default="", help="the URL of who plays containers' insides")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
