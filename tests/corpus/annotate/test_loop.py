"""The loop with people in it: what they decide between iterations, or after the last, is taken up."""

import dataclasses
import shutil

import numpy as np
import pytest

from mathwright.chain.run import Chain
from mathwright.corpus.mining import loop
from mathwright.corpus.mining.pool import Pool
from mathwright.corpus.mining.seed import match_seed
from mathwright.corpus.mining.state import State
from mathwright.corpus.rules.rules import Rule, decisions_digest, read_people, write_rules
from mathwright.corpus.stage import run
from mathwright.errors import Paused
from mathwright.records import to_json
from mathwright.run import RunDirectory, read_manifest
from tests.corpus.test_stage import PROBLEMS, recipe, run_stage, web  # noqa: F401  # a fixture


@pytest.fixture(scope="module")
def finished(web, tmp_path_factory):  # noqa: F811
    return run_stage(web, tmp_path_factory.mktemp("run"))


def decide(run_folder, *decisions):
    rules = [Rule(glob=glob, decision=decision, by="Ada", why="") for glob, decision in decisions]
    write_rules(run_folder / "rules.toml", rules)


def go_on(web, run_folder, **changes):  # noqa: F811
    """The same command again, as the command line gives it."""
    part = recipe(web, **changes)
    directory = RunDirectory(run_folder, recipe_name="test", recipe=to_json(part))
    stage = directory.stage("corpus", part, revision=decisions_digest(read_people(run_folder)))
    if not stage.finished:
        run(part, stage, tokenizer_source=str(web / "tokenizer"), decontaminate=PROBLEMS, seed=0)
    return stage


def seed_hosts(stage, number):
    state = State.load(stage.path / f"iteration-{number}")
    pool = Pool.open(stage.path / "pool" / "pool.parquet")
    return {pool.urls[i].split("/")[2] for i in np.flatnonzero(state.seed_pages)}


def test_the_loop_pauses_for_people_and_only_their_rules_count(web, tmp_path):  # noqa: F811
    with pytest.raises(Paused, match="iteration 1 is ready to be annotated: mathwright corpus annotate"):
        go_on(web, tmp_path, annotation="people")
    decide(tmp_path, ("qa.org/questions/*", "accept"), ("seed.org/book/1*", "reject"))
    with pytest.raises(Paused, match="iteration 2"):
        go_on(web, tmp_path, annotation="people")
    stage = go_on(web, tmp_path, annotation="people")  # nothing more to say: the last iteration, and the end
    assert stage.finished
    assert seed_hosts(stage, 1) == {"seed.org"}
    assert seed_hosts(stage, 2) == seed_hosts(stage, 3) == {"seed.org", "qa.org"}
    manifest = read_manifest(stage.path)
    assert manifest is not None
    assert [rule["by"] for rule in manifest["summary"]["rules"]] == ["Ada", "Ada"]
    first, second, _ = manifest["summary"]["iterations"]
    assert (first["seed_pages"], first["rules"]) == (24, 0)
    uncollected = ~State.load(stage.path / "iteration-1").collected
    pool = Pool.open(stage.path / "pool" / "pool.parquet")
    joining = sum(bool(uncollected[i]) for i, url in enumerate(pool.urls) if "qa.org/questions/" in url)
    assert second["seed_pages"] == 24 - 11 + joining  # seed.org/book/1, 10, ..., 19 left


def test_decisions_after_the_end_make_another_iteration_and_new_documents(web, finished, tmp_path):  # noqa: F811
    first, before = finished
    folder = tmp_path / "run"
    shutil.copytree(first.path.parent, folder)
    pages_made = (folder / "corpus" / "pages" / "pages.parquet").stat().st_mtime_ns
    decide(folder, ("shop0.com/*", "accept"), ("qa.org/*", "reject"))
    stage = go_on(web, folder)
    after = read_manifest(stage.path)
    assert after is not None
    num_before = len(before["summary"]["iterations"])
    assert len(after["summary"]["iterations"]) == num_before + 1
    assert after["summary"]["iterations"][:num_before] == before["summary"]["iterations"]
    assert {"shop0.com"} <= seed_hosts(stage, num_before + 1) and "qa.org" not in seed_hosts(stage, num_before + 1)
    assert (stage.path / "pages" / "pages.parquet").stat().st_mtime_ns == pages_made
    documents = "documents/documents.parquet"
    assert (stage.path / documents).read_bytes() != (first.path / documents).read_bytes()

    metrics = stage.path / "metrics.jsonl"
    logged = metrics.read_bytes()
    assert go_on(web, folder).finished  # nothing new: nothing is made
    assert metrics.read_bytes() == logged


def test_a_changed_reason_is_no_new_decision(tmp_path):
    rule = Rule(glob="a.org/*", decision="accept", by="Ada", why="")
    same = dataclasses.replace(rule, by="Bob", why="because", when="2024-02-29")
    assert decisions_digest([rule]) == decisions_digest([same]) != decisions_digest([])
    assert decisions_digest([rule]) != decisions_digest([dataclasses.replace(rule, decision="reject")])


def test_a_rejected_page_of_the_first_seed_is_left_out():
    urls = ["http://a.org/x/1", "http://a.org/y/1", "http://b.org/"]
    rules = [Rule(glob="a.org/y/*", decision="reject", by="Ada", why="")]
    assert match_seed(urls, ["*//a.org/*"], rules).pages.tolist() == [True, False, False]


def test_the_run_keeps_its_rules_when_another_recipe_empties_the_stage(web, finished, tmp_path):  # noqa: F811
    first, _ = finished
    shutil.copytree(first.path.parent, tmp_path / "run")
    decide(tmp_path / "run", ("qa.org/*", "accept"))
    changed = recipe(web, min_words=21)
    directory = RunDirectory(tmp_path / "run", recipe_name="test", recipe=to_json(changed))
    assert not (directory.stage("corpus", changed).path / "pool").exists()
    assert read_people(tmp_path / "run")[0].glob == "qa.org/*"


def test_stages_behind_the_corpus_depend_on_the_decisions(tmp_path):
    from mathwright import recipes

    built = recipes.find("quickstart", tiny=True)()
    fingerprints = []
    for decisions in ((), (("a.org/*", "accept"),), (("a.org/*", "reject"),)):
        if decisions:
            decide(tmp_path, *decisions)
        chain = Chain(built, tmp_path)
        fingerprints.append({name: chain.stage(name).fingerprint for name in ("model", "corpus", "pretrain", "sft")})
    for name in ("corpus", "pretrain", "sft"):
        assert len({row[name] for row in fingerprints}) == 3, name
    assert len({row["model"] for row in fingerprints}) == 1


def test_rejected_pages_may_be_negatives_even_if_they_were_collected(web, finished):  # noqa: F811
    first, _ = finished
    pool = Pool.open(first.path / "pool" / "pool.parquet")
    state = State.load(first.path / "iteration-1")
    taken = [i for i in np.flatnonzero(state.collected) if "//qa.org/" in pool.urls[i]]
    assert taken
    rejected = [Rule(glob="qa.org/*", decision="reject", by="Ada", why="")]
    assert loop.not_negative(recipe(web), pool, dataclasses.replace(state, rules=[]))[taken].all()
    assert not loop.not_negative(recipe(web), pool, dataclasses.replace(state, rules=rejected))[taken].any()
