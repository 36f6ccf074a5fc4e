"""Setting aside what a run finds in the place of what it is to make: moved under a dated name, never removed.

A stage begins in a folder of another name, which takes the stage's name once it is whole; so a kill in between leaves
either the old stage, or both, and never a folder that nobody knows.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mathwright.files import PARTIAL, write_json
from mathwright.run.status import FILE as STATUS

BEGUN, MANIFEST, CLOCK, THREADS = "begun.json", "manifest.json", "clock.json", "threads.json"
RESULTS = frozenset({MANIFEST, BEGUN, "model"})
"""What of a finished stage is not handed on to the one that goes on from it."""
LINKED = "checkpoints"
"""Files below a folder of this name are replaced, never written in place, so a second name for them is enough."""


def free_name(path: Path) -> Path:
    """The dated name under which a file or folder can be set aside: rl.2026-11-29, or rl.2026-11-29-2 and on."""
    ending = path.suffix if path.suffix == ".json" else ""
    dated = f"{path.name.removesuffix(ending)}.{time.strftime('%Y-%m-%d')}"
    number = 1
    while os.path.lexists(found := path.with_name(f"{dated}{f'-{number}' if number > 1 else ''}{ending}")):
        number += 1
    return found


def set_aside(path: Path) -> Path:
    """Move a file or folder out of the way; returns where it is now."""
    kept = free_name(path)
    path.rename(kept)
    return kept


def copy_aside(path: Path) -> Path:
    """Keep a copy of a file that is about to be replaced."""
    kept = free_name(path)
    shutil.copy2(path, kept)
    return kept


def is_barren(stage_path: Path) -> bool:
    """Whether a stage's folder is missing, or was begun and nothing has been made in it."""
    if not os.path.lexists(stage_path):
        return True
    if not stage_path.is_dir() or stage_path.is_symlink():
        return False
    marks = {name + ending for name in (BEGUN, CLOCK, STATUS, THREADS) for ending in ("", PARTIAL)}
    return {entry.name for entry in stage_path.iterdir()} <= marks


def begin_stage(path: Path, begun: dict[str, Any], *, kept: Path | None, beginning: Path | None = None) -> None:
    """Put a fresh folder in the place of a stage.

    Args:
        path: of the stage.
        begun: what its begun.json says.
        kept: where what is there is moved; None where nothing is there but marks.
        beginning: a finished stage of which this one is to go on; its working files are taken over.
    """
    fresh = _fresh(path)
    shutil.rmtree(fresh, ignore_errors=True)  # copies and marks alone, of a command that was killed here
    if beginning is None:
        fresh.mkdir(parents=True)
    else:
        _take_over(beginning, fresh)
    write_json(fresh / BEGUN, begun)
    if kept is not None:
        path.rename(kept)
    elif path.is_dir():
        remove(path)
    fresh.rename(path)


def recover(path: Path) -> None:
    """Finish a `begin_stage` that was killed between its last two steps."""
    fresh = _fresh(path)
    if not os.path.lexists(path) and (fresh / BEGUN).is_file():
        fresh.rename(path)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _fresh(path: Path) -> Path:
    return path.with_name(f".{path.name}.beginning")


def _take_over(old: Path, fresh: Path) -> None:
    def results(_: str, names: list[str]) -> Collection[str]:
        return RESULTS.intersection(names)

    shutil.copytree(old, fresh, symlinks=True, ignore=results, copy_function=_copy)
    manifest = json.loads((old / MANIFEST).read_text(encoding="utf-8"))
    write_json(fresh / CLOCK, {"seconds": manifest["seconds"]})


def _copy(source: str, target: str) -> None:
    if LINKED in Path(source).parts:
        try:
            os.link(source, target)
            return
        except OSError:  # a file system without hard links
            pass
    shutil.copy2(source, target)
