"""Real commands over a copy of the quickstart on the simulated node, and what they print."""

import contextlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from phoenix_hypervisor.cli.main import run

Documents = list[dict[str, Any]]

_SECRETS = ("PORTFOLIO_DB_PASSWORD", "LLM_API_KEY")


class Runs:
    """One folder and one simulated node; each command leaves both to the next one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def json(self, *words: str) -> tuple[int, Documents]:
        """Runs a command with `--json`; its exit status, and what it printed."""
        out, err = io.StringIO(), io.StringIO()
        argv = ["--json", "--on", "sim", "--dir", str(self.folder), *words]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run(argv)
        text = out.getvalue().replace(str(self.folder), "FOLDER")
        documents = [json.loads(line) for line in text.splitlines()]
        if not documents:
            raise RuntimeError(f"phoenix {' '.join(words)} printed no JSON: {err.getvalue()}")
        return status, documents

    def edit(self, old: str, new: str) -> None:
        """Replaces text in the containers' file. Raises `ValueError` where it isn't there."""
        path = self.folder / "phoenix_lxc_configs.json"
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(f"{path.name} does not hold {old!r}")
        path.write_text(text.replace(old, new), encoding="utf-8")


@contextlib.contextmanager
def quickstart(root: Path) -> Iterator[Runs]:
    """A copy of examples/quickstart, and an environment that holds nothing of the caller's."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "quickstart"
        shutil.copytree(root / "examples/quickstart", folder, ignore=_private)
        own = {name: value for name, value in os.environ.items() if not name.startswith("PHOENIX")}
        own |= {
            "PHOENIX_SIM_STATE": str(Path(temporary) / "node.json"),
            "HOME": temporary,
            **dict.fromkeys(_SECRETS, "example"),
        }
        with mock.patch.dict(os.environ, own, clear=True):
            yield Runs(folder)


def _private(_: str, names: Sequence[str]) -> set[str]:
    return {name for name in names if name.startswith(".phoenix") or name == "__pycache__"}
