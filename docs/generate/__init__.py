"""What is made from the code: references, tables in written pages, schemas.

`make docs` writes it; a test says that it is current. `generated` is the whole of it.
"""

import json
from pathlib import Path

from docs.generate.blocks import filled
from docs.generate.commands import commands
from docs.generate.errors import errors
from docs.generate.shapes import SHOWN, shapes

from phoenix_hypervisor import app
from phoenix_hypervisor.config.reference import markdown
from phoenix_hypervisor.config.schema import schemas

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"


def generated() -> dict[Path, str]:
    """Each generated file, relative to the root of the repository, with its content."""
    vocabulary = app.vocabulary()
    all_schemas = schemas(vocabulary)
    found = {
        Path("docs/configuration.md"): markdown(vocabulary),
        Path("docs/commands.md"): commands({shown.title for shown in SHOWN}),
        Path("docs/errors.md"): errors(ROOT),
        Path("docs/json.md"): shapes(ROOT),
    }
    for path in sorted(DOCS.rglob("*.md")):
        name = path.relative_to(ROOT)
        text = path.read_text(encoding="utf-8")
        if name not in found and (made := filled(text, name, ROOT, all_schemas)) is not None:
            found[name] = made
    for file, schema in all_schemas.items():
        # The same as `phoenix schema --out schemas` writes.
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        found[Path("schemas") / file] = text
    return found
