"""Features are found by their file's name, and are imported when they are asked for."""

import subprocess
import sys

import pytest

from phoenix_hypervisor import features
from phoenix_hypervisor.model.feature import Feature

SHOULD_BE_THERE = {"base_setup", "nginx", "postgresql", "python_api_service", "redis"}


def test_every_module_is_a_feature_of_its_name() -> None:
    found = features.available()
    assert set(found) >= SHOULD_BE_THERE
    for name, feature in found.items():
        assert isinstance(feature, Feature)
        assert feature.name == name
        assert feature.__doc__


def test_unknown_names_are_not_there() -> None:
    found = features.available()
    assert "_release" not in found
    assert "no_such" not in found
    with pytest.raises(KeyError):
        found["no_such"]


def test_names_cost_no_import_and_a_feature_no_pyinfra() -> None:
    program = (
        "import sys; from phoenix_hypervisor import features; found = features.available();"
        "names = list(found); loaded = {n.rpartition('.')[2] for n in sys.modules};"
        "assert not loaded & set(names), loaded;"
        "[found[name] for name in names]; assert 'pyinfra' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", sorted(SHOULD_BE_THERE))
def test_options_have_a_described_schema_and_defaults(name: str) -> None:
    options = features.available()[name].options
    options()
    schema = options.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["properties"]
