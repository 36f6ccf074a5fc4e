"""The sets of worked solutions that can be imported: columns, text rule, licence, sentinels and known faults as data.

Sizes, columns and faults are those of the publishers' files as they were last looked at; where a licence is that of the
data's own sources, or nobody names one, it says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mathwright.errors import MathwrightError
from mathwright.problems.fields import Row
from mathwright.sft.sources import readers
from mathwright.sft.sources.readers import Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A published set of problems, most of them with worked solutions."""

    name: str
    title: str
    read: Callable[[Row], Read]
    columns: tuple[str, ...]
    """What a row has; names with a bar between them stand for one another."""
    rule: str
    """What of a row becomes what."""
    licence: str
    hub: str = ""
    """Where it is published."""
    files: tuple[str, ...] = ()
    """Patterns of its files in a folder; without any, all data files."""
    faults: tuple[str, ...] = ()
    """What is known to be wrong with it, and what is done about it."""
    other_names: tuple[str, ...] = ()


SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source(
            name="gsm8k",
            title="GSM8K: grade school word problems",
            read=readers.gsm8k,
            columns=("question", "answer"),
            rule="the solution without <<..>> is the chain of thought; its equations become a program",
            licence="MIT",
            hub="openai/gsm8k",
            faults=("95 of 7,473 training solutions have no mark, and 43 the answer in another one than the last: the "
                    "equations in their words are read",),
        ),
        Source(
            name="math",
            title="MATH: competition mathematics",
            read=readers.math,
            columns=("problem", "solution", "level", "type"),
            rule=r"the answer is in the last \boxed{} of the solution",
            licence="MIT",
            hub="EleutherAI/hendrycks_math",
            faults=("the authors' copy on the hub was taken down; the mirror has seven configurations",),
            other_names=("hendrycks_math",),
        ),
        Source(
            name="mathinstruct",
            title="MathInstruct: 14 sets in chain and program of thought",
            read=readers.mathinstruct,
            columns=("source", "instruction", "output"),
            rule="PoT in `source` is a program, whose output is the answer; the request for one is no question",
            licence="each of its 14 sets its own; a part was written by GPT-4",
            hub="TIGER-Lab/MathInstruct",
            faults=("holds GSM8K and MATH again: name --known folders", "copies as lines have bare line ends"),
        ),
        Source(
            name="metamathqa",
            title="MetaMathQA: GSM8K and MATH rewritten",
            read=readers.metamathqa,
            columns=("query", "response", "type", "original_question"),
            rule='"The answer is: X" ends the response',
            licence="MIT",
            hub="meta-math/MetaMathQA",
            faults=("many responses to one question",),
        ),
        Source(
            name="lila",
            title="Lila: 23 tasks answered by programs",
            read=readers.lila,
            columns=("Input|input", "Output Answer|output_answer", "Output Program|output_program", "split"),
            rule="each program that gives the answer is a solution; the split is the row's, so that the test part of "
            "the OOD configuration is never trained on",
            licence="CC-BY-4.0; its sources keep their own",
            hub="allenai/lila",
            faults=("only a loading script: read the hub's Parquet copy, or the authors' lila.zip",),
            other_names=("lila_ood",),
        ),
        Source(
            name="ape210k",
            title="Ape210K: Chinese elementary school problems",
            read=readers.chinese_equation,
            columns=("id", "original_text", "segmented_text", "ans", "equation"),
            rule="the equation becomes worked lines and a program",
            licence="none named for the data (the code's is MIT)",
            hub="https://github.com/Chenny0808/ape210k",
            faults=("2(1/2) is a mixed number, % follows its number, fractions stand in parentheses",
                    "a few equations are typed wrong: their programs fail"),
        ),
        Source(
            name="math23k",
            title="Math23K: Chinese elementary school problems",
            read=readers.chinese_equation,
            columns=("id", "original_text", "segmented_text", "equation", "ans"),
            rule="the equation becomes worked lines and a program",
            licence="MIT",
            hub="https://github.com/SumbeeLei/Math_EN",
            faults=("the training file holds objects over many lines, one after another, and no list",),
        ),
        Source(
            name="cmath",
            title="CMATH: Chinese elementary school problems",
            read=readers.cmath,
            columns=("grade", "question|input", "golden"),
            rule="answers only",
            licence="CC-BY-4.0",
            hub="weitianwen/cmath",
            faults=("a benchmark of the paper: not for training",),
        ),
        Source(
            name="tal_scq5k",
            title="TAL-SCQ5K: Chinese and English multiple choice",
            read=readers.tal_scq5k,
            columns=("problem", "answer_option_list", "answer_value", "answer_analysis"),
            rule="the analyses are the solution; the letter is added in a box",
            licence="MIT",
            hub="math-eval/TAL-SCQ5K",
            faults=("`qid` is not unique", "some analyses are empty"),
        ),
        Source(
            name="numinamath_cot",
            title="NuminaMath-CoT",
            read=readers.numinamath,
            columns=("problem", "solution", "source"),
            rule=r"the answer is in the last \boxed{} of the solution; without one the row is left out",
            licence="Apache-2.0; its sources keep their own",
            hub="AI-MO/NuminaMath-CoT",
            faults=("holds MATH and GSM8K, and, to users, test problems: name --benchmarks",),
        ),
        Source(
            name="numinamath_tir",
            title="NuminaMath-TIR: tool-integrated",
            read=readers.numinamath,
            columns=("problem", "solution"),
            rule="```python and ```output fences become parts",
            licence="Apache-2.0",
            hub="AI-MO/NuminaMath-TIR",
        ),
        Source(
            name="numinamath_1_5",
            title="NuminaMath-1.5",
            read=readers.numinamath_1_5,
            columns=("problem", "solution", "answer", "problem_type", "question_type", "problem_is_valid",
                     "solution_is_valid", "source"),
            rule="rows whose problem and solution are valid (the word Yes) and have an answer",
            licence="Apache-2.0; its sources keep their own",
            hub="AI-MO/NuminaMath-1.5",
            faults=('validity is a word: "No" is true to Python', 'answers "proof" and "notfound"',
                    "896,215 rows, of which 682,710 pass"),
        ),
        Source(
            name="openmathinstruct_1",
            title="OpenMathInstruct-1: Mixtral with a code interpreter",
            read=readers.openmathinstruct_1,
            columns=("question", "generated_solution", "expected_answer", "is_correct", "error_message"),
            rule="<llm-code> and <llm-code-output> become parts; only what its publisher judged correct",
            licence="NVIDIA licence",
            hub="nvidia/OpenMathInstruct-1",
            faults=("a third and more of it is wrong",),
        ),
        Source(
            name="openmathinstruct_2",
            title="OpenMathInstruct-2: Llama-3.1-405B",
            read=readers.openmathinstruct_2,
            columns=("problem", "generated_solution", "expected_answer", "problem_source"),
            rule="chain of thought",
            licence="CC-BY-4.0",
            hub="nvidia/OpenMathInstruct-2",
            faults=("made from the training sets of GSM8K and MATH; many solutions a question",),
        ),
        Source(
            name="openmathreasoning",
            title="OpenMathReasoning: DeepSeek-R1 and QwQ",
            read=readers.openmathreasoning,
            columns=("problem", "generated_solution", "expected_answer", "problem_type", "inference_mode",
                     "pass_rate_72b_tir"),
            rule="what follows the thinking; <tool_call> and ```output of the split tir become parts",
            licence="CC-BY-4.0",
            hub="nvidia/OpenMathReasoning",
            faults=('the pass rate is a text, "n/a" among them', "the split genselect holds no solutions",
                    "some expected answers are wrong"),
        ),
        Source(
            name="openr1_math",
            title="OpenR1-Math-220k: DeepSeek-R1",
            read=readers.openr1_math,
            columns=("problem", "answer", "generations", "correctness_math_verify", "is_reasoning_complete"),
            rule="each complete generation that either check found right, without its thinking",
            licence="Apache-2.0",
            hub="open-r1/OpenR1-Math-220k",
            faults=("the flags are lists beside `generations`, some shorter", "proofs among the answers"),
        ),
        Source(
            name="deepmath",
            title="DeepMath-103K",
            read=readers.deepmath,
            columns=("question", "final_answer", "r1_solution_1", "difficulty", "topic"),
            rule="three solutions a question, without their thinking",
            licence="MIT",
            hub="zwhe99/DeepMath-103K",
        ),
        Source(
            name="big_math",
            title="Big-Math: questions for reinforcement learning",
            read=readers.big_math,
            columns=("problem", "answer", "domain", "llama8b_solve_rate"),
            rule="questions and answers; the solve rate is the level",
            licence="Apache-2.0; access is asked for",
            hub="SynthLabsAI/Big-Math-RL-Verified",
            faults=("no solutions",),
        ),
        Source(
            name="dapo_17k",
            title="DAPO-Math-17k: questions for reinforcement learning",
            read=readers.dapo_17k,
            columns=("prompt", "reward_model"),
            rule="the question without the words of its prompt",
            licence="Apache-2.0",
            hub="BytedTsinghua-SIA/DAPO-Math-17k",
            faults=("each question a hundred times (1.79 million rows): counted as duplicates", "no solutions"),
            other_names=("dapo", "dapo_math_17k"),
        ),
        Source(
            name="orz",
            title="ORZ-57k: questions for reinforcement learning",
            read=readers.orz,
            columns=("messages",),
            rule="two messages a question, the second the answer",
            licence="MIT",
            hub="Open-Reasoner-Zero/orz_math_57k_collection",
            faults=("some questions hold links to pictures: left out", "no solutions"),
            other_names=("orz_57k", "open_reasoner_zero"),
        ),
        Source(
            name="tora",
            title="ToRA: tool-integrated examples",
            read=readers.tora,
            columns=("messages", "gt", "gt_cot"),
            rule="one message with ```python and ```output fences",
            licence="MIT",
            hub="https://github.com/microsoft/ToRA",
            faults=("the corpus of 16K was never published",),
        ),
        Source(
            name="mathcodeinstruct",
            title="MathCodeInstruct: text, code and execution",
            read=readers.mathcodeinstruct,
            columns=("messages",),
            rule="the typed blocks of the messages become parts",
            licence="Apache-2.0",
            hub="MathLLMs/MathCodeInstruct",
        ),
        Source(
            name="jsonl",
            title="Any file of rows",
            read=readers.generic,
            columns=("question|problem|prompt|messages", "answer|solution|completion"),
            rule="fields by these names, or as --question, --answer, --solution and --messages say",
            licence="yours to know",
            other_names=("json", "parquet", "generic", "any"),
        ),
    )
}  # fmt: skip


def find_source(name: str) -> Source:
    """The source of that name, however it is spelt (NuminaMath-1.5, numinamath_1_5).

    Raises MathwrightError for a name that none has, or several could mean.
    """
    wanted = _plain(name)
    for source in SOURCES.values():
        if wanted in map(_plain, (source.name, *source.other_names)):
            return source
    near = [
        s
        for s in SOURCES.values()
        if wanted and (_plain(s.name).startswith(wanted) or wanted.startswith(_plain(s.name)))
    ]
    longest = max((len(s.name) for s in near if wanted.startswith(_plain(s.name))), default=0)
    near = [s for s in near if not longest or len(s.name) == longest]
    if len(near) == 1:
        return near[0]
    names = ", ".join(source.name for source in near) or ", ".join(SOURCES)
    raise MathwrightError(
        f"{'several layouts could be meant by' if near else 'no layout is called'} {name!r}", hint=f"one of {names}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
