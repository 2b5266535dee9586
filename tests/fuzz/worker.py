"""One fuzzer on one target, in a process of its own with atheris (`.venv-fuzz`): libFuzzer's
options and corpus folders are its arguments.
"""

import importlib
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Never returns: libFuzzer ends the process, with 77 for a finding."""
    atheris = importlib.import_module("atheris")  # only there where it is fuzzed
    name, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=["phoenix_hypervisor"]):
        from tests.fuzz.targets import TARGETS
    with tempfile.TemporaryDirectory(prefix="phoenix-fuzz-") as scratch:
        place = Path(scratch)
        atheris.Setup(
            [f"phoenix-{name}", *arguments],
            lambda data: TARGETS[name](data, place),
            internal_libfuzzer=True,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
