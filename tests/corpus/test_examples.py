"""The recipe files in docs/examples build, and mine another domain than mathematics by their configuration alone."""

import json
import random
import re
from pathlib import Path

import pytest

from mathwright import recipes
from mathwright.corpus.documents.compute import read_columns
from mathwright.corpus.stage import run
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.tokenise import train_tokenizer
from mathwright.recipe import Recipe, override
from mathwright.records import from_json, to_json
from mathwright.run import RunDirectory, read_manifest
from tests.cli.test_verbs import call
from tests.corpus.test_stage import COMMON, MATH, OTHER, archive, page

EXAMPLES = sorted((Path(__file__).parents[2] / "docs" / "examples").glob("*.py"))
SOFTWARE_EXAMPLE = next(path for path in EXAMPLES if path.stem == "software")
SOFTWARE_WORDS = (
    "install function module server config package deploy container thread compiler syntax command terminal "
    "repository parameter exception callback database query variable"
)
SOFTWARE = SOFTWARE_WORDS.split()
HEALTH_EXAMPLE = next(path for path in EXAMPLES if path.stem == "health")
HEALTH_WORDS = (
    "patient symptom doctor diet sleep exercise vitamin heart blood anxiety therapy medicine weight disease treatment "
    "nutrition breathing clinic diagnosis muscle"
)
HEALTH = HEALTH_WORDS.split()


SETTINGS = (
    "corpus.classifier.num_positives=1000",
    "corpus.classifier.num_negatives=1000",
    "corpus.classifier.dim=16",
    "corpus.classifier.buckets=5000",
    "corpus.classifier.lr=0.5",
    "corpus.max_iterations=2",
    "corpus.measure=false",
)
"""What makes the examples small."""


def write_web(folder, sites):
    """An archive of 24 pages of each site; returns the setting that names it."""
    rng = random.Random(0)
    pages = [(f"https://{site}/{i}", page(words, rng)) for site, words in sites.items() for i in range(24)]
    rng.shuffle(pages)
    archive(folder / "a.warc", pages)
    return f"corpus.web.archives={json.dumps([str(folder / '*.warc')])}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_build_and_survive_json(path):
    built = recipes.find(str(path))()
    assert from_json(Recipe, json.loads(json.dumps(to_json(built)))) == built
    assert built.corpus is not None and built.name == path.stem


def test_the_software_example_finds_software_among_mathematics_and_shops(tmp_path):
    sites = {
        "docs.docker.com/manual": SOFTWARE, "go.dev/doc": SOFTWARE, "unknown.dev/guide": SOFTWARE,
        "algebra.org/book": MATH, "shop.com/items": OTHER, "news.com/today": OTHER,
    }  # fmt: skip
    archives = write_web(tmp_path, sites)
    tokenizer = tmp_path / "tokenizer"
    train_tokenizer(SOFTWARE + MATH + OTHER + COMMON, vocab_size=400, max_length=256).save_pretrained(tokenizer)
    (tokenizer / "config.json").write_text('{"model_type": "llama"}')
    settings = [
        *SETTINGS,
        archives,
        "corpus.budget_tokens=[26000]",
    ]
    part = override(recipes.find(str(SOFTWARE_EXAMPLE))(), settings).corpus
    assert part is not None
    stage = RunDirectory(tmp_path / "run", recipe_name="software", recipe=to_json(part)).stage("corpus", part)
    run(part, stage, tokenizer_source=str(tokenizer), decontaminate=(), seed=0)
    urls = read_columns(stage.path / "documents" / "documents.parquet", ["url"])["url"]
    found = {site: sum(f"//{site}/" in url for url in urls) for site in sites}
    assert sum(num for site, num in found.items() if sites[site] is SOFTWARE) >= 0.95 * len(urls)
    assert found["unknown.dev/guide"] >= 12  # a site that the seed does not name
    manifest = read_manifest(stage.path)
    assert manifest is not None and manifest["summary"]["tokens"]["train"]["num_tokens"] > 0


def test_the_health_example_runs_from_the_command_line_as_its_head_says(tmp_path, capsys):
    sites = {
        "www.cdc.gov/nutrition": HEALTH, "patient.info/features": HEALTH, "unknown.health/advice": HEALTH,
        "algebra.org/book": MATH, "shop.com/items": OTHER, "news.com/today": OTHER,
    }  # fmt: skip
    archives = write_web(tmp_path, sites)
    sizes = ScratchRecipe(vocab_size=400, width=16, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=32)
    save(from_scratch(sizes, HEALTH + MATH + OTHER + COMMON, max_length=256, seed=0), tmp_path / "model")
    labels = [
        {"url": f"https://{site}/{i}", "label": words is HEALTH} for site, words in sites.items() for i in range(24)
    ]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    settings = [
        *SETTINGS,
        archives,
        f"corpus.labels={tmp_path / 'labels.jsonl'}",
        f"model.source={tmp_path / 'model'}",
        "corpus.budget_tokens=[22000]",  # less than the 72 pages there are, so that a wrong page is a wrong rank
    ]
    arguments = [word for setting in settings for word in ("--set", setting)]
    status, _, err = call(capsys, "corpus", str(HEALTH_EXAMPLE), "--out", str(tmp_path / "run"), *arguments)
    assert status == 0, err
    urls = read_columns(tmp_path / "run" / "corpus" / "documents" / "documents.parquet", ["url"])["url"]
    found = {site: sum(f"//{site}/" in url for url in urls) for site in sites}
    assert sum(num for site, num in found.items() if sites[site] is HEALTH) >= 0.95 * len(urls)
    assert found["unknown.health/advice"] >= 12  # a site that the seed does not name
    precision = re.search(r"against 96 labelled pages outside the seed: precision ([0-9.]+)", err)
    assert precision and float(precision[1]) >= 0.95
