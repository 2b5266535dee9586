"""Files that are given as a saved plan and are none: one sentence, whatever they hold."""

from pathlib import Path

import pytest

from phoenix_hypervisor import __version__
from phoenix_hypervisor.cli import _saved
from phoenix_hypervisor.model.errors import UsageError


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5_000,
        b"NaN",
        b'{"format": 1}',
        b'{"format": 1, "version": "%s", "changes": {}}' % __version__.encode(),
    ],
    ids=["empty", "bytes", "lists", "objects", "digits", "constant", "no version", "no plan"],
)
def test_what_is_no_plan_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "change.plan"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        _saved.read(path)
    assert len(refused.value.message) < 500
    assert "\n" not in refused.value.message
