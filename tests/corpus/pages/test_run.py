"""Archives to documents: whatever is killed, shared or hostile, the rows and the funnel are those of a naive loop."""

import itertools
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from mathwright.corpus.archive import read_pages
from mathwright.corpus.claims import Claim
from mathwright.corpus.documents.compute import read_rows, to_row
from mathwright.corpus.extract import extract
from mathwright.corpus.pages import blocks
from mathwright.corpus.pages.blocks import PageRules, UnreadableError, do_slice, join_blocks, read_counts, read_rejected
from mathwright.corpus.pages.run import discard_documents, extract_archives, join_archives
from mathwright.corpus.pages.slots import SLOT_CELLS, Slot
from mathwright.errors import MathwrightError
from mathwright.records import Document, Page
from mathwright.run import Stage
from tests.corpus import warc_making
from tests.corpus.warc_making import page_html, record, response, write_members

NUM_PAGES = 1100
"""More than four blocks."""


def new_stage(path: Path) -> Stage:
    path.mkdir(parents=True, exist_ok=True)
    return Stage("corpus", path, "test")


def naive(archives, extract=extract, min_words=20):
    """(rows, records by kind, pages dropped by reason) of a plain loop: the oracle."""
    counts, dropped, rows = Counter(), Counter(), []
    for archive in archives:
        for item in read_pages(archive, counts=counts):
            if not isinstance(item, Page):
                continue
            document = extract(item.html, item.url, charset=item.charset)
            row = to_row(document) | {name: getattr(item, name) for name in ("archive", "offset", "digest", "date")}
            if not document.text.strip():
                dropped["no text"] += 1
            elif row["num_words"] < min_words:
                dropped[f"fewer than {min_words} words"] += 1
            else:
                rows.append(row)
    return rows, counts, dropped


def finish(folder: Path, archives, out: Path, **options):
    """Extract what is left and join; returns rows, funnels by step, and the rejected rows by step."""
    stage = new_stage(out)
    extract_archives([str(a) for a in archives], folder, stage, **{"min_words": 20, "num_workers": 2, **options})
    join_archives(folder, out / "pages.parquet", stage)
    rejected = {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in (out / "rejected").glob("*.jsonl")
    }
    return list(read_rows(out / "pages.parquet")), {f.step: f for f in stage._funnels}, rejected


@pytest.fixture
def extracted(tmp_path, monkeypatch):
    """The file in which the stand-in extractors write down every call."""
    path = tmp_path / "extracted.txt"
    path.touch()
    monkeypatch.setenv("EXTRACTED", str(path))
    return path


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Three archives: a long one, one with many sorts of records and a damaged stretch, and a plain one."""
    folder = tmp_path_factory.mktemp("archives")
    rng = random.Random(0)
    long = [[response(f"https://long.org/{i}", page_html(i))] for i in range(NUM_PAGES)]
    mixed: list[list[bytes]] = [[record("warcinfo", "", b"software: test\r\n")]]
    for i in range(300):
        url = f"https://mixed.org/{i}"
        mixed.append(
            [record("request", url, b"GET / HTTP/1.1\r\n\r\n"), response(url, page_html(i, rng.choice((3, 30))))]
        )
        if i % 7 == 0:
            mixed.append([response(url, "gone", status="404 Not Found"), response(url, "x", content_type="image/png")])
    paths = [write_members(folder / "a.warc.gz", long), write_members(folder / "b.warc.gz", mixed)]
    data = bytearray(paths[1].read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    paths[1].write_bytes(data)
    plain = [[response(f"https://plain.org/{i}", page_html(i) if i % 10 else "<html></html>")] for i in range(100)]
    return [*paths, write_members(folder / "c.warc", plain, compress=False)]


def test_the_documents_are_those_of_a_plain_loop(archives, tmp_path):
    rows, counts, dropped = naive(archives)
    found, funnels, rejected = finish(tmp_path / "work", archives, tmp_path / "out")
    assert found == rows
    assert counts["damaged"] and counts["status:404"] and dropped["no text"] and dropped["fewer than 20 words"]
    num_pages = counts.pop("pages")
    assert funnels["read archives"].dropped == counts and funnels["read archives"].num_out == num_pages
    assert funnels["extract"].dropped == dropped and funnels["extract"].num_in == num_pages
    assert len(rejected["extract"]) == dropped.total() and len(rejected["damage"]) == counts["damaged"]
    assert all(row["reason"] and row["archive"] for row in rejected["extract"] + rejected["damage"])


def test_slices_change_nothing(archives, tmp_path):
    """Many workers over few archives."""
    expected, counts, _ = naive(archives)
    found, funnels, _ = finish(tmp_path / "work", archives, tmp_path / "out", num_workers=3)
    assert json.loads((tmp_path / "work" / "plan.json").read_text())["num_slices"] == 2
    assert found == expected
    assert funnels["read archives"].num_in == counts.total()


def test_wet_archives_stand_beside_warc_archives(tmp_path):
    """Plain text is taken as it is; blocks, slices and resuming are the same."""
    texts = [f"Page {i} " + " ".join(f"word{i}x{k}" for k in range(30)) for i in range(NUM_PAGES)]
    wet = [[record("conversion", f"https://w.org/{i}", text.encode())] for i, text in enumerate(texts)]
    wet = [[one.replace(b"application/http; msgtype=conversion", b"text/plain") for one in member] for member in wet]
    archives = [
        write_members(tmp_path / "a.warc.wet.gz", [*wet, [record("warcinfo", "", b"x"), wet[0][0]]]),
        write_members(tmp_path / "b.warc.gz", [[response("https://p.org/", page_html(1))]]),
    ]
    rows, funnels, _ = finish(tmp_path / "work", archives, tmp_path / "out", num_workers=3)
    assert [row["text"] for row in rows[:NUM_PAGES]] == texts
    assert [row["url"] for row in rows[-2:]] == ["https://w.org/0", "https://p.org/"]
    assert funnels["read archives"].num_out == len(rows) == NUM_PAGES + 2
    assert funnels["read archives"].dropped == {"record:warcinfo": 1}


def test_a_page_kept_in_part_is_named(tmp_path):
    archive = write_members(
        tmp_path / "a.warc.gz", [[response(f"https://a.org/{i}", page_html(i, 30))] for i in range(4)]
    )
    rows, funnels, rejected = finish(tmp_path / "work", [archive], tmp_path / "out", extract=warc_making.partial)
    assert [row["problem"] for row in rows] == ["", "cut short", "", ""]
    assert funnels["extract"].num_out == 4
    (row,) = rejected["partial"]
    assert (row["url"], row["reason"]) == ("https://a.org/1", "cut short")


def test_a_page_without_text_keeps_the_reason(tmp_path):
    """What could not be parsed is not what is empty."""
    pages = [[response(f"https://a.org/{i}", page_html(i, 30))] for i in range(3)]
    archive = write_members(tmp_path / "a.warc.gz", pages)
    _, funnels, rejected = finish(tmp_path / "work", [archive], tmp_path / "out", extract=warc_making.unparsed)
    assert funnels["extract"].dropped == {"no text": 1}
    (row,) = rejected["extract"]
    assert (row["url"], row["reason"], row["problem"]) == ("https://a.org/1", "no text", "not parsed: odd")


# --- resuming ----------------------------------------------------------------------------------------


SHAPES = (
    "a record a member", "two records a member", "three pages a member", "one member", "plain", "damaged", "cut",
)  # fmt: skip


def shapes(folder: Path) -> dict[str, Path]:
    """Archives of eleven pages in which a member is one record, several, all, or there are none."""
    singles = [
        [
            response(f"https://a.org/{i}", page_html(i)),
            record("request", f"https://a.org/{i}", b"GET / HTTP/1.1\r\n\r\n"),
        ]
        for i in range(11)
    ]
    flat = [[one] for pair in singles for one in pair]
    triples = [list(itertools.chain(*singles[i : i + 3])) for i in range(0, 11, 3)]
    made = {
        "a record a member": write_members(folder / "single.warc.gz", flat),
        "two records a member": write_members(folder / "pairs.warc.gz", singles),
        "three pages a member": write_members(folder / "triples.warc.gz", triples),
        "one member": write_members(folder / "whole.warc.gz", [list(itertools.chain(*flat))]),
        "plain": write_members(folder / "plain.warc", flat, compress=False),
        "damaged": write_members(folder / "damaged.warc.gz", flat),
        "cut": write_members(folder / "cut.warc.gz", flat),
    }
    data = bytearray(made["damaged"].read_bytes())
    third = len(data) // 3
    data[third : third + 30] = bytes(30)
    made["damaged"].write_bytes(data)
    made["cut"].write_bytes(made["cut"].read_bytes()[:-25])
    return made


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("num_slices", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_killed_at_every_page_and_resumed(shape, num_slices, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_PAGES", 3)
    archive = shapes(tmp_path)[shape]
    expected, counts, _ = naive([archive])
    calls = Counter()
    for kill_at in range(len(expected) + 1):
        folder = tmp_path / f"work-{kill_at}"
        calls.clear()

        def fragile(html: bytes, url: str, *, charset: str | None = None, kill_at=kill_at) -> Document:
            calls[url] += 1
            if calls.total() == kill_at + 1:
                raise Killed
            return extract(html, url, charset=charset)

        rules = PageRules(min_words=20, extract=fragile)
        slot = Slot([0] * SLOT_CELLS, 0)
        for index in (*range(num_slices), *range(num_slices)):
            try:
                do_slice(str(archive), folder, slot, rules, archive_number=0, slice_index=index, num_slices=num_slices)
            except Killed:
                continue
        assert join_blocks(folder, num_slices)
        assert list(read_rows(folder / "documents.parquet")) == expected
        assert read_counts(folder).counts == counts
        assert sum(1 for _ in read_rejected(folder)) == counts["damaged"]
        again = sum(n - 1 for n in calls.values())
        assert again <= 3, "more than a block was extracted again"


def process(function, *arguments):
    started = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    started.start()
    return started


def kill(running) -> None:
    os.kill(running.pid, signal.SIGKILL)


def committed(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*/block-*.json"), *folder.glob("*/archive.json")])


def test_killed_again_and_again(archives, tmp_path, extracted):
    """kill -9 of the process that watches, at random moments; its workers end with it."""
    expected, counts, _ = naive(archives, warc_making.quick)
    extracted.write_text("")
    rng = random.Random(1)
    folder = tmp_path / "work"
    kills = 0
    for _ in range(3):
        running = process(warc_making.run_extraction, [str(a) for a in archives], str(folder), 2)
        before = committed(folder)
        while running.is_alive() and committed(folder) == before:
            time.sleep(0.02)
        time.sleep(0.3 * rng.random())
        if running.is_alive():
            kill(running)
            kills += 1
        running.join()
    found, funnels, _ = finish(folder, archives, tmp_path / "out", extract=warc_making.slow)
    assert kills
    assert found == expected
    assert funnels["read archives"].num_in == counts.total()
    calls = extracted.read_text().splitlines()
    assert len(calls) <= counts["pages"] + kills * 2 * blocks.BLOCK_PAGES


def test_two_processes_share_the_archives(archives, tmp_path, extracted):
    expected, counts, _ = naive(archives, warc_making.quick)
    extracted.write_text("")
    folder = tmp_path / "work"
    both = [process(warc_making.run_extraction, [str(a) for a in archives], str(folder), 1) for _ in range(2)]
    for one in both:
        one.join()
        assert one.exitcode == 0
    calls = [line.split()[1] for line in extracted.read_text().splitlines()]
    assert len(calls) == counts["pages"], "a page was extracted twice"
    workers = {line.split()[0] for line in extracted.read_text().splitlines()}
    assert len(workers) == 2
    found, _, _ = finish(folder, archives, tmp_path / "out", extract=warc_making.slow)
    assert found == expected


def test_what_a_dead_process_held_is_taken_over(archives, tmp_path, extracted):
    """The second process waits for the first, which is killed."""
    folder = tmp_path / "work"
    names = [str(archives[0])]
    first = process(warc_making.run_extraction, names, str(folder), 1)
    while not list(folder.glob("*/block-*.json")):
        time.sleep(0.01)
    second = process(warc_making.run_extraction, names, str(folder), 1)
    time.sleep(1)
    kill(first)
    second.join(60)
    assert second.exitcode == 0
    assert len(list(folder.glob("*/archive.json"))) == 1
    workers = [line.split()[0] for line in extracted.read_text().splitlines()]
    assert len(set(workers)) == 2
    assert len(workers) <= NUM_PAGES + blocks.BLOCK_PAGES


def test_a_process_that_comes_late_finds_nothing_to_do(archives, tmp_path, extracted):
    folder = tmp_path / "work"
    finish(folder, archives, tmp_path / "out", extract=warc_making.quick)
    discard_documents(folder)
    extracted.write_text("")
    extract_archives(
        [str(a) for a in archives], folder, new_stage(tmp_path / "late"), min_words=20, extract=warc_making.quick
    )
    assert extracted.read_text() == ""


# --- hostile pages ------------------------------------------------------------------------------------


def test_hostile_pages_cost_themselves_only(tmp_path, extracted):
    deeds = ["exit", "segfault", "hang", "memory", "raise"]
    pages = [f"https://good.org/{i}" for i in range(40)]
    for i, deed in enumerate(deeds):
        pages.insert(7 * i + 3, f"https://bad.org/{deed}")
    archive = write_members(tmp_path / "h.warc.gz", [[response(u, page_html(i))] for i, u in enumerate(pages)])
    found, funnels, rejected = finish(
        tmp_path / "work", [archive], tmp_path / "out", extract=warc_making.hostile, page_timeout_s=1.0, num_workers=1
    )
    assert [row["url"] for row in found] == [url for url in pages if "good" in url]
    assert {row["url"].rsplit("/", 1)[-1]: row["reason"] for row in rejected["extract"]} == {
        "exit": "extraction ended its worker (exit status 3)",
        "segfault": "extraction ended its worker (SIGSEGV)",
        "hang": "extraction took more than 1 s",
        "memory": "extraction failed: MemoryError",
        "raise": "extraction failed: KeyError",
    }
    assert funnels["extract"].num_in == 45 and funnels["extract"].num_out == 40


def test_an_archive_that_kills_its_reader_is_given_up_from_there(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_PAGES", 3)
    archive = shapes(tmp_path)["a record a member"]
    folder = tmp_path / "work"
    folder.mkdir()
    rules, slot = PageRules(min_words=1, extract=extract), Slot([0] * SLOT_CELLS, 0)
    blocks.add_bad_page(folder, "read", 7, "reading on from here ended its worker (SIGKILL)", sure=False)
    assert blocks.read_bad_pages(folder) == {}, "once may have had another cause"
    blocks.add_bad_page(folder, "read", 7, "reading on from here ended its worker (SIGKILL)", sure=False)
    do_slice(str(archive), folder, slot, rules, archive_number=0, slice_index=0, num_slices=1)
    assert join_blocks(folder, 1)
    done = read_counts(folder)
    assert done.num_pages == done.num_documents == 7 and done.counts["damaged"] == 1
    ((step, row),) = read_rejected(folder)
    assert step == "damage" and "SIGKILL" in row["reason"]


# --- bad input ----------------------------------------------------------------------------------------


def test_an_archive_that_is_gone_stops_the_others_not(archives, tmp_path):
    gone = tmp_path / "gone.warc.gz"
    gone.write_bytes(archives[2].read_bytes())
    names = [str(gone), str(archives[2])]
    gone.unlink()
    with pytest.raises(MathwrightError, match=r"1 of 2 archives could not be read.*gone\.warc\.gz") as caught:
        finish(tmp_path / "work", names, tmp_path / "out")
    assert "run the same command again" in caught.value.hint
    assert len(list((tmp_path / "work").glob("000001-*/archive.json"))) == 1
    gone.write_bytes(archives[2].read_bytes())
    found, _, _ = finish(tmp_path / "work", names, tmp_path / "out")
    assert len(found) == 2 * len(naive([archives[2]])[0])


def test_other_archives_or_settings_in_the_same_folder_are_an_error(archives, tmp_path):
    finish(tmp_path / "work", archives[2:], tmp_path / "out")
    with pytest.raises(MathwrightError, match="begun with other archives"):
        finish(tmp_path / "work", archives[1:], tmp_path / "out")
    with pytest.raises(MathwrightError, match="begun with other settings"):
        finish(tmp_path / "work", archives[2:], tmp_path / "out", min_words=21)


def test_an_error_in_a_worker_reaches_the_caller(archives, tmp_path):
    with pytest.raises(MathwrightError, match="no classifier here"):
        finish(tmp_path / "work", archives, tmp_path / "out", classifier=str(tmp_path))


def test_an_unreadable_archive_is_no_damage(tmp_path):
    rules, slot = PageRules(min_words=1, extract=extract), Slot([0] * SLOT_CELLS, 0)
    with pytest.raises(UnreadableError, match="nowhere"):
        do_slice("/nowhere/a.warc", tmp_path / "w", slot, rules, archive_number=0, slice_index=0, num_slices=1)


# --- claims -------------------------------------------------------------------------------------------


def test_a_claim_excludes_and_remembers(tmp_path):
    claim = Claim.take(tmp_path / "lock")
    assert claim is not None and not claim.done
    assert Claim.take(tmp_path / "lock") is None
    claim.mark_done()
    claim.release()
    second = Claim.take(tmp_path / "lock")
    assert second is not None and second.done
    second.release()
