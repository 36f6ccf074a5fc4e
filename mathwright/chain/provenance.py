"""What each stage of a recipe is made from: its part of the recipe, what it reads, and what is given by hand.

The inputs of a stage are values by path: those of its own part that change the result, the format it is written in,
and all inputs of the stages it reads. So a change makes again just what depends on it, and can be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.engines.names import weights_mark
from mathwright.recipe import Recipe
from mathwright.run.affects import RESULT, Leaf, leaves
from mathwright.run.inputs import Begun

STAGES = ("problems", "model", "corpus", "compare", "pretrain", "sft", "reward", "rl", "eval")
"""Names of the stages, each the name of its folder in the run."""
FORMATS: Mapping[str, int] = dict.fromkeys(STAGES, 1)
"""Raise that of a stage when it writes or reads its files in another way, or computes something else from the same
inputs, so that one begun by an earlier version must not go on. The version of the package does not count."""

QUESTIONS_FORMAT = 2
"""Likewise, of the stages that ask problems from files of records, which alone have options and tests: since 2 training
asks with the options, and judges by them and by the tests, as evaluation does."""

TEMPLATED = ("sft", "reward", "rl", "eval")
STARTED = ("compare", "pretrain", "sft", "reward", "rl", "eval")
"""Stages that load a model, which `--model` may name."""
SHARDED = ("compare", "pretrain")
"""Stages that read token shards, which `--shards` may name."""


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
    asked: frozenset[str] = frozenset(STAGES)
    """The stages that `given` is meant for."""

    def has(self, name: str) -> bool:
        """Whether the recipe has this stage."""
        return name in ("problems", "model") or getattr(self.recipe, name) is not None

    def trained(self) -> list[str]:
        """The stages that leave a language model."""
        return ["model", *(name for name in ("pretrain", "sft", "rl") if self.has(name))]

    def reads(self, name: str) -> list[str]:
        """The stages whose artefacts a stage reads."""
        if name == "problems":
            return []
        if name == "model":
            return ["problems"] if self.recipe.model.source == "scratch" else []
        if name == "corpus":
            return ["problems", "model"]
        given = self.given_model(name) is not None
        if name in SHARDED:
            corpus = ["corpus"] if self.has("corpus") else []
            return [*([] if given else ["model"]), *corpus]
        if name == "eval":
            return ["problems", *([] if given else self.trained())]
        before = {"sft": ("pretrain",), "reward": ("sft", "pretrain"), "rl": ("sft", "pretrain")}[name]
        start = [] if given else [next((stage for stage in before if self.has(stage)), "model")]
        needs_reward = name == "rl" and self.recipe.rl is not None and self.recipe.rl.reward == "model"
        return ["problems", *start, *(["reward"] if needs_reward else [])]

    def of(self, name: str) -> dict[str, Any]:
        """All that the result of a stage depends on, by path; without what it takes up by itself (`revision`)."""
        found: dict[str, Any] = {leaf.path: leaf.value for leaf in self._leaves(name) if leaf.affects is RESULT}
        found |= {"seed": self.recipe.seed, f"{name} format": FORMATS[name]}
        if name in TEMPLATED or (name == "model" and self.recipe.model.source == "scratch"):
            found["template"] = self.recipe.template
        if name in TEMPLATED and any(source.is_file for source in self.recipe.problems.sources):
            found[f"{name} questions format"] = QUESTIONS_FORMAT
        if name in STARTED:
            found["model.dtype"] = self.recipe.model.dtype
        if (model := self.given_model(name)) is not None:
            found[f"{name} --model"] = self._mark(name, model)
        if self.given.shards is not None and name in SHARDED and name in self.asked:
            found[f"{name} --shards"] = str(self.given.shards.absolute())
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

    # -- a model named by hand --

    def given_model(self, name: str) -> str | None:
        """The model that is named by hand for a stage."""
        return self.given.model if name in STARTED and name in self.asked else None

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
