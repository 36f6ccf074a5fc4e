"""How far work has come that is counted: a bar in a terminal, a line a minute in a pipe or a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from mathwright.run.status import Work
from mathwright.terminal import console, visible

LINE_S = 60.0
"""Seconds between two lines, where no bar can be shown."""


@contextmanager
def counting(
    work: Work, *, name: str = "", advance: Callable[[int], None] | None = None
) -> Iterator[Callable[..., None]]:
    """Show `work`. Call what is yielded with how much was done since the last call, and a `note` on it if you like.

    Args:
        name: of the stage, before each line.
        advance: counts what was done, where the work belongs to somebody who does more than count.
    """
    is_shown = console.is_terminal or console.is_jupyter
    before = f"{name:>8}  " if name else ""
    columns = (
        *((TextColumn(before.rstrip() + " ", style="bold cyan", markup=False),) if name else ()),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    count = advance or (lambda amount: work.advance(amount, time.time()))
    said = time.monotonic()

    def more(amount: int = 1, *, note: str = "") -> None:
        nonlocal said
        count(amount)
        bars.update(task, advance=amount, description=work.description, note=visible(note))
        if not is_shown and time.monotonic() - said >= LINE_S:
            said = time.monotonic()
            line = work.said(time.time()) + (f"; {note}" if note else "")
            console.print(Text.assemble((before, "bold cyan"), line), soft_wrap=True)

    with Progress(*columns, console=console, transient=True, disable=not is_shown) as bars:
        task = bars.add_task(work.description, total=work.total, completed=work.done, note="")
        yield more
