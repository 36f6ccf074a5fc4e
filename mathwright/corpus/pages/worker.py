"""A worker process of run.py: takes one archive after the other until all are done."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import resource
import signal
import threading
import time
import traceback
from collections.abc import Callable, MutableSequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mathwright.corpus.pages.blocks import PageRules, UnreadableError, do_slice, is_complete, join_blocks
from mathwright.corpus.pages.slots import Slot
from mathwright.errors import MathwrightError
from mathwright.records import Document
from mathwright.run import write_json

MEMORY_BYTES = 4 << 30
"""What a worker may allocate besides the classifier: a page that needs more is set aside, and spares the machine."""
LOOK_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all processes that share a work folder do: `plan.json`."""

    archives: tuple[str, ...]
    num_slices: int
    """Parts in which an archive is extracted, each by one worker."""
    min_words: int
    classifier: str
    """Folder of a classifier, "" for none."""
    min_score: float

    @classmethod
    def read(cls, folder: Path) -> Plan | None:
        try:
            values = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(**{**values, "archives": tuple(values["archives"])})

    def write(self, folder: Path) -> None:
        write_json(folder / "plan.json", asdict(self))

    def folder(self, folder: Path, archive_number: int) -> Path:
        """Where the `archive_number`-th archive is worked on."""
        name = hashlib.sha256(self.archives[archive_number].encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return folder / f"{archive_number:06d}-{name}"


def work(
    folder: Path,
    extract: Callable[..., Document],
    cells: MutableSequence[int],
    worker_number: int,
    num_workers: int,
    connection: Connection,
) -> None:
    """Body of a worker. Before it ends it sends {archive number: message} of what it could not read, or the exception
    that ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor, which ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        plan = Plan.read(folder)
        if plan is None:
            raise RuntimeError(f"{folder} has no plan")
        score = _scorer(plan.classifier)
        _limit_memory()
        rules = PageRules(min_words=plan.min_words, extract=extract, score=score, min_score=plan.min_score)
        slot = Slot(cells, worker_number)
        slot.set(Slot.IDLE)
        start = worker_number * len(plan.archives) // num_workers
        connection.send(_take_archives(plan, folder, slot, rules, start))
    except MathwrightError as error:
        connection.send(("mathwright", error.message, error.hint))
        raise SystemExit(1) from None
    except OSError as error:
        connection.send(("os", error.errno, error.strerror, str(error.filename or folder)))
        raise SystemExit(1) from None
    except Exception:  # sent to the supervisor, which raises
        connection.send(("bug", traceback.format_exc()))
        raise SystemExit(1) from None


def raise_failure(message: tuple[Any, ...]) -> None:
    """Raise in the supervisor what ended a worker."""
    if message[0] == "mathwright":
        raise MathwrightError(message[1], hint=message[2])
    if message[0] == "os":
        raise OSError(message[1], message[2], message[3])
    raise RuntimeError(f"a worker failed:\n{message[1]}")


def _end_with_parent() -> None:
    """A worker must not go on when its supervisor was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _scorer(classifier: str) -> Callable[[str], float] | None:
    if not classifier:
        return None
    from mathwright.corpus.classifier import Classifier

    loaded = Classifier.load(Path(classifier))
    return lambda text: float(loaded.score([text])[0])


def _limit_memory() -> None:
    """Let an allocation fail (MemoryError, or the end of this worker) before the machine runs out."""
    with Path("/proc/self/statm").open() as file:
        used = int(file.read().split()[5]) * resource.getpagesize()  # data and stack
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = used + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _take_archives(plan: Plan, folder: Path, slot: Slot, rules: PageRules, start: int) -> dict[int, str]:
    """Take archives from `start` on, round and round, until all are done or were tried; returns what failed."""
    failures: dict[int, str] = {}
    left = [n % len(plan.archives) for n in range(start, start + len(plan.archives))]
    while left:
        waiting = []
        for archive_number in left:
            try:
                if not _take_archive(plan, folder, slot, rules, archive_number):
                    waiting.append(archive_number)
            except UnreadableError as error:
                failures[archive_number] = str(error)
        if len(waiting) == len(left):
            slot.set(Slot.IDLE)
            time.sleep(LOOK_AGAIN_S)  # others are at work on them, and may die
        left = waiting
    return failures


def _take_archive(plan: Plan, folder: Path, slot: Slot, rules: PageRules, archive_number: int) -> bool:
    """Do what nobody else is doing of one archive; whether it is complete."""
    own = plan.folder(folder, archive_number)
    if is_complete(own):
        return True
    for slice_index in range(plan.num_slices):
        do_slice(
            plan.archives[archive_number],
            own,
            slot,
            rules,
            archive_number=archive_number,
            slice_index=slice_index,
            num_slices=plan.num_slices,
        )
    return join_blocks(own, plan.num_slices)
