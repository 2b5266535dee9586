import json
from collections.abc import Iterator
from typing import Any

from phoenix_hypervisor.config.folder import FILES
from phoenix_hypervisor.config.options import PLANNED
from phoenix_hypervisor.config.schema import DIALECT, schemas
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.config.words.vm import Machine


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inside in value.values():
            yield from _walk(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _walk(inside)


def test_there_is_one_for_each_file(vocabulary):
    found = schemas(vocabulary)
    assert list(found) == [file.replace(".json", ".schema.json") for file in FILES]
    for schema in found.values():
        assert schema["$schema"] == DIALECT
        assert schema["additionalProperties"] is False
        assert "$schema" in schema["properties"]
        json.dumps(schema)


def test_all_references_lead_somewhere(vocabulary):
    for schema in schemas(vocabulary).values():
        for part in _walk(schema):
            if isinstance(part.get("$ref"), str):
                assert part["$ref"].removeprefix("#/$defs/") in schema["$defs"]


def test_every_word_is_there_and_described(vocabulary):
    found = schemas(vocabulary)
    for file, model in (("lxc_configs", Container), ("vm_configs", Machine)):
        words = found[f"phoenix_{file}.schema.json"]["$defs"][model.__name__]["properties"]
        assert set(words) >= set(model.model_fields) | set(PLANNED) - set(model.model_fields)
    for schema in found.values():
        for name, definition in schema["$defs"].items():
            assert definition.get("description") or name not in ("Container", "Machine"), name


def test_features_and_checks_are_part_of_it(vocabulary):
    schema = schemas(vocabulary)["phoenix_lxc_configs.schema.json"]
    container = schema["$defs"]["Container"]["properties"]
    assert "nginx" in container["features"]["items"]["enum"]
    assert container["nginx"]["$ref"] == "#/$defs/Nginx"
    assert container["checks"]["items"]["properties"]["http"]["$ref"] == "#/$defs/Http"
    assert container["ports"]["x-later"] is True
    assert container["vllm_model"]["deprecated"] is True
    guests = schema["properties"]["lxc_configs"]["patternProperties"]
    assert guests["^[1-9][0-9]*$"] == {"$ref": "#/$defs/Container"}
