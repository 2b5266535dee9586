"""The ledger as people and programs read it."""

from dataclasses import replace

from tests.unit.plan.worlds import desired, plain, planned

from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.desired import Gpu, Host
from phoenix_hypervisor.model.gpu import Claim
from phoenix_hypervisor.model.ledger import Card
from phoenix_hypervisor.model.observed import Observed
from phoenix_hypervisor.plan.ledger import make
from phoenix_hypervisor.plan.ledger.show import as_json, lines
from phoenix_hypervisor.plan.render import text

HOST = Host(gpus=(Gpu(0, "RTX 5060 Ti", 16000), Gpu(1, "", 8000), Gpu(2, "odd [red]")))
FOLDER = desired(
    plain(101, name="chat", gpus=(0,)),
    plain(102, gpus=(0,)),
    plain(103, gpus=(0, 2)),
    host=HOST,
)
ASKED = {
    lxc(101): [Claim("vLLM Qwen2.5-7B-Instruct-AWQ", share=0.7, need_mb=8000, told="a + b")],
    lxc(102): [Claim("Ollama", memory_mb=3200)],
    lxc(103): [Claim("blind", index=(2,)), Claim("half", share=0.5, index=(2,))],
}
CARDS = make(FOLDER, ASKED).cards
TABLE = """\
Graphics cards (# what the model needs, + more, ? need not known, . the rest):
  card 0  RTX 5060 Ti  16000 MiB
    lxc/101  vLLM Qwen2.5-7B-Instruct… ##########++++......   11200 MiB     70 %
    lxc/102  Ollama                    ..............????..    3200 MiB     20 %
    lxc/103  may use it
    free                                                       1600 MiB     10 %
  card 1  8000 MiB
    nobody has it
  card 2  odd [red]  memory not known
    lxc/103  blind                                                    ?
    lxc/103  half                      ??????????..........                 50 %"""


def test_the_table() -> None:
    shown = list(lines(CARDS))
    assert "\n".join(line.rstrip() for line in shown) == TABLE
    assert max(map(len, shown)) <= 80


def test_without_unknown_needs_the_legend_has_no_question_mark() -> None:
    known = {lxc(101): ASKED[lxc(101)], lxc(103): [Claim("blind", index=(2,))]}
    first, *rest = lines(make(FOLDER, known).cards)
    assert first == "Graphics cards (# what the model needs, + more that it is given, . the rest):"
    assert [line for line in rest if "?" in line] == [line for line in rest if "blind" in line]


def test_too_much_of_a_card_stays_in_its_bar() -> None:
    over = {**ASKED, lxc(102): [Claim("Ollama", memory_mb=9600)]}
    shown = list(lines(make(FOLDER, over).cards))
    assert shown[3].split()[2:] == ["..............??????", "9600", "MiB", "60", "%"]
    assert shown[5].split() == ["too", "much", "4800", "MiB", "30", "%"]


def test_a_machine_has_all_of_it_and_long_words_are_cut() -> None:
    claim = Claim("an engine with a very long name of its own", memory_mb=123_456)
    card = Card(7, "A card with a name that is much longer than any line can be", 234_567)
    taken = make(FOLDER, {lxc(101): [claim]}).cards[0].taken
    shown = list(lines([replace(card, whole=lxc(999_999_999), taken=taken)]))
    assert "all of it for lxc/999999999" in shown[1]
    assert max(map(len, shown)) <= 100
    assert max(map(len, shown[2:])) <= 80


def test_a_plan_shows_it_literally() -> None:
    plan = planned(FOLDER, Observed(), claims=ASKED)
    shown = text(plan)
    assert r"card 2  odd \[red]  memory not known" in shown
    assert "lxc/101  vLLM Qwen2.5-7B-Instruct…" in shown


def test_as_json() -> None:
    first = as_json(CARDS)[0]
    assert first == {
        "index": 0,
        "name": "RTX 5060 Ti",
        "memory_mb": 16000,
        "taken_mb": 14400,
        "free_mb": 1600,
        "share": 0.9,
        "vm": None,
        "guests": ["lxc/101", "lxc/102", "lxc/103"],
        "claims": [
            {
                "address": "lxc/101",
                "name": "chat",
                "what": "vLLM Qwen2.5-7B-Instruct-AWQ",
                "cards": 1,
                "share": 0.7,
                "memory_mb": 11200,
                "need_mb": 8000,
                "told": "a + b",
            },
            {
                "address": "lxc/102",
                "name": "g102",
                "what": "Ollama",
                "cards": 1,
                "share": None,
                "memory_mb": 3200,
                "need_mb": None,
                "told": "",
            },
        ],
    }
    assert as_json(CARDS)[2]["free_mb"] is None
