"""The command line's verbs for worked solutions (§3) that are no stage: those behind `mathwright sft`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mathwright.cli.corpus import split_names
from mathwright.errors import MathwrightError
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotate:
    """§3 Have a teacher write solutions of problems; right ones that differ are kept (docs/solutions.md).

    `mathwright sft annotate problems.jsonl --teacher Qwen/Qwen2.5-Math-7B-Instruct --engine vllm --out solutions/qwen`.
    Called again, a stopped annotation resumes; nothing is asked twice.
    """

    problems: Positional[Path]
    """A file of Problem records, or a folder with problems.jsonl."""
    out: Path
    """Folder to write."""
    teacher: str = ""
    """Model folder, hub id or wheel:NAME; with --base-url the server's name for it, by default the one it has."""
    base_url: str = ""
    """Of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1."""
    engine: Literal["auto", "local", "vllm"] = "auto"
    """What runs the teacher without a server: our generator (auto), or the package vllm."""
    endpoint: Literal["chat", "completions"] = "chat"
    """What the server is asked."""
    format: Literal["cot", "pot", "tool"] = "tool"
    samples: int = 4
    """Solutions asked for of a problem, at most."""
    keep: int = 0
    """Different solutions kept of a problem: it is asked no more once it has them, and hard ones more often. 0: all."""
    template: Literal["auto", "deepseekmath", "tokenizer", "short"] = "auto"
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    """0 is off."""
    max_new_tokens: int = 2048
    max_tool_rounds: int = 4
    """Programs a solution may run; the teacher is told."""
    max_output_chars: int = 512
    """Characters of an output that the teacher is shown."""
    vote: bool = False
    """Give problems without an answer that of most samples."""
    vote_share: float = 0.5
    """A vote needs more than this share of all samples."""
    benchmarks: str = ""
    """Ask for no problem that stands in these benchmarks, comma-separated."""
    data: str | None = None
    """Folder with the benchmarks' files; the Hugging Face hub by default."""
    num_concurrent: int = 16
    """Requests to the server at a time."""
    timeout_s: float = 600.0
    """The longest the server may be silent."""
    max_retries: int = 8
    """How often a request is repeated after 429, 5xx or a lost connection; Retry-After is obeyed."""
    key_env: str = "OPENAI_API_KEY"
    """Environment variable with the server's key, which is never written."""
    price_in: float = 0.0
    """Of a million prompt tokens."""
    price_cached: float | None = None
    """Of a million prompt tokens the server had computed before; by default as --price-in."""
    price_out: float = 0.0
    """Of a million written tokens."""
    max_cost: float | None = None
    """Ask no more once this is spent."""
    dry_run: bool = False
    """Ask twenty problems and forecast requests, tokens, cost and time of all; the replies are kept."""
    batch: Path | None = None
    """Write the requests as a batch file of OpenAI's interface instead of asking (formats cot and pot)."""
    batch_results: Path | None = None
    """Take the replies of a batch's result file."""
    limit: int | None = None
    """The first so many problems."""
    seed: int = 0
    device: str = "cpu"
    """cpu or cuda."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    batch_size: int = 64
    """Sequences at a time of our generator."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Build:
    """§3 Make one data set of folders of solutions, in chosen shares, as JSONL or Parquet, with its statistics.

    `mathwright sft build solutions/gsm8k solutions/ape210k --formats cot=1,pot=1 --out solutions/mixed`
    """

    folders: Positional[tuple[Path, ...]]
    """Folders of `sft import`, `sft annotate` or `sft build`."""
    out: Path
    """Folder to write, new or empty."""
    formats: str = ""
    """Shares by format: cot=2,tool=1. Without it, all there are."""
    sources: str = ""
    """Shares by source within each format: gsm8k=1,math=3. Without it, all there are."""
    num_examples: int = 0
    """0: as many as the shares allow."""
    tokenizer: str = ""
    """Model folder or hub id whose tokenizer counts; without one, a token for every three characters."""
    min_tokens: int = 0
    """Of prompt and response."""
    max_tokens: int = 0
    """0: no limit."""
    near_duplicate: float = 0.9
    """Leave out a solution that shares more than this with another one of its problem; 1 keeps all but equal ones."""
    export: str = "jsonl"
    """jsonl, parquet, or both: jsonl,parquet."""
    num_samples: int = 20
    """Random examples on samples.md."""
    seed: int = 0


SFT_VERBS: dict[str, type] = {"import": Import, "annotate": Annotate, "build": Build}
"""Verbs behind `mathwright sft`, which otherwise takes a recipe."""


def perform(command: Any) -> None:
    """Do what one of the verbs asks for."""
    actions: dict[type, Callable[[Any], None]] = {Import: import_, Annotate: annotate, Build: build}
    actions[type(command)](command)


def import_(arguments: Import) -> None:
    """Import a set, and say what is where."""
    from mathwright.chain.solutions import benchmark_finder
    from mathwright.sft.sources.catalogue import find_source
    from mathwright.sft.sources.importing import ImportOptions, import_solutions

    source = find_source(arguments.layout)
    fields = {
        name: value for name in ("question", "answer", "solution", "messages") if (value := getattr(arguments, name))
    }
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


def annotate(arguments: Annotate) -> None:
    """Annotate, forecast, or exchange batch files, and say what came of it."""
    from mathwright.engines.choose import EngineOptions, open_engine
    from mathwright.run.lock import hold
    from mathwright.sft.annotate.requests import RequestLog
    from mathwright.sft.annotate.run import load_problems
    from mathwright.sft.annotate.settings import AnnotateSettings

    problems = load_problems(arguments.problems.expanduser())[: arguments.limit]
    given = {field.name: getattr(arguments, field.name, None) for field in dataclasses.fields(AnnotateSettings)}
    given = {name: value for name, value in given.items() if hasattr(arguments, name)}
    settings = AnnotateSettings(**{**given, "teacher": _teacher(arguments)})
    options = EngineOptions(
        name="server" if arguments.base_url else "vllm" if arguments.engine == "vllm" else "local",
        device=arguments.device,
        dtype=arguments.dtype,
        batch_size=arguments.batch_size,
        base_url=arguments.base_url,
        endpoint=arguments.endpoint,
        num_concurrent=arguments.num_concurrent,
        timeout_s=arguments.timeout_s,
        max_retries=arguments.max_retries,
        api_key_env=arguments.key_env,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    with hold(arguments.out):
        log = RequestLog(arguments.out, settings, options.name)
        engine = open_engine(settings.teacher, options, recorder=log)
        try:
            _annotate(arguments, settings, problems, engine, log)
        finally:
            engine.close()


def _teacher(arguments: Annotate) -> str:
    if arguments.teacher:
        return arguments.teacher
    if not arguments.base_url:
        raise MathwrightError("nobody is named who writes the solutions", hint="--teacher MODEL, or --base-url URL")
    from mathwright.engines.server import served_models

    models = served_models(arguments.base_url, arguments.key_env)
    if len(models) != 1:
        raise MathwrightError(
            f"{arguments.base_url} has {len(models)} models", hint=f"--teacher, one of {', '.join(models[:20])}"
        )
    return models[0]


def _annotate(arguments: Annotate, settings: Any, problems: Any, engine: Any, log: Any) -> None:
    from mathwright.chain.solutions import benchmark_finder
    from mathwright.sft.annotate import batch, forecast
    from mathwright.sft.annotate.run import Annotation
    from mathwright.tools.sandbox import Sandbox

    names = split_names(arguments.benchmarks)
    finder = benchmark_finder(names, arguments.data) if names else None
    annotation = Annotation(problems, arguments.out, settings, engine, log, find_contaminated=finder)
    if arguments.batch is not None:
        put(f"{arguments.batch}\t{batch.write_batch(annotation, arguments.batch)}")
        return
    if arguments.batch_results is not None:
        taken, failed = batch.read_batch(log, arguments.batch_results)
        annotation.stage.say(f"{arguments.batch_results}: {taken:,} replies taken, {failed:,} requests had failed")
    with Sandbox() as sandbox:
        if arguments.dry_run:
            put(forecast.forecast_text(forecast.forecast(annotation, sandbox)))
            return
        annotation.draw(sandbox)
    summary = annotation.finish()
    put(
        f"{summary['solutions']} solutions of {summary['solved']} of {summary['problems']} problems, "
        f"{summary['requests']} requests, cost {summary['cost']:g}"
    )
    put("\n".join(f"{arguments.out / name}.jsonl" for name in ("problems", "solutions")))


def build(arguments: Build) -> None:
    """Build a data set and print its statistics."""
    from mathwright.engines.server_replies import estimate_tokens
    from mathwright.sft.build import BuildOptions
    from mathwright.sft.build import build as run

    count = estimate_tokens
    if arguments.tokenizer:
        from transformers import AutoTokenizer

        from mathwright.lm.tokenise import encode

        tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)

        def count(text: str) -> int:
            return len(encode(tokenizer, text))

    exports = split_names(arguments.export)
    if not exports or not set(exports) <= {"jsonl", "parquet"}:
        raise MathwrightError(f"--export is {arguments.export!r}", hint="jsonl, parquet, or jsonl,parquet")
    options = BuildOptions(
        formats=_shares("formats", arguments.formats),
        sources=_shares("sources", arguments.sources),
        num_examples=arguments.num_examples,
        min_tokens=arguments.min_tokens,
        max_tokens=arguments.max_tokens,
        near_duplicate=arguments.near_duplicate,
        export=exports,  # type: ignore[arg-type]  # looked at above
        num_samples=arguments.num_samples,
        seed=arguments.seed,
    )
    statistics = run(arguments.folders, arguments.out, options=options, count_tokens=count)
    put("source\tformat\texamples\tshare\ttokens\tmean\tp50\tp99\tlongest")
    for row in statistics["groups"]:
        put(
            f"{row['source']}\t{row['format']}\t{row['examples']}\t{row['share']:.1%}\t{row['tokens']}\t"
            f"{row['mean_tokens']}\t{row['p50']}\t{row['p99']}\t{row['p100']}"
        )
    put(f"{statistics['examples']} examples of {statistics['problems']} problems, {statistics['tokens']} tokens")


def _shares(name: str, text: str) -> dict[str, float] | None:
    shares: dict[str, float] = {}
    for part in split_names(text):
        key, sign, value = part.partition("=")
        try:
            shares[key.strip()] = float(value) if sign else 1.0
        except ValueError as error:
            raise MathwrightError(f"--{name}: {part!r} is no share", hint="NAME=NUMBER: cot=2,tool=1") from error
    return shares or None


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
