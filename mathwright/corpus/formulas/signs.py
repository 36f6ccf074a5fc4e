"""Signs of markup in a page's source: which steps of extraction a page needs at all.

A walk through the tree costs a fifth of a millisecond a page, a search of the source a tenth. One pass that looks for
all signs at once says which of the walks would find something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from ahocorasick_rs import BytesAhoCorasick, Implementation

Selectors = Mapping[str, Sequence[str]]
"""CSS selector -> signs, one of which stands in the source of every page with such an element."""


class Signs:
    """Finds a set of signs in the sources of pages."""

    def __init__(self, signs: Iterable[str]) -> None:
        self._signs = sorted(set(signs))
        encoded = [sign.encode() for sign in self._signs]
        self._automaton = BytesAhoCorasick(encoded, implementation=Implementation.DFA)
        self._overlap = max(map(len, encoded)) - 1

    def find(self, source: str) -> frozenset[str]:
        """Those that a source holds."""
        encoded = source.encode("utf-8", "replace")
        found: set[int] = set()
        for start in range(0, len(encoded), _PIECE):  # each place where a sign stands takes memory
            piece = encoded[start : start + _PIECE + self._overlap] if len(encoded) > _PIECE else encoded
            found.update(index for index, _, _ in self._automaton.find_matches_as_indexes(piece, overlapping=True))
        return frozenset(self._signs[index] for index in found)


_PIECE = 1 << 20


def tag_signs(*names: str) -> tuple[str, ...]:
    """How start tags of elements begin."""
    return tuple("<" + form for name in names for form in _forms(name))


def word_signs(name: str) -> tuple[str, ...]:
    """A word of an attribute's value, such as one class, with what may stand around it.

    Capital letters match, too, in pages without a document type.
    """
    forms, before, after = _forms(name), "\"'= \t\n", "\"'> \t\r\n"
    return tuple(first + form + last for form in forms for first in before for last in after)


def _forms(name: str) -> tuple[str, str, str]:
    return name, name.upper(), name.capitalize()


def selector(selectors: Selectors, present: Set[str]) -> str:
    """One selector for those that may match something in a page that holds these signs; "" for none."""
    return ", ".join(name for name, signs in selectors.items() if not present.isdisjoint(signs))


def all_signs(*tables: Selectors) -> frozenset[str]:
    """The signs of several tables."""
    return frozenset(sign for table in tables for signs in table.values() for sign in signs)
