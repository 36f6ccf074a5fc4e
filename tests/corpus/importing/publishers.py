"""Invented rows in the exact schema of each publisher, written into the folders that the publisher has."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Writer = Callable[[Path], list[str]]
"""Writes a corpus into a folder; returns the texts that are in it, in the order of the files."""


def text(number: int) -> str:
    return f"Lemma {number}. For every prime $p > {number}$ the sum is odd.\n\nProof. See \\S{number}, é 数."


def lines(rows: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def zstd(*frames: bytes) -> bytes:
    """Frames of zstd, one after another, behind one without data."""
    packed = [(0x184D2A50).to_bytes(4, "little") + (4).to_bytes(4, "little") + b"skip"]
    for frame in frames:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as file:
            file.write(frame)
        packed.append(sink.getvalue().to_pybytes())
    return b"".join(packed)


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def parquet(path: Path, columns: dict[str, tuple[Any, list[Any]]], row_group_size: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, kind) for name, (kind, _) in columns.items()])
    table = pa.table({name: values for name, (_, values) in columns.items()}, schema=schema)
    pq.write_table(table, path, row_group_size=row_group_size)


STRING, INT64, INT32, DOUBLE = pa.string(), pa.int64(), pa.int32(), pa.float64()


def urls(num: int) -> list[str]:
    return [f"https://example.org/{i}" for i in range(num)]


def openwebmath(folder: Path) -> list[str]:
    texts = [text(i) for i in range(5)]
    metadata = [json.dumps({"extraction_info": {"found_math": True}, "backend": "cc"})] * 5
    parquet(
        folder / "data" / "train-00000-of-00114.parquet",
        {
            "url": (STRING, urls(5)),
            "text": (STRING, texts),
            "date": (STRING, ["2023-03-20 10:00:00"] * 5),
            "metadata": (STRING, metadata),
        },
    )
    write(folder / "README.md", b"---\nlicense: odc-by\n---\n")
    return texts


def proof_pile_2(folder: Path) -> list[str]:
    def row(i: int) -> dict[str, Any]:
        return {"text": text(i), "meta": {"url": f"https://arxiv.org/abs/{i}", "yymm": "0704"}}

    write(folder / "algebraic-stack/train/lean_proofsteps.jsonl.zst", zstd(lines([{"text": text(0)}])))
    write(folder / "algebraic-stack/validation/lean_proofsteps.jsonl.zst", zstd(lines([{"text": "held out"}])))
    write(folder / "arxiv/train/arXiv_000.jsonl.zst", zstd(lines([row(1)]) + b"\n", lines([{}]) + lines([row(2)])))
    write(folder / "arxiv/test/arXiv_000.jsonl.zst", zstd(lines([row(99)])))
    write(folder / "open-web-math/train/shard-0000.jsonl.zst", lines([row(3)]))  # already decompressed
    write(folder / "proof-pile-2.py", b"raise SystemExit")
    return [text(i) for i in range(4)]


def algebraic_stack(folder: Path) -> list[str]:
    meta = {
        "hexsha": "ab",
        "size": 12,
        "ext": "py",
        "lang": "Python",
        "max_stars_count": None,
        "alphanum_fraction": 0.5,
    }
    root = folder / "algebraic-stack"
    write(root / "train/github-lean-train-0000.jsonl.gz", gzip.compress(lines([{"text": text(0), "meta": meta}])))
    write(root / "train/python0000.jsonl.zst", zstd(lines([{"text": text(1), "meta": meta}])))
    write(root / "test/python-test.jsonl.zst", zstd(lines([{"text": "held out", "meta": meta}])))
    return [text(0), text(1)]


def mathpile(folder: Path) -> list[str]:
    arxiv = {
        "text": text(0),
        "SubSet": "arXiv",
        "meta": {"id": "x", "language_detection_score": 0.98},
        "file_path": "a",
    }
    wiki = {"text": text(1), "subset": "Wikipedia", "meta": {"page_index": 3}, "file_path": "b"}
    post = {
        "question": {"Id": "1", "Title": "Why?", "Body": "<p>Is $a &lt; b$?</p>\n", "Score": "3"},
        "answers": [{"Id": "2", "Body": "Yes, $a<b$.", "Score": "7"}, {"Id": "3", "Body": None}],
        "SubSet": "StackExchange",
        "meta": {"domain": "math"},
        "file_path": "c",
    }
    train = folder / "train"
    write(train / "arXiv/math_arXiv_v0.2_chunk_1.jsonl.gz", gzip.compress(lines([arxiv])))
    write(train / "stackexchange/math.stackexchange.com.jsonl.gz", gzip.compress(lines([post])))
    write(train / "wikipedia/wikipedia_en_mathematics.jsonl.gz", gzip.compress(lines([wiki])))
    write(folder / "validation/arXiv/math_arXiv_v0.2_chunk_1.jsonl.gz", gzip.compress(lines([arxiv])))
    return [text(0), "Why?\n\nIs $a < b$?\n\nYes, $a<b$.", text(1)]


def infimm_webmath(folder: Path) -> list[str]:
    pieces = [["one", None, "two"], [None, "three"], [None], None]
    parquet(
        folder / "part-00000-1b2c.c000.gz.parquet",
        {
            "URL": (STRING, urls(4)),
            "text_list": (pa.list_(STRING), pieces),
            "image_list": (pa.list_(STRING), [[None, "http://i/1.png", None], ["http://i/2.png", None], ["x"], None]),
            "metadata": (STRING, ["{}"] * 4),
        },
    )
    return ["one\n\ntwo", "three"]


def finemath(folder: Path) -> list[str]:
    texts = [text(i) for i in range(3)]
    columns: dict[str, tuple[Any, list[Any]]] = {
        "url": (STRING, urls(3)), "fetch_time": (INT64, [1] * 3), "content_mime_type": (STRING, ["text/html"] * 3),
        "warc_filename": (STRING, ["w"] * 3), "warc_record_offset": (INT32, [1] * 3),
        "warc_record_length": (INT32, [2] * 3), "text": (STRING, texts), "token_count": (INT32, [9] * 3),
        "char_count": (INT32, [9] * 3), "metadata": (STRING, ["{}"] * 3), "score": (DOUBLE, [4.1, float("nan"), None]),
        "int_score": (INT64, [4] * 3), "crawl": (STRING, ["CC-MAIN-2024-10"] * 3),
        "snapshot_type": (STRING, ["latest"] * 3), "language": (STRING, ["en"] * 3),
        "language_score": (DOUBLE, [0.9] * 3),
    }  # fmt: skip
    parquet(folder / "finemath-3plus/train-00000-of-00128.parquet", columns)
    few = {
        name: columns[name] for name in ("url", "metadata", "score", "int_score", "token_count", "char_count", "text")
    }
    parquet(folder / "infiwebmath-3plus/train-00000-of-00064.parquet", few)
    return texts + texts


def megamath(folder: Path) -> list[str]:
    for number, place in enumerate(
        ("megamath-qa/llama3.3/a/0", "megamath-web/CC-MAIN-2014-15/0", "megamath-web-pro/0")
    ):
        parquet(
            folder / f"{place}.parquet",
            {"text": (STRING, [text(number)]), "url": (STRING, [None]), "math_score": (DOUBLE, [0.7])},
        )
    return [text(i) for i in range(3)]


def redpajama_arxiv(folder: Path) -> list[str]:
    meta = {"timestamp": "2021", "yymm": "2101", "arxiv_id": "2101.1", "language": "en", "url": "https://arxiv.org/1"}
    write(folder / "arxiv_024de5df-1b7f.jsonl", lines([{"text": text(i), "meta": meta} for i in range(2)]))
    return [text(0), text(1)]


def pes2o(folder: Path) -> list[str]:
    def row(i: int) -> dict[str, Any]:
        return {
            "added": "2023",
            "created": "2010",
            "id": str(i),
            "source": "s2orc/train",
            "text": text(i),
            "version": "v2",
        }

    write(folder / "data/v2/train-00000-of-00020.json.gz", gzip.compress(lines([row(0), row(1)])))
    write(folder / "data/v2/validation-00000-of-00002.json.gz", gzip.compress(lines([row(2)])))
    return [text(0), text(1)]


def the_stack(folder: Path) -> list[str]:
    codes = ["def f(x):\n    return x\n", "print(1)\n", "x = 1\n"]
    parquet(
        folder / "data/python/data-00000-of-00144.parquet",
        {
            "hexsha": (STRING, ["a", "b", "c"]), "size": (INT64, [1, 2, 3]), "ext": (STRING, ["py"] * 3),
            "lang": (STRING, ["Python"] * 3), "max_stars_repo_path": (STRING, ["a.py"] * 3),
            "max_stars_repo_name": (STRING, ["me/it"] * 3),
            "max_stars_repo_licenses": (pa.list_(STRING), [["MIT"], [], None]),
            "max_stars_count": (INT64, [None, 1, 2]), "content": (STRING, codes), "avg_line_length": (DOUBLE, [9] * 3),
            "max_line_length": (INT64, [20] * 3), "alphanum_fraction": (DOUBLE, [0.5] * 3),
        },
    )  # fmt: skip
    return codes


def starcoderdata(folder: Path) -> list[str]:
    contents = [
        "<reponame>me/it<filename>src/a.py<gh_stars>10-100\nimport os\n", "<filename>b.py\nprint(2)\n", "x < y\n",
    ]  # fmt: skip
    columns: dict[str, tuple[Any, list[Any]]] = {
        "max_stars_repo_path": (STRING, ["a"] * 3), "max_stars_repo_name": (STRING, ["me/it"] * 3),
        "max_stars_count": (INT64, [11, 0, None]), "id": (STRING, ["1", "2", "3"]), "content": (STRING, contents),
    }  # fmt: skip
    parquet(folder / "python/train-00000-of-00059.parquet", columns)
    parquet(folder / "git-commits-cleaned/train-00000-of-00004.parquet", columns)
    return ["import os\n", "print(2)\n", "x < y\n"]


def fineweb(folder: Path) -> list[str]:
    texts = [text(i) for i in range(3)]
    parquet(
        folder / "data/CC-MAIN-2024-10/000_00000.parquet",
        {
            "text": (STRING, texts), "id": (STRING, ["<urn:uuid:1>"] * 3), "dump": (STRING, ["CC-MAIN-2024-10"] * 3),
            "url": (STRING, urls(3)), "date": (pa.timestamp("us"), [None, None, 0]), "file_path": (STRING, ["s3"] * 3),
            "language": (STRING, ["en"] * 3), "language_score": (DOUBLE, [0.9] * 3), "token_count": (INT64, [3] * 3),
        },
    )  # fmt: skip
    return texts


def dclm(folder: Path) -> list[str]:
    def row(i: int) -> dict[str, Any]:
        return {
            "bff_contained_ngram_count_before_dedupe": 3,
            "language_id_whole_page_fasttext": {"en": 0.97},
            "metadata": {"Content-Length": "71", "WARC-Type": "response"},
            "previous_word_count": 250,
            "text": text(i),
            "url": f"https://example.org/{i}",
            "warcinfo": "software: Apache Nutch",
            "fasttext_openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train_prob": 0.9,
        }

    shard = folder / "global-shard_01_of_10/local-shard_0_of_10"
    write(shard / "shard_00000000_processed.jsonl.zst", zstd(lines([row(0)]), lines([row(1)])))
    write(shard / "shard_00000001_processed.jsonl.zstd", zstd(lines([row(2)])))
    return [text(i) for i in range(3)]


def plain(folder: Path) -> list[str]:
    """Whatever has a text: one of each container."""
    rows = [{"text": text(i), "n": i} for i in range(7)]
    write(folder / "a_array.json", json.dumps(rows[:2], indent=1).encode())
    write(folder / "b_spread.json", b"\n".join(json.dumps(row, indent=2).encode() for row in rows[2:4]))
    write(folder / "c_one_line.json", json.dumps(rows[4]).encode() + json.dumps(rows[5]).encode())
    write(folder / "d.jsonl", b"\xef\xbb\xbf" + lines([rows[6]]))
    write(folder / "e.txt.gz", gzip.compress(b"Plain text,\n\nall of it.\n"))
    with (
        pa.OSFile(str(folder / "f.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, pa.schema([("text", STRING)])) as out,
    ):
        out.write_table(pa.table({"text": ["from arrow"]}))
    return [*(text(i) for i in range(7)), "Plain text,\n\nall of it.\n", "from arrow"]


PUBLISHERS: dict[str, Writer] = {
    "openwebmath": openwebmath,
    "proof_pile_2": proof_pile_2,
    "algebraic_stack": algebraic_stack,
    "mathpile": mathpile,
    "finemath": finemath,
    "infimm_webmath": infimm_webmath,
    "megamath": megamath,
    "redpajama_arxiv": redpajama_arxiv,
    "pes2o": pes2o,
    "the_stack": the_stack,
    "starcoderdata": starcoderdata,
    "fineweb": fineweb,
    "dclm": dclm,
    "text": plain,
}
