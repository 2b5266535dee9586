"""Whole models of a hub: asked of a real server, chosen, and measured against the room there is."""

import json
from pathlib import Path

import pytest
from tests.support.model_hub import COMMIT, hub

from phoenix_hypervisor.features import _hub
from phoenix_hypervisor.features._hub import HubFile, chosen, missing, sizes, told
from phoenix_hypervisor.features._hub_files import ask
from phoenix_hypervisor.model.errors import ConfigureFailed

GB = 10**9


def names(*found: str) -> list[HubFile]:
    return [HubFile(name, 1) for name in found]


class TestAsking:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling/config.json").write_text("{}")
        (tmp_path / "model.safetensors").write_bytes(b"abc")
        return tmp_path

    def url(self, at: str, repo: str = "a/b") -> str:
        return f"{at}/api/models/{repo}/revision/main?blobs=true"

    def test_the_list(self, folder: Path) -> None:
        with hub({"a/b": folder}) as found:
            said = ask(self.url(found.address), None)
        abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert said == {
            "commit": COMMIT,
            "files": [["1_Pooling/config.json", 2, None], ["model.safetensors", 3, abc]],
        }

    def test_a_hub_that_is_busy_is_asked_again(self, folder: Path) -> None:
        waited: list[float] = []
        with hub({"a/b": folder}) as found:
            found.statuses[:] = [503, 429]
            assert "commit" in ask(self.url(found.address), None, waited.append)
        assert waited == [1.0, 2.0]

    def test_what_it_refuses_is_told(self, folder: Path) -> None:
        with hub({"a/b": folder}) as found:
            assert "no such model" in ask(self.url(found.address, "a/c"), None)["error"]
            found.token = "right"
            assert "give a token" in ask(self.url(found.address), None)["error"]
            assert "commit" in ask(self.url(found.address), "right")
        gone = ask(self.url(found.address), None, lambda _: None)["error"]
        assert "tried 4 times" in gone


class TestAnswers:
    def test_names_that_would_lead_out_are_refused(self) -> None:
        for name in ("../etc/passwd", "a/../../b", "/etc/passwd", "a\nb"):
            text = json.dumps({"commit": COMMIT, "files": [[name, 1, None]]})
            with pytest.raises(ConfigureFailed, match="is none"):
                told(text, "a/b", "main")

    def test_an_error_says_what_to_mend(self) -> None:
        with pytest.raises(ConfigureFailed, match=r"a/b \(main\) can't be had: nope") as caught:
            told('{"error": "nope"}', "a/b", "main")
        assert "hf_token" in caught.value.hint

    def test_hidden_files_are_left(self) -> None:
        text = (
            f'{{"commit": "{COMMIT}", "files": [[".gitattributes", 1, null], ["a.json", 2, null]]}}'
        )
        assert told(text, "a/b", "main") == (COMMIT, [HubFile("a.json", 2)])


class TestChoice:
    def test_safetensors_go_before_what_they_replace(self) -> None:
        files = names(
            "config.json",
            "model-00001-of-00002.safetensors",
            "pytorch_model.bin",
            "consolidated.safetensors",
            "original/params.json",
            "onnx/model.onnx",
            "model.gguf",
            "1_Pooling/config.json",
        )
        assert [file.name for file in chosen(files, ())] == [
            "config.json",
            "model-00001-of-00002.safetensors",
            "1_Pooling/config.json",
        ]

    def test_what_is_there_is_taken(self) -> None:
        assert len(chosen(names("config.json", "pytorch_model.bin"), ())) == 2
        assert len(chosen(names("params.json", "consolidated.safetensors"), ())) == 2

    def test_patterns(self) -> None:
        files = names("a.gguf", "b.safetensors", "c/d.json")
        assert [file.name for file in chosen(files, ("*.gguf", "c/*"))] == ["a.gguf", "c/d.json"]


class TestRoom:
    def test_what_is_there_already_needs_none(self) -> None:
        wanted = [HubFile("a", 5 * GB), HubFile("b", 3 * GB), HubFile("c d", 1)]
        there = sizes(f"{5 * GB} a\n{GB} b.part\n17 other file\nodd\n")
        assert missing(wanted, there) == 2 * GB + 1

    def test_where_it_lies(self) -> None:
        assert _hub.home("/srv", "Qwen/Qwen3-8B") == "/srv/hub/Qwen--Qwen3-8B"
