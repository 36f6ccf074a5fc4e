"""The stages of a recipe in the order of the paper, wired by what they leave in the run directory.

    problems ─┬─> model ──> corpus (§2.1) ──> compare (§2.2)
              │                    └────────> pretrain (§2.3) ──> sft (§3) ──> reward (§4.1) ──> rl (§4) ──> eval
              └─ (evaluation problems are kept out of the corpus)

What a stage is made from is in `mathwright.chain.provenance`; what can be wrong with it, in `mathwright.chain.checks`.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mathwright.chain import checks, earlier, sharing
from mathwright.chain.provenance import STAGES, Inputs, Provenance, local
from mathwright.errors import MathwrightError
from mathwright.recipe import Recipe
from mathwright.records import Problem, Solution, read_jsonl, to_json, write_jsonl
from mathwright.run import RunDirectory, Stage, lock, read_manifest, require_disk
from mathwright.run.inputs import Begun, by_path, differences, said

if TYPE_CHECKING:
    from mathwright.problems.sources import ProblemSet

PARALLEL_STAGES = ("model", "pretrain", "sft", "rl")
"""Stages that several processes, started by torchrun, run together; problems are read by the first of them."""
MINIMUM_DISK_BYTES = 200 * 2**20
CHECKPOINT_BYTES_PER_PARAMETER = 3 * 14 + 4
"""Two checkpoints kept and one being written (weights, float32 copy, two moments), and the model itself."""


class Chain:
    """A recipe on its way through a run directory."""

    def __init__(self, recipe: Recipe, out: str | Path, *, inputs: Inputs | None = None, device: str = "cpu") -> None:
        self.recipe = recipe = _with_dtype(recipe, device)
        self.directory = RunDirectory(out, recipe_name=recipe.name, recipe=to_json(recipe))
        self.inputs = inputs or Inputs()
        self.device = device
        self.made_from = Provenance(
            recipe=recipe, run=self.directory.path, given=self.inputs, decisions=self._read_decisions()
        )

    def run(self, names: tuple[str, ...] = STAGES, *, clear: Collection[str] = ()) -> None:
        """Run the named stages that the recipe has and that are not finished, in order.

        Everything that can be known to be wrong is looked for before a file of the run is touched. What the stages in
        `clear` have made is removed first. No other command may work on the run meanwhile, but one that is given the
        same corpus to make shares the extraction of its archives.

        Raises MathwrightError for bad input, lock.InUseError where another command works on the run, and
        SharedWorkDoneError where the other one goes on alone.
        """
        todo = [name for name in STAGES if name in names and self.made_from.has(name)]
        self.made_from.asked = frozenset(names)
        try:
            with self.directory.lock() as held:
                if held is not None:
                    earlier.take_over(self.directory.path, self.made_from.decisions)
                    checks.check(self, todo, clear)
                for name in todo:
                    if held is not None:
                        held.say(at=name, corpus=self.mark("corpus") if "corpus" in todo else "")
                    self._run_stage(name, clear=name in clear)
        except lock.InUseError:
            if clear or "corpus" not in todo or not sharing.reaches_corpus(self):
                raise
            with sharing.joined_corpus(self) as stage:
                self._corpus(stage)  # which ends here where the other command goes on alone
            self.run(names)

    def _run_stage(self, name: str, *, clear: bool) -> None:
        from mathwright.lm import parallel

        world = parallel.world()
        if world.size > 1 and name not in ("problems", *PARALLEL_STAGES) and not self.is_finished(name):
            raise MathwrightError(
                f"stage {name!r} runs in one process, not in {world.size}",
                hint=f"run it without torchrun, under which these run: {', '.join(PARALLEL_STAGES)}",
            )
        if clear or not self.is_finished(name):
            self._require_disk(name)
        stage = self.stage(name, clear=clear)
        finished = stage.finished
        parallel.barrier(world)  # all have looked before the first can finish it
        if finished:
            stage.say(f"finished before, skipped{self._other_settings(name)}")
            return
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
        try:
            if stage.writes or name in PARALLEL_STAGES:
                work[name](stage)
            parallel.barrier(world)  # until the first process has written what the next stage reads
        except BaseException:
            stage.pause()
            raise
        finally:
            _release_memory()

    def _require_disk(self, name: str) -> None:
        """A training that runs out of disk loses an hour; one that knows beforehand loses nothing."""
        manifest = read_manifest(self.directory.path / "model")
        size = MINIMUM_DISK_BYTES
        if manifest is not None and name in ("compare", "pretrain", "sft", "reward", "rl"):
            size += CHECKPOINT_BYTES_PER_PARAMETER * manifest["summary"]["num_parameters"]
        require_disk(self.directory.path, size, f"stage {name!r}")

    # -- stages and what they are made from --

    def stage(self, name: str, *, clear: bool = False) -> Stage:
        """The stage's folder; what was made from another recipe or other inputs is set aside."""
        model = self.made_from.given_model(name)
        return self.directory.stage(
            name,
            self.made_from.of(name),
            revision=self.made_from.revision(name),
            settings=self.made_from.settings(name),
            growing=self.made_from.growing(name),
            start=local(model) if model is not None else None,
            clear=clear,
        )

    def is_finished(self, name: str) -> bool:
        """Whether a stage has finished with the inputs of now. Touches nothing."""
        manifest = read_manifest(self.directory.path / name)
        return manifest is not None and manifest["fingerprint"] == self.mark(name)

    def mark(self, name: str) -> str:
        """The fingerprint of a stage that has finished with the inputs of now."""
        revision = self.made_from.revision(name)
        return self.directory.fingerprint(name, self.made_from.of(name), *([revision] if revision else []))

    def _other_settings(self, name: str) -> str:
        """What the finished stage was made with that is another now, though it changes nothing."""
        begun = Begun.read(self.directory.path / name)
        changes = differences(begun.settings, by_path([self.made_from.settings(name)])) if begun is not None else []
        return f" ({said(changes)}: nothing that is made depends on it)" if changes else ""

    def _read_decisions(self) -> str:
        """What people have decided about the corpus, as a hash: once, so that it stays the same while the run goes."""
        corpus = self.recipe.corpus
        if corpus is None or not (corpus.rules or (self.directory.path / "rules.toml").is_file()):
            return ""
        from mathwright.corpus.rules.rules import decisions_digest, read_people

        return decisions_digest(read_people(self.directory.path, corpus.rules))

    # -- artefacts --

    def require(self, stage: str) -> dict[str, Any]:
        """The manifest of a stage that has finished with the inputs of now.

        Raises MathwrightError, naming what differs, where it was made from others; and where it is not there.
        """
        manifest = read_manifest(self.directory.path / stage)
        if manifest is not None and manifest["fingerprint"] == self.mark(stage):
            return manifest
        found = self.directory.standing(stage, self.made_from.of(stage))
        if manifest is None or not found.changes:
            raise MathwrightError(
                f"stage {stage!r} of {self.directory.path} has not finished",
                hint=f"run it first: `mathwright {stage}`, or the whole recipe with `mathwright run`",
            )
        model = manifest["outputs"].get("model")
        raise MathwrightError(
            f"stage {stage!r} of {self.directory.path} has other inputs (there -> now): {said(found.changes)}",
            hint="give this command the same"
            + (f", or its model as it is: --model {self.directory.path / model}" if model else "")
            + f"; or make it again with `mathwright {stage}`: what is there is kept under a dated name",
        )

    def output(self, stage: str, name: str) -> Path:
        """An artefact of a finished stage of this run."""
        path = Path(self.require(stage)["outputs"][name])
        return path if path.is_absolute() else self.directory.path / path

    def _start_model(self, stage: str) -> str:
        """The model a training stage starts from: given by hand, or of the nearest earlier stage."""
        if self.made_from.given_model(stage) is not None:
            return self.made_from.start(stage)
        source = next(s for s in self.made_from.reads(stage) if s not in ("problems", "corpus", "reward"))
        return str(self.output(source, "model"))

    @cached_property
    def loaded_problems(self) -> ProblemSet:
        """The problems of the recipe as their sources give them."""
        from mathwright.problems.sources import load_problems

        return load_problems(self.recipe.problems)

    def problems(self, split: str) -> list[Problem]:
        """The problems of a split ("train" or "test"), test problems in a seeded order."""
        return list(read_jsonl(self.output("problems", split), Problem))

    def _solutions(self) -> list[Solution]:
        return list(read_jsonl(self.output("problems", "solutions"), Solution))

    # -- stages --

    def _problems(self, stage: Stage) -> None:
        loaded = self.loaded_problems
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
        from mathwright.lm.load import load as load_model
        from mathwright.lm.save import save
        from mathwright.lm.scratch import from_scratch
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
                found[name] = self.made_from.given.shards or self.output("corpus", "shards")
        return found

    def _heldout(self) -> Path | None:
        return self.output("corpus", "heldout") if self.made_from.has("corpus") else None

    def _compare(self, stage: Stage) -> None:
        from mathwright.chain.compare import run

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
        given = self.made_from.given_model("eval") is not None
        trained = [] if given else self.made_from.trained()
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
        if given:
            models = {"model": EvaluatedModel(path=self.made_from.start("eval"), template=self.recipe.template)}
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
