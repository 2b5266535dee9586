from typing import Annotated, Any

from pydantic import AfterValidator, Field

from phoenix_hypervisor.config.document import Document
from phoenix_hypervisor.config.judge import Judged, judge
from phoenix_hypervisor.config.words.base import Words


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


class Part(Words):
    name: str = Field(description="The part's name.")
    size: int = Field(1, ge=1)


class Whole(Words):
    parts: list[Part] = Field(default_factory=list)
    sizes: list[Annotated[int, AfterValidator(_even)]] = Field(default_factory=list)
    either: int | list[int] | None = None
    title: str = Field("none", description="A title.")


def _judged(value: dict[str, Any]) -> Judged[Whole]:
    document = Document("x.json")
    return judge(Whole, value, document, lambda path: ("top", *path))


def test_what_is_wrong_is_left_out_and_all_else_kept():
    value = {
        "parts": [{"name": "a", "size": 0}, {"size": 2}, {"name": "c"}, {"nam": "d"}],
        "sizes": [1, 2, 3, 4],
        "titel": "t",
        "title": 5,
    }
    judged = _judged(value)
    assert judged.model is not None
    assert [part.name for part in judged.model.parts] == ["a", "c"]
    assert judged.model.parts[0].size == 1
    assert judged.model.sizes == [2, 4]
    assert judged.model.title == "none"
    assert judged.original(("parts", 1, "name")) == ("parts", 2, "name")
    assert [judged.original(("sizes", index))[1] for index in (0, 1)] == [1, 3]
    assert sorted((p.pointer, p.message, p.hint) for p in judged.problems) == [
        ("/top/parts/0/size", "`size` must be at least 1, but is 0", "write 1 or more"),
        ("/top/parts/1", "`name` is missing", "The part's name."),
        ("/top/parts/3", "`name` is missing", "The part's name."),
        ("/top/parts/3/nam", "`nam` is not a known word here", "did you mean `name`?"),
        ("/top/sizes/0", "entry 1 of `sizes` must be even", ""),
        ("/top/sizes/2", "entry 3 of `sizes` must be even", ""),
        ("/top/titel", "`titel` is not a known word here", "did you mean `title`?"),
        ("/top/title", "`title` must be text in double quotes, but is 5", 'write "5"'),
    ]
    assert value["title"] == 5  # the values themselves stay as they are


def test_the_branches_of_a_union_are_one_problem():
    judged = _judged({"either": "x"})
    assert len(judged.problems) == 1
    assert judged.problems[0].pointer == "/top/either"
    assert "a whole number" in judged.problems[0].message
    assert "a list" in judged.problems[0].message


def test_comments_are_no_problem_anywhere():
    judged = _judged({"_": 1, "x-y": {}, "parts": [{"name": "a", "_why": "b"}]})
    assert judged.problems == []
    assert judged.model is not None
