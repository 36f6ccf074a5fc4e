"""Pages sorted by address, so that all pages below a URL prefix lie side by side: counts of any prefix, whatever its
size, cost two searches, and the tree of prefixes is walked one level at a time without being built."""

from __future__ import annotations

import bisect
import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mathwright.corpus.rules.domains import Share
from mathwright.corpus.urls import address

pc: Any = pyarrow.compute  # its functions are made on import, so that no type checker sees them


@dataclass(frozen=True, slots=True, kw_only=True)
class Children:
    """The prefixes one path segment below another, as ranges of the index."""

    start: np.ndarray
    stop: np.ndarray
    collected: np.ndarray
    """[C] collected pages of each."""

    def __len__(self) -> int:
        return len(self.start)


class PrefixIndex:
    """The pages of a pool by address (`host/path`)."""

    def __init__(self, urls: Iterable[str], collected: np.ndarray) -> None:
        addresses = pa.array((address(url) for url in urls), type=pa.large_string())
        if len(addresses) != len(collected):
            raise ValueError(f"{len(addresses)} URLs but {len(collected)} flags of collected pages")
        order = pc.sort_indices(addresses)
        self.addresses = addresses.take(order)
        """[N] sorted by code point, as Python sorts strings."""
        self.rows = order.to_numpy()
        """[N] the row of the pool at each place."""
        self.collected = collected[self.rows]
        self._collected_before = np.concatenate([[0], np.cumsum(self.collected, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self.rows)

    def span(self, prefix: str) -> tuple[int, int]:
        """First place and last plus one of the pages whose address begins with `prefix`."""

        def beginning(place: int) -> str:
            return self.addresses[place].as_py()[: len(prefix)]

        places = range(len(self))
        start = bisect.bisect_left(places, prefix, key=beginning)
        return start, bisect.bisect_right(places, prefix, lo=start, key=beginning)

    def num_collected(self, start: int, stop: int) -> int:
        return int(self._collected_before[stop] - self._collected_before[start])

    def share(self, prefix: str) -> Share:
        """Pages and collected pages below a prefix."""
        start, stop = self.span(prefix)
        return Share(name=prefix, num_pages=stop - start, num_collected=self.num_collected(start, stop))

    def children(self, prefix: str) -> Children:
        """The prefixes one segment below `prefix` (`host/`, `host/a/`; the hosts for ""), by name.

        Pages that lie directly in `prefix` (no further slash) belong to no child.
        """
        first, last = self.span(prefix)
        tails = pc.utf8_slice_codeunits(self.addresses.slice(first, last - first), len(prefix))
        inner = np.flatnonzero(pc.find_substring(tails, "/").to_numpy() >= 0)
        if not len(inner):
            nothing = np.zeros(0, dtype=np.int64)
            return Children(start=nothing, stop=nothing, collected=nothing)
        segments = pc.list_element(pc.split_pattern(tails.take(pa.array(inner)), "/", max_splits=1), 0)
        new = pc.not_equal(segments.slice(1), segments.slice(0, len(segments) - 1)).to_numpy(zero_copy_only=False)
        begins = np.concatenate([[0], np.flatnonzero(new) + 1])
        ends = np.concatenate([begins[1:], [len(inner)]])
        start, stop = first + inner[begins], first + inner[ends - 1] + 1
        return Children(start=start, stop=stop, collected=self._collected_before[stop] - self._collected_before[start])

    def child_name(self, prefix: str, place: int) -> str:
        """The prefix one segment below `prefix` of the page at a place."""
        segment = self.addresses[place].as_py()[len(prefix) :].partition("/")[0]
        return f"{prefix}{segment}/"

    def matching(self, glob: str) -> slice | np.ndarray:
        """The places of the pages that a glob matches: a range for `prefix*`, else their numbers."""
        literal, rest = split_glob(glob)
        start, stop = self.span(literal)
        if rest == "*":
            return slice(start, stop)
        match = re.compile(fnmatch.translate(glob)).match
        pages = self.addresses.slice(start, stop - start).to_pylist()
        return start + np.flatnonzero(np.fromiter((match(page) is not None for page in pages), bool, len(pages)))


def split_glob(glob: str) -> tuple[str, str]:
    """What every match of a glob begins with, its escapes undone, and the pattern that follows."""
    literal: list[str] = []
    place = 0
    while place < len(glob):
        if escaped := re.compile(r"\[([*?\[])\]").match(glob, place):
            literal.append(escaped[1])
            place = escaped.end()
        elif glob[place] in "*?[":
            break
        else:
            literal.append(glob[place])
            place += 1
    return "".join(literal), glob[place:]


def prefix_glob(prefix: str) -> str:
    """The glob of all pages below a prefix; its own characters that a glob would read as a pattern are escaped."""
    return re.sub(r"([*?[])", r"[\1]", prefix) + "*"
