"""Prompts of a wanted length, no two alike.

Servers keep what they have computed of a prompt; what begins differently can't use it. The words
are short and common: most vocabularies have one token for each, and `fitted` mends the rest.
"""

import random

_COMMON = """
the of and to in is that for it was on are as with they at be this from have or by one had not but
what all were when we there can an your which their said if do will each about how up out them then
she many some so these would other into has more her two like him see time could no make than first
been its who now people my made over did down only way find use may water long little very after
words called just where most know get through back much before go good new write our used me man too
any day same right look think also around another came come work
"""
_WORDS = _COMMON.split()
_TASK = "Go on with this text."


def prompt(number: int, words: int) -> str:
    """The prompt of this number with about so many words, always the same."""
    chosen = random.Random(number)  # noqa: S311 - nothing is kept secret
    text = " ".join(chosen.choice(_WORDS) for _ in range(max(1, words - len(_TASK.split()) - 1)))
    return f"{number}. {text}. {_TASK}"


def fitted(wanted: int, *seen: tuple[int, int]) -> int:
    """How many words make `wanted` tokens, after two pairs of words and the tokens they made.

    What is always there, such as a chat's own words, stands in both pairs. Where they tell
    nothing, it is `wanted`.
    """
    (words, tokens), (fewer, less) = seen
    if words == fewer or tokens <= less:
        return wanted
    per_word = (tokens - less) / (words - fewer)
    return max(1, round(words + (wanted - tokens) / per_word))
