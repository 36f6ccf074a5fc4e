"""Rewards: the rules, weighted sums, and everything a reward function can do wrong."""

import asyncio
import dataclasses
import math
import sys
import time
from types import SimpleNamespace

import pytest

from mathwright import functions
from mathwright.errors import MathwrightError
from mathwright.lm.heads import Scale
from mathwright.records import Completion, FinishReason, Message, Problem, Verdict
from mathwright.rl import rewards
from mathwright.rl.check import check
from mathwright.rl.recipe import RewardTermRecipe
from mathwright.rl.rewards import AnswerReward, FormatReward, FunctionReward, LengthReward, Sample, judged, weighted_sum
from tests.rl import toy

PROBLEM = Problem(id="p", question="3 + 4", answer="7", source="toy", split="train")


def completion(text: str, finish: FinishReason = "stop", num_tokens: int = 4) -> Completion:
    return Completion(
        tokens=(1,) * num_tokens, logprobs=(-1.0,) * num_tokens, sampled=(True,) * num_tokens, text=text, finish=finish
    )


def samples(*texts: str) -> list[Sample]:
    return judged([(toy.asked(PROBLEM, "3 + 4 ="), completion(text)) for text in texts])


def cut(text: str) -> Sample:
    """A response that ran into its limit."""
    return judged([(toy.asked(PROBLEM, "3 + 4 ="), completion(text, finish="length"))])[0]


def values(reward, items):
    return [score.value for score in reward.score(items)]


def test_the_answer_rule_checks_the_final_answer():
    assert values(AnswerReward(), samples("so \\boxed{7}", "so \\boxed{8}", "no idea")) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("status", ["unparsable_reference", "timeout"])
def test_what_cannot_be_judged_is_unscored_not_wrong(status):
    sample = Sample(
        prompt=toy.asked(PROBLEM, ""),
        completion=completion("7"),
        verdict=Verdict(status=status, prediction="7", reference="?"),
    )
    assert AnswerReward().score([sample]) == [(None, status)]


def test_format_wants_one_boxed_answer_in_a_finished_response():
    cut = judged([(toy.asked(PROBLEM, ""), completion("\\boxed{7}", finish="length"))])
    assert values(FormatReward(), [*samples("\\boxed{7}", "7", "\\boxed{7} \\boxed{8}"), *cut]) == [1.0, 0.0, 0.0, 0.0]


def test_length_is_free_up_to_half_and_then_falls_to_minus_one():
    items = judged([(toy.asked(PROBLEM, ""), completion("7", num_tokens=n)) for n in (1, 50, 75, 100, 120)])
    assert values(LengthReward(100), items) == [0.0, 0.0, -0.5, -1.0, -1.0]


BAD_FUNCTIONS = {
    "raises": (lambda p, c: 1 / 0, "ZeroDivisionError"),
    "exits": (lambda p, c: sys.exit(1), "SystemExit"),
    "hangs": (lambda p, c: time.sleep(60), "took more than 0.05 s"),
    "NaN": (lambda p, c: float("nan"), "returned nan"),
    "infinite": (lambda p, c: float("inf"), "returned inf"),
    "string": (lambda p, c: "1.0", "returned '1.0'"),
}


@pytest.mark.parametrize("name", BAD_FUNCTIONS)
def test_whatever_a_function_does_wrong_leaves_the_response_unscored(name):
    function, reason = BAD_FUNCTIONS[name]
    timeout_s = 0.05 if name == "hangs" else 60
    (score,) = FunctionReward(function, "mine", timeout_s=timeout_s).score(samples("7"))
    assert score.value is None
    assert reason in score.reason


def test_a_function_may_return_any_number():
    for value, expected in ((2, 2.0), (True, 1.0), (-0.5, -0.5)):
        assert values(FunctionReward(lambda p, c, v=value: v, "mine"), samples("7")) == [expected]


def test_batched_functions_see_all_responses_at_once():
    calls = []

    def lengths(problems, completions):
        calls.append(len(problems))
        return [len(c.text) for c in completions]

    async def awaited(problems, completions):
        await asyncio.sleep(0)
        return lengths(problems, completions)

    for function in (lengths, awaited):
        assert values(FunctionReward(function, "mine", batched=True), samples("a", "bb", "ccc")) == [1.0, 2.0, 3.0]
    assert calls == [3, 3]
    assert FunctionReward(lengths, "mine", batched=True).score([]) == []


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda p, c: [1.0], "returned 1 values for 2 responses"),
        (lambda p, c: 1.0, "raised TypeError"),
        (lambda p, c: 1 / 0, "raised ZeroDivisionError"),
        (lambda p, c: time.sleep(60), "took more than 0.05 s"),
    ],
)
def test_whatever_a_batched_function_does_wrong_leaves_all_unscored(function, reason):
    timeout_s = 0.05 if reason.startswith("took") else 60
    scores = FunctionReward(function, "mine", timeout_s=timeout_s, batched=True).score(samples("7", "8"))
    assert [s.value for s in scores] == [None, None]
    assert all(reason in s.reason for s in scores)


def test_one_bad_value_of_a_batch_is_unscored_alone():
    scores = FunctionReward(lambda p, c: [1.0, float("nan"), "x"], "mine", batched=True).score(samples("7", "8", "9"))
    assert [s.value for s in scores] == [1.0, None, None]


def test_async_functions_run_at_the_same_time_and_fail_alone():
    together = asyncio.Event()
    waiting = []

    async def reward(problem, completion):
        waiting.append(completion.text)
        if completion.text == "hangs":
            await asyncio.sleep(60)
        if completion.text == "raises":
            raise KeyError("mine")
        if len(waiting) == 4:
            together.set()
        await together.wait()  # would never come to an end one after another
        return len(completion.text)

    scores = FunctionReward(reward, "mine", timeout_s=0.5).score(samples("a", "hangs", "raises", "bb"))
    assert [s.value for s in scores] == [1.0, None, None, 2.0]
    assert "took more than 0.5 s" in scores[1].reason
    assert "raised KeyError" in scores[2].reason


def test_the_reason_of_an_async_function_is_its_own():
    async def reward(problem, completion):
        if completion.text == "exits":
            await asyncio.sleep(0.05)
            sys.exit(1)
        if completion.text == "its own timeout":
            raise TimeoutError("the server did not answer")
        await asyncio.sleep(0 if completion.text == "quick" else 60)
        return 1

    scores = FunctionReward(reward, "mine", timeout_s=0.5).score(samples("quick", "its own timeout", "exits", "slow"))
    assert [s.value for s in scores] == [1.0, None, None, None]
    assert "raised TimeoutError: the server did not answer" in scores[1].reason
    assert "raised SystemExit" in scores[2].reason
    assert "took more than 0.5 s" in scores[3].reason


def test_an_object_with_an_async_call_is_awaited_too():
    class Reward:
        async def __call__(self, problem, completion):
            await asyncio.sleep(0)
            return 3

    assert values(FunctionReward(Reward(), "mine"), samples("7")) == [3.0]


def test_an_async_function_that_never_awaits_is_given_up(monkeypatch):
    monkeypatch.setattr(functions, "GRACE_S", 0.1)

    async def reward(problem, completion):
        time.sleep(60)

    (score,) = FunctionReward(reward, "mine", timeout_s=0.05).score(samples("7"))
    assert score.value is None
    assert "took more than" in score.reason


def test_a_sum_is_weighted_and_unscored_as_soon_as_one_term_fails():
    def picky(problem, completion):
        return 1 / 0 if "8" in completion.text else 10

    scored = weighted_sum(
        [(AnswerReward(), 1.0), (FunctionReward(picky, "picky"), 0.5)], samples("\\boxed{7}", "\\boxed{8}")
    )
    assert [s.total for s in scored] == [6.0, None]
    assert scored[1].by_name == {"answer": 0.0, "picky": None}
    assert scored[1].reasons == ("picky raised ZeroDivisionError: division by zero",)


@pytest.mark.parametrize("batched", [False, True])
def test_a_function_that_returns_none_leaves_the_response_to_the_others(batched):
    def of_eights(problem, completion):
        return 10 if "8" in completion.text else None

    def together(problems, completions):
        return list(map(of_eights, problems, completions))

    reward = FunctionReward(together if batched else of_eights, "eights", batched=batched)
    items = samples("\\boxed{7}", "\\boxed{8}")
    scored = weighted_sum([(AnswerReward(), 1.0), (reward, 0.5)], items)
    assert [s.total for s in scored] == [1.0, 5.0]
    assert scored[0].by_name == {"answer": 1.0, "eights": None}
    assert [s.reasons for s in scored] == [(), ()]
    alone = weighted_sum([(reward, 0.5), (FunctionReward(lambda p, c: None, "never"), 1.0)], items)
    assert [s.total for s in alone] == [None, 5.0], "where all abstain nothing scores"
    assert alone[0].reasons == ("eights returned None", "never returned None")


def test_a_reference_that_cannot_be_judged_is_not_made_up_for_by_other_terms():
    unjudged = Verdict(status="unparsable_reference", prediction="7", reference="?")
    sample = Sample(prompt=toy.asked(PROBLEM, ""), completion=completion("7"), verdict=unjudged)
    (scored,) = weighted_sum([(AnswerReward(), 1.0), (FunctionReward(lambda p, c: 5, "mine"), 1.0)], [sample])
    assert (scored.total, scored.reasons) == (None, ("unparsable_reference",))


def of_trl(prompts, completions, **kwargs):
    return [1.0 for _ in completions]


def of_trl_with_a_column(completions, answer, **kwargs):
    return [1.0 for _ in completions]


def of_verl(data_source, solution_str, ground_truth, extra_info=None):
    return 1.0


def of_openrlhf(queries, prompts, labels):
    return [1.0 for _ in queries]


def of_one(completion):
    return 1.0


def of_three(problem, completion, weight):
    return 1.0


def of_three_with_a_default(problem, completion, weight=1.0):
    return 1.0


def in_our_own_words(question, response):
    return 1.0


def of_whatever(*things):
    return 1.0


def in_the_other_order(completions, problems):
    return 1.0


@pytest.mark.parametrize("takes", [functions.EACH, functions.TOGETHER])
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (of_openrlhf, "calls it"),
        (of_one, r"takes \(completion\); here it is called with"),
        (of_three, r"takes \(problem, completion, weight\)"),
        (in_the_other_order, r"takes \(completions, problems\)"),
    ],
)
def test_functions_of_other_trainers_are_refused_by_their_signature(takes, function, message):
    with pytest.raises(MathwrightError, match=message) as caught:
        functions.import_function(f"tests.rl.test_rewards:{function.__name__}", takes=takes)
    assert "wrap it: def mine(problem, completion)" in caught.value.hint or "write it as def f(" in caught.value.hint


COLUMNS = Problem(
    id="c", question="1 + 1?", answer="2", source="mine", split="train", columns={"answer": "two", "level": 3}
)


def by_column(completions, answer, level, **kwargs):
    assert "answer" not in kwargs
    return [float(c == a) + n for c, a, n in zip(completions, answer, level, strict=True)]


def by_conversation(prompts, completions, ground_truth):
    rows = zip(prompts, completions, ground_truth, strict=True)
    return [float(c[0]["content"] == g and p[0]["role"] == "user") for p, c, g in rows]


def of_verl_with_more(data_source, solution_str, ground_truth, extra_info=None):
    level = (extra_info or {})["level"]
    return {"score": float(solution_str == ground_truth), "data_source": data_source, "level": level}


@pytest.mark.parametrize("batched", [False, True])
def test_functions_of_trl_and_verl_are_called_with_what_they_take(batched):
    takes = functions.TOGETHER if batched else functions.EACH

    def scores(name: str, problem: Problem) -> list[float]:
        function = functions.import_function(f"tests.rl.test_rewards:{name}", takes=takes)
        done = [completion("2"), completion("two")]
        return list(function([problem] * 2, done)) if batched else [function(problem, one) for one in done]

    assert scores("of_trl", COLUMNS) == [1.0, 1.0]
    assert scores("by_column", COLUMNS) == [3.0, 4.0], "the column of that name goes before the reference answer"
    chat = dataclasses.replace(COLUMNS, messages=(Message(role="user", content="1 + 1?"),))
    assert scores("by_conversation", chat) == [1.0, 0.0]
    assert scores("of_verl", COLUMNS) == [1.0, 1.0]
    assert scores("of_verl_with_more", COLUMNS) == [1.0, 0.0]


def test_a_function_in_a_file_of_its_own(tmp_path):
    (tmp_path / "help_us.py").write_text("ONE = 1.0\n")
    (tmp_path / "mine.py").write_text("from help_us import ONE\n\ndef f(problem, completion):\n    return ONE\n")
    assert functions.import_function(f"{tmp_path}/mine.py:f", takes=functions.EACH)(None, None) == 1.0
    for name, content, message, hint in (
        ("mine.py:g", None, "has no 'g'", "its functions are f"),
        ("none.py:f", None, "no such file", "mine.py"),
        ("bad.py:f", "def f(:\n", "SyntaxError", "python"),
        ("worse.py:f", "1 / 0\n", "ZeroDivisionError", "python"),
    ):
        if content:
            (tmp_path / name.partition(":")[0]).write_text(content)
        with pytest.raises(MathwrightError, match=message) as caught:
            functions.import_function(f"{tmp_path}/{name}", takes=functions.EACH)
        assert hint in caught.value.hint


def test_own_functions_alone_are_the_reward():
    recipe = toy.recipe(reward="functions", extra_rewards=(RewardTermRecipe(function="tests.rl.toy:share_of_digits"),))
    [(reward, weight)] = rewards.from_recipe(recipe, None)
    assert (reward.name, weight) == ("tests.rl.toy:share_of_digits", 1.0)
    with pytest.raises(MathwrightError, match=r"rl\.extra_rewards names none"):
        check(dataclasses.replace(recipe, extra_rewards=()))


@pytest.mark.parametrize("function", [of_three_with_a_default, in_our_own_words, of_whatever, max])
def test_any_names_will_do_that_take_what_is_given(function):
    path = f"tests.rl.test_rewards:{function.__name__}" if function is not max else "builtins:max"
    assert functions.import_function(path, takes=functions.EACH) is function


def test_functions_are_named_by_module_and_name():
    assert functions.import_function("tests.rl.toy:share_of_digits") is toy.share_of_digits
    for path, message in (
        ("no_colon", "not of the form"),
        ("no.such.module:f", "cannot import"),
        ("tests.rl.toy:no_such", "cannot import"),
        ("tests.rl.toy:PROBLEMS", "no function"),
    ):
        with pytest.raises(MathwrightError, match=message):
            functions.import_function(path)


def test_a_recipe_that_wants_a_reward_model_needs_one():
    with pytest.raises(MathwrightError, match="no reward model"):
        rewards.from_recipe(toy.recipe(reward="model"), None)


def test_the_reward_model_scores_prompt_and_text(monkeypatch):
    seen = SimpleNamespace()

    def score(model, prompts, responses, *, truncated, micro_batch_tokens):
        seen.arguments = (prompts, responses, truncated, micro_batch_tokens)
        return [0.25, None, float("nan")]

    monkeypatch.setattr(rewards, "score", score)
    reward = rewards.ModelReward(model=SimpleNamespace(), micro_batch_tokens=64)  # type: ignore[arg-type]
    assert reward.score([*samples("a", "b"), cut("c")]) == [
        (0.25, ""),
        (None, "too long for the reward model"),
        (None, "the reward model gave nan"),
    ]
    assert seen.arguments == (["3 + 4 ="] * 3, ["a", "b", "c"], [False, False, True], 64)
    scale = Scale(mean=0.05, std=0.1, num_responses=9)
    standardised = rewards.ModelReward(model=SimpleNamespace(), micro_batch_tokens=64, scale=scale)  # type: ignore[arg-type]
    assert standardised.score(samples("a", "b", "c"))[0].value == pytest.approx(2.0)
    chance = dataclasses.replace(standardised, sigmoid=True)
    assert chance.score(samples("a", "b", "c"))[0].value == pytest.approx(1 / (1 + math.exp(-2.0)))


def test_sigma_of_a_score_is_a_chance_however_far_it_lies():
    found = [rewards.reward_of_score(score, None, sigmoid=True) for score in (-1e4, -3.0, 0.0, 3.0, 1e4)]
    assert found == pytest.approx([0.0, 1 / (1 + math.exp(3)), 0.5, 1 - 1 / (1 + math.exp(3)), 1.0])
    recipe = toy.recipe(reward="model", sigmoid_reward=True, extra_rewards=())
    ((reward, _),) = rewards.from_recipe(recipe, SimpleNamespace())  # type: ignore[arg-type]
    assert isinstance(reward, rewards.ModelReward) and reward.sigmoid


def test_a_cut_response_has_the_reward_for_being_cut_and_no_model_is_asked(monkeypatch):
    asked = []

    def score(model, prompts, responses, *, truncated, micro_batch_tokens):
        asked.extend(responses)
        return [0.25] * len(responses)

    monkeypatch.setattr(rewards, "score", score)
    recipe = toy.recipe(reward="model", truncation_reward=-1.0, extra_rewards=())
    ((reward, weight),) = rewards.from_recipe(recipe, SimpleNamespace())  # type: ignore[arg-type]
    assert values(reward, [cut("a"), *samples("b"), cut("c")]) == [-1.0, 0.25, -1.0]
    assert (reward.name, weight, asked) == ("model", 1.0, ["b"])
    ((rule, _),) = rewards.from_recipe(toy.recipe(truncation_reward=-0.5, extra_rewards=()), None)
    assert values(rule, [cut("\\boxed{7}"), *samples("\\boxed{7}")]) == [-0.5, 1.0]
    ((rule, _),) = rewards.from_recipe(toy.recipe(extra_rewards=()), None)
    assert values(rule, [cut("\\boxed{7}")]) == [1.0], "without the rule it is judged as the others"


def test_format_counts_no_box_within_a_thought():
    assert values(FormatReward(), samples("<think>\\boxed{6}?</think> \\boxed{7}", "<think> \\boxed{7}")) == [1.0, 0.0]
    opened = judged([(toy.asked(PROBLEM, "3 + 4 = <think>\n"), completion("\\boxed{7}"))])
    assert values(FormatReward(), opened) == [0.0]
