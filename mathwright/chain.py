"""The stages of a recipe in the order of the paper, wired by what they leave in the run directory.

    problems ─┬─> model ──> corpus (§2.1) ──> compare (§2.2)
              │                    └────────> pretrain (§2.3) ──> sft (§3) ──> reward (§4.1) ──> rl (§4) ──> eval
              └─ (evaluation problems are kept out of the corpus)

Each stage's fingerprint covers its recipe part and the fingerprints of the stages it reads, so that a change re-runs
just what depends on it.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import mathwright
from mathwright.errors import MathwrightError
from mathwright.recipe import Recipe
from mathwright.records import Problem, Solution, read_jsonl, to_json, write_jsonl
from mathwright.rl.check import check
from mathwright.run import RunDirectory, Stage, console, read_manifest, require_disk

STAGES = ("problems", "model", "corpus", "compare", "pretrain", "sft", "reward", "rl", "eval")
"""Names of the stages, each the name of its folder in the run."""


PARALLEL_STAGES = ("model", "pretrain", "sft", "rl")
"""Stages that several processes, started by torchrun, run together; problems are read by the first of them."""
MINIMUM_DISK_BYTES = 200 * 2**20
CHECKPOINT_BYTES_PER_PARAMETER = 3 * 14 + 4
"""Two checkpoints kept and one being written (weights, float32 copy, two moments), and the model itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Artefacts given by hand instead of taken from the run's earlier stages."""

    model: str | None = None
    """Model folder, hub id or wheel that the stage starts from."""
    shards: Path | None = None
    """Folder of token shards in place of the mined corpus."""


class Chain:
    """A recipe on its way through a run directory."""

    def __init__(self, recipe: Recipe, out: str | Path, *, inputs: Inputs | None = None, device: str = "cpu") -> None:
        self.recipe = recipe = _with_dtype(recipe, device)
        self.directory = RunDirectory(out, recipe_name=recipe.name, recipe=to_json(recipe))
        self.inputs = inputs or Inputs()
        self.device = device
        self._decisions = self._read_decisions()

    def run(self, names: tuple[str, ...] = STAGES) -> None:
        """Run the named stages that the recipe has and that are not finished, in order."""
        if self.recipe.rl is not None and "rl" in names:
            check(self.recipe.rl)  # what cannot be trained should be known before the hours in front of it
        check_trainings(self.recipe, names)
        for name in STAGES:
            if name in names and self._has(name):
                self._run_stage(name)

    def _has(self, name: str) -> bool:
        return name in ("problems", "model") or getattr(self.recipe, name) is not None

    def _run_stage(self, name: str) -> None:
        from mathwright.lm import parallel

        world = parallel.world()
        stage = self.stage(name)
        finished = stage.finished
        parallel.barrier(world)  # all have looked before the first can finish it
        if finished:
            stage.say("finished before, skipped")
            return
        if world.size > 1 and name not in ("problems", *PARALLEL_STAGES):
            raise MathwrightError(
                f"stage {name!r} runs in one process, not in {world.size}",
                hint=f"run it without torchrun, under which these run: {', '.join(PARALLEL_STAGES)}",
            )
        work: dict[str, Callable[[Stage], None]] = {
            "problems": self._problems,
            "model": self._model,
            "corpus": self._corpus,
            "compare": self._compare,
            "pretrain": self._pretrain,
            "sft": self._sft,
            "reward": self._reward,
            "rl": self._rl,
            "eval": self._eval,
        }
        self._require_disk(name, stage)
        try:
            if stage.writes or name in PARALLEL_STAGES:
                work[name](stage)
            parallel.barrier(world)  # until the first process has written what the next stage reads
        except BaseException:
            stage.pause()
            raise
        finally:
            _release_memory()

    def _require_disk(self, name: str, stage: Stage) -> None:
        """A training that runs out of disk loses an hour; one that knows beforehand loses nothing."""
        manifest = read_manifest(self.directory.path / "model")
        size = MINIMUM_DISK_BYTES
        if manifest is not None and name in ("compare", "pretrain", "sft", "reward", "rl"):
            size += CHECKPOINT_BYTES_PER_PARAMETER * manifest["summary"]["num_parameters"]
        require_disk(stage.path, size, f"stage {name!r}")

    # -- fingerprints --

    def stage(self, name: str) -> Stage:
        """The stage's folder, emptied where it was made from another recipe or other inputs."""
        return self.directory.stage(*self._parts(name), revision=self._decisions if name == "corpus" else "")

    def _read_decisions(self) -> str:
        """What people have decided about the corpus, as a hash: once, so that it stays the same while the run goes."""
        corpus = self.recipe.corpus
        if corpus is None or not (corpus.rules or (self.directory.path / "rules.toml").is_file()):
            return ""
        from mathwright.corpus.annotate import decisions_digest, read_people

        return decisions_digest(read_people(self.directory.path, corpus.rules))

    def _revised_parts(self, name: str) -> list[Any]:
        """All that the finished stage depends on."""
        return [*self._parts(name), *([self._decisions] if name == "corpus" and self._decisions else [])]

    def _parts(self, name: str) -> list[Any]:
        recipe, given = self.recipe, self.inputs
        common = [mathwright.__version__, recipe.seed]
        upstream = [self._revised_parts(earlier) for earlier in self._reads(name)]
        start = given.model if name in ("compare", "pretrain", "sft", "reward", "rl", "eval") else None
        shards = str(given.shards) if given.shards and name in ("compare", "pretrain") else None
        own = getattr(recipe, name) if name in ("problems", "model") or self._has(name) else None
        template = recipe.template if name in ("sft", "reward", "rl", "eval") else None
        return [name, *common, own, template, start, shards, upstream]

    def _reads(self, name: str) -> list[str]:
        """The stages whose artefacts a stage reads."""
        if name == "problems":
            return []
        if name == "model":
            return ["problems"] if self.recipe.model.source == "scratch" else []
        if name == "corpus":
            return ["problems", "model"]
        corpus = ["corpus"] if self._has("corpus") else []
        if name in ("compare", "pretrain"):
            return ["model", *corpus]
        if name == "eval":
            return ["problems", *self._trained()]
        before = {"sft": ("pretrain",), "reward": ("sft", "pretrain"), "rl": ("sft", "pretrain")}[name]
        start = next((stage for stage in before if self._has(stage)), "model")
        needs_reward = name == "rl" and self.recipe.rl is not None and self.recipe.rl.reward == "model"
        return ["problems", start, *(["reward"] if needs_reward else [])]

    def _trained(self) -> list[str]:
        return ["model", *(name for name in ("pretrain", "sft", "rl") if self._has(name))]

    # -- artefacts --

    def output(self, stage: str, name: str) -> Path:
        """An artefact of a finished stage of this run."""
        manifest = read_manifest(self.directory.path / stage)
        if manifest is None or manifest["fingerprint"] != self.directory.fingerprint(*self._revised_parts(stage)):
            raise MathwrightError(
                f"stage {stage!r} of {self.directory.path} has not finished",
                hint=f"run it first: `mathwright {stage}`, or the whole recipe with `mathwright run`",
            )
        path = Path(manifest["outputs"][name])
        return path if path.is_absolute() else self.directory.path / path

    def _start_model(self, stage: str) -> str:
        """The model a training stage starts from: given by hand, or of the nearest earlier stage."""
        if self.inputs.model is not None:
            return self.inputs.model
        source = next(s for s in self._reads(stage) if s not in ("problems", "corpus", "reward"))
        return str(self.output(source, "model"))

    def problems(self, split: str) -> list[Problem]:
        """The problems of a split ("train" or "test"), test problems in a seeded order."""
        return list(read_jsonl(self.output("problems", split), Problem))

    def _solutions(self) -> list[Solution]:
        return list(read_jsonl(self.output("problems", "solutions"), Solution))

    # -- stages --

    def _problems(self, stage: Stage) -> None:
        from mathwright.problems.sources import load_problems

        loaded = load_problems(self.recipe.problems)
        test = list(loaded.test)
        Random(self.recipe.seed).shuffle(test)  # the first n of them are then a fair sample of all templates
        outputs = {name: stage.path / f"{name}.jsonl" for name in ("train", "test", "solutions")}
        write_jsonl(outputs["train"], loaded.train)
        write_jsonl(outputs["test"], test)
        write_jsonl(outputs["solutions"], loaded.solutions)
        kept = len(loaded.train) + len(test)
        stage.funnel(
            "load", unit="problems", num_in=kept + sum(loaded.dropped.values()), num_out=kept, dropped=loaded.dropped
        )
        counts = {"train": len(loaded.train), "test": len(test), "solutions": len(loaded.solutions)}
        stage.say(", ".join(f"{count:,} {name}" for name, count in counts.items()))
        stage.finish(outputs=outputs, summary=counts)

    def _model(self, stage: Stage) -> None:
        from mathwright.lm.load import from_scratch, save
        from mathwright.lm.load import load as load_model
        from mathwright.problems.formats import response_text

        recipe = self.recipe.model
        if recipe.source == "scratch":
            if recipe.scratch is None:
                raise MathwrightError("model.source is 'scratch' but model.scratch is missing", hint="give its sizes")
            solutions = self._solutions()
            texts = [p.question for p in self.problems("train")] + [
                response_text(s, self.recipe.template) for s in solutions
            ]
            lm = from_scratch(recipe.scratch, texts, max_length=recipe.max_length, seed=self.recipe.seed)
        else:
            lm = load_model(recipe.source, dtype=recipe.dtype)
        save(lm, stage.path / "model")
        num_parameters = sum(p.numel() for p in lm.model.parameters())
        stage.say(f"{recipe.source}: {num_parameters / 1e6:.1f}M parameters")
        stage.finish(
            outputs={"model": stage.path / "model"},
            summary={"source": recipe.source, "num_parameters": num_parameters},
        )

    def _corpus(self, stage: Stage) -> None:
        from mathwright.corpus.stage import run

        assert self.recipe.corpus is not None
        run(
            self.recipe.corpus,
            stage,
            tokenizer_source=str(self.output("model", "model")),
            decontaminate=self.problems("test"),
            seed=self.recipe.seed,
        )

    def _shards(self, names_and_paths: list[tuple[str, str]]) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for name, path in names_and_paths:
            if path != "run:corpus":
                found[name] = Path(path)
            else:
                found[name] = self.inputs.shards or self.output("corpus", "shards")
        return found

    def _heldout(self) -> Path | None:
        return self.output("corpus", "heldout") if self._has("corpus") else None

    def _compare(self, stage: Stage) -> None:
        from mathwright.pretrain.compare import run

        assert self.recipe.compare is not None
        heldout = self._heldout()
        if heldout is None:
            raise MathwrightError("a comparison needs held-out text", hint="give the recipe a corpus part")
        run(
            self.recipe.compare,
            stage,
            model=self.recipe.compare.model.source if self.recipe.compare.model else self._start_model("compare"),
            corpora=self._shards([(c.name, c.path) for c in self.recipe.compare.corpora]),
            heldout=heldout,
            dtype=self.recipe.model.dtype,
            seed=self.recipe.seed,
            device=self.device,
        )

    def _pretrain(self, stage: Stage) -> None:
        from mathwright.pretrain.train import run

        assert self.recipe.pretrain is not None
        run(
            self.recipe.pretrain,
            stage,
            model=self._start_model("pretrain"),
            corpora=self._shards([(c.name, c.path) for c in self.recipe.pretrain.mixture]),
            heldout=self._heldout(),
            dtype=self.recipe.model.dtype,
            seed=self.recipe.seed,
            device=self.device,
        )

    def _sft(self, stage: Stage) -> None:
        from mathwright.sft.train import run

        assert self.recipe.sft is not None
        run(
            self.recipe.sft,
            stage,
            model=self._start_model("sft"),
            problems=self.problems("train"),
            solutions=self._solutions(),
            template=self.recipe.template,
            dtype=self.recipe.model.dtype,
            seed=self.recipe.seed,
            device=self.device,
        )

    def _reward(self, stage: Stage) -> None:
        from mathwright.reward.train import run

        assert self.recipe.reward is not None
        run(
            self.recipe.reward,
            stage,
            model=Path(self._start_model("reward")),
            problems=self.problems("train"),
            template=self.recipe.template,
            dtype=self.recipe.model.dtype,
            seed=self.recipe.seed,
            device=self.device,
        )

    def _rl(self, stage: Stage) -> None:
        from mathwright.rl.train import run

        assert self.recipe.rl is not None
        run(
            self.recipe.rl,
            stage,
            model=Path(self._start_model("rl")),
            reward_model=self.output("reward", "model") if self.recipe.rl.reward == "model" else None,
            problems=self.problems("train"),
            template=self.recipe.template,
            dtype=self.recipe.model.dtype,
            seed=self.recipe.seed,
            solutions=self._solutions() if self.recipe.rl.method == "sft" else (),
            heldout=self.problems("test") if self.recipe.rl.evaluate_every else (),
            device=self.device,
        )

    def _eval(self, stage: Stage) -> None:
        from mathwright.eval.run import EvaluatedModel, run

        assert self.recipe.eval is not None
        trained = self._trained()
        before = [name for name in trained if name in ("model", "pretrain")][-1:]
        tuned = [name for name in trained if name in ("sft", "rl")]
        templates = {
            **dict.fromkeys(before, self.recipe.eval.start_template),
            **dict.fromkeys(tuned, self.recipe.template),
        }
        models = {
            name: EvaluatedModel(path=self.output(name, "model"), template=template)
            for name, template in templates.items()
        }
        if self.inputs.model is not None:
            models = {"model": EvaluatedModel(path=self.inputs.model, template=self.recipe.template)}
        run(
            self.recipe.eval,
            stage,
            models=models,
            problems=self.problems("test"),
            dtype=self.recipe.model.dtype,
            seed=self.recipe.seed,
            device=self.device,
        )


def _with_dtype(recipe: Recipe, device: str) -> Recipe:
    """The recipe with the type of weights it leaves to the machine."""
    if recipe.model.dtype != "auto":
        return recipe
    from mathwright.lm.load import fast_dtype

    return replace(recipe, model=replace(recipe.model, dtype=fast_dtype(device)))


def _release_memory() -> None:
    """Give a finished stage's memory back to the system: glibc keeps what was freed, and the next stage pays for it."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)


def check_trainings(recipe: Recipe, names: tuple[str, ...]) -> None:
    """Raise MathwrightError where one of the named stages would train nothing."""
    from mathwright.pretrain import recipe as pretrain
    from mathwright.reward import recipe as reward
    from mathwright.sft import recipe as sft

    if "compare" in names and recipe.compare is not None:
        pretrain.check(recipe.compare.training)
    if "pretrain" in names and recipe.pretrain is not None:
        pretrain.check(recipe.pretrain)
    if "sft" in names and recipe.sft is not None:
        sft.check(recipe.sft)
    if "reward" in names and recipe.reward is not None:
        reward.check(recipe.reward)


def headline(run: Path) -> str:
    """What a finished run improved, in one line: the last model against the first, with its interval."""
    manifest = read_manifest(run / "eval")
    if manifest is None:
        return "no evaluation yet"
    models = manifest["summary"]["models"]
    parts = [
        f"{row['mode']} {row['difference']:+.1%} ({row['interval'][0]:+.1%} to {row['interval'][1]:+.1%})"
        for row in manifest["summary"]["comparisons"]
        if (row["before"], row["after"]) == (models[0], models[-1])
    ]
    return (
        f"accuracy from {models[0]} to {models[-1]}: {', '.join(parts)}" if parts else "one model, nothing to compare"
    )


def print_headline(run: Path, report: Path) -> None:
    """The last line of a run: where the report is and what improved."""
    console.print(f"[bold green]{report}[/]: {headline(run)}", soft_wrap=True)
