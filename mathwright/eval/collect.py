"""Sampling and judging: from pieces of work to samples on disk, for `mathwright eval MODEL` and for recipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mathwright.engines.engine import Answer, Engine, Request
from mathwright.eval.store import Key, Store
from mathwright.judge import judge, sandbox_for
from mathwright.lm.recipe import SamplingRecipe
from mathwright.problems.templates import Prompt
from mathwright.records import EvalRecord
from mathwright.tools.loop import PythonTool
from mathwright.tools.sandbox import Sandbox

GREEDY = -1
"""`EvalRecord.sample` of the greedy answer."""
NUM_JUDGES = 2
"""Threads that judge while the model writes on: a hung answer holds up none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One sample to draw."""

    task: str
    prompt: Prompt
    sample: int
    """GREEDY, or 0..K-1."""
    seed: int
    sampling: SamplingRecipe
    rel_tolerance: float = 0.0

    @property
    def key(self) -> Key:
        return Key(self.task, self.prompt.mode, self.prompt.problem.id, self.sample)


def greedy(max_new_tokens: int) -> SamplingRecipe:
    """Temperature 0, as the paper's tables are measured."""
    return SamplingRecipe(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=max_new_tokens)


def sample_seed(seed: int, problem_index: int, sample: int) -> int:
    """The seed of one sample: the same for every model, so that two models are compared on equal draws."""
    return (seed + 1) * 1_000_003 + problem_index * 1_009 + sample


def collect(
    work: Sequence[Work],
    engine: Engine,
    store: Store,
    *,
    model: str,
    max_tool_rounds: int,
    on_record: Callable[[EvalRecord], None] = lambda record: None,
) -> None:
    """Draw, judge and keep every sample of `work`. What is kept already should not be in it.

    Samples are kept in the order they are finished. Programs run in a sandbox, in tool mode while the model waits.
    `on_record` is called with each kept sample, from one thread at a time. Raises MathwrightError where the engine or
    the sandbox cannot go on; what was kept stays.
    """
    modes = dict.fromkeys((w.task, w.prompt.mode) for w in work)
    with (
        sandbox_for([w.prompt for w in work]) as sandbox,
        ThreadPoolExecutor(NUM_JUDGES, thread_name_prefix="judge") as judges,
        ThreadPoolExecutor(1, thread_name_prefix="keep") as keeper,
    ):
        for task, mode in modes:
            part = [w for w in work if (w.task, w.prompt.mode) == (task, mode)]
            uses_tool = mode == "tool" and sandbox is not None
            pending: list[Future[None]] = []

            def judge_and_keep(item: Work, answer: Answer) -> None:
                record = _record(item, answer, model, sandbox)
                store.append(record)
                keeper.submit(on_record, record).result()

            def finished(
                index: int, answer: Answer, part: list[Work] = part, pending: list[Future[None]] = pending
            ) -> None:
                pending.append(judges.submit(judge_and_keep, part[index], answer))

            engine.generate(
                [Request(key=str(w.key), prompt=w.prompt, seed=w.seed, sampling=w.sampling) for w in part],
                tool=PythonTool(sandbox) if uses_tool and sandbox is not None else None,
                max_tool_rounds=max_tool_rounds if uses_tool else 0,
                on_completion=finished,
            )
            for future in pending:
                future.result()


def _record(item: Work, answer: Answer, model: str, sandbox: Sandbox | None) -> EvalRecord:
    verdict = judge(item.prompt, answer.text, sandbox=sandbox, rel_tolerance=item.rel_tolerance)
    return EvalRecord(
        model=model,
        task=item.task,
        mode=item.prompt.mode,
        problem=item.prompt.problem,
        sample=item.sample,
        prompt=item.prompt.text,
        response=answer.text,
        verdict=verdict,
        finish=answer.finish,
        num_tokens=answer.num_tokens,
        num_tool_calls=answer.num_tool_calls,
    )
