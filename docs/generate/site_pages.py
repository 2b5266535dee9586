"""The site shows the files of the repository that its pages link to, so that it needs no server.

A hook of MkDocs: each link that leads out of docs/ gets a page below source/, with the file's text
or the folder's list. `make docs` runs it, in .venv-docs.
"""

import ast
import re
from collections.abc import Callable
from os.path import relpath
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
_DOCS = ROOT / "docs"
_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?P<after>\))")
_FENCE = re.compile(r"^(```+)\w*\n.*?^\1$", re.MULTILINE | re.DOTALL)
_LANGUAGES = {".py": "python", ".json": "json", ".sh": "bash", ".sql": "sql", ".toml": "toml"}
_HEAD = "---\nsearch:\n  exclude: true\n---\n"


def on_files(files: Any, config: Any) -> Any:
    """Adds a page for each linked file or folder, also for those that such pages link to."""
    from mkdocs.structure.files import File  # type: ignore[import-not-found]

    waiting: list[Path] = []
    for file in files.documentation_pages():
        path = Path(file.abs_src_path)
        rewritten(path.read_text(encoding="utf-8"), path.parent, path.parent, waiting.append)
    done: set[Path] = set()
    while waiting:
        source = waiting.pop()
        if source not in done:
            done.add(source)
            text = page(source, waiting.append)
            name = str(_page_of(source).relative_to(_DOCS))
            files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leads the links of the written pages to those pages."""
    if page.file.generated_by:
        return markdown
    here = Path(page.file.abs_src_path).parent
    return rewritten(markdown, here, here, lambda _: None)


def page(source: Path, linked: Callable[[Path], None]) -> str:
    """The Markdown of one file's or folder's page; `linked` takes what it links to."""
    name = source.relative_to(ROOT)
    if source.is_dir():
        return f"{_HEAD}# {name}/\n\n{_listed(source)}\n"
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".md":
        return _HEAD + rewritten(text, source.parent, _page_of(source).parent, linked)
    language = _LANGUAGES.get(source.suffix, "text")
    return f"{_HEAD}# {name.name}\n\n`{name}`\n\n~~~~{language}\n{text}\n~~~~\n"


def rewritten(text: str, source: Path, page: Path, linked: Callable[[Path], None]) -> str:
    """The text with the links of `source` (a folder) as links of a page in the folder `page`.

    Code stays as it is. A link out of docs/ leads to the page of that file, which `linked` gets.
    """

    def moved(match: re.Match[str]) -> str:
        target = (source / match["target"]).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            return match[0]
        if not target.is_relative_to(_DOCS):
            linked(target)
            target = _page_of(target)
        elif target.is_dir():
            target /= "README.md"
        elif target.suffix == ".py":
            linked(target)
            target = _page_of(target)
        return f"{match['before']}{relpath(target, page)}{match['anchor'] or ''}{match['after']}"

    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(moved, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(moved, text[end:])])


def _page_of(source: Path) -> Path:
    return _DOCS / "source" / f"{source.relative_to(ROOT)}.md"


def _listed(folder: Path) -> str:
    rows = [
        f"| `{path.name}{'/' if path.is_dir() else ''}` | {_told(path)} |"
        for path in sorted(folder.iterdir())
        if not path.name.startswith((".", "__"))
    ]
    return "\n".join(["| file | |", "|---|---|", *rows])


def _told(path: Path) -> str:
    """The first line of a module's own description."""
    if path.suffix != ".py":
        return ""
    described = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return described.partition("\n")[0].replace("|", "\\|")
