"""A guest's features and checks: their options are read by models that others bring along."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import ValidationError

from phoenix_hypervisor.config import stacks, told
from phoenix_hypervisor.config.document import Document, Pointer
from phoenix_hypervisor.config.folder import Spot, Vocabulary
from phoenix_hypervisor.config.judge import Where, judge
from phoenix_hypervisor.config.vllm import options_of
from phoenix_hypervisor.config.words.base import is_comment, is_unset
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.config.words.vm import Machine
from phoenix_hypervisor.model.check import Check
from phoenix_hypervisor.model.desired import FeatureUse
from phoenix_hypervisor.model.feature import FeatureOptions
from phoenix_hypervisor.model.problem import Problem

PLANNED = (
    "base_setup",
    "docker",
    "nvidia",
    "ollama",
    "portainer",
    "python_api_service",
    "step_ca",
    "step_cli",
    "traefik",
    "trusted_ca",
    "vllm",
)
"""Features that the files may name; those without a model of options are not built yet."""

PLANNED_CHECKS = ("command", "http", "llm", "sql", "tcp")
"""Kinds of checks that the files may name."""


def known_features(vocabulary: Vocabulary) -> list[str]:
    """All names that may stand in `features`."""
    return sorted({*PLANNED, *vocabulary.features})


@cache
def _all_defaults(model: type[FeatureOptions]) -> FeatureOptions | None:
    """Options where none is given, one object for all guests; None where some must be given."""
    try:
        return model.model_validate({})
    except ValidationError:
        return None


def split(
    raw: Mapping[str, Any], words: type[Container | Machine], vocabulary: Vocabulary
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A guest's own words, and the options that stand beside them under features' names."""
    fields, features = words.model_fields, vocabulary.features
    own: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    for key, value in raw.items():
        named = key not in fields and (key in features or key in PLANNED)
        (beside if named else own)[key] = value
    return own, beside


@dataclass
class Options:
    """Reads the features and checks of one guest; `problems` holds what is wrong with them."""

    words: Container | Machine
    beside: Mapping[str, Any]
    spot: Spot
    vocabulary: Vocabulary
    problems: list[Problem]

    @property
    def _document(self) -> Document:
        return self.spot.document

    def features(self) -> tuple[FeatureUse, ...]:
        """The features whose options are right, in their order."""
        self.problems.extend(self._misplaced())
        uses: list[FeatureUse] = []
        seen: set[str] = set()
        for index, name in enumerate(self.words.features):
            place: Pointer = ("features", index)
            if name in seen:
                message = f"the feature `{name}` stands in the list twice"
                self.problems.append(self.spot.error(place, message, "remove one of them"))
                continue
            seen.add(name)
            model = self.vocabulary.features.get(name)
            if model is not None:
                options = self._read(name, model, place)
                if options is not None:
                    uses.append(FeatureUse(name, options))
            elif name not in PLANNED:
                known = known_features(self.vocabulary)
                hint = told.did_you_mean(name, known, f"known features: {', '.join(known)}")
                message = f"there is no feature `{name}`"
                self.problems.append(self.spot.error(place, message, hint))
        return tuple(uses)

    def _misplaced(self) -> Iterator[Problem]:
        for name, value in self.beside.items():
            if name == "vllm" and isinstance(value, list):
                message = "`vllm` holds a list, which was an old suite of tests: it is not used"
                hint = 'move it to "tests": {"vllm": […]}'
                yield self.spot.warning((name,), message, hint, key=True)
                continue
            if name in self.words.features or is_unset(value):
                continue
            message = f"options of `{name}` stand here, but `{name}` is not in `features`"
            hint = f'add "{name}" to `features`, or remove the options'
            yield self.spot.error((name,), message, hint, key=True)

    def _read(
        self, name: str, model: type[FeatureOptions], place: Pointer
    ) -> FeatureOptions | None:
        value = self.beside.get(name)
        if is_unset(value) or (name == "vllm" and isinstance(value, list)):
            value = None
        if value is not None and not isinstance(value, dict):
            message = f"`{name}` must be an object with options, but is {told.show(value, name)}"
            self.problems.append(self.spot.error((name,), message, f'write "{name}": {{ … }}'))
            return None
        given: dict[str, Any] = {
            key: inside for key, inside in (value or {}).items() if not is_unset(inside)
        }
        places: dict[str, Pointer] = {}
        if name == "vllm" and isinstance(self.words, Container):
            old, places = options_of(self.words)
            given = {**old, **given}
        if name == "docker" and isinstance(self.words, Machine):
            old, places = stacks.options_of(self.words)
            if places and "stacks" in given:
                message = "stacks stand in `docker_stacks` and in `docker.stacks`"
                problem = self.spot.error(("docker_stacks",), message, "keep one", key=True)
                self.problems.append(problem)
            given = {**old, **given}
        if value is None and not places:
            return self._without_options(name, model, place)
        judged = judge(model, given, self._document, self._where(name, places))
        self.problems.extend(judged.problems)
        return judged.model

    def _where(self, name: str, places: Mapping[str, Pointer]) -> Where:
        beside = self.beside.get(name)
        own = beside if isinstance(beside, dict) else {}

        def where(path: Pointer) -> Pointer:
            if path and path[0] in places and path[0] not in own:
                return self.spot.path(*places[str(path[0])], *path[1:])
            return self.spot.path(name, *path)

        return where

    def _without_options(
        self, name: str, model: type[FeatureOptions], place: Pointer
    ) -> FeatureOptions | None:
        if (usual := _all_defaults(model)) is not None:
            return usual
        judged = judge(model, {}, self._document, lambda _: self.spot.path(*place))
        for problem in judged.problems:
            own = problem.message.removeprefix(f"{told.name(place)}: ")
            message = f"`{name}` needs options: {own}"
            hint = f'write "{name}": {{ … }} beside `features`'
            line, column = self._document.place(self.spot.path(*place))
            self.problems.append(
                replace(problem, message=message, hint=hint, line=line, column=column)
            )
        return judged.model

    def checks(self) -> tuple[Check, ...]:
        """The checks whose options are right."""
        found = []
        for index, words in enumerate(self.words.checks):
            place: Pointer = ("checks", index)
            kinds = [key for key in words if not is_comment(key)]
            if len(kinds) != 1:
                self.problems.append(self._not_one(place, words))
                continue
            check = self._check(kinds[0], words[kinds[0]], (*place, kinds[0]))
            if check is not None:
                found.append(check)
        return tuple(found)

    def _not_one(self, place: Pointer, words: Mapping[str, Any]) -> Problem:
        message = "a check is an object with one key, its kind"
        kind = words.get("kind", words.get("type"))
        if isinstance(kind, str):
            hint = f'write {{"{kind}": {{ … }}}} and put the options inside'
        else:
            hint = 'such as {"http": {"port": 80}}'
        return self.spot.error(place, message, hint)

    def _check(self, kind: str, value: Any, place: Pointer) -> Check | None:
        model = self.vocabulary.checks.get(kind)
        if model is None:
            if kind not in PLANNED_CHECKS:
                hint = told.did_you_mean(kind, sorted({*PLANNED_CHECKS, *self.vocabulary.checks}))
                problem = self.spot.error(place, f"there is no check `{kind}`", hint, key=True)
                self.problems.append(problem)
            return None
        if not isinstance(value, dict):
            message = f"`{kind}` must be an object with options, but is {told.show(value)}"
            hint = f'such as {{"{kind}": {{ … }}}}'
            self.problems.append(self.spot.error(place, message, hint))
            return None
        judged = judge(model, value, self._document, lambda path: self.spot.path(*place, *path))
        self.problems.extend(judged.problems)
        return judged.model
