import re

from phoenix_hypervisor.config.reference import markdown
from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.hypervisor import HypervisorFile
from phoenix_hypervisor.config.words.lxc import Container
from phoenix_hypervisor.config.words.vm import Machine


def test_every_word_has_a_row_with_a_meaning(vocabulary):
    text = markdown(vocabulary)
    models: tuple[type[Words], ...] = (HypervisorFile, Container, Machine)
    for model in models:
        for word in model.model_fields:
            row = re.search(rf"^\| `{word}` \| (.+) \| .* \| (.+) \|$", text, re.MULTILINE)
            assert row is not None, word
            assert row[2].strip(), word


def test_every_link_leads_to_a_chapter(vocabulary):
    text = markdown(vocabulary)
    chapters = {line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("#")}
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert len(links) > 30
    assert set(links) <= chapters


def test_words_are_marked(vocabulary):
    text = markdown(vocabulary)
    assert "| `docker` | [Docker](#docker) |  | *later* Images that Docker uses. |" in text
    assert "| `health_check` | [HealthCheck](#healthcheck) |  | *old* " in text
    assert "| `port` | whole number, 1 to 65535 | `80` | The port. |" in text
    assert "**required**" in text
