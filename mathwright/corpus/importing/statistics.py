"""What a corpus is made of: `mathwright corpus stats`, for what was imported and for what a run collected."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.corpus.documents.compute import open_documents, read_rows
from mathwright.corpus.documents.filters import count_formulas, identify_language
from mathwright.corpus.importing.near import NearIndex, documents_files
from mathwright.corpus.urls import host_of_url, page_key
from mathwright.errors import MathwrightError
from mathwright.lm.shards import TokenShards

SAMPLE = 10_000
"""Documents of which language and formulas are told; all others are only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What a corpus shares with another one."""

    corpus: str
    same_address: int
    near_duplicates: int
    """Documents that are nearly the same as one of the other, equal ones included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts of a corpus."""

    num_documents: int
    num_bytes: int
    """UTF-8 bytes of the texts."""
    num_words: int
    num_tokens: int | None
    """Of its shards, end tokens included; None where there are none."""
    bytes_per_token: float | None
    """Of its shards, end tokens left out."""
    num_sampled: int
    """Documents on which the next four are told, evenly over the corpus."""
    with_formulas: int
    formulas: dict[str, int]
    """Formulas by how they are delimited in the text."""
    markup: dict[str, int]
    """Formulas by the markup of the page they were read from, where that was recorded."""
    languages: dict[str, int]
    """Documents by language (ISO 639), most frequent first."""
    num_hosts: int
    hosts: dict[str, int]
    """Documents by host, the fifty most frequent."""
    overlap: Overlap | None = None


def measure(corpus: Path, *, against: Path | None = None, sample: int = SAMPLE, similarity: float = 0.8) -> Statistics:
    """The statistics of a folder that an import or a run's corpus stage has written, or of a documents file.

    Raises MathwrightError where there are no documents.
    """
    files = documents_files(corpus)
    num_documents = sum(open_documents(file).metadata.num_rows for file in files)
    if num_documents == 0:
        raise MathwrightError(f"{corpus}: its documents files are empty", hint="import it again, and see rejected/")
    num_bytes = num_words = 0
    hosts: Counter[str] = Counter()
    for file in files:
        for row in read_rows(file, ["url", "num_bytes", "num_words"]):
            num_bytes += row["num_bytes"]
            num_words += row["num_words"]
            hosts[host_of_url(row["url"]) if row["url"] else "unknown"] += 1
    tokens = _tokens(corpus)
    sampled = _Sample()
    for row in _sampled(files, num_documents, sample):
        sampled.add(row)
    return Statistics(
        num_documents=num_documents,
        num_bytes=num_bytes,
        num_words=num_words,
        num_tokens=tokens[0] if tokens else None,
        bytes_per_token=tokens[1] if tokens else None,
        num_sampled=sampled.num,
        with_formulas=sampled.with_formulas,
        formulas=dict(sampled.formulas.most_common()),
        markup=dict(sampled.markup.most_common()),
        languages=dict(sampled.languages.most_common()),
        num_hosts=len(hosts.keys() - {"unknown"}),
        hosts=dict(hosts.most_common(50)),
        overlap=_overlap(files, against, similarity) if against is not None else None,
    )


class _Sample:
    """What is told of the documents that are looked at."""

    def __init__(self) -> None:
        self.num = self.with_formulas = 0
        self.formulas: Counter[str] = Counter()
        self.markup: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()

    def add(self, row: dict[str, Any]) -> None:
        found = count_formulas(row["text"])
        self.num += 1
        self.with_formulas += bool(found)
        self.formulas.update(found)
        self.markup.update(json.loads(row["notation"]))
        self.languages[identify_language(row["text"])[0]] += 1


def _sampled(files: list[Path], num_documents: int, sample: int) -> Iterator[dict[str, Any]]:
    """Every so many-th document; 0 samples all."""
    step = max(1, num_documents // sample) if sample else 1
    number = 0
    for file in files:
        for row in read_rows(file, ["text", "notation"]):
            if number % step == 0:
                yield row
            number += 1


def _tokens(corpus: Path) -> tuple[int, float] | None:
    """Tokens of the shards beside the documents, and the bytes that one stands for."""
    folders = [corpus / name for name in ("shards", "shards/train", "heldout", "shards/heldout")]
    found = [TokenShards(folder) for folder in folders if folder.is_dir() and any(folder.glob("shard-*.json"))]
    if not found:
        return None
    num_tokens = sum(shards.num_tokens for shards in found)
    of_text = num_tokens - sum(shards.num_documents for shards in found)
    return num_tokens, sum(shards.num_bytes for shards in found) / max(1, of_text)


def _overlap(files: list[Path], against: Path, similarity: float) -> Overlap:
    others = documents_files(against)
    theirs = np.unique(np.fromiter(_addresses(others), dtype=np.int64))
    same_address = int(np.isin(np.fromiter(_addresses(files), dtype=np.int64), theirs).sum())
    with tempfile.TemporaryDirectory() as folder:
        index = NearIndex(others, Path(folder) / "index", similarity=similarity, seed=0)
        near = sum(int((index.find(file, scratch=Path(folder)) >= 0).sum()) for file in files)
    return Overlap(corpus=str(against), same_address=same_address, near_duplicates=near)


def _addresses(files: list[Path]) -> Iterator[int]:
    """64-bit hashes of the addresses of pages; Python's, the same within a process."""
    for file in files:
        yield from (hash(page_key(row["url"])) for row in read_rows(file, ["url"]) if row["url"])
