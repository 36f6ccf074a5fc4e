"""One process of an import: `python -m mathwright.corpus.importing.worker FOLDER`, asked by `run.py` a job at a time.

    {"step": "read", "number": 3, "output": ...}  -> {"rows": n} now and then, at last {"done": true}
    {"step": "tokenise", "number": 3, "input": ...}

What a job has made is there once its record in `FOLDER/work` is, which is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import tee
from pathlib import Path
from typing import Any

import pyarrow as pa

from mathwright.children import say, say_error
from mathwright.corpus.decontaminate.index import ContaminationIndex, build_index
from mathwright.corpus.decontaminate.report import DecontaminationReport
from mathwright.corpus.decontaminate.spans import find_contamination_in, find_removals, remove_contamination
from mathwright.corpus.decontaminate.texts import benchmark_texts
from mathwright.corpus.documents.compute import SCHEMA, DocumentWriter, read_rows, to_row, with_text
from mathwright.corpus.documents.containers import BadRow
from mathwright.corpus.documents.containers import read_rows as read_file
from mathwright.corpus.importing.layouts import Layout
from mathwright.corpus.importing.plan import Options, Plan, Source
from mathwright.corpus.importing.texts import NoTextError
from mathwright.errors import MathwrightError
from mathwright.files import write_json, write_lines
from mathwright.lines import json_text, plain_json
from mathwright.lm.shards import ShardWriter
from mathwright.records import Document
from mathwright.unpack import DamagedFileError

IMPORT_SCHEMA = SCHEMA.append(pa.field("metadata", pa.string()))
"""Documents, and a JSON object of all else that the publisher's row holds."""
MAX_SHOWN = 1000
"""Rows set aside that a job keeps for people to see; all are counted."""
_ROWS_A_WORD = 2000


def record_of(folder: Path, step: str, number: int) -> Path:
    """The file that says that a job is done, and what it counted."""
    return folder / "work" / f"{number:05d}.{step}.json"


class Worker:
    """What a process keeps between its jobs."""

    def __init__(self, folder: Path, advance: Callable[[int], None] = lambda rows: None) -> None:
        self.folder, self.advance = folder, advance
        plan = Plan.read(folder / "work")
        assert plan is not None, "the parent has written it"
        self.plan = plan
        self.options: Options = plan.options
        self.layout: Layout = plan.options.found_layout
        self.index: ContaminationIndex | None = None
        if self.options.benchmarks:
            texts = benchmark_texts(self.options.benchmarks, self.options.benchmark_data)
            self.index = build_index({name: list(found) for name, found in texts.items()})
        self._tokenizer: Any = None

    def do(self, job: Mapping[str, Any]) -> None:
        """One job, as the head of this file has them."""
        if job["step"] == "read":
            self.read(job["number"], Path(job["output"]))
        else:
            self.tokenise(job["number"], Path(job["input"]))

    # -- reading --

    def read(self, number: int, output: Path) -> None:
        """The rows of a job's files as documents."""
        counts = _Counts()
        report = DecontaminationReport(self.index) if self.index is not None else None
        rows = self._rows(self.plan.jobs[number], counts)
        with DocumentWriter(output, schema=IMPORT_SCHEMA) as writer:
            for row in rows if report is None else self._decontaminated(rows, report, counts):
                writer.write(row)
                counts.written(row)
        aside = counts.aside
        write_lines(self.folder / "work" / f"{number:05d}.aside.jsonl", map(json_text, aside))
        costs = report.summary(num_ngrams=1000) if report is not None else None
        write_json(record_of(self.folder, "read", number), {**counts.as_json(), "contamination": costs})

    def _rows(self, sources: tuple[Source, ...], counts: _Counts) -> Iterator[dict[str, Any]]:
        for source in sources:
            try:
                for number, row in read_file(Path(source.path), source.container, groups=source.groups):
                    counts.num_in += 1
                    if counts.num_in % _ROWS_A_WORD == 0:
                        self.advance(_ROWS_A_WORD)
                    if isinstance(row, BadRow):
                        counts.drop("read", row.reason, {"archive": source.path, "offset": number})
                        continue
                    try:
                        yield document_row(self.layout, row, source.path, number)
                    except NoTextError as error:
                        counts.drop("read", str(error), {"archive": source.path, "offset": number})
            except DamagedFileError as error:
                counts.damaged[source.path] = str(error)

    def _decontaminated(
        self, rows: Iterator[dict[str, Any]], report: DecontaminationReport, counts: _Counts
    ) -> Iterator[dict[str, Any]]:
        """The rows without what stands in a benchmark, each removal in the audit log of `mathwright corpus`."""
        assert self.index is not None
        mode: Any = self.options.decontaminate_mode
        rows, again = tee(rows)
        found = find_contamination_in((row["text"] for row in again), self.index)
        for row, spans in zip(rows, found, strict=True):
            name = row["url"] or f"{row['archive']}:{row['offset']}"
            for audit in report.add(name, row["text"], find_removals(row["text"], spans, mode)):
                counts.aside.append({"step": "decontaminate", "reason": audit["rule"], **audit})
            kept = with_text(row, remove_contamination(row["text"], spans, mode)) if spans else row
            if kept["text"].strip():
                counts.num_cleaned += bool(spans)
                yield kept
            else:
                counts.dropped["decontaminate"]["benchmark text in the document"] += 1

    # -- tokens --

    def tokenise(self, number: int, documents: Path) -> None:
        """A job's documents as shards of its own in `work/`, which the parent moves to their place."""
        tokenizer = self._tokenizer_at_hand()
        from mathwright.lm.tokenise import encode

        folders = {side: self.folder / "work" / f"{number:05d}.{side}" for side in ("shards", "heldout")}
        for folder in folders.values():
            for left in folder.glob("*") if folder.is_dir() else ():  # by an attempt that was killed
                left.unlink()
        size, eos = len(tokenizer), tokenizer.eos_token_id
        with (
            ShardWriter(folders["shards"], vocab_size=size, eos_token=eos) as train,
            ShardWriter(folders["heldout"], vocab_size=size, eos_token=eos) as heldout,
        ):
            for count, row in enumerate(read_rows(documents, ["text", "url", "archive", "offset", "num_bytes"]), 1):
                writer = heldout if is_heldout(row, self.options) else train
                tokens = encode(tokenizer, row.pop("text"), parse_special=False)
                writer.write(tokens, **row)
                if count % _ROWS_A_WORD == 0:
                    self.advance(_ROWS_A_WORD)
        sides = {"shards": train, "heldout": heldout}
        counts = {
            name: {
                "num_shards": len(list(folders[name].glob("*.json"))),
                "num_tokens": writer.num_tokens,
                "num_bytes": writer.num_bytes,
                "num_documents": writer.num_documents,
            }
            for name, writer in sides.items()
        }
        write_json(record_of(self.folder, "tokenise", number), counts)

    def _tokenizer_at_hand(self) -> Any:
        if self._tokenizer is None:
            from mathwright.lm.load import load_tokenizer

            self._tokenizer = load_tokenizer(self.options.tokenizer)
            self._tokenizer.model_max_length = sys.maxsize  # it is the training that cuts documents
        return self._tokenizer


def is_heldout(row: Mapping[str, Any], options: Options) -> bool:
    """Whether a document is held out: by a keyed hash of its address alone, whatever else is in the corpus."""
    if options.heldout_share <= 0:
        return False
    name = row["url"] or f"{Path(row['archive']).name}:{row['offset']}"
    digest = hashlib.sha256(f"{options.seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < options.heldout_share * 2**64


def document_row(layout: Layout, row: dict[str, Any], archive: str, number: int) -> dict[str, Any]:
    """The row of IMPORT_SCHEMA for a row of a publisher. Raises NoTextError."""
    text, rest = layout.text(row)
    if not text.strip():
        raise NoTextError("empty text")
    url = next((found for name in layout.url if isinstance(found := _at(row, name), str) and found), "")
    if url and rest.get("url") == url:
        del rest["url"]
    document = Document(
        url=url.encode("utf-8", "replace").decode("utf-8"), title="", text=text, archive=archive, offset=number
    )
    return {**to_row(document), "metadata": json_text(plain_json(rest))}


def _at(row: Mapping[str, Any], path: str) -> Any:
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


class _Counts:
    """What a job read, and what it set aside."""

    def __init__(self) -> None:
        self.num_in = self.num_out = self.num_bytes = self.num_cleaned = 0
        self.dropped: dict[str, Counter[str]] = {"read": Counter(), "decontaminate": Counter()}
        self.damaged: dict[str, str] = {}
        self.aside: list[dict[str, Any]] = []

    def drop(self, step: str, reason: str, row: Mapping[str, Any]) -> None:
        self.dropped[step][reason] += 1
        if self.dropped[step].total() <= MAX_SHOWN:
            self.aside.append({"step": step, "reason": reason, **row})

    def written(self, row: Mapping[str, Any]) -> None:
        self.num_out += 1
        self.num_bytes += row["num_bytes"]

    def as_json(self) -> dict[str, Any]:
        return {
            "num_in": self.num_in,
            "num_out": self.num_out,
            "num_bytes": self.num_bytes,
            "num_cleaned": self.num_cleaned,
            "dropped": self.dropped,
            "damaged": self.damaged,
        }


def _jobs() -> Iterator[dict[str, Any]]:
    """The jobs that are asked for. The process ends with its parent, in the middle of a job too: the command that goes
    on must not find it writing the same files."""
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            asked.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield json.loads(asked.get())


def main() -> None:
    """Answer jobs until standard input ends."""
    try:
        worker = Worker(Path(sys.argv[1]), lambda rows: say(rows=rows))
        for job in _jobs():
            worker.do(job)
            say(done=True)
    except MathwrightError as error:
        say_error(error)
    except OSError as error:
        if error.errno != 28:  # ENOSPC
            raise
        say_error(MathwrightError(str(error), hint="free some space, then run the command again"))


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # this process is one of several
    main()
