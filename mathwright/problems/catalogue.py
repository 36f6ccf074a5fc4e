"""The list of benchmarks: those of the paper in its order, then others that people report with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mathwright.problems import layouts
from mathwright.problems.layouts import Draft, Dropped
from mathwright.problems.subjects import BBH_TASKS, MATH_SUBJECTS, STEM_SUBJECTS
from mathwright.problems.tables import PARQUET_COPY, HubSource
from mathwright.records import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A published set of test problems."""

    name: str
    title: str
    language: Literal["en", "zh"] = "en"
    size: int | None
    """Published number of test problems; None where unknown."""
    files: tuple[str, ...]
    """Names of its file in a data folder, tried in turn, each with and without `.gz`; `*` may match several
    files, which are then read one after another."""
    hub: HubSource | None
    """None where we know no copy on the hub."""
    read: Callable[[Mapping[str, Any]], Draft | Dropped | Problem]
    """Turns a row into a question; raises LayoutError for one that is not in the layout."""
    paper: str
    """Table or section of the paper that reports it, or "not in the paper"."""


def _script_only(hub_id: str, folder: str, split: str) -> HubSource:
    """A data set whose own files only its loading script can read: the hub's Parquet copy of it."""
    return HubSource(id=hub_id, split=split, files=f"{folder}/{split}/*.parquet", revision=PARQUET_COPY)


BENCHMARKS: Mapping[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            name="gsm8k",
            title="GSM8K: grade school word problems",
            size=1319,
            files=(
                "gsm8k_test.jsonl",
                "gsm8k/test.jsonl",
            ),
            hub=HubSource(id="openai/gsm8k", configs=("main",)),
            read=layouts.gsm8k,
            paper="§2, Tables 1-3, 5",
        ),
        Benchmark(
            name="math",
            title="MATH: competition mathematics",
            size=5000,
            files=(
                "math_test.jsonl",
                "math/test.jsonl",
            ),
            hub=HubSource(id="EleutherAI/hendrycks_math", configs=MATH_SUBJECTS),
            read=layouts.math,
            paper="§2, Tables 1-3, 5",
        ),
        Benchmark(
            name="math500",
            title="MATH-500: the part of MATH that PRM800K set aside",
            size=500,
            files=(
                "math500_test.jsonl",
                "math500.jsonl",
            ),
            hub=HubSource(id="HuggingFaceH4/MATH-500"),
            read=layouts.math500,
            paper="not in the paper",
        ),
        Benchmark(
            name="ocw",
            title="OCWCourses: undergraduate science of MIT",
            size=272,
            files=(
                "ocw_test.jsonl",
                "ocw.jsonl",
            ),
            hub=HubSource(id="math-ai/minervamath"),
            read=layouts.ocw,
            paper="§2, Tables 1, 2",
        ),
        Benchmark(
            name="sat",
            title="SAT mathematics of May 2023",
            size=32,
            files=(
                "sat_test.jsonl",
                "sat.jsonl",
            ),
            hub=HubSource(id="mcaleste/sat_multiple_choice_math_may_23", split="train"),
            read=layouts.sat,
            paper="§2, Tables 1, 2",
        ),
        Benchmark(
            name="mmlu_stem",
            title="MMLU, the STEM subjects",
            size=3018,
            files=(
                "mmlu_stem_test.jsonl",
                "mmlu_stem.jsonl",
            ),
            hub=HubSource(id="cais/mmlu", configs=STEM_SUBJECTS),
            read=layouts.mmlu,
            paper="§2, Tables 1, 2",
        ),
        Benchmark(
            name="cmath",
            title="CMATH: Chinese elementary school",
            language="zh",
            size=1098,
            files=("cmath_test.jsonl",),
            hub=HubSource(id="weitianwen/cmath"),
            read=layouts.cmath,
            paper="§2, Tables 1, 2, 5",
        ),
        Benchmark(
            name="gaokao_mathcloze",
            title="Gaokao, fill in the blank (AGIEval)",
            language="zh",
            size=118,
            files=(
                "agieval_gaokao-mathcloze.jsonl",
                "gaokao-mathcloze.jsonl",
            ),
            hub=HubSource(id="hails/agieval-gaokao-mathcloze"),
            read=layouts.gaokao_mathcloze,
            paper="§2, Tables 1, 2",
        ),
        Benchmark(
            name="gaokao_mathqa",
            title="Gaokao, multiple choice (AGIEval)",
            language="zh",
            size=351,
            files=(
                "agieval_gaokao-mathqa.jsonl",
                "gaokao-mathqa.jsonl",
            ),
            hub=HubSource(id="hails/agieval-gaokao-mathqa"),
            read=layouts.gaokao_mathqa,
            paper="§2, Tables 1, 2",
        ),
        Benchmark(
            name="mgsm_zh",
            title="MGSM, the Chinese part",
            language="zh",
            size=250,
            files=(
                "mgsm_zh_mgsm_zh.jsonl",
                "mgsm_zh.jsonl",
            ),
            hub=_script_only("juletxara/mgsm", "zh", "test"),
            read=layouts.mgsm,
            paper="§3, Table 5",
        ),
        Benchmark(
            name="humaneval",
            title="HumanEval: Python functions",
            size=164,
            files=(
                "humaneval_test.jsonl",
                "humaneval.jsonl",
                "HumanEval.jsonl",
            ),
            hub=HubSource(id="openai/openai_humaneval"),
            read=layouts.humaneval,
            paper="§2.3, Table 4",
        ),
        Benchmark(
            name="mbpp",
            title="MBPP: small Python programs",
            size=500,
            files=("mbpp_test.jsonl", "mbpp.jsonl"),
            hub=HubSource(id="google-research-datasets/mbpp", configs=("full",)),
            read=layouts.mbpp,
            paper="§2.3, Table 4",
        ),
        Benchmark(
            name="mmlu",
            title="MMLU: 57 subjects",
            size=14_042,
            files=("mmlu_test.jsonl", "mmlu.jsonl"),
            hub=HubSource(id="cais/mmlu", configs=("all",)),
            read=layouts.mmlu,
            paper="§2.3, §5.1, Tables 4, 7",
        ),
        Benchmark(
            name="bbh",
            title="BIG-Bench Hard: 27 kinds of reasoning",
            size=6_511,
            files=("bbh_test.jsonl", "bbh.jsonl", "bbh/*.json"),
            hub=HubSource(id="lukaemon/bbh", configs=BBH_TASKS),
            read=layouts.bbh,
            paper="§2.3, §5.1, Tables 4, 7",
        ),
        Benchmark(
            name="minif2f",
            title="miniF2F: formal proofs in Isabelle, from informal ones",
            size=244,
            files=("minif2f_test.jsonl",),
            hub=None,
            read=layouts.minif2f,
            paper="§2.3, Table 3",
        ),
        Benchmark(
            name="svamp",
            title="SVAMP: word problems with small changes",
            size=1000,
            files=(
                "svamp.json",
                "SVAMP.json",
                "svamp.jsonl",
            ),
            hub=HubSource(id="ChilleD/SVAMP", split="train+test"),
            read=layouts.svamp,
            paper="not in the paper",
        ),
        Benchmark(
            name="asdiv",
            title="ASDiv: word problems of many kinds",
            size=2305,
            files=(
                "asdiv_test.jsonl",
                "asdiv.jsonl",
                "asdiv.json",
            ),
            hub=_script_only("EleutherAI/asdiv", "*", "validation"),
            read=layouts.asdiv,
            paper="not in the paper",
        ),
        Benchmark(
            name="mawps",
            title="MAWPS: collected word problems",
            size=None,
            files=(
                "mawps_test.jsonl",
                "mawps.jsonl",
                "mawps.json",
            ),
            hub=HubSource(id="mwpt5/MAWPS", split="train"),
            read=layouts.mawps,
            paper="not in the paper",
        ),
        Benchmark(
            name="aqua",
            title="AQuA-RAT: algebra, multiple choice",
            size=254,
            files=(
                "aqua_test.jsonl",
                "aqua.jsonl",
                "aqua/test.json",
            ),
            hub=HubSource(id="deepmind/aqua_rat", configs=("raw",)),
            read=layouts.aqua,
            paper="not in the paper",
        ),
        Benchmark(
            name="theoremqa",
            title="TheoremQA: questions that need a theorem",
            size=800,
            files=(
                "theoremqa_test.json",
                "theoremqa.json",
            ),
            hub=HubSource(id="TIGER-Lab/TheoremQA"),
            read=layouts.theoremqa,
            paper="not in the paper",
        ),
        Benchmark(
            name="gsm_hard",
            title="GSM-Hard: GSM8K with large numbers",
            size=1319,
            files=(
                "gsm_hard_test.jsonl",
                "gsm_hard.jsonl",
                "gsmhardv2.jsonl",
            ),
            hub=HubSource(id="reasoning-machines/gsm-hard", split="train"),
            read=layouts.gsm_hard,
            paper="not in the paper",
        ),
        Benchmark(
            name="mathqa",
            title="MathQA: GRE and GMAT, multiple choice",
            size=2985,
            files=(
                "mathqa_test.jsonl",
                "mathqa_test1000.jsonl",
                "mathqa.json",
            ),
            hub=_script_only("allenai/math_qa", "*", "test"),
            read=layouts.mathqa,
            paper="not in the paper",
        ),
        Benchmark(
            name="math23k",
            title="Math23K: Chinese word problems",
            language="zh",
            size=1000,
            files=(
                "math23k_test.jsonl",
                "math23k_test.json",
            ),
            hub=HubSource(id="Gxg/Math23K"),
            read=layouts.math23k,
            paper="not in the paper",
        ),
        Benchmark(
            name="gaokao_bench_cloze",
            title="GAOKAO-Bench 2010-2022, fill in the blank",
            language="zh",
            size=None,
            files=(
                "gaokao_bench_2010-2022_Math_*_Fill-in-the-Blank.json",
                "2010-2022_Math_*_Fill-in-the-Blank.json",
            ),
            hub=None,
            read=layouts.gaokao_bench_cloze,
            paper="not in the paper",
        ),
        Benchmark(
            name="gaokao_bench_choice",
            title="GAOKAO-Bench 2010-2022, multiple choice",
            language="zh",
            size=None,
            files=(
                "gaokao_bench_2010-2022_Math_*_MCQs.json",
                "2010-2022_Math_*_MCQs.json",
            ),
            hub=None,
            read=layouts.gaokao_bench_choice,
            paper="not in the paper",
        ),
        Benchmark(
            name="tal_scq5k_en",
            title="TAL-SCQ5K: school competitions, English",
            size=2000,
            files=(
                "tal_scq5k_en_test.jsonl",
                "TAL-SCQ5K-EN/test.jsonl",
            ),
            hub=HubSource(id="math-eval/TAL-SCQ5K", files="TAL-SCQ5K-EN/test.jsonl"),
            read=layouts.tal_scq5k,
            paper="not in the paper",
        ),
        Benchmark(
            name="tal_scq5k_zh",
            title="TAL-SCQ5K: school competitions, Chinese",
            language="zh",
            size=2000,
            files=(
                "tal_scq5k_ch_test.jsonl",
                "tal_scq5k_zh_test.jsonl",
                "TAL-SCQ5K-CN/test.jsonl",
            ),
            hub=HubSource(id="math-eval/TAL-SCQ5K", files="TAL-SCQ5K-CN/test.jsonl"),
            read=layouts.tal_scq5k,
            paper="not in the paper",
        ),
    )
}
