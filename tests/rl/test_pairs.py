"""Pairs from a file, and a teacher: what is trained where nothing is judged."""

import json
import math

import pytest

from mathwright.errors import MathwrightError
from mathwright.rl.pairs import Pairs, read_pairs
from tests.rl import toy
from tests.rl.toy import SHORT, measured, run

ROWS = [
    {"question": "1 + 1", "chosen": "2", "rejected": "3"},
    {"prompt": "What? ", "chosen": "yes", "rejected": "no"},
    {"question": "2 + 2", "chosen": "4", "rejected": "4"},
    {"question": "3 + 3", "chosen": "six and much more than that", "rejected": "7"},
]


def written(folder, rows) -> str:
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return str(path)


def test_pairs_are_read_tokenised_and_counted(tmp_path, model):
    lm = toy.tiny(model)
    stage = toy.stage(tmp_path / "run")
    recipe = toy.recipe(method="dpo")
    pairs = Pairs.prepare(recipe, lm, written(tmp_path, ROWS), template="short", seed=0, stage=stage)
    assert [g.problem.id for g in pairs.groups] == ["pair-1", "pair-2"]
    first, second = pairs.groups
    assert first.prompt != "1 + 1" and "1 + 1" in first.prompt, "through the template"
    assert second.prompt == "What? "
    for group, row in zip(pairs.groups, ROWS, strict=False):
        better, worse = group.rollouts
        assert [r.verdict is not None and r.verdict.correct for r in (better, worse)] == [True, False]
        for rollout, name in ((better, "chosen"), (worse, "rejected")):
            text = lm.tokenizer.decode(rollout.completion.tokens, skip_special_tokens=True)
            assert text.strip() == row[name]
            assert rollout.completion.tokens[-1] == lm.tokenizer.eos_token_id
    step = pairs.explore(0, 0)
    assert len(step.groups) == 2 and step.position == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "no JSON"),
        ([1], "not list"),
        ({"chosen": "a", "rejected": "b"}, "either a question or a prompt"),
        ({"question": "q", "prompt": "p", "chosen": "a", "rejected": "b"}, "either a question or a prompt"),
        ({"question": "q", "chosen": "a"}, "it has no rejected"),
        ({"question": "q", "chosen": [{"role": "user"}], "rejected": "b"}, "chosen is a list, not a text"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, row, message):
    with pytest.raises(MathwrightError, match=rf"pairs.jsonl:2: not a pair: .*{message}"):
        list(read_pairs(written(tmp_path, [ROWS[0], row])))


def test_dpo_learns_from_the_pairs_of_a_file(tmp_path, model):
    changes = {**SHORT, "sampling": toy.recipe().sampling, "num_steps": 12}
    stage = run(tmp_path / "run", model, method="dpo", pairs=written(tmp_path, ROWS[:2]), **changes)
    rows = measured(stage)
    assert rows[0]["loss"] == pytest.approx(math.log(2), rel=1e-4)
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    assert "accuracy" not in rows[0] and "logprob_gap" not in rows[0], "nothing is generated"


def test_a_file_without_a_usable_pair_is_an_error(tmp_path, model):
    with pytest.raises(MathwrightError, match="no pair of 1 is left"):
        run(tmp_path / "run", model, method="dpo", pairs=written(tmp_path, ROWS[2:3]))


def test_a_policy_comes_nearer_to_its_teacher(tmp_path, model):
    teacher = run(tmp_path / "teacher", model, num_steps=15, problems_per_step=4, group_size=8).path / "model"
    stage = run(
        tmp_path / "run", model, method="distill", teacher=str(teacher), num_steps=12, problems_per_step=4, group_size=8
    )
    rows = measured(stage)
    assert rows[0]["kl"] > 0.02
    assert rows[-1]["kl"] < 0.5 * rows[0]["kl"]


def test_a_teacher_that_cannot_be_loaded_or_reads_other_tokens_is_named(tmp_path, model):
    with pytest.raises(MathwrightError, match="no such"):
        run(tmp_path / "missing", model, method="distill", teacher=str(tmp_path / "no-such"))
