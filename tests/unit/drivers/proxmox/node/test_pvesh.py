"""Commands for pvesh, and its answers, as a real node (9.2) gives them."""

import shlex
from typing import Any

import pytest

from phoenix_hypervisor.drivers.proxmox.node import pvesh
from phoenix_hypervisor.model.errors import Conflict, DriverError, NotFound, PhoenixError

UPID = "UPID:pve1:00000833:00120CFE:6B024272:vzstart:8098:root@pam:"


class TestCommand:
    def test_has_the_methods_own_word_and_each_parameter(self) -> None:
        params: dict[str, Any] = {
            "mp0": "/srv/a b,mp=/a",
            "protection": True,
            "cores": 2,
            "gone": None,
        }
        command = pvesh.command("PUT", "/nodes/pve1/lxc/101/config", params)
        assert shlex.split(command) == [
            "pvesh",
            "set",
            "/nodes/pve1/lxc/101/config",
            "--mp0=/srv/a b,mp=/a",
            "--protection=1",
            "--cores=2",
            "--output-format",
            "json",
        ]

    @pytest.mark.parametrize(
        ("method", "word"),
        [("GET", "get"), ("POST", "create"), ("PUT", "set"), ("DELETE", "delete")],
        ids=str.lower,
    )
    def test_each_method(self, method: str, word: str) -> None:
        assert shlex.split(pvesh.command(method, "/pools", {}))[1] == word

    def test_a_path_is_without_the_quoting_of_http(self) -> None:
        command = pvesh.command("GET", "/pools/a%20b", {})
        assert shlex.split(command)[2] == "/pools/a b"

    def test_values_are_not_run_by_the_shell(self) -> None:
        value = "$(reboot); `x` 'y' + % & ü\nz"
        command = pvesh.command("PUT", "/p", {"description": value})
        assert shlex.split(command)[3] == f"--description={value}"


class TestAnswer:
    @pytest.mark.parametrize(
        ("out", "data"),
        [
            ("", None),
            ("\n", None),
            ('{"release":"9.2"}\n', {"release": "9.2"}),
            ('[{"poolid":"tt"}]\n', [{"poolid": "tt"}]),
            (f'"{UPID}"\n', UPID),
            (f'extracting archive\nTotal 3 {{x}}\n"{UPID}"\n', UPID),
            ("null\n", None),
        ],
        ids=["nothing", "blank", "object", "list", "task", "task with its log", "null"],
    )
    def test_is_the_data(self, out: str, data: Any) -> None:
        assert pvesh.answer(out) == data

    def test_a_task_is_known_by_its_name(self) -> None:
        assert pvesh.upid(UPID) == UPID
        assert pvesh.upid("UPID:short") is None
        assert pvesh.upid({"a": 1}) is None


class TestRefused:
    @pytest.mark.parametrize(
        ("err", "kind", "message"),
        [
            (
                "Configuration file 'nodes/pve1/lxc/8999.conf' does not exist\n",
                NotFound,
                "8999.conf",
            ),
            ("create pool failed: pool 'tt' already exists\n", Conflict, "'tt' already exists"),
            (
                "400 Parameter verification failed.\nmemory: type check ('integer') failed - "
                "got 'x'\npvesh set <api_path> [OPTIONS] [FORMAT_OPTIONS]\n",
                DriverError,
                "Parameter verification failed.; memory: type check ('integer') failed - got 'x'",
            ),
            ("", DriverError, "said nothing"),
        ],
        ids=["no such guest", "taken", "wrong parameter", "silent"],
    )
    def test_is_the_error_that_the_api_gives(
        self, err: str, kind: type[PhoenixError], message: str
    ) -> None:
        error = pvesh.refused("PUT", "/x", err)
        assert isinstance(error, kind)
        assert message in error.message
        assert "pvesh set" not in error.message
