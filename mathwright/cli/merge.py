"""`mathwright merge`: a model and adapters that were trained on it become one plain model."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from transformers import AutoConfig

from mathwright.lm import lora
from mathwright.lm.folders import from_pretrained, resolve
from mathwright.lm.load import load
from mathwright.lm.model import torch_dtype
from mathwright.lm.save import save
from mathwright.problems.templates import TEMPLATE_FILE
from mathwright.terminal import put


def merge(adapter: Path, out: Path, *, model: str = "", dtype: str = "auto") -> None:
    """Write the model with the adapters added to `out`.

    Args:
        adapter: a folder of peft's.
        out: the new folder.
        model: what the adapters belong to; "" is the model their configuration names.
        dtype: of the weights; auto is that of the model.

    Raises MathwrightError where the adapters or their model are missing or do not fit each other.
    """
    source = model or lora.base_of(adapter)
    folder = resolve(source)
    own = from_pretrained(AutoConfig, folder).dtype or torch.float32
    lm = load(source, dtype=torch.float32)
    lora.merge_folder(lm, adapter)
    lm.model.to(own if dtype == "auto" else torch_dtype(dtype))
    save(lm, out)
    for place in (adapter, folder):  # how the model expects to be asked
        if isinstance(place, Path) and (place / TEMPLATE_FILE).is_file():
            shutil.copy(place / TEMPLATE_FILE, out)
            break
    put(str(out))
