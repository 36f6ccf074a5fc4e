"""Documents files are put in order in pieces, whatever the pieces are."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mathwright.corpus.documents import DocumentWriter, read_rows, to_row, write_sorted
from mathwright.records import Document


def write(path, count, size=200):
    rng = random.Random(count)
    with DocumentWriter(path) as writer:
        for i in range(count):
            url = f"http://{rng.choice('abcé中😀')}.org/{rng.randrange(count)}"
            text = "".join(rng.choices("ab cd\n", k=rng.randrange(size)))
            writer.write(to_row(Document(url=url, title=f"{i}", text=text, archive=f"{i % 7}", offset=i)))
    return list(read_rows(path))


@pytest.mark.parametrize(("sort_bytes", "merged_runs"), [(1 << 30, 128), (100_000, 128), (30_000, 2), (1, 3)])
def test_the_order_does_not_depend_on_the_pieces(tmp_path, sort_bytes, merged_runs):
    rows = write(tmp_path / "pages.parquet", 3000)
    keep = np.arange(3000) % 3 != 1
    output = tmp_path / "pool" / "pool.parquet"
    write_sorted(tmp_path / "pages.parquet", keep, output, sort_bytes=sort_bytes, merged_runs=merged_runs)
    expected = sorted(
        (row for row, kept in zip(rows, keep, strict=True) if kept),
        key=lambda row: (row["url"], row["archive"], row["offset"]),
    )
    assert list(read_rows(output)) == expected
    assert [path.name for path in output.parent.iterdir()] == ["pool.parquet"]


def test_nothing_is_kept_of_nothing(tmp_path):
    write(tmp_path / "pages.parquet", 10)
    write_sorted(tmp_path / "pages.parquet", np.zeros(10, bool), tmp_path / "pool.parquet")
    assert list(read_rows(tmp_path / "pool.parquet")) == []


SORT = """
import resource, sys
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
from mathwright.corpus.documents import write_sorted

path = Path(sys.argv[1])
write_sorted(path, np.ones(pq.ParquetFile(path).metadata.num_rows, bool), path.with_name("pool.parquet"),
             sort_bytes=8 << 20)
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
            [sys.executable, "-c", SORT, str(path)], cwd=Path(__file__).parents[2], capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 60, peaks  # MiB; the texts are 133 MiB more
