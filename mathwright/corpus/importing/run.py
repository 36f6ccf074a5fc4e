"""A corpus of other people as documents and token shards: `mathwright corpus import`.

    DIR/documents-00000.parquet ...   url, text, where each stood (archive: the file, offset: the row), metadata
    DIR/shards/, DIR/heldout/         tokens, where a tokenizer is named
    DIR/manifest.json                 what was read, skipped and why; written last
    DIR/rejected/                     rows set aside, and what decontamination took out
    work in DIR                       records of what is done, by which the same command resumes

Jobs are done by worker processes; what a kill interrupts is done again, and nothing else.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from mathwright.corpus.claims import Claim
from mathwright.corpus.decontaminate.report import summary_json
from mathwright.corpus.decontaminate.texts import benchmark_texts
from mathwright.corpus.documents.compute import BATCH_ROWS, DocumentWriter, open_documents
from mathwright.corpus.documents.containers import read_rows as read_file
from mathwright.corpus.documents.containers import recognise
from mathwright.corpus.documents.table import Runner, require_ray
from mathwright.corpus.importing.cluster import RayCrew
from mathwright.corpus.importing.crew import Crew
from mathwright.corpus.importing.layouts import find_layout
from mathwright.corpus.importing.near import NearIndex, documents_files
from mathwright.corpus.importing.plan import Options, Plan, make_plan
from mathwright.corpus.importing.texts import NoTextError
from mathwright.corpus.importing.worker import IMPORT_SCHEMA, Worker, record_of
from mathwright.errors import MathwrightError
from mathwright.files import write_json, write_lines, write_text
from mathwright.lines import json_text
from mathwright.run import Stage, fingerprint, read_manifest
from mathwright.unpack import DamagedFileError

SMALL_BYTES = 4 << 20
"""Files of less than that in all are read by this process: workers take seconds to start."""
WARNINGS = 5
"""Files that are named on the terminal; the manifest names all."""
WORK = "work"


def import_corpus(
    options: Options, out: Path, *, num_workers: int | None = None, runner: Runner = "native", ray_address: str = ""
) -> Path:
    """Import a corpus into the folder `out`; returns its manifest.

    Args:
        num_workers: processes besides this one, one a core by default; 0 is none, the default for a few small files.
        runner: `ray` for the nodes of a Ray cluster in their place, which see the same files under the same paths.
        ray_address: of the cluster (`cluster.RayCrew`).

    Called again with the same options it resumes where it was stopped, and does nothing where it has finished; what it
    makes is the same with any number of workers and on a cluster. Raises MathwrightError, before anything is written,
    for options that cannot be followed.
    """
    if runner == "ray":
        if num_workers is not None:
            raise MathwrightError(
                "--workers counts processes of this machine; on Ray the cluster says how many there are",
                hint="leave --workers out, or --runner ray",
            )
        require_ray()
    elif ray_address:
        raise MathwrightError("--ray-address without --runner ray", hint="add --runner ray")
    if not 0 <= options.heldout_share < 1:
        raise MathwrightError(f"heldout_share is {options.heldout_share}", hint="give a share from 0 to below 1")
    if not 0 < options.similarity <= 1:
        raise MathwrightError(f"similarity is {options.similarity}", hint="give a share above 0, at most 1")
    if num_workers is not None and num_workers < 0:
        raise MathwrightError(f"--workers is {num_workers}", hint="give 0 or more")
    options = replace(options, path=_local(options))
    plan = make_plan(options, leave_out=out)
    _check_other_inputs(options)
    known = Plan.read(out / WORK)
    _require_same(known, plan, out)
    (out / WORK).mkdir(parents=True, exist_ok=True)
    claim = Claim.take(out / WORK / "lock")
    if claim is None:
        raise MathwrightError(f"{out}: another command imports into it", hint="wait for it, or choose another --out")
    with claim:
        stage = Stage("import", out, fingerprint("import", options))
        if stage.finished:
            stage.say(f"{out} was imported before; nothing is left to do")
            return out / "manifest.json"
        if known != plan:
            plan.write(out / WORK)
        if num_workers is None:
            num_workers = (os.cpu_count() or 1) if plan.num_bytes >= SMALL_BYTES else 0
        _Import(plan, out, stage, num_workers, ray_address if runner == "ray" else None).complete()
    return out / "manifest.json"


def _local(options: Options) -> str:
    """The path, absolute; a data set of the hub is fetched first."""
    path = Path(options.path).expanduser()
    if path.exists() or options.path.count("/") != 1 or options.path.startswith((".", "/", "~")):
        return str(path.resolve())
    from mathwright.corpus.importing.hub import fetch

    return str(fetch(options.path, options.found_layout, options.subset))


def _check_other_inputs(options: Options) -> None:
    if options.tokenizer:
        from mathwright.lm.load import load_tokenizer

        if load_tokenizer(options.tokenizer).eos_token_id is None:
            raise MathwrightError(
                f"the tokenizer of {options.tokenizer} has no end-of-sequence token",
                hint="set eos_token in its configuration",
            )
    if options.benchmarks:
        for texts in benchmark_texts(options.benchmarks, options.benchmark_data).values():
            next(texts, None)
    if options.against:
        documents_files(Path(options.against))


def _require_same(known: Plan | None, plan: Plan, out: Path) -> None:
    """Nothing that is there is touched for other options. A tokenizer may come later."""
    if known is None:
        if out.is_dir() and any(out.iterdir()) and not (out / WORK).is_dir():
            raise MathwrightError(f"{out} holds something else", hint="choose another --out")
        return
    before = known.options
    if not before.tokenizer:
        before = replace(before, tokenizer=plan.options.tokenizer, heldout_share=plan.options.heldout_share)
    if before != plan.options:
        names = [n for n in Options.__dataclass_fields__ if getattr(before, n) != getattr(plan.options, n)]
        raise MathwrightError(
            f"{out} was begun with another {', '.join(names)}", hint="name the same as then, or choose another --out"
        )
    if known.jobs != plan.jobs:
        raise MathwrightError(
            f"the files of {plan.options.path} are others than when {out} was begun", hint="choose another --out"
        )


class _Import:
    """An import in progress."""

    def __init__(self, plan: Plan, out: Path, stage: Stage, num_workers: int, ray_address: str | None) -> None:
        """ray_address: None to work on this machine."""
        self.plan, self.out, self.stage, self.ray_address = plan, out, stage, ray_address
        self.options = plan.options
        self.num_workers = min(num_workers, len(plan.jobs))

    def complete(self) -> None:
        """All jobs, then what is made of them together."""
        stage, numbers = self.stage, range(len(self.plan.jobs))
        files = {source.path for job in self.plan.jobs for source in job}
        stage.say(f"{len(files):,} files of {self.options.layout}, {len(self.plan.jobs):,} jobs")
        near = bool(self.options.against)
        self._do("read", {n: {"output": str(self._read(n) if near else self._documents(n))} for n in numbers})
        self._report_reading()
        if near:
            self._leave_out_near()
        if self.options.tokenizer:
            self._do("tokenise", {n: {"input": str(self._documents(n))} for n in numbers})
            self._place_shards()
        self._finish()

    def _documents(self, number: int) -> Path:
        return self.out / f"documents-{number:05d}.parquet"

    def _read(self, number: int) -> Path:
        return self.out / WORK / f"{number:05d}.parquet"

    def _records(self, step: str) -> list[dict[str, Any]]:
        paths = (record_of(self.out, step, number) for number in range(len(self.plan.jobs)))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    # -- workers --

    def _do(self, step: str, jobs: dict[int, dict[str, str]]) -> None:
        """Have workers do what is not done of a step."""
        left = [n for n in jobs if not record_of(self.out, step, n).is_file()]
        if not left:
            return
        with self.stage.progress(step, None) as advance:
            asked = [{"step": step, "number": number, **jobs[number]} for number in left]
            if self.ray_address is not None:
                RayCrew(self.out, asked, advance, self.ray_address).work()
            elif self.num_workers == 0:
                worker = Worker(self.out, advance)
                for job in asked:
                    worker.do(job)
            else:
                Crew(self.out, min(self.num_workers, len(left)), asked, advance).work()

    # -- what is counted --

    def _report_reading(self) -> None:
        records = self._records("read")
        dropped = {step: Counter[str]() for step in ("read", "decontaminate")}
        for record in records:
            for step, counts in record["dropped"].items():
                dropped[step].update(counts)
        num_in = sum(record["num_in"] for record in records)
        num_read = num_in - dropped["read"].total()
        self.stage.funnel("read", unit="rows", num_in=num_in, num_out=num_read, dropped=dropped["read"])
        if self.options.benchmarks:
            num_out = num_read - dropped["decontaminate"].total()
            self.stage.funnel(
                "decontaminate", unit="documents", num_in=num_read, num_out=num_out, dropped=dropped["decontaminate"]
            )
            merged = _merged([record["contamination"] for record in records])
            write_text(self.out / "contamination.json", summary_json(merged))
        for path, why in list(self.plan.unread.items())[:WARNINGS]:
            self.stage.warn(f"{path} is not read: {why}")
        if len(self.plan.unread) > WARNINGS:
            self.stage.warn(
                f"{len(self.plan.unread) - WARNINGS:,} more files are not read: see files_not_read in manifest.json"
            )
        for path, why in self._damaged().items():
            self.stage.warn(f"{path}: {why}; the rows before that are kept; download it again for the others")
        self._write_aside()
        if not any(record["num_out"] for record in records):
            why = ", ".join(
                f"{reason} {count:,}" for reason, count in (dropped["read"] + dropped["decontaminate"]).items()
            )
            damage = next(iter(self._damaged().values()), "")
            raise MathwrightError(
                f"{self.options.path}: no document in {num_in:,} rows ({why or damage or 'the files hold none'})",
                hint="is this the right layout? Another column of text is named by --text-column",
            )

    def _damaged(self) -> dict[str, str]:
        return {path: why for record in self._records("read") for path, why in record["damaged"].items()}

    def _write_aside(self) -> None:
        """rejected/STEP.jsonl of all jobs in their order; made whole each time, so that a kill leaves nothing twice."""
        steps: dict[str, list[Path]] = {}
        for number in range(len(self.plan.jobs)):
            path = self.out / WORK / f"{number:05d}.aside.jsonl"
            for step in ("read", "decontaminate"):
                steps.setdefault(step, []).append(path)
        for step, paths in steps.items():
            rows = (json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").split("\n") if line)
            lines = [json_text({k: v for k, v in row.items() if k != "step"}) for row in rows if row["step"] == step]
            if lines:
                write_lines(self.out / "rejected" / f"{step}.jsonl", lines)

    # -- near-duplicates of another corpus --

    def _leave_out_near(self) -> None:
        files = documents_files(Path(self.options.against))
        left = [n for n in range(len(self.plan.jobs)) if not record_of(self.out, "near", n).is_file()]
        if left:
            folder = self.out / WORK / "against"
            index = NearIndex(files, folder, similarity=self.options.similarity, seed=self.options.seed)
            with self.stage.progress("near-duplicates", len(left)) as advance:
                for number in left:
                    self._leave_out_near_of(number, index)
                    advance(1)
        records = self._records("near")
        num_in, num_out = (sum(record[name] for record in records) for name in ("num_in", "num_out"))
        dropped = {f"near-duplicate of {self.options.against}": num_in - num_out}
        self.stage.funnel("near-duplicates", unit="documents", num_in=num_in, num_out=num_out, dropped=dropped)
        rows = [json_text({"reason": "near-duplicate", **row}) for record in records for row in record["rows"]]
        if rows:
            write_lines(self.out / "rejected" / "near-duplicates.jsonl", rows)

    def _leave_out_near_of(self, number: int, index: NearIndex) -> None:
        documents = self._read(number)
        found = index.find(documents, self.out / WORK)
        start, rows, num_bytes = 0, [], 0
        names = index.names([int(n) for n in found if n >= 0])
        with DocumentWriter(self._documents(number), schema=IMPORT_SCHEMA) as writer:
            for batch in open_documents(documents).iter_batches(batch_size=BATCH_ROWS):
                gone = found[start : start + batch.num_rows] >= 0
                start += batch.num_rows
                kept = batch.filter(pa.array(~gone))
                num_bytes += sum(kept.column("num_bytes").to_pylist())
                writer.write_batch(kept)
                dropped = batch.filter(pa.array(gone)).select(["url", "archive", "offset"]).to_pylist()
                rows += [{**row, "kept": next(names)} for row in dropped]
        record = {"num_in": start, "num_out": start - len(rows), "num_bytes": num_bytes, "rows": rows}
        write_json(record_of(self.out, "near", number), record)
        self._read(number).unlink(missing_ok=True)

    def _skipped(self) -> dict[str, int]:
        """Rows that are no documents, by reason, over all steps."""
        skipped: Counter[str] = Counter()
        for record in self._records("read"):
            for counts in record["dropped"].values():
                skipped.update(counts)
        if self.options.against:
            skipped["near-duplicate"] = sum(r["num_in"] - r["num_out"] for r in self._records("near"))
        return dict(+skipped)

    # -- shards --

    def _place_shards(self) -> None:
        """Move the shards of all jobs to one folder, numbered in the order of the jobs."""
        records = self._records("tokenise")
        for side in ("shards", "heldout"):
            place = 0
            for number, record in enumerate(records):
                for own in range(record[side]["num_shards"]):
                    target = self.out / side / f"shard-{place:05d}"
                    source = self.out / WORK / f"{number:05d}.{side}" / f"shard-{own:05d}"
                    target.parent.mkdir(exist_ok=True)
                    for suffix in (".bin", ".json"):  # a shard is there once its .json is
                        if source.with_suffix(suffix).is_file():
                            source.with_suffix(suffix).replace(target.with_suffix(suffix))
                    place += 1

    # -- the end --

    def _finish(self) -> None:
        last = self._records("near" if self.options.against else "read")
        summary: dict[str, Any] = {
            "options": json.loads(json_text(self.options, default=vars_of)),
            "licence": self.options.found_layout.licence,
            "num_files": len({source.path for job in self.plan.jobs for source in job}),
            "files_left_out": self.plan.left_out,
            "files_not_read": self.plan.unread,
            "files_damaged": self._damaged(),
            "num_rows": sum(record["num_in"] for record in self._records("read")),
            "skipped": self._skipped(),
            "num_documents": sum(record["num_out"] for record in last),
            "num_bytes": sum(record["num_bytes"] for record in last),
        }
        outputs: dict[str, Path | str] = {
            self._documents(n).stem: self._documents(n) for n in range(len(self.plan.jobs))
        }
        if self.options.tokenizer:
            for side in ("shards", "heldout"):
                counts = sum((Counter(record[side]) for record in self._records("tokenise")), Counter[str]())
                if counts["num_documents"]:
                    summary[side] = dict(counts)
                    outputs[side] = self.out / side
            self.stage.say(f"{summary.get('shards', {}).get('num_tokens', 0):,} tokens to train on")
        self.stage.finish(outputs=outputs, summary=summary)


def read_again(imported: Path, archive: str, offset: int) -> str:
    """The text of a document of an import, from the file of its publisher. Raises MathwrightError where it has gone."""
    manifest = read_manifest(imported)
    assert manifest is not None, "its shards are there, so it has finished"
    layout = find_layout(manifest["summary"]["options"]["layout"], manifest["summary"]["options"]["text_column"])
    try:
        for number, row in read_file(Path(archive), recognise(Path(archive))):
            if number == offset and isinstance(row, dict):
                return layout.text(row)[0]
    except (DamagedFileError, FileNotFoundError, NoTextError) as error:
        raise MathwrightError(f"{archive}: {error}", hint="has the file changed since?") from error
    raise MathwrightError(f"{archive} has no row {offset}", hint="has the file changed since?")


def is_import(folder: Path) -> bool:
    """Whether a folder is that of an import that has finished."""
    manifest = read_manifest(folder)
    return manifest is not None and manifest["stage"] == "import"


def vars_of(options: Options) -> dict[str, Any]:
    """The options as JSON."""
    return {name: getattr(options, name) for name in Options.__dataclass_fields__}


def _merged(summaries: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Reports of decontamination of several jobs as one."""
    rules: dict[tuple[str, str], Counter[str]] = {}
    ngrams: Counter[tuple[str, str]] = Counter()
    problems: dict[tuple[str, str], str] = {}
    totals: Counter[str] = Counter()
    for summary in summaries:
        totals.update({"pages": summary["pages"], "bytes": summary["bytes"]})
        for row in summary["rules"]:
            key = row["benchmark"], row["rule"]
            rules.setdefault(key, Counter()).update({k: v for k, v in row.items() if k not in ("benchmark", "rule")})
        for row in summary["ngrams"]:
            key = row["benchmark"], row["ngram"]
            ngrams[key] += row["pages"]
            problems.setdefault(key, row["problem"])
    frequent = sorted(ngrams.items(), key=lambda item: (-item[1], item[0]))[:50]
    return {
        **totals,
        "rules": [{"benchmark": b, "rule": r, **counts} for (b, r), counts in sorted(rules.items())],
        "ngrams": [
            {"benchmark": b, "ngram": text, "pages": pages, "problem": problems[b, text]}
            for (b, text), pages in frequent
        ],
    }
