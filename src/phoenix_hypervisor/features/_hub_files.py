"""Asks a model hub which files a model has; runs in a guest, with nothing but Python's library.

`_hub.py` hands it `{"url", "token"}` as JSON on standard input. It prints one JSON object: the
hub's own answer cut down to `commit` and `files` (name, size, sha256 or null), or `error`.
Source: the Hugging Face Hub API, `GET /api/models/{repo}/revision/{revision}?blobs=true`.
"""

import http.client
import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

TRIES = 4
TIMEOUT_S = 30.0
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOLD = {
    401: "it is not there, or not open to all: check the name, or give a token",
    403: "the token may not see it: accept the model's terms on the hub",
    404: "there is no such model, or no such revision of it",
}


def ask(url: str, token: str | None, pause: Any = time.sleep) -> dict[str, Any]:
    """What is printed."""
    request = urllib.request.Request(url)  # noqa: S310 - the options allow http(s) only
    request.add_header("User-Agent", "phoenix")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    why = ""
    for number in range(TRIES):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
                return cut(json.load(reply))
        except urllib.error.HTTPError as error:
            why = f"the hub answered {error.code} {error.reason}"
            if error.code not in _AGAIN:
                return {"error": ": ".join(filter(None, (why, _TOLD.get(error.code))))}
        except (OSError, http.client.HTTPException) as error:
            why = str(getattr(error, "reason", error)) or type(error).__name__
        except (ValueError, KeyError, TypeError):
            return {"error": "its answer is not that of a model hub"}
        if number + 1 < TRIES:
            pause(2.0**number)
    return {"error": f"{why} (tried {TRIES} times)"}


def cut(answer: dict[str, Any]) -> dict[str, Any]:
    """The part that is needed. Raises `KeyError` or `TypeError` for another kind of answer."""
    files = [
        [file["rfilename"], int(file.get("size") or 0), (file.get("lfs") or {}).get("sha256")]
        for file in answer["siblings"]
    ]
    return {"commit": str(answer["sha"]), "files": files}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    sys.stdout.write(json.dumps(ask(asked["url"], asked.get("token"))) + "\n")
