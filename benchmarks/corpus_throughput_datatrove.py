"""datatrove's side of corpus_throughput.py; runs in datatrove's own environment, without mathwright."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.extractors import Trafilatura  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.filters import FastTextClassifierFilter  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.readers import WarcReader  # pyright: ignore[reportMissingImports]
from datatrove.pipeline.writers import JsonlWriter  # pyright: ignore[reportMissingImports]


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(job["folder"])
    paths = folder / "paths.txt"
    paths.write_text("".join(f"{Path(archive).name}\n" for archive in job["archives"]), encoding="utf-8")
    stats = LocalPipelineExecutor(
        pipeline=[
            WarcReader(str(Path(job["archives"][0]).parent), paths_file=str(paths)),
            Trafilatura(timeout=30),
            FastTextClassifierFilter(str(Path(job["classifier"]) / "classifier.bin"), keep_labels=("positive", 0.5)),
            JsonlWriter(str(folder / "out")),
        ],
        tasks=job["cores"],
        workers=job["cores"],
        logging_dir=str(folder / "logs"),
    ).run()
    by_step = {step.name: dict(step.stats) for step in stats.stats}
    extracted = next(value for name, value in by_step.items() if "Trafilatura" in name)
    written = next(value for name, value in by_step.items() if "Jsonl" in name)
    numbers = {
        "pages": int(extracted["total"].total),
        "extracted": int(extracted["extracted"].total),
        "documents": int(written["total"].total),
    }
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
