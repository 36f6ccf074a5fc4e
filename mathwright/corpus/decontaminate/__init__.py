"""Texts of benchmarks in a corpus: found, cut out and accounted for."""

from mathwright.corpus.decontaminate.index import ContaminationIndex, build_index
from mathwright.corpus.decontaminate.spans import (
    ContaminatedSpan,
    Removal,
    find_contamination,
    find_contamination_in,
)

__all__ = [
    "ContaminatedSpan",
    "ContaminationIndex",
    "Removal",
    "build_index",
    "find_contamination",
    "find_contamination_in",
]
