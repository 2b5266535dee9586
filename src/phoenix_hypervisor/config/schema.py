"""JSON Schemas of the files (draft 2020-12), so that editors complete and check while one types."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from phoenix_hypervisor.config import models
from phoenix_hypervisor.config.folder import CLOUD, HYPERVISOR, LXC, VM, Vocabulary
from phoenix_hypervisor.config.options import PLANNED_CHECKS, known_features
from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.cloud import CloudFile
from phoenix_hypervisor.config.words.hypervisor import HypervisorFile
from phoenix_hypervisor.config.words.lxc import Container, LxcFile
from phoenix_hypervisor.config.words.vm import Machine, VmFile

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMMENTS = "^(x-|_)"
IDS = "^[1-9][0-9]*$"

_FILES: dict[str, tuple[type[Words], type[Words] | None]] = {
    HYPERVISOR: (HypervisorFile, None),
    LXC: (LxcFile, Container),
    VM: (VmFile, Machine),
    CLOUD: (CloudFile, None),
}


def schemas(vocabulary: Vocabulary) -> dict[str, Schema]:
    """The schema of each file, by the name of the schema's own file."""
    return {
        file.replace(".json", ".schema.json"): _schema(file, model, guest, vocabulary)
        for file, (model, guest) in _FILES.items()
    }


def _schema(
    file: str, model: type[Words], guest: type[Words] | None, vocabulary: Vocabulary
) -> Schema:
    parts: list[type[BaseModel]] = [model]
    if guest is not None:
        parts += [guest, *vocabulary.features.values(), *vocabulary.checks.values()]
    refs, joined = models_json_schema(
        [(part, "validation") for part in dict.fromkeys(parts)], by_alias=True
    )
    found = {part: refs[part, "validation"] for part in parts}
    definitions: dict[str, Schema] = joined["$defs"]
    for part in parts:
        _own_keys(part, _target(definitions, found[part]))
    for definition in definitions.values():
        _with_comments(definition)
    if guest is not None:
        _guests(_target(definitions, found[model]), found[guest])
        _with_options(_target(definitions, found[guest]), found, guest, vocabulary)
    top = definitions.pop(_name(found[model]))
    top["properties"] = {"$schema": {"type": "string"}, **top["properties"]}
    return {"$schema": DIALECT, "title": file, **_without_title(top), "$defs": definitions}


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _target(definitions: dict[str, Schema], reference: Schema) -> Schema:
    return definitions[_name(reference)]


def _without_title(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "title"}


def _own_keys(model: type[BaseModel], schema: Schema) -> None:
    """Pydantic names each required word by one alias only; ours are the first of several."""
    known = models.keys(model)
    schema["required"] = [word for word in schema.get("required", []) if word in known]
    if not schema["required"]:
        del schema["required"]


def _with_comments(schema: Schema) -> None:
    """Keys of comments are allowed wherever keys are checked."""
    if schema.get("additionalProperties") is False:
        schema["patternProperties"] = {COMMENTS: {}, **schema.get("patternProperties", {})}


def _guests(top: Schema, guest: Schema) -> None:
    words = top["properties"]
    if "lxc_configs" in words:
        words["lxc_configs"] |= {
            "patternProperties": {IDS: guest, COMMENTS: {}},
            "additionalProperties": False,
        }
    else:
        words["vms"] |= {"items": guest}


def _with_options(
    schema: Schema,
    refs: dict[type[BaseModel], Schema],
    guest: type[Words],
    vocabulary: Vocabulary,
) -> None:
    words: dict[str, Schema] = schema["properties"]
    names = known_features(vocabulary)
    words["features"]["items"] = {"enum": names}
    for name in names:
        if name in guest.model_fields:
            continue
        model = vocabulary.features.get(name)
        about: Schema = {"description": f"Options of the feature `{name}`."}
        if model is not None:
            words[name] = {**refs[model], **about}
        else:
            words[name] = {"type": ["object", "array"], "x-later": True, **about}
    kinds = {kind: refs[model] for kind, model in vocabulary.checks.items()}
    planned = {kind: {"type": "object"} for kind in PLANNED_CHECKS}
    words["checks"]["items"] = {
        "type": "object",
        "properties": {**planned, **kinds},
        "patternProperties": {COMMENTS: {}},
        "additionalProperties": False,
    }
    schema["required"] = ["name"] if guest is Container else ["vmid", "name"]
