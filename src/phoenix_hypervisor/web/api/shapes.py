"""What the API takes and gives, for its OpenAPI."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

Kind = Annotated[Literal["lxc", "vm"], Path(description="A container or a virtual machine.")]
Ident = Annotated[int, Path(ge=1, le=999_999_999, description="The guest's id.")]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[list[Word], Query(max_length=500, description="Addresses, ids or names.")]
Document = dict[str, Any]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ToApply(_Body):
    """Exactly the plan that is to be applied, as `GET /plan` gave it."""

    plan: Document
    allow_destructive: list[Word] = Field(
        default_factory=list, max_length=500, description="Guests that may lose data in this apply."
    )
    parallel: int = Field(4, ge=1, le=64, description="Steps at once.")


class ToCheck(_Body):
    """Guests whose checks are to be asked; none: all."""

    guests: list[Word] = Field(default_factory=list, max_length=500)


class ToChat(_Body):
    """A question to a model of a guest; model null: the first one there."""

    guest: Annotated[str, Field(pattern=r"^(lxc|vm)/[1-9][0-9]{0,8}$")]
    model: Word | None = None
    question: Annotated[str, Field(min_length=1, max_length=8000)]
    most_tokens: int = Field(512, ge=1, le=8192)


class ToSnapshot(_Body):
    """The snapshot's name; null: one made from the time of day."""

    name: Annotated[str, Field(min_length=2, max_length=40)] | None = None


class Begun(BaseModel):
    """A job that works now."""

    job: str
    events: str = Field(description="Where its events come from (text/event-stream).")


class Problem(BaseModel):
    """What went wrong, and how to mend it."""

    error: str
    hint: str = ""


class Me(BaseModel):
    """Who asks. `csrf` is to be sent with every unsafe request, as `X-CSRF-Token`."""

    who: str
    role: Literal["act", "read"]
    csrf: str
