"""The pages of one archive on their way to documents: read, extracted and committed block by block.

    ARCHIVE_FOLDER/
      slice-0.lock ...       the claims (claims.py), with the mark that a slice is done
      block-00000012.json    the state of pages 3,072 to 3,327: what was dropped, and where reading goes on
      block-00000012.parquet their documents
      culprits.jsonl         pages that ended or stalled a worker: set aside, not tried again
      archive.json, documents.parquet, rejected.jsonl   the archive as a whole; its blocks are then removed

A block is committed by the rename of its JSON file, which comes after its Parquet file. Its state holds the record
counts of its own stretch of the archive, so that a resumed run adds up to the same funnel. Slice k of K reads all of
the archive (reading costs a twentieth of extraction) and extracts the blocks k, k + K, ...
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mathwright.corpus.archive.pages import is_wet, read_documents, read_pages
from mathwright.corpus.claims import Claim, is_done
from mathwright.corpus.documents.compute import DocumentWriter, join_documents, to_row
from mathwright.corpus.extract.limits import MAX_HTML_BYTES
from mathwright.corpus.pages.slots import Slot
from mathwright.errors import MathwrightError
from mathwright.files import append_line, write_json, write_lines
from mathwright.lines import file_lines, json_text
from mathwright.records import Damage, Document, Page

BLOCK_PAGES = 256
"""What a worker extracts again at most after a kill: about half a second of work."""
PATIENCE = 2
"""Deaths of a worker at one page that may have another cause (SIGKILL of the system, reading), until it is to blame."""


class UnreadableError(Exception):
    """An archive cannot be opened or read on, for reasons outside of it (network, permissions); worth another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRules:
    """What is done with each page."""

    min_words: int
    extract: Callable[..., Document]
    """As `mathwright.corpus.extract.extract`."""
    score: Callable[[str], float] | None = None
    """Where given, documents that score below `min_score` are dropped."""
    min_score: float = 0.0


@dataclass(slots=True, kw_only=True)
class Block:
    """State of a committed block."""

    block: int
    num_pages: int = 0
    num_documents: int = 0
    offset: int = 0
    """Of its last page: reading goes on there, after that page."""
    at_offset: int = 0
    """How many pages there have that offset: several, where a gzip member holds several records."""
    digest: str = ""
    """Of that page, by which it is known again."""
    counts: dict[str, int] = field(default_factory=dict)
    """The records since the block before, as `read_pages` counts them."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Pages of the block without a document, by reason."""
    rejected: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(step, row with its reason) of what was set aside; of step "partial", of what was kept in part."""
    last: bool = False
    """Whether the archive ends with it. The last block has fewer pages than BLOCK_PAGES, maybe none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveCounts:
    """What became of an archive."""

    counts: dict[str, int]
    dropped: dict[str, int]
    num_pages: int
    num_documents: int


def do_slice(
    archive: str, folder: Path, slot: Slot, rules: PageRules, *, archive_number: int, slice_index: int, num_slices: int
) -> bool:
    """Do what is left of a slice of the archive, the `archive_number`-th of the run; whether nobody else holds it.

    Raises UnreadableError where the archive cannot be opened.
    """
    if is_complete(folder):
        return True
    folder.mkdir(parents=True, exist_ok=True)
    claim = Claim.take(folder / f"slice-{slice_index}.lock")
    if claim is None:
        return False
    with claim:
        if not claim.done:
            _extract_slice(
                archive,
                folder,
                slot,
                rules,
                archive_number=archive_number,
                slice_index=slice_index,
                num_slices=num_slices,
            )
            claim.mark_done()
    slot.set(Slot.IDLE)
    return True


def _extract_slice(
    archive: str, folder: Path, slot: Slot, rules: PageRules, *, archive_number: int, slice_index: int, num_slices: int
) -> None:
    have = {int(path.stem.removeprefix("block-")) for path in folder.glob("block-*.json")}
    missing = slice_index
    while missing in have:
        missing += num_slices
    # Any committed block, whoever made it, says where the pages after it begin.
    before = max((block for block in have if block < missing), default=None)
    state = None if before is None else read_block(folder, before)
    if state is not None and state.last:
        return
    bad_pages = read_bad_pages(folder)
    reader = _Reader(archive, state, slot, archive_number, bad_pages)
    while not reader.ended:
        if reader.block % num_slices == slice_index and reader.block not in have:
            _commit_block(reader, folder, slot, rules, bad_pages)
        else:
            for _ in reader.next_block():
                pass


def _commit_block(
    reader: _Reader, folder: Path, slot: Slot, rules: PageRules, bad_pages: dict[tuple[str, int], str]
) -> None:
    state = Block(block=reader.block)
    dropped: Counter[str] = Counter()
    with DocumentWriter(_documents_path(folder, state.block)) as writer:
        for page, item in reader.next_block():
            if isinstance(item, Damage):
                row = {"archive": item.archive, "offset": item.offset, "size_bytes": item.size_bytes}
                state.rejected.append(("damage", {"reason": item.reason, **row}))
                continue
            slot.set(Slot.EXTRACT, archive=reader.archive_number, page=page)
            row, reason = _to_document(item, rules, bad_pages.get(("extract", page)))
            slot.count_page()
            if reason:
                dropped[reason] += 1
                state.rejected.append(("extract", {"reason": reason, **row}))
                continue
            writer.write(row)
            state.num_documents += 1
            if row["problem"]:  # kept, but not whole
                where = {name: row[name] for name in ("url", "archive", "offset")}
                state.rejected.append(("partial", {"reason": row["problem"], **where}))
    state.num_pages, state.last = reader.num_in_block, reader.ended
    state.offset, state.at_offset, state.digest = reader.offset, reader.at_offset, reader.digest
    state.counts, state.dropped = dict(reader.counts), dict(dropped)
    write_json(_state_path(folder, state.block), asdict(state))


def _to_document(page: Page | Document, rules: PageRules, why_bad: str | None) -> tuple[dict[str, Any], str]:
    """(row, "") of the document, or (what identifies the page, the reason why it is none)."""
    where = {"url": page.url, "archive": page.archive, "offset": page.offset}
    if why_bad:
        return where, why_bad
    try:
        if isinstance(page, Document):
            document = cut_document(page)
        else:
            document = rules.extract(page.html, page.url, charset=page.charset)
    except Exception as error:  # `extract` promises not to raise; should it, one page is lost and not a run of days
        return where, f"extraction failed: {type(error).__name__}"
    if not document.text.strip():
        return where | ({"problem": document.problem} if document.problem else {}), "no text"
    row = to_row(replace(document, archive=page.archive, offset=page.offset, digest=page.digest, date=page.date))
    if row["num_words"] < rules.min_words:
        return {**where, "num_words": row["num_words"]}, f"fewer than {rules.min_words} words"
    if rules.score is not None and (score := rules.score(row["text"])) < rules.min_score:
        return {**where, "score": round(score, 6)}, f"score below {rules.min_score}"
    return row, ""


def cut_document(document: Document) -> Document:
    """The document with the beginning of its text, where that is longer than what is read of a page of HTML."""
    text = document.text.encode("utf-8", "replace")
    if len(text) <= MAX_HTML_BYTES:
        return document
    problem = f"cut at {MAX_HTML_BYTES >> 20} MiB"
    return replace(document, text=text[:MAX_HTML_BYTES].decode("utf-8", "ignore"), problem=problem)


class _Reader:
    """The pages and damages of an archive, a block at a time, after a committed block or from the start.

    The pages of a WET archive are documents already.
    """

    def __init__(
        self, archive: str, before: Block | None, slot: Slot, archive_number: int, bad_pages: dict[tuple[str, int], str]
    ) -> None:
        self.archive_number = archive_number
        self.block = 0 if before is None else before.block + 1
        self.offset, self.at_offset, self.digest = 0, 0, ""  # of the last page, as in Block
        if before is not None:
            self.offset, self.at_offset, self.digest = before.offset, before.at_offset, before.digest
        self.counts: Counter[str] = Counter()
        """Records of the block being read, or of the last one that was."""
        self.num_in_block = 0
        self.ended = False
        self._archive = archive
        self._slot = slot
        self._bad_pages = bad_pages
        self._counts: Counter[str] = Counter()  # read_pages adds to it
        self._read = read_documents if is_wet(archive) else read_pages
        self._items = self._open(before)

    def next_block(self) -> Iterator[tuple[int, Page | Document | Damage]]:
        """(ordinal of the page, the page) of the next block and what is damaged before it; to be read to its end."""
        first = self.block * BLOCK_PAGES
        self.num_in_block = 0
        self._counts.clear()
        while self.num_in_block < BLOCK_PAGES:
            page = first + self.num_in_block
            if reason := self._bad_pages.get(("read", page)):
                self._counts["damaged"] += 1
                self.ended = True
                yield page, Damage(archive=self._archive, offset=self.offset, size_bytes=0, reason=reason)
                break
            self._slot.set(Slot.READ, archive=self.archive_number, page=page)
            item = self._next()
            if item is None:
                self.ended = True
                break
            if not isinstance(item, Damage):
                self.at_offset = self.at_offset + 1 if item.offset == self.offset else 1
                self.offset, self.digest = item.offset, item.digest
                self.num_in_block += 1
            yield page, item
        self.counts = Counter(self._counts)
        self.block += 1

    def _next(self) -> Page | Document | Damage | None:
        try:
            return next(self._items, None)
        except MathwrightError as error:
            raise UnreadableError(f"{error.message} ({error.hint})") from error
        except OSError as error:
            raise UnreadableError(f"{self._archive}: {error}") from error

    def _open(self, before: Block | None) -> Iterator[Page | Document | Damage]:
        if before is None:
            return iter(self._read(self._archive, counts=self._counts))
        return self._after(before)

    def _after(self, before: Block) -> Iterator[Page | Document | Damage]:
        """The items after a block. What was counted on the way there was counted with it, and is forgotten."""
        items = iter(self._read(self._archive, start=before.offset, counts=self._counts))
        same = (item for item in items if not isinstance(item, Damage))
        last = next(itertools.islice(same, before.at_offset - 1, None), None)
        if last is None or (last.offset, last.digest) != (before.offset, before.digest):
            # Reading cannot begin at that offset: it is slower to come there by the number of pages, but as sure.
            items = iter(self._read(self._archive, counts=self._counts))
            same = (item for item in items if not isinstance(item, Damage))
            next(itertools.islice(same, self.block * BLOCK_PAGES - 1, None), None)
        self._counts.clear()
        yield from items


# --- what lies in the folder ------------------------------------------------------------------------------


def _state_path(folder: Path, block: int) -> Path:
    return folder / f"block-{block:08d}.json"


def _documents_path(folder: Path, block: int) -> Path:
    return folder / f"block-{block:08d}.parquet"


def read_block(folder: Path, block: int) -> Block:
    return Block(**json.loads(_state_path(folder, block).read_text(encoding="utf-8")))


def is_complete(folder: Path) -> bool:
    """Whether the archive is done and its blocks joined."""
    return (folder / "archive.json").is_file()


def read_counts(folder: Path) -> ArchiveCounts:
    return ArchiveCounts(**json.loads((folder / "archive.json").read_text(encoding="utf-8")))


def add_bad_page(folder: Path, phase: str, page: int, reason: str, *, sure: bool) -> None:
    """Keep that a worker ended in this phase ("extract" or "read") at the page with this ordinal.

    `sure`: it was the page; else something else may have ended the worker, and it is tried PATIENCE times.
    """
    line = json.dumps({"phase": phase, "page": page, "reason": reason, "sure": sure})
    append_line(folder / "culprits.jsonl", line)


def read_bad_pages(folder: Path) -> dict[tuple[str, int], str]:
    """The reason by (phase, page) of those that are not tried again."""
    path = folder / "culprits.jsonl"
    tries: Counter[tuple[str, int]] = Counter()
    bad_pages: dict[tuple[str, int], str] = {}
    for line in file_lines(path) if path.is_file() else ():
        row = json.loads(line)
        key = (row["phase"], row["page"])
        tries[key] += 1
        if row["sure"] or tries[key] >= PATIENCE:
            bad_pages[key] = row["reason"]
    return bad_pages


def join_blocks(folder: Path, num_slices: int) -> bool:
    """Join the blocks of an archive whose slices are all done; whether the archive is complete now."""
    if is_complete(folder):
        return True
    if not all(is_done(folder / f"slice-{index}.lock") for index in range(num_slices)):
        return False
    claim = Claim.take(folder / "join.lock")
    if claim is None:
        return False
    with claim:
        if not claim.done:
            _join(folder)
            claim.mark_done()
    return True


def _join(folder: Path) -> None:
    numbers = sorted(int(path.stem.removeprefix("block-")) for path in folder.glob("block-*.json"))
    states = [read_block(folder, number) for number in numbers]
    if numbers != list(range(len(numbers))) or not states or not states[-1].last:
        raise RuntimeError(f"{folder}: blocks are missing between {numbers}")
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for state in states:
        counts.update(state.counts)
        dropped.update(state.dropped)
    join_documents([_documents_path(folder, n) for n in numbers], folder / "documents.parquet")
    write_lines(folder / "rejected.jsonl", (json_text(entry) for state in states for entry in state.rejected))
    total = ArchiveCounts(
        counts=dict(counts),
        dropped=dict(dropped),
        num_pages=sum(state.num_pages for state in states),
        num_documents=sum(state.num_documents for state in states),
    )
    write_json(folder / "archive.json", asdict(total))
    for number in numbers:
        _state_path(folder, number).unlink(missing_ok=True)
        _documents_path(folder, number).unlink(missing_ok=True)


def read_rejected(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(step, row with its reason) of all that was set aside of an archive."""
    with (folder / "rejected.jsonl").open(encoding="utf-8") as file:
        for line in file:
            step, row = json.loads(line)
            yield step, row
