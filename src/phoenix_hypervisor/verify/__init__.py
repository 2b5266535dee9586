"""Proves by real checks that a guest serves what it is there for.

A check asks a question of one guest, from outside or inside; `run.ask` asks once, `run.wait`
until all pass. Kinds of checks are files of `checks/`.
"""

from phoenix_hypervisor.verify.place import GuestPlace
from phoenix_hypervisor.verify.run import Answers, ask, wait

__all__ = ["Answers", "GuestPlace", "ask", "wait"]
