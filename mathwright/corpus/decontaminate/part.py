"""Decontamination as a part of the corpus stage: the recipe's benchmarks, the collected pages, what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, tee
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.corpus.decontaminate.index import BenchmarkText, ContaminationIndex, build_index
from mathwright.corpus.decontaminate.report import DecontaminationReport, summary_json
from mathwright.corpus.decontaminate.spans import find_contamination_in, find_removals, remove_contamination
from mathwright.corpus.decontaminate.texts import benchmark_texts, problem_texts
from mathwright.corpus.documents.compute import DocumentWriter, read_rows, with_text
from mathwright.corpus.recipe import CorpusRecipe
from mathwright.errors import MathwrightError
from mathwright.records import Problem
from mathwright.run import Stage

COMMON_NGRAM_PAGES = 20
"""An n-gram of a benchmark on so many pages, and on a hundredth of them, is named: it may be a common phrase."""


def build_benchmark_index(recipe: CorpusRecipe, problems: Sequence[Problem]) -> ContaminationIndex:
    """The index of the recipe's benchmarks and of the questions and answers of `problems`, by their source.

    Raises MathwrightError for a benchmark that is missing, malformed or without any text.
    """
    texts: dict[str, Iterable[BenchmarkText]] = dict(problem_texts(problems))
    for name, found in benchmark_texts(recipe.benchmarks, recipe.benchmark_data).items():
        texts[name] = chain(texts.get(name, ()), found)
    index = build_index(
        texts,
        ngram=recipe.decontaminate_ngram,
        short_ngram=recipe.decontaminate_short_ngram,
        min_words=recipe.decontaminate_min_words,
        cjk_chars=recipe.decontaminate_cjk_chars,
    )
    _require_texts(index, texts)
    return index


def _require_texts(index: ContaminationIndex, names: Iterable[str]) -> None:
    for name in names:
        num_empty = index.num_empty.get(name, 0)
        if not index.num_texts.get(name, 0) and index.num_too_short.get(name, 0) == num_empty:
            raise MathwrightError(
                f"the benchmark {name!r} has no text: "
                + (f"all {num_empty:,} of its questions and answers are empty" if num_empty else "it has no rows"),
                hint="check corpus.benchmarks; a question or answer that is null or no text counts as empty",
            )


def report_index(index: ContaminationIndex, stage: Stage) -> None:
    """Report how many benchmark texts are looked for, and name the benchmarks of which none is."""
    num_texts, num_short, num_empty, num_repeated = (
        sum(counts.values()) for counts in (index.num_texts, index.num_too_short, index.num_empty, index.num_repeated)
    )
    dropped = {"too short to identify": num_short - num_empty, "empty": num_empty, "repeated": num_repeated}
    num_in = num_texts + num_short + num_repeated
    stage.funnel("benchmark texts", unit="texts", num_in=num_in, num_out=num_texts, dropped=dropped)
    for name, num_short in index.num_too_short.items():
        if not index.num_texts.get(name, 0):
            stage.warn(
                f"nothing of the benchmark {name!r} is kept out: {num_short:,} of its texts are too short to identify, "
                f"{index.num_empty.get(name, 0):,} of them empty"
            )


def write_decontaminated(
    documents: Path, collected: np.ndarray, output: Path, stage: Stage, index: ContaminationIndex, recipe: CorpusRecipe
) -> dict[str, Any]:
    """Write the collected pages, without what is contaminated, to `output`; returns what each rule and benchmark cost.

    collected [N] bool, of the rows of `documents`. Each removal is a row of rejected/decontaminate.jsonl; the cost
    report is contamination.json next to `output`.
    """
    mode = recipe.decontaminate_mode
    dropped: Counter[str] = Counter()
    report = DecontaminationReport(index)
    rows, again = tee(row for i, row in enumerate(read_rows(documents)) if collected[i])
    num_collected = int(collected.sum())
    found = find_contamination_in((row["text"] for row in again), index)
    with DocumentWriter(output) as writer, stage.progress("decontaminate", num_collected) as advance:
        for row, spans in zip(rows, found, strict=True):
            advance(1)
            for audit in report.add(row["url"], row["text"], find_removals(row["text"], spans, mode)):
                stage.reject("decontaminate", audit, audit["rule"])
            kept = with_text(row, remove_contamination(row["text"], spans, mode)) if spans else row
            if spans and not kept["text"].strip():
                dropped["benchmark text on the page"] += 1
            elif kept["num_words"] < recipe.min_words:
                dropped[f"fewer than {recipe.min_words} words left"] += 1
            else:
                writer.write(kept)
    num_kept = num_collected - dropped.total()
    stage.funnel("decontaminate", unit="pages", num_in=num_collected, num_out=num_kept, dropped=dropped)
    summary = report.summary()
    output.with_name("contamination.json").write_text(summary_json(summary), encoding="utf-8")
    for row in summary["ngrams"]:
        if row["pages"] >= max(COMMON_NGRAM_PAGES, num_collected // 100):
            stage.warn(
                f"{row['pages']:,} pages have {row['ngram']!r} of {row['benchmark']}: is it a benchmark text? See "
                "documents/contamination.json"
            )
    hits = {f"{row['rule']}: {row['benchmark']}": row["spans"] for row in summary["rules"]}
    return {"hits": hits, "rules": summary["rules"], "ngrams": summary["ngrams"][:20]}
