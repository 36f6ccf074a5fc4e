"""Sorting and computing over documents: the same whatever fits in memory, and little of it is held."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mathwright.corpus.documents import compute as documents_module
from mathwright.corpus.documents import sort, table
from mathwright.corpus.documents.compute import DocumentWriter, read_columns, read_rows, to_row
from mathwright.corpus.documents.sort import write_sorted
from mathwright.records import Document


def write_documents(path: Path, count: int, *, rng: random.Random, words: int = 30) -> Path:
    """Documents in no order: some URLs twice, some in one gzip member (one offset), one of them long."""
    with DocumentWriter(path) as writer:
        for number in range(count):
            text = " ".join(f"{rng.getrandbits(64):x}" for _ in range(rng.randrange(1, words)))
            if number == count // 2:
                text *= 500
            url = f"https://{rng.choice('abc')}.org/{rng.randrange(count)}"
            writer.write(
                to_row(
                    Document(url=url, title=str(number), text=text, archive=f"{number % 3}.warc", offset=number // 2)
                )
            )
    return path


@pytest.mark.parametrize("sort_bytes", [1, 3_000, 40_000, 1 << 30])
def test_the_order_is_that_of_the_urls_however_little_is_sorted_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sort_bytes: int
) -> None:
    rng = random.Random(1)
    path = write_documents(tmp_path / "documents.parquet", 1500, rng=rng)
    keep = np.array([rng.random() < 0.7 for _ in range(1500)])
    monkeypatch.setattr(sort, "SORT_BYTES", sort_bytes)
    monkeypatch.setattr(sort, "MAX_PARTS", 4)
    monkeypatch.setattr(documents_module, "BATCH_BYTES", 20_000)
    write_sorted(path, keep, tmp_path / "sorted.parquet")
    rows = [row for row, kept in zip(read_rows(path), keep, strict=True) if kept]
    expected = sorted(rows, key=lambda row: (row["url"], row["archive"], row["offset"]))
    assert list(read_rows(tmp_path / "sorted.parquet")) == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == ["documents.parquet", "sorted.parquet"]


def test_nothing_kept_is_an_empty_file(tmp_path: Path) -> None:
    path = write_documents(tmp_path / "documents.parquet", 5, rng=random.Random(0))
    write_sorted(path, np.zeros(5, dtype=bool), tmp_path / "sorted.parquet")
    assert list(read_rows(tmp_path / "sorted.parquet")) == []


def test_expressions_are_the_same_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import daft

    path = write_documents(tmp_path / "documents.parquet", 1300, rng=random.Random(2))
    lengths = [len(text) for text in read_columns(path, ["text"])["text"]]
    for part_bytes in (1, 1 << 30):
        monkeypatch.setattr(table, "PART_BYTES", part_bytes)
        found = np.full(1300, -1)
        num_parts = len(list(table._parts(path)))
        for rows, batch in table.compute(path, length=daft.col("text").length()):
            found[rows] = batch.column("length").to_numpy()
        assert found.tolist() == lengths
        assert num_parts == (3 if part_bytes == 1 else 1)


READ_ALL = """
import sys, pyarrow
from pathlib import Path
from mathwright.corpus.documents import compute as documents
documents.BATCH_ROWS = 64
assert sum(1 for _ in documents.read_rows(Path(sys.argv[1]), ["text"])) == 6000
print(pyarrow.default_memory_pool().max_memory())
"""


def test_reading_holds_a_row_group_and_not_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "BATCH_ROWS", 64)
    path = write_documents(tmp_path / "documents.parquet", 6000, rng=random.Random(3), words=1800)
    size = path.stat().st_size
    assert size > 32 << 20
    done = subprocess.run([sys.executable, "-c", READ_ALL, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 0.6 * size, (done.stdout, size)


SORT = """
import resource, sys
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
from mathwright.corpus.documents import sort

path = Path(sys.argv[1])
sort.SORT_BYTES = 8 << 20
sort.write_sorted(path, np.ones(pq.ParquetFile(path).metadata.num_rows, bool), path.with_name("pool.parquet"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_texts_are_not_held_while_pages_are_put_in_order(tmp_path):
    peaks = []
    for count in (2_000, 16_000):
        path = tmp_path / f"{count}" / "pages.parquet"
        text = "".join(random.Random(0).choices("abcdefgh ijkl", k=20_000))
        with DocumentWriter(path) as writer:
            for i in range(count):
                start = i * 7919 % 10_000
                document = Document(url=f"{i * 7919 % count}", title="", text=text[start : start + 10_000], offset=i)
                writer.write(to_row(document))
        done = subprocess.run(
            [sys.executable, "-c", SORT, str(path)], cwd=Path(__file__).parents[3], capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 60, peaks  # MiB; the texts are 133 MiB more
