"""One self-contained HTML page to look at what a model wrote: figures, problems, every sample.

What a model wrote is untrusted. It reaches the page as JSON only: the index in a script element of type
application/json, the long texts as gzip and base64 (what 100 MB of records need is then some 10 MB, and the browser
unpacks a part of it when somebody looks there). The page builds its elements from text alone, and its content security
policy lets nothing run but its own script, known by its hash, and nothing be fetched.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import jinja2

from mathwright.errors import MathwrightError
from mathwright.files import atomic
from mathwright.lines import json_text
from mathwright.records import EvalRecord, FinishReason, Problem, VerdictStatus, read_jsonl
from mathwright.report.policy import csp_hash
from mathwright.report.tex import trees_of
from mathwright.report.theme import THEME_JS

GREEDY = -1
LARGE_BYTES = 200_000_000
LARGE_SAMPLES = 50_000
"""Above either, responses that teach least are cut: those of right samples beyond the first ones of a problem."""
NUM_RIGHT_IN_FULL = 2
"""Right samples of a problem kept in full in a large evaluation; greedy answers always are."""
CUT_CHARS = 300
CHUNK_CHARS = 1_000_000
"""Texts packed together; the browser unpacks so much to show a problem."""
SNIPPET_CHARS = 140
MAX_FORMULAS = 200
"""Of a problem and its samples that are set; further ones are shown as TeX."""

STATUSES: tuple[str, ...] = get_args(VerdictStatus)
FINISHES: tuple[str, ...] = get_args(FinishReason)


def write_samples_page(folder: Path) -> Path:
    """Write FOLDER/samples.html from records.jsonl, table.json and, where it is there, settings.json; returns its path.

    Of evaluations above LARGE_BYTES or LARGE_SAMPLES all samples are listed, but of the right ones only the greedy
    answer and the first NUM_RIGHT_IN_FULL of a problem are kept in full; the page says so. Memory is that of the texts.

    Raises MathwrightError where records or table are missing or malformed, naming file and place.
    """
    table = _read_table(folder / "table.json")
    settings = _read_settings(folder / "settings.json")
    records = folder / "records.jsonl"
    large = _is_large(records)
    groups = _group(read_jsonl(records, EvalRecord), large=large)
    packer = Packer()
    for group in groups:
        group.chunk, group.place = packer.add(_texts(group))
    chunks = packer.chunks()
    index = {
        "kind": "samples",
        "statuses": STATUSES,
        "finishes": FINISHES,
        "problems": [_index_entry(group) for group in groups],
        "num_chunks": len(chunks),
    }
    models = list(dict.fromkeys(clean(group.model) for group in groups))
    path = folder / "samples.html"
    write_browser(
        path,
        page_title=f"Samples: {', '.join(models)}",
        title=f"Samples of {', '.join(models)}",
        num_problems=len(groups),
        num_samples=sum(len(group.samples) for group in groups),
        num_cut=sum(sample.left_out > 0 for group in groups for sample in group.samples),
        table=table,
        several_models=len({row["model"] for row in table}) > 1,
        pass_ks=sorted({k for row in table for k in row.get("pass_at") or {}}, key=_number),
        breakdowns=_breakdowns(table),
        settings=settings,
        home="../report.html" if (folder.parent / "recipe.json").is_file() else "",
        index=index,
        chunks=chunks,
    )
    return path


def write_browser(path: Path, *, index: Mapping[str, Any], chunks: Sequence[str], **shown: Any) -> None:
    """Write a page in which people look through problems and what models answered.

    Args:
        path: of the page.
        index: what the list needs; `kind` says whether these are samples of an evaluation or rollouts of a training.
        chunks: the long texts, packed (`Packer`).
        shown: what the page says of them.
    """
    blank = {
        "table": [], "settings": {}, "breakdowns": [], "pass_ks": [], "several_models": False, "num_cut": 0, "note": "",
        "home": "",
    }  # fmt: skip
    template = _environment().get_template("samples.html.jinja")
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        parts = template.generate(
            **blank
            | {"num_right_in_full": NUM_RIGHT_IN_FULL, "cut_chars": CUT_CHARS}
            | shown
            | {"index": escape_json(index), "kind": index["kind"], "chunks": chunks},
            theme_js=THEME_JS,
        )
        file.writelines(parts)


def escape_json(value: Any) -> str:
    """JSON in ASCII that stands safely in a script element: no text in it can end the element or open a comment.

    Lone surrogates, NUL, U+2028 and U+2029 become escapes. Raises ValueError for NaN and infinities.
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# --- samples --------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Sample:
    """One sample as the page holds it."""

    sample: int
    status: str
    method: str
    prediction: str
    finish: str
    num_tokens: int
    num_tool_calls: int
    score: float | None
    prompt: str
    response: str
    left_out: int
    """Characters cut from the response."""


@dataclass(slots=True, kw_only=True)
class _Group:
    """The samples of one model to one problem in one mode, the greedy answer first."""

    model: str
    task: str
    mode: str
    problem: Problem
    prompt: str
    """Of the first sample; a sample with another one carries its own."""
    contaminated: bool | None
    samples: list[_Sample] = field(default_factory=list)
    num_right: int = 0
    chunk: int = 0
    place: int = 0
    """Index in its chunk."""

    def add(self, record: EvalRecord, *, large: bool) -> None:
        cut = 0
        if large and record.verdict.correct and record.sample != GREEDY:
            self.num_right += 1
            if self.num_right > NUM_RIGHT_IN_FULL:
                cut = max(0, len(record.response) - CUT_CHARS)
        self.contaminated = record.contaminated if self.contaminated is None else self.contaminated
        self.samples.append(
            _Sample(
                sample=record.sample,
                status=record.verdict.status,
                method=record.verdict.method,
                prediction=record.verdict.prediction,
                finish=record.finish,
                num_tokens=record.num_tokens,
                num_tool_calls=record.num_tool_calls,
                score=record.score,
                prompt="" if record.prompt == self.prompt else record.prompt,
                response=record.response[: len(record.response) - cut],
                left_out=cut,
            )
        )

    @property
    def disagrees(self) -> bool:
        """Whether samples differ in verdict or answer; right answers equal one another, programs are not compared."""
        if len({s.status for s in self.samples}) > 1:
            return True
        return len({s.prediction.strip() for s in self.samples if s.status != "correct" and s.method != "tests"}) > 1


def _is_large(path: Path) -> bool:
    if not path.is_file():
        return False  # the reader says what is missing
    if path.stat().st_size > LARGE_BYTES:
        return True
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) > LARGE_SAMPLES


def _group(records: Iterable[EvalRecord], *, large: bool) -> list[_Group]:
    groups: dict[tuple[str, str, str, str], _Group] = {}
    for record in records:
        key = (record.model, record.task, record.mode, record.problem.id)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(
                model=record.model,
                task=record.task,
                mode=record.mode,
                problem=record.problem,
                prompt=record.prompt,
                contaminated=record.contaminated,
            )
        group.add(record, large=large)
    for group in groups.values():
        group.samples.sort(key=lambda sample: sample.sample)
    return list(groups.values())


def _index_entry(group: _Group) -> dict[str, Any]:
    """What the list needs of a problem; a sample is [number, status, finish, tokens, tool calls, score]."""
    problem = group.problem
    return {
        "model": clean(group.model),
        "task": clean(group.task),
        "mode": clean(group.mode),
        "id": clean(problem.id),
        "subject": clean(problem.subject),
        "level": clean(problem.level),
        "answer": snippet(problem.answer),
        "question": snippet(problem.question),
        "contaminated": group.contaminated,
        "disagrees": group.disagrees,
        "chunk": group.chunk,
        "place": group.place,
        "samples": [
            [
                s.sample, STATUSES.index(s.status), FINISHES.index(s.finish), s.num_tokens, s.num_tool_calls,
                s.score if s.score is None or math.isfinite(s.score) else str(s.score),
            ]
            for s in group.samples
        ],
    }  # fmt: skip


def _texts(group: _Group) -> dict[str, Any]:
    """What the detail needs of a problem; a sample is [response, answer, method, left out, its own prompt].

    formulas: as they are written, each with its MathML.
    """
    problem = group.problem
    return {
        "question": problem.question,
        "choices": problem.choices,
        "answer": problem.answer,
        "tests": problem.tests,
        "prompt": group.prompt,
        "samples": [[s.response, s.prediction, s.method, s.left_out, s.prompt] for s in group.samples],
        "formulas": trees_of([problem.question, *problem.choices, *(s.response for s in group.samples)], MAX_FORMULAS),
    }


class Packer:
    """Long texts in packs of some CHUNK_CHARS: a JSON list, gzip, base64."""

    def __init__(self) -> None:
        self._chunks: list[str] = []
        self._texts: list[str] = []
        self._chars = 0

    def add(self, value: Mapping[str, Any]) -> tuple[int, int]:
        """Pack a value; returns the number of its pack and its index in it."""
        text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
        if self._texts and self._chars + len(text) > CHUNK_CHARS:
            self._close()
        self._texts.append(text)
        self._chars += len(text)
        return len(self._chunks), len(self._texts) - 1

    def chunks(self) -> list[str]:
        """All packs; nothing is added any more."""
        if self._texts:
            self._close()
        return self._chunks

    def _close(self) -> None:
        # No time of writing in it: the same records give the same page.
        packed = gzip.compress(f"[{','.join(self._texts)}]".encode("ascii"), compresslevel=6, mtime=0)
        self._chunks.append(base64.b64encode(packed).decode("ascii"))
        self._texts, self._chars = [], 0


def snippet(text: str) -> str:
    line = " ".join(clean(text[: 4 * SNIPPET_CHARS]).split())
    return line if len(line) <= SNIPPET_CHARS else line[: SNIPPET_CHARS - 1] + "…"


def clean(text: str) -> str:
    """The text without lone surrogates, which neither UTF-8 nor the address bar can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


# --- figures --------------------------------------------------------------------------------------


def _read_json(path: Path) -> Any:
    try:
        return _clean_values(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise MathwrightError(f"{path}: no such file", hint="name the folder of a finished evaluation") from error
    except ValueError as error:
        raise MathwrightError(f"{path}: not JSON: {error}", hint="evaluate again: the samples are kept") from error


def _clean_values(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_clean_values(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): _clean_values(item) for key, item in value.items()}
    return value


def _read_table(path: Path) -> list[dict[str, Any]]:
    rows = _read_json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MathwrightError(f"{path}: not a list of rows", hint="evaluate again: the samples are kept")
    for number, row in enumerate(rows, start=1):
        for name in ("model", "mode", "accuracy"):
            if name not in row:
                raise MathwrightError(f"{path}: row {number} lacks {name!r}", hint="evaluate again")
    return rows


def _read_settings(path: Path) -> dict[str, str]:
    """Settings as texts, empty where no file is."""
    if not path.is_file():
        return {}
    settings = _read_json(path)
    if not isinstance(settings, dict):
        raise MathwrightError(f"{path}: not a JSON object", hint="remove it: the page does without")
    return {name: v if isinstance(v, str) else json_text(v) for name, v in settings.items()}


def _breakdowns(table: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy by subject, level and split: a small table for each row that has more than one group."""
    return [
        {"row": row, "name": name, "groups": groups}
        for name in ("subject", "level", "split")
        for row in table
        if len(groups := row.get(f"by_{name}") or {}) > 1
    ]


def _number(text: str) -> float:
    """A key such as "16" as a number; others come last."""
    try:
        return float(text)
    except ValueError:
        return math.inf


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(
        percent=lambda x: "" if x is None else f"{100 * x:.1f}%",
        thousands=lambda n: "" if n is None else f"{n:,}",
        csp_hash=csp_hash,
    )
    return environment
