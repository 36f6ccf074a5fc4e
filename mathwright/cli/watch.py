"""`mathwright watch`: where a run stands, redrawn in a terminal, a line a minute in a pipe or a file."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mathwright.chain.stages import STAGE_NAMES
from mathwright.errors import MathwrightError
from mathwright.files import last_line, last_lines
from mathwright.report.metrics import SHARE, metric
from mathwright.run import lock
from mathwright.run.stage import as_typed, read_manifest
from mathwright.run.status import Told, duration, read_status
from mathwright.terminal import PlainConsole, RenderableType, put, stacked

REDRAWN_S, LINE_S = 1.0, 60.0
"""Seconds between two looks, in a terminal and elsewhere."""
SHOWN = (
    "reward_mean", "accuracy", "loss", "heldout_loss", "heldout_accuracy", "kl", "entropy", "grad_norm",
    "response_tokens", "truncated", "overlap", "seconds",
)  # fmt: skip
"""Measurements that are shown, in this order, where a stage makes them."""
TAIL_BYTES = 100_000
"""Of a file of measurements that are looked at."""
TEXT_CHARS = 600
STYLES = {"running": "bold cyan", "finished": "green", "stopped": "yellow", "waiting": "dim"}

State = Literal["finished", "running", "stopped", "waiting"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watch:
    """Show where a run stands until it ends: stage, step, time left, measurements, the last response, warnings.

    In a terminal the view is redrawn each second; into a pipe or a file goes a line a minute. Exit status 1 where a
    stage has stopped before it had finished.
    """

    run: tyro.conf.Positional[Path]
    """Run directory; a command may be working on it, also on another machine that shares the folder."""
    every: float | None = None
    """Seconds between two looks; 1 in a terminal, 60 elsewhere."""
    once: bool = False
    """Show how it stands now, and end."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """A stage of a run as it stands."""

    name: str
    state: State
    seconds: float | None
    """It took, where it has finished."""
    outputs: Mapping[str, str]
    warnings: tuple[str, ...]
    work: str = ""
    """What it is at or was at when it stopped, how far, and how long it will take."""
    share: float | None = None
    """Of the work that is done."""
    measured: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Its last measurements by kind, each by name; training first."""
    response: tuple[str, str, float | None] | None = None
    """The last question asked in reinforcement, a response, and its reward."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A run as it stands."""

    run: Path
    recipe: str
    command: str
    """Which works on it now; "" where none does."""
    stages: Sequence[StageView]

    @property
    def is_running(self) -> bool:
        return bool(self.command)

    @property
    def current(self) -> StageView | None:
        """The stage at work, else the one that stopped, else the last that has finished."""
        for state in ("running", "stopped", "finished"):
            found = [stage for stage in self.stages if stage.state == state]
            if found:
                return found[-1]
        return None


def watch(arguments: Watch) -> int:
    """Show a run until it ends; returns the exit status. Raises MathwrightError for a folder that holds no run."""
    every = arguments.every
    if every is not None and every <= 0:
        raise MathwrightError(f"--every is {every:g}", hint="it is a number of seconds, above 0")
    view = look(arguments.run)
    try:
        if sys.stdout.isatty():
            view = _redraw(view, every or REDRAWN_S, once=arguments.once)
        else:
            view = _tell(view, every or LINE_S, once=arguments.once)
    except KeyboardInterrupt:  # the run goes on without anybody who watches
        return 0
    return 1 if any(stage.state == "stopped" for stage in view.stages) else 0


def _redraw(view: View, every: float, *, once: bool) -> View:
    shown = PlainConsole()
    if once or not view.is_running:
        shown.print(drawn(view))
        return view
    with Live(drawn(view), console=shown, auto_refresh=False) as live:
        while view.is_running:
            time.sleep(every)
            view = look(view.run)
            live.update(drawn(view), refresh=True)
    return view


def _tell(view: View, every: float, *, once: bool) -> View:
    told: set[str] = set()
    while True:
        for stage in view.stages:
            for warning in stage.warnings:
                if f"{stage.name} {warning}" not in told:
                    told.add(f"{stage.name} {warning}")
                    put(f"{_clock()}  {stage.name}  warning: {warning}")
        put(f"{_clock()}  {line(view)}")
        if once or not view.is_running:
            return view
        _wait(view.run, every)
        view = look(view.run)


def _wait(run: Path, seconds: float) -> None:
    """Sleep, but no longer than the command that works on a run."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and lock.is_held(run):
        time.sleep(min(1.0, left))


def _clock() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


# --- what there is to see ---------------------------------------------------------------------------


def look(run: Path) -> View:
    """Read how a run stands. Raises MathwrightError for a folder that holds no run."""
    recipe = _recipe(run)
    held = lock.is_held(run)
    holder = lock.holder(run) if held else {}
    at = str(holder.get("at", ""))
    names = [name for name in STAGE_NAMES if (run / name).is_dir() or recipe["recipe"].get(name) is not None]
    return View(
        run=run,
        recipe=recipe["name"],
        command=(str(holder.get("command", "")) or "a command") if held else "",
        stages=[_stage(run / name, running=name == at) for name in names],
    )


def _recipe(run: Path) -> Mapping[str, Any]:
    hint = "name the folder given to --out, such as runs/quickstart"
    if not run.exists():
        raise MathwrightError(f"{run}: no such folder", hint=hint)
    try:
        found = json.loads((run / "recipe.json").read_text(encoding="utf-8"))
        assert isinstance(found["name"], str) and isinstance(found["recipe"], dict)
        return found
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MathwrightError(f"{run} holds no run", hint=hint) from error
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise MathwrightError(f"{run}/recipe.json is damaged: {error}", hint=hint) from error


def _stage(folder: Path, *, running: bool) -> StageView:
    manifest = read_manifest(folder)
    if manifest is not None and not running:
        return StageView(
            name=folder.name,
            state="finished",
            seconds=manifest["seconds"],
            outputs={name: as_typed((folder.parent / path).absolute()) for name, path in manifest["outputs"].items()},
            warnings=tuple(manifest["warnings"]),
            measured=_measured(folder),
            response=_response(folder),
        )
    begun = (folder / "begun.json").is_file()
    at, told = _at_work(folder)
    work = told.work if told is not None else None
    return StageView(
        name=folder.name,
        state="running" if running else "stopped" if begun else "waiting",
        seconds=None,
        outputs={},
        warnings=told.warnings if told is not None else (),
        work=work.said(told.written) if told is not None and work is not None else "",
        share=work.done / work.total if work is not None and work.total else None,
        measured=_measured(at),
        response=_response(at),
    )


def _at_work(folder: Path) -> tuple[Path, Told | None]:
    """The folder of the stage or of its part that last said what it is at, and what that was."""
    found = [(at, told) for at in (folder, *_parts(folder)) if (told := read_status(at)) is not None]
    return max(found, key=lambda one: one[1].written) if found else (folder, None)


def _parts(folder: Path) -> Iterator[Path]:
    return (path.parent for path in folder.glob("*/status.json"))


def _measured(folder: Path) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for text in last_lines(folder / "metrics.jsonl", TAIL_BYTES):
        try:
            row = json.loads(text)
        except json.JSONDecodeError:  # cut short by a kill, and continued by version 0.1.0
            continue
        if (kind := row.get("kind", "")) not in ("warning", "unscored"):
            found[kind] = row
    return dict(sorted(found.items(), key=lambda one: one[0] != "train"))


def _response(folder: Path) -> tuple[str, str, float | None] | None:
    text = last_line(folder / "rollouts.jsonl")
    if text is None:
        return None
    group = json.loads(text)["group"]
    rollout = group["rollouts"][-1]
    return group["problem"]["question"], rollout["completion"]["text"], rollout["reward"]


# --- how it is shown --------------------------------------------------------------------------------


def line(view: View) -> str:
    """A run in one line."""
    stage = view.current
    if stage is None:
        return f"{view.recipe}: nothing has begun"
    said = [f"{stage.name}  {stage.state}"]
    if stage.seconds is not None:
        said[0] += f" in {duration(stage.seconds)}"
    if stage.work:
        said.append(stage.work)
    said += [f"{title.lower()} {value}" for title, value in _figures(stage.measured)]
    return "; ".join(said)


def _figures(measured: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Title and value of the measurements that are shown: those of the training, then those on what it holds out."""
    for kind, row in measured.items():
        for name in SHOWN:
            value = row.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                known = metric(name)
                number = f"{value:.1%}" if known.unit == SHARE else f"{value:.4g}"
                unit = f" {known.unit}" if known.unit and known.unit != SHARE else ""
                is_heldout = kind == "eval" and not name.startswith("heldout")
                yield f"Held-out {known.title.lower()}" if is_heldout else known.title, number + unit


def drawn(view: View) -> RenderableType:
    """A run as a screen."""
    head = f"{view.command} is at work" if view.is_running else "no command is working on it"
    parts: list[RenderableType] = [Text.assemble((as_typed(view.run), "bold"), f"  {view.recipe}; {head}"), ""]
    parts.append(_stages(view))
    stage = view.current
    if stage is not None and stage.measured:
        table = Table.grid(padding=(0, 2))
        for title, value in _figures(stage.measured):
            table.add_row(Text(title, "dim"), value)
        parts += ["", table]
    if stage is not None and stage.response is not None:
        question, response, reward = stage.response
        worth = "no reward" if reward is None else f"reward {reward:.3g}"
        parts += ["", Text.assemble(("last question  ", "dim"), _short(question))]
        parts.append(Text.assemble((f"response, {worth}  ", "dim"), _short(response)))
    for one in view.stages:
        parts += [Text.assemble(("warning ", "yellow"), f"{one.name}: {warning}") for warning in one.warnings]
    if not view.is_running:
        parts.append("")
        parts += [
            Text.assemble((f"{one.name} {name}  ", "dim"), path)
            for one in view.stages
            for name, path in one.outputs.items()
            if name in ("model", "shards", "table")
        ]
    return stacked(parts)


def _stages(view: View) -> Table:
    table = Table.grid(padding=(0, 2))
    for stage in view.stages:
        bar = ProgressBar(total=1.0, completed=stage.share, width=24) if stage.share is not None else ""
        what = stage.work if stage.seconds is None else f"in {duration(stage.seconds)}"
        table.add_row(stage.name, Text(stage.state, STYLES[stage.state]), what, bar)
    return table


def _short(text: str) -> str:
    """The beginning and the end of a text, where its answer is."""
    text = " ".join(text.split())
    half = TEXT_CHARS // 2
    return text if len(text) <= TEXT_CHARS else f"{text[:half]} ... {text[-half:]}"
