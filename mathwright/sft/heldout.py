"""Problems that fine-tuning does not see: what the model makes of them while it trains, and the best model so far."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch

from mathwright.engines.engine import Answer, Request
from mathwright.engines.local import LocalEngine
from mathwright.errors import MathwrightError
from mathwright.files import write_json
from mathwright.judge import judge_all, needs_sandbox
from mathwright.lm import lora, parallel
from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example, pack_examples
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.save import save
from mathwright.problems.own import conversation_of
from mathwright.problems.prompts import build_prompt
from mathwright.records import Problem, Solution
from mathwright.run import Stage
from mathwright.sft.recipe import SFTRecipe
from mathwright.tools.loop import PythonTool
from mathwright.tools.sandbox import Sandbox

BEST, BEST_FILE, BEST_ADAPTER = "best", "best.json", "best_adapter"


def split_heldout(
    solutions: Sequence[Solution], count: int, seed: int
) -> tuple[list[Solution], list[Solution], list[str]]:
    """(trained, held out, ids of the held-out problems): all solutions of `count` problems drawn by the seed.

    A conversation counts as one problem: its turns are held out together.

    Raises MathwrightError where no problem would be left to train on.
    """
    ids = sorted({conversation_of(solution.problem_id) for solution in solutions})
    if count >= len(ids):
        raise MathwrightError(
            f"sft.heldout is {count}, but only {len(ids):,} problems have solutions", hint="hold fewer of them out"
        )
    inside = set(Random(f"heldout:{seed}").sample(ids, count))
    trained = [solution for solution in solutions if conversation_of(solution.problem_id) not in inside]
    aside = [solution for solution in solutions if conversation_of(solution.problem_id) in inside]
    return trained, aside, sorted({solution.problem_id for solution in aside})


class Heldout:
    """Measures a model on held-out examples and problems, and keeps the best one."""

    def __init__(
        self,
        recipe: SFTRecipe,
        stage: Stage,
        lm: LanguageModel,
        examples: Sequence[Example],
        problems: Sequence[Problem],
        template: str,
        *,
        start: str | Path = "",
    ) -> None:
        """start: the model that adapters are added to."""
        self._recipe, self._stage, self._lm = recipe, stage, lm
        self._examples, self._problems, self._template = examples, problems, template
        self._start = start
        file = stage.path / BEST_FILE
        self._best: dict[str, float] | None = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def measure(self, step: int) -> dict[str, float]:
        """Loss per trained token, and, where models are chosen by it, the accuracy; the best model is saved."""
        found = {"heldout_loss": self.loss()}
        if self._recipe.choose == "accuracy":
            with parallel.unsharded(self._lm):
                found["heldout_accuracy"] = self.accuracy()
        if self._recipe.choose is not None and step > 0:
            value = -found["heldout_loss"] if self._recipe.choose == "loss" else found["heldout_accuracy"]
            self._keep_best(step, value)
        return found

    def has_stalled(self, step: int) -> bool:
        """Whether `recipe.patience` measurements in a row, that after `step` the last, were no better than the best."""
        if self._recipe.patience is None or self._best is None:
            return False
        assert self._recipe.evaluate_every is not None, "check has seen to it"
        return step - self._best["step"] >= self._recipe.patience * self._recipe.evaluate_every

    @torch.no_grad()
    def loss(self) -> float:
        """Mean nats per trained token."""
        packed = (pack_examples([example], self._recipe.context, None) for example in self._examples)
        nats = sum(float(next_token_losses(self._lm, rows).sum()) for ones in packed for rows in ones)
        return nats / sum(sum(example.trained) for example in self._examples)

    def accuracy(self) -> float:
        """Share of the problems that a greedy response answers rightly, programs run where the format has some."""
        mode = self._recipe.formats[0]
        tokenizer = self._lm.tokenizer
        prompts = [build_prompt(p, mode, template=self._template, tokenizer=tokenizer) for p in self._problems]
        greedy = SamplingRecipe(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=self._recipe.context // 2)
        requests = [Request(key=str(i), prompt=prompt, seed=0, sampling=greedy) for i, prompt in enumerate(prompts)]
        texts = [""] * len(prompts)

        def keep(index: int, answer: Answer) -> None:
            texts[index] = answer.text

        sandbox = Sandbox() if needs_sandbox(prompts) else None
        try:
            tool = PythonTool(sandbox) if sandbox is not None and mode == "tool" else None
            LocalEngine(self._lm).generate(requests, tool=tool, max_tool_rounds=4, on_completion=keep)
            verdicts = judge_all(list(zip(prompts, texts, strict=True)), sandbox=sandbox)
        finally:
            if sandbox is not None:
                sandbox.close()
        return sum(verdict.correct for verdict in verdicts) / len(verdicts)

    def _keep_best(self, step: int, value: float) -> None:
        if self._best is not None and value <= self._best["value"]:
            return
        self._best = {"step": step, "value": value}
        save(self._lm, self._stage.path / BEST)
        if self._recipe.lora is not None:
            lora.save_adapter(self._lm, self._stage.path / BEST_ADAPTER, self._recipe.lora, base=self._start)
        if self._stage.writes:
            write_json(self._stage.path / BEST_FILE, self._best)


def best_model(stage: Stage) -> tuple[Path, int]:
    """The folder of the best model that was measured, and its step."""
    found = json.loads((stage.path / BEST_FILE).read_text(encoding="utf-8"))
    return stage.path / BEST, found["step"]
