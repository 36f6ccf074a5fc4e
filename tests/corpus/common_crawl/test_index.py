"""Common Crawl's indexes and the fetching of single records, against a local server that behaves as theirs."""

import datetime
import gzip
import json
import random
import time
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mathwright.cli import main
from mathwright.corpus.archive import read_pages
from mathwright.corpus.archive.listing import find_archives
from mathwright.corpus.common_crawl import fetch as cc_fetch
from mathwright.corpus.common_crawl.client import PoliteClient
from mathwright.corpus.common_crawl.fetch import check_record, fetch, in_requests
from mathwright.corpus.common_crawl.index import Capture, Wanted, find_captures
from mathwright.errors import MathwrightError
from mathwright.records import Page
from tests.corpus.common_crawl.cc_server import CommonCrawl, cdx_fields, write_cdxj
from tests.corpus.warc_making import page_html, record, response

ARCHIVES = ("crawl-data/seg/a.warc.gz", "crawl-data/seg/b.warc.gz")
NUM_PAGES = 10


def hasty(**options):
    return PoliteClient(requests_per_s=10_000, tries=3, first_pause_s=0.01, **options)


@pytest.fixture
def crawl(tmp_path):
    """A crawl of two archives, its index, and a server of both; pages of two hosts of one domain and of another."""
    rows = []
    folder = tmp_path / "bucket"
    (folder / "crawl-data" / "seg").mkdir(parents=True)
    for name in ARCHIVES:
        data = b""
        for i in range(NUM_PAGES):
            for host, surt in (
                ("docs.math.org", "org,math,docs"),
                ("www.math.org", "org,math"),
                ("shop.com", "com,shop"),
            ):
                url = f"https://{host}/{'guide' if i % 2 else 'blog'}/{i}{name[-9]}"
                request = gzip.compress(record("request", url, b"GET / HTTP/1.1\r\n\r\n"), mtime=0)
                member = gzip.compress(response(url, page_html(i)), mtime=0)
                data += request
                rows.append(cdx_fields(url, f"{surt}){url.split(host)[1]}", name, len(data), len(member)))
                data += member
        (folder / name).write_bytes(data)
    rows.sort(key=lambda row: (row["urlkey"], row["timestamp"]))
    server = CommonCrawl(rows, folder)
    yield server
    server.shutdown()
    server.server_close()


def write_columnar(path, rows):
    """The columnar index of these rows, with the real table's names and types, sorted as it is."""
    stamps = [datetime.datetime.strptime(row["timestamp"], "%Y%m%d%H%M%S") for row in rows]
    hosts = [row["url"].split("/")[2] for row in rows]
    table = pa.table(
        {
            "url_surtkey": [row["urlkey"] for row in rows],
            "url": [row["url"] for row in rows],
            "url_host_name": hosts,
            "url_host_registered_domain": [".".join(host.split(".")[-2:]) for host in hosts],
            "fetch_time": pa.array(stamps, pa.timestamp("ms")),
            "fetch_status": pa.array([int(row["status"]) for row in rows], pa.int16()),
            "content_digest": [row["digest"] for row in rows],
            "content_mime_type": [row["mime"] for row in rows],
            "content_mime_detected": [row["mime-detected"] for row in rows],
            "content_languages": [row["languages"] for row in rows],
            "warc_filename": [row["filename"] for row in rows],
            "warc_record_offset": pa.array([int(row["offset"]) for row in rows], pa.int32()),
            "warc_record_length": pa.array([int(row["length"]) for row in rows], pa.int32()),
            "warc_segment": ["seg" for _ in rows],
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=8)
    return path


# --- looking up ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["server", "cdxj", "cdxj.gz", "parquet", "parquet list"])
@pytest.mark.parametrize(
    ("wanted", "num"),
    [
        (Wanted(prefixes=("docs.math.org/guide/",)), NUM_PAGES),
        (Wanted(prefixes=("https://docs.math.org",)), 2 * NUM_PAGES),
        (Wanted(prefixes=("math.org/blog",)), NUM_PAGES),  # www. counts for nothing
        (Wanted(domains=("math.org",)), 4 * NUM_PAGES),
        (Wanted(domains=("math.org",), prefixes=("shop.com/guide/",)), 5 * NUM_PAGES),
        (Wanted(domains=("ath.org", "hop.com")), 0),
    ],
)
def test_all_forms_of_the_index_give_the_same(form, wanted, num, crawl, tmp_path):
    if form == "server":
        index = crawl.index
    elif form.startswith("cdxj"):
        index = str(write_cdxj(tmp_path / f"cdx.{form}", crawl.rows))
    else:
        part = "cc-index/table/cc-main/warc/crawl=X/subset={}/part-0.parquet"
        write_columnar(crawl.folder / part.format("warc"), crawl.rows)
        write_columnar(crawl.folder / part.format("robotstxt"), crawl.rows)
        index = str(crawl.folder / part.format("warc"))
        if form == "parquet list":
            index = str(tmp_path / "cc-index-table.paths.gz")
            lines = [f"{crawl.root}/data/{part.format(subset)}" for subset in ("robotstxt", "warc")]
            (tmp_path / "cc-index-table.paths.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    found, _, _ = find_captures([index], wanted, client=hasty())
    expected = {row["url"] for row in crawl.rows if wanted.matches(row["url"])}
    assert len(expected) == num
    assert {capture.url for capture in found} == expected
    if found:
        row = next(row for row in crawl.rows if row["url"] == found[0].url)
        assert found[0] == Capture(
            url=row["url"], archive=row["filename"], offset=int(row["offset"]), length=int(row["length"]), status=200,
            mime="text/html", digest=row["digest"], date="2024-03-02T10:11:12Z", languages="eng",
        )  # fmt: skip
        assert [(c.archive, c.offset) for c in found] == sorted((c.archive, c.offset) for c in found)


def test_of_a_page_the_latest_capture_is_taken(tmp_path):
    same = "https://www.math.org/a"
    rows = [
        cdx_fields(same, "org,math)/a", "old.warc.gz", 1, 9, timestamp="20230101000000"),
        cdx_fields("http://math.org/a#top", "org,math)/a", "new.warc.gz", 1, 9, timestamp="20240101000000"),
        cdx_fields(same, "org,math)/a", "middle.warc.gz", 1, 9, timestamp="20230601000000"),
        cdx_fields("https://math.org/b", "org,math)/b", "new.warc.gz", 20, 9, status="404"),
        cdx_fields("https://math.org/c", "org,math)/c", "new.warc.gz", 30, 9, **{"mime-detected": "image/png"}),
        cdx_fields("https://math.org/d", "org,math)/d", "new.warc.gz", 40, 9, languages="deu,eng"),
    ]
    path = write_cdxj(tmp_path / "i.cdxj", rows)
    found, dropped, num_in = find_captures([str(path)], Wanted(domains=("math.org",), languages=("eng",)))
    assert [capture.archive for capture in found] == ["new.warc.gz"]
    assert dropped == {
        "older capture of the same page": 2, "status 404": 1, "type image/png": 1, "language deu": 1,
    }  # fmt: skip
    assert num_in == len(found) + dropped.total()


def test_of_the_columnar_index_little_is_read(tmp_path):
    """A host among thousands: its row group and the footer, not the file."""
    rng = random.Random(0)
    rows = [
        cdx_fields(
            f"https://h{i:05d}.com/{rng.random()}",
            f"com,h{i:05d})/",
            "a.warc.gz",
            i,
            10,
            digest=rng.randbytes(16).hex(),
        )
        for i in range(20_000)
    ]
    path = write_columnar(tmp_path / "data" / "part-0.parquet", rows)
    pq.write_table(pq.read_table(path), path, row_group_size=500)
    server = CommonCrawl([], tmp_path / "data")
    index = f"{server.root}/data/part-0.parquet"
    found, _, num_in = find_captures([index], Wanted(domains=("h00700.com",)))
    server.shutdown()
    server.server_close()
    assert len(found) == num_in == 1 and found[0].url.startswith("https://h00700.com/")
    ranges = [request.split("bytes=")[1].split("-") for request in server.requests if "bytes=" in request]
    num_bytes = sum(int(last) - int(first) + 1 for first, last in ranges if first)  # "-131072" is for the footer
    assert 0 < num_bytes < path.stat().st_size / 20


@pytest.mark.parametrize("name", ["", "https:///path", "  "])
def test_a_prefix_needs_a_host(name):
    with pytest.raises(MathwrightError, match="host"):
        Wanted(prefixes=(name.strip(),))


def test_bad_lookups_are_named(crawl, tmp_path):
    wanted = Wanted(domains=("math.org",))
    bad = tmp_path / "bad.cdxj"
    bad.write_text('org,math)/ 20240101000000 {"url": "https://math.org/", "offset": "x"}\n')
    broken = tmp_path / "broken.cdxj"
    broken.write_text("org,math)/ 20240101000000 {nonsense\n")
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    text = tmp_path / "text.parquet"
    text.write_text("nothing")
    cut = tmp_path / "cut.cdx.gz"
    cut.write_bytes(gzip.compress(b"x" * 100_000)[:50])
    for index, message in [
        (str(bad), r"bad\.cdxj:1: KeyError 'filename'"),
        (str(broken), r"broken\.cdxj:1: not JSON"),
        (str(other), r"other\.parquet"),
        (str(text), r"text\.parquet"),
        (str(cut), r"cut\.cdx\.gz: cannot be read"),
        (str(tmp_path / "none.cdxj"), "no archive at"),
        ("index.html", "no index that is known"),
        (crawl.root + "/CC-MAIN-1999-01-index", "status 404"),
    ]:
        with pytest.raises(MathwrightError, match=message) as caught:
            find_captures([index], wanted, client=hasty())
        assert caught.value.hint
    with pytest.raises(MathwrightError, match="nothing to look up"):
        Wanted()
    with pytest.raises(MathwrightError, match="is no domain"):
        Wanted(domains=("math.org/blog",))


def test_a_busy_index_is_asked_again_and_a_dead_one_given_up(crawl):
    crawl.failures["/CC-MAIN-2024-10-index"] = 2
    found, _, _ = find_captures([crawl.index], Wanted(domains=("math.org",)), client=hasty())
    assert len(found) == 4 * NUM_PAGES
    crawl.failures["/CC-MAIN-2024-10-index"] = 3
    with pytest.raises(MathwrightError, match="status 503, 3 times"):
        find_captures([crawl.index], Wanted(domains=("math.org",)), client=hasty())
    crawl.statuses["/CC-MAIN-2024-10-index"] = 403
    with pytest.raises(MathwrightError, match=r"status 403.*lower --index-requests-per-s"):
        find_captures([crawl.index], Wanted(domains=("math.org",)), client=hasty())


def test_requests_keep_their_distance(crawl):
    client = PoliteClient(requests_per_s=20)
    started = time.monotonic()
    for _ in range(5):
        client.get(crawl.index + "?url=none.org&matchType=domain&showNumPages=true")
    assert time.monotonic() - started >= 4 / 20


# --- fetching -----------------------------------------------------------------------------------------


def run_fetch(crawl, folder, wanted=Wanted(domains=("math.org",)), indexes=None, **options):  # noqa: B008
    options = {"archives": crawl.root + "/data/", "data_client": hasty(), **options}
    return fetch(indexes or [crawl.index], wanted, folder, index_client=hasty(), **options)


def fetched(folder):
    pages = [item for path in sorted(folder.glob("fetched-*.warc.gz")) for item in read_pages(path)]
    assert all(isinstance(page, Page) for page in pages)
    return {page.url: page.html for page in pages if isinstance(page, Page)}


def originals(crawl, wanted):
    pages = (item for name in ARCHIVES for item in read_pages(crawl.folder / name))
    return {page.url: page.html for page in pages if isinstance(page, Page) and wanted.matches(page.url)}


def test_what_is_fetched_is_what_the_archives_hold(crawl, tmp_path):
    wanted = Wanted(domains=("math.org",))
    assert run_fetch(crawl, tmp_path / "out", wanted) == 4 * NUM_PAGES
    assert fetched(tmp_path / "out") == originals(crawl, wanted)
    ranges = [request for request in crawl.requests if "bytes=" in request]
    assert len(ranges) == 2, "near records are fetched by one request"
    assert run_fetch(crawl, tmp_path / "out", wanted) == 4 * NUM_PAGES
    assert len([request for request in crawl.requests if "bytes=" in request]) == 2, "nothing is fetched again"


def test_from_a_folder_the_same(crawl, tmp_path):
    run_fetch(crawl, tmp_path / "a", archives=str(crawl.folder))
    run_fetch(crawl, tmp_path / "b")
    assert (tmp_path / "a" / "fetched-00000.warc.gz").read_bytes() == (
        tmp_path / "b" / "fetched-00000.warc.gz"
    ).read_bytes()


def test_a_fetch_stopped_anywhere_goes_on(crawl, tmp_path, monkeypatch):
    """Each record by a request of its own; the server fails at the n-th, and the last write is torn."""
    monkeypatch.setattr(cc_fetch, "MAX_GAP_BYTES", -1)
    monkeypatch.setattr(cc_fetch, "MAX_FILE_BYTES", 2_000)
    run_fetch(crawl, tmp_path / "whole")
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("fetched*")}
    assert len(whole) > 3
    folder = tmp_path / "stopped"
    for stop in (3, 8, 20):
        get = PoliteClient.get
        left = [stop]

        def failing(self, url, *, headers=None, get=get, left=left):
            if headers:
                left[0] -= 1
                if left[0] < 0:
                    raise MathwrightError("out of reach", hint="later")
            return get(self, url, headers=headers)

        with monkeypatch.context() as patch:
            patch.setattr(PoliteClient, "get", failing)
            with pytest.raises(MathwrightError, match="out of reach"):
                run_fetch(crawl, folder)
        last = max(folder.glob("fetched-*.warc.gz"))
        last.write_bytes(last.read_bytes() + b"\x1f\x8b half a record")
        with (folder / "fetched.jsonl").open("a") as log:
            log.write('{"url": "https://cut')
    run_fetch(crawl, folder)
    assert {path.name: path.read_bytes() for path in folder.glob("fetched*")} == whole


def test_what_cannot_be_had_is_counted(crawl, tmp_path):
    rows = sorted(
        (row for row in crawl.rows if "math.org" in row["url"]), key=lambda r: (r["filename"], int(r["offset"]))
    )
    size = (crawl.folder / ARCHIVES[0]).stat().st_size
    rows[0] |= {"offset": str(int(rows[0]["offset"]) + 1)}
    rows[1] |= {"length": str(int(rows[1]["length"]) - 5)}
    rows[2] |= {"offset": rows[3]["offset"], "length": rows[3]["length"]}
    rows[4] |= {"filename": "crawl-data/seg/none.warc.gz"}
    rows[5] |= {"offset": str(size + 10_000_000)}
    last = max(
        (row for row in crawl.rows if row["filename"] == ARCHIVES[0] and row not in rows),
        key=lambda row: int(row["offset"]),
    )
    assert last["url"].startswith("https://shop.com")
    last |= {"length": str(int(last["length"]) + 99)}
    index = write_cdxj(tmp_path / "i.cdxj", sorted(crawl.rows, key=lambda row: row["urlkey"]))
    num = run_fetch(crawl, tmp_path / "out", Wanted(domains=("math.org", "shop.com")), [str(index)])
    assert num == 6 * NUM_PAGES - 6
    report = json.loads((tmp_path / "out" / "fetch.json").read_text())
    assert report["dropped"] == {
        "no record begins there": 1,
        "the record is longer than the index says": 1,
        "another record lies there": 1,
        "no such archive": 1,
        "the archive ends before the record": 2,
    }
    rejected = [json.loads(line) for line in (tmp_path / "out" / "rejected" / "fetch.jsonl").read_text().splitlines()]
    assert len(rejected) == 6 and all(row["reason"] and row["archive"] for row in rejected)
    assert len(fetched(tmp_path / "out")) == num


def test_a_broken_answer_is_asked_for_again(crawl, tmp_path):
    captures, _, _ = find_captures([crawl.index], Wanted(domains=("math.org",)), client=hasty())
    (first, second) = in_requests(captures)
    crawl.cut = {f"bytes={g[0].offset}-{g[-1].offset + g[-1].length - 1}" for g in (first, second)}
    crawl.failures["/data/" + ARCHIVES[0]] = 1
    assert run_fetch(crawl, tmp_path / "out") == 4 * NUM_PAGES
    assert not crawl.cut
    assert len([request for request in crawl.requests if "bytes=" in request]) == 5


@pytest.mark.parametrize(("status", "message"), [(403, "refuses you"), (503, "status 503"), (418, "status 418")])
def test_a_server_that_refuses_stops_the_fetch(crawl, tmp_path, status, message):
    crawl.statuses["/data/" + ARCHIVES[1]] = status
    with pytest.raises(MathwrightError, match=message) as caught:
        run_fetch(crawl, tmp_path / "out", num_threads=1)
    assert caught.value.hint
    crawl.statuses.clear()
    assert run_fetch(crawl, tmp_path / "out") == 4 * NUM_PAGES


def test_one_folder_is_one_fetch(crawl, tmp_path):
    run_fetch(crawl, tmp_path / "out")
    with pytest.raises(MathwrightError, match="other wanted"):
        run_fetch(crawl, tmp_path / "out", Wanted(domains=("shop.com",)))
    with pytest.raises(MathwrightError, match="no such page"):
        run_fetch(crawl, tmp_path / "none", Wanted(domains=("nowhere.org",)))


def test_archives_of_another_making_are_not_overwritten(crawl, tmp_path):
    (tmp_path / "fetched-00000.warc.gz").write_bytes(b"of somebody")
    with pytest.raises(MathwrightError, match="would be overwritten"):
        run_fetch(crawl, tmp_path)
    assert (tmp_path / "fetched-00000.warc.gz").read_bytes() == b"of somebody"


def test_uncompressed_records_are_compressed(tmp_path):
    data = response("https://a.org/x", page_html(1))
    (tmp_path / "plain.warc").write_bytes(b"junk" + data)
    rows = [cdx_fields("https://a.org/x", "org,a)/x", "plain.warc", 4, len(data))]
    index = write_cdxj(tmp_path / "i.cdxj", rows)
    assert fetch([str(index)], Wanted(domains=("a.org",)), tmp_path / "out", archives=str(tmp_path)) == 1
    assert fetched(tmp_path / "out") == {"https://a.org/x": page_html(1).encode()}


def test_a_record_is_checked_before_it_is_kept():
    data = gzip.compress(response("https://a.org/x", page_html(1)), mtime=0)
    capture = Capture(
        url="https://a.org/x", archive="a", offset=0, length=len(data), status=200, mime="text/html", digest="", date=""
    )
    assert check_record(data, capture) == ""
    assert check_record(data[:-1], capture) == "the archive ends before the record"
    flipped = data[:60] + bytes([data[60] ^ 255]) + data[61:]
    assert check_record(flipped, capture) == "the record is damaged"
    assert check_record(data, replace(capture, url="https://a.org/y")) == "another record lies there"
    asked = gzip.compress(record("request", "https://a.org/x", b"GET / HTTP/1.1\r\n\r\n"))
    assert check_record(asked, replace(capture, length=len(asked))) == "another record lies there"


def test_requests_group_what_is_near():
    def at(archive, offset, length):
        return Capture(url="u", archive=archive, offset=offset, length=length, status=200, mime="", digest="", date="")

    near = [at("a", 0, 100), at("a", 150, 100), at("a", 250 + cc_fetch.MAX_GAP_BYTES, 10)]
    far = at("a", 270 + 2 * cc_fetch.MAX_GAP_BYTES, 10)
    assert list(in_requests([*near, far, at("b", 0, 5)])) == [near, [far], [at("b", 0, 5)]]
    large = [at("a", 0, 10), at("a", 10, cc_fetch.MAX_REQUEST_BYTES)]
    assert list(in_requests(large)) == [[large[0]], [large[1]]]


def test_the_command(crawl, tmp_path, capsys):
    """Fetch, and then read what was fetched as any archive."""
    arguments = ("--url-prefix", "docs.math.org/guide/", "--out", str(tmp_path / "out"), "--limit", "4")
    main(
        (
            "fetch",
            "--index",
            crawl.index,
            "--archives",
            crawl.root + "/data/",
            "--index-requests-per-s",
            "100",
            *arguments,
        )
    )
    printed = capsys.readouterr()
    assert printed.out.strip() == str(tmp_path / "out" / "fetched-*.warc.gz")
    (archive,) = find_archives([printed.out.strip()])
    assert len([page for page in read_pages(archive) if isinstance(page, Page)]) == 4
    assert "over the limit 6" in printed.err


# --- lists of archives --------------------------------------------------------------------------------


def test_lists_and_globs_of_archives(crawl, tmp_path):
    (crawl.folder / "warc.paths.gz").write_bytes(gzip.compress("\n".join(ARCHIVES).encode()))
    local = [str(crawl.folder / name) for name in ARCHIVES]
    assert find_archives([str(crawl.folder / "warc.paths.gz")]) == local
    assert find_archives([str(crawl.folder / "**" / "*.warc.gz"), local[0]]) == local
    over_http = [f"{crawl.root}/{name}" for name in ARCHIVES]
    assert find_archives([crawl.root + "/data/warc.paths.gz"]) == over_http  # as Common Crawl: below the host
    assert find_archives([crawl.root + "/data/warc.paths.gz"], prefix="s3://commoncrawl/") == [
        f"s3://commoncrawl/{name}" for name in ARCHIVES
    ]
    assert find_archives(["https://a.org/x.warc.gz"]) == ["https://a.org/x.warc.gz"]


def test_bad_lists_are_named(crawl, tmp_path):
    (tmp_path / "empty.paths").write_text("\n \n")
    (tmp_path / "bad.paths.gz").write_bytes(b"no gzip")
    for pattern, message in [
        (str(tmp_path / "empty.paths"), "names no archive"),
        (str(tmp_path / "bad.paths.gz"), "cannot be read"),
        (crawl.root + "/data/none.paths", "cannot be read"),
        ("https://a.org/*.warc.gz", "cannot be asked for a glob"),
        ("nofs://a/*.warc.gz", "nofs"),
        (str(tmp_path / "*.warc"), "no archive at"),
    ]:
        with pytest.raises(MathwrightError, match=message) as caught:
            find_archives([pattern])
        assert caught.value.hint
    with pytest.raises(MathwrightError, match="no archives"):
        find_archives([])
