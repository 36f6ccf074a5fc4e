"""A run with one finished iteration, written directly: what the annotation page reads, at any size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.corpus.documents.compute import BATCH_ROWS, SCHEMA
from mathwright.corpus.rules.domains import DomainUnit, domain_table, is_mathematical
from mathwright.run import write_json


def make_run(
    folder: Path,
    urls: Sequence[str],
    scores: np.ndarray,
    *,
    cut: float = 0.5,
    unit: DomainUnit = "host",
    texts: Sequence[str] | None = None,
) -> Path:
    """Pages with a score of at least `cut` are collected; `texts` are all alike by default."""
    iteration = folder / "corpus" / "iteration-1"
    iteration.mkdir(parents=True)
    recipe = {"domain_unit": unit, "domain_share": 0.1, "domain_min_pages": 5, "prefix_share": 0.5}
    write_json(folder / "recipe.json", {"name": "test", "recipe": {"corpus": recipe}})
    collected = scores >= cut
    pq.write_table(pa.table({"url": urls, "score": scores, "collected": collected}), iteration / "pages.parquet")
    table = domain_table(urls, collected, unit)
    rows = [
        {
            "domain": row.name,
            "pages": row.num_pages,
            "collected": row.num_collected,
            "mathematical": is_mathematical(row, min_share=0.1, min_pages=5),
        }
        for row in table
    ]
    pq.write_table(pa.Table.from_pylist(rows), iteration / "domains.parquet")
    known = {"url": urls, "title": [f"Title {i}" for i in range(len(urls))], "text": texts or ["text"] * len(urls)}
    columns = {field.name: pa.array(known.get(field.name, [None] * len(urls)), field.type) for field in SCHEMA}
    (folder / "corpus" / "pool").mkdir()
    pq.write_table(pa.table(columns), folder / "corpus" / "pool" / "pool.parquet", row_group_size=BATCH_ROWS)
    write_json(folder / "corpus" / "iteration-1.done.json", {"value": {}, "funnels": []})
    return folder


def small_run(folder: Path, *, unit: DomainUnit = "host") -> Path:
    """Four sites: questions and users of qa.org (1 in 3 collected), a book (all but one), a shop (none), a wiki of two
    hosts; one page tries to be code."""
    sites = {
        "qa.org/questions": (20, 18),
        "qa.org/users": (30, 0),
        "www.book.org": (12, 11),
        "shop.org/items": (40, 2),
        "en.wiki.org/maths": (10, 8),
        "de.wiki.org/mathe": (10, 2),
    }
    urls, scores = [], []
    for site, (num_pages, num_collected) in sites.items():
        for i in range(num_pages):
            urls.append(f"https://{site}/{i}")
            scores.append(0.6 + i / 100 if i < num_collected else 0.4 - i / 1000)
    urls.append("https://qa.org/questions/<img src=x onerror=alert(1)>/\"'&amp;")
    scores.append(0.99)
    texts = [f"Page {i} proves that $x_{{{i}}} > 0$. " + "More text. " * 100 for i in range(len(urls))]
    texts[-1] = "<script>document.title = 'broken'</script><img src=x onerror=\"document.title='broken'\"> & $a < b$"
    return make_run(folder, urls, np.array(scores), unit=unit, texts=texts)
