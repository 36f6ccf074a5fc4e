"""Exploration: which problems, which seeds, groups with steps, the file of rollouts."""

import json

import pytest

from mathwright.errors import MathwrightError
from mathwright.records import Completion, RolloutGroup, from_json
from mathwright.rl import rollout
from mathwright.rl.buffer import RolloutFile
from mathwright.rl.rewards import AnswerReward
from mathwright.rl.rollout import (
    drawn_indices,
    group_statistics,
    judge_groups,
    prepare_prompts,
    response_seed,
    some_of,
)
from mathwright.rl.step_scorers import ArithmeticSteps
from tests.rl import toy


def test_every_problem_is_asked_once_before_any_is_asked_again():
    drawn = [i for step in range(10) for i in drawn_indices(5, 3 * step, 3 * step + 3, seed=1)]
    for epoch in range(6):
        assert sorted(drawn[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]
    assert drawn[:5] != drawn[5:10]
    assert drawn_indices(5, 21, 24, seed=1) == drawn[21:24]  # a pure function of the position
    assert drawn_indices(5, 0, 30, seed=2) != drawn


def test_some_problems_are_asked():
    chosen = some_of(toy.PROBLEMS, 3, seed=1)
    assert len(chosen) == 3 and list(chosen) == [p for p in toy.PROBLEMS if p in chosen], "in their order"
    assert some_of(toy.PROBLEMS, 3, seed=1) == chosen
    assert len({tuple(p.id for p in some_of(toy.PROBLEMS, 3, seed=seed)) for seed in range(20)}) > 5
    for count in (0, len(toy.PROBLEMS), 10_000):
        assert some_of(toy.PROBLEMS, count, seed=1) == toy.PROBLEMS


def test_a_run_asks_some_problems(tmp_path, model):
    stage = toy.run(tmp_path, model, num_problems=3, num_steps=4, problems_per_step=3, saved_groups=3)
    asked = [
        row["group"]["problem"]["id"]
        for row in map(json.loads, (stage.path / "rollouts.jsonl").read_text().splitlines())
    ]
    (funnel,) = (f for f in json.loads((stage.path / "manifest.json").read_text())["funnels"] if f["step"] == "prompts")
    assert funnel["num_in"] == len(toy.PROBLEMS) and funnel["num_out"] == 3
    assert funnel["dropped"] == {"over num_problems": len(toy.PROBLEMS) - 3}
    assert set(asked) == {p.id for p in some_of(toy.PROBLEMS, 3, seed=3)} and len(asked) == 12


def test_no_two_responses_of_a_run_have_one_seed():
    seeds = {
        response_seed(seed, step, p, g) for seed in (0, 1) for step in range(5) for p in range(5) for g in range(5)
    }
    assert len(seeds) == 2 * 5**3


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    return toy.tiny(toy.model_folder(tmp_path_factory.mktemp("rollout") / "model"))


def test_prompts_that_leave_no_room_are_set_aside_and_counted(lm, tmp_path):
    stage = toy.stage(tmp_path / "run")
    problems = [
        *toy.PROBLEMS,
        toy.PROBLEMS[0].__class__(**{**as_dict(toy.PROBLEMS[0]), "id": "long", "question": "1 " * 60}),
    ]
    kept = prepare_prompts(problems, lm=lm, mode="cot", template="short", max_new_tokens=8, stage=stage)
    assert [p.prompt.problem.id for p in kept] == [p.id for p in toy.PROBLEMS]
    (row,) = (tmp_path / "run/rl/rejected/prompts.jsonl").read_text().splitlines()
    assert json.loads(row)["problem"] == "long"


def as_dict(problem):
    return {name: getattr(problem, name) for name in ("id", "question", "answer", "source", "split")}


@pytest.mark.parametrize(
    ("problems", "room", "message"), [([], 8, "no problems"), (toy.PROBLEMS, 90, "leaves room for 90")]
)
def test_nothing_to_train_on_is_an_error(lm, tmp_path, problems, room, message):
    with pytest.raises(MathwrightError, match=message):
        prepare_prompts(
            problems, lm=lm, mode="cot", template="short", max_new_tokens=room, stage=toy.stage(tmp_path / "run")
        )


def groups_of(lm, texts, *, process=False):
    prompt = rollout.EncodedPrompt(prompt=toy.asked(toy.PROBLEMS[0], "?"), tokens=(5,))  # 1 + 1, the answer is 2
    completions = []
    for text in texts:
        tokens = (*lm.tokenizer.encode(text, add_special_tokens=False), lm.tokenizer.eos_token_id)
        n = len(tokens)
        completions.append(
            Completion(tokens=tokens, logprobs=(-1.0,) * n, sampled=(True,) * n, text=text, finish="stop")
        )
    return judge_groups(
        [prompt],
        [completions],
        [(AnswerReward(), 1.0)],
        steps=ArithmeticSteps() if process else None,
        tokenizer=lm.tokenizer,
    )


def test_steps_of_a_response_get_their_tokens_and_rewards(lm):
    text = "1 + 1 = 2\n\\boxed{2}"
    (group,) = groups_of(lm, [text, "1 + 1 = 3\n\\boxed{3}", "\\boxed{2}"], process=True).groups
    first, second, third = group.rollouts
    end = first.step_ends[0]
    assert lm.tokenizer.decode(first.completion.tokens[: end + 1]) == "1 + 1 = 2"
    assert first.step_ends[1] == len(first.completion.tokens) - 1
    assert [r.step_rewards for r in group.rollouts] == [(1.0, 1.0), (0.0, 0.0), (1.0,)]
    assert (first.reward, second.reward, third.reward) == (1.0, 0.0, 1.0)


def test_statistics(lm):
    judged = groups_of(lm, ["\\boxed{2}", "\\boxed{3}"])
    equal = groups_of(lm, ["\\boxed{2}", "\\boxed{2}"])
    statistics = group_statistics([*judged.groups, *equal.groups])
    assert statistics["reward_mean"] == 0.75
    assert statistics["reward_std"] == pytest.approx((3 * 0.25**2 + 0.75**2) ** 0.5 / 2)
    assert statistics["accuracy"] == 0.75
    assert statistics["equal_reward_groups"] == 0.5
    assert statistics["unscored"] == statistics["truncated"] == 0.0
    # outcomes alike but a wrong step: process supervision still has something to prefer
    (group,) = groups_of(lm, ["1 + 1 = 2\n\\boxed{2}", "1 + 1 = 3\n\\boxed{2}"], process=True).groups
    assert group_statistics([group])["equal_reward_groups"] == 0.0


def test_the_file_of_rollouts_rewinds_behind_a_kill(lm, tmp_path):
    groups = groups_of(lm, ["\\boxed{2}"]).groups
    file = RolloutFile(tmp_path / "rollouts.jsonl")
    for step in range(3):
        file.append(step, groups)
    with file.path.open("a") as damaged:
        damaged.write('{"step": 3, "gro')
    file.rewind(2)
    lines = [json.loads(line) for line in file.path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1]
    assert from_json(RolloutGroup, lines[0]["group"]) == groups[0]
