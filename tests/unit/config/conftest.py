"""A small vocabulary of features and checks, so that these tests need no real ones."""

from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import BeforeValidator, Field

from phoenix_hypervisor.config.load import Vocabulary
from phoenix_hypervisor.model.check import Check, Outcome, Place
from phoenix_hypervisor.model.feature import FeatureOptions, InFolder
from phoenix_hypervisor.model.secret import Secret


class BaseSetup(FeatureOptions):
    packages: tuple[str, ...] = Field((), description="Packages to install.")


class Site(FeatureOptions):
    name: Annotated[str, InFolder("sites", "folder")] = Field(description="Folder below sites/.")
    host: str | None = Field(None, description="Its host name.")


def _site(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class Nginx(FeatureOptions):
    sites: tuple[Annotated[Site, BeforeValidator(_site)], ...] = Field((), description="Sites.")
    port: int = Field(80, ge=1, le=65535, description="The port.")
    headers: dict[str, str] = Field({}, description="Response headers.")


class Role(FeatureOptions):
    name: str = Field(description="The role's name.")
    password: Secret = Field(description="Its password.")


class Postgresql(FeatureOptions):
    version: int = Field(description="The major version.", ge=13, le=18)
    roles: tuple[Role, ...] = Field((), description="Roles.")


class Vllm(FeatureOptions, extra="allow"):
    model: str = Field(description="The model.")
    port: int = Field(8000, ge=1, le=65535, description="The API's port.")
    dtype: str = Field("auto", description="The type of the weights.")
    max_model_len: int | None = Field(None, ge=1, description="Longest context.")
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1, description="Part of the memory.")


class Http(Check):
    kind: ClassVar[str] = "http"
    port: int = Field(80, ge=1, le=65535)
    path: str = "/"

    def describe(self) -> str:
        return f"http :{self.port}{self.path}"

    async def ask(self, place: Place) -> Outcome:
        return Outcome(ok=True, message="")


class Command(Check):
    kind: ClassVar[str] = "command"
    source: Literal["inside"] = Field("inside", alias="from")
    command: str = Field(min_length=1)

    def describe(self) -> str:
        return f"command {self.command}"

    async def ask(self, place: Place) -> Outcome:
        return Outcome(ok=True, message="")


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    features: dict[str, type[FeatureOptions]] = {
        "base_setup": BaseSetup,
        "nginx": Nginx,
        "postgresql": Postgresql,
        "vllm": Vllm,
    }
    checks: dict[str, type[Check]] = {"http": Http, "command": Command}
    return Vocabulary(features, checks, keeps={"postgresql": "its databases"})
