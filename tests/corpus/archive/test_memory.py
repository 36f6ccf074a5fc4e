"""Memory does not grow with the archive, nor with what a hostile one claims to hold."""

import gzip
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.archives import record, response

SIZE_MIB = int(os.environ.get("ARCHIVE_MIB", "128"))
"""Size of the archives; set it to 4096 to see the same with four gigabytes."""

READ = """
import os, sys
from collections import Counter
from mathwright.corpus.archive import read_pages

def resident():
    fields = open("/proc/self/smaps_rollup").read().split()
    return int(fields[fields.index("Rss:") + 1]) / 1024

counts, early, peak = Counter(), 0, 0
for number, page in enumerate(read_pages(sys.argv[1], counts=counts)):
    if number % 500 == 499:
        peak = max(peak, resident())
        early = early or peak
print(counts["pages"], counts["damaged"], counts["too_large"], early or resident(), max(peak, resident()))
"""


def measure(path: Path) -> tuple[int, int, int, float, float]:
    """Pages, damages, records too large, and resident memory in MiB: after 500 pages, and at most."""
    if not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("no /proc/self/smaps_rollup: memory is measured on Linux only")
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    pages, damaged, too_large, early, peak = done.stdout.split()
    return int(pages), int(damaged), int(too_large), float(early), float(peak)


def repeated(path: Path, units: list[bytes], *, damaged_every: int = 0) -> int:
    """Write the units over and over until the archive has its size; returns how often."""
    block = b"".join(units)
    times = (SIZE_MIB << 20) // len(block)
    with path.open("wb") as file:
        for number in range(times):
            file.write(block)
            if damaged_every and number % damaged_every == 0:
                file.write(random.Random(number).randbytes(5000))
    return times


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["gzip", "plain", "gzip with damage", "plain with damage", "one gzip member"])
def test_memory_is_flat(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "large.warc"
    body = bytes(random.Random(1).choices(b"abcdefgh <>\n", k=60_000))  # compresses to half of it
    records = [record("request", b"GET / HTTP/1.1\r\n\r\n"), response("http://a/", body)] * 20
    if storage == "one gzip member":
        times = SIZE_MIB * (1 << 20) // sum(map(len, records))
        with gzip.open(path, "wb", compresslevel=1) as file:
            for _ in range(times):
                file.write(b"".join(records))
    else:
        units = [gzip.compress(data) if storage.startswith("gzip") else data for data in records]
        times = repeated(path, units, damaged_every=5 if "damage" in storage else 0)
    pages, damaged, _, early, peak = measure(path)
    print(
        f"{storage}: {path.stat().st_size >> 20} MiB, {pages} pages, {early:.0f} MiB after 500, {peak:.0f} MiB at most"
    )
    assert pages == 20 * times
    assert damaged == (-(-times // 5) if "damage" in storage else 0)
    assert peak < early + 8 and peak < 200


@pytest.mark.parametrize("compressed", [pytest.param(True, marks=pytest.mark.slow), False], ids=["gzip", "plain"])
def test_a_record_of_two_gigabytes_is_passed_over(tmp_path: Path, compressed: bool) -> None:
    """Written with holes, or as a bomb of 2 MB: it takes no space on the disk."""
    size = 2 << 30
    head = record("response", b"", "http://bomb/").replace(b"Content-Length: 0", b"Content-Length: %d" % size)[:-4]
    before, behind = response("http://a/1", b"<p>x"), response("http://a/2", b"<p>y")
    path = tmp_path / "bomb.warc"
    if compressed:
        with path.open("wb") as file:
            file.write(gzip.compress(before))
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as member:
                member.write(head)
                for _ in range(size >> 24):
                    member.write(bytes(1 << 24))
                member.write(b"\r\n\r\n")
            file.write(gzip.compress(behind))
    else:
        with path.open("wb") as file:
            file.write(before + head)
            file.seek(size, os.SEEK_CUR)
            file.write(b"\r\n\r\n" + behind)
    pages, damaged, too_large, _, peak = measure(path)
    assert (pages, damaged, too_large) == (2, 0, 1)
    assert peak < 150


@pytest.mark.parametrize("compressed", [True, False], ids=["gzip", "plain"])
def test_a_length_that_nothing_fills_takes_no_memory(tmp_path: Path, compressed: bool) -> None:
    bad = response("http://a/1", b"<p>x").replace(b"Content-Length: ", b"Content-Length: 9999999999")
    units = [gzip.compress(data) if compressed else data for data in (bad, response("http://a/2", b"<p>y"))]
    path = tmp_path / "short.warc"
    path.write_bytes(b"".join(units))
    pages, damaged, _, _, peak = measure(path)
    assert (pages, damaged) == (1, 1)
    assert peak < 150
