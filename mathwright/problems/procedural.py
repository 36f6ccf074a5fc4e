"""Our own source of problems: question templates filled with names and numbers, solved in three formats.

The test differs from the training problems in two ways: some templates are held out entirely (split `test_templates`),
and of the others one set of numbers in five is kept for the test (split `test_numbers`), whatever the phrasing. Which
template and which numbers is a property of them alone, so it holds across seeds. Everything follows from the seed, each
template from a stream of its own, so that a new template does not change the problems of the others.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mathwright.errors import MathwrightError
from mathwright.problems.questions import arithmetic, equations, measures, patterns, portions, rates, shopping, stories
from mathwright.problems.questions.base import Draw, Numbers, QuestionTemplate, Worked, registered
from mathwright.problems.questions.words import Words
from mathwright.records import Part, Problem, Solution

TEMPLATE_MODULES = (arithmetic, stories, shopping, rates, measures, equations, portions, patterns)
"""The modules that register templates when they are imported."""

RunPrograms = Callable[[Sequence[str]], list[str]]
"""Runs programs and returns what each printed."""

_MAX_MISSES = 200
"""Draws in a row that bring nothing new before a template counts as exhausted."""

_PROGRAMS_PER_SCRIPT = 64
_END_OF_PROGRAM = "\x1e"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """A problem with what its solutions are made of, and where it comes from."""

    problem: Problem
    worked: Worked
    template: str
    numbers: Numbers


def find_templates(names: str, difficulty: int) -> list[QuestionTemplate]:
    """The templates (or whole subjects) named in a comma-separated list, in that order; "" is all that fit.

    Raises MathwrightError for an unknown name, or a template that has no sense at this difficulty.
    """
    known = registered()
    if not 0 <= difficulty <= 3:
        raise MathwrightError(f"difficulty {difficulty} is not one of 0, 1, 2, 3", hint="set problems.difficulty")
    if not names.strip():
        return [template for template in known.values() if template.lowest <= difficulty]
    chosen: dict[str, QuestionTemplate] = {}
    for name in (part.strip() for part in names.split(",")):
        of_subject = [t for t in known.values() if t.subject == name and t.lowest <= difficulty]
        if name not in known and not of_subject:
            fitting = ", ".join(t.name for t in known.values() if t.lowest <= difficulty)
            raise MathwrightError(f"no question template {name!r} at difficulty {difficulty}", hint=f"one of {fitting}")
        if name in known and known[name].lowest > difficulty:
            raise MathwrightError(
                f"question template {name!r} has no sense at difficulty {difficulty}",
                hint=f"set problems.difficulty to {known[name].lowest} or more, or leave the template out",
            )
        chosen |= {t.name: t for t in ([known[name]] if name in known else of_subject)}
    return list(chosen.values())


def generate(
    templates: Sequence[QuestionTemplate], *, difficulty: int, num_train: int, num_test: int, seed: int
) -> tuple[list[Generated], list[Generated]]:
    """Training and test problems, spread evenly over the templates, no question twice.

    Raises MathwrightError where the templates have fewer distinct questions than asked for.
    """
    questions: set[str] = set()
    test = _collect(templates, difficulty, num_test, seed, for_test=True, questions=questions)
    trained = [template for template in templates if not template.held_out]
    train = _collect(trained, difficulty, num_train, seed, for_test=False, questions=questions)
    return train, test


def _collect(
    templates: Sequence[QuestionTemplate],
    difficulty: int,
    count: int,
    seed: int,
    *,
    for_test: bool,
    questions: set[str],
) -> list[Generated]:
    """`count` problems in rounds over the templates; `questions` are those already asked, and grows."""
    streams = {t.name: _stream(t, difficulty, seed, for_test=for_test, questions=questions) for t in templates}
    collected: list[Generated] = []
    order = random.Random(f"{seed}:{for_test}")
    while len(collected) < count and streams:
        names = list(streams)
        order.shuffle(names)
        for name in names[: count - len(collected)]:
            generated = next(streams[name], None)
            if generated is None:
                del streams[name]
            else:
                collected.append(generated)
    if len(collected) < count:
        part = "test" if for_test else "training"
        raise MathwrightError(
            f"the chosen question templates have only {len(collected)} {part} questions at difficulty {difficulty}, "
            f"{count} were asked for",
            hint="ask for fewer, name more templates, or raise problems.difficulty",
        )
    return collected


def _stream(
    template: QuestionTemplate, difficulty: int, seed: int, *, for_test: bool, questions: set[str]
) -> Iterator[Generated]:
    """New questions of one template and one side of the split, until `_MAX_MISSES` draws in a row bring none."""
    rng = random.Random(f"{seed}:{difficulty}:{template.name}:{'test' if for_test else 'train'}")
    draw, words = Draw(rng, difficulty), Words(rng)
    split = "train" if not for_test else "test_templates" if template.held_out else "test_numbers"
    misses = 0
    while misses < _MAX_MISSES:
        numbers = template.draw(draw)
        worked = template.write(numbers, words) if template.in_test(numbers) == for_test else None
        if worked is None or worked.question in questions:
            misses += 1
            continue
        misses = 0
        questions.add(worked.question)
        yield Generated(
            problem=_problem(template, worked, split, difficulty),
            worked=worked,
            template=template.name,
            numbers=numbers,
        )


def _problem(template: QuestionTemplate, worked: Worked, split: str, difficulty: int) -> Problem:
    digest = hashlib.blake2b(worked.question.encode(), digest_size=6).hexdigest()
    return Problem(
        id=f"procedural-{template.name}-{digest}",
        question=worked.question,
        answer=str(worked.answer),
        source="procedural",
        split=split,
        subject=template.subject,
        level=str(difficulty),
    )


def solutions(generated: Sequence[Generated], run_programs: RunPrograms | None = None) -> list[Solution]:
    """The cot, pot and tool solution of each problem, in that order; the programs are really run.

    Raises RuntimeError where a program prints something else than the answer: a fault of the template.
    """
    outputs = (run_programs or run_in_sandbox)([item.worked.code for item in generated])
    written: list[Solution] = []
    for item, output in zip(generated, outputs, strict=True):
        answer = item.problem.answer
        if output.strip() != answer:
            raise RuntimeError(
                f"template {item.template}, numbers {item.numbers}: the program prints {output!r}, the answer is "
                f"{answer}:\n{item.worked.code}"
            )
        written += _three_solutions(item, output.strip())
    return written


def _three_solutions(item: Generated, output: str) -> Iterator[Solution]:
    worked, answer = item.worked, item.problem.answer
    closing = f"The answer is \\boxed{{{answer}}}."
    code = Part(kind="code", text=worked.code)
    parts: Mapping[str, tuple[Part, ...]] = {
        "cot": (Part(kind="text", text="\n".join((*worked.steps, closing))),),
        "pot": (code,),
        "tool": (
            Part(kind="text", text=worked.plan),
            code,
            Part(kind="output", text=output),
            Part(kind="text", text=closing),
        ),
    }
    for kind in ("cot", "pot", "tool"):
        yield Solution(problem_id=item.problem.id, format=kind, parts=parts[kind], answer=answer)


def run_in_sandbox(codes: Sequence[str]) -> list[str]:
    """What each program prints, run in the sandbox, many to a script because a script costs a process.

    Programs of one script do not see each other's names. Raises RuntimeError where a script fails.
    """
    from mathwright.tools.sandbox import Sandbox  # only here: loading problems alone needs no sandbox

    batches = [codes[i : i + _PROGRAMS_PER_SCRIPT] for i in range(0, len(codes), _PROGRAMS_PER_SCRIPT)]
    with Sandbox(preimport=()) as sandbox:  # our programs import only the standard library
        executions = sandbox.run_many([_script(batch) for batch in batches], timeout_s=60)
    outputs: list[str] = []
    for batch, execution in zip(batches, executions, strict=True):
        printed = execution.stdout.split(_END_OF_PROGRAM)
        if len(printed) != len(batch) + 1:
            raise RuntimeError(f"a batch of programs ended with {execution.status}: {execution.error}")
        outputs += printed[:-1]
    return outputs


def _script(codes: Sequence[str]) -> str:
    return f"for program in {list(codes)!r}:\n    exec(program, {{}})\n    print({_END_OF_PROGRAM!r}, end='')\n"
