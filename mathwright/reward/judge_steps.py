"""A process reward model measured on files of labelled steps (`mathwright reward judge`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mathwright.lm import heads
from mathwright.lm.model import RewardModel
from mathwright.lm.places import fast_dtype
from mathwright.problems.steps import read_rule
from mathwright.problems.templates import usual_template
from mathwright.reward.process import judged_records
from mathwright.reward.step_layouts import read_step_files
from mathwright.reward.step_metrics import (
    FirstError,
    best_threshold,
    first_error_f1,
    known,
    lowest_is_last,
    step_auc,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFigures:
    """What a model is worth on one file."""

    file: Path
    threshold: float
    first_error: FirstError
    auc: float | None
    lowest_is_last: float | None
    num_too_long: int
    """Solutions that do not fit the model's context, and are left out."""

    @property
    def line(self) -> str:
        """For people."""
        found = self.first_error
        return (
            f"{self.file.name}: first wrong step F1 {_percent(found.f1)} "
            f"(erroneous {_percent(found.accuracy_erroneous)} of {found.num_erroneous}, "
            f"correct {_percent(found.accuracy_correct)} of {found.num_correct}, threshold {self.threshold:.2f}), "
            f"AUC of steps {'-' if self.auc is None else f'{self.auc:.3f}'}, "
            f"lowest is the last step {_percent(self.lowest_is_last)}"
        )

    @property
    def left_out(self) -> str:
        """What was left out, or ""."""
        if not self.num_too_long:
            return ""
        return f"{self.file.name}: {self.num_too_long} solutions do not fit the model's context: left out"


def judge_files(
    model: Path,
    files: Sequence[Path],
    *,
    choose_on: Path | None = None,
    template: str = "auto",
    micro_batch_tokens: int = 16_384,
    dtype: str = "auto",
    device: str = "cpu",
) -> list[StepFigures]:
    """First-error F1, AUC and the share of solutions whose lowest step is the last, of each file.

    choose_on: labels on which the threshold of the F1 is chosen; 0.5 without them.

    Raises MathwrightError for a folder that holds no process reward model, or a file in no layout.
    """
    rule = read_rule(model)
    loaded = heads.load(model, dtype=fast_dtype(device) if dtype == "auto" else dtype, device=device)
    template = usual_template(model, loaded.tokenizer) if template == "auto" else template
    joint = "\n\n" if rule.by == "paragraph" else "\n"
    threshold = 0.5
    if choose_on is not None:
        judged, _ = _judged(loaded, choose_on, template, joint, micro_batch_tokens)
        of_known = [(said, labels) for said, labels in judged if known(labels)]
        threshold = best_threshold([said for said, _ in of_known], [labels for _, labels in of_known])
    figures: list[StepFigures] = []
    for file in files:
        judged, num_too_long = _judged(loaded, file, template, joint, micro_batch_tokens)
        scores = [said for said, _ in judged]
        of_known = [(said, labels) for said, labels in judged if known(labels)]
        figures.append(
            StepFigures(
                file=file,
                threshold=threshold,
                first_error=first_error_f1(
                    [said for said, _ in of_known], [labels for _, labels in of_known], threshold
                ),
                auc=step_auc(scores, [labels for _, labels in judged]),
                lowest_is_last=lowest_is_last(scores),
                num_too_long=num_too_long,
            )
        )
    return figures


def _judged(
    model: RewardModel, file: Path, template: str, joint: str, micro_batch_tokens: int
) -> tuple[list[tuple[list[float], tuple[float | None, ...]]], int]:
    records = read_step_files(
        [str(file)], template=template, tokenizer=model.tokenizer, joint=joint, for_training=False
    )
    found = judged_records(model, records, micro_batch_tokens=micro_batch_tokens)
    return [(said, record.labels) for said, record in found], len(records) - len(found)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
