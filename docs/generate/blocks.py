"""Made parts in written pages: a table of options, or a file of the examples, between two marks.

A page says `<!-- made: options nginx -->`, `<!-- made: check http -->`, `<!-- made: old words -->`
or `<!-- made: file examples/x.json -->`; what stands between that and `<!-- end -->` is written
here, so that it also reads well where no site is built.
"""

import re
from os.path import relpath
from pathlib import Path
from typing import Any

from docs.generate.old import old_words

from phoenix_hypervisor import features
from phoenix_hypervisor.config.reference import options, table
from phoenix_hypervisor.verify import checks

Schemas = dict[str, dict[str, Any]]

_BLOCK = re.compile(
    r"^(?P<mark><!-- made: (?P<kind>\w+) (?P<what>\S+) -->\n).*?(?P<end>^<!-- end -->)",
    re.DOTALL | re.MULTILINE,
)
_LXC = "phoenix_lxc_configs.schema.json"
_LANGUAGES = {".json": "json", ".sql": "sql", ".py": "python", ".html": "html", ".yml": "yaml"}


def filled(text: str, page: Path, root: Path, schemas: Schemas) -> str | None:
    """The page with its made parts, None where it has none.

    `page` is its path below `root`, the repository. Raises `ValueError` for a mark that says
    nothing that is known.
    """
    definitions = schemas[_LXC]["$defs"]

    def made(match: re.Match[str]) -> str:
        kind, what = match["kind"], match["what"]
        if kind == "options":
            name = features.available()[what].options.__name__
            inside = options(name, definitions)
        elif kind == "check":
            inside = table(definitions[checks.available()[what].__name__], definitions)
        elif kind == "file":
            inside = _file(what, page, root)
        elif kind == "old":
            inside = old_words()
        else:
            raise ValueError(f"{page}: made: {kind} is not one of options, check, file, old")
        return f"{match['mark']}\n{inside}\n{match['end']}"

    result, found = _BLOCK.subn(made, text)
    return result if found else None


def _file(name: str, page: Path, root: Path) -> str:
    path = root / name
    text = path.read_text(encoding="utf-8").rstrip("\n")
    link = f"[`{name}`]({relpath(name, page.parent)})"
    return f"{link}:\n\n```{_LANGUAGES.get(path.suffix, '')}\n{text}\n```\n"
