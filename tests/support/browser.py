"""A real browser for tests of pages."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Playwright

_PROGRAM = Path("/usr/bin/chromium")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


# Chromium gives up requests when network cards come and go, as those of the containers that other
# tests make. A page that needed one shows its words later or not at all, which is looked at.
_NOT_THE_PAGE_S = "net::ERR_NETWORK_CHANGED"


def is_wrong(message: ConsoleMessage, *kinds: str) -> bool:
    """Whether a page complains, by a message of one of these kinds."""
    return message.type in kinds and _NOT_THE_PAGE_S not in message.text


def launch(play: Playwright) -> Browser:
    """Chromium without a window. Only where nobody could install it, the test is skipped."""
    if not _PROGRAM.exists() and os.geteuid() != 0:
        pytest.skip(f"there is no {_PROGRAM}, and without root it can't be installed")
    return play.chromium.launch(executable_path=_PROGRAM, args=list(_FLAGS))
