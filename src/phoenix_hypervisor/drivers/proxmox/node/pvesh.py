"""`pvesh`, Proxmox VE's API on the node itself as root@pam: the command, and its answer read.

Pure. What a person would have typed is what runs: nothing secret may be passed this way, since
every user of the node can read argument vectors. Source: pvesh(1).
"""

import json
import re
import shlex
from typing import Any
from urllib.parse import parse_qsl, unquote

from phoenix_hypervisor.drivers.proxmox.api import answers
from phoenix_hypervisor.drivers.proxmox.api.paths import Params, encoded
from phoenix_hypervisor.model.errors import PhoenixError

_COMMANDS = {"GET": "get", "POST": "create", "PUT": "set", "DELETE": "delete"}
_UPID = re.compile(r"UPID:[^:\s]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+:[^:]*:[^:]*:[^:\s]+:")
_STATUS_FIRST = re.compile(r"\A\d{3} ")
_NOISE = ("pvesh ", "Use of uninitialized")  # the usage, which follows a wrong parameter


def command(method: str, path: str, params: Params) -> str:
    """The shell command for a request. `path` is the API's, with its quoting."""
    words = ["pvesh", _COMMANDS[method.upper()], unquote(path)]
    for key, text in parse_qsl(encoded(params), keep_blank_values=True):
        words.append(f"--{key}={text}")
    return shlex.join([*words, "--output-format", "json"])


def answer(out: str) -> Any:
    """The data in pvesh's output; the log of a task, which comes before it, is left out.

    A task's UPID is told as the API tells it. None where there is no data.
    """
    text = out.strip()
    if not text:
        return None
    last = text.rsplit("\n", 1)[-1].strip()
    for each in (text, last):
        try:
            return json.loads(each)
        except json.JSONDecodeError:
            continue
    return last


def upid(data: object) -> str | None:
    """The UPID that an answer is, if it is one."""
    return data if isinstance(data, str) and _UPID.fullmatch(data) else None


def refused(method: str, path: str, err: str) -> PhoenixError:
    """The error for what pvesh wrote when it failed."""
    lines = [line for line in err.splitlines() if not line.startswith(_NOISE)]
    text = _STATUS_FIRST.sub("", "\n".join(lines).strip())
    error = answers.refusal(text or "pvesh failed and said nothing", safe=method.upper() == "GET")
    error.detail = "\n".join(part for part in (error.detail, f"pvesh: {method} {path}") if part)
    return error
