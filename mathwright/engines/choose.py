"""Which engine draws the responses, chosen by name; each is imported only where it is asked for."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mathwright.engines.engine import Engine
from mathwright.problems.own_template import set_system, set_thinking

if TYPE_CHECKING:
    from mathwright.engines.server import Recorder

EngineName = Literal["local", "vllm", "server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What draws the responses, and on what."""

    name: EngineName = "local"
    device: str = "cpu"
    dtype: str = "auto"
    """bfloat16, float32, or auto: the faster one on the device; a server has its own."""
    batch_size: int = 64
    """Sequences decoded at one time by the local engine."""
    max_length: int | None = None
    """Context in tokens for vLLM; None is the model's."""
    tensor_parallel_size: int = 1
    base_url: str = ""
    endpoint: Literal["completions", "chat"] = "chat"
    num_concurrent: int = 16
    timeout_s: float = 600.0
    """The longest that a server may be silent."""
    max_retries: int = 8
    """How often a request to a server is repeated."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable with the key of a server."""
    system: str = ""
    """A system prompt for the model's chat template."""
    enable_thinking: bool | None = None
    """What the chat template is told of it; None: its own choice."""


def open_engine(model: str, options: EngineOptions, *, recorder: Recorder | None = None) -> Engine:
    """Load a model, or name the server that has it, whose replies go to `recorder`.

    Raises MathwrightError where the package of the engine is missing, or the model cannot be loaded.
    """
    options = with_dtype(options)
    if options.name == "server":
        from mathwright.engines.server import ServerEngine

        return ServerEngine(
            base_url=options.base_url,
            model=model,
            endpoint=options.endpoint,
            num_concurrent=options.num_concurrent,
            timeout_s=options.timeout_s,
            max_retries=options.max_retries,
            api_key_env=options.api_key_env,
            recorder=recorder,
            system=options.system,
            enable_thinking=options.enable_thinking,
        )
    engine = _open_here(model, options)
    if options.system:
        set_system(engine.tokenizer, options.system)
    if options.enable_thinking is not None:
        set_thinking(engine.tokenizer, options.enable_thinking)
    return engine


def _open_here(model: str, options: EngineOptions) -> Engine:
    """An engine that has the model on this machine."""
    if options.name == "vllm":
        from mathwright.engines.vllm import VllmEngine

        return VllmEngine(
            model,
            dtype=options.dtype,
            max_length=options.max_length,
            tensor_parallel_size=options.tensor_parallel_size,
        )
    from mathwright.engines.local import LocalEngine
    from mathwright.lm.load import load

    return LocalEngine(load(model, dtype=options.dtype, device=device_of(options)), max_batch=options.batch_size)


def with_dtype(options: EngineOptions) -> EngineOptions:
    """The options with the type of weights that `auto` leaves to the device."""
    if options.dtype != "auto":
        return options
    from mathwright.lm.places import fast_dtype

    return dataclasses.replace(options, dtype=fast_dtype(options.device))


def device_of(options: EngineOptions) -> str:
    """`cuda` is the GPU of this process where a launcher started one for each."""
    rank = os.environ.get("LOCAL_RANK")
    return f"cuda:{rank}" if options.device == "cuda" and rank is not None else options.device
