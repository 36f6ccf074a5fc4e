"""Damage at random places: what it did not touch comes back unchanged, and what it took is reported with its place."""

import functools
import itertools
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.records import Damage, Page
from tests.corpus.archives import STORAGES, page_records, read, starts_of
from tests.properties import examples

LAYOUTS = [
    "plain", "plain with bare newlines", "gzip", "gzip, a page a member", "gzip, one member", "stored gzip", "lz4",
    "zstd",
]  # fmt: skip
CHECKED = {"gzip", "gzip, a page a member", "stored gzip", "zstd"}
"""Layouts with a checksum over each unit, so that no changed byte goes unseen."""


@dataclass(frozen=True)
class Whole:
    """An undamaged archive."""

    data: bytes
    units: Sequence[bytes]
    """The pieces that damage takes as a whole: plain records or compressed frames."""
    starts: Sequence[int]
    pages: Sequence[Page]
    unit_of: Sequence[int]
    """For each page the number of its unit."""
    num_others: int


@functools.cache
def whole_archive(layout: str) -> Whole:
    storage = STORAGES[layout.partition(",")[0].partition(" with")[0]]
    pages = page_records(12, line_end="\n" if "newlines" in layout else "\r\n")
    if layout.endswith("one member"):
        units = [storage(b"".join(b"".join(records) for records in pages))]
    elif layout.endswith("a member"):
        units = [storage(b"".join(records)) for records in pages]
    else:
        units = [storage(record) for records in pages for record in records]
    data, starts = b"".join(units), starts_of(units)
    found, damages, num_others = read_bytes(data)
    assert len(found) == 12 and not damages, layout
    unit_of = [max(number for number, start in enumerate(starts) if start <= page.offset) for page in found]
    return Whole(data, units, starts, found, unit_of, num_others)


def read_bytes(data: bytes) -> tuple[list[Page], list[Damage], int]:
    """Pages, damages, and how many records were counted as something else than a page."""
    with tempfile.TemporaryDirectory() as folder:
        pages, damages, counts = read(Path(folder) / "archive", data)
    assert counts["pages"] == len(pages) and counts["damaged"] == len(damages)
    num_others = counts.total() - len(pages) - len(damages) - counts["body_cut"]
    return [replace(page, archive="") for page in pages], damages, num_others


@dataclass(frozen=True)
class Harm:
    """`removed` bytes at `at` give way to `put`."""

    at: int
    removed: int
    put: bytes

    def apply(self, data: bytes) -> bytes:
        return data[: self.at] + self.put + data[self.at + self.removed :]

    def touches(self, start: int, stop: int) -> bool:
        """Whether it changes anything in these bytes; something put between two pieces touches neither."""
        return start < self.at + self.removed and self.at < stop if self.removed else start < self.at < stop

    def moved(self, offset: int) -> int:
        return offset + len(self.put) - self.removed if offset >= self.at + self.removed else offset


@st.composite
def harms(draw: st.DrawFn, layout: str) -> Harm:
    whole = whole_archive(layout)
    near_a_start = st.builds(lambda start, by: max(0, start + by), st.sampled_from(whole.starts), st.integers(-12, 400))
    at = min(draw(st.integers(0, len(whole.data) - 1) | near_a_start), len(whole.data) - 1)
    kind = draw(st.sampled_from(["flip", "cut", "insert", "truncate", "overwrite"]))
    size = draw(st.integers(1, 30) | st.integers(1, 3000))
    noise = random.Random(draw(st.integers(0, 1 << 30))).randbytes(size)
    if kind == "flip":
        return Harm(at, 1, bytes([whole.data[at] ^ (1 << draw(st.integers(0, 7)))]))
    if kind == "cut":
        return Harm(at, min(size, len(whole.data) - at), b"")
    if kind == "truncate":
        return Harm(at, len(whole.data) - at, b"")
    if kind == "overwrite":
        removed = min(size, len(whole.data) - at)
        return Harm(at, removed, draw(st.sampled_from([bytes(removed), noise[:removed]])))
    tricky = [b"WARC/1.0", b"WARC/1.0\r\n", b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 9999\r\n\r\n",
              b"\x1f\x8b\x08\0\0\0\0\0", b"\x1f\x8b\x08 WARC/1.1\r\n\r\n\r\n", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18",
              b"\r\n\r\n", b"\n", bytes(600)]  # fmt: skip
    return Harm(at, 0, draw(st.sampled_from([*tricky, noise])))


@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data())
@examples(60)
def test_damage_costs_what_it_touches_and_no_more(layout: str, data: st.DataObject) -> None:
    whole = whole_archive(layout)
    harm = data.draw(harms(layout))
    harmed = harm.apply(whole.data)
    pages, damages, num_others = read_bytes(harmed)

    touched = [harm.touches(start, start + len(unit)) for start, unit in zip(whole.starts, whole.units, strict=True)]
    untouched = [
        replace(page, offset=harm.moved(page.offset))
        for page, unit in zip(whole.pages, whole.unit_of, strict=True)
        if not touched[unit]
    ]
    assert [page for page in pages if page in untouched] == untouched, "an intact page was lost, or changed"
    by_url = {page.url: page for page in whole.pages}
    others = [page for page in pages if page not in untouched]
    if layout == "stored gzip":
        # A page that is an archive, stored as it is: where the member that holds it is broken, its records are found.
        others = [page for page in others if page.url != "http://inner.example/"]
    assert len(others) <= sum(touched) * (12 if layout.endswith("one member") else 1), "a page was invented"
    if layout in CHECKED:
        assert all(page.html == by_url[page.url].html for page in others), "a damaged page came as if it were intact"

    spans = [(damage.offset, damage.offset + damage.size_bytes) for damage in damages]
    assert all(0 <= start <= stop <= len(harmed) for start, stop in spans)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans)), "not in order"
    for page in untouched:
        if not layout.endswith(("one member", "a member")):
            assert not any(start <= page.offset < stop for start, stop in spans), "a page lies in a gap"
    # Records cut out from end to end leave no trace, and a file may end between two of them.
    left = [unit for unit, is_touched in zip(whole.units, touched, strict=True) if not is_touched]
    if len(pages) < 12 and harmed != b"".join(left):
        place = harm.at + len(harm.put)
        is_reported = any(start <= place and harm.at <= stop for start, stop in spans)
        is_counted = num_others > whole.num_others - sum(touched)
        assert is_reported or (is_counted and layout not in CHECKED), "a loss without a report"
