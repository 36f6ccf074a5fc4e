"""Kinds of archives and of records, odd headers, and reading from the middle."""

import gzip
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from mathwright.corpus.archive import read_documents, read_page_at, read_pages
from mathwright.corpus.archive import records as archive_records
from mathwright.records import Damage, Document, Page
from tests.corpus.archives import STORAGES, arc_head, arc_record, page_records, page_url, read, record, response


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


# --- ARC ----------------------------------------------------------------------------------------------

ARC_PAGES = [
    arc_record("http://a/1", b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=ISO-8859-1\r\n\r\n<p>one"),
    arc_record("dns:a", b"20080430204825\na. 589 IN A 1.2.3.4", content_type="text/dns"),
    arc_record("http://a/with a space", b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n<p>two\n\nhttp://b/ 1.2.3.4 x"),
    arc_record("http://a/3", b"HTTP/1.0 404 No\r\nContent-Type: text/html\r\n\r\n<p>none"),
    arc_record("http://a/4", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>four"),
]


@pytest.mark.parametrize("storage", ["plain", "gzip"])
def test_arc(archive: Path, storage: str) -> None:
    units = [STORAGES[storage](data) for data in [arc_head(), *ARC_PAGES]]
    pages, damages, counts = read(archive, b"".join(units))
    assert [(page.url, page.html, page.charset) for page in pages] == [
        ("http://a/1", b"<p>one", "iso-8859-1"),
        ("http://a/with a space", b"<p>two\n\nhttp://b/ 1.2.3.4 x", None),
        ("http://a/4", b"<p>four", None),
    ]
    assert [page.offset for page in pages] == [sum(map(len, units[:number])) for number in (1, 3, 5)]
    assert {page.date for page in pages} == {"2008-04-30T20:48:25Z"}
    assert damages == [] and counts == {"pages": 3, "record:filedesc": 1, "not_http": 1, "status:404": 1}


@pytest.mark.parametrize("storage", ["plain", "gzip"])
@pytest.mark.parametrize("broken", [0, 1, 3])
def test_damage_in_arc_costs_one_record(archive: Path, storage: str, broken: int) -> None:
    units = [STORAGES[storage](data) for data in [arc_head(), *ARC_PAGES]]
    whole, _, _ = read(archive, b"".join(units))
    units[broken] = units[broken][:3] + b"!!!" + units[broken][6:]
    pages, damages, _ = read(archive, b"".join(units))
    lost = {1: whole[0], 3: whole[1]}.get(broken)
    assert pages == [page for page in whole if page != lost]
    assert [(damage.offset, damage.size_bytes) for damage in damages] == [
        (sum(map(len, units[:broken])), len(units[broken]))
    ]


# --- kinds of records ---------------------------------------------------------------------------------


def test_wet_records_are_documents_and_no_pages(archive: Path) -> None:
    text = "Preuve: ∑ 1/n²\n第一行\n".encode()
    records = [
        record("warcinfo", b"software: x"),
        record("conversion", text, "http://a/1", more="Content-Type: text/plain"),
        record("conversion", "déjà".encode("latin-1"), "http://a/2", more="Content-Type: text/plain; charset=latin-1"),
        record("conversion", b"x", "http://a/3", more="Content-Type: text/plain; charset=klingon"),
        record("conversion", b" \n", "http://a/4", more="Content-Type: text/plain"),
        record("conversion", b"%PDF", "http://a/5", more="Content-Type: application/pdf"),
    ]
    units = [gzip.compress(data) for data in records]
    pages, damages, counts = read(archive, b"".join(units))
    assert pages == [] and damages == [] and counts == {"record:warcinfo": 1, "record:conversion": 5}

    counts.clear()
    documents = list(read_documents(archive, counts=counts))
    assert all(isinstance(document, Document) for document in documents)
    assert [(document.url, document.text) for document in documents if isinstance(document, Document)] == [
        ("http://a/1", text.decode()), ("http://a/2", "déjà"), ("http://a/3", "x")
    ]  # fmt: skip
    first = documents[0]
    assert (first.archive, first.offset) == (str(archive), len(units[0]))
    assert isinstance(first, Document) and first.date == "2024-01-02T03:04:05Z" and len(first.digest) == 32
    assert counts == {"documents": 3, "record:warcinfo": 1, "empty_body": 1, "type:application/pdf": 1}


def test_html_stored_as_a_resource_is_a_page(archive: Path) -> None:
    data = record("resource", b"<p>x", "http://a/", more="Content-Type: text/html; charset=KOI8-R")
    data += record("resource", b"log", "metadata://log", more="Content-Type: text/plain")
    pages, _, counts = read(archive, data)
    assert [(page.html, page.charset) for page in pages] == [(b"<p>x", "koi8-r")]
    assert counts == {"pages": 1, "record:resource": 1}


def test_odd_headers(archive: Path) -> None:
    """Folded, doubled, in no encoding, in brackets, in other cases: all of it stands in archives."""
    block = b"HTTP/1.1 200 OK\r\ncontent-TYPE:text/html;\r\n charset='UTF-8'\r\nno colon\r\nX: \xff\r\n\r\n<p>x"
    head = (
        b"WARC/1.1 \r\nwarc-type: Response\r\nWARC-Target-URI:\r\n  <http://a/\xe9>\r\nX-Bad: \xff\xfe\r\n"
        b"CONTENT-LENGTH : %d\r\nContent-Length: 7\r\n: no name\r\n\r\n" % len(block)
    )
    pages, damages, _ = read(archive, head + block + b"\r\n\r\n")
    assert damages == []
    assert [(page.url, page.charset, page.html, page.date) for page in pages] == [("http://a/é", "utf-8", b"<p>x", "")]


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "99999999999999999999999", "", "12 34", "0x10"])
@pytest.mark.parametrize("storage", ["plain", "gzip"])
def test_absurd_lengths_cost_one_record(archive: Path, length: str, storage: str) -> None:
    good = [response(page_url(number), b"<p>text") for number in range(3)]
    before, _, after = good[1].partition(b"Content-Length: ")
    bad = before + b"Content-Length: " + length.encode() + b"\r\n" + after.partition(b"\r\n")[2]
    units = [STORAGES[storage](data) for data in (good[0], bad, good[2])]
    pages, damages, _ = read(archive, b"".join(units))
    assert [page.url for page in pages] == [page_url(0), page_url(2)]
    assert [(damage.offset, damage.size_bytes) for damage in damages] == [(len(units[0]), len(units[1]))]


@pytest.mark.parametrize("storage", list(STORAGES))
def test_no_line_end_at_the_end(archive: Path, storage: str) -> None:
    units = [STORAGES[storage](response(page_url(number), b"<p>text").rstrip(b"\r\n")) for number in range(2)]
    data = b"".join(units) if storage != "plain" else b"\r\n\r\n".join(units)
    pages, damages, _ = read(archive, data)
    assert len(pages) == 2 and damages == []


def test_headers_too_long_are_damage(archive: Path) -> None:
    endless = b"WARC/1.0\r\nWARC-Type: response\r\n" + b"X: y\r\n" * 100_000
    for storage in ("plain", "gzip"):
        compress = STORAGES[storage]
        pages, damages, _ = read(archive, compress(endless) + compress(response(page_url(1), b"<p>x")))
        assert len(pages) == 1
        assert [(damage.reason, damage.size_bytes) for damage in damages] == [
            ("a header without end", len(compress(endless)))
        ]


def test_a_long_http_header_is_no_body(archive: Path) -> None:
    pages, _, _ = read(archive, response("http://a/", b"<p>x", head="Content-Type: text/html" + "\r\nX: y" * 5000))
    assert [page.html for page in pages] == [b"<p>x"]


def test_records_that_would_fill_memory_are_passed_over(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_records, "MAX_BLOCK_BYTES", 1000)
    records = [response("http://a/1", b"<p>x"), response("http://a/2", b"x" * 1000), response("http://a/3", b"<p>x")]
    for storage in STORAGES.values():
        pages, damages, counts = read(archive, b"".join(map(storage, records)))
        assert [page.url for page in pages] == ["http://a/1", "http://a/3"]
        assert damages == [] and counts == {"pages": 2, "too_large": 1}


# --- storage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", list(STORAGES))
def test_every_storage_gives_the_same_pages(archive: Path, storage: str) -> None:
    records = [data for records in page_records(12) for data in records]
    units = [STORAGES[storage](data) for data in records]
    pages, damages, counts = read(archive, b"".join(units))
    assert damages == [] and counts == {"pages": 12, "record:request": 12, "record:metadata": 4}
    starts = [sum(map(len, units[:number])) for number in range(len(units))]
    assert [page.offset for page in pages] == [
        start for start, data in zip(starts, records, strict=True) if b"WARC-Type: response" in data[:40]
    ]


def test_archives_joined_in_one_file(archive: Path) -> None:
    """Plain, then gzip, then plain, then LZ4: each begins where the one before it ends."""
    units = [
        STORAGES[name](response(page_url(number), b"<p>x"))
        for number, name in enumerate(["plain", "gzip", "plain", "lz4", "zstd", "gzip"])
    ]
    pages, damages, _ = read(archive, b"".join(units))
    assert [page.url for page in pages] == [page_url(number) for number in range(6)] and damages == []


def test_a_wrong_length_inside_a_sound_member_costs_one_record(archive: Path) -> None:
    """All of an archive as one gzip member, as `gzip a.warc` makes it: the rest of the member is still read."""
    records = [response(page_url(number), b"<p>some text</p>" * 50) for number in range(4)]
    length = records[1].partition(b"Content-Length: ")[2].partition(b"\r")[0]
    for wrong in (b"7", b"10000", b"831"):
        bad = records[1].replace(b"Content-Length: " + length, b"Content-Length: " + wrong)
        pages, damages, counts = read(archive, gzip.compress(b"".join([records[0], bad, *records[2:]])))
        assert [page.url for page in pages] == [page_url(0), page_url(2), page_url(3)]
        assert len(damages) == 1 and damages[0].offset == 0 and counts["damaged"] == 1


def test_padding_is_no_damage(archive: Path) -> None:
    data = response(page_url(0), b"<p>x")
    for padded in (data + bytes(5000), gzip.compress(data) + bytes(5000), b"\r\n\n" + data, gzip.compress(data) * 1):
        pages, damages, _ = read(archive, padded)
        assert len(pages) == 1 and damages == []


# --- from the middle ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["plain", "gzip", "lz4", "zstd", "a page a member", "one member"])
def test_reading_from_the_offset_of_a_page(archive: Path, layout: str) -> None:
    groups = page_records(10)
    if layout == "one member":
        data = gzip.compress(b"".join(b"".join(group) for group in groups))
    elif layout == "a page a member":
        pairs = [*zip(groups[::2], groups[1::2], strict=True)]
        data = b"".join(gzip.compress(b"".join([*first, *second])) for first, second in pairs)
    else:
        data = b"".join(STORAGES[layout](record) for group in groups for record in group)
    whole, _, _ = read(archive, data)
    assert len(whole) == 10
    for page in whole:
        first = next(number for number, other in enumerate(whole) if other.offset == page.offset)
        pages, damages, counts = read(archive, data, start=page.offset)
        assert pages == whole[first:] and damages == [], "all pages of the member, and all behind them"
        assert counts["pages"] == len(pages)


def test_reading_on_behind_damage(archive: Path) -> None:
    units = [gzip.compress(response(page_url(number), b"<p>x")) for number in range(5)]
    units[3] = units[3][:-8] + b"\0" * 8
    whole, damages, _ = read(archive, b"".join(units))
    for page in whole:
        pages, damages_from_there, _ = read(archive, b"".join(units), start=page.offset)
        assert pages == [other for other in whole if other.offset >= page.offset]
        assert damages_from_there == [damage for damage in damages if damage.offset >= page.offset]


def test_a_single_page_by_its_place(archive: Path) -> None:
    units = [
        gzip.compress(data)
        for data in (
            record("request", b"GET / HTTP/1.1\r\n\r\n"), response("http://a/", b"<p>x"),
            response("http://b/", b"<p>y", status=404),
        )
    ]  # fmt: skip
    whole, _, _ = read(archive, b"".join(units))
    starts = [0, len(units[0]), len(units[0]) + len(units[1])]
    assert read_page_at(archive, starts[1], len(units[1])) == whole[0]
    for start, length, reason in [
        (starts[0], len(units[0]), "record:request"), (starts[2], len(units[2]), "status:404"),
        (starts[1], len(units[1]) - 20, "ends"), (starts[1] + 1, len(units[1]), "no record"),
        (starts[2] + len(units[2]), 10, "no record"),
    ]:  # fmt: skip
        damage = read_page_at(archive, start, length)
        assert isinstance(damage, Damage) and reason in damage.reason
        assert (damage.archive, damage.offset, damage.size_bytes) == (str(archive), start, length)
    with pytest.raises(ValueError, match="length"):
        read_page_at(archive, 0, 0)


# --- real archives ------------------------------------------------------------------------------------


def sample_archives(shared_data: Path) -> list[Path]:
    samples = [path for path in sorted((shared_data / "warc_samples").rglob("*")) if path.is_file()]
    return [path for path in samples if path.suffix != ".json"] + sorted((shared_data / "web").glob("*.warc.gz"))[:1]


def test_samples_from_the_offset_of_each_page(shared_data: Path) -> None:
    num_pages = 0
    for path in sample_archives(shared_data):
        items = list(read_pages(path))
        pages = [item for item in items if isinstance(item, Page)]
        for page in pages[:: max(1, len(pages) // 4)]:
            first = next(number for number, item in enumerate(items) if item.offset >= page.offset)
            assert list(read_pages(path, start=page.offset)) == items[first:], f"{path} from {page.offset}"
            num_pages += 1
    assert num_pages > 100


def test_pages_of_samples_by_their_place(shared_data: Path) -> None:
    """The place and length as an index has them, from FastWARC's own account of the file."""
    path = shared_data / "warc_samples" / "resiliparse" / "warcfile.warc.gz"
    pages = [page for page in read_pages(path) if isinstance(page, Page)]
    for page, following in itertools.pairwise(pages):
        assert read_page_at(path, page.offset, following.offset - page.offset) == page


def test_arc_samples_hold_what_their_warc_twins_do(shared_data: Path) -> None:
    samples = shared_data / "warc_samples"
    names = {"aut/example.arc.gz": 94, "warcio/example.arc": 1, "warcio/example.arc.gz": 1,
             "webarchive-commons/IAH-20080430204825-00000-blackbook-truncated.arc": 2}  # fmt: skip
    for name, number in names.items():
        counts: Counter[str] = Counter()
        list(read_pages(samples / name, counts=counts))
        assert counts["pages"] == number and counts["damaged"] == 0, name
    arc = [page for page in read_pages(samples / "aut/example.arc.gz") if isinstance(page, Page)]
    warc = [page for page in read_pages(samples / "aut/example.warc.gz") if isinstance(page, Page)]
    assert [(page.url, page.digest) for page in arc] == [(page.url, page.digest) for page in warc]


def test_wet_samples(shared_data: Path) -> None:
    folder = shared_data / "warc_samples" / "cc_whirlwind"
    for name in ("whirlwind.warc.wet", "whirlwind.warc.wet.gz"):
        (document,) = read_documents(folder / name)
        assert isinstance(document, Document) and document.url.startswith("https://an.wikipedia.org/")
        assert len(document.text) > 2000 and "\ufffd" not in document.text
    counts: Counter[str] = Counter()
    assert list(read_documents(folder / "whirlwind.warc.wat.gz", counts=counts)) == []
    assert json.dumps(counts) == '{"record:warcinfo": 1, "record:metadata": 1}'
