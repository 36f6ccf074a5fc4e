"""Models for a machine without a network: random weights in the shapes of known models, a tokenizer trained here.

    python benchmarks/gpu_models.py --out FOLDER --device cuda --results results.jsonl      # called by gpu.sh

Speed and memory depend on shapes and not on weights. `stand_in` is for machines that lack jaxtyping.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTEXT = 8192
TEXTS = [
    "User: Tom has 12 apples, buys 3 bags with 4 apples each and gives 5 of them to his friends. How many are left?",
    "Assistant: He buys 3 * 4 = 12 apples. Then he has 12 + 12 - 5 = 19. The answer is \\boxed{19}.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
]
SHAPES: Mapping[str, Mapping[str, Any]] = {
    # of Qwen2.5-0.5B
    "qwen2-0.5b": {
        "model_type": "qwen2", "vocab_size": 151_936, "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
    },
    # of SmolLM2-135M
    "llama-135m": {
        "model_type": "llama", "vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    },
}  # fmt: skip
TOY = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
"""Replaces the sizes of either shape on a CPU."""


def stand_in() -> None:
    """Where jaxtyping is missing put an empty module in its place: shapes in annotations are read by nobody here.

    To be called before anything of mathwright is imported.
    """
    if "jaxtyping" in sys.modules or importlib.util.find_spec("jaxtyping") is not None:
        return
    module: Any = types.ModuleType("jaxtyping")
    module.Bool = module.Float = module.Int = None
    sys.modules["jaxtyping"] = module


def sizes(name: str, device: str) -> dict[str, Any]:
    """The configuration of a model, at toy size on a CPU."""
    return {**SHAPES[name], **(TOY if device == "cpu" else {}), "max_position_embeddings": CONTEXT}


def build(name: str, device: str) -> Any:
    """A `LanguageModel` of that shape with random weights in bfloat16."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from mathwright.lm.load import LanguageModel
    from mathwright.lm.tokenise import train_tokenizer

    tokenizer = train_tokenizer(TEXTS * 10, vocab_size=512, max_length=CONTEXT)
    shape = sizes(name, device)
    ids = {f"{kind}_token_id": getattr(tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}
    config = AutoConfig.for_model(shape.pop("model_type"), **shape, **ids, tie_word_embeddings=True)
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    return LanguageModel(model.eval(), tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the folders of the models")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    stand_in()
    from gpu_results import add

    from mathwright.lm.save import save

    for name in SHAPES:
        began = time.perf_counter()
        lm = build(name, options.device)
        save(lm, options.out / name)
        num_weights = sum(p.numel() for p in lm.model.parameters())
        add(options.results, "models", model=name, weights=num_weights, seconds=round(time.perf_counter() - began, 1))


if __name__ == "__main__":
    main()
