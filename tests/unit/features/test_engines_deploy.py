"""What the model servers' features do in a guest, with the guest's shell being this machine's."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tests.unit.features.guests import guest

from phoenix_hypervisor.features import _system, _vllm_install, llamacpp, ollama
from phoenix_hypervisor.features._gguf import GgufModel, bring, forget_uploads
from phoenix_hypervisor.features.llamacpp import Llamacpp
from phoenix_hypervisor.features.vllm import Vllm
from phoenix_hypervisor.model.desired import Volume
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Inside


@pytest.mark.parametrize("feature", [Llamacpp(), Vllm()])
def test_a_key_is_refused_before_anything_is_done(
    feature: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    for name in ("ask", "install", "run", "folder", "text_file"):
        monkeypatch.setattr(_system, name, lambda *words, **_: done.extend(words))
    model: Any = "owner/model" if isinstance(feature, Vllm) else {"path": "/srv/m.gguf"}
    words = feature.options.model_validate({"model": model, "api_key": {"secret": "K"}})
    inside = Inside(guest(1, "llm"), Path("/nowhere"), secrets={"K": "a key"})
    with pytest.raises(ConfigureFailed, match="api_key of chat must have 8 to 512 characters"):
        feature.deploy(words, inside)
    assert done == []


@pytest.mark.parametrize(
    ("module", "root", "forget"),
    [
        (llamacpp, "PROGRAMS", lambda: llamacpp._forget_programs("/none/x/y")),
        (ollama, "PROGRAMS", lambda: ollama._forget_programs("/none/x/y")),
        (_vllm_install, "ROOT", lambda: _vllm_install.forget_others("/none/kept", "uv==1")),
    ],
)
def test_programs_with_odd_names_are_removed_and_nothing_else(
    module: ModuleType,
    root: str,
    forget: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    odd = "a b; cd ..; touch made; $(touch made)"
    (tmp_path / "here" / odd).mkdir(parents=True)
    (tmp_path / "b").mkdir()
    monkeypatch.setattr(module, root, str(tmp_path / "here"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_system, "ask", sh)
    monkeypatch.setattr(_system, "run", lambda _, script: sh(script))
    forget()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["b", "here"]


def sh(script: str) -> str:
    return subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout


def test_another_content_of_a_file_is_uploaded_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, volume = str(tmp_path / "models"), Volume("models", None, 5, str(tmp_path))

    def put(*, name: str, src: str, dest: str, mode: str) -> Any:
        shutil.copy(src, dest)
        return SimpleNamespace(did_change=lambda: True)

    monkeypatch.setattr("pyinfra.operations.files.put", put)
    monkeypatch.setattr(
        _system, "folder", lambda path: Path(path).mkdir(parents=True, exist_ok=True)
    )
    monkeypatch.setattr(_system, "ask", sh)
    monkeypatch.setattr(_system, "run", lambda _, script: sh(script))
    one = guest(1, "llm")
    model, inside = GgufModel(file="m/a.gguf"), Inside(one, tmp_path)
    (tmp_path / "m").mkdir()
    paths = []
    for content in (b"old", b"new"):
        (tmp_path / "m/a.gguf").write_bytes(content)
        paths.append(Path(bring(model, folder, inside)[0]))
    assert [path.read_bytes() for path in paths] == [b"old", b"new"]
    forget_uploads(folder, [str(paths[1])], guest(1, "llm", volumes=(volume,)))
    assert paths[0].exists()
    forget_uploads(folder, [str(paths[1])], one)
    assert [path.exists() for path in paths] == [False, True]
