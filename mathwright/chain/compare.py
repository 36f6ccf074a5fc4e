"""Table 1 (§2.2): the same model trained on each corpus for the same number of tokens, and who is ahead.

Arms x seeds x learning rates, each a part of the stage. A seed fixes the order of the data of all arms, so that arms
are compared in pairs: by the bits of the same held-out texts, worked solutions and questions (`pretrain.verdict`).

    heal the start -> pilot: what could be seen? -> arms x seeds x rates -> few-shot accuracy -> table, curves, verdicts
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mathwright.chain import contamination, fewshot, work
from mathwright.chain.scores import Scores, curves, signal_to_noise, table
from mathwright.errors import MathwrightError
from mathwright.pretrain import training as pretraining
from mathwright.pretrain.choices import choices_of
from mathwright.pretrain.comparison import HEALED, Training, arms, pilot, task_and_mode, trainings
from mathwright.pretrain.measures import Questions
from mathwright.pretrain.recipe import START, CompareRecipe, PretrainRecipe
from mathwright.pretrain.targets import read_targets
from mathwright.problems.benchmarks import load_benchmark
from mathwright.run import Stage, read_manifest

TASKS = "-tasks"
"""Behind the name of a training: the part of the stage with the accuracy of its model."""
FORESEEN_SEEDS = 100
"""Seeds up to which it is asked how many would do."""


def run(
    recipe: CompareRecipe,
    stage: Stage,
    *,
    model: str | Path,
    corpora: Mapping[str, Path],
    heldout: Path | None,
    dtype: str,
    seed: int,
    device: str = "cpu",
    own_heldout: Mapping[str, Path] | None = None,
) -> None:
    """Train `model` on each arm, under each seed and at each rate, and say which is ahead.

    Each training is a part of this stage (`Stage.part`): one that has finished is not repeated when the run goes on.

    Args:
        model: folder, hub id or wheel of the start model.
        corpora: folder of token shards by name, for all components of all arms and of the healing.
        heldout: held-out shards that all arms are measured by, or None.
        own_heldout: held-out shards of corpora by name, each a measure of its own.

    Raises MathwrightError where there is nothing to measure by, and after the pilot where `recipe.stop_above` says so.
    """
    comparison = _Comparison(
        recipe=recipe,
        stage=stage,
        corpora=corpora,
        heldout=heldout,
        own_heldout=dict(own_heldout or {}),
        questions=read_questions(recipe, seed),
        dtype=dtype,
        seed=seed,
        device=device,
    )
    start = comparison.heal(model)
    found = comparison.contamination(start)
    comparison.pilot(start)
    todo = trainings(recipe, seed)
    parts = comparison.train(todo, start, forecast=True)
    accuracies = comparison.measure_accuracy(todo, start)
    _finish(recipe, stage, todo, parts, accuracies, found)


def read_questions(recipe: CompareRecipe, seed: int) -> Questions:
    """The worked solutions and the multiple choice that arms are measured by. Raises MathwrightError where a file is
    missing or has none."""
    limit = recipe.num_targets
    paths = [Path(path) for path in recipe.targets or ()]
    choices = {}
    for name in recipe.choices or ():
        loaded = load_benchmark(name, recipe.benchmark_data or None)
        choices[loaded.benchmark.name] = choices_of(loaded.problems, limit=limit, seed=seed)
        if not choices[loaded.benchmark.name]:
            raise MathwrightError(
                f"compare.choices: {name} has no question with options of which one is right",
                hint="name a benchmark of multiple choice, such as mmlu_stem, sat or aqua",
            )
    return Questions(
        targets={path.name.partition(".")[0]: read_targets(path, limit=limit, seed=seed) for path in paths},
        choices=choices,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """A comparison in progress."""

    recipe: CompareRecipe
    stage: Stage
    corpora: Mapping[str, Path]
    heldout: Path | None
    own_heldout: Mapping[str, Path]
    questions: Questions
    dtype: str
    seed: int
    device: str

    def heal(self, model: str | Path) -> str | Path:
        """The common start of all arms: the model, trained first where the recipe says so."""
        if self.recipe.heal is None:
            return model
        part = self._train(self.recipe.heal, HEALED, model=model, seed=self.seed)
        return part.output("model")

    def pilot(self, start: str | Path) -> None:
        """Say which difference all seeds would show, before they are paid for; stop where it is too large."""
        todo, recipe = pilot(self.recipe, self.seed), self.recipe
        if not todo:
            return
        self.train(todo, start)
        num_seeds = len(recipe.seeds or ())
        scores = Scores.read(recipe, self.stage, todo)
        for measure, least in scores.foreseen(num_seeds).items():
            self.stage.say(f"pilot, {measure}: {num_seeds} seeds can show {least:.4f} {scores.unit(measure)}")
        first = next(iter(scores.foreseen(num_seeds).items()), None)
        if recipe.stop_above is None or first is None or first[1] <= recipe.stop_above:
            return
        measure, least = first
        enough = next(
            (n for n in range(num_seeds, FORESEEN_SEEDS) if scores.foreseen(n)[measure] <= recipe.stop_above), None
        )
        raise MathwrightError(
            f"by {measure} {num_seeds} seeds can show a difference of {least:.4f} {scores.unit(measure)}, not of "
            f"compare.stop_above={recipe.stop_above:g}",
            hint=(f"{enough} seeds would do; " if enough else "no number of seeds would do; ")
            + "more texts and questions, or more tokens, also show smaller differences",
        )

    def train(self, todo: Sequence[Training], start: str | Path, *, forecast: bool = False) -> dict[str, Stage]:
        """Do the trainings that are not done, in order; the part of each by name."""
        parts: dict[str, Stage] = {}
        of_two_seeds = 2 * len(arms(self.recipe))
        for number, training in enumerate(todo):
            parts[training.name] = self._train(
                _alone(self.recipe.training, training),
                training.name,
                model=parts[training.start].output("model") if training.start else start,
                seed=training.seed,
            )
            if forecast and number + 1 == of_two_seeds and len(self.recipe.seeds or ()) > 2:
                self._say_what_can_be_seen(todo[:of_two_seeds])
        return parts

    def _train(self, recipe: PretrainRecipe, name: str, *, model: str | Path, seed: int) -> Stage:
        train_alone = partial(
            pretraining.run,
            recipe,
            model=model,
            corpora={component.name: self.corpora[component.name] for component in recipe.mixture},
            heldout=self.heldout,
            dtype=self.dtype,
            seed=seed,
            device=self.device,
            questions=self.questions,
            more_heldout={f"held-out {corpus}": path for corpus, path in self.own_heldout.items()},
        )
        return work.finish(self.stage.part(name), train_alone, parallel=True)

    def _say_what_can_be_seen(self, done: Sequence[Training]) -> None:
        """The least difference that all seeds can show, as far as the first two of them tell."""
        num_seeds = len(self.recipe.seeds or ())
        scores = Scores.read(self.recipe, self.stage, done)
        for measure, least in scores.foreseen(num_seeds).items():
            self.stage.say(f"{measure}: {num_seeds} seeds can show a difference of {least:.4f} {scores.unit(measure)}")

    def measure_accuracy(self, todo: Sequence[Training], start: str | Path) -> dict[str, list[dict[str, Any]]]:
        """Few-shot accuracy by arm, the mean over its trainings; empty where the recipe names no task."""
        if not self.recipe.tasks:
            return {}
        models = [(t.arm.name, t.name, str(self.stage.path / t.name / "model")) for t in todo]
        if self.recipe.with_start:
            models.append((START, START, str(start)))
        rows: dict[str, list[dict[str, Any]]] = {}
        for arm, name, model in models:
            evaluate = partial(
                fewshot.run,
                self.recipe,
                model=model,
                name=name,
                dtype=self.dtype,
                seed=self.seed,
                device=self.device,
            )
            part = work.finish(self.stage.part(name + TASKS), lambda part, do=evaluate: do(part), parallel=True)
            manifest = read_manifest(part.path)
            rows.setdefault(arm, []).extend(manifest["summary"]["table"] if manifest is not None else ())
        return {arm: fewshot.mean_rows(own) for arm, own in rows.items()}

    def contamination(self, start: str | Path) -> dict[str, dict[str, dict[str, int]]]:
        """By arm and measure, how much of what it is measured by its corpora hold; empty where nobody asked."""
        if not self.recipe.contamination or not self.stage.writes:
            return {}
        index = contamination.index_of(self.questions, _problems_of(self.recipe))
        read = {component.name: self.corpora[component.name] for arm in arms(self.recipe) for component in arm.mixture}
        found = contamination.find(self.stage, index, read, str(start))
        return {
            arm.name: contamination.of_arm(found, [component.name for component in arm.mixture])
            for arm in arms(self.recipe)
        }


def _alone(recipe: PretrainRecipe, training: Training) -> PretrainRecipe:
    """The training on one arm and nothing else, its windows in the order that all arms of the seed share."""
    mixture = training.arm.mixture
    if len(mixture) == 1:
        mixture = (replace(mixture[0], weight=1.0, tokens=None),)
    return replace(
        recipe,
        mixture=tuple(replace(component, order="compare") for component in mixture),
        num_tokens=training.num_tokens,
        optimiser=replace(recipe.optimiser, lr=training.rate),
    )


def _problems_of(recipe: CompareRecipe) -> dict[str, Iterable[Any]]:
    names = dict.fromkeys(task_and_mode(task)[0] for task in recipe.tasks or ())
    return {name: load_benchmark(name, recipe.benchmark_data or None).problems for name in names}


def _finish(
    recipe: CompareRecipe,
    stage: Stage,
    todo: Sequence[Training],
    parts: Mapping[str, Stage],
    accuracies: Mapping[str, Sequence[Mapping[str, Any]]],
    contaminated: Mapping[str, Any],
) -> None:
    """Say what was found, and keep it in the summary: table, curves, verdicts, signal to noise of each measure."""
    scores = Scores.read(recipe, stage, todo)
    rows = table(recipe, stage, scores, todo)
    for row in rows:
        row["accuracy"] = list(accuracies.get(row["corpus"], ()))
        row["contamination"] = contaminated.get(row["corpus"], {})
        if "bits_per_byte_after" in row:
            before, after = row["bits_per_byte_before"], row["bits_per_byte_after"]
            stage.say(f"{row['corpus']}: {before:.3f} -> {after:.3f} bits per byte")
        for measured in row["accuracy"]:
            stage.say(f"{row['corpus']}, {fewshot.describe(measured)}")
    verdicts = scores.verdicts()
    for measure, found in verdicts.items():
        for verdict in found:
            stage.say(f"{measure}: {verdict}")
    drawn = curves(stage, todo) if stage.writes else []
    stage.finish(
        outputs={name: part.output("model") for name, part in parts.items()},
        summary={
            "table": rows,
            "curves": drawn,
            "signal_to_noise": signal_to_noise(drawn),
            "verdicts": {name: [{"text": str(v), **asdict(v)} for v in found] for name, found in verdicts.items()},
        },
    )
