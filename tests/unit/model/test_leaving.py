"""What ends the units of a feature, run by a shell over a `systemctl` that plays."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from phoenix_hypervisor.model.feature import Feature, FeatureOptions

SYSTEMCTL = """#!/bin/sh
case $1 in
list-unit-files) echo "web.service enabled enabled"; echo "web@.service static -" ;;
list-units)
    echo "web.service loaded active running Web"
    echo "web@one.service loaded active running Web of one"
    echo "gone.service not-found inactive dead gone.service" ;;
disable) echo "$4" >>"$LOG"; [ "$4" != "$BROKEN" ] ;;
esac
"""


class Web(Feature[FeatureOptions]):
    """Runs a service, and others made of a pattern."""

    name = "web"
    options = FeatureOptions
    units: ClassVar[Sequence[str]] = ("web.service", "web@*.service", "gone.service")


@pytest.mark.parametrize(("broken", "status"), [("", 0), ("web.service", 1)])
def test_each_unit_that_is_there_is_ended(tmp_path: Path, broken: str, status: int) -> None:
    tool = tmp_path / "systemctl"
    tool.write_text(SYSTEMCTL)
    tool.chmod(0o755)
    log = tmp_path / "log"
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "BROKEN": broken}
    done = subprocess.run(["sh", "-c", Web().leave_script()], env=environ, check=False)
    assert done.returncode == status
    assert log.read_text().split() == ["web.service", "web@one.service"]


def test_a_feature_without_units_has_nothing_to_end() -> None:
    class Quiet(Web):
        units = ()

    assert Quiet().leave_script() == ""
