"""The site is built without a warning, asks nothing of other machines, and has no dead link."""

import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from docs.generate.site_pages import page, rewritten

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
LOADED = {
    "audio": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
}


class Page(HTMLParser):
    """What one page loads, links to, and can be linked to at."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.classes: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.loads += [found[name] for name in LOADED.get(tag, ()) if name in found]
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.classes |= set(found.get("class", "").split())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does; a warning ends that with what it says."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [ROOT / "lab" / "docs.sh", "build", folder],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_built(site: Path, pages: dict[Path, Page]) -> None:
    written = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    # As MkDocs does: a README is its folder's index.
    wanted = {p.with_name("index.html") if p.name == "README.html" else p for p in written}
    assert wanted <= {path.relative_to(site) for path in pages}


def test_nothing_comes_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    foreign = {
        (path.name, url)
        for path, found in pages.items()
        for url in found.loads
        if urlsplit(url).scheme not in {"", "data"} or url.startswith("//")
    }
    assert foreign == set()
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert [s for s in styles if re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", s)] == []
    # The theme would fetch a program to draw those.
    assert [path for path, found in pages.items() if "mermaid" in found.classes] == []


def _dead(here: Path, found: Page, pages: dict[Path, Page]) -> Iterator[str]:
    for url in [*found.links, *found.loads]:
        parts = urlsplit(url)
        if parts.scheme or parts.netloc:
            continue
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        if target.is_dir():
            target /= "index.html"
        anchor = unquote(parts.fragment)
        alive = target.is_file() and (
            not anchor or target not in pages or anchor in pages[target].anchors
        )
        if not alive:
            yield url


def test_no_link_is_dead(pages: dict[Path, Page]) -> None:
    # 404.html has the addresses of a server's root.
    dead = {p.name: [*_dead(p, f, pages)] for p, f in pages.items() if p.name != "404.html"}
    assert {name: urls for name, urls in dead.items() if urls} == {}


def test_it_can_be_searched_light_or_dark(site: Path, pages: dict[Path, Page]) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    for scheme in ("default", "slate"):
        assert f'data-md-color-scheme="{scheme}"' in text
    assert "PostgreSQL" in (site / "search" / "search_index.js").read_text(encoding="utf-8")


def test_a_link_out_of_the_documentation_leads_to_the_files_own_page() -> None:
    linked: list[Path] = []
    text = "[a](../src/phoenix_hypervisor/app) [b](commands.md#plan) [c](https://x.y/z) `[d](../x)`"
    told = rewritten(text, DOCS, DOCS, linked.append)
    assert told.startswith("[a](source/src/phoenix_hypervisor/app.md) [b](commands.md#plan) ")
    assert linked == [ROOT / "src/phoenix_hypervisor/app"]
    fenced = "```\n[a](../LICENSE)\n```"
    assert rewritten(fenced, DOCS, DOCS, linked.append) == fenced
    assert "| `session.py` | " in page(linked[0], linked.append)
