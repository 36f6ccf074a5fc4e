"""datatrove's NgramsDecontFilter on texts, run in its own environment by benchmarks/decontamination.py --datatrove.

    python benchmarks/decontamination_datatrove.py texts.jsonl benchmark_texts.jsonl

Both files are JSON lines with `text`. The index is made with the filter's own tokenizer, normaliser and hash, 10-grams.
Prints one JSON object: seconds of CPU for all texts after one warm-up text, and how many texts were found.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def main() -> None:
    from datatrove.data import Document  # pyright: ignore[reportMissingImports]
    from datatrove.pipeline.decont.n_grams import (  # pyright: ignore[reportMissingImports]
        NGramsDecontConfig,
        NGramsDecontFilter,
    )
    from datatrove.utils.text import ngrams, simplify_text  # pyright: ignore[reportMissingImports]

    texts, benchmark_texts = (
        [json.loads(line)["text"] for line in Path(path).read_text(encoding="utf-8").split("\n") if line]
        for path in sys.argv[1:3]
    )
    config = NGramsDecontConfig(n_grams=10)
    with tempfile.TemporaryDirectory() as folder:
        step = NGramsDecontFilter(folder, config=config)
        hashes = {
            step.hash_func(" ".join(gram))
            for text in benchmark_texts
            for gram in ngrams(step.tokenizer.word_tokenize(simplify_text(text, config.norm_config)), 10)
        }
        np.array(sorted(hashes), dtype=config.hash_config.np_descr).tofile(Path(folder) / "all.index.hashes")
        step.filter(Document(text="to load the index and the tokenizer", id="0"))
        start = time.process_time()
        found = sum(step.filter(Document(text=text, id=str(i))) is not True for i, text in enumerate(texts))
        seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "found": found, "ngrams": len(hashes)}))


if __name__ == "__main__":
    main()
