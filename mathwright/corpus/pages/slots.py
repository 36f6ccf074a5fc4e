"""What each worker is at, in memory that its supervisor can read even when the worker is dead or hangs."""

from __future__ import annotations

import time
from collections.abc import MutableSequence

SLOT_CELLS = 5


class Slot:
    """One worker's cells of a shared array of 64-bit integers."""

    IDLE, READ, EXTRACT = 0, 1, 2

    def __init__(self, cells: MutableSequence[int], worker_number: int) -> None:
        self._cells = cells
        self._base = worker_number * SLOT_CELLS

    def set(self, phase: int, *, archive: int = -1, page: int = -1) -> None:
        """Say what is begun now: `page` is the ordinal of a page in the archive."""
        cells, base = self._cells, self._base
        cells[base] = self.IDLE  # a reader between two assignments must not take the old phase for the new page's
        cells[base + 1], cells[base + 2], cells[base + 3] = archive, page, time.monotonic_ns()
        cells[base] = phase

    def get(self) -> tuple[int, int, int, float]:
        """(phase, archive, page, seconds since it began)"""
        phase, archive, page, since = self._cells[self._base : self._base + 4]
        return phase, archive, page, (time.monotonic_ns() - since) / 1e9

    def count_page(self) -> None:
        self._cells[self._base + 4] += 1

    @property
    def num_pages(self) -> int:
        """Pages extracted by this worker and by those before it in the slot."""
        return self._cells[self._base + 4]
