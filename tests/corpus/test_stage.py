"""The whole stage on a small web of archives: what is mathematics is found, everything is accounted for."""

import dataclasses
import json
import random
import shutil
from itertools import pairwise

import pyarrow.parquet as pq
import pytest

from mathwright.corpus.decontaminate import find_contamination
from mathwright.corpus.decontaminate.part import build_benchmark_index
from mathwright.corpus.documents.compute import read_columns, read_rows
from mathwright.corpus.export import export
from mathwright.corpus.mining.pool import Pool
from mathwright.corpus.mining.seed import match_seed
from mathwright.corpus.mining.state import State
from mathwright.corpus.recipe import ClassifierRecipe, CorpusRecipe, FilterRecipe, WebRecipe
from mathwright.corpus.stage import run
from mathwright.errors import MathwrightError
from mathwright.lm.shards import TokenShards
from mathwright.lm.tokenise import train_tokenizer
from mathwright.records import Problem, to_json
from mathwright.run import RunDirectory, Stage, read_manifest

MATH_WORDS = (
    "theorem proof lemma integral matrix vector polynomial prime group ring field converges bounded continuous "
    "derivative eigenvalue determinant basis kernel limit series"
)
OTHER_WORDS = (
    "hotel travel recipe camera price shipping review phone battery garden music concert football season team "
    "fashion makeup kitchen sofa holiday"
)
COMMON_WORDS = "the a of and to in is that for with we are this it by on as be or an"
MATH, OTHER, COMMON = (words.split() for words in (MATH_WORDS, OTHER_WORDS, COMMON_WORDS))
QUESTION = "A farmer has seventeen sheep and buys eleven goats, how many animals does the farmer have?"
SITES = {"seed.org/book": MATH, "qa.org/questions": MATH, "mixed.org/maths": MATH, "mixed.org/blog": OTHER} | {
    f"shop{i}.com/items": OTHER for i in range(6)
}


def page(words, rng, extra=""):
    paragraphs = [" ".join(rng.choices(words + COMMON, k=60)) for _ in range(3)] + ([extra] if extra else [])
    body = "".join(f"<p>{paragraph.capitalize()}.</p>" for paragraph in paragraphs)
    title = " ".join(rng.sample(words, 2))
    return f"<html><head><title>{title}</title></head><body><main><h1>{title}</h1>{body}</main></body></html>"


def archive(path, pages):
    with path.open("wb") as file:
        for url, html in pages:
            http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}".encode()
            header = (
                f"WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
                f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
            )
            file.write(header.encode() + http + b"\r\n\r\n")


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """Ten sites of 24 pages, a contaminated page, a copy under a tracking URL, an empty page; and a tokenizer."""
    folder = tmp_path_factory.mktemp("web")
    rng = random.Random(0)
    pages = [
        (f"https://{site}/{i}", page(words, rng, QUESTION if (site, i) == ("qa.org/questions", 3) else ""))
        for site, words in SITES.items()
        for i in range(24)
    ]
    rng.shuffle(pages)
    url, html = pages[0]
    pages += [(url + "?utm_source=x", html), ("https://qa.org/empty", "<html><body></body></html>")]
    archive(folder / "a.warc", pages[:100])
    archive(folder / "b.warc", pages[100:])
    train_tokenizer(MATH + OTHER, vocab_size=400, max_length=256).save_pretrained(folder / "tokenizer")
    (folder / "tokenizer" / "config.json").write_text('{"model_type": "llama"}')
    return folder


def recipe(folder, **changes):
    values = {
        "web": WebRecipe(
            kind="archives",
            archives=(str(folder / "*.warc"),),
            packages=(),
            start_urls=(),
            max_pages=0,
            max_pages_per_host=0,
            delay_s=0,
            requests_per_host=0,
            user_agent="",
        ),
        "seed_urls": ("*//seed.org/*",),
        "classifier": ClassifierRecipe(
            num_positives=500, num_negatives=500, dim=16, lr=0.5, word_ngrams=2, min_count=3, epochs=3, buckets=5000
        ),
        "dedup_similarity": 0.8,
        "dedup_permutations": 32,
        "min_words": 20,
        "budget_tokens": (15_000, 25_000),
        "max_iterations": 3,
        "stop_overlap": 0.98,
        "domain_share": 0.1,
        "domain_min_pages": 5,
        "decontaminate_ngram": 10,
        "decontaminate_short_ngram": 3,
        "benchmarks": (),
        "heldout_share": 0.1,
    }
    return CorpusRecipe(**{**values, **changes})


PROBLEMS = (Problem(id="1", question=QUESTION, answer="28", source="farm", split="test"),)


def run_stage(web, out, **changes):
    part = recipe(web, **changes)
    stage = RunDirectory(out, recipe_name="test", recipe=to_json(part)).stage("corpus", part)
    run(part, stage, tokenizer_source=str(web / "tokenizer"), decontaminate=PROBLEMS, seed=0)
    manifest = read_manifest(stage.path)
    assert manifest is not None
    return stage, manifest


@pytest.fixture(scope="module")
def finished(web, tmp_path_factory):
    return run_stage(web, tmp_path_factory.mktemp("run"))


def test_mathematics_is_found_from_one_site(finished):
    stage, _ = finished
    urls = read_columns(stage.path / "documents" / "documents.parquet", ["url"])["url"]
    sites = {site: sum(f"//{site}/" in url for url in urls) for site in SITES}
    mathematical = [count for site, count in sites.items() if SITES[site] is MATH]
    assert sum(mathematical) / len(urls) > 0.95
    assert sites["qa.org/questions"] >= 20


def test_the_collection_is_measured_against_labels_at_several_budgets(web, tmp_path):
    """Who labels every page by its site gets back what can be counted by hand."""
    labels = tmp_path / "labels.jsonl"
    rows = [{"url": f"https://{site}/{i}", "label": words is MATH} for site, words in SITES.items() for i in range(24)]
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    budgets = (5_000, 20_000, 10**9)
    stage, manifest = run_stage(web, tmp_path / "run", labels=str(labels), sweep_tokens=budgets, max_iterations=2)
    quality = manifest["summary"]["quality"]
    last = quality["by_labels"][0]
    mathematical = {row["url"] for row in rows if row["label"] and "//seed.org/" not in row["url"]}
    state = State.load(stage.path / "iteration-2")
    urls = Pool.open(stage.path / "pool" / "pool.parquet").urls
    collected = {urls[i] for i in state.collected.nonzero()[0]} - {u for u in urls if "//seed.org/" in u}
    assert (last["labelled"], last["relevant"]) == (240 - 24, 48)
    assert last["recall"] == round(len(collected & mathematical) / 48, 4)
    assert last["precision"] == round(len(collected & mathematical) / len(collected), 4)
    assert [row["budget_tokens"] for row in quality["sweep"]] == list(budgets)
    assert [row["recall"] for row in quality["sweep"]] == sorted(row["recall"] for row in quality["sweep"])
    assert quality["sweep"][0]["recall"] < 1 and quality["sweep"][0]["precision"] == 1
    assert quality["sweep"][-1]["recall"] == 1 and quality["sweep"][-1]["precision"] == round(48 / 216, 4)
    assert (
        len(quality["iterations"]) == 2 and len((stage.path / "quality" / "sheet.jsonl").read_text().split("\n")) > 90
    )


def test_funnels_follow_each_other(finished):
    _, manifest = finished
    funnels = {funnel["step"]: funnel for funnel in manifest["funnels"]}
    chain = ["read archives", "extract", "deduplicate", "recall", "decontaminate", "hold out"]
    for earlier, later in pairwise(chain):
        assert funnels[earlier]["num_out"] == funnels[later]["num_in"]
    assert funnels["read archives"]["num_in"] == 242
    assert funnels["extract"]["dropped"] == {"no text": 1}
    assert funnels["deduplicate"]["dropped"] == {"same URL": 1}
    assert funnels["benchmark texts"] == {
        "step": "benchmark texts",
        "unit": "texts",
        "num_in": 2,
        "num_out": 1,
        "dropped": {"too short to identify": 1},  # the answer 28
    }


def test_the_contaminated_paragraph_is_gone_and_its_page_is_not(finished):
    stage, manifest = finished
    rows = list(read_rows(stage.path / "documents" / "documents.parquet"))
    assert not any("seventeen sheep" in row["text"] for row in rows)
    assert any(row["url"].endswith("qa.org/questions/3") for row in rows)
    assert manifest["summary"]["contamination"]["hits"] == {"ngram: farm": 1}
    (line,) = (stage.path / "rejected" / "decontaminate.jsonl").read_text().splitlines()
    rejected = json.loads(line)
    assert rejected["benchmark"] == "farm" and "seventeen sheep" in rejected["matched"]


def test_each_removal_is_in_the_audit_log_and_each_rule_in_the_cost_report(finished):
    stage, manifest = finished
    (row,) = map(json.loads, (stage.path / "rejected" / "decontaminate.jsonl").read_text().splitlines())
    assert (row["benchmark"], row["rule"], row["problem"]) == ("farm", "ngram", "1")
    texts = {row["url"]: row["text"] for row in read_rows(stage.path / "pool" / "pool.parquet")}
    text = texts[row["url"]]
    assert text[row["start"] : row["end"]] == row["matched"]
    assert QUESTION in text[row["removed_start"] : row["removed_end"]]
    report = json.loads((stage.path / "documents" / "contamination.json").read_text())
    assert report["rules"] == manifest["summary"]["contamination"]["rules"]
    (cost,) = report["rules"]
    removed = len(text[row["removed_start"] : row["removed_end"]].encode())
    assert cost == {
        "benchmark": "farm",
        "rule": "ngram",
        "spans": 1,
        "segments": 1,
        "pages": 1,
        "whole_pages": 0,
        "bytes": removed,
        "bytes_alone": removed,
    }
    assert report["ngrams"][0]["ngram"].split() == QUESTION.lower().replace(",", "").split()[:10]
    assert report["ngrams"][0]["pages"] == 1


@pytest.mark.parametrize(("mode", "whole"), [("span", False), ("segment", False), ("page", True)])
def test_the_mode_says_what_goes_for_a_match(web, finished, tmp_path, mode, whole):
    first, _ = finished
    (tmp_path / "corpus").mkdir()
    for name in ("pages", "pool"):
        shutil.copytree(first.path / name, tmp_path / "corpus" / name)
        shutil.copy(first.path / f"{name}.done.json", tmp_path / "corpus")
    run_in(tmp_path, web, decontaminate_mode=mode)
    rows = {row["url"]: row["text"] for row in read_rows(tmp_path / "corpus" / "documents" / "documents.parquet")}
    url = "https://qa.org/questions/3"
    assert (url not in rows) is whole
    assert not any("seventeen sheep" in text for text in rows.values())
    if mode == "span":
        assert rows[url].rstrip(".").endswith("?")  # what is left of the paragraph


def test_benchmarks_are_taken_by_name_from_a_data_folder(web, tmp_path):
    part = recipe(web, benchmarks=("gsm8k", "own.jsonl"), benchmark_data=str(tmp_path))
    row = {"question": QUESTION, "answer": "He has 17 sheep, buys 11 goats: 17 + 11 = <<17+11=28>>28.\n#### 28"}
    (tmp_path / "gsm8k_test.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(MathwrightError, match=r"own\.jsonl: no such benchmark file"):
        build_benchmark_index(part, PROBLEMS)
    part = dataclasses.replace(part, benchmarks=("gsm8k",))
    index = build_benchmark_index(part, PROBLEMS)
    assert index.num_texts == {"farm": 1, "gsm8k": 2}
    spans = find_contamination(f"{QUESTION} He has 17 sheep, buys 11 goats: 17 + 11 = 28", index)
    assert [(span.benchmark, span.problem) for span in spans] == [
        ("farm", "1"), ("gsm8k", "gsm8k-test-0"), ("gsm8k", "gsm8k-test-0"),
    ]  # fmt: skip
    with pytest.raises(MathwrightError, match="no benchmark is called 'gsm9k'") as caught:
        build_benchmark_index(dataclasses.replace(part, benchmarks=("gsm9k",)), PROBLEMS)
    assert "agieval" in str(caught.value.hint)
    with pytest.raises(MathwrightError, match="no file of cmath"):
        build_benchmark_index(dataclasses.replace(part, benchmarks=("cmath",)), PROBLEMS)


def test_filters_drop_pages_before_deduplication_and_are_counted(web, tmp_path):
    filters = FilterRecipe(max_words=190)
    stage, manifest = run_stage(web, tmp_path, filters=filters, max_iterations=1)
    funnels = {funnel["step"]: funnel for funnel in manifest["funnels"]}
    assert funnels["filter"]["dropped"] == {"too many words": 1}  # the one with the question
    assert funnels["extract"]["num_out"] == funnels["filter"]["num_in"]
    assert funnels["filter"]["num_out"] == funnels["deduplicate"]["num_in"]
    (line,) = (stage.path / "rejected" / "filter.jsonl").read_text().splitlines()
    assert json.loads(line)["url"] == "https://qa.org/questions/3"
    with pytest.raises(MathwrightError, match="the filters drop all 241 pages"):
        run_stage(web, tmp_path / "none", filters=FilterRecipe(max_words=1))


def test_domains_and_rules_tell_a_blog_from_its_mathematics(finished):
    _, manifest = finished
    globs = {rule["glob"] for rule in manifest["summary"]["rules"]}
    assert "qa.org/*" in globs or "qa.org/questions/*" in globs
    assert "mixed.org/maths/*" in globs
    assert not any("blog" in glob or "shop" in glob or glob == "mixed.org/*" for glob in globs)
    mathematical = {row["domain"] for row in manifest["summary"]["top_domains"] if row["mathematical"]}
    assert mathematical >= {"seed.org", "qa.org", "mixed.org"}


def test_iterations_are_logged_and_add_up(finished):
    stage, manifest = finished
    iterations = manifest["summary"]["iterations"]
    assert [m["collected_pages"] for m in stage.metrics() if m["kind"] == "iteration"] == [
        row["collected_pages"] for row in iterations
    ]
    assert iterations[0]["seed_pages"] == 24
    for before, now in pairwise(iterations):
        assert now["seed_pages"] == before["seed_pages"] + before["joining_seed"]
        assert now["collected_pages"] == before["collected_pages"] + now["new"] - now["lost"]
    assert all(row["collected_tokens"] <= row["budget_tokens"] for row in iterations)


def test_shards_hold_the_documents(finished):
    stage, manifest = finished
    folders = {name: stage.path.parent / manifest["outputs"][name] for name in ("shards", "heldout")}
    rows = {row["url"]: row for row in read_rows(stage.path / "documents" / "documents.parquet")}
    seen = [document for folder in folders.values() for document in TokenShards(folder).documents()]
    assert {document.url: document.num_bytes for document in seen} == {u: r["num_bytes"] for u, r in rows.items()}
    assert {document.offset for document in seen} == {row["offset"] for row in rows.values()}


def test_each_exported_document_has_the_score_it_was_collected_by(finished, tmp_path):
    stage, manifest = finished
    count = export(stage.path.parent, tmp_path / "c.parquet")
    rows = pq.read_table(tmp_path / "c.parquet").to_pylist()
    last = stage.path.parent / manifest["outputs"]["classifier"]
    pages = {row["url"]: row["score"] for row in pq.read_table(last / "pages.parquet").to_pylist()}
    assert count == len(rows) > 20
    assert [row["score"] for row in rows] == [pages[row["url"]] for row in rows]
    assert len({row["score"] for row in rows}) > 10
    pq.write_table(pq.read_table(last / "pages.parquet").slice(0, 3), tmp_path / "pages.parquet")
    (tmp_path / "run").mkdir()
    shutil.copytree(stage.path, tmp_path / "run/corpus")
    shutil.copy(tmp_path / "pages.parquet", tmp_path / "run" / manifest["outputs"]["classifier"] / "pages.parquet")
    with pytest.raises(MathwrightError, match="has no score of"):
        export(tmp_path / "run/corpus", tmp_path / "d.parquet")


def test_a_resumed_run_gives_the_same(web, finished, tmp_path):
    """Stopped in the second iteration, with rows already set aside, and run again."""
    first, _ = finished
    run_folder = tmp_path / "run"
    shutil.copytree(first.path.parent, run_folder)
    for name in ("iteration-2.done.json", "documents.done.json", "shards.done.json", "manifest.json"):
        (run_folder / "corpus" / name).unlink(missing_ok=True)
    for path in (run_folder / "corpus").glob("iteration-3*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    second, manifest = run_stage(web, run_folder)
    for name in ("documents/documents.parquet", "shards/train/shard-00000.bin", "rejected/decontaminate.jsonl"):
        assert (second.path / name).read_bytes() == (first.path / name).read_bytes()
    assert manifest["summary"]["iterations"] == read_manifest(first.path)["summary"]["iterations"]  # type: ignore[index]
    assert len([m for m in second.metrics() if m["kind"] == "iteration"]) == len(manifest["summary"]["iterations"])


def test_the_order_of_the_pages_in_the_archives_changes_nothing(web, finished, tmp_path):
    """A crawler writes them as they arrive."""
    pages = [part for name in ("b", "a") for part in (web / f"{name}.warc").read_bytes().split(b"WARC/1.1\r\n")[1:]]
    random.Random(1).shuffle(pages)
    (tmp_path / "c.warc").write_bytes(b"".join(b"WARC/1.1\r\n" + page for page in pages))
    shutil.copytree(web / "tokenizer", tmp_path / "tokenizer")
    first, _ = finished
    second, _ = run_stage(tmp_path, tmp_path / "run")
    for name in ("shards/train/shard-00000.bin", "shards/heldout/shard-00000.bin"):
        assert (second.path / name).read_bytes() == (first.path / name).read_bytes()


def test_rules_of_people_go_before_automatic_ones(web, tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nglob = "mixed.org/*"\ndecision = "reject"\nby = "Ada"\nwhy = "a blog"\n')
    _, manifest = run_stage(web, tmp_path / "run", rules=str(rules), max_iterations=1, budget_tokens=(25_000,))
    first = manifest["summary"]["rules"][0]
    assert first["collected"] >= 20
    assert first == {
        "glob": "mixed.org/*",
        "decision": "reject",
        "by": "Ada",
        "why": "a blog",
        "when": "",
        "pages": 48,
        "collected": first["collected"],
        "joined_seed": 0,
    }
    stage = tmp_path / "run" / "corpus"
    pool = Pool.open(stage / "pool" / "pool.parquet")
    joining = State.load(stage / "iteration-1").next_seed_pages & ~match_seed(pool.urls, ("*//seed.org/*",), ()).pages
    assert not any("mixed.org" in url for url, joins in zip(pool.urls, joining, strict=True) if joins)


def test_a_budget_larger_than_the_pool_collects_all_and_learns_no_domains(web, tmp_path):
    _, manifest = run_stage(web, tmp_path, budget_tokens=(10_000_000,), max_iterations=2)
    (only,) = manifest["summary"]["iterations"]
    assert only["collected_pages"] == 240
    assert only["math_domains"] == 0
    assert manifest["summary"]["rules"] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed_urls": ("*//nowhere.org/*",)}, "no page of 240 matches the seed"),
        ({"seed_urls": ()}, "no globs"),
        ({"seed_urls": ("*",)}, "none are left as negatives"),
        ({"min_words": 10_000}, "no page with at least 10000 words"),
        ({"benchmarks": ("/nowhere/bench.jsonl",)}, "no such benchmark file"),
        ({"rules": "/nowhere/rules.toml"}, "no such rules file"),
    ],
)
def test_bad_input_is_named(web, finished, tmp_path, changes, message):
    stage, _ = finished
    if "min_words" not in changes:  # the parts before mining are the same
        (tmp_path / "corpus").mkdir()
        for name in ("pages", "pool"):
            shutil.copytree(stage.path / name, tmp_path / "corpus" / name)
            shutil.copy(stage.path / f"{name}.done.json", tmp_path / "corpus")
    with pytest.raises(MathwrightError, match=message) as caught:
        run_in(tmp_path, web, **changes)
    assert caught.value.hint


def run_in(out, folder, **changes):
    """Run the stage in `out` whatever is finished there, under another recipe too."""
    part = recipe(folder, **changes)
    (out / "corpus").mkdir(exist_ok=True)
    stage = Stage("corpus", out / "corpus", "test")
    run(part, stage, tokenizer_source=str(folder / "tokenizer"), decontaminate=PROBLEMS, seed=0)


def test_no_archive_is_an_error(web, tmp_path):
    nowhere = dataclasses.replace(recipe(web).web, archives=("/nowhere/*.warc",))
    with pytest.raises(MathwrightError, match="no archive at /nowhere"):
        run_in(tmp_path, web, web=nowhere)
