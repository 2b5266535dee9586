"""The example of `docker`, applied for real: a back end in a container inside a container, made
in the guest of its own distribution, with its database in another guest.
"""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.stack import HYPERVISOR, ROOT, Stack, copy_of, environ_secrets
from tests.support import lab

pytestmark = [pytest.mark.incus, pytest.mark.long, pytest.mark.usefixtures("incus_daemon")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, incus_daemon: None) -> Iterator[Stack]:
    corner = lab.Lab("u")
    source = tmp_path_factory.mktemp("docker") / "source"
    shutil.copytree(ROOT / "examples/features/docker", source)
    pools = {corner.name: {"size_gb": 16}}
    (source / HYPERVISOR).write_text(json.dumps({"hypervisor": {"pools": pools}}))
    replaced = {
        "10.98.70": corner.subnet(),
        "phxexample": corner.name,
        "phoenix-example": corner.name,
    }
    made = copy_of(source, source.with_name("folder"), corner, replaced)
    environ_secrets(made.folder, ORDERS_PASSWORD="cheese $5 'n' \\wine")
    try:
        done = made.run("apply", "--yes", limit_s=900)
        assert done.returncode == 0, done.stdout + done.stderr
        yield made
    finally:
        lab.clear(corner.name)


def _ask(stack: Stack, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"http://{stack.lab.subnet()}.62:8000{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def _main(stack: Stack) -> Path:
    return stack.folder / "stacks/orders/api/main.py"


def test_orders_go_in_and_out(stack: Stack) -> None:
    assert _ask(stack, "/health") == {"database": "ok"}
    _ask(stack, "/orders", {"item": "graphics card", "quantity": 2})
    assert _ask(stack, "/orders") == [{"item": "graphics card", "quantity": 2}]


def test_a_second_apply_changes_nothing(stack: Stack) -> None:
    assert stack.changes() == []


def test_changed_source_makes_another_image(stack: Stack) -> None:
    text = _main(stack).read_text()
    _main(stack).write_text(text.replace('{"database": "ok"}', '{"database": "ok", "v": "2"}'))
    assert stack.changes() == [("lxc/252", "configure", "live")]
    stack.ok("apply", "--yes")
    assert _ask(stack, "/health") == {"database": "ok", "v": "2"}
    assert _ask(stack, "/orders") == [{"item": "graphics card", "quantity": 2}]


def test_source_that_does_not_start_is_told_and_taken_back(stack: Stack) -> None:
    text = _main(stack).read_text()
    _main(stack).write_text("import there_is_no_such_module\n" + text)
    done = stack.run("apply", "--yes")
    assert done.returncode == 1
    assert "there_is_no_such_module" in done.stdout + done.stderr
    assert _ask(stack, "/health") == {"database": "ok", "v": "2"}
    _main(stack).write_text(text)
    stack.ok("apply", "--yes")
    assert stack.changes() == []
