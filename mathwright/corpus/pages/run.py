"""Archives to documents, by as many processes as one likes.

Every worker process reads archives of its own and extracts their pages, so that no HTML crosses between processes;
this process only watches them. Workers share the archives by claims in the work folder, so the same command may be
started again, next to this one or on another machine that has the folder: nothing is done twice, what a killed process
held is taken over, and the documents are the same, in the same order, whoever made them (blocks.py says how).

A page that ends its worker, or holds it for longer than `page_timeout_s`, is set aside with the reason, and a new
worker goes on after it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mathwright.corpus.archive.remote import is_url
from mathwright.corpus.claims import Claim
from mathwright.corpus.documents.compute import join_documents
from mathwright.corpus.extract.page import extract as extract_text
from mathwright.corpus.pages.blocks import add_bad_page, is_complete, read_counts, read_rejected
from mathwright.corpus.pages.slots import SLOT_CELLS, Slot
from mathwright.corpus.pages.worker import Plan, raise_failure, work
from mathwright.errors import MathwrightError
from mathwright.records import Document
from mathwright.run import Stage

PAGE_TIMEOUT_S = 60.0
"""The slowest real pages take a second; a page that takes longer than this is set aside."""
MAX_SLICES = 16
_WATCH_S = 0.2


def extract_archives(
    archives: Sequence[str],
    folder: Path,
    stage: Stage,
    *,
    min_words: int,
    classifier: str = "",
    min_score: float = 0.0,
    num_workers: int | None = None,
    page_timeout_s: float = PAGE_TIMEOUT_S,
    extract: Callable[..., Document] = extract_text,
) -> None:
    """Extract the pages of all archives into `folder`, together with whoever else works there.

    archives: paths or URLs; classifier: a folder with a classifier ("" is none), by which pages that score below
    `min_score` are dropped; num_workers: processes, one a core by default; extract: a function of a module, as
    `mathwright.corpus.extract.extract`. Returns when all archives are done, by this process or another.

    Raises MathwrightError where the folder was begun with other archives or settings, and, when all others are done,
    where archives could not be read: run again, they are tried again.
    """
    num_workers = num_workers or os.cpu_count() or 1
    plan = Plan(
        archives=tuple(archives),
        num_slices=_num_slices(archives, num_workers),
        min_words=min_words,
        classifier=classifier,
        min_score=min_score,
    )
    supervisor = _Supervisor(folder, _agree(plan, folder), extract, num_workers, page_timeout_s)
    with stage.progress("extract pages", None) as advance:
        failures = supervisor.run(advance)
    if failures:
        raise MathwrightError(
            f"{len(failures)} of {len(archives)} archives could not be read, the first: {failures[min(failures)]}",
            hint="run the same command again: only these are tried again",
        )


def join_archives(folder: Path, output: Path, stage: Stage) -> int:
    """Write the documents of all archives that `extract_archives` did, in their order, to one file; returns how many.

    Two funnels are reported: records to pages, pages to documents. What was set aside goes to `rejected/`.
    """
    plan = Plan.read(folder)
    if plan is None:
        raise RuntimeError(f"{folder}: nothing was extracted here")
    folders = [plan.folder(folder, number) for number in range(len(plan.archives))]
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    num_pages = num_partial = 0
    for part in folders:
        done = read_counts(part)
        counts.update(done.counts)
        dropped.update(done.dropped)
        num_pages += done.num_pages
        for step, row in read_rejected(part):
            stage.reject(step, row, row["reason"])
            num_partial += step == "partial"
    num_documents = join_documents((part / "documents.parquet" for part in folders), output)
    counts.pop("body_cut", None)  # such pages are kept, and counted as pages
    if counts.pop("pages", 0) + counts.pop("documents", 0) != num_pages:  # of WARC and of WET archives
        raise RuntimeError(f"{folder}: the pages of the blocks do not add up to those that were read")
    stage.funnel(
        "read archives", unit="records", num_in=num_pages + counts.total(), num_out=num_pages, dropped=dict(counts)
    )
    stage.funnel("extract", unit="pages", num_in=num_pages, num_out=num_documents, dropped=dropped)
    if num_partial:
        stage.say(f"pages kept in part, for a limit: {num_partial:,} (rejected/partial.jsonl)")
    return num_documents


def discard_documents(folder: Path) -> None:
    """Remove what `join_archives` has written elsewhere. The archives' counts stay: by them a process that comes late
    sees that nothing is left to do."""
    plan = Plan.read(folder)
    if plan is None:
        return
    for number in range(len(plan.archives)):
        for name in ("documents.parquet", "rejected.jsonl"):
            (plan.folder(folder, number) / name).unlink(missing_ok=True)


def _num_slices(archives: Sequence[str], num_workers: int) -> int:
    """In how many parts each archive is extracted, so that few archives keep all workers busy.

    Every part reads the whole archive: not worth it over a network, nor where there are archives enough.
    """
    if num_workers == 1 or len(archives) >= 2 * num_workers or any(is_url(name) for name in archives):
        return 1
    return min(MAX_SLICES, -(-2 * num_workers // len(archives)))


def _agree(plan: Plan, folder: Path) -> Plan:
    """The plan that this and all other processes work by: the first one's, which must be for the same work."""
    folder.mkdir(parents=True, exist_ok=True)
    while (claim := Claim.take(folder / "plan.lock")) is None:
        time.sleep(0.05)
    with claim:
        first = Plan.read(folder)
        if first is None:
            plan.write(folder)
            return plan
    if replace(first, num_slices=plan.num_slices) != plan:
        changed = "archives" if first.archives != plan.archives else "settings"
        raise MathwrightError(
            f"{folder} was begun with other {changed}",
            hint="name the same ones as at the start, or choose another --out",
        )
    return first


# --- the workers, watched ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    message: Any = None
    """What it sent before it ended: what it could not read, or why it failed."""
    stalled: tuple[int, int] | None = None
    """(archive, page) for which it was killed."""

    def receive(self) -> None:
        """Take what it sent: it may be more than the pipe holds, and the worker waits until it is read."""
        try:
            while self.connection.poll():
                self.message = self.connection.recv()
        except EOFError:
            pass


class _Supervisor:
    """Keeps the workers at work, and takes from them the pages they die of."""

    def __init__(
        self, folder: Path, plan: Plan, extract: Callable[..., Document], num_workers: int, page_timeout_s: float
    ) -> None:
        self.folder = folder
        self.plan = plan
        self.extract = extract
        self.page_timeout_s = page_timeout_s
        # spawn: the caller may have torch or Daft threads, which do not survive a fork
        self.context = multiprocessing.get_context("spawn")
        self.cells: MutableSequence[int] = self.context.RawArray("q", num_workers * SLOT_CELLS)
        self.slots = [Slot(self.cells, number) for number in range(num_workers)]

    def run(self, advance: Callable[[int], None]) -> dict[int, str]:
        """Work until all archives are done; returns why some could not be read, by the number of the archive."""
        failures: dict[int, str] = {}
        running: dict[int, _Worker] = {}
        num_pages = 0
        try:
            for worker_number in range(len(self.slots)):
                running[worker_number] = self._start(worker_number)
            while running:
                wait([worker.process.sentinel for worker in running.values()], timeout=_WATCH_S)
                for worker_number, worker in list(running.items()):
                    worker.receive()
                    if worker.process.is_alive():
                        self._kill_if_stalled(worker, self.slots[worker_number])
                        continue
                    found = self._reap(worker_number, worker)
                    del running[worker_number]
                    if found is None:
                        running[worker_number] = self._start(worker_number)
                    else:
                        failures.update(found)
                now = sum(slot.num_pages for slot in self.slots)
                advance(now - num_pages)
                num_pages = now
        finally:
            for worker in running.values():
                worker.process.kill()
                worker.process.join()
        # What one worker could not read, another may have read since, here or elsewhere.
        return {n: why for n, why in failures.items() if not is_complete(self.plan.folder(self.folder, n))}

    def _start(self, worker_number: int) -> _Worker:
        # What the one before it died of must not be taken for its own while it still starts.
        self.slots[worker_number].set(Slot.IDLE)
        receiver, sender = self.context.Pipe(duplex=False)
        arguments = (self.folder, self.extract, self.cells, worker_number, len(self.slots), sender)
        process = self.context.Process(target=work, args=arguments, name=f"pages-{worker_number}")
        process.start()
        sender.close()
        return _Worker(process, receiver)

    def _kill_if_stalled(self, worker: _Worker, slot: Slot) -> None:
        phase, archive, page, seconds = slot.get()
        if phase == Slot.EXTRACT and seconds > self.page_timeout_s:
            worker.stalled = (archive, page)
            worker.process.kill()

    def _reap(self, worker_number: int, worker: _Worker) -> dict[int, str] | None:
        """What a worker that ended by itself could not read; None where it died of a page, which is written down.

        Raises what the worker raised.
        """
        worker.process.join()
        code = worker.process.exitcode
        worker.receive()
        worker.connection.close()
        if isinstance(worker.message, dict):
            return worker.message
        if worker.message is not None:
            raise_failure(worker.message)
        phase, archive, page, _ = self.slots[worker_number].get()
        if phase == Slot.IDLE:
            raise RuntimeError(
                f"a worker ended without a page at hand ({_cause(code)}); a script that calls this needs "
                "`if __name__ == '__main__':`, since each worker imports it"
            )
        stalled = worker.stalled == (archive, page)
        # SIGKILL may be the system's, out of memory, and another process to blame.
        sure = phase == Slot.EXTRACT and (stalled or code not in (-signal.SIGKILL, -signal.SIGTERM))
        what = "extraction" if phase == Slot.EXTRACT else "reading on from here"
        reason = f"{what} ended its worker ({_cause(code)})"
        if stalled:
            reason = f"extraction took more than {self.page_timeout_s:g} s"
        name = "extract" if phase == Slot.EXTRACT else "read"
        add_bad_page(self.plan.folder(self.folder, archive), name, page, reason, sure=sure)
        return None


def _cause(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit status {code}"
