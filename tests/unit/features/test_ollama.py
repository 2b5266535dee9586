"""Ollama: words, unit and claims as data, and its models against a double of its API."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.ollama_double import State, serve
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features import _ollama_sync
from phoenix_hypervisor.features._ollama_sync import Api, Failed, Sync
from phoenix_hypervisor.features._ollama_unit import (
    OllamaOptions,
    Running,
    environment,
    store,
    unit_text,
)
from phoenix_hypervisor.features.ollama import Ollama
from phoenix_hypervisor.model.desired import Volume
from phoenix_hypervisor.model.serving import Engine, ServedModel
from phoenix_hypervisor.verify.checks.http import Http
from phoenix_hypervisor.verify.checks.llm import Llm

FEATURE = Ollama()
SUM = f"sha256:{'b' * 64}"
RELEASE = {"version": "0.21.2", "checksum": SUM}
TUTOR = {
    "name": "tutor",
    "from": "smollm2:135m",
    "system": "You teach.",
    "parameters": {"temperature": 0.2, "stop": ["END"]},
}


def options(**words: Any) -> OllamaOptions:
    return OllamaOptions.model_validate(RELEASE | words)


def running(devices: tuple[int, ...] | None = None, **words: Any) -> Running:
    return Running(options(**words), "/opt/ollama/x/bin/ollama", "/srv/models/ollama", devices)


class TestWords:
    @pytest.mark.parametrize(
        "words",
        [
            {"checksum": None},
            {"version": None},
            {"version": "latest"},
            {"path": "/usr/local/bin/ollama"},
            {"version": None, "checksum": None, "path": "/p", "url": "https://a.test/x"},
            {"url": "ftp://a.test/x"},
            {"models": ["a b"]},
            {"models": ["--insecure"]},
            {"models": ["a", "a:latest"]},
            {"models": [{"name": "a", "system": "x"}]},
            {"models": [{"name": "a", "from": "a:latest"}]},
            {"models": [{"name": "a", "from": "b", "parameters": {"x y": 1}}]},
            {"keep_alive": "soon"},
            {"environment": {"A": "b\nc"}},
            {"environment": {"A B": "c"}},
            {"port": 0},
        ],
    )
    def test_what_cannot_be_is_refused(self, words: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            options(**words)

    def test_a_folder_of_before_has_no_options(self) -> None:
        assert OllamaOptions().version is None

    def test_where_the_release_is(self) -> None:
        assert options().archive.endswith("/v0.21.2/ollama-linux-amd64.tar.zst")
        assert options(url="https://a.test/o.tgz").archive == "https://a.test/o.tgz"

    @pytest.mark.parametrize(
        "name", ["qwen2.5:7b", "nomic-embed-text", "hf.co/a/b-GGUF:Q4_K_M", "reg.test:5000/a/b:c"]
    )
    def test_names(self, name: str) -> None:
        assert options(models=[name]).models[0].name == name

    def test_models_lie_on_the_volume_of_that_name(self) -> None:
        volume = Volume("models", None, 50, "/srv/llm")
        assert store(options(), guest(1, "a", volumes=(volume,))) == "/srv/llm/ollama"
        assert store(options(), guest(1, "a")) == "/var/lib/ollama/models"


class TestUnit:
    def test_its_variables(self) -> None:
        found = environment(
            running(
                context=8192,
                parallel=2,
                max_loaded_models=1,
                max_queue=64,
                keep_alive="-1",
                flash_attention=True,
                kv_cache_type="q8_0",
                origins=["https://chat.test"],
                environment={"OLLAMA_DEBUG": "1"},
            )
        )
        assert found == {
            "HOME": "/var/lib/ollama",
            "OLLAMA_HOST": "0.0.0.0:11434",
            "OLLAMA_MODELS": "/srv/models/ollama",
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_NUM_PARALLEL": "2",
            "OLLAMA_CONTEXT_LENGTH": "8192",
            "OLLAMA_MAX_LOADED_MODELS": "1",
            "OLLAMA_MAX_QUEUE": "64",
            "OLLAMA_FLASH_ATTENTION": "1",
            "OLLAMA_KV_CACHE_TYPE": "q8_0",
            "OLLAMA_ORIGINS": "https://chat.test",
            "OLLAMA_DEBUG": "1",
        }

    def test_cards(self) -> None:
        assert environment(running((1, 2)))["CUDA_VISIBLE_DEVICES"] == "1,2"
        assert environment(running(()))["CUDA_VISIBLE_DEVICES"] == "-1"
        assert "CUDA_VISIBLE_DEVICES" not in environment(running())

    def test_the_unit(self) -> None:
        unit = unit_text(running(memory_mb=4096, environment={"A": '100% "x"'}))
        for line in (
            "ExecStart=/opt/ollama/x/bin/ollama serve",
            'Environment="OLLAMA_HOST=0.0.0.0:11434"',
            'Environment="A=100%% \\"x\\""',
            "User=ollama",
            "ReadWritePaths=/srv/models/ollama",
            "MemoryMax=4096M",
            "ProtectSystem=strict",
        ):
            assert f"\n{line}\n" in unit

    def test_it_is_asked_where_it_listens(self) -> None:
        unit = running(host="::1").unit
        assert (unit.unit, unit.health) == ("ollama.service", "http://[::1]:11434/api/version")


class TestFeature:
    def test_engines(self) -> None:
        words = options(models=["smollm2", {"name": "nomic-embed-text", "kind": "embedding"}])
        one = guest(1, "a")
        models = (ServedModel("smollm2"), ServedModel("nomic-embed-text", "embedding"))
        assert FEATURE.engines(words, one, desired(one)) == (Engine("ollama", 11434, models),)

    def test_its_check_is_one(self) -> None:
        [spec] = FEATURE.checks(options(models=["smollm2"]), guest(1, "a"))
        assert Llm.model_validate(spec["llm"]).model == "smollm2"
        [spec] = FEATURE.checks(options(), guest(1, "a"))
        assert Http.model_validate(spec["http"]).path == "/api/version"

    def test_a_card_that_is_not_there(self) -> None:
        one = guest(1, "a", gpus=(1,))
        [flaw] = FEATURE.flaws(options(gpus=[0]), one, desired(one))
        assert flaw.at == ("gpus",)
        assert not FEATURE.flaws(options(gpus=[1]), one, desired(one))

    def test_the_largest_model_is_what_it_needs(self) -> None:
        one = guest(1, "a", gpus=(0,))
        models = ["qwen2.5:7b", "qwen2.5:0.5b"]
        [claim] = FEATURE.claims(options(models=models), one, desired(one))
        # Its library's qwen2.5:7b is 4.7 GB (Q4_K_M); 4096 tokens take 224 MiB of cache.
        assert claim.need_mb == pytest.approx(4.68e9 / 2**20 + 224 + 512, rel=0.03)
        assert claim.memory_mb == claim.need_mb
        [both] = FEATURE.claims(options(models=models, max_loaded_models=2), one, desired(one))
        assert (both.memory_mb or 0) > (claim.memory_mb or 0)
        assert both.need_mb == claim.need_mb
        [told] = FEATURE.claims(options(models=models, gpu_memory_mb=9000), one, desired(one))
        assert told.memory_mb == 9000

    def test_nothing_on_the_cpu(self) -> None:
        assert not FEATURE.claims(options(models=["a"]), guest(1, "a"), desired())
        one = guest(1, "a", gpus=(0,))
        assert not FEATURE.claims(options(models=["a"], gpus=[]), one, desired(one))


@pytest.fixture
def double() -> Iterator[tuple[State, str]]:
    state = State()
    server = serve(state)
    yield state, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


Make = Callable[..., Sync]


@pytest.fixture
def sync(double: tuple[State, str], tmp_path: Path) -> Make:
    def make(*models: Any, said: list[str] | None = None, guest: str = "lxc-1-a") -> Sync:
        wanted = [model.wanted() for model in options(models=list(models)).models]
        return Sync(
            Api(double[1]),
            wanted,
            tmp_path / f"store/phoenix-{guest}.json",
            tmp_path,
            say=(said if said is not None else []).append,
            pause=lambda _: None,
        )

    return make


def changes(state: State) -> list[tuple[str, str, Any]]:
    return [(verb, path, body) for verb, path, body in state.asked if verb != "GET"]


class TestModels:
    def test_a_model_is_pulled_once(self, double: tuple[State, str], sync: Make) -> None:
        state, _ = double
        said: list[str] = []
        one = sync("smollm2:135m", said=said)
        assert one.steps() == ["pull smollm2:135m"]
        one.run()
        assert changes(state) == [("POST", "/api/pull", {"model": "smollm2:135m", "stream": True})]
        assert said == ["smollm2:135m: 0 % of 0.27 GB"]
        assert sync("smollm2:135m").steps() == []

    def test_one_without_a_tag_is_the_latest(self, sync: Make) -> None:
        sync("nomic-embed-text").run()
        assert sync("nomic-embed-text:latest").steps() == []

    def test_it_is_removed_when_it_is_taken_out(
        self, double: tuple[State, str], sync: Make
    ) -> None:
        state, _ = double
        state.models["mine:latest"] = "sha256:1"
        sync("smollm2:135m", "nomic-embed-text").run()
        assert sync("smollm2:135m").steps() == ["delete nomic-embed-text:latest"]
        sync("smollm2:135m").run()
        assert changes(state)[-1] == ("DELETE", "/api/delete", {"model": "nomic-embed-text:latest"})
        assert set(state.models) == {"smollm2:135m", "mine:latest"}
        assert sync("smollm2:135m").steps() == []

    def test_one_that_a_person_pulled_is_never_removed(
        self, double: tuple[State, str], sync: Make
    ) -> None:
        state, _ = double
        state.models["smollm2:135m"] = "sha256:1"
        sync("smollm2:135m").run()
        sync().run()
        assert "smollm2:135m" in state.models

    def test_one_that_another_guest_uses_stays_until_nobody_does(
        self, double: tuple[State, str], sync: Make
    ) -> None:
        state, _ = double
        sync("smollm2:135m", "nomic-embed-text").run()
        other = sync("smollm2:135m", guest="lxc-2-b")
        assert other.steps() == ["note models that are used"]
        other.run()
        assert sync("smollm2:135m", guest="lxc-2-b").steps() == []
        assert sync().steps() == ["delete nomic-embed-text:latest"]
        sync().run()
        assert sync().steps() == []
        assert set(state.models) == {"smollm2:135m"}
        sync(guest="lxc-2-b").run()
        assert sync().steps() == ["delete smollm2:135m"]
        sync().run()
        assert not state.models

    def test_a_list_of_another_guest_that_says_nothing(self, sync: Make, tmp_path: Path) -> None:
        sync("smollm2:135m").run()
        (tmp_path / "store/phoenix-lxc-2-b.json").write_text("{}")
        with pytest.raises(Failed, match=r"lxc-2-b.json doesn't say which models"):
            sync().run()

    def test_one_that_is_gone_already(self, double: tuple[State, str], sync: Make) -> None:
        state, _ = double
        sync("smollm2:135m").run()
        one = sync()
        assert one.steps() == ["delete smollm2:135m"]
        Api(double[1]).delete("smollm2:135m")
        Api(double[1]).delete("smollm2:135m")
        state.asked.clear()
        one.run()
        assert changes(state) == []

    def test_one_is_made_from_another(self, double: tuple[State, str], sync: Make) -> None:
        state, _ = double
        one = sync(TUTOR)
        assert one.steps() == ["pull smollm2:135m", "create tutor:latest"]
        one.run()
        assert changes(state)[-1] == (
            "POST",
            "/api/create",
            {
                "model": "tutor:latest",
                "stream": True,
                "from": "smollm2:135m",
                "system": "You teach.",
                "parameters": {"temperature": 0.2, "stop": ["END"]},
            },
        )
        assert sync(TUTOR).steps() == []
        assert sync(TUTOR | {"system": "You ask."}).steps() == ["create tutor:latest"]
        state.models["tutor:latest"] = "sha256:changed by hand"
        assert sync(TUTOR).steps() == ["create tutor:latest"]
        state.models["smollm2:135m"] = "sha256:newer"
        sync(TUTOR).run()
        assert sync(TUTOR).steps() == []
        assert sync().steps() == ["delete smollm2:135m", "delete tutor:latest"]

    def test_a_broken_pull_is_tried_again(self, double: tuple[State, str], sync: Make) -> None:
        state, _ = double
        state.cut_pulls = 2
        said: list[str] = []
        sync("smollm2:135m", said=said).run()
        assert len(changes(state)) == 3
        assert sum("trying again" in line for line in said) == 2

    def test_an_unknown_model_is_told(self, sync: Make) -> None:
        with pytest.raises(Failed, match=r"nope:1 can't be pulled: .*file does not exist"):
            sync("nope:1").run()

    def test_what_was_done_before_a_failure_is_known(self, sync: Make) -> None:
        with pytest.raises(Failed):
            sync("smollm2:135m", "nope:1").run()
        assert sync().steps() == ["delete smollm2:135m"]

    def test_missing_room_is_told(self, sync: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        class Full:
            f_bavail, f_frsize = 100_000, 1000

        monkeypatch.setattr(os, "statvfs", lambda _: Full)
        with pytest.raises(Failed, match=r"needs 0.27 GB more, but .* has 0.10 GB free"):
            sync("smollm2:135m").run()
        assert sync().steps() == ["note models that are used"]
        sync().run()
        assert sync().steps() == []

    def test_as_a_program(
        self,
        double: tuple[State, str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        asked = {
            "base": double[1],
            "models": [{"name": "smollm2:135m"}],
            "state": str(tmp_path / "s.json"),
            "store": str(tmp_path),
        }

        def call(mode: str, **more: Any) -> tuple[int, str, str]:
            monkeypatch.setattr(sys, "argv", ["ollama_sync.py", mode])
            monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asked | more)))
            status = _ollama_sync.main()
            return (status, *capsys.readouterr())

        assert call("look") == (0, "pull smollm2:135m\n", "")
        assert call("run")[0] == 0
        assert call("look") == (0, "", "")
        status, out, err = call("look", base="http://127.0.0.1:9")
        assert (status, out) == (1, "")
        assert "Connection refused" in err
