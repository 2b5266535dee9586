"""Routes for model servers: what the words become, and that the page about them shows good ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.app.opening import vocabulary
from phoenix_hypervisor.app.secret_uses import uses
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.config.words.routes import Route as RouteWords
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import Route, RouteAuth
from phoenix_hypervisor.model.route import RateLimit
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import Engine, LlmRoute, ServedModel

PAGE = Path(__file__).parents[3] / "docs/how-to/serve-an-llm.md"
KEYS = {"keys": {"ada": {"secret": "ADA"}, "bob": {"secret": "BOB"}}}
KEYED = RouteAuth("keys", None, None, (("ada", Secret(name="ADA")), ("bob", Secret(name="BOB"))))
HERE = (address.lxc(102),)


def folder(path: Path, *routes: dict[str, Any]) -> Path:
    guest = {"template": "debian-13-standard", "memory_mb": 512, "features": ["llamacpp"]}
    guest["llamacpp"] = {"model": {"path": "/srv/a.gguf"}}
    guests = {
        "101": guest | {"name": "other"},
        "102": guest | {"name": "llm", "routes": list(routes)},
    }
    (path / "phoenix_lxc_configs.json").write_text(json.dumps({"lxc_configs": guests}))
    return path


@pytest.mark.parametrize(
    ("words", "route"),
    [
        ({"llm": True}, Route(None, "/v1", None, llm=LlmRoute(HERE))),
        ({"path": "/", "llm": {}}, Route(None, "/", None, llm=LlmRoute(HERE))),
        ({"port": 80, "llm": False}, Route(None, "/", 80)),
        (
            {"llm": {"guests": ["101", 101, 102], "timeout_s": 9, "max_body_mb": 1}},
            Route(None, "/v1", None, llm=LlmRoute((address.lxc(101), *HERE), None, 9, 1)),
        ),
        (
            {
                "port": 9000,
                "llm": {
                    "models": ["a", {"name": "b", "kind": "rerank"}],
                    "engine_path": "/x",
                    "api_key": {"secret": "K"},
                },
            },
            Route(
                None,
                "/v1",
                9000,
                llm=LlmRoute(
                    (),
                    Engine(
                        "",
                        9000,
                        (ServedModel("a"), ServedModel("b", "rerank")),
                        Secret(name="K"),
                        "/x",
                    ),
                ),
            ),
        ),
        (
            {"port": 80, "auth": KEYS, "rate_limit": {"requests": 5}},
            Route(None, "/", 80, KEYED, RateLimit(5, "minute", 5, "key")),
        ),
        (
            {"port": 80, "rate_limit": {"requests": 5, "per": "second", "burst": 2}},
            Route(None, "/", 80, None, RateLimit(5, "second", 2, "address")),
        ),
    ],
)
def test_words_become_routes(tmp_path: Path, words: dict[str, Any], route: Route) -> None:
    desired = load(folder(tmp_path, words), vocabulary(), on="sim").desired
    assert desired is not None
    assert desired.guests[address.lxc(102)].routes == (route,)


def test_keys_are_passwords_that_the_stack_sets_and_others_are_not(tmp_path: Path) -> None:
    own = {"port": 9000, "llm": {"models": ["a"], "api_key": {"secret": "K"}}, "auth": KEYS}
    found = uses(folder(tmp_path, own), "sim")
    assert [found.no_random(name) for name in ("ADA", "BOB")] == ["", ""]
    assert found.no_random("K")


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL))
def test_the_pages_examples_are_right(block: str) -> None:
    read = json.loads(f"{{{block}}}")["routes"] if block.startswith('"') else [json.loads(block)]
    assert all(RouteWords.model_validate(each).llm is not None for each in read)
