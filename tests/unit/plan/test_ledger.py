"""The ledger of graphics cards: what can't be is refused with its sum, what can be is not."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.unit.plan.worlds import complete, desired, plain, planned

from phoenix_hypervisor.model.address import Address, lxc, vm
from phoenix_hypervisor.model.desired import Desired, Gpu, Guest, Host, PciDevice
from phoenix_hypervisor.model.gpu import Claim
from phoenix_hypervisor.model.llm_memory import LLAMA_CPP_RUNTIME_MB, estimate
from phoenix_hypervisor.plan.as_json import dump, load, refuse_if_moved
from phoenix_hypervisor.plan.ledger import Ledger, make

# An RTX 5060 Ti of 16 GB, as its driver tells it.
SIZE = 16311
TWO = (
    Gpu(0, "RTX 5060 Ti", SIZE, "0000:01:00.0", "gpu0"),
    Gpu(1, "RTX 5060 Ti", SIZE, "0000:02:00.0", "gpu1"),
)
Asked = Mapping[Address, Sequence[Claim]]


def container(number: int, *cards: int, **words: Any) -> Guest:
    return plain(number, gpus=cards, **words)


def machine(number: int, *devices: PciDevice) -> Guest:
    return plain(number, address=vm(number), kind="vm", pci=devices)


def vllm(model: str, share: float, cards: int = 1, **how: Any) -> Claim:
    found = estimate(model, cards=cards, **how)
    name = f"vLLM {model.rpartition('/')[2]}"
    return Claim(name, cards, share, need_mb=found.per_card_mb, told=found.told)


def llamacpp(model: str, **how: Any) -> Claim:
    found = estimate(model, runtime_mb=LLAMA_CPP_RUNTIME_MB, **how)
    return Claim(f"llama.cpp {model}", need_mb=found.per_card_mb, told=found.told)


def ledger(*guests: Guest, gpus: Sequence[Gpu] | None = TWO, **asked: Sequence[Claim]) -> Ledger:
    """`g101=[…]` are what lxc/101 (or vm/101) asks for."""
    by_id = {guest.id: guest.address for guest in guests}
    return make(folder(*guests, gpus=gpus), {by_id[int(k[1:])]: c for k, c in asked.items()})


def folder(*guests: Guest, gpus: Sequence[Gpu] | None = TWO) -> Desired:
    return desired(*guests, host=Host(gpus=None if gpus is None else tuple(gpus)))


CHAT = vllm("Qwen/Qwen2.5-7B-Instruct-AWQ", 0.7, context=32768)
EMBED = vllm("Qwen/Qwen3-Embedding-0.6B", 0.2, context=8192)
HALF = Claim("vLLM half", share=0.5)


def test_the_two_card_layout_of_a_home_server_is_accepted() -> None:
    found = ledger(
        container(101, 0),
        container(102, 0),
        container(103, 1),
        container(104, 1),
        g101=[CHAT],
        g102=[EMBED],
        g103=[Claim("Ollama qwen3:8b", memory_mb=7000, need_mb=6459)],
        g104=[llamacpp("Qwen2.5-3B-Instruct-Q4_K_M.gguf", context=8192)],
    )
    assert found.refusals == ()
    assert found.notes == ()
    first, second = found.cards
    assert [one.mb for one in first.taken] == [11417, 3262]
    assert first.free_mb == SIZE - 11417 - 3262
    assert second.taken_mb == 7000 + (found.cards[1].taken[1].mb or 0)
    assert second.guests == ("lxc/103", "lxc/104")


WRONG: Mapping[str, tuple[Ledger, str, str]] = {
    "two shares of one card": (
        ledger(container(101, 0), container(102, 0), g101=[CHAT], g102=[HALF]),
        "lxc/102",
        "card 0 (RTX 5060 Ti): more is claimed than it has: "
        "11417 MiB (70 %, lxc/101, vLLM Qwen2.5-7B-Instruct-AWQ) + "
        "8155 MiB (50 %, lxc/102, vLLM half) = 19572 MiB of 16311 MiB (120 %)",
    ),
    "a share and MiB": (
        ledger(
            container(101, 0),
            container(102, 0),
            g101=[CHAT],
            g102=[Claim("Ollama", memory_mb=5000)],
        ),
        "lxc/102",
        "= 16417 MiB of 16311 MiB (100.6 %)",
    ),
    "three in MiB": (
        ledger(
            *(container(n, 1) for n in (101, 102, 103)),
            g101=[Claim("a", memory_mb=6000)],
            g102=[Claim("b", memory_mb=6000)],
            g103=[Claim("c", memory_mb=6000)],
        ),
        "lxc/103",
        "6000 MiB (lxc/101, a) + 6000 MiB (lxc/102, b) + 6000 MiB (lxc/103, c) "
        "= 18000 MiB of 16311 MiB (110.4 %)",
    ),
    "two engines in one guest": (
        ledger(container(101, 0), g101=[HALF, vllm("Qwen/Qwen3-4B", 0.6)]),
        "lxc/101",
        "8155 MiB (50 %, lxc/101, vLLM half) + 9786 MiB (60 %, lxc/101, vLLM Qwen3-4B) "
        "= 17941 MiB of 16311 MiB (110 %)",
    ),
    "tensor parallelism over more cards than assigned": (
        ledger(container(101, 0), g101=[vllm("Qwen/Qwen3-14B", 0.9, cards=2)]),
        "lxc/101",
        "vLLM Qwen3-14B spreads over 2 graphics cards (tensor parallelism), "
        "and the guest has 1 (0): 2 > 1",
    ),
    "a card twice is no second card": (
        ledger(container(101, 1, 1), g101=[Claim("vLLM x", 2, 0.9)]),
        "lxc/101",
        "and the guest has 1 (1): 2 > 1",
    ),
    "tensor parallelism over fewer cards than it names": (
        ledger(container(101, 0, 1), g101=[Claim("vLLM x", 2, 0.9, index=(1,))]),
        "lxc/101",
        "and names 1 (1): 2 > 1",
    ),
    "a card that the guest does not have": (
        ledger(container(101, 0), g101=[Claim("Ollama", share=0.5, index=(1,))]),
        "lxc/101",
        "Ollama asks for card 1, and the guest has only 0",
    ),
    "no card at all": (
        ledger(container(101), g101=[CHAT]),
        "lxc/101",
        "vLLM Qwen2.5-7B-Instruct-AWQ asks for 1 graphics card, and the guest has 0",
    ),
    "no card for a model on two": (
        ledger(container(101), g101=[vllm("Qwen/Qwen3-14B", 0.9, cards=2)]),
        "lxc/101",
        "asks for 2 graphics cards, and the guest has 0",
    ),
    "a model larger than the card": (
        ledger(container(101, 0), g101=[vllm("Qwen/Qwen3-8B", 0.95, context=8192)]),
        "lxc/101",
        "vLLM Qwen3-8B needs 17799 MiB (17.4 GiB), and card 0 (RTX 5060 Ti) has 16311 MiB "
        "(15.9 GiB): 8.2 G parameters x 16 bits = 15.3 GiB + "
        "KV 2 x 36 x 8 x 128 x 2 B x 8192 = 1.1 GiB + 1.0 GiB runtime = 17.4 GiB",
    ),
    "a model larger than its share": (
        ledger(
            container(101, 0),
            g101=[vllm("Qwen/Qwen2.5-7B-Instruct-AWQ", 0.4, context=32768)],
        ),
        "lxc/101",
        "needs 8129 MiB (7.9 GiB), and is given 40 % of 16311 MiB = 6524 MiB (6.4 GiB) of card 0 "
        "(RTX 5060 Ti): 6.5 G parameters x 4.16 bits + 1.1 G x 16 bits = 5.2 GiB",
    ),
    "a model larger than its MiB": (
        ledger(container(101, 0), g101=[Claim("Ollama", memory_mb=4096, need_mb=6459)]),
        "lxc/101",
        "Ollama needs 6459 MiB (6.3 GiB), and is given 4096 MiB (4.0 GiB) of card 0",
    ),
    "a context too long": (
        ledger(container(101, 0), g101=[vllm("qwen2.5-7b-awq", 0.9, context=262144)]),
        "lxc/101",
        "KV 2 x 28 x 4 x 128 x 2 B x 262144 = 14.0 GiB",
    ),
    "too large even for two cards": (
        ledger(container(101, 0, 1), g101=[vllm("meta-llama/Llama-3.1-70B-AWQ", 0.95, cards=2)]),
        "lxc/101",
        "on each of 2 cards, and card 0 (RTX 5060 Ti) has 16311 MiB (15.9 GiB): "
        "(68.5 G parameters x 4.16 bits + 2.1 G x 16 bits = 37.0 GiB) on 2 cards",
    ),
    "a second GGUF that finds no room": (
        ledger(
            container(101, 1),
            g101=[
                llamacpp("Qwen3-14B-Q4_K_M.gguf", context=8192),
                llamacpp("Qwen3-8B-Q4_K_M.gguf", context=8192),
            ],
        ),
        "lxc/101",
        "card 1 (RTX 5060 Ti): more is claimed than it has: ",
    ),
    "a card of a machine and of a container": (
        ledger(machine(200, PciDevice(mapping="gpu0")), container(101, 0)),
        "lxc/101",
        "card 0 (RTX 5060 Ti) is given to vm/200 as a whole and to lxc/101: "
        "1 virtual machine + 1 container > 1 owner",
    ),
    "a card of two machines": (
        ledger(machine(200, PciDevice(mapping="gpu1")), machine(201, PciDevice(address="02:00"))),
        "vm/201",
        "card 1 (RTX 5060 Ti) is given to vm/200 as a whole and to vm/201: "
        "2 virtual machines > 1 owner",
    ),
    "a machine's own engines": (
        ledger(machine(200, PciDevice(address="0000:01:00")), g200=[CHAT, HALF]),
        "vm/200",
        "= 19572 MiB of 16311 MiB (120 %)",
    ),
    "shares of a card of unknown size": (
        ledger(
            container(101, 0),
            container(102, 0),
            gpus=[Gpu(0)],
            g101=[CHAT],
            g102=[HALF],
        ),
        "lxc/102",
        "card 0: more is claimed than it has: 70 % (lxc/101, vLLM Qwen2.5-7B-Instruct-AWQ) + "
        "50 % (lxc/102, vLLM half) = 120 % of a card of unknown size",
    ),
    "the smaller of two unequal cards": (
        ledger(
            container(101, 0, 1),
            gpus=[Gpu(0, "large", 24576), Gpu(1, "small", 8192)],
            g101=[vllm("Qwen/Qwen3-14B", 0.9, cards=2, context=4096)],
        ),
        "lxc/101",
        "and card 1 (small) has 8192 MiB (8.0 GiB)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_once_with_its_sum(case: str) -> None:
    found, to_mend, told = WRONG[case]
    (refusal,) = found.refusals
    assert told in refusal.message
    assert refusal.hint
    assert refusal.guests[-1] == to_mend


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7, 9, 10])
def test_shares_that_fill_a_card_exactly_are_accepted(count: int) -> None:
    guests = [container(100 + n, 0) for n in range(count)]
    asked: dict[str, Any] = {f"g{g.id}": [Claim("x", share=1 / count)] for g in guests}
    assert ledger(*guests, **asked).refusals == ()
    assert ledger(*guests, gpus=[Gpu(0)], **asked).refusals == ()


def test_templates_and_stopped_guests_take_nothing() -> None:
    resting = container(102, 0, snapshot_name="base")
    template = container(103, 0, is_template=True)
    found = ledger(container(101, 0), resting, template, g101=[CHAT], g102=[HALF], g103=[HALF])
    assert found.refusals == ()
    assert found.cards[0].guests == ("lxc/101",)


def test_tensor_parallelism_takes_of_each_card() -> None:
    found = ledger(
        container(101, 0, 1), g101=[vllm("Qwen/Qwen3-14B-AWQ", 0.95, cards=2, context=8192)]
    )
    assert found.refusals == ()
    assert [card.taken_mb for card in found.cards] == [15495, 15495]


def test_a_claim_goes_to_the_card_that_it_names() -> None:
    both = ledger(container(101, 0, 1), g101=[HALF, Claim("x", share=0.8, index=(1,))])
    assert both.refusals == ()
    assert [card.taken_mb for card in both.cards] == [8155, 13048]


def test_an_unknown_memory_is_noted_and_only_shares_are_summed() -> None:
    found = ledger(
        container(101, 0), gpus=None, g101=[HALF, Claim("big", memory_mb=999_999, need_mb=999_999)]
    )
    assert found.refusals == ()
    (note,) = found.notes
    assert note.startswith("the memory of card 0 is not known: only shares are added up there")
    assert found.cards[0].share == 0.5


def test_what_nobody_can_tell_is_noted() -> None:
    blind = Claim("vLLM zeta", told="its name does not tell how large it is")
    (note,) = ledger(container(101, 0), g101=[blind]).notes
    assert note == (
        "lxc/101: what vLLM zeta takes of card 0 (RTX 5060 Ti) can't be told: "
        "its name does not tell how large it is"
    )


def test_a_share_for_a_model_of_unknown_size_is_noted() -> None:
    blind = Claim("vllm zeta", share=0.7, told="its name does not tell how large it is")
    (note,) = ledger(container(101, 0), g101=[blind]).notes
    assert note == (
        "lxc/101: whether 11417 MiB of card 0 (RTX 5060 Ti) are enough for vllm zeta can't be "
        "told: its name does not tell how large it is"
    )


def test_a_machine_whose_card_is_not_declared_is_noted() -> None:
    found = ledger(machine(200, PciDevice(address="0000:65:00")), g200=[CHAT])
    assert found.refusals == ()
    assert found.notes[0].startswith("vm/200: none of its PCI cards is in `gpus`")


def test_no_cards_no_ledger() -> None:
    assert not ledger(container(101), gpus=None).used
    assert not ledger(container(101)).used
    assert ledger(container(101, 0)).used


def test_a_plan_refuses_and_shows_and_saves_it() -> None:
    wanted = folder(container(101, 0), container(102, 0))
    good: Asked = {lxc(101): [CHAT], lxc(102): [EMBED]}
    plan = planned(wanted, complete(wanted), claims=good)
    assert plan.refusals == ()
    assert [card.index for card in plan.gpus] == [0, 1]
    bad = planned(wanted, complete(wanted), claims={**good, lxc(102): [HALF]})
    (refusal,) = bad.refusals
    assert refusal.endswith(
        "= 19572 MiB of 16311 MiB (120 %); give less to one of them, or put it on another card"
    )
    document = dump(plan)
    assert document["gpus"][0]["claims"][0]["need_mb"] == CHAT.need_mb
    refuse_if_moved(load(document), plan)


def test_a_plan_of_others_is_not_hindered() -> None:
    wanted = folder(container(101, 0), container(102, 0), plain(103))
    asked: Asked = {lxc(101): [CHAT], lxc(102): [HALF]}
    only = planned(wanted, complete(wanted), claims=asked, targets=frozenset({lxc(103)}))
    assert only.refusals == ()
    part = planned(wanted, complete(wanted), claims=asked, targets=frozenset({lxc(101)}))
    assert len(part.refusals) == 1


def test_a_saved_plan_is_stale_once_the_cards_are_others() -> None:
    asked: Asked = {lxc(101): [CHAT]}
    before, after = folder(container(101, 0)), folder(container(101, 0), gpus=[Gpu(0, "", 24576)])
    basis = [dict(planned(one, complete(one), claims=asked).basis) for one in (before, after)]
    differing = {key for key in basis[0] if basis[0][key] != basis[1][key]}
    assert differing == {"files host/gpus"}


def test_without_cards_a_plan_says_nothing_of_them() -> None:
    wanted = folder(plain(101))
    assert planned(wanted, complete(wanted)).gpus == ()
