"""Evaluated samples on disk, each kept as soon as it is judged, so that nothing finished is ever computed again.

OUT/
  settings.json             what was measured and how, written when there is something to measure with
  0-of-2.lock               held by the process that draws part 0 of 2
  records/gsm8k.tool.0-of-2.jsonl   a line a sample, appended by one process
  records.jsonl             all of them in the order of the problems, once every process is done
  table.json, table.md, samples.html
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from mathwright.errors import MathwrightError
from mathwright.files import mend_tail
from mathwright.records import EvalRecord, Problem, from_json, to_json
from mathwright.run import write_json

SETTINGS = "settings.json"


class Key(NamedTuple):
    """What one sample is a sample of."""

    task: str
    mode: str
    problem_id: str
    sample: int
    """-1 for the greedy answer."""


def key_of(record: EvalRecord) -> Key:
    return Key(record.task, record.mode, record.problem.id, record.sample)


class Store:
    """The samples of one evaluation. One process appends to a file of its own; all read all files."""

    def __init__(self, folder: Path, *, shard: int = 0, num_shards: int = 1) -> None:
        self.folder = folder
        self._suffix = f"{shard}-of-{num_shards}.jsonl"
        self._lock = threading.Lock()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold this part of the samples against other processes; they may draw the other parts.

        Raises MathwrightError where another process is at the same part.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock_path.open("w", encoding="ascii") as file:
            if not _locks(file):
                raise MathwrightError(
                    f"another process is drawing the same samples into {self.folder}",
                    hint="wait until it has ended, or let each process take its part: --shard 0/2 and --shard 1/2",
                )
            yield

    @property
    def _lock_path(self) -> Path:
        return self.folder / f"{self._suffix.removesuffix('.jsonl')}.lock"

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise MathwrightError where the folder holds something else, or samples that were made with other settings,
        naming the first that differs. Writes nothing."""
        path = self.folder / SETTINGS
        if not path.is_file():
            if self.folder.is_dir() and any(entry.suffix != ".lock" for entry in self.folder.iterdir()):
                raise MathwrightError(
                    f"{self.folder} is not empty and holds no evaluation", hint="choose an empty or new folder: --out"
                )
            return
        theirs = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name in settings if theirs.get(name) != settings[name]]
        if differing and not self._is_fresh():
            name = differing[0]
            raise MathwrightError(
                f"{self.folder} was made with {name} = {theirs.get(name)!r}, now it is {settings[name]!r}",
                hint="choose another --out; samples of two settings are not mixed",
            )

    def open(self, settings: Mapping[str, Any]) -> None:
        """Write down with which settings samples are made, unless that stands there already.

        Raises MathwrightError as `check` does.
        """
        self.check(settings)
        path = self.folder / SETTINGS
        if not path.is_file() or json.loads(path.read_text(encoding="utf-8")) != dict(settings):
            write_json(path, settings)

    def _is_fresh(self) -> bool:
        """Whether there is no sample yet and no other process that may be drawing one: settings bind nobody then."""
        if any(path.stat().st_size for path in (self.folder / "records").glob("*.jsonl")):
            return False
        return not any(_is_locked(path) for path in self.folder.glob("*.lock") if path != self._lock_path)

    def append(self, record: EvalRecord) -> None:
        """Keep a sample; it is on disk when this returns. From any thread."""
        path = self.folder / "records" / f"{record.task}.{record.mode}.{self._suffix}"
        line = json.dumps(to_json(record), ensure_ascii=True) + "\n"  # ASCII: lone surrogates survive as escapes
        with self._lock:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="ascii") as file:
                file.write(line)

    def mend(self) -> None:
        """Cut off what a killed process left of a line at the end of this shard's own files."""
        for path in (self.folder / "records").glob(f"*.{self._suffix}"):
            mend_tail(path)

    def records(self) -> Iterator[EvalRecord]:
        """All samples of all processes; a last line without its end, which another process may be writing, is left out.

        Raises MathwrightError, naming file and line, for any other line that is no sample.
        """
        prompts: dict[str, str] = {}
        problems: dict[tuple[str, str], Problem] = {}
        for path in sorted((self.folder / "records").glob("*.jsonl")):
            with path.open(encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    if not line.endswith("\n"):
                        break
                    yield _shared(_parse(line, path, number), prompts, problems)

    def done(self) -> set[Key]:
        """The samples that need not be computed."""
        return {key_of(record) for record in self.records()}


def _is_locked(path: Path) -> bool:
    with path.open("r", encoding="ascii") as file:
        return not _locks(file)


def _locks(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse(line: str, path: Path, number: int) -> EvalRecord:
    try:
        return from_json(EvalRecord, json.loads(line))
    except ValueError as error:
        raise MathwrightError(
            f"{path}:{number}: not an EvalRecord: {error}", hint="remove this line; its sample is then computed again"
        ) from error


def _shared(record: EvalRecord, prompts: dict[str, str], problems: dict[tuple[str, str], Problem]) -> EvalRecord:
    """The record with the prompt and the problem that other samples have too: 64 samples hold them once."""
    problem = problems.setdefault((record.task, record.problem.id), record.problem)
    return dataclasses.replace(record, prompt=prompts.setdefault(record.prompt, record.prompt), problem=problem)
