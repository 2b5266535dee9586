"""What the documentation promises: generated parts are current, everything has its place, links
lead somewhere, and the commands it shows exist.
"""

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs import generate
from docs.generate.commands import every, root
from docs.generate.shapes import OTHERS, SHOWN

from phoenix_hypervisor import drivers, features
from phoenix_hypervisor.verify import checks

ROOT = Path(__file__).parent.parent.parent
LONGEST = 400
# Written in parts, so that this file doesn't hold what it looks for.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("detsohnohtyp"[::-1], "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("security", "ubuntu", "com"),
        ("images", "linuxcontainers", "org"),
        ("proxy", "golang", "org"),
    )
]
PATHS = ["/".join(parts) for parts in (("", "work", ""), ("", "tmp", "w", ""), ("", "opt", "pypi"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*\bsrc=\"([^\"]+)\"")


def _files(*patterns: str) -> list[Path]:
    """The repository's files: what Git has, and what is new and not ignored."""
    said = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = (ROOT / name for name in said.splitlines())
    return sorted({path for path in found if path.is_file()})


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


MADE = generate.generated()
MARKDOWN = _files("*.md")
MODULES = _files("src/*.py")


@pytest.mark.parametrize("path", MADE, ids=str)
def test_generated_files_are_current(path: Path) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == MADE[path], "run `make docs`"


def test_nothing_old_lies_among_the_schemas() -> None:
    assert set((ROOT / "schemas").iterdir()) <= {ROOT / path for path in MADE}


def _headings(path: Path) -> list[str]:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return re.findall(r"^#+ (.*)$", text, re.MULTILINE)


COMMANDS = dict(every(root()))


def test_every_command_is_documented() -> None:
    chapters = _headings(ROOT / "docs/commands.md")
    assert [words for words in COMMANDS if " ".join(words) not in chapters] == []
    bare = [
        words
        for words, command in COMMANDS.items()
        if not command.help
        or ("Example" not in (command.epilog or "") and not hasattr(command, "list_commands"))
    ]
    assert bare == []


def test_what_every_command_prints_as_json_is_documented() -> None:
    told = {shown.words[0] for shown in SHOWN}.union(*OTHERS)
    assert {words[0] for words in COMMANDS} - told == set()


def test_every_driver_is_documented() -> None:
    chapters = _headings(ROOT / "docs/targets.md")
    assert [name for name in drivers.available() if name not in chapters] == []


def test_every_kind_of_check_is_documented() -> None:
    chapters = _headings(ROOT / "docs/checks.md")
    assert [kind for kind in checks.available() if kind not in chapters] == []


def test_the_checks_that_are_shown_are_right() -> None:
    kinds, shown = checks.available(), set()
    for language, text in FENCE.findall((ROOT / "docs/checks.md").read_text(encoding="utf-8")):
        for spec in json.loads(f"[{text}]") if language == "json" else ():
            for kind, options in spec.items():
                kinds[kind].model_validate(options)
                shown.add(kind)
    assert shown == set(kinds)


@pytest.mark.parametrize("name", features.for_guests())
def test_every_option_of_a_feature_has_a_meaning(name: str) -> None:
    page = (ROOT / f"docs/features/{name}.md").read_text(encoding="utf-8")
    assert f"<!-- made: options {name} -->" in page
    table = page.partition("## Options")[2]
    fields = features.available()[name].options.model_fields
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", table, re.MULTILINE))
    assert {field.alias or n for n, field in fields.items()} <= set(rows)
    assert [word for word, told in rows.items() if not told.strip()] == []


@pytest.mark.parametrize("path", MODULES, ids=_relative)
def test_every_module_says_why_it_is_there(path: Path) -> None:
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert len(told.split()) > 4, f"{_relative(path)}: {told!r}"


def test_no_file_is_too_long() -> None:
    sizes = {_relative(p): p.read_text().count("\n") for p in _files("src/*.py", "tests/*.py")}
    assert {path: size for path, size in sizes.items() if size > LONGEST} == {}


def test_no_file_names_a_registry_or_this_machine() -> None:
    told = re.compile("|".join(map(re.escape, [*REGISTRIES, *PATHS])).encode())
    found = {_relative(p): told.findall(p.read_bytes()) for p in _files()}
    assert {path: words for path, words in found.items() if words} == {}


def _links(path: Path) -> Iterator[str]:
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text(encoding="utf-8")))
    for match in LINK.finditer(text):
        target = match[1] or match[2]
        if not re.match(r"[a-z]+:", target):
            yield target


def _anchors(path: Path) -> set[str]:
    """As GitHub makes them: lower case, blanks to dashes, no punctuation, doubles numbered."""
    found: list[str] = []
    for heading in _headings(path):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{slug}-{n}" if (n := found.count(slug)) else slug)
    return set(found)


@pytest.mark.parametrize("path", MARKDOWN, ids=_relative)
def test_links_lead_somewhere(path: Path) -> None:
    dead = []
    for link in _links(path):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            dead.append(link)
    assert dead == []


def _shown_commands(path: Path) -> Iterator[str]:
    """Lines of shell blocks that call `phoenix`, without their comments."""
    for language, text in FENCE.findall(path.read_text(encoding="utf-8")):
        for line in text.splitlines() if language == "sh" else ():
            for part in re.split(r"&&|;|\|", line.partition(" #")[0]):
                words = part.strip().removeprefix("$ ")
                if re.match(r"(\S*/)?phoenix\s", words):
                    yield words


@pytest.mark.parametrize("path", MARKDOWN, ids=_relative)
def test_commands_that_are_shown_exist(path: Path) -> None:
    everywhere = {word for option in root().params for word in option.opts} | {"--help"}
    unknown = []
    for line in _shown_commands(path):
        words = shlex.split(line.partition(" -- ")[0])[1:]
        plain = [word for word in words if not word.startswith("-")]
        # The command may stand behind values of global options; its own commands follow it.
        named = [c for at in range(len(plain)) for c in COMMANDS if (*plain[at:],)[: len(c)] == c]
        known = everywhere.union(*(p.opts for c in named for p in COMMANDS[c].params))
        flags = {word.partition("=")[0] for word in words if word.startswith("-")}
        alone = flags & {"--help", "--version", "--install-completion"}
        if not (named or alone) or not flags <= known:
            unknown.append(line)
    assert unknown == []


def test_the_examples_name_schemas_that_are_there() -> None:
    named = 0
    for path in _files("examples/*/phoenix_*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))["$schema"]
        assert (path.parent / schema).is_file(), f"{_relative(path)}: {schema}"
        named += 1
    assert named
