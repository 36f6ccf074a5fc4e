"""`mathwright sft annotate`: problems go in, solutions of a teacher come out, and each that does not has its reason.

Samples are drawn in waves. After each one the responses are judged, and only problems that have not enough different
solutions yet are asked again, twice as often as before. What a wave asks follows from the replies before it, so that a
killed annotation, given its own log, asks the rest of what it would have asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mathwright.engines.engine import Answer, Engine, Request
from mathwright.errors import MathwrightError
from mathwright.files import write_lines
from mathwright.lines import json_text
from mathwright.problems.prompts import Prompt, build_prompt
from mathwright.problems.rows import read_records
from mathwright.problems.templates import usual_template
from mathwright.records import Problem, Solution, to_json, write_jsonl
from mathwright.run import Stage, fingerprint
from mathwright.sft.annotate.diversity import Candidate, choose, way_of
from mathwright.sft.annotate.judging import Judged, Response, judge_responses, majority
from mathwright.sft.annotate.requests import RequestLog
from mathwright.sft.annotate.settings import AnnotateSettings, request_key, request_seed
from mathwright.sft.folder import CONTAMINATION, PROBLEMS, SOLUTIONS, question_key
from mathwright.tools.loop import PythonTool
from mathwright.tools.sandbox import Sandbox

PASS_RATES = "pass_rates.jsonl"
FindContaminated = Callable[[Sequence[tuple[str, str]]], list[list[Mapping[str, Any]]]]

_NOTES = {
    "en": "\nYou may run at most {rounds} programs, each in a ```python block. What a program prints is shown to you "
    "behind it in an ```output block, at most {chars} characters of it; never write such a block yourself.",
    "zh": "\n你最多可以运行{rounds}个程序，每个程序写在一个```python代码块中。程序的输出会显示在其后的```output块中，"
    "最多{chars}个字符；不要自己写输出块。",
}


@dataclass(slots=True)
class Asked:
    """A problem, and what it has been answered."""

    problem: Problem
    prompt: Prompt
    num_asked: int = 0
    """Samples that have been asked for."""
    judged: list[Judged] = field(default_factory=list)

    @property
    def right(self) -> list[Candidate]:
        """The solutions that may be kept."""
        return [Candidate(sample=j.sample, parts=j.parts) for j in self.judged if not j.reason]


def load_problems(path: Path) -> list[Problem]:
    """The problems of a file of records, or of a folder with `problems.jsonl`. Raises MathwrightError where there is
    none, or two have one id."""
    file = path / PROBLEMS if path.is_dir() else path
    found: dict[str, Problem] = {}
    for number, problem in read_records(file, Problem):
        if problem.id in found:
            raise MathwrightError(
                f"{file}:{number}: the id {problem.id!r} stands there already", hint="give each problem its own id"
            )
        found[problem.id] = problem
    if not found:
        raise MathwrightError(f"{file} has no problem", hint="name a file of Problem records")
    return list(found.values())


class Annotation:
    """The state of one annotation."""

    def __init__(
        self,
        problems: Sequence[Problem],
        out: Path,
        settings: AnnotateSettings,
        engine: Engine,
        log: RequestLog,
        *,
        find_contaminated: FindContaminated | None = None,
    ) -> None:
        """Look at the problems; nothing is asked yet. Raises MathwrightError where none may be asked."""
        self.settings, self.engine, self.requests = settings, engine, log
        self.stage = Stage("annotate", out, fingerprint("sft annotate", settings.fixed(engine.name)))
        self.num_problems = len(problems)
        self.rejected: list[tuple[Problem, str]] = []
        self.audit: list[Mapping[str, Any]] = []
        template = settings.template
        if template == "auto":
            template = usual_template(settings.teacher, engine.tokenizer)
        kept = self._usable(problems, find_contaminated)
        self.asked = [Asked(problem, self._prompt(problem, template)) for problem in kept]
        if not self.asked:
            raise MathwrightError(
                f"none of {len(problems):,} problems can be asked (most: {self.rejected[0][1]})",
                hint="problems need the split train and, without --vote, an answer",
            )

    def _usable(self, problems: Sequence[Problem], find: FindContaminated | None) -> list[Problem]:
        findings = find([(p.id, p.question) for p in problems]) if find is not None else [[] for _ in problems]
        kept: list[Problem] = []
        seen: set[str] = set()
        for problem, found in zip(problems, findings, strict=True):
            self.audit += [{"id": problem.id, "question": problem.question, **finding} for finding in found]
            key = question_key(problem)
            reason = (
                f"split {problem.split}" if problem.split != "train"
                else "empty question" if not problem.question.strip()
                else "no answer" if not (problem.answer.strip() or problem.tests or self.settings.vote)
                else f"contaminated: {found[0]['task']}" if found
                else "same question" if key in seen
                else ""
            )  # fmt: skip
            seen.add(key)
            if reason:
                self.rejected.append((problem, reason))
            else:
                kept.append(problem)
        return kept

    def _prompt(self, problem: Problem, template: str) -> Prompt:
        settings = self.settings
        note = ""
        if settings.format == "tool":
            words = _NOTES["zh" if problem.language == "zh" else "en"]
            note = words.format(rounds=settings.max_tool_rounds, chars=settings.max_output_chars)
        return build_prompt(problem, settings.format, template=template, tokenizer=self.engine.tokenizer, note=note)

    # -- waves --

    def draw(self, sandbox: Sandbox, only: Sequence[Asked] | None = None) -> None:
        """Ask until every problem (or those of `only`) has what it needs, or the money is spent."""
        asked = self.asked if only is None else only
        self.stage.say(f"the first prompt:\n{asked[0].prompt.text}")
        while wave := [(one, sample) for one in asked for sample in self._next_samples(one)]:
            self._ask(wave, sandbox)
            self._judge(wave, sandbox)
            if self.requests.stopped:
                self.stage.warn(
                    f"stopped at {self.requests.cost:.4f}: the next request would cost more than --max-cost; raise it "
                    "and run the command again to resume"
                )
                return

    def _next_samples(self, one: Asked) -> range:
        """The samples of the next wave: as many as are to be kept, then twice as many as before."""
        settings, begun = self.settings, one.num_asked
        is_vote = not (one.problem.answer.strip() or one.problem.tests)
        if settings.keep and not is_vote:
            if len({way_of(c.parts) for c in one.right}) >= settings.keep:
                return range(begun, begun)
            wanted = 2 * begun if begun else settings.keep
        else:
            wanted = settings.samples
        return range(begun, min(settings.samples, wanted))

    def _ask(self, wave: Sequence[tuple[Asked, int]], sandbox: Sandbox) -> None:
        missing = [(one, i) for one, i in wave if self.requests.answer(request_key(one.problem.id, i)) is None]
        for one, sample in wave:
            one.num_asked = max(one.num_asked, sample + 1)
        requests = [self.request(one, sample) for one, sample in missing]
        uses_tool = self.settings.format == "tool"
        tool = PythonTool(
            sandbox, timeout_s=self.settings.program_timeout_s, max_output_chars=self.settings.max_output_chars
        )
        with self.stage.progress(f"{len(wave):,} samples", len(requests)) as advance:

            def keep(index: int, answer: Answer) -> None:
                self.requests.keep(requests[index].key, answer)
                advance(1)

            if requests:
                self.engine.generate(
                    requests,
                    tool=tool if uses_tool else None,
                    max_tool_rounds=self.settings.max_tool_rounds if uses_tool else 0,
                    on_completion=keep,
                )

    def request(self, one: Asked, sample: int) -> Request:
        """The request for a sample of a problem."""
        problem_id = one.problem.id
        return Request(
            key=request_key(problem_id, sample),
            prompt=one.prompt,
            seed=request_seed(self.settings.seed, problem_id, sample),
            sampling=self.settings.sampling,
        )

    def _judge(self, wave: Sequence[tuple[Asked, int]], sandbox: Sandbox) -> None:
        answered: list[tuple[Asked, Response]] = []
        for one, sample in wave:
            key = request_key(one.problem.id, sample)
            if (answer := self.requests.answer(key)) is not None:
                model = self.requests.model_of(key)
                answered.append((one, Response(prompt=one.prompt, sample=sample, answer=answer, model=model)))
        judged = judge_responses(
            [response for _, response in answered],
            format_=self.settings.format,
            teacher=self.settings.teacher,
            sandbox=sandbox,
        )
        for (one, _), found in zip(answered, judged, strict=True):
            one.judged.append(found)

    # -- the end --

    def finish(self) -> dict[str, Any]:
        """Write the folder; the same replies give the same files. Returns the summary."""
        out, settings = self.stage.path, self.settings
        problems: list[Problem] = []
        solutions: list[Solution] = []
        dropped: Counter[str] = Counter()
        rejected: list[dict[str, Any]] = []
        rates: list[dict[str, Any]] = []
        for one in self.asked:
            problem = self._voted(one)
            if problem is None:
                self.rejected.append((one.problem, "no majority" if one.judged else "not asked"))
            else:
                problems.append(problem)
            kept, twins = choose(one.right if problem is not None else [], settings.keep)
            left_out = {twin.sample: "duplicate" for twin in twins}
            for judged in sorted(one.judged, key=lambda j: j.sample):
                reason = judged.reason or left_out.get(judged.sample, "" if problem is not None else "no majority")
                if reason:
                    dropped[reason] += 1
                    row = {"reason": reason, "problem_id": one.problem.id, "sample": judged.sample, "text": judged.text}
                    rejected.append(row)
            if problem is not None:
                solutions += [
                    Solution(problem_id=problem.id, format=settings.format, parts=c.parts, answer=problem.answer)
                    for c in kept
                ]
                rates.append(
                    {"problem_id": problem.id, "samples": len(one.judged), "right": len(one.right), "kept": len(kept)}
                )
        (out / "rejected").mkdir(exist_ok=True)
        write_lines(out / "rejected" / "solutions.jsonl", map(json_text, rejected))
        rows = ({"reason": reason, **to_json(problem)} for problem, reason in self.rejected)
        write_lines(out / "rejected" / "problems.jsonl", map(json_text, rows))
        write_lines(out / CONTAMINATION, map(json_text, self.audit))
        write_lines(out / PASS_RATES, map(json_text, rates))
        write_jsonl(out / PROBLEMS, problems)
        write_jsonl(out / SOLUTIONS, solutions)
        return self._report(problems, solutions, dropped)

    def _voted(self, one: Asked) -> Problem | None:
        """The problem with its answer; None where it has none, or was never asked."""
        if one.problem.answer.strip() or one.problem.tests:
            return one.problem if one.judged else None
        answer, samples = majority(one.judged, self.settings.vote_share)
        one.judged = [
            j
            if j.reason or j.sample in samples
            else replace(j, reason="not the answer of the majority" if answer else "no majority")
            for j in one.judged
        ]
        return replace(one.problem, answer=answer) if answer else None

    def _report(
        self, problems: Sequence[Problem], solutions: Sequence[Solution], dropped: Counter[str]
    ) -> dict[str, Any]:
        reasons = Counter(reason for _, reason in self.rejected)
        self.stage.funnel("problems", unit="problems", num_in=self.num_problems, num_out=len(problems), dropped=reasons)
        self.stage.funnel(
            "solutions",
            unit="samples",
            num_in=len(solutions) + dropped.total(),
            num_out=len(solutions),
            dropped=dropped,
        )
        log = self.requests
        solved = len({solution.problem_id for solution in solutions})
        summary = {
            "problems": len(problems),
            "solved": solved,
            "solutions": len(solutions),
            "requests": log.num_requests,
            "tokens": dict(log.tokens),
            "cost": round(log.cost, 6),
            "cost_per_solution": round(log.cost / len(solutions), 6) if solutions else None,
            "stopped_by_cost": log.stopped,
            "yield": yield_table(self.asked, problems, solutions),
        }
        out = self.stage.path
        self.stage.finish(outputs={"problems": out / PROBLEMS, "solutions": out / SOLUTIONS}, summary=summary)
        return summary


def yield_table(
    asked: Iterable[Asked], problems: Iterable[Problem], solutions: Iterable[Solution]
) -> list[dict[str, Any]]:
    """Problems, solved ones, samples and kept solutions by source and level."""
    kept = Counter(solution.problem_id for solution in solutions)
    known = {problem.id for problem in problems}
    rows: dict[tuple[str, str], Counter[str]] = {}
    for one in asked:
        row = rows.setdefault((one.problem.source, one.problem.level), Counter())
        row["problems"] += one.problem.id in known
        row["solved"] += kept[one.problem.id] > 0
        row["samples"] += len(one.judged)
        row["kept"] += kept[one.problem.id]
    return [{"source": source, "level": level, **row} for (source, level), row in sorted(rows.items())]
