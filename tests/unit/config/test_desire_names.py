"""Words on names and certificates become what the DNS server and the authority are told."""

from pathlib import Path

from phoenix_hypervisor.config.load import Vocabulary, load
from phoenix_hypervisor.model.host.names import AuthorityNames, DnsServer, Names, Record

GOOD = Path(__file__).parent / "good"


def names(folder: str, vocabulary: Vocabulary) -> Names:
    desired = load(GOOD / folder, vocabulary).desired
    assert desired is not None
    return desired.host.setup.names


def test_zones_records_and_the_machines_own(vocabulary: Vocabulary) -> None:
    found = names("names", vocabulary)
    assert found.dns == DnsServer(("9.9.9.9",), ("plain.test", "lab.example"))
    assert found.zones == ("plain.test", "lab.example")
    assert found.records == (
        Record("www.lab.example", "10.10.0.5"),
        Record("lab.example", "10.10.0.6"),
        Record("*.apps.lab.example", "10.10.0.7"),
        Record("chat.home.test", "10.10.0.21"),
        Record("files.lab.example", "10.10.0.30"),
    )
    assert found.authority == AuthorityNames("Lab CA", "ca.lab.example", "me@lab")


def test_nothing_asked_is_nothing_wanted(vocabulary: Vocabulary) -> None:
    assert names("new-words", vocabulary) == Names()


def test_old_files(vocabulary: Vocabulary) -> None:
    found = names("old-layout/etc", vocabulary)
    assert found.dns == DnsServer(("9.9.9.9", "1.1.1.1"))
    assert found.authority.root == "Halcyon CA"
