"""A run of version 0.1.0, which recorded hashes alone, is taken over; golden/run_0_1_0.json is what it wrote."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mathwright.chain import provenance
from mathwright.chain.earlier import take_over
from mathwright.chain.run import STAGES, Chain
from mathwright.recipe import Recipe
from mathwright.records import from_json
from tests.small_run import contents

WRITTEN = json.loads((Path(__file__).parents[1] / "golden" / "run_0_1_0.json").read_text())
NAMES = ("problems", "model", "sft", "rl")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Its stages with their hashes, all finished."""
    (tmp_path / "recipe.json").write_text(json.dumps(WRITTEN["recipe"]))
    for stage, fingerprint in WRITTEN["fingerprints"].items():
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "begun.json").write_text(json.dumps({"fingerprint": fingerprint}))
        manifest: dict[str, Any] = {"stage": stage, "fingerprint": fingerprint, "outputs": {}}
        (tmp_path / stage / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.fixture
def same_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if problems from files were asked as they were then."""
    monkeypatch.setattr(provenance, "QUESTIONS_FORMAT", 1)


def finished(recipe: Recipe, run: Path) -> list[str]:
    chain = Chain(recipe, run)
    return [stage for stage in NAMES if chain.is_finished(stage)]


def test_what_asked_problems_from_a_file_without_their_options_is_not_finished(run: Path) -> None:
    take_over(run, STAGES, decisions="")
    assert finished(from_json(Recipe, WRITTEN["recipe"]["recipe"]), run) == ["problems", "model"]


@pytest.mark.usefixtures("same_questions")
def test_it_has_finished_what_it_had_finished_and_no_file_is_lost(run: Path) -> None:
    before = contents(run)
    recipe = from_json(Recipe, WRITTEN["recipe"]["recipe"])
    assert finished(recipe, run) == []
    take_over(run, STAGES, decisions="")
    assert finished(recipe, run) == list(NAMES)
    assert set(before.values()) <= set(contents(run).values())
    assert recipe.rl is not None
    knob = dataclasses.replace(recipe, rl=dataclasses.replace(recipe.rl, generation_batch=8))
    assert finished(knob, run) == list(NAMES)
    other = dataclasses.replace(recipe, rl=dataclasses.replace(recipe.rl, kl_coef=0.5))
    assert finished(other, run) == ["problems", "model", "sft"]
    after = contents(run)
    take_over(run, STAGES, decisions="")
    assert contents(run) == after


def test_a_stage_that_another_recipe_made_is_not_taken_over(run: Path) -> None:
    changed = json.loads((run / "recipe.json").read_text())
    changed["recipe"]["sft"]["num_steps"] += 1
    (run / "recipe.json").write_text(json.dumps(changed))
    take_over(run, STAGES, decisions="")
    assert finished(from_json(Recipe, changed["recipe"]), run) == ["problems", "model"]


def test_a_recipe_with_fields_of_another_version_is_left_alone(run: Path) -> None:
    changed = json.loads((run / "recipe.json").read_text())
    changed["recipe"]["sft"]["no_such_field"] = 1
    (run / "recipe.json").write_text(json.dumps(changed))
    before = contents(run)
    take_over(run, STAGES, decisions="")
    assert contents(run) == before
