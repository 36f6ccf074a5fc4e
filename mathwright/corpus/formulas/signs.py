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
    """Finds a set of signs in the sources of pages, in capital or small letters alike."""

    def __init__(self, signs: Iterable[str]) -> None:
        self._signs = sorted(set(signs))
        forms = sorted({sign.lower() for sign in self._signs})
        self._signs_of = [[sign for sign in self._signs if sign.lower() == form] for form in forms]
        encoded = [form.encode() for form in forms]
        self._automaton = BytesAhoCorasick(encoded, implementation=Implementation.DFA)
        self._overlap = max(map(len, encoded)) - 1

    def find(self, source: bytes) -> frozenset[str]:
        """Those that a source holds, which is given in UTF-8."""
        encoded = source.lower()
        found: set[int] = set()
        for start in range(0, len(encoded), _PIECE):  # each place where a sign stands takes memory
            piece = encoded[start : start + _PIECE + self._overlap] if len(encoded) > _PIECE else encoded
            found.update(index for index, _, _ in self._automaton.find_matches_as_indexes(piece, overlapping=True))
        return frozenset(sign for index in found for sign in self._signs_of[index])


_PIECE = 1 << 20


def tag_signs(*names: str) -> tuple[str, ...]:
    """How start tags of elements begin."""
    return tuple(f"<{name}" for name in names)


def word_signs(name: str) -> tuple[str, ...]:
    """A word of an attribute's value, such as one class, with what may stand around it."""
    before, after = "\"'= \t\n", "\"'> \t\r\n"
    return tuple(first + name + last for first in before for last in after)


def selector(selectors: Selectors, present: Set[str]) -> str:
    """One selector for those that may match something in a page that holds these signs; "" for none."""
    return ", ".join(name for name, signs in selectors.items() if not present.isdisjoint(signs))


def all_signs(*tables: Selectors) -> frozenset[str]:
    """The signs of several tables."""
    return frozenset(sign for table in tables for signs in table.values() for sign in signs)
