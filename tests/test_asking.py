"""Training, evaluation and chat ask a problem in the same words and judge a response by the same rules.

Each room is entered by its own door, with a generator of paper that writes the responses given here.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from mathwright.cli import chat as chatting
from mathwright.engines.engine import Answer
from mathwright.eval import run as evaluation
from mathwright.eval.recipe import EvalRecipe
from mathwright.lm.load import load
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.records import Completion, JudgedGroup, Part, Problem, RolloutGroup, Solution, SolutionFormat, from_json
from mathwright.reward import rankings
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl import models as rl_models
from mathwright.run import RunDirectory, Stage
from mathwright.sft.recipe import SFTRecipe
from mathwright.sft.training import build_examples
from tests.rl import toy

TEMPLATE = "deepseekmath"
SAMPLING = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=64)
ADD = "def add(a, b):\n    return a"


def problem(kind: str, question: str, answer: str, **fields: Any) -> Problem:
    return Problem(id=kind, question=question, answer=answer, source="kinds", split="train", **fields)


PROBLEMS = (
    problem("free", "What is 6 * 7?", "42"),
    problem("chinese", "6乘7等于几？", "42", language="zh"),
    problem("choice", "What is 6 * 7?", "B", choices=("41", "42", "43")),
    problem("chinese choice", "6乘7等于几？", "B", choices=("41", "42"), language="zh"),
    problem("program", "Write add, which adds two numbers.", "", tests="assert add(2, 1) == 3"),
    problem("function", f'{ADD.replace("return a", "")}"""The sum."""\n', "", tests="assert add(2, 1) == 3"),
)
SUFFIXES = {
    ("en", "cot"): "\nPlease reason step by step, and put your final answer within \\boxed{}.",
    ("zh", "cot"): "\n请通过逐步推理来解答问题，并把最终答案放置于\\boxed{}中。",
    ("en", "tool"): "\nPlease integrate natural language reasoning with programs to solve the problem above, "
    "and put your final answer within \\boxed{}.",
    ("zh", "tool"): "\n请结合自然语言和Python程序语言来解答问题，并把最终答案放置于\\boxed{}中。",
}
CODE = "\n\nPlease write the whole program, with its imports, in one ```python block."
WORDS: Mapping[str, str] = {
    "free": "What is 6 * 7?",
    "chinese": "6乘7等于几？",
    "choice": "What is 6 * 7?\n(A) 41\n(B) 42\n(C) 43\nChoose the letter of the right option.",
    "chinese choice": "6乘7等于几？\n(A) 41\n(B) 42\n请选择正确选项的字母。",
    "program": "Write add, which adds two numbers." + CODE,
    "function": f'Complete this Python function:\n\ndef add(a, b):\n    """The sum."""{CODE}',
}
"""What a model is asked, before the suffix of the paper."""


def expected_prompt(asked: Problem, mode: SolutionFormat) -> str:
    suffix = "" if asked.tests else SUFFIXES[asked.language, mode]
    return f"User: {WORDS[asked.id]}{suffix}\n\nAssistant:"


def responses_to(asked: Problem) -> dict[str, str]:
    """Responses by what they are: one that each kind of judge alone would take for right, and one for wrong."""
    if asked.tests:
        # the text of an answer says nothing of a program
        return {f" ```python\n{ADD} + b\n```\n": "correct", f" ```python\n{ADD} - b\n```\n\\boxed{{3}}": "incorrect"}
    if asked.choices:
        return {" \\boxed{B}": "correct", " \\boxed{42}": "correct", " \\boxed{A}": "incorrect"}
    return {" \\boxed{42}": "correct", " The answer is 42.": "correct", " \\boxed{B}": "incorrect"}


GROUP = 3
TEXTS = {p.id: (list(responses_to(p)) * GROUP)[:GROUP] for p in PROBLEMS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("asking") / "model"
    save(from_scratch(toy.SCRATCH, [*WORDS.values(), CODE] * 2, max_length=640, seed=0), path)
    return path


@pytest.fixture(scope="module")
def lm(folder: Path) -> LanguageModel:
    torch.set_num_threads(1)
    return load(folder, dtype="float32")


class Paper:
    """In the place of `lm.generate.Generator`: the j-th response to a prompt is the j-th text of its problem."""

    def __init__(self, lm: LanguageModel, **_: Any) -> None:
        self.lm = lm

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Any, *, seeds: Any, tool: Any = None, **_: Any
    ) -> list[list[Completion]]:
        asked = [self.lm.tokenizer.decode(tokens) for tokens in prompts]
        assert all((tool is not None) == ("integrate" in text or "结合" in text) for text in asked), (
            "programs run for those alone who were told that they may write them"
        )
        return [[self._write(text, j) for j in range(len(row))] for text, row in zip(asked, seeds, strict=True)]

    def _write(self, prompt: str, j: int) -> Completion:
        text = TEXTS[kind_of(prompt)][j]
        tokens = (*self.lm.tokenizer.encode(text, add_special_tokens=False), self.lm.tokenizer.eos_token_id)
        n = len(tokens)
        return Completion(tokens=tokens, logprobs=(-1.0,) * n, sampled=(True,) * n, text=text, finish="stop")


def kind_of(prompt: str) -> str:
    """The problem that was asked, however it was."""
    if "add" in prompt:
        return "function" if "def add" in prompt else "program"
    return (
        ("chinese" if "乘" in prompt else "free")
        if "41" not in prompt
        else ("chinese choice" if "乘" in prompt else "choice")
    )


Found = dict[str, tuple[str, dict[str, str]]]
"""Prompt and statuses by response, by problem."""


def stage_in(path: Path, name: str) -> Stage:
    return RunDirectory(path, recipe_name="t", recipe={}).stage(name)


def in_sft(path: Path, folder: Path, lm: LanguageModel, mode: SolutionFormat) -> Found:
    found: Found = {}
    recipe = SFTRecipe(
        formats=("cot", "pot", "tool"), num_examples=0, context=640, batch_rows=1, num_steps=1,
        optimiser=toy.recipe().optimiser, checkpoint_every=0,
    )  # fmt: skip
    for asked in PROBLEMS:
        kind = "code" if asked.tests else "text"
        solution = Solution(
            problem_id=asked.id,
            format="pot" if asked.tests else mode,
            parts=(Part(kind=kind, text="\\boxed{B}"),),
            answer=asked.answer,
        )
        stage = stage_in(path / asked.id, "sft")
        [example] = build_examples(recipe, stage, lm, PROBLEMS, [solution], template=TEMPLATE, seed=0)
        given = lm.tokenizer.decode(example.tokens[: example.trained.index(True)])
        found[asked.id] = (given, {})
    return found


def in_reward(path: Path, folder: Path, lm: LanguageModel, mode: SolutionFormat) -> Found:
    recipe = RewardRecipe(
        mode=mode, num_problems=len(PROBLEMS), responses_per_problem=GROUP, sampling=SAMPLING, num_epochs=1,
        batch_rankings=1, micro_batch_tokens=100, heldout_share=0.0, optimiser=toy.recipe().optimiser,
    )  # fmt: skip
    groups, _ = rankings.sample_groups(recipe, stage_in(path, "reward"), lm, PROBLEMS, template=TEMPLATE, seed=0)
    return {group.problem_id: (group.prompt, _statuses(group)) for group in groups}


def _statuses(group: JudgedGroup) -> dict[str, str]:
    words = {True: "correct", False: "incorrect"}
    judged = zip(group.responses, group.correct, strict=True)
    return {text: words[right] for text, right in judged if right is not None}


def in_rl(path: Path, folder: Path, lm: LanguageModel, mode: SolutionFormat) -> Found:
    toy.training.run(
        toy.recipe(
            mode=mode, num_steps=1, problems_per_step=len(PROBLEMS), group_size=GROUP, sampling=SAMPLING,
            saved_groups=len(PROBLEMS), max_logprob_gap=1e9, extra_rewards=(), micro_batch_tokens=4096,
        ),
        stage_in(path, "rl"), model=folder, reward_model=None, problems=PROBLEMS, template=TEMPLATE, dtype="float32",
        seed=0,
    )  # fmt: skip
    lines = [json.loads(line) for line in (path / "rl/rollouts.jsonl").read_text().splitlines()]
    groups = [from_json(RolloutGroup, line["group"]) for line in lines]
    return {
        g.problem.id: (g.prompt, {r.completion.text: r.verdict.status for r in g.rollouts if r.verdict is not None})
        for g in groups
    }


class PaperEngine:
    """In the place of `LocalEngine`; the greedy answer is the first text."""

    name = "paper"

    def __init__(self, lm: LanguageModel, **_: Any) -> None:
        self.tokenizer = lm.tokenizer

    def generate(self, requests: Sequence[Any], *, on_completion: Callable[[int, Answer], None], **_: Any) -> None:
        seen: dict[str, int] = {}
        for index, request in enumerate(requests):
            text = request.prompt.text
            place = seen[text] = seen.get(text, -1) + 1
            response = TEXTS[kind_of(text)][max(0, place - 1)]
            on_completion(index, Answer(text=response, finish="stop", num_tokens=1, num_tool_calls=0))

    def close(self) -> None:
        pass


def in_eval(path: Path, folder: Path, lm: LanguageModel, mode: SolutionFormat) -> Found:
    recipe = EvalRecipe(
        modes=(mode,), start_template=TEMPLATE, num_problems=len(PROBLEMS), greedy_max_new_tokens=64,  # type: ignore[arg-type]
        num_samples=GROUP, num_sampled_problems=len(PROBLEMS), sampling=SAMPLING, max_tool_rounds=1, batch_size=8,
    )  # fmt: skip
    model = evaluation.EvaluatedModel(path=folder, template=TEMPLATE)
    stage = stage_in(path, "eval")
    records = evaluation.evaluate(recipe, stage, "m", model, PROBLEMS, dtype="float32", seed=0, device="cpu")
    found: Found = {}
    for record in records:
        assert record.mode == ("pot" if record.problem.tests else mode)
        found.setdefault(record.problem.id, (record.prompt, {}))[1][record.response] = record.verdict.status
    return found


ROOMS: Mapping[str, Callable[[Path, Path, LanguageModel, SolutionFormat], Found]] = {
    "sft": in_sft,
    "reward": in_reward,
    "rl": in_rl,
    "eval": in_eval,
}


@pytest.mark.parametrize("mode", ["cot", "tool"])
@pytest.mark.parametrize("room", ROOMS)
def test_every_kind_of_problem_is_asked_and_judged_alike(
    room: str, mode: SolutionFormat, folder: Path, lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rankings, "Generator", Paper)
    monkeypatch.setattr(rl_models, "Generator", Paper)
    monkeypatch.setattr(evaluation, "LocalEngine", PaperEngine)
    found = ROOMS[room](tmp_path, folder, lm, mode)
    assert {name: prompt for name, (prompt, _) in found.items()} == {p.id: expected_prompt(p, mode) for p in PROBLEMS}
    if room != "sft":
        assert {name: statuses for name, (_, statuses) in found.items()} == {p.id: responses_to(p) for p in PROBLEMS}


@pytest.mark.parametrize("mode", ["cot", "tool"])
def test_a_chat_asks_as_training_does(
    mode: SolutionFormat, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    class Listening(Paper):
        def generate(self, prompts: Any, *arguments: Any, **options: Any) -> list[list[Completion]]:
            asked.extend(self.lm.tokenizer.decode(tokens) for tokens in prompts)
            return super().generate(prompts, *arguments, **options)

    monkeypatch.setattr(chatting, "Generator", Listening)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PROBLEMS[0].question}\n\n"))
    chatting.chat(str(folder), template=TEMPLATE, mode=mode, temperature=0.0, max_new_tokens=8)
    assert asked == [expected_prompt(PROBLEMS[0], mode)]
    assert "answer: 42" in capsys.readouterr().err
