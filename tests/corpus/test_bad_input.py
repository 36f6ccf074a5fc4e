"""What is wrong with the input of the corpus stage is said in a line with what to do, or counted; through the stage."""

import json
import random
import shutil

import numpy as np
import pytest

from mathwright.corpus.documents.compute import read_rows
from mathwright.corpus.extract.limits import MAX_HTML_BYTES
from mathwright.corpus.mining.pool import Pool
from mathwright.corpus.mining.state import State
from mathwright.corpus.recipe import ClassifierRecipe
from mathwright.corpus.rules import rules as annotate
from mathwright.corpus.rules.coverage import rule_rows, warnings_of_rules
from mathwright.corpus.rules.domains import domain_table
from mathwright.corpus.rules.index import PrefixIndex
from mathwright.corpus.rules.propose import propose_rules
from mathwright.corpus.rules.rules import Rule
from mathwright.errors import MathwrightError
from mathwright.run import read_manifest
from tests.corpus.test_stage import (
    MATH,
    OTHER,
    archive,
    page,
    run_in,
    run_stage,
    web,  # noqa: F401 (fixture)
)


def classifier(**changes):
    values = {"num_positives": 500, "num_negatives": 500, "dim": 16, "lr": 0.5, "word_ngrams": 2, "min_count": 3}
    return ClassifierRecipe(**{**values, "epochs": 3, "buckets": 5000, **changes})


@pytest.fixture(scope="module")
def mined(web, tmp_path_factory):  # noqa: F811
    """A run whose pages and pool serve the others."""
    stage, _ = run_stage(web, tmp_path_factory.mktemp("run"), max_iterations=1)
    return stage


@pytest.fixture
def go(web, mined, tmp_path, capsys):  # noqa: F811
    """Run the stage from its pool on under a changed recipe; returns what it said and its summary."""

    def run(**changes):
        shutil.rmtree(tmp_path / "corpus", ignore_errors=True)
        for name in ("pages", "pool"):
            shutil.copytree(mined.path / name, tmp_path / "corpus" / name)
            shutil.copy(mined.path / f"{name}.done.json", tmp_path / "corpus")
        capsys.readouterr()
        run_in(tmp_path, web, **{"max_iterations": 1, "measure": False, **changes})
        manifest = read_manifest(tmp_path / "corpus")
        assert manifest is not None
        return capsys.readouterr().err, manifest["summary"]

    return run


def rules_file(tmp_path, *rules):
    path = tmp_path / "shared.toml"
    annotate.write_rules(path, [Rule(glob=glob, decision=decision, by="Ada", why="") for glob, decision in rules])
    return str(path)


# --- seed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("globs", "message", "hint"),
    [
        (("*//sed.org/*",), r"no page of 240 matches the seed \(\*//sed.org/\*\)", "globs over whole URLs"),
        (("*",), "the seed matches all 240 pages: none are left as negatives", "narrow corpus.seed_urls"),
    ],
)
def test_a_seed_of_nothing_or_everything_is_an_error(go, globs, message, hint):
    with pytest.raises(MathwrightError, match=message) as caught:
        go(seed_urls=globs)
    assert hint in caught.value.hint


def test_a_glob_of_the_seed_that_matches_nothing_is_named_next_to_others_that_do(go):
    said, _ = go(seed_urls=("*//seed.org/*", "*//qa.org/qestions/*"))
    assert "no page matches *//qa.org/qestions/* of corpus.seed_urls" in said
    assert "no page matches *//seed.org" not in said


def test_a_seed_of_one_host_is_said_and_not_measured_outside_of_it(go):
    said, summary = go(measure=True)
    assert "the seed is 24 pages of 1 host: the classifier may learn these pages" in said
    assert "the seed has one host: what the classifier does outside of it cannot be measured" in said
    assert summary["quality"]["two_classifiers"] is None
    said, summary = go(measure=True, seed_urls=("*//seed.org/*", "*//qa.org/*"))
    assert "1 host" not in said and "one host" not in said
    assert summary["quality"]["two_classifiers"]["outside_f1"] > 0.9


# --- budget ---------------------------------------------------------------------------------------


def test_a_budget_larger_than_the_pool_is_said(go):
    said, summary = go(budget_tokens=(10**9,), max_iterations=3)
    assert "the budget of 1,000,000,000 tokens exceeds the pool (79," in said
    assert "lower corpus.budget_tokens" in said
    assert len(summary["iterations"]) == 1 and summary["iterations"][0]["collected_pages"] == 240


def test_a_budget_smaller_than_a_page_names_the_page(go):
    with pytest.raises(MathwrightError, match=r"the best page alone, https://\S+/\d+, has \d+ tokens, the budget is 9"):
        go(budget_tokens=(9,))


def test_no_negatives_after_an_iteration_says_where_they_went(go, mined):
    """All but three pages are collected; the automatic rules accept these three as well."""
    pool = Pool.open(mined.path / "pool" / "pool.parquet")
    with pytest.raises(
        MathwrightError, match="no page is left as a negative: of 240 pages 27 are the seed, 213"
    ) as caught:
        go(budget_tokens=(int(pool.num_tokens.sum()) - 700,), max_iterations=2)
    assert "lower corpus.budget_tokens" in caught.value.hint and "exclude_collected=false" in caught.value.hint


def test_few_negatives_are_said(go, mined):
    pool = Pool.open(mined.path / "pool" / "pool.parquet")
    said, _ = go(budget_tokens=(int(pool.num_tokens.sum()) - 700,), max_iterations=2, prefix_share=1.0)
    assert "only 3 pages left as negatives: of 240 pages 24 are the seed, 213 are below accepted rules" in said


def test_no_examples_asked_for_is_an_error(go):
    with pytest.raises(MathwrightError, match="num_negatives is 0") as caught:
        go(classifier=classifier(num_negatives=0))
    assert "examples of both kinds" in caught.value.hint


# --- scores ---------------------------------------------------------------------------------------


def test_equal_scores_are_an_error(go):
    with pytest.raises(MathwrightError, match=r"the classifier gives all 240 pages the score 0\.5000") as caught:
        go(classifier=classifier(lr=1e-30))
    assert "it learned nothing" in caught.value.hint


# --- rules ----------------------------------------------------------------------------------------

RULE = '[[rule]]\nglob = "{}"\ndecision = "{}"\nby = "Ada"\nwhy = ""\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]\n", "not TOML.*line 1"),
        (RULE.format("qa.org/*", "maybe"), "rule 1: a value is wrong"),
        (RULE.format("qa.org/*", "accept") + RULE.format("https://qa.org/*", "accept"), "rule 2: .* has a scheme"),
        (RULE.format("www.qa.org/*", "accept"), r"www.qa.org/\*' matches no page: .* without www"),
        (RULE.format("QA.org/*", "accept"), "lower case"),
        (RULE.format("qa.org:8080/*", "accept"), "port"),
    ],
)
def test_a_wrong_rules_file_ends_the_stage_before_a_page_is_read(web, tmp_path, text, message):  # noqa: F811
    (tmp_path / "shared.toml").write_text(text)
    with pytest.raises(MathwrightError, match=message) as caught:
        run_in(tmp_path, web, rules=str(tmp_path / "shared.toml"))
    assert "shared.toml" in caught.value.message and caught.value.hint
    assert not (tmp_path / "corpus" / "archives").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed_urls": ()}, "the seed is empty: corpus.seed_urls has no globs"),
        ({"labels": "/nowhere/labels.jsonl"}, "/nowhere/labels.jsonl"),
    ],
)
def test_what_needs_no_page_to_be_wrong_costs_no_crawl(web, tmp_path, changes, message):  # noqa: F811
    with pytest.raises(MathwrightError, match=message) as caught:
        run_in(tmp_path, web, **changes)
    assert caught.value.hint
    assert not (tmp_path / "corpus" / "archives").exists()


def test_a_rule_that_matches_nothing_is_named_with_what_it_may_mean(go, tmp_path):
    said, summary = go(
        rules=rules_file(
            tmp_path,
            ("qa.orgg/questions/*", "accept"),
            ("qa.org/question/*", "accept"),
            ("*.nowhere.org/[a-z]/*", "reject"),
            ("mixed.org/blog/*", "reject"),
        )
    )
    assert "no page matches the rule accept qa.orgg/questions/* by Ada; there is no host qa.orgg: is it qa.org?" in said
    assert "accept qa.org/question/* by Ada; qa.org has 24 pages, such as qa.org/questions/0" in said
    assert "no page matches the rule reject *.nowhere.org/[a-z]/* by Ada\n" in said
    assert "mixed.org/blog" not in said
    pages = {rule["glob"]: rule["pages"] for rule in summary["rules"] if rule["by"] == "Ada"}
    assert pages == {
        "qa.orgg/questions/*": 0,
        "qa.org/question/*": 0,
        "*.nowhere.org/[a-z]/*": 0,
        "mixed.org/blog/*": 24,
    }


def test_rules_that_reject_the_whole_seed_are_blamed_for_it(go, tmp_path):
    with pytest.raises(MathwrightError, match="rules reject all 24 pages that match the seed") as caught:
        go(rules=rules_file(tmp_path, ("seed.org/*", "reject")))
    assert "annotate" in caught.value.hint


def test_rules_say_what_they_brought(go, tmp_path):
    rules = rules_file(tmp_path, ("qa.org/questions/1*", "reject"), ("qa.org/*", "accept"))
    _, summary = go(rules=rules, max_iterations=2, budget_tokens=(8_000,))
    rows = {rule["glob"]: rule for rule in summary["rules"]}
    accepted, rejected = rows["qa.org/*"], rows["qa.org/questions/1*"]
    assert (accepted["pages"], rejected["pages"], rejected["joined_seed"]) == (24, 11, 0)
    assert accepted["joined_seed"] == 0 and summary["iterations"][0]["seed_pages"] == 24 + 13  # in the seed at once


# --- benchmarks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the benchmark 'bench' has no text: it has no rows"),
        ([{"question": "", "answer": ""}, {"question": None}], "all 3 of its questions and answers are empty"),
    ],
)
def test_a_benchmark_without_a_text_is_an_error(web, tmp_path, lines, message):  # noqa: F811
    path = tmp_path / "bench.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(MathwrightError, match=message) as caught:
        run_in(tmp_path, web, benchmarks=(str(path),))
    assert "corpus.benchmarks" in caught.value.hint
    assert not (tmp_path / "corpus" / "archives").exists()


def test_empty_questions_are_counted_and_a_benchmark_of_short_ones_named(go, tmp_path):
    some = [{"question": "", "answer": "3"}, {"question": "How many sheep has the farmer with eleven goats and a dog?"}]
    short = [{"question": "", "answer": "3"}, {"question": "", "answer": "4"}]
    for name, lines in (("some", some), ("short", short)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said, _ = go(benchmarks=(str(tmp_path / "some.jsonl"), str(tmp_path / "short.jsonl")))
    assert (
        "nothing of the benchmark 'short' is kept out: 4 of its texts are too short to identify, 2 of them empty"
        in said
    )
    assert "benchmark 'some'" not in said
    assert "empty 3" in said  # the funnel


# --- size -----------------------------------------------------------------------------------------


def wet_archive(path, url, text):
    block = text.encode()
    header = f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: {url}\r\nContent-Type: text/plain\r\n"
    path.write_bytes(header.encode() + b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (len(block), block))


@pytest.mark.parametrize("kind", ["html", "text"])
def test_a_page_of_50_megabytes_is_kept_in_part_and_ends_no_run(web, tmp_path, capsys, kind):  # noqa: F811
    rng = random.Random(1)
    paragraph = " ".join(rng.choices(OTHER, k=100_000)) + " 三角形\n"
    num_paragraphs = 50 * 2**20 // len(paragraph) + 1
    folder = tmp_path / "web"
    shutil.copytree(web, folder)
    if kind == "html":
        html = page(OTHER, rng).replace("</main>", f"<p>{paragraph}</p>" * num_paragraphs + "</main>")
        archive(folder / "c.warc", [("https://huge.org/all", html)])
    else:  # of a WET archive
        wet_archive(folder / "c.wet.warc", "https://huge.org/all", paragraph * num_paragraphs)
    stage, manifest = run_stage(folder, tmp_path / "run", max_iterations=1, measure=False)
    (row,) = map(json.loads, (stage.path / "rejected" / "partial.jsonl").read_text().splitlines())
    assert (row["url"], row["reason"]) == ("https://huge.org/all", "cut at 8 MiB")
    assert "pages kept in part, for a limit: 1" in capsys.readouterr().err
    (kept,) = (row for row in read_rows(stage.path / "pool" / "pool.parquet") if row["url"] == "https://huge.org/all")
    assert MAX_HTML_BYTES * 0.95 < kept["num_bytes"] <= MAX_HTML_BYTES
    assert manifest["summary"]["iterations"][0]["collected_pages"] > 30  # the others


def test_a_large_page_that_ends_the_cut_far_below_the_budget_is_named(web, tmp_path, capsys):  # noqa: F811
    """Half mathematics: behind the pages of mathematics, before all others."""
    rng = random.Random(2)
    folder = tmp_path / "web"
    shutil.copytree(web, folder)
    words = MATH + OTHER[: len(MATH) // 2]
    body = "".join(f"<p>{' '.join(rng.choices(words, k=60))}.</p>" for _ in range(4000))
    archive(folder / "c.warc", [("https://long.org/all", page(MATH, rng).replace("</main>", body + "</main>"))])
    _, manifest = run_stage(folder, tmp_path / "run", budget_tokens=(60_000,), max_iterations=1, measure=False)
    said = capsys.readouterr().err
    (iteration,) = manifest["summary"]["iterations"]
    assert iteration["collected_tokens"] < 54_000
    assert f"only {iteration['collected_tokens']:,} of 60,000 tokens are collected: the next page by rank, " in said
    assert "https://long.org/all, alone has" in said and "corpus.filters.max_words" in said


def test_a_domain_of_many_pages_and_folders_goes_through_domains_rules_and_seed(tmp_path):
    """Every other one of its thousand folders was collected, but for the first page of each.

    What looked at every page for each page, or at every page for each folder, would not come to an end here.
    """
    num, folders = 250_000, 1000
    urls = [f"https://qa.org/f{i % folders}/p{i}" for i in range(num)]
    collected = np.array([i % folders % 2 == 0 and i >= folders for i in range(num)])
    (row,) = domain_table(urls, collected)
    assert (row.num_pages, row.num_collected) == (num, num // 2 - folders // 2)
    rules = propose_rules(urls, collected, [row], min_share=0.5, min_pages=5, note="")
    assert [rule.glob for rule in rules] == sorted(f"qa.org/f{k}/*" for k in range(0, folders, 2))
    joining = annotate.matching(urls, rules) & ~collected
    assert np.flatnonzero(joining).tolist() == list(range(0, folders, 2))
    rows = rule_rows(urls, rules, collected, joining)
    assert {(r["pages"], r["collected"], r["joined_seed"]) for r in rows} == {(250, 249, 1)}
    index = PrefixIndex(urls, collected)
    assert len(index.children("qa.org/")) == folders
    state = State(scores=np.zeros(num), collected=collected, seed_pages=joining, next_seed_pages=joining, rules=rules)
    state.save(tmp_path, urls)
    assert State.load(tmp_path).rules == rules
    assert warnings_of_rules(urls, rules) == []


@pytest.mark.parametrize("kind", ["text/[/x]", "\x1b[2jtext/[/x]"])
def test_names_that_look_like_markup_end_no_run(web, tmp_path, capsys, kind):  # noqa: F811
    folder = tmp_path / "web"
    shutil.copytree(web, folder)
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n<p>x</p>".encode()
    header = "WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: https://x.org/\r\n"
    header += f"Content-Length: {len(http)}\r\n\r\n"
    (folder / "c.warc").write_bytes(header.encode() + http + b"\r\n\r\n")
    run_stage(folder, tmp_path / "run", max_iterations=1, measure=False)
    said = capsys.readouterr().err
    assert kind.replace("\x1b", "\u241b") in said and "\x1b" not in said
