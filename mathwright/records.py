"""Every type that crosses a stage: what one stage writes and another reads.

Corpus:      Page (HTML) -> Document (text) -> token shards on disk.
Problems:    Problem (what is asked), Solution (how it is answered, as parts).
Judging:     Verdict (one answer), JudgedGroup (all of a prompt), Ranking (for the reward model), StepLabels (process
             supervision).
RL:          Completion -> Rollout -> RolloutGroup; ToolCall (a program that a response runs).
Evaluation:  EvalRecord.

No field changes its meaning along the way: a new meaning is a new type.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from mathwright.errors import MathwrightError
from mathwright.files import write_lines
from mathwright.lines import json_text

# --- corpus ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An HTML page as an archive holds it."""

    url: str
    html: bytes
    """The body after HTTP transfer and content decoding, in its original character encoding."""
    charset: str | None
    """Character set named by the HTTP header, if any; the page itself may say otherwise."""
    archive: str
    """Path or URL of the archive."""
    offset: int
    """Byte offset of the record in the archive."""
    digest: str
    """SHA-1 of the body, base32, as WARC writes it."""
    date: str
    """Time of capture, ISO 8601, or "" where the archive does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A stretch of an archive that could not be read; reading went on behind it."""

    archive: str
    offset: int
    size_bytes: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The text of a page, mathematics kept as TeX between $...$ and $$...$$."""

    url: str
    title: str
    text: str
    notation: Mapping[str, int] = field(default_factory=dict)
    """Formulas found, by kind of source markup (mathjax_script, mathml, katex, tex_delimiters, ...)."""
    archive: str = ""
    offset: int = -1
    digest: str = ""
    date: str = ""
    problem: str = ""
    """What of the page was not read, and why (too long, nested too deep); "" where nothing was left out for a limit."""


# --- problems and solutions -----------------------------------------------------------------------


SolutionFormat = Literal["cot", "pot", "tool"]
"""Chain of thought (text only), program of thought (one program), tool-integrated reasoning (interleaved)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A turn of a conversation."""

    role: str
    """system, user or assistant."""
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A question with its reference answer."""

    id: str
    question: str
    answer: str
    """Final answer alone, without the working."""
    source: str
    """Where it comes from: gsm8k, math, procedural, reasoning_gym, ..."""
    split: str
    """train, test, or a finer name such as test_templates."""
    subject: str = ""
    """Subject, template or topic; tables are broken down by it."""
    level: str = ""
    language: str = "en"
    choices: tuple[str, ...] = ()
    """Texts of the options of a multiple-choice question, without their letters; the answer is the letter of one."""
    tests: str = ""
    """Where the answer is a program: Python that raises unless the program run before it is right."""
    theorem: str = ""
    """Where the answer is a formal proof: the header of its theory and the formal statement, which a prover judges."""
    messages: tuple[Message, ...] = ()
    """A conversation that is put to the model as it stands, in place of the question with its suffix."""
    columns: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What else stood in the row it comes from, for reward functions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stretch of a solution: prose, a program, or what running the program printed.

    raw is a whole response of other people: it is trained word for word, whatever stands in it.
    """

    kind: Literal["text", "code", "output", "raw"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A worked solution of a problem in one of the three formats of §3.1."""

    problem_id: str
    format: SolutionFormat
    parts: tuple[Part, ...]
    answer: str


# --- judging --------------------------------------------------------------------------------------


VerdictStatus = Literal["correct", "incorrect", "unparsable_prediction", "unparsable_reference", "timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an answer equals the reference, and how that was found."""

    status: VerdictStatus
    prediction: str
    reference: str
    method: str = ""
    """The comparison that decided: "string", "number", "symbolic", "none", ..."""

    @property
    def correct(self) -> bool:
        return self.status == "correct"

    @property
    def scored(self) -> bool:
        """False where the reference cannot be parsed: such a problem counts neither as right nor as wrong."""
        return self.status != "unparsable_reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Responses to one prompt in order of merit, the training example of an outcome reward model."""

    problem_id: str
    prompt: str
    responses: tuple[str, ...]
    ranks: tuple[int, ...]
    """Rank of each response, 0 the best; equal ranks are not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedGroup:
    """All sampled responses to one prompt with their verdicts, those that are all right or all wrong too.

    What rankings are made of, and what the pointwise part of a reward model and a value model learn from.
    """

    problem_id: str
    prompt: str
    responses: tuple[str, ...]
    correct: tuple[bool | None, ...]
    """None where the answer could not be judged."""
    truncated: tuple[bool, ...]
    """True where a response ran into a limit: no end token follows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLabels:
    """A response cut into steps, each labelled, the training example of a process reward model."""

    problem_id: str
    prompt: str
    response: str
    step_ends: tuple[int, ...]
    """End of each step as a character offset into the response (exclusive)."""
    labels: tuple[float | None, ...]
    """1.0 right, 0.0 wrong, or the share of completions that reached the answer (soft estimate); None: not labelled."""
    hits: tuple[int | None, ...] = ()
    """Completions from the end of each step that reached the right answer; None where the step was not labelled. Empty
    where the labels are not estimated by completions."""
    completions: tuple[int | None, ...] = ()
    """Completions from the end of each step that could be judged: hard labels are hits > 0, soft ones hits / this."""


# --- generation and reinforcement learning --------------------------------------------------------


FinishReason = Literal["stop", "length", "tool_limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a generator produced behind one prompt; the four per-token tuples have one length."""

    tokens: tuple[int, ...]
    """Response tokens, the end-of-sequence token included where the model wrote one."""
    logprobs: tuple[float, ...]
    """Log-probability of each token under the distribution it was drawn from; 0.0 for inserted tokens."""
    sampled: tuple[bool, ...]
    """True where the model drew the token; False where tool output was inserted (never trained on)."""
    text: str
    """The response decoded, special tokens left out."""
    finish: FinishReason
    """stop: end token or stop string; length: ran into a limit; tool_limit: out of tool rounds."""
    num_tool_calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A program that a response asks to run, in the middle of its generation."""

    key: int
    """Which response asks: the calls of one response belong to one session, in order."""
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A completion with its judgement. Reward None means unscored: it takes no part in the mean of its group."""

    completion: Completion
    verdict: Verdict | None
    reward: float | None
    rewards_by_name: Mapping[str, float | None] = field(default_factory=dict)
    step_ends: tuple[int, ...] = ()
    """index(j) of §4.1.3: index of the last token of each step, ascending; empty under outcome supervision."""
    step_rewards: tuple[float, ...] = ()
    """Reward at the end of each step; as long as step_ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutGroup:
    """The G rollouts of one question."""

    problem: Problem
    prompt: str
    prompt_tokens: tuple[int, ...]
    rollouts: tuple[Rollout, ...]


# --- evaluation -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRecord:
    """One sampled answer of one model to one problem."""

    model: str
    """Name of the model in the run: base, pretrained, sft, rl."""
    task: str
    mode: str
    """cot or tool (paper: without and with tools); pot where a single program is asked for."""
    problem: Problem
    sample: int
    """-1 for the greedy answer, 0..K-1 for the samples."""
    prompt: str
    response: str
    verdict: Verdict
    finish: FinishReason
    num_tokens: int
    num_tool_calls: int = 0
    score: float | None = None
    """What a reward model gives the response; None where none was asked."""
    contaminated: bool | None = None
    """Whether the question was found in the training corpus; None where nobody looked."""


# --- reading and writing --------------------------------------------------------------------------

R = TypeVar("R")


def to_json(record: Any) -> dict[str, Any]:
    """A record as plain JSON values: nested records become objects; tuples stay, which JSON writes as lists.

    As `dataclasses.asdict`, which copies each number of a long tuple.
    """
    return {name: _to_json(getattr(record, name)) for name in _field_names(type(record))}


def from_json(cls: type[R], value: Mapping[str, Any]) -> R:
    """The record of type `cls` that `to_json` wrote.

    Raises ValueError, naming the field, where one is missing, unknown or of another type.
    """
    return _build(cls, value, cls.__name__)


def write_jsonl(path: str | Path, records: Iterable[Any]) -> int:
    """Write records, one JSON object a line; the file appears only when it is complete. Returns how many."""
    return write_lines(Path(path), (json_text(to_json(record)) for record in records))


def read_jsonl(path: str | Path, cls: type[R]) -> Iterator[R]:
    """Read records of one type; a malformed line raises MathwrightError naming file, line and field."""
    path = Path(path)
    if not path.is_file():
        raise MathwrightError(f"{path}: no such file", hint="check the path; a stage that did not run writes nothing")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield from_json(cls, json.loads(line.decode()))
            except ValueError as error:  # UnicodeDecodeError is one
                raise MathwrightError(
                    f"{path}:{number}: not a {cls.__name__}: {error}",
                    hint="each line is one JSON object; correct or remove this line",
                ) from error


_PLAIN = frozenset({str, int, float, bool, types.NoneType})


@functools.cache
def _field_names(cls: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(cls))


def _to_json(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN or (kind is tuple and _PLAIN.issuperset(map(type, value))):
        return value
    if dataclasses.is_dataclass(kind):
        return to_json(value)
    if kind in (tuple, list):
        return kind(map(_to_json, value))
    if isinstance(value, Mapping):
        return {key: _to_json(item) for key, item in value.items()}
    return copy.deepcopy(value)


def _build(annotation: Any, value: Any, where: str) -> Any:
    """`value` (plain JSON) as an instance of `annotation`, checked."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if dataclasses.is_dataclass(annotation):
        return _build_dataclass(annotation, value, where)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{where} is {value!r}, not one of {', '.join(map(repr, arguments))}")
        return value
    if origin in (typing.Union, types.UnionType):
        return _build_union(arguments, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where} must be a list, not {type(value).__name__}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            if arguments[0] in _PLAIN and {arguments[0]}.issuperset(map(type, value)):
                return tuple(value)  # thousands of tokens
            return tuple(_build(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(arguments) != len(value):
            raise ValueError(f"{where} must have {len(arguments)} items, not {len(value)}")
        return tuple(
            _build(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(arguments, value, strict=True))
        )
    if origin in (Mapping, dict):
        return _build_mapping(arguments, value, where)
    if annotation is Any:
        return value
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if annotation is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, annotation) or (isinstance(value, bool) and annotation is not bool):
        raise ValueError(f"{where} must be {annotation.__name__}, not {value!r}")
    return value


@functools.cache
def _type_hints(cls: Any) -> dict[str, Any]:
    """Resolving the annotations of a class takes longer than building the record."""
    return typing.get_type_hints(cls)


def _build_dataclass(cls: Any, value: Any, where: str) -> Any:
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be an object, not {type(value).__name__}")
    hints = _type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    unknown = [name for name in value if name not in fields]
    if unknown:
        raise ValueError(f"{where} has no field {unknown[0]!r}")
    required = (
        name
        for name, f in fields.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    )
    missing = [name for name in required if name not in value]
    if missing:
        raise ValueError(f"{where} lacks the field {missing[0]!r}")
    return cls(**{name: _build(hints[name], item, f"{where}.{name}") for name, item in value.items()})


def _build_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    choices = [a for a in arguments if a is not type(None)]
    problems: list[str] = []
    for choice in choices:
        try:
            return _build(choice, value, where)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError("; ".join(problems))


def _build_mapping(arguments: tuple[Any, ...], value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be an object, not {type(value).__name__}")
    key_type, item_type = arguments if arguments else (Any, Any)
    return {_build(key_type, k, where): _build(item_type, item, f"{where}.{k}") for k, item in value.items()}
