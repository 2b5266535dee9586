"""Runs uv with the settings of the guest's pip; runs in a guest, with nothing but Python's library.

uv reads no pip.conf. Where a guest is told to take its packages from a mirror, from a folder or
through a proxy, uv must do the same. Sources: `pip config list`, and uv's documentation
(Environment variables). Called as `run_uv.py UV ARGUMENTS…` by a Python that has pip.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

_LISTS = {
    "extra-index-url": "UV_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "constraint": "UV_CONSTRAINT",
}
"""Settings that hold several values, as words; uv wants them as words too."""


def settings(listed: str) -> dict[str, str]:
    """What pip is told, of lines such as `global.index-url='https://…'`; the environment wins."""
    found: dict[str, str] = {}
    of_environment: dict[str, str] = {}
    for line in listed.splitlines():
        where, _, value = line.partition("=")
        level, _, name = where.strip().rpartition(".")
        if not value or not level:
            continue
        try:
            text = str(ast.literal_eval(value.strip()))
        except (ValueError, SyntaxError):
            continue
        if level in {"global", "install"}:
            found[name] = text
        elif level == ":env:":
            of_environment[name] = text
    return found | of_environment


def variables(pip: Mapping[str, str]) -> dict[str, str]:
    """The environment that tells uv the same."""
    said = {name: " ".join(pip[key].split()) for key, name in _LISTS.items() if pip.get(key)}
    if pip.get("index-url"):
        said["UV_DEFAULT_INDEX"] = pip["index-url"]
    if pip.get("find-links"):
        said["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
    if pip.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        said["UV_NO_INDEX"] = "1"
    if pip.get("cert"):
        said["SSL_CERT_FILE"] = pip["cert"]
    if pip.get("proxy"):
        said |= {"HTTP_PROXY": pip["proxy"], "HTTPS_PROXY": pip["proxy"]}
    if "UV_INDEX" in said:  # pip takes the best version of all indexes, uv else the first index'
        said["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return said


if __name__ == "__main__":
    told = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    os.execve(sys.argv[1], sys.argv[1:], {**os.environ, **variables(settings(told))})  # noqa: S606
