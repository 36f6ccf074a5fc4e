"""Published files of labelled and ranked solutions, by their real columns."""

import json
from pathlib import Path

import pytest

from mathwright.errors import MathwrightError
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.scratch import from_scratch
from mathwright.records import JudgedGroup, Ranking, to_json
from mathwright.reward.examples import examples_of, split_by_prompt
from mathwright.reward.layouts import read_files
from mathwright.run import RunDirectory
from tests.problems.chat_templates import TEMPLATES, tokenizer


@pytest.fixture(scope="module")
def lm():
    scratch = ScratchRecipe(vocab_size=259, width=16, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=32)
    return from_scratch(scratch, ["2 + 2"], max_length=2048, seed=0)


def read(tmp_path: Path, lm, *rows, template="short", made=None):
    path = tmp_path / "file.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    stage = RunDirectory(tmp_path / "run", recipe_name="toy", recipe={}).stage("reward")
    groups = read_files([str(path)], template=template, tokenizer=made or lm.tokenizer, stage=stage)
    return groups, stage._funnels[-1]


PROMPT = "Question: What is 2 + 2?\nAnswer:"
TURNS = [{"role": "user", "content": "What is 2 + 2?"}]
GOOD, BAD = ({"role": "assistant", "content": text} for text in ("4", "5"))

ROWS = {
    "prompt, responses and ranks": ({"prompt": "What is 2 + 2?", "responses": ["5", "4"], "ranks": [7, 3]}, (1, 0)),
    "UltraFeedback binarized": (
        {
            "prompt": "What is 2 + 2?",
            "prompt_id": "u1",
            "chosen": [*TURNS, GOOD],
            "rejected": [*TURNS, BAD],
            "messages": [*TURNS, GOOD],
            "score_chosen": 8.0,
            "score_rejected": 3.5,
        },
        (0, 1),
    ),
    "RewardBench": (
        {
            "prompt": "What is 2 + 2?",
            "chosen": "4",
            "chosen_model": "a",
            "rejected": "5",
            "subset": "math-prm",
            "id": 9,
        },
        (0, 1),
    ),
    "RewardBench 2": (
        {
            "id": "r2",
            "prompt": "What is 2 + 2?",
            "chosen": ["4"],
            "rejected": ["5", "6", "7"],
            "num_correct": 1,
            "total_completions": 4,
            "subset": "Math",
        },
        (0, 1, 1, 1),
    ),
    "conversations without a prompt": ({"chosen": [*TURNS, GOOD], "rejected": [*TURNS, BAD]}, (0, 1)),
    "conversations beside their prompt": ({"prompt": TURNS, "chosen": [GOOD], "rejected": [BAD]}, (0, 1)),
}


@pytest.mark.parametrize(("row", "ranks"), ROWS.values(), ids=ROWS)
def test_a_ranked_row(tmp_path, lm, row, ranks):
    ((group,), funnel) = read(tmp_path, lm, row)
    assert isinstance(group, Ranking)
    assert group.prompt == PROMPT
    assert group.ranks == ranks
    best = group.responses[ranks.index(0)]
    assert best == " 4", "as the model would begin it"
    assert funnel.num_out == 1


def test_records_stand_as_they_are(tmp_path, lm):
    group = JudgedGroup(
        problem_id="p", prompt="as it is", responses=("a", "b"), correct=(None, True), truncated=(True, False)
    )
    ranking = Ranking(problem_id="p", prompt="as it is", responses=("a", "b"), ranks=(1, 0))
    groups, _ = read(tmp_path, lm, to_json(group), to_json(ranking))
    assert groups == [group, ranking]


def test_gsm8k_example_solutions(lm, shared_data: Path):
    path = shared_data / "solutions" / "gsm8k_example_model_solutions.jsonl"
    read = read_files([str(path)], template="short", tokenizer=lm.tokenizer)
    groups = [group for group in read if isinstance(group, JudgedGroup) and len(group.responses) == 4]
    assert len(groups) == len(read) == 1319
    assert groups[0].correct == (False, False, False, True)
    assert groups[0].responses[3].startswith(" Janet eats 3 duck eggs")
    right = sum(verdict is True for group in groups for verdict in group.correct)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert right == sum(v["is_correct"] for row in rows for v in row.values() if isinstance(v, dict))


def test_a_conversation_of_several_turns_needs_the_models_own_template(tmp_path, lm):
    before = [*TURNS, GOOD, {"role": "user", "content": "And 1 + 2?"}]
    row = {"chosen": [*before, {"role": "assistant", "content": "3"}], "rejected": [*before, BAD]}
    groups, funnel = read(tmp_path, lm, row)
    assert groups == [] and funnel.dropped == {"several turns, for which the template short has no place": 1}
    made = tokenizer(template=TEMPLATES["chatml"][0])
    ((group,), _) = read(tmp_path, lm, row, template="tokenizer", made=made)
    assert group.prompt.count("<|im_start|>") == 4


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"chosen": [*TURNS, GOOD], "rejected": [{"role": "user", "content": "?"}, BAD]}, "different prompts"),
        ({"chosen": TURNS, "rejected": TURNS}, "does not end with the assistant's turn"),
        ({"prompt": " ", "chosen": "a", "rejected": "b"}, "no prompt"),
    ],
)
def test_rows_that_compare_nothing_are_counted(tmp_path, lm, row, reason):
    groups, funnel = read(tmp_path, lm, row)
    assert groups == []
    assert reason in next(iter(funnel.dropped))


def test_equal_scores_are_equal_ranks(tmp_path, lm):
    row = {"chosen": [*TURNS, GOOD], "rejected": [*TURNS, BAD], "score_chosen": 4.0, "score_rejected": 4.0}
    ((group,), _) = read(tmp_path, lm, row)
    ((example,), _) = examples_of([group], lm, leave_out_truncated=False)
    assert (example.ranks, example.why_no_pairs) == ((0, 0), "equal ranks")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "?"}, "file.jsonl:1: no known layout has the columns question"),
        ({"prompt": "?", "responses": ["a"], "ranks": [0, 1]}, "1 responses, 2 ranks"),
        ({"prompt": "?", "responses": ["a"], "ranks": ["x"]}, "no whole numbers"),
        ({"prompt": "?", "responses": [3], "ranks": [0]}, "a response that is no text"),
        ({"prompt": "?", "responses": ["a"], "correct": [1]}, "not true, false or null"),
        ({"chosen": [{"role": "user"}], "rejected": [GOOD]}, 'messages without "role"'),
    ],
)
def test_bad_rows_are_named(tmp_path, lm, row, message):
    with pytest.raises(MathwrightError, match=message):
        read(tmp_path, lm, row)


def test_all_responses_to_a_prompt_are_on_one_side():
    groups = [Ranking(problem_id=str(i), prompt=f"{i % 7}", responses=("a", "b"), ranks=(0, 1)) for i in range(50)]
    training, heldout = split_by_prompt(groups, 0.3, seed=0)
    assert len(training) + len(heldout) == 50
    assert not {g.prompt for g in training} & {g.prompt for g in heldout}
    assert {g.prompt for g in heldout}
