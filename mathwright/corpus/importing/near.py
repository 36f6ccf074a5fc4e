"""Documents that are nearly the same as one of another corpus: MinHash by Daft, and an index of bands on disk.

The shingles, hashes and bands are those of the deduplication (`documents/dedup.py`). Signatures and sorted band keys of
the other corpus are files mapped into memory, so its size is bounded by the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mathwright.corpus.documents.compute import open_documents, read_columns
from mathwright.corpus.documents.dedup import band_keys, choose_bands, text_signatures
from mathwright.errors import MathwrightError

NUM_HASHES = 128
CANDIDATES = 16
"""Documents of the other corpus in one bucket that a document is compared with: a template may have a million."""


def documents_files(corpus: Path) -> list[Path]:
    """The documents files of a corpus: a Parquet file, or those of a folder that an import or a run has written.

    Raises MathwrightError where there is none, or one without the columns that name a document.
    """
    files = [corpus] if corpus.is_file() else sorted(corpus.glob("documents*.parquet"))
    files = files or sorted(corpus.glob("documents/*.parquet"))
    if not files:
        raise MathwrightError(
            f"{corpus}: no documents*.parquet", hint="give a folder that `mathwright corpus import` has written"
        )
    for file in files:
        names = open_documents(file).schema_arrow.names
        if missing := [name for name in ("text", "url", "archive", "offset") if name not in names]:
            raise MathwrightError(
                f"{file}: no column {missing[0]}", hint="import it first: mathwright corpus import text ..."
            )
    return files


class NearIndex:
    """Finds the document of another corpus that a document is nearly the same as."""

    def __init__(self, files: list[Path], folder: Path, *, similarity: float, seed: int) -> None:
        """Makes the index in `folder`, which is kept; one that is there already is taken."""
        self.files, self.similarity, self.seed = files, similarity, seed
        self.bands, self.width = choose_bands(similarity, NUM_HASHES)
        self._starts = np.cumsum([0, *(open_documents(file).metadata.num_rows for file in files)])
        """[files + 1] number of the first document of each file."""
        self._paths = [folder / f"signatures-{number:05d}" for number in range(len(files))]
        self._band_paths = [folder / f"band-{band:03d}.npy" for band in range(self.bands)]
        done = folder / "done"
        if not done.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            self._make()
            done.touch()
        self._signatures = [
            np.memmap(path, dtype=np.uint32, mode="r", shape=(int(end - start), NUM_HASHES)) if end > start else None
            for path, start, end in zip(self._paths, self._starts[:-1], self._starts[1:], strict=True)
        ]
        self._bands = [np.load(path, mmap_mode="r") for path in self._band_paths]
        """Each [2, N]: sorted keys, and the documents that have them."""

    def _make(self) -> None:
        for file, path in zip(self.files, self._paths, strict=True):
            if open_documents(file).metadata.num_rows:
                text_signatures(file, path, NUM_HASHES, self.seed)
        for band, path in enumerate(self._band_paths):
            keys = np.concatenate(
                [np.zeros(0, np.uint64), *(self._keys(file, band) for file in range(len(self.files)))]
            )
            order = np.argsort(keys, kind="stable")
            np.save(path, np.stack([keys[order], order.astype(np.uint64)]))

    def _keys(self, file: int, band: int) -> np.ndarray:
        num = int(self._starts[file + 1] - self._starts[file])
        if num == 0:
            return np.zeros(0, dtype=np.uint64)
        signatures = np.memmap(self._paths[file], dtype=np.uint32, mode="r", shape=(num, NUM_HASHES))
        return band_keys(signatures, band, self.width)

    def find(self, documents: Path, scratch: Path) -> np.ndarray:
        """For each row of a documents file [N] the number of the document that it is nearly the same as, or -1.

        `scratch`: a folder for the signatures of the file, which are removed again.
        """
        num = open_documents(documents).metadata.num_rows
        found = np.full(num, -1, dtype=np.int64)
        if num == 0:
            return found
        own = scratch / f"{documents.name}.signatures"
        try:
            text_signatures(documents, own, NUM_HASHES, self.seed)
            signatures = np.memmap(own, dtype=np.uint32, mode="r", shape=(num, NUM_HASHES))
            for band, (keys, numbers) in enumerate(self._bands):
                wanted = band_keys(signatures, band, self.width)
                first, last = np.searchsorted(keys, wanted), np.searchsorted(keys, wanted, side="right")
                for row in np.flatnonzero((last > first) & (found < 0)).tolist():
                    bucket = numbers[first[row] : min(last[row], first[row] + CANDIDATES)].tolist()
                    found[row] = next((n for n in bucket if self._alike(signatures[row], int(n))), -1)
        finally:
            own.unlink(missing_ok=True)
        return found

    def _alike(self, signature: np.ndarray, number: int) -> bool:
        file = int(np.searchsorted(self._starts, number, side="right")) - 1
        other = self._signatures[file]
        assert other is not None, "the document is in a file with documents"
        return bool((signature == other[number - int(self._starts[file])]).mean() >= self.similarity)

    def names(self, numbers: list[int]) -> Iterator[str]:
        """The address of each document, or where it stands."""
        columns = [read_columns(file, ["url", "archive", "offset"]) for file in self.files]
        for number in numbers:
            file = int(np.searchsorted(self._starts, number, side="right")) - 1
            row = number - int(self._starts[file])
            names = columns[file]
            yield names["url"][row] or f"{names['archive'][row]}:{names['offset'][row]}"
