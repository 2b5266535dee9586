"""Ollama's unit, release and models in a container, with a double in the place of its program.

Its own server was never run here: `tests/support/ollama_double.py` answers as its documents say.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support import ollama_double
from tests.support.featurebench import Bench, get

pytestmark = pytest.mark.incus

DOUBLE = Path(ollama_double.__file__)
TUTOR = {"name": "tutor", "from": "smollm2:135m", "system": "You teach."}


@pytest.fixture(scope="module")
def bench(llm_bench: Bench) -> Bench:
    return llm_bench


@pytest.fixture(scope="module")
def release(bench: Bench) -> dict[str, Any]:
    """An archive like that of a release, served by the guest itself, and how it is pinned."""
    bench.sh("llm", "mkdir -p /srv/x/bin && cat > /srv/x/bin/ollama", stdin=DOUBLE.read_text())
    get_them = "apt-get install -qy zstd python3 >/dev/null 2>&1"
    bench.sh("llm", f"{get_them} || {{ apt-get update -q && {get_them}; }}")
    bench.sh("llm", "chmod 755 /srv/x/bin/ollama && cd /srv && tar --zstd -cf o.tar.zst -C x bin")
    bench.sh("llm", "systemd-run -q -p WorkingDirectory=/srv python3 -m http.server 9001")
    checksum = bench.sh("llm", "sha256sum /srv/o.tar.zst").split()[0]
    url = "http://127.0.0.1:9001/o.tar.zst"
    return {"version": "0.21.2", "checksum": f"sha256:{checksum}", "url": url, "keep_alive": "1h"}


def there(bench: Bench) -> set[str]:
    told = json.loads(get(f"{bench.ip('llm')}:11434", "/api/tags")[1])
    return {model["name"] for model in told["models"]}


class TestOllama:
    def test_without_a_release_the_program_must_be_there(self, bench: Bench) -> None:
        assert "no program /usr/local/bin/ollama" in bench.refused("llm", "ollama", {})

    def test_a_release_is_run_and_has_its_models(
        self, bench: Bench, release: dict[str, Any]
    ) -> None:
        wanted = release | {"models": ["smollm2:135m", TUTOR]}
        bench.deploy("llm", "ollama", wanted)
        assert there(bench) == {"smollm2:135m", "tutor:latest"}
        assert bench.deploy("llm", "ollama", wanted).changed == 0
        assert bench.examine("llm", "ollama", wanted).differences == ()
        pid = bench.sh("llm", "systemctl show -p MainPID --value ollama")
        assert bench.sh("llm", f"ps -o user= -p {pid}") == "ollama"
        seen = bench.sh("llm", f"tr '\\0' '\\n' < /proc/{pid}/environ")
        assert {
            "OLLAMA_HOST=0.0.0.0:11434",
            "OLLAMA_KEEP_ALIVE=1h",
            "OLLAMA_MODELS=/var/lib/ollama/models",
        } <= set(seen.splitlines())
        assert bench.sh("llm", "readlink -f $(command -v ollama)").startswith("/opt/ollama/0.21.2-")

    def test_what_is_taken_out_goes_and_what_is_by_hand_stays(
        self, bench: Bench, release: dict[str, Any]
    ) -> None:
        bench.sh(
            "llm",
            "python3 -c 'import urllib.request as r; r.urlopen("
            '"http://127.0.0.1:11434/api/pull", b"{\\"model\\": \\"nomic-embed-text\\"}").read()\'',
        )
        pid = bench.sh("llm", "systemctl show -p MainPID --value ollama")
        bench.deploy("llm", "ollama", release | {"models": ["smollm2:135m"]})
        assert there(bench) == {"smollm2:135m", "nomic-embed-text:latest"}
        assert bench.sh("llm", "systemctl show -p MainPID --value ollama") == pid
        told = bench.refused("llm", "ollama", release | {"models": ["nope:1"]})
        assert "nope:1 can't be pulled" in told

    def test_one_that_does_not_come_up_is_taken_back(
        self, bench: Bench, release: dict[str, Any]
    ) -> None:
        bench.deploy("llm", "ollama", release | {"models": ["smollm2:135m"]})
        broken = release | {"models": ["smollm2:135m"], "host": "10.255.255.1"}
        assert "Cannot assign requested address" in bench.refused("llm", "ollama", broken)
        bench.deploy("llm", "ollama", release | {"models": ["smollm2:135m"]})
        assert "smollm2:135m" in there(bench)
