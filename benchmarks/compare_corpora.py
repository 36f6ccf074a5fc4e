"""A comparison of corpora at the smallest size: mathematical web pages, the same without formulas, and other pages.

    python benchmarks/compare_corpora.py --web WEB --problems PROBLEMS --out runs/corpora
    python benchmarks/compare_corpora.py --web WEB --problems PROBLEMS --out runs/look --tokens 150000 --seeds 3

WEB is a folder of archives (*.warc.gz) with labels.jsonl.gz: objects with `url`, `kind` (math or nonmath) and, for
copies, `duplicate_of`. PROBLEMS has math_test.jsonl.gz, gsm8k_test.jsonl and mmlu_stem_test.jsonl. Arms: `tex`, the
mathematical pages as they are extracted; `deleted`, the same pages with every formula taken out; `web`, the other
pages. A model of a million parameters starts at random, with a tokenizer trained on equal parts of all arms, and is
trained on each for the same tokens under each seed. It measures what a text fits more than what it is good for: read
the verdict on GSM8K's solutions, which have no TeX, beside that on MATH's. The same command goes on where it was
stopped.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mathwright.chain.compare import run
from mathwright.corpus.archive import read_pages
from mathwright.corpus.extract import extract
from mathwright.lm.recipe import OptimiserRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.shards import ShardWriter
from mathwright.lm.tokenise import encode
from mathwright.pretrain.recipe import CompareRecipe, MixtureRecipe, PretrainRecipe
from mathwright.records import Page
from mathwright.run import RunDirectory, read_manifest

SIZES = ScratchRecipe(vocab_size=2048, width=128, num_layers=4, num_heads=4, num_kv_heads=2, ffn_width=352)
"""1.0M parameters."""
CONTEXT = 512
TOKENIZER_BYTES = 1_000_000
"""Of each arm."""
ARMS = ("tex", "deleted", "web")
_FORMULA = re.compile(
    r"\$\$.+?\$\$|\$[^$\n]+\$|\\\[.+?\\\]|\\\(.+?\\\)|\\begin\{(equation|align|gather|eqnarray)(\*?)\}.+?\\end\{\1\2\}",
    re.DOTALL,
)


def texts_of(web: Path) -> Iterator[tuple[str, str]]:
    """(arm, text) of every labelled page, copies left out."""
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
            else:
                yield "web", text


def prepare(web: Path, out: Path) -> dict[str, Path]:
    """Write the start model and the token shards of each arm, unless they are there."""
    shards = {arm: out / "corpora" / arm / "shards" for arm in ARMS}
    if (out / "prepared.json").is_file():
        return shards
    texts: dict[str, list[str]] = {arm: [] for arm in ARMS}
    for arm, text in texts_of(web):
        texts[arm].append(text)
    sample = ["".join(own)[:TOKENIZER_BYTES] for own in texts.values()]
    lm = from_scratch(SIZES, sample, max_length=2 * CONTEXT, seed=0)
    save(lm, out / "start")
    sizes = {}
    for arm, own in texts.items():
        with ShardWriter(shards[arm], vocab_size=len(lm.tokenizer), eos_token=lm.tokenizer.eos_token_id) as writer:
            for text in filter(str.strip, own):
                writer.write(encode(lm.tokenizer, text, parse_special=False), num_bytes=len(text.encode()))
        sizes[arm] = {"pages": writer.num_documents, "tokens": writer.num_tokens, "bytes": writer.num_bytes}
    (out / "prepared.json").write_text(json.dumps(sizes, indent=2) + "\n", encoding="utf-8")
    return shards


def recipe_of(options: argparse.Namespace) -> CompareRecipe:
    problems = options.problems
    return CompareRecipe(
        corpora=tuple(MixtureRecipe(name=arm, path="", weight=1.0) for arm in ARMS),
        training=PretrainRecipe(
            mixture=(),
            num_tokens=options.tokens,
            batch_tokens=4 * CONTEXT,
            micro_batch_tokens=2 * CONTEXT,
            context=CONTEXT,
            optimiser=OptimiserRecipe(lr=options.rates[0], warmup_steps=20, decay=((0.8, 0.316), (0.9, 0.1))),
            checkpoint_every=0,
            num_points=options.points,
        ),
        seeds=tuple(range(options.seeds)),
        rates=tuple(options.rates),
        targets=(str(problems / "math_test.jsonl.gz"), str(problems / "gsm8k_test.jsonl")),
        choices=("mmlu_stem",),
        num_targets=options.num_targets,
        benchmark_data=str(problems),
        contamination=True,
        pilot_tokens=options.pilot or None,
    )


def lines_of(summary: dict[str, Any], sizes: dict[str, Any]) -> Iterator[str]:
    """The table and the verdicts, as Markdown."""
    measures = list(summary["table"][0]["measures"])
    yield f"| arm | pages | tokens | bytes | epochs | {' | '.join(measures)} | problems found in it |"
    yield "|---" * (len(measures) + 6) + "|"
    for row in summary["table"]:
        figures = [next(iter(row["measures"][measure].values())) for measure in measures]
        found = ", ".join(f"{name} {counts['problems']}" for name, counts in row["contamination"].items())
        read = [sizes[row["corpus"]]["pages"], row["num_tokens"], row["num_bytes"]]
        yield (
            f"| {row['corpus']} | {' | '.join(f'{value:,}' for value in read)} | {row['epochs']:.2f} | "
            f"{' | '.join(f'{value:.4f}' for value in figures)} | {found} |"
        )
    for measure, found in summary["verdicts"].items():
        yield from ("", *(f"- {measure}: {verdict['text']}" for verdict in found))
    ratios = (f"{name} {value:.1f}" for name, value in summary["signal_to_noise"].items())
    yield from ("", f"Signal to noise: {', '.join(ratios)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--web", type=Path, required=True)
    parser.add_argument("--problems", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=2_500_000, help="of each training")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-3])
    parser.add_argument("--points", type=int, default=6)
    parser.add_argument("--num-targets", type=int, default=500, help="problems of each set")
    parser.add_argument("--pilot", type=int, default=0, help="tokens of a pilot; 0 is none")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shards = prepare(options.web, options.out)
    recipe = recipe_of(options)
    stage = RunDirectory(options.out / "run", recipe_name="compare_corpora", recipe={}).stage("compare", recipe)
    if not stage.finished:
        run(
            recipe, stage, model=options.out / "start", corpora=shards, heldout=None, dtype="float32", seed=0
        )  # fmt: skip
    manifest = read_manifest(stage.path)
    assert manifest is not None
    sizes = json.loads((options.out / "prepared.json").read_text(encoding="utf-8"))
    print("\n".join(lines_of(manifest["summary"], sizes)))


if __name__ == "__main__":
    main()
