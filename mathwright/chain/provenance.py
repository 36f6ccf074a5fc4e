"""What each stage of a recipe is made from: its part of the recipe, what it reads, and what is given by hand.

The inputs of a stage are values by path: those of its own part that change the result, the format it is written in,
and all inputs of the stages it reads. So a change makes again just what depends on it, and can be named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.chain.spec import Specs, StageSpec
from mathwright.engines.names import weights_mark
from mathwright.recipe import Recipe
from mathwright.run.affects import RESULT, Leaf, leaves
from mathwright.run.inputs import Begun

QUESTIONS_FORMAT = 2
"""That of the questions in stages that ask problems from files of records, which alone have options and tests: since 2
training asks with the options, and judges by them and by the tests, as evaluation does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Artefacts given by hand instead of taken from the run's earlier stages."""

    model: str | None = None
    """Model folder, hub id or wheel that the stage starts from."""
    shards: Path | None = None
    """Folder of token shards in place of the mined corpus."""


@dataclass(slots=True, kw_only=True)
class Provenance:
    """What the stages of a recipe are made from in a run."""

    recipe: Recipe
    run: Path
    given: Inputs
    decisions: str
    """Hash of what people have decided about the corpus; "" for nothing."""
    stages: Specs
    asked: frozenset[str] | None = None
    """The stages that `given` is meant for; None for all."""

    def has(self, name: str) -> bool:
        """Whether the recipe has this stage."""
        return getattr(self.recipe, name) is not None

    def spec(self, name: str) -> StageSpec[Any]:
        """The stage of that name."""
        return next(spec for spec in self.stages if spec.name == name)

    def reads(self, name: str) -> list[str]:
        """The stages whose artefacts a stage reads."""
        spec = self.spec(name)
        models = spec.models(self.recipe) if spec.models is not None and self.given_model(name) is None else ()
        found = {*spec.reads(self.recipe), *models}
        return [earlier.name for earlier in self.stages if earlier.name in found]

    def of(self, name: str) -> dict[str, Any]:
        """All that the result of a stage depends on, by path; without what it takes up by itself (`revision`)."""
        spec = self.spec(name)
        found: dict[str, Any] = {leaf.path: leaf.value for leaf in self._leaves(name) if leaf.affects is RESULT}
        found |= {"seed": self.recipe.seed, f"{name} format": spec.format}
        if spec.uses_template(self.recipe):
            found["template"] = self.recipe.template
        if self.recipe.system and (name == "model" or spec.uses_template(self.recipe)):
            found["system"] = self.recipe.system
        if self.recipe.enable_thinking is not None and (name == "model" or spec.uses_template(self.recipe)):
            found["enable_thinking"] = self.recipe.enable_thinking
        if spec.asks and any(source.is_file for source in self.recipe.problems.sources):
            found[f"{name} questions format"] = QUESTIONS_FORMAT
        if spec.models is not None:
            found["model.dtype"] = self.recipe.model.dtype
        if (model := self.given_model(name)) is not None:
            found[f"{name} --model"] = self._mark(name, model)
        if (shards := self.given_shards(name)) is not None:
            found[f"{name} --shards"] = str(shards.absolute())
        if self.has(name):
            found |= {f"content of {where}": mark for where, mark in spec.contents(self.recipe).items()}
        for earlier in self.reads(name):
            found |= {path: value for path, value in self.of(earlier).items() if path not in found}
            if earlier == "corpus" and self.decisions:
                found["decisions about the corpus"] = self.decisions
        return found

    def revision(self, name: str) -> str:
        """What a stage takes up by itself."""
        return self.decisions if name == "corpus" else ""

    def settings(self, name: str) -> dict[str, Any]:
        """What of a stage's part changes memory, speed or display alone, by path."""
        return {leaf.path: leaf.value for leaf in self._leaves(name) if leaf.affects is not RESULT}

    def growing(self, name: str) -> set[str]:
        """Paths of a stage's part of which a larger value is more of the same."""
        return {leaf.path for leaf in self._leaves(name) if leaf.grows}

    def _leaves(self, name: str) -> Iterator[Leaf]:
        if self.has(name):
            yield from leaves(getattr(self.recipe, name), f"{name}.")

    # -- what is named by hand --

    def given_model(self, name: str) -> str | None:
        """The model that is named by hand for a stage."""
        return self.given.model if self.spec(name).models is not None and self._is_asked(name) else None

    def given_shards(self, name: str) -> Path | None:
        """The token shards that are named by hand for a stage."""
        return self.given.shards if self.spec(name).takes_shards and self._is_asked(name) else None

    def _is_asked(self, name: str) -> bool:
        return self.asked is None or name in self.asked

    def start(self, name: str) -> str:
        """Where the model that is named by hand lies: one that lay in the folder of the stage itself may have been set
        aside when the stage began."""
        model = self.given_model(name)
        assert model is not None
        return self._moved(name, model)[0] or model

    def _mark(self, name: str, model: str) -> str:
        """What tells a model from others: its path, and for a local one some of its weights."""
        _, known = self._moved(name, model)
        if known:
            return known
        weights = weights_mark(model)
        return f"{Path(model).expanduser().absolute()} ({weights})" if weights else model

    def _moved(self, name: str, model: str) -> tuple[str, str]:
        """Where the model lies, and its mark, if the stage was begun from this very name; else two empty strings."""
        begun = Begun.read(self.run / name)
        if begun is None or begun.start is None or begun.inputs is None:
            return "", ""
        if begun.start["given"] != str(local(model)) or not Path(begun.start["at"]).is_dir():
            return "", ""
        return begun.start["at"], begun.inputs.get(f"{name} --model", "")


def local(path: str | Path) -> Path:
    """A path of this machine, absolute, and without `..`."""
    return Path(path).expanduser().absolute().resolve()
