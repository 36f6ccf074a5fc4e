"""`mathwright sft import`: a published set becomes problems and solutions, and nothing of it is lost in silence."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from mathwright.answers import check_responses
from mathwright.errors import MathwrightError
from mathwright.files import atomic, whole_lines, write_lines
from mathwright.lines import json_text, plain_json
from mathwright.problems.fields import LayoutError
from mathwright.problems.layouts import Draft, Dropped, unusable
from mathwright.problems.rows import read_records
from mathwright.records import Problem, Solution, to_json
from mathwright.run import Stage, fingerprint
from mathwright.sft.conversion.check import Outcome, run_programs
from mathwright.sft.folder import CONTAMINATION, PROBLEMS, SOLUTIONS, question_key
from mathwright.sft.sources.catalogue import Source
from mathwright.sft.sources.checking import NotMade, reasons_against, solutions_of_equations
from mathwright.sft.sources.files import SPLITS, BadRow, find_files, read_rows, split_of
from mathwright.sft.sources.readers import Read, generic
from mathwright.sft.sources.worked import Worked, Working, is_sentinel, language_of
from mathwright.tools.sandbox import Sandbox

BATCH_ROWS = 256
"""Rows whose answers are compared, and whose programs run, side by side."""
BEGUN = "begun.json"
FindContaminated = Callable[[Sequence[tuple[str, str]]], list[list[Mapping[str, Any]]]]
"""(id, text) of problems to what of benchmarks stands in each; each finding has at least `task` and `problem_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What of a set is imported, and how."""

    split: str = ""
    """train, validation or test; "" is what the row, the file or its folder says, else train."""
    name: str = ""
    """`Problem.source`, and what ids begin with; "" is the layout's name."""
    programs: bool = True
    """Whether equations are made into programs."""
    limit: int | None = None
    """Problems to keep, at most."""
    known: tuple[Path, ...] = ()
    """Folders of earlier imports: what they ask is a duplicate."""
    keep_contaminated: bool = False
    """Whether problems that stand in a benchmark are kept, and only written to the audit log."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Of the layout jsonl: which field is the question, answer, solution, messages."""


def import_solutions(
    source: Source,
    path: Path,
    out: Path,
    *,
    options: ImportOptions | None = None,
    find_contaminated: FindContaminated | None = None,
    benchmarks: str = "",
    sandbox: Sandbox | None = None,
) -> dict[str, int]:
    """Read a set, write problems.jsonl, solutions.jsonl and rejected/ to `out`; returns what was kept.

    Args:
        source: its layout.
        path: its file, or the folder with its files.
        out: an empty or new folder, or one in which this import has begun or finished.
        options: see `ImportOptions`.
        find_contaminated: says what of benchmarks stands in texts; None to look for nothing.
        benchmarks: their names, which are part of what the import is made from.
        sandbox: where programs run; by default one of its own, opened for the first program.

    Raises MathwrightError for a path that holds no data, a damaged file, a field of --question etc. that no row has,
    or a folder with something else in it.
    """
    options = options or ImportOptions()
    if options.split not in ("", *SPLITS.values()):
        raise MathwrightError(f"--split is {options.split!r}", hint="train, validation or test")
    if options.limit is not None and options.limit < 1:
        raise MathwrightError(f"--limit is {options.limit}", hint="give a number of problems above 0")
    if options.fields and source.name != "jsonl":
        raise MathwrightError(f"the layout {source.name} has its own fields", hint="name fields with the layout jsonl")
    files = find_files(path, source.files, leave_out=out)
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    mark = fingerprint("sft import", source.name, stats, to_json(options), benchmarks)
    stage = _open(out, mark)
    if stage is None:
        kept = {"problems": out / PROBLEMS, "solutions": out / SOLUTIONS}
        return {name: sum(1 for _ in whole_lines(file)) for name, file in kept.items()}
    importing = _Import(source, stage, options, find_contaminated)
    importing.root = path if path.is_dir() else path.parent
    with ExitStack() as stack:
        importing.open(stack, sandbox)
        for file in files:
            importing.read(file)
        if not importing.num_rows:
            raise MathwrightError(f"{path}: no rows", hint="the file is empty; fetch it again")
    return importing.finish()


def _open(out: Path, mark: str) -> Stage | None:
    """The folder to write into, emptied of what an interrupted import has left; None where it is finished."""
    if out.exists() and not out.is_dir():
        raise MathwrightError(f"{out} is a file", hint="name a folder with --out")
    stage = Stage("import", out, mark)
    begun = out / BEGUN
    if begun.is_file() and begun.read_text(encoding="utf-8").strip() == mark:
        if stage.finished:
            stage.say(f"{out} has been imported already")
            return None
        for left in (out / "rejected").glob("*.jsonl"):
            left.unlink()
    elif out.is_dir() and any(out.iterdir()):
        raise MathwrightError(
            f"{out} is not empty, and what is in it was made from something else", hint="choose another --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_lines(begun, [mark])
    return stage


@dataclass(slots=True)
class _Row:
    """A row on its way."""

    place: str
    index: int
    worked: Worked
    split: str
    problem: Problem | None = None


class _Import:
    """The state of one import."""

    def __init__(self, source: Source, stage: Stage, options: ImportOptions, find: FindContaminated | None) -> None:
        self.source, self.stage, self.options, self.find = source, stage, options, find
        self.name = options.name or source.name
        self.seen: dict[bytes, Problem] = {}
        self.known = {_digest(question_key(p)) for folder in options.known for p in _problems(folder)}
        self.solutions_seen: set[bytes] = set()
        self.ids: set[str] = set()
        self.withdrawn: set[str] = set()
        self.root = Path()
        """Folder of the set: no folder above it says what is a test."""
        self.num_rows = self.num_problems = self.num_solutions = self.num_given = 0
        self.dropped: Counter[str] = Counter()
        self.dropped_solutions: Counter[str] = Counter()
        self.programs: Counter[str] = Counter()
        self.formats: Counter[str] = Counter()

    def open(self, stack: ExitStack, sandbox: Sandbox | None) -> None:
        def opened(name: str) -> TextIO:
            partial_file = stack.enter_context(atomic(self.stage.path / name))
            return stack.enter_context(partial_file.open("w", encoding="utf-8", newline="\n"))

        self.problems, self.solutions, self.audit = map(opened, (PROBLEMS, SOLUTIONS, CONTAMINATION))
        self._sandbox, self._stack = sandbox, stack

    def _run(self, programs: Sequence[tuple[str, str]]) -> list[Outcome]:
        if not programs:
            return []
        if self._sandbox is None:
            self._sandbox = self._stack.enter_context(Sandbox())
        return run_programs(programs, self._sandbox)

    @property
    def is_full(self) -> bool:
        return self.options.limit is not None and self.num_problems >= self.options.limit

    # -- rows --

    def read(self, file: Path) -> None:
        rows = iter(read_rows(file))
        packed = zipfile.is_zipfile(file)
        split = split_of(file, self.root)
        with self.stage.progress(file.name, None) as advance:
            while not self.is_full and (batch := list(islice(rows, BATCH_ROWS))):
                read = [
                    row
                    for place, value in batch
                    if (row := self._read_row(place, value, _split_in(file, place) if packed else split)) is not None
                ]
                self._keep(read)
                advance(len(batch))

    def _read_row(self, place: str, value: Mapping[str, Any] | BadRow, split: str) -> _Row | None:
        index, self.num_rows = self.num_rows, self.num_rows + 1
        if isinstance(value, BadRow):
            self._drop(place, value.reason, {"text": value.text})
            return None
        try:
            read: Read = (
                partial(generic, **self.options.fields)(value) if self.options.fields else self.source.read(value)
            )
        except LayoutError as error:
            read = Dropped(reason=f"not the layout: {error}")
        except (TypeError, AttributeError, KeyError, IndexError, ValueError, OverflowError) as error:
            # a value of another type than the layout's, which a reader did not look for
            read = Dropped(reason=f"not the layout: {type(error).__name__} where a column is of another type")
        if isinstance(read, Dropped):
            self._drop(place, read.reason, {"row": value})
            return None
        own = SPLITS.get(re.split(r"[^a-z]", read.split.lower())[0], "") if read.split else ""
        return _Row(place, index, read, self.options.split or own or split)

    def _drop(self, place: str, reason: str, row: Mapping[str, Any]) -> None:
        self.dropped[reason] += 1
        self.stage.reject("problems", {"place": place, **plain_json(row)}, reason)

    def _drop_solution(self, row: _Row, reason: str, text: str) -> None:
        self.dropped_solutions[reason] += 1
        problem = row.problem.id if row.problem is not None else ""
        self.stage.reject("solutions", {"place": row.place, "problem_id": problem, "text": text}, reason)

    # -- a batch --

    def _keep(self, rows: list[_Row]) -> None:
        self._answers_of_programs(rows)
        asked = [row for row in rows if self._is_usable(row)]
        asked = self._without_contaminated(asked)
        for row in asked:
            self._name(row)
        self._write_solutions([row for row in asked if row.problem is not None])

    def _answers_of_programs(self, rows: Sequence[_Row]) -> None:
        """Where only a program knows the answer, it is what the program prints."""
        asked = [
            row for row in rows if not row.worked.draft.answer and [w.format for w in row.worked.workings] == ["pot"]
        ]
        outcomes = self._run([(row.worked.workings[0].text, "") for row in asked])
        for row, outcome in zip(asked, outcomes, strict=True):
            draft = _with_answer(row.worked.draft, outcome.printed)
            rejected = ((outcome.reason, row.worked.workings[0].text),) if outcome.reason else ()
            workings = () if outcome.reason else row.worked.workings
            row.worked = Worked(draft=draft, workings=workings, rejected=rejected)

    def _is_usable(self, row: _Row) -> bool:
        draft, answer = row.worked.draft, row.worked.draft.answer
        if answer and is_sentinel(answer) and not draft.choices:
            reason = f"the answer is {answer.strip().lower()!r}"
        elif not answer.strip() and row.worked.rejected and draft.question.strip():
            reason = row.worked.rejected[0][0]
        else:
            reason = unusable(draft)
        if reason:
            self._drop(row.place, reason, {"question": draft.question, "answer": answer})
        return not reason

    def _without_contaminated(self, rows: list[_Row]) -> list[_Row]:
        if self.find is None or not rows:
            return rows
        found = self.find([(row.place, row.worked.draft.question) for row in rows])
        kept: list[_Row] = []
        for row, findings in zip(rows, found, strict=True):
            for finding in findings:
                self.audit.write(
                    json_text({"place": row.place, "question": row.worked.draft.question, **finding}) + "\n"
                )
            if findings and not self.options.keep_contaminated:
                in_benchmark = f"contaminated: {findings[0]['task']}"
                self._drop(row.place, in_benchmark, {"question": row.worked.draft.question})
            else:
                kept.append(row)
        return kept

    def _name(self, row: _Row) -> None:
        """Give a row its problem: a new one, or the one that asked the same before."""
        draft = row.worked.draft
        problem = self._problem(row)
        digest = _digest(question_key(problem))
        first = self.seen.get(digest)
        if digest in self.known:
            self._drop(row.place, "asked in a known folder", {"question": draft.question})
        elif first is not None and not (first.split == "train" and row.split != "train"):
            if not _same_answer(first.answer, draft.answer):
                self._drop(row.place, "same question, another answer", {"question": draft.question, "first": first.id})
            else:
                self.dropped["same question"] += 1  # its solutions go to the first one: nothing is lost
                row.problem = first
        elif self.is_full:
            self._drop(row.place, "over the limit", {"question": draft.question})
        else:
            if first is not None:  # a training question that a test asks too
                self.withdrawn.add(first.id)
            row.problem = self.seen[digest] = problem
            self.ids.add(problem.id)
            self.num_problems += 1
            self.problems.write(json_text(to_json(problem)) + "\n")

    def _problem(self, row: _Row) -> Problem:
        draft = row.worked.draft
        own = f"{self.name}-{draft.id}"
        return Problem(
            id=own if draft.id and own not in self.ids else f"{self.name}-{row.split}-{row.index}",
            question=draft.question,
            answer=draft.answer.strip(),
            source=self.name,
            split=row.split,
            subject=draft.subject,
            level=draft.level,
            language=row.worked.language or language_of(draft.question),
            choices=draft.choices,
        )

    # -- solutions --

    def _write_solutions(self, rows: Sequence[_Row]) -> None:
        proposed: list[tuple[_Row, Working]] = []
        for row in rows:
            for reason, text in row.worked.rejected:
                self.num_given += 1
                self._drop_solution(row, reason, text)
            proposed += [(row, working) for working in row.worked.workings]
        self.num_given += len(proposed)
        made = [(row, working) for row in rows for working in self._made(row)]
        for row, working in [*self._checked(proposed), *self._checked_made(made)]:
            self._write(row, working)

    def _made(self, row: _Row) -> Iterator[Working]:
        """The solutions that are made of a row's equations; where none can be, that is counted."""
        if not self.options.programs or not (row.worked.equation or row.worked.marked):
            return
        self.programs["proposed"] += 1
        made = solutions_of_equations(row.worked)
        if isinstance(made, NotMade):
            self.num_given += 1
            self.programs[made.reason] += 1
            self._drop_solution(row, made.reason, made.text)
        else:
            yield from made

    def _checked_made(self, made: Sequence[tuple[_Row, Working]]) -> Iterator[tuple[_Row, Working]]:
        """Of what is made of equations, that of which the program gives the answer."""
        self.num_given += len(made)
        programs = [(row, working) for row, working in made if working.format == "pot"]
        outcomes = self._run([(working.text, row.worked.draft.answer) for row, working in programs])
        wrong = {id(row): found.reason for (row, _), found in zip(programs, outcomes, strict=True) if found.reason}
        for row, working in made:
            if reason := wrong.get(id(row)):
                self.programs[reason] += working.format == "pot"
                self._drop_solution(row, reason, working.text)
            else:
                yield row, working

    def _checked(self, proposed: Sequence[tuple[_Row, Working]]) -> Iterator[tuple[_Row, Working]]:
        """Of the publisher's solutions, those that come to the reference answer."""
        reasons = reasons_against([(row.worked.draft, working) for row, working in proposed], self._run)
        for (row, working), reason in zip(proposed, reasons, strict=True):
            if reason:
                self._drop_solution(row, reason, working.text)
            else:
                yield row, working

    def _write(self, row: _Row, working: Working) -> None:
        assert row.problem is not None
        digest = _digest(f"{row.problem.id}\0{working.format}\0{' '.join(working.text.split())}")
        if digest in self.solutions_seen:
            self._drop_solution(row, "same solution", working.text)
            return
        self.solutions_seen.add(digest)
        solution = Solution(
            problem_id=row.problem.id, format=working.format, parts=working.parts, answer=row.problem.answer
        )
        self.num_solutions += 1
        self.formats[working.format] += 1
        self.programs["kept"] += working.format == "pot" and bool(row.worked.equation or row.worked.marked)
        self.solutions.write(json_text(to_json(solution)) + "\n")

    # -- the end --

    def finish(self) -> dict[str, int]:
        out = self.stage.path
        if self.withdrawn:
            self._withdraw()
        self.stage.funnel(
            "problems", unit="rows", num_in=self.num_rows, num_out=self.num_problems, dropped=self.dropped
        )
        self.stage.funnel(
            "solutions",
            unit="solutions",
            num_in=self.num_given,
            num_out=self.num_solutions,
            dropped=self.dropped_solutions,
        )
        if proposed := self.programs.pop("proposed", 0):
            kept = self.programs["kept"]
            self.stage.say(f"programs from equations: {kept:,} of {proposed:,} ({100 * kept / proposed:.2f}%)")
        if self.find is None:
            self.stage.say("not compared with any benchmark: name --benchmarks to find contamination")
        if self.num_rows and not self.num_problems and not self.known:
            reason = self.dropped.most_common(1)[0][0]
            raise MathwrightError(
                f"no problem is left of {self.num_rows:,} rows (most: {reason})",
                hint=f"is this the layout {self.source.name}? Its columns: {', '.join(self.source.columns)}",
            )
        if self.num_given and not self.num_solutions:
            reason, count = self.dropped_solutions.most_common(1)[0]
            self.stage.warn(f"none of {self.num_given:,} solutions was kept ({reason}: {count:,}); see rejected/")
        kept = {"problems": self.num_problems, "solutions": self.num_solutions}
        self.stage.finish(
            outputs={"problems": out / PROBLEMS, "solutions": out / SOLUTIONS, "contamination": out / CONTAMINATION},
            summary={
                **kept,
                "formats": dict(self.formats),
                "programs": dict(self.programs),
                "licence": self.source.licence,
            },
        )
        return kept

    def _withdraw(self) -> None:
        """Take out training problems that a later test row asks too."""
        out = self.stage.path
        problems = [p for _, p in read_records(out / PROBLEMS, Problem)]
        kept = [p for p in problems if p.id not in self.withdrawn]
        solutions = [s for _, s in read_records(out / SOLUTIONS, Solution)]
        stay = [s for s in solutions if s.problem_id not in self.withdrawn]
        write_lines(out / PROBLEMS, (json_text(to_json(p)) for p in kept))
        write_lines(out / SOLUTIONS, (json_text(to_json(s)) for s in stay))
        self.dropped["training question asked in the test"] += len(problems) - len(kept)
        self.dropped_solutions["training question asked in the test"] += len(solutions) - len(stay)
        self.num_problems, self.num_solutions = len(kept), len(stay)


def _split_in(file: Path, place: str) -> str:
    """The split that the name of a member of a zip file tells, or else that of the file."""
    member = re.split(r":\d+\Z|, (?:item|byte) ", place)[0]
    found = split_of(Path(member), file)
    return split_of(file, file.parent) if found == "train" else found


def _same_answer(first: str, other: str) -> bool:
    """Whether two answers to one question are one: 1/2, \\frac{1}{2} and 0.5."""
    if first.strip() == other.strip():
        return True
    return check_responses([(f"The answer is \\boxed{{{other.strip()}}}.", first)])[0].status == "correct"


def _problems(folder: Path) -> Iterator[Problem]:
    return (problem for _, problem in read_records(folder / PROBLEMS, Problem))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _with_answer(draft: Draft, answer: str) -> Draft:
    return Draft(question=draft.question, answer=answer, id=draft.id, subject=draft.subject, level=draft.level)
