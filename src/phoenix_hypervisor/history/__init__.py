"""What was done here: one SQLite file in the folder, written as a run goes, never needed by one.

Whatever is wrong with the file (gone, damaged, locked, full, of a newer version) costs the history
and nothing else: the run goes on, and one line tells why nothing was kept.
"""

from phoenix_hypervisor.history.notebook import Notebook

__all__ = ["Notebook"]
