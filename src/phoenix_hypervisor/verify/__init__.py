"""Proves by real checks that a guest serves what it is there for.

A check asks a question of one guest, from outside or inside; `run.ask` asks once, `run.wait`
until all pass. Kinds of checks are files of `checks/`.
"""

from .place import GuestPlace
from .run import Answers, ask, wait

__all__ = ["Answers", "GuestPlace", "ask", "wait"]
