"""The stages of a recipe in the order of the paper, joined by what they leave in the run directory.

    problems ─┬─> model ──> corpus (§2.1) ──> compare (§2.2)
              │                    └────────> pretrain (§2.3) ──> sft (§3) ──> reward (§4.1) ──> rl (§4) ──> eval
              └─ (evaluation problems are kept out of the corpus)

What a stage is stands in `chain.stages`; what it is made from, in `chain.provenance`; what can be wrong with it, in
`chain.checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from mathwright.chain import checks, earlier, sharing, work
from mathwright.chain.context import Context
from mathwright.chain.provenance import Inputs, local
from mathwright.chain.stages import STAGE_NAMES, STAGES
from mathwright.errors import MathwrightError
from mathwright.recipe import Recipe
from mathwright.run import Stage, lock, read_manifest, require_disk
from mathwright.run.inputs import Begun, by_path, differences, said

MINIMUM_DISK_BYTES = 200 * 2**20
CHECKPOINT_BYTES_PER_PARAMETER = 3 * 14 + 4
"""Two checkpoints kept and one being written (weights, float32 copy, two moments), and the model itself."""


class Chain(Context):
    """A recipe on its way through a run directory."""

    def __init__(self, recipe: Recipe, out: str | Path, *, inputs: Inputs | None = None, device: str = "cpu") -> None:
        super().__init__(recipe, out, STAGES, inputs=inputs, device=device)

    def run(
        self,
        names: Sequence[str] = STAGE_NAMES,
        *,
        clear: Collection[str] = (),
        checked: Callable[[], None] | None = None,
    ) -> None:
        """Run the named stages that the recipe has and that are not finished, in order.

        Everything that can be known to be wrong is looked for before a file of the run is touched. What the stages in
        `clear` have made is removed first. No other command may work on the run meanwhile, but one that is given the
        same corpus to make shares the extraction of its archives. `checked` is called where nothing was found wrong.

        Raises MathwrightError for bad input, lock.InUseError where another command works on the run, and
        SharedWorkDoneError where the other one goes on alone.
        """
        todo = [name for name in STAGE_NAMES if name in names and self.made_from.has(name)]
        self.made_from.asked = frozenset(names)
        try:
            with self.directory.lock() as held:
                if held is not None:
                    earlier.take_over(self.directory.path, STAGES, self.made_from.decisions)
                    checks.check(self, todo, clear)
                    if checked is not None:
                        checked()
                for name in todo:
                    if held is not None:
                        held.say(at=name, corpus=self.mark("corpus") if "corpus" in todo else "")
                    self._run_stage(name, clear=name in clear)
        except lock.InUseError:
            if clear or "corpus" not in todo or not sharing.reaches_corpus(self):
                raise
            with sharing.joined_corpus(self) as stage:
                self.made_from.spec("corpus").run(self, stage)  # which ends here where the other goes on alone
            self.run(names)

    def _run_stage(self, name: str, *, clear: bool) -> None:
        spec = self.made_from.spec(name)
        finished = self.is_finished(name)
        self._require_processes(name, finished)
        if clear or not finished:
            self._require_disk(name)
        stage = self.stage(name, clear=clear)
        finish = partial(work.finish, parallel=spec.parallel, note=self._other_settings(name))
        if (finished and not clear) or spec.models is None or self.device != "cpu":
            finish(stage, partial(spec.run, self))
            return
        from mathwright.lm import threads

        with threads.fitted(stage.say, begun_with=stage.begun_with()) as number:
            stage.computes_on(number)
            finish(stage, partial(spec.run, self))

    def _require_processes(self, name: str, finished: bool) -> None:
        from mathwright.lm import parallel

        num_processes = parallel.world().size
        together = [spec.name for spec in STAGES if spec.parallel]
        if num_processes > 1 and name not in ("problems", *together) and not finished:
            raise MathwrightError(
                f"stage {name!r} runs in one process, not in {num_processes}",
                hint=f"run it without torchrun, under which these run: {', '.join(together)}",
            )

    def _require_disk(self, name: str) -> None:
        """A training that runs out of disk loses an hour; one that knows beforehand loses nothing."""
        manifest = read_manifest(self.directory.path / "model")
        size = MINIMUM_DISK_BYTES
        if manifest is not None and self.made_from.spec(name).keeps_checkpoints:
            size += CHECKPOINT_BYTES_PER_PARAMETER * manifest["summary"]["num_parameters"]
        require_disk(self.directory.path, size, f"stage {name!r}")

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

    def _other_settings(self, name: str) -> str:
        """What the finished stage was made with that is another now, though it changes nothing."""
        begun = Begun.read(self.directory.path / name)
        changes = differences(begun.settings, by_path([self.made_from.settings(name)])) if begun is not None else []
        return f" ({said(changes)}: nothing that is made depends on it)" if changes else ""
