"""Stage `problems`: what is asked, from its sources, in splits."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from mathwright.chain.context import Context
from mathwright.chain.spec import StageSpec
from mathwright.problems.containers import data_mark
from mathwright.recipe import Recipe
from mathwright.records import write_jsonl
from mathwright.run import Stage


def check(context: Context) -> None:
    _ = context.loaded_problems  # all of them: an unknown source, a malformed line, a split without a problem


def run(context: Context, stage: Stage) -> None:
    loaded = context.loaded_problems
    test = list(loaded.test)
    Random(context.recipe.seed).shuffle(test)  # the first n of them are then a fair sample of all templates
    splits = {"train": loaded.train, "test": test, "solutions": loaded.solutions}
    outputs = {name: stage.path / f"{name}.jsonl" for name in splits}
    for name, records in splits.items():
        write_jsonl(outputs[name], records)
    kept = len(loaded.train) + len(test)
    stage.funnel(
        "load", unit="problems", num_in=kept + sum(loaded.dropped.values()), num_out=kept, dropped=loaded.dropped
    )
    counts = {name: len(records) for name, records in splits.items()}
    stage.say(", ".join(f"{count:,} {name}" for name, count in counts.items()))
    stage.finish(outputs=outputs, summary=counts)


def contents(recipe: Recipe) -> Mapping[str, str]:
    files = [source for source in recipe.problems.sources if source.is_file]
    # recipes of earlier versions had to say how many
    return {source.source: data_mark(source.source) for source in files if source.num_train is None}


PROBLEMS = StageSpec(name="problems", run=run, check=check, contents=contents)
