"""The JSON Schemas as files: `init` and `schema` write the same."""

import json
from pathlib import Path


def write(folder: Path) -> list[Path]:
    """Writes them into a folder, made where it is missing. Gives the files."""
    from phoenix_hypervisor import app
    from phoenix_hypervisor.config.schema import schemas

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in schemas(app.vocabulary()).items():
        path = folder / name
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        paths.append(path)
    return paths
