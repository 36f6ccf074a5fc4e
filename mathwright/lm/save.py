"""Write a model as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

from mathwright.lm import lora, parallel
from mathwright.lm.model import LanguageModel
from mathwright.lm.quiet import quiet_transformers


def save(lm: LanguageModel, folder: str | Path) -> None:
    """Write model and tokenizer as a Hugging Face folder (safetensors), which `load` and other tools read.

    It is a plain model: weights sharded over processes are gathered, adapters (`lm.lora`) are added to the weights, and
    `lm` stays as it is. Under torchrun all processes are to call this; rank 0 writes, and all return when it is done.
    """
    world = parallel.world()
    with parallel.full_state(lm) as state:
        if world.is_main:
            folder = Path(folder)
            folder.mkdir(parents=True, exist_ok=True)
            with quiet_transformers():
                lm.model.save_pretrained(folder, state_dict=lora.plain_weights(lm.model, state))
                lm.tokenizer.save_pretrained(folder)
    parallel.barrier(world)
