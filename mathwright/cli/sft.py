"""The command line's verbs for worked solutions (§3) that are no stage: those behind `mathwright sft`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

from mathwright.cli.corpus import split_names
from mathwright.terminal import put

Positional = tyro.conf.Positional


@dataclasses.dataclass(frozen=True, kw_only=True)
class Import:
    """§3 Read a published set of worked solutions into problems.jsonl, solutions.jsonl and rejected/.

    `mathwright sft import gsm8k gsm8k_train.jsonl --out solutions/gsm8k`. `mathwright show sources` lists the layouts.
    """

    layout: Positional[str]
    """Which set it is: gsm8k, math, ape210k, numinamath_1_5, ...; jsonl for any file of rows."""
    path: Positional[Path]
    """The set's file, or the folder with its files."""
    out: Path
    """Folder to write, new or empty."""
    split: str = ""
    """train, validation or test; by default what the rows or the names of the files say, else train."""
    name: str = ""
    """The source's name in the records; by default the layout's."""
    benchmarks: str = ""
    """Leave out problems that stand in these benchmarks, comma-separated: gsm8k,math. Found ones are in
    contamination.jsonl."""
    data: str | None = None
    """Folder with the benchmarks' files; the Hugging Face hub by default."""
    keep_contaminated: bool = False
    """Keep such problems, and only write contamination.jsonl."""
    known: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """Leave out what this folder of an earlier import asks (repeatable)."""
    programs: bool = True
    """Make programs of equations."""
    limit: int | None = None
    """Problems to keep, at most."""
    question: str = ""
    """Field with the question (layout jsonl)."""
    answer: str = ""
    """Field with the final answer (layout jsonl)."""
    solution: str = ""
    """Field with the worked solution (layout jsonl)."""
    messages: str = ""
    """Field with the conversation (layout jsonl)."""


SFT_VERBS: dict[str, type] = {"import": Import}
"""Verbs behind `mathwright sft`, which otherwise takes a recipe."""


def perform(command: Any) -> None:
    """Do what one of the verbs asks for."""
    actions: dict[type, Callable[[Any], None]] = {Import: import_}
    actions[type(command)](command)


def import_(arguments: Import) -> None:
    """Import a set, and say what is where."""
    from mathwright.chain.solutions import benchmark_finder
    from mathwright.sft.sources.catalogue import find_source
    from mathwright.sft.sources.importing import ImportOptions, import_solutions

    source = find_source(arguments.layout)
    fields = {name: value for name in ("question", "answer", "solution", "messages") if (value := getattr(arguments, name))}
    names = split_names(arguments.benchmarks)
    kept = import_solutions(
        source,
        arguments.path.expanduser(),
        arguments.out,
        options=ImportOptions(
            split=arguments.split,
            name=arguments.name,
            programs=arguments.programs,
            limit=arguments.limit,
            known=arguments.known,
            keep_contaminated=arguments.keep_contaminated,
            fields=fields,
        ),
        find_contaminated=benchmark_finder(names, arguments.data) if names else None,
        benchmarks=arguments.benchmarks,
    )
    put("\n".join(f"{arguments.out / name}.jsonl\t{count}" for name, count in kept.items()))


def print_sources() -> None:
    """`mathwright show sources`: the layouts, with columns, licence and known faults."""
    from mathwright.sft.sources.catalogue import SOURCES

    for source in SOURCES.values():
        put(f"{source.name}\t{source.title}")
        put(f"  licence   {source.licence}")
        if source.hub:
            put(f"  published {source.hub}")
        put(f"  columns   {', '.join(source.columns)}")
        put(f"  read as   {source.rule}")
        for fault in source.faults:
            put(f"  fault     {fault}")
