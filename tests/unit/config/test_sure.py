"""Cards and ways are judged though other words are wrong, and nothing is told as a consequence."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor import app
from phoenix_hypervisor.model.problem import Problem

LXC = "phoenix_lxc_configs.json"
HOST = {
    "hypervisor": {"driver": "sim", "stack": "t"},
    "gpus": [{"index": i, "name": "RTX 5060 Ti", "memory_mb": 16311} for i in (0, 1)],
}
KEY = {"secret": "ADAS_KEY"}
Guests = dict[str, dict[str, Any]]


def guest(name: str, number: int, **words: Any) -> dict[str, Any]:
    net = {"name": "eth0", "bridge": "b0", "ip": f"10.97.60.{number}/24", "gw": "10.97.60.1"}
    fixed = {"template": "debian-13-standard", "memory_mb": 8192, "storage_pool": "pool"}
    return {"name": name, **fixed, "network_config": net, **words}


def guests() -> Guests:
    """A vLLM server, a llama.cpp server and their proxy; nothing is wrong with them."""
    hub = {"repo": "Qwen/Qwen2.5-3B-Instruct-GGUF", "file": "qwen2.5-3b-instruct-q4_k_m.gguf"}
    route = {"path": "/v1", "llm": {"guests": ["701", "702"]}, "auth": {"keys": {"ada": KEY}}}
    return {
        "701": guest(
            "vllm",
            11,
            gpu_assignment="0",
            features=["vllm"],
            vllm={
                "model": "Qwen/Qwen2.5-7B-Instruct-AWQ",
                "max_model_len": 8192,
                "gpu_memory_utilization": 0.7,
                "served_model_name": "qwen",
            },
        ),
        "702": guest(
            "lc",
            12,
            gpu_assignment="1",
            features=["llamacpp"],
            llamacpp={"model": {"hub": hub}, "alias": "q3", "context": 4096},
        ),
        "703": guest("web", 13, features=["nginx"], dependencies=["701", "702"], routes=[route]),
        "704": guest("other", 14),
    }


def told(folder: Path, found: Guests, host: dict[str, Any] | None = None) -> list[Problem]:
    (folder / LXC).write_text(json.dumps({"lxc_configs": found}, indent=1))
    (folder / "phoenix_hypervisor_config.json").write_text(json.dumps(host or HOST))
    return list(app.judge(folder, "sim", {"ADAS_KEY": "adaskey-123456"}).problems)


def test_these_are_right(tmp_path: Path) -> None:
    assert told(tmp_path, guests()) == []


def too_big(found: Guests) -> None:
    found["701"]["vllm"]["model"] = "Qwen/Qwen2.5-72B-Instruct"


def shut_out(found: Guests) -> None:
    found["702"]["checks"] = [{"tcp": {"port": 8080}}]


def spread(found: Guests) -> None:
    found["701"]["vllm"]["tensor_parallel_size"] = 2


MISTAKES = [("memory_mb", "8G"), ("storage_pool", "-"), ("cores", 0), ("boot_order", "first")]


@pytest.mark.parametrize("hidden", [too_big, shut_out, spread])
@pytest.mark.parametrize("where", ["701", "702", "704"])
@pytest.mark.parametrize(("word", "value"), MISTAKES)
def test_another_mistake_hides_neither_cards_nor_ways(
    hidden: Any, where: str, word: str, value: object, tmp_path: Path
) -> None:
    found = guests()
    hidden(found)
    alone = told(tmp_path, found)
    assert len(alone) == 1
    found[where][word] = value
    both = told(tmp_path, found)
    assert [p.message for p in both if p.pointer == f"/lxc_configs/{where}/{word}"]
    assert [p.message for p in both if p.pointer == alone[0].pointer] == [alone[0].message]
    assert len(both) == 2


FOLLOWING: list[tuple[str, str, object]] = [
    ("701", "gpu_assignment", "gpu0"),
    ("701", "gpu_assignment", "7"),
    ("701", "features", ["vlm"]),
    ("702", "llamacpp", {"model": {"path": "/m.gguf"}, "context": "x"}),
    ("702", "firewall", {"enabled": "no"}),
    ("702", "network_config", {"ip": "10.97.60/24"}),
    ("703", "network_config", {"ip": "10.97.60/24"}),
    ("703", "features", ["ngnix"]),
    ("703", "name", "a b"),
]


@pytest.mark.parametrize(("where", "word", "value"), FOLLOWING)
def test_nothing_is_told_as_a_consequence(
    where: str, word: str, value: object, tmp_path: Path
) -> None:
    found = copy.deepcopy(guests())
    found[where][word] = value
    errors = [p for p in told(tmp_path, found) if p.severity == "error"]
    options_beside = 2 if word == "features" and where == "701" else 1
    assert len(errors) == options_beside
    assert all(f"/lxc_configs/{where}/" in p.pointer for p in errors)


def test_cards_of_the_host_that_are_wrong_judge_nobody(tmp_path: Path) -> None:
    found = guests()
    too_big(found)
    host = {**HOST, "gpus": [{"index": 0, "memory_mb": "16G"}]}
    assert {p.file for p in told(tmp_path, found, host)} >= {"phoenix_hypervisor_config.json"}
    assert not [p for p in told(tmp_path, found, host) if "needs" in p.message]


def test_each_guest_without_a_server_behind_a_route_is_told(tmp_path: Path) -> None:
    found = guests()
    found["703"]["routes"][0]["llm"]["guests"].append("704")
    (problem,) = told(tmp_path, found)
    assert problem.pointer == "/lxc_configs/703/routes/0/llm/guests/2"
    assert problem.message == "no model server runs in lxc/704 (other)"
    found["703"]["routes"][0]["llm"]["guests"] = ["704"]
    assert [p.message for p in told(tmp_path, found)] == [problem.message]
    found["703"]["routes"][0]["llm"]["guests"] = ["799"]
    (problem,) = told(tmp_path, found)
    assert problem.message == "the route leads to 799, which is not in the files"
    found["703"]["routes"][0]["llm"] = True
    (problem,) = told(tmp_path, found)
    assert problem.message.startswith("web publishes /v1, but no model server runs in web: ")


def test_a_guest_whose_options_are_refused_may_have_a_server(tmp_path: Path) -> None:
    found = guests()
    found["702"]["llamacpp"]["context"] = "x"
    assert [p.pointer for p in told(tmp_path, found)] == ["/lxc_configs/702/llamacpp/context"]


CAUSES: list[tuple[str, dict[str, Any], str]] = [
    ("701", {"tensor_parallel_size": 2}, "vllm/tensor_parallel_size"),
    ("701", {"data_parallel_size": 3}, "vllm/data_parallel_size"),
    ("701", {"model": "Qwen/Qwen2.5-72B-Instruct"}, "vllm/model"),
    ("701", {"gpu_memory_utilization": 0.3}, "vllm/gpu_memory_utilization"),
    ("701", {"gpu_memory_utilization": 0.95, "max_model_len": 999999}, "vllm/max_model_len"),
    ("702", {"context": 32768, "parallel": 32}, "llamacpp/context"),
    ("702", {"context": None, "parallel": 256}, "llamacpp/parallel"),
    ("702", {"gpu_memory_mb": 100}, "llamacpp/gpu_memory_mb"),
    ("702", {"gpu_memory_mb": 20000}, "llamacpp/gpu_memory_mb"),
]


@pytest.mark.parametrize(("where", "words", "cause"), CAUSES)
def test_what_can_not_be_of_a_card_is_told_at_its_cause(
    where: str, words: dict[str, Any], cause: str, tmp_path: Path
) -> None:
    found = guests()
    feature = found[where]["features"][0]
    found[where][feature] = {
        key: value for key, value in (found[where][feature] | words).items() if value is not None
    }
    (problem,) = told(tmp_path, found)
    assert problem.pointer == f"/lxc_configs/{where}/{cause}"
    line = (tmp_path / LXC).read_text().splitlines()[problem.line - 1]
    assert f'"{cause.rpartition("/")[2]}"' in line


def test_the_cause_in_a_server_of_several_and_in_older_words(tmp_path: Path) -> None:
    found = guests()
    words = found["701"].pop("vllm")
    found["701"]["vllm"] = {"servers": [words | {"model": "Qwen/Qwen2.5-72B-Instruct"}]}
    (problem,) = told(tmp_path, found)
    assert problem.pointer == "/lxc_configs/701/vllm/servers/0/model"
    found["701"].pop("vllm")
    found["701"]["vllm_model"] = "Qwen/Qwen2.5-72B-Instruct"
    errors = [p for p in told(tmp_path, found) if p.severity == "error"]
    assert [p.pointer for p in errors] == ["/lxc_configs/701/vllm_model"]
