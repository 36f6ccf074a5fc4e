"""The reward stage on a toy world: rankings by rule, a model that learns them, resuming, the folder it leaves."""

import dataclasses
import itertools
import json
import warnings
from pathlib import Path

import pytest
import torch

from mathwright import answers
from mathwright.errors import MathwrightError
from mathwright.lm import heads
from mathwright.lm.load import load
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.pack import pack_groups
from mathwright.lm.recipe import LoraRecipe, OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.records import JudgedGroup, Problem, Ranking, Verdict, VerdictStatus, read_jsonl
from mathwright.reward import training
from mathwright.reward.examples import examples_of, trainable
from mathwright.reward.objective import objective, pack_rankings
from mathwright.reward.recipe import RewardRecipe
from mathwright.run import RunDirectory, affects

PROBLEMS = [
    Problem(id=f"p{i}", question=f"{i} + {i}", answer=str(2 * i), source="toy", split="train") for i in range(1, 81)
]
RECIPE = RewardRecipe(
    num_problems=80,
    responses_per_problem=4,
    sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=2),
    num_epochs=5,
    batch_rankings=8,
    micro_batch_tokens=200,
    heldout_share=0.25,
    optimiser=OptimiserRecipe(
        lr=1e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0, clip_norm=1.0, warmup_steps=0, decay=()
    ),
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    scratch = ScratchRecipe(vocab_size=259, width=32, num_layers=2, num_heads=2, num_kv_heads=1, ffn_width=64)
    folder = tmp_path_factory.mktemp("reward") / "model"
    save(from_scratch(scratch, [p.question for p in PROBLEMS], max_length=64, seed=0), folder)
    return folder


@pytest.fixture(autouse=True)
def even_is_right(monkeypatch):
    """A rule the model can see and a random generator meets half of the time: is the first character's code even?"""

    def check(pairs):
        return [
            Verdict(
                status="correct" if text and ord(text[0]) % 2 == 0 else "incorrect", prediction=text, reference=answer
            )
            for text, answer in pairs
        ]

    monkeypatch.setattr(answers, "check_responses", check)


def run(path: Path, model: Path, *, problems=PROBLEMS, **changes):
    stage = RunDirectory(path, recipe_name="toy", recipe={}).stage("reward")
    training.run(
        dataclasses.replace(RECIPE, **changes),
        stage,
        model=model,
        problems=problems,
        template="short",
        dtype="float32",
        seed=1,
    )
    return stage


def summary(stage):
    return json.loads((stage.path / "manifest.json").read_text())["summary"]


def test_it_learns_to_prefer_the_correct_response(tmp_path, model):
    stage = run(tmp_path / "run", model)
    found = summary(stage)
    assert found["num_rankings"] > 15
    assert found["num_heldout_pairs"] > 15
    assert found["heldout_accuracy_after"] > max(0.75, found["heldout_accuracy_before"] + 0.15)
    groups = [list(read_jsonl(stage.path / name, JudgedGroup)) for name in ("samples.jsonl", "heldout.jsonl")]
    assert list(map(len, groups)) == [60, 20], "every judged group is kept"
    assert not {g.problem_id for g in groups[0]} & {g.problem_id for g in groups[1]}
    assert {len(g.responses) for g in groups[0] + groups[1]} == {4}
    ranked = list(read_jsonl(stage.path / "sampling/rankings.jsonl", Ranking))
    assert len(ranked) == found["num_rankings"] + found["num_heldout"] < 80
    for ranking in ranked:
        assert set(ranking.ranks) == {0, 1}
        assert len(set(ranking.responses)) == len(ranking.responses)
        assert [ord(r[0]) % 2 if r else 1 for r in ranking.responses] == list(ranking.ranks)


def test_the_folder_loads_again_and_orders_as_the_summary_says(tmp_path, model):
    stage = run(tmp_path / "run", model)
    reward_model = heads.load(stage.path / "model", dtype="float32")
    held = {g.problem_id: g for g in read_jsonl(stage.path / "heldout.jsonl", JudgedGroup)}
    rankings = list(read_jsonl(stage.path / "sampling/rankings.jsonl", Ranking))
    heldout = [ranking for ranking in rankings if ranking.problem_id in held]
    accuracies = []
    for ranking in heldout:
        group = held[ranking.problem_id]
        cut = [group.truncated[group.responses.index(response)] for response in ranking.responses]
        scores = heads.score(
            reward_model, [ranking.prompt] * len(cut), ranking.responses, truncated=cut, micro_batch_tokens=10_000
        )
        pairs = [
            (a > b) + (a == b) / 2
            for a, rank_a in zip(scores, ranking.ranks, strict=True)
            for b, rank_b in zip(scores, ranking.ranks, strict=True)
            if rank_a < rank_b and a is not None and b is not None
        ]
        accuracies.append(sum(pairs) / len(pairs))
    assert sum(accuracies) / len(accuracies) == pytest.approx(summary(stage)["heldout_accuracy_after"])


def test_an_interrupted_stage_goes_on_to_the_bit(tmp_path, model, monkeypatch):
    whole = run(tmp_path / "whole", model, checkpoint_every=2)
    pack, calls = training.pack_rankings, []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return pack(*arguments)

    monkeypatch.setattr(training, "pack_rankings", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", model, checkpoint_every=2)
    monkeypatch.setattr(training, "pack_rankings", pack)
    monkeypatch.setattr(training, "sample_groups", None)  # sampled once, never again
    broken = run(tmp_path / "broken", model, checkpoint_every=2)
    first, second = (heads.load(s.path / "model", dtype="float32").model.state_dict() for s in (whole, broken))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert summary(whole) == summary(broken)


def test_micro_batches_change_nothing(tmp_path, model):
    one = run(tmp_path / "one", model, num_epochs=1, micro_batch_tokens=100_000)
    many = run(tmp_path / "many", model, num_epochs=1, micro_batch_tokens=1)  # each ranking alone, never split
    rows = [[m for m in s.metrics() if m["kind"] == "train"] for s in (one, many)]
    for a, b in zip(*rows, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
        assert a["accuracy"] == pytest.approx(b["accuracy"])


def test_what_gives_no_ranking_is_counted(tmp_path, model, monkeypatch):
    outcomes: list[VerdictStatus] = ["correct", "incorrect", "timeout"]
    first: list[VerdictStatus] = [status for status in outcomes for _ in range(4)]
    rest: list[VerdictStatus] = ["correct", "incorrect"]
    statuses = itertools.chain(first, rest * 500)

    def check(pairs):
        return [Verdict(status=next(statuses), prediction=text, reference=answer) for text, answer in pairs]

    monkeypatch.setattr(answers, "check_responses", check)
    stage = run(
        tmp_path / "run",
        model,
        num_epochs=1,
        num_problems=79,
        sampling=dataclasses.replace(RECIPE.sampling, max_new_tokens=8),
    )
    funnels = {f["step"]: f for f in json.loads((stage.path / "manifest.json").read_text())["funnels"]}
    assert funnels["problems"]["dropped"] == {"over num_problems": 1}
    dropped = funnels["rankings"]["dropped"]
    assert (dropped["all correct"], dropped["all wrong"], dropped["no response could be judged"]) == (1, 1, 1)
    assert funnels["responses"]["dropped"]["not judged: timeout"] == 4


@pytest.mark.parametrize(
    ("changes", "problems", "message"),
    [
        ({}, [], "no problems"),
        ({"responses_per_problem": 1}, PROBLEMS, "responses_per_problem is 1"),
        ({"sampling": dataclasses.replace(RECIPE.sampling, temperature=0.0)}, PROBLEMS, "temperature is 0"),
        ({"heldout_share": 1.0}, PROBLEMS, "heldout_share is 1.0"),
        ({"num_epochs": 0}, PROBLEMS, "num_epochs is 0"),
        ({"num_problems": 0}, PROBLEMS, "num_problems is 0"),
        ({"batch_rankings": 0}, PROBLEMS, "batch_rankings is 0"),
        ({"optimiser": dataclasses.replace(RECIPE.optimiser, lr=0.0)}, PROBLEMS, "nothing would be trained"),
    ],
)
def test_bad_input_is_named(tmp_path, model, changes, problems, message):
    with pytest.raises(MathwrightError, match=message):
        run(tmp_path / "run", model, problems=problems, **changes)


def test_a_model_that_is_always_wrong_gives_no_reward_model(tmp_path, model, monkeypatch):
    monkeypatch.setattr(
        answers,
        "check_responses",
        lambda pairs: [Verdict(status="incorrect", prediction=t, reference=a) for t, a in pairs],
    )
    with pytest.raises(MathwrightError, match="0 rankings are too few"):
        run(tmp_path / "run", model)


# --- the model itself ---


def test_the_score_is_the_one_transformers_gives(model):
    lm = load(model, dtype="float32")
    reward_model = heads.from_language_model(lm, seed=0)
    prompt, response = "Question: 1 + 1\nAnswer:", " 2"
    ids = [*lm.tokenizer.encode(prompt), *lm.tokenizer.encode(response), lm.tokenizer.eos_token_id]
    with torch.no_grad():
        theirs = reward_model.model(torch.tensor([ids])).logits.item()
    (ours,) = heads.score(reward_model, [prompt], [response], micro_batch_tokens=100)
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_scores_do_not_depend_on_what_else_is_scored(model):
    reward_model = heads.from_language_model(load(model, dtype="float32"), seed=0)
    prompts = ["1 + 1", "2 + 2", "1 + 1", "1 + 1", "3 + 3"]
    responses = [" 2", " 4", " 3", "", " 6" * 60]
    together = heads.score(reward_model, prompts, responses, micro_batch_tokens=16)
    alone = [
        heads.score(reward_model, [p], [r], micro_batch_tokens=1_000)[0]
        for p, r in zip(prompts, responses, strict=True)
    ]
    assert together[-1] is None, "longer than the context: unscored"
    assert alone[-1] is None
    assert together[:-1] == pytest.approx(alone[:-1], rel=1e-5)


def test_a_folder_without_a_reward_head_is_an_error(model, tmp_path):
    with pytest.raises(MathwrightError, match="without a reward head"):
        heads.load(model, dtype="float32")
    with pytest.raises(MathwrightError, match="holds no reward model"):
        heads.load(tmp_path, dtype="float32")


def test_the_next_token_is_a_term_of_its_own_and_trains_the_body(model):
    recipe = dataclasses.replace(RECIPE, language_weight=0.5)
    lm = load(model, dtype="float32")
    reward_model = heads.from_language_model(lm, seed=0)
    judged = JudgedGroup(
        problem_id="a", prompt="1 + 1", responses=("24", "7", "2"), correct=(True, False, True),
        truncated=(False, False, True),
    )  # fmt: skip
    by_taste = Ranking(problem_id="b", prompt="2 + 2", responses=("4", "5"), ranks=(0, 1))
    examples, _ = examples_of([judged, by_taste], reward_model, leave_out_truncated=False)
    (micro,) = pack_rankings(reward_model, examples, 1000)
    loss, stats = objective(recipe, reward_model, micro, lm)
    plain, _ = objective(RECIPE, reward_model, micro, lm)
    with torch.no_grad():
        expected = 0.0
        for response, cut in (("24", False), ("2", True)):
            group = heads.token_group(reward_model, judged.prompt, [response], [cut])
            (batch,) = pack_groups([group], 1000)
            expected -= response_logprobs(lm, batch)[0].mean().item() / 2
    assert stats["language_loss"] == pytest.approx(expected / 2, rel=1e-5), "two prompts, one of them judged"
    assert loss.item() - plain.item() == pytest.approx(0.5 * expected / 2, rel=1e-4)
    (loss - plain).backward()
    moved = [name for name, p in reward_model.model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert any("layers" in name for name in moved)
    without, stats = objective(recipe, reward_model, micro)
    assert without.item() == pytest.approx(plain.item()) and "language_loss" not in stats


def test_a_body_that_also_learns_the_next_token_tells_right_from_wrong(tmp_path, model):
    part = dataclasses.replace(RECIPE, token_weight=1.0, language_weight=1.0)
    stage = RunDirectory(tmp_path, recipe_name="toy", recipe={}).stage("reward", part)
    training.run(part, stage, model=model, problems=PROBLEMS, template="short", dtype="float32", seed=1)
    losses = [m["language_loss"] for m in stage.metrics() if m.get("kind") == "train"]
    assert losses[-1] < losses[0]
    assert summary(stage)["pair_accuracy"] > 0.9


def test_more_epochs_go_on_to_the_bit(tmp_path, model):
    def trained(path, num_epochs):
        part = dataclasses.replace(RECIPE, num_problems=24, num_epochs=num_epochs)
        growing = {leaf.path for leaf in affects.leaves(part) if leaf.grows}
        stage = RunDirectory(path, recipe_name="toy", recipe={}).stage("reward", part, growing=growing)
        training.run(part, stage, model=model, problems=PROBLEMS, template="short", dtype="float32", seed=1)
        return (stage.path / "model" / "model.safetensors").read_bytes(), summary(stage)

    trained(tmp_path / "grown", 2)
    assert trained(tmp_path / "grown", 3) == trained(tmp_path / "at_once", 3)
    assert len(list((tmp_path / "grown").glob("reward.*/model"))) == 1


def test_the_verdict_at_every_token_is_a_term_of_its_own(model):
    """Of judged responses, by the head at each token of a pass of its own; rankings by taste have none."""
    recipe = dataclasses.replace(RECIPE, token_weight=0.5)
    reward_model = heads.from_language_model(load(model, dtype="float32"), seed=0)
    judged = JudgedGroup(
        problem_id="a", prompt="1 + 1", responses=("24", "7", "2"), correct=(True, False, True),
        truncated=(False, False, True),
    )  # fmt: skip
    by_taste = Ranking(problem_id="b", prompt="2 + 2", responses=("4", "5"), ranks=(0, 1))
    examples, _ = examples_of([judged, by_taste], reward_model, leave_out_truncated=False)
    (micro,) = pack_rankings(reward_model, examples, 1000)
    with torch.no_grad():
        loss, stats = objective(recipe, reward_model, micro)
        plain, _ = objective(RECIPE, reward_model, micro)
        expected = 0.0
        for response, right, cut in zip(judged.responses, judged.correct, judged.truncated, strict=True):
            group = heads.token_group(reward_model, judged.prompt, [response], [cut])
            (batch,) = pack_groups([group], 1000)
            chances = heads.token_scores(reward_model, batch)[0].sigmoid()
            expected -= (chances if right else 1 - chances).log().mean().item() / 3
    assert stats["token_loss"] == pytest.approx(expected / 2, rel=1e-5), "two prompts, one of them judged"
    assert loss.item() - plain.item() == pytest.approx(0.5 * expected / 2, rel=1e-4)
    never_solved = dataclasses.replace(judged, correct=(False, False, False))
    alone, _ = examples_of([never_solved], reward_model, leave_out_truncated=False)
    assert trainable(recipe, alone) and not trainable(RECIPE, alone)


def test_adapters_alone_learn_and_the_folder_holds_a_plain_model(tmp_path, model):
    peft = pytest.importorskip("peft")
    optimiser = dataclasses.replace(RECIPE.optimiser, lr=3e-2)
    stage = run(tmp_path / "run", model, lora=LoraRecipe(rank=4, alpha=8.0), optimiser=optimiser)
    found = summary(stage)
    assert found["heldout_accuracy_after"] > found["heldout_accuracy_before"] + 0.1
    merged = heads.load(stage.path / "model", dtype="float32")
    start = load(model, dtype="float32")
    for name, weight in start.model.base_model.state_dict().items():
        changed = not torch.equal(weight, merged.model.base_model.state_dict()[name][: len(weight)])
        assert changed == name.endswith(("_proj.weight",)), name
    # the adapters with the head, as peft puts them on the model they were trained on
    reference = heads.from_language_model(start, seed=7, end=merged.end)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what peft asks of transformers
        reward = peft.PeftModel.from_pretrained(reference.model, str(stage.path / "adapter"))
    tokens = torch.tensor([[70, 71, 72, merged.end]])
    with torch.no_grad():
        torch.testing.assert_close(reward(tokens).logits, merged.model(tokens).logits, rtol=1e-4, atol=1e-5)
