"""`python -m docs.generate`: writes all files that differ, and tells which."""

import sys

from docs.generate import ROOT, generated


def main() -> None:
    """Writes what is not current."""
    for path, text in generated().items():
        target = ROOT / path
        target.parent.mkdir(exist_ok=True)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
