"""The proof behind `make up`: adds a project through the page's API, and asks the model about it.

Usage: python3 prove.py [URL]; without one, the web server's address is read from the files beside
it. Prints one line that begins with `verified:`, or what is wrong, and then exits with 1. Needs
nothing but Python.
"""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PROJECT = {
    "title": "Lighthouse",
    "summary": "A lighthouse keeper's log: a solar panel, a tide gauge and an e-paper display, "
    "written in Rust on a microcontroller that sleeps between the waves.",
    "tags": ["rust", "embedded"],
}
QUESTION = "What does the lighthouse keeper's log run on?"
_LIMIT_S = 60.0
_CONFLICT = 409


def page() -> str:
    """Where the files say that the web server is."""
    text = Path(__file__).with_name("phoenix_lxc_configs.json").read_text(encoding="utf-8")
    guests = json.loads(text)["lxc_configs"].values()
    network = next(guest["network_config"] for guest in guests if guest["name"] == "web")
    return "http://" + str(network["ip"]).partition("/")[0]


def ask(url: str, body: object = None) -> Any:
    """A request's JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 - the caller's own
    with urllib.request.urlopen(request, timeout=_LIMIT_S) as reply:  # noqa: S310 - as above
        return json.load(reply)


def project(base: str) -> int:
    """Adds the project, or finds the one of an earlier run; its id."""
    try:
        return int(ask(f"{base}/api/projects", PROJECT)["id"])
    except urllib.error.HTTPError as error:
        if error.code != _CONFLICT:
            raise
    found = ask(f"{base}/api/projects?q=%22lighthouse%20keeper%22")["projects"]
    ids = [each["id"] for each in found if each["title"] == PROJECT["title"]]
    if not ids:
        raise ValueError(f"a project of the title {PROJECT['title']!r} is there, but not found")
    return int(ids[0])


def prove(base: str) -> str:
    """One line on a real answer. Raises `ValueError` where it isn't one."""
    added = project(base)
    answer = ask(f"{base}/api/ask", {"question": QUESTION})
    sources = [source["id"] for source in answer["sources"]]
    if added not in sources:
        raise ValueError(f"the project that was added is not among the sources: {answer}")
    if not answer["answer"] or not answer["tokens"]:
        raise ValueError(f"the answer is empty: {answer}")
    cited = "1 source" if len(sources) == 1 else f"{len(sources)} sources"
    return f"verified: {answer['tokens']} tokens in {answer['seconds']:.1f} s, {cited} cited"


if __name__ == "__main__":
    try:
        line = prove(sys.argv[1].rstrip("/") if sys.argv[1:] else page())
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"not verified: {error}")
    sys.stdout.write(line + "\n")
