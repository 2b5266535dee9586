"""The words of `vllm`: what can't be, what is served, and both old spellings."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import guest

from phoenix_hypervisor.app.opening import vocabulary
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.configure.plain import plain
from phoenix_hypervisor.features._vllm_options import VllmOptions, VllmServer
from phoenix_hypervisor.features._vllm_unit import Running, arguments
from phoenix_hypervisor.features.vllm import Vllm
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import Desired

FEATURE = Vllm()
QWEN = "Qwen/Qwen2.5-7B-Instruct-AWQ"
EMBED = "Qwen/Qwen3-Embedding-0.6B"
OLD = Path(__file__).parents[1] / "config/good/old-layout"


def options(**words: Any) -> VllmOptions:
    return VllmOptions.model_validate({"model": QWEN} | words)


def server(**words: Any) -> VllmServer:
    return options(**words).all[0]


class TestWords:
    @pytest.mark.parametrize(
        ("words", "why"),
        [
            ({"servers": [{"model": QWEN}]}, "either model"),
            ({"model": "Qwen2.5"}, "neither a name of the hub"),
            ({"model": "/srv/a\nb"}, "pattern"),
            ({"gpu_memory_utilization": 1.2}, "less than or equal to 1"),
            ({"tensor_parallel_size": 0}, "greater than or equal to 1"),
            ({"max_model_len": "long"}, "pattern"),
            ({"extra_args": ["--api-key", "abc"]}, "list of processes"),
            ({"extra_args": ["--hf_token=abc"]}, "list of processes"),
            ({"extra_args": ["--port=1"]}, "a word of its own"),
            ({"Odd Name": 1}, "no name of an option"),
            ({"served_model_name": "a b"}, "pattern"),
            ({"chat_template": "{{x}}", "chat_template_file": "x.jinja"}, "either"),
            ({"chat_template_file": "../../etc/shadow"}, ".."),
            ({"hf_token": "x", "hub_endpoint": "http://hub.test"}, "over https"),
            ({"package": "vllm>=0.30"}, "pattern"),
            ({"model": None, "port": 8001}, "`model` is missing"),
            ({"model": None, "servers": [{"model": QWEN}], "dtype": "auto"}, "into each of them"),
            ({"model": None, "servers": [{"model": QWEN}], "seed": 1}, "into each of them: seed"),
        ],
    )
    def test_what_cannot_be(self, words: dict[str, Any], why: str) -> None:
        with pytest.raises(ValidationError, match=why):
            options(**words)

    @pytest.mark.parametrize(
        ("second", "what"),
        [
            ({"model": "a/b", "port": 8001}, "name: chat"),
            ({"model": QWEN, "name": "b", "port": 8001}, "served_model_name"),
        ],
    )
    def test_two_servers_differ(self, second: dict[str, Any], what: str) -> None:
        with pytest.raises(ValidationError, match=f"two servers have the same {what}"):
            VllmOptions.model_validate({"servers": [{"model": QWEN}, second]})

    @pytest.mark.parametrize(
        ("words", "kind"),
        [
            ({}, "chat"),
            ({"model": EMBED}, "embedding"),
            ({"model": "BAAI/bge-m3"}, "embedding"),
            ({"model": "BAAI/bge-reranker-v2-m3"}, "rerank"),
            ({"model": "org/bigger-one"}, "chat"),
            ({"task": "embed"}, "embedding"),
            ({"task": "score"}, "rerank"),
            ({"convert": "classify"}, "rerank"),
            ({"runner": "pooling"}, "embedding"),
            ({"model_type": "embedding"}, "embedding"),
            ({"model": EMBED, "kind": "chat"}, "chat"),
        ],
    )
    def test_what_it_serves(self, words: dict[str, Any], kind: str) -> None:
        assert server(**words).serves == kind

    def test_names_in_requests(self) -> None:
        assert server().names == (QWEN,)
        assert server(served_model_name="qwen").names == ("qwen",)
        assert server(served_model_name=["a", "b"]).names == ("a", "b")
        assert server(model="/srv/models/My Model/").names == ("My-Model",)

    def test_nothing_given_means_install_only(self) -> None:
        found = VllmOptions.model_validate({})
        assert found.all == ()
        assert not FEATURE.checks(found, guest(1, "a"))

    def test_remarks_are_no_options(self) -> None:
        found = server(**{"_why": "because", "x-more": 1, "seed": None, "dtype": "auto"})
        assert found.more == {}

    def test_unknown_options_count_in_the_fingerprint(self) -> None:
        one, two = (plain(options(seed=n), lambda _: None) for n in (1, 2))
        assert one != two


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Desired:
    folder = tmp_path_factory.mktemp("old") / "layout"
    shutil.copytree(OLD, folder)
    found = load(folder / "etc", vocabulary(), on="sim")
    errors = [p for p in found.problems if p.severity == "error" and "vllm" in p.pointer]
    assert errors == []
    assert found.desired is not None, [p.message for p in found.problems if p.severity == "error"]
    return found.desired


class TestOldSpellings:
    def server_of(self, old: Desired, number: int) -> VllmServer:
        uses = old.guests[address.lxc(number)].features
        found = next(use.options for use in uses if use.name == "vllm")
        assert isinstance(found, VllmOptions)
        return found.all[0]

    def test_sections(self, old: Desired) -> None:
        found = self.server_of(old, 801)
        assert found.serves == "embedding"
        assert arguments(Running(found, "/opt/v", "/m", (0, 33), cards=True)) == [
            "/m",
            "--served-model-name",
            "granite-embedding",
            "--host=0.0.0.0",
            "--port=8000",
            "--gpu-memory-utilization=0.1",
            "--runner=pooling",
            "--max-model-len=4096",
            "--tensor-parallel-size=1",
            "--quantization=awq_marlin",
            "--dtype=auto",
            "--trust-remote-code",
        ]

    def test_flat_words(self, old: Desired) -> None:
        found = arguments(Running(self.server_of(old, 950), "/opt/v", "/m", (0, 33), cards=True))
        assert found[2] == "old"
        assert {"--dtype=float16", "--kv-cache-dtype=auto", "--max-num-seqs=64"} <= {*found}
        assert found[-1] == "--enable-prefix-caching"
