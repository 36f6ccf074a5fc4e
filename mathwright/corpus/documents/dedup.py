"""§2.1: URL deduplication and near-deduplication of the pool (paper silent on the method).

Near-duplicates are found by MinHash over 5-word shingles (Daft's expression, on all cores, reading the text in
batches), LSH bands to find candidates and the share of equal hashes to confirm them. Pages linked directly or through
others form a cluster, of which one page stays by rule: the longest, the earliest or the one of the smallest URL (ties:
the longest, then by URL). Signatures lie in a file mapped into memory, and are looked at a band at a time.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.compute
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mathwright.corpus.documents.compute import open_documents, read_rows
from mathwright.corpus.documents.table import compute
from mathwright.corpus.text import CJK
from mathwright.corpus.urls import page_key

pc: Any = pyarrow.compute  # its functions are made on import, so that no type checker sees them

SHINGLE_WORDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Which rows of a documents file to keep, and why the others go."""

    keep: np.ndarray
    """[N] bool."""
    reason: list[str]
    """[N]: "", "same URL", "same text" or "near-duplicate"."""
    representative: np.ndarray
    """[N] row that stays in place of this one (itself where it is kept)."""
    cluster_sizes: dict[int, int]
    """Clusters of near-duplicates by their number of pages (singletons left out)."""


Representative = Literal["longest", "earliest", "url"]
"""Which page of a cluster stays: the longest, the one archived first, or the one with the smallest URL."""


def find_duplicates(
    documents: Path,
    *,
    similarity: float,
    num_hashes: int,
    seed: int,
    bands: int = 0,
    representative: Representative = "longest",
) -> Duplicates:
    """Find what is the same in a documents file by URL, by text, and nearly by text, each step on what the last left.

    `similarity` is the Jaccard similarity of shingle sets from which two pages count as near-duplicates, in (0, 1];
    `num_hashes` the number of MinHash permutations; `bands` how many LSH bands they are cut into (0: chosen by
    `choose_bands`). Memory: about 100 bytes a page, and the URLs while pages are put in order; signatures go to a
    temporary file next to `documents`.
    Raises ValueError for a number of bands that num_hashes cannot be cut into.
    """
    num = open_documents(documents).metadata.num_rows
    if num == 0:
        return Duplicates(keep=np.zeros(0, bool), reason=[], representative=np.zeros(0, np.int64), cluster_sizes={})
    signatures_file = documents.with_name(documents.name + ".signatures")
    try:
        text_hashes = text_signatures(documents, signatures_file, num_hashes, seed)
        order = _best_first(representative, documents)
        kept_for, code = _same(order, (_url_hashes(documents, num), text_hashes))
        left = order[code[order] == 0]
        signatures = np.memmap(signatures_file, dtype=np.uint32, mode="r", shape=(num, num_hashes))
        labels = near_clusters(signatures, similarity, rows=left, bands=bands)
        del signatures
    finally:
        signatures_file.unlink(missing_ok=True)
    _, first, cluster = np.unique(labels, return_index=True, return_inverse=True)
    kept_for[left] = left[first[cluster]]
    code[left[kept_for[left] != left]] = len(REASONS) - 1
    while True:  # a copy of a page that was itself dropped points to the page that stays
        further = kept_for[kept_for]
        if (further == kept_for).all():
            break
        kept_for = further
    sizes, counts = np.unique(np.bincount(cluster), return_counts=True)
    return Duplicates(
        keep=code == 0,
        reason=[REASONS[i] for i in code],
        representative=kept_for,
        cluster_sizes={int(size): int(count) for size, count in zip(sizes, counts, strict=True) if size > 1},
    )


REASONS = ("", "same URL", "same text", "near-duplicate")


def _best_first(rule: Representative, documents: Path) -> np.ndarray:
    """All rows [N], the one that stays in place of any other before it."""
    names = {"longest": ["num_bytes", "url"], "earliest": ["date", "num_bytes", "url"], "url": ["url", "num_bytes"]}
    table = open_documents(documents).read(columns=names[rule])
    if rule == "earliest":  # no date: last
        dates = table.column("date")
        table = table.set_column(0, "date", pc.if_else(pc.equal(dates, ""), "9999", dates))
    keys = [(name, "descending" if name == "num_bytes" else "ascending") for name in names[rule]]
    return pc.sort_indices(table, sort_keys=keys).to_numpy().astype(np.int64)  # stable, strings by code point


def _url_hashes(documents: Path, num: int) -> np.ndarray:
    """64-bit hashes [N] of the keys of the URLs: among 100 million pages, one in 3,700 runs drops a page in error."""
    rows = read_rows(documents, ["url"])
    hashes = (
        int.from_bytes(hashlib.blake2b(page_key(row["url"]).encode(), digest_size=8).digest(), "little") for row in rows
    )
    return np.fromiter(hashes, dtype=np.uint64, count=num)


def _same(order: np.ndarray, kinds: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(row that stays in place of each [N], which of `kinds` each goes by, from 1, or 0 [N]) where keys [N] are equal,
    one kind after the other."""
    kept_for = np.arange(len(order))
    code = np.zeros(len(order), dtype=np.int8)
    for number, keys in enumerate(kinds, start=1):
        left = order[code[order] == 0]
        _, first, group = np.unique(keys[left], return_index=True, return_inverse=True)
        kept_for[left] = left[first[group]]
        code[left[kept_for[left] != left]] = number
    return kept_for, code


def text_signatures(documents: Path, output: Path, num_hashes: int, seed: int) -> np.ndarray:
    """64-bit hashes [N] of the texts in lower case, blanks collapsed; their MinHash signatures go to `output`, a raw
    array [N, num_hashes] of uint32."""
    import daft

    num = open_documents(documents).metadata.num_rows
    hashes = np.zeros(num, dtype=np.uint64)
    signatures = np.memmap(output, dtype=np.uint32, mode="w+", shape=(num, num_hashes))
    text = _plain(daft.col("text"))
    for rows, batch in compute(documents, hash=text.hash(), signature=_minhash(text, num_hashes, seed)):
        hashes[rows] = batch.column("hash").to_numpy()
        signatures[rows] = _matrix(batch.column("signature"), num_hashes)
        _forget(signatures)
    return hashes


def _forget(array: np.ndarray) -> None:
    """Let go of the pages of a file mapped into memory; they stay in the file, and come back when they are read."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


def near_copies(
    texts: Sequence[str], of: Sequence[str], *, similarity: float, num_hashes: int, seed: int
) -> np.ndarray:
    """Which `texts` [N] are near-duplicates of one in `of`, by the same shingles and hashes as in `find_duplicates`."""
    if not texts or not of:
        return np.zeros(len(texts), dtype=bool)
    import daft

    signature = _minhash(_plain(daft.col("text")), num_hashes, seed).alias("signature")
    # The row number: a cluster returns the rows in any order.
    numbered = daft.from_pydict({"row": list(range(len(texts) + len(of))), "text": [*texts, *of]})
    table = numbered.select("row", signature).sort("row").to_arrow()
    signatures = _matrix(table.column("signature"), num_hashes)
    first, second = signatures[: len(texts)], signatures[len(texts) :]
    bands, width = choose_bands(similarity, num_hashes)
    found = np.zeros(len(texts), dtype=bool)
    for band in range(bands):
        keys = band_keys(signatures, band, width)
        by_key = dict(zip(keys[len(texts) :].tolist(), range(len(of)), strict=True))
        for i in np.flatnonzero(~found).tolist():
            other = by_key.get(int(keys[i]))
            found[i] = other is not None and (first[i] == second[other]).mean() >= similarity
    return found


def _plain(text: Any) -> Any:
    """Daft's expression for a text as it is compared: lower case, a word a CJK character, blanks collapsed."""
    return text.lower().regexp_replace(f"([{CJK}])", " $1 ").regexp_replace(r"\s+", " ").lstrip().rstrip()


def _minhash(text: Any, num_hashes: int, seed: int) -> Any:
    """Daft's expression for the signature of a text."""
    from daft.functions import minhash

    return minhash(text, num_hashes=num_hashes, ngram_size=SHINGLE_WORDS, seed=seed)


def _matrix(column: Any, num_hashes: int) -> np.ndarray:
    """Signatures [N, num_hashes] of a column of lists."""
    flat = column.combine_chunks().flatten()
    return flat.to_numpy(zero_copy_only=False).astype(np.uint32).reshape(len(column), num_hashes)


def choose_bands(similarity: float, num_hashes: int) -> tuple[int, int]:
    """(bands, rows) for which 1 - (1 - s^rows)^bands is nearest to a step at `similarity`.

    A missed pair weighs ten times a false candidate, both integrated over s: candidates are compared in full anyway.
    """
    s = np.linspace(0.0, 1.0, 1001)
    below = s < similarity
    best, choice = np.inf, (1, num_hashes)
    for rows in range(1, num_hashes + 1):
        bands = num_hashes // rows
        found = 1.0 - (1.0 - s**rows) ** bands
        error = found[below].sum() + 10 * (1.0 - found[~below]).sum()
        if error < best:
            best, choice = error, (bands, rows)
    return choice


def near_clusters(
    signatures: np.ndarray, similarity: float, *, rows: np.ndarray | None = None, bands: int = 0
) -> np.ndarray:
    """Cluster label of each of `rows` of `signatures` [N, H] (all by default), the best representative first.

    Pages that share a band are compared with the first page of that band's bucket, which keeps the number of
    comparisons linear when a template has a million copies; a pair counts when the share of equal hashes, an estimate
    of the Jaccard similarity, reaches `similarity`.
    """
    rows = np.arange(len(signatures)) if rows is None else rows
    num, num_hashes = len(rows), signatures.shape[1]
    if not 0 <= bands <= num_hashes:
        raise ValueError(f"bands is {bands}; it must be in 0..{num_hashes}, the number of hashes")
    bands, width = (bands, num_hashes // bands) if bands else choose_bands(similarity, num_hashes)
    edges: list[np.ndarray] = []
    for band in range(bands):
        _, first, inverse = np.unique(band_keys(signatures, band, width)[rows], return_index=True, return_inverse=True)
        pairs = np.stack([first[inverse], np.arange(num)], axis=1)
        edges.append(pairs[pairs[:, 0] != pairs[:, 1]])
    pairs = np.unique(np.concatenate(edges), axis=0)
    alike = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), 65536):
        a, b = rows[pairs[start : start + 65536].T]
        alike[start : start + 65536] = (signatures[a] == signatures[b]).mean(axis=1) >= similarity
        _forget(signatures)
    a, b = pairs[alike].T
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(num, num))
    return connected_components(graph, directed=False)[1]


def band_keys(signatures: np.ndarray, band: int, width: int) -> np.ndarray:
    """A 64-bit hash [N] of each row's hashes in a band, read in pieces."""
    keys = np.zeros(len(signatures), dtype=np.uint64)
    multiplier = np.uint64(0x9E3779B97F4A7C15)
    for start in range(0, len(keys), 65536):
        part = signatures[start : start + 65536, band * width : (band + 1) * width].astype(np.uint64)
        mixed = np.zeros(len(part), dtype=np.uint64)
        for column in part.T:
            mixed = (mixed ^ column) * multiplier
            mixed ^= mixed >> np.uint64(29)
        keys[start : start + 65536] = mixed
        _forget(signatures)
    return keys
