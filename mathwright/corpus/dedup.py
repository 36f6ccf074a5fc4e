"""§2.1: URL deduplication and near-deduplication of the pool (paper silent on the method).

Near-duplicates are found by MinHash over 5-word shingles (Daft's expression, on all cores, reading the text in
batches), LSH bands to find candidates and the share of equal hashes to confirm them. Pages linked directly or through
others form a cluster, of which the longest page stays (then the one with the smaller URL).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode, urlsplit

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mathwright.corpus.documents import read_columns
from mathwright.corpus.normalise import CJK

SHINGLE_WORDS = 5
_TRACKING = re.compile(
    r"utm_\w+|fbclid|gclid|dclid|msclkid|yclid|mc_[ce]id|igshid|_ga|_gl|_hsenc|_hsmi|ref_src|"
    r"phpsessid|jsessionid|sessionid|sid",
    re.IGNORECASE,
)
_PATH_SAFE = ":@!$&'()*+,;=~"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical_url(url: str) -> str:
    """The URL as a key: pages with the same key are the same page.

    Scheme and fragment are left out, host in lower case without a default port, percent-encoding in one form, tracking
    and session parameters removed and the rest sorted. An unparsable URL is its own key.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return url
    if not host:
        return url
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme.lower()):
        host = f"{host}:{port}"
    # Segment by segment: an encoded slash does not separate.
    path = "/".join(quote(unquote_to_bytes(segment), safe=_PATH_SAFE) for segment in (parts.path or "/").split("/"))
    path = re.sub(r";jsessionid=[^/;]*", "", path, flags=re.IGNORECASE)
    query = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.fullmatch(k)]
    return f"{host}{path}" + (f"?{urlencode(sorted(query))}" if query else "")


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


def find_duplicates(documents: Path, *, similarity: float, num_hashes: int, seed: int) -> Duplicates:
    """Find what is the same in a documents file by URL, by text, and nearly by text, each step on what the last left.

    `similarity` is the Jaccard similarity of shingle sets from which two pages count as near-duplicates, in (0, 1];
    `num_hashes` the number of MinHash permutations. Memory: num_hashes * 4 bytes a page and the URLs.
    """
    columns = read_columns(documents, ["url", "num_bytes"])
    urls, num_bytes = columns["url"], np.array(columns["num_bytes"], dtype=np.int64)
    num = len(urls)
    if num == 0:
        return Duplicates(keep=np.zeros(0, bool), reason=[], representative=np.zeros(0, np.int64), cluster_sizes={})
    text_hashes, signatures = text_signatures(documents, num_hashes, seed)
    order = sorted(range(num), key=lambda i: (-num_bytes[i], urls[i], i))  # best representative first
    representative = np.arange(num)
    reason = [""] * num
    for name, keys in (("same URL", [canonical_url(url) for url in urls]), ("same text", text_hashes.tolist())):
        first: dict[object, int] = {}
        for i in order:
            if not reason[i]:
                representative[i] = first.setdefault(keys[i], i)
                reason[i] = name if representative[i] != i else ""
    left = np.array([i for i in order if not reason[i]], dtype=np.int64)
    labels = near_clusters(signatures[left], similarity)
    best: dict[int, int] = {}
    for i, label in zip(left.tolist(), labels.tolist(), strict=True):
        representative[i] = best.setdefault(label, i)
        reason[i] = "near-duplicate" if representative[i] != i else ""
    for i in range(num):  # a copy of a page that was itself dropped points to the page that stays
        while representative[representative[i]] != representative[i]:
            representative[i] = representative[representative[i]]
    sizes = Counter(size for size in Counter(labels.tolist()).values() if size > 1)
    keep = np.array([not r for r in reason])
    return Duplicates(
        keep=keep, reason=reason, representative=representative, cluster_sizes=dict(sorted(sizes.items()))
    )


def text_signatures(documents: Path, num_hashes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(64-bit hash [N], MinHash signature [N, num_hashes] in uint32) of the texts in lower case, blanks collapsed."""
    import daft
    from daft.functions import minhash

    text = daft.col("text").lower().regexp_replace(f"([{CJK}])", " $1 ").regexp_replace(r"\s+", " ").lstrip().rstrip()
    table = (
        daft.read_parquet(str(documents))
        .select("url", text.alias("text"))
        .select(
            "url",
            daft.col("text").hash().alias("hash"),
            minhash(daft.col("text"), num_hashes=num_hashes, ngram_size=SHINGLE_WORDS, seed=seed).alias("signature"),
        )
        .to_arrow()
        .combine_chunks()
    )
    if table.column("url").to_pylist() != read_columns(documents, ["url"])["url"]:
        raise RuntimeError("Daft returned the rows in another order than the file has them")
    flat = table.column("signature").combine_chunks().flatten()
    signatures = flat.to_numpy(zero_copy_only=False).astype(np.uint32).reshape(len(table), num_hashes)
    return table.column("hash").to_numpy(), signatures


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


def near_clusters(signatures: np.ndarray, similarity: float) -> np.ndarray:
    """Cluster label [N] of each row of `signatures` [N, H], rows given with the best representative first.

    Pages that share a band are compared with the first page of that band's bucket, which keeps the number of
    comparisons linear when a template has a million copies; a pair counts when the share of equal hashes, an estimate
    of the Jaccard similarity, reaches `similarity`.
    """
    num, num_hashes = signatures.shape
    bands, rows = choose_bands(similarity, num_hashes)
    edges: list[np.ndarray] = []
    for band in range(bands):
        part = np.ascontiguousarray(signatures[:, band * rows : (band + 1) * rows])
        keys = part.view(np.dtype((np.void, part.dtype.itemsize * rows))).ravel()
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        pairs = np.stack([first[inverse], np.arange(num)], axis=1)
        edges.append(pairs[pairs[:, 0] != pairs[:, 1]])
    pairs = np.unique(np.concatenate(edges), axis=0)
    alike = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), 65536):
        a, b = pairs[start : start + 65536].T
        alike[start : start + 65536] = (signatures[a] == signatures[b]).mean(axis=1) >= similarity
    a, b = pairs[alike].T
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(num, num))
    return connected_components(graph, directed=False)[1]
