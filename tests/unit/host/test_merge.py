"""Our rules among those of others, for any mixture of both."""

from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.host._merge import Told, merged

_RULES = st.integers(0, 5).map(lambda n: {"action": str(n)})
_THERE = st.lists(st.tuples(st.booleans(), _RULES), max_size=12)


@given(_THERE, st.lists(_RULES, max_size=8))
def test_ours_are_as_wanted_and_theirs_keep_their_order(
    there: list[tuple[bool, Told]], wanted: list[Told]
) -> None:
    slots = merged(there, wanted)
    theirs = [n for n, (ours, _) in enumerate(there) if not ours]
    assert [slot.old for slot in slots if slot.old in theirs] == theirs
    assert [slot.rule for slot in slots if slot.old not in theirs] == wanted
    kept = [slot.old for slot in slots if slot.old is not None]
    assert kept == sorted(kept)


@given(_THERE)
def test_what_is_right_stays_where_it_is(there: list[tuple[bool, Told]]) -> None:
    wanted = [rule for ours, rule in there if ours]
    assert [slot.old for slot in merged(there, wanted)] == list(range(len(there)))


def test_a_new_rule_comes_behind_the_one_before_it() -> None:
    a, b, c, x = ({"action": name} for name in "abcx")
    there = [(True, a), (False, x), (True, c)]
    assert [slot.rule for slot in merged(there, [a, b, c])] == [a, b, x, c]
    assert [slot.rule for slot in merged([(False, x)], [a, b])] == [a, b, x]
