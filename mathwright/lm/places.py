"""What can be said of a model before torch is imported: that its folder is there and whole, and how it is best run.

Loading torch takes seconds; who mistyped a path should hear of it at once.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from mathwright.errors import MathwrightError

AMD = "AuthenticAMD"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")


def require_folder(source: str | Path) -> Path | None:
    """The folder of a model, looked at as far as one can without opening its weights; None for a hub id.

    Raises MathwrightError where it is missing, or lacks its configuration, weights or tokenizer.
    """
    text = str(source)
    folder = Path(text).expanduser()
    if not folder.is_dir():
        may_be_hub = not isinstance(source, Path) and re.fullmatch(r"\w[\w.-]*/[\w.-]+", text)
        if not may_be_hub or folder.is_file():
            raise MathwrightError(
                f"{text}: no such model folder", hint="name a folder, a hub id ORG/NAME or wheel:NAME"
            )
        return None
    config = folder / "config.json"
    if not config.is_file():
        inside = next((f for f in sorted(folder.glob("*/config.json")) if any(f.parent.glob("*.safetensors"))), None)
        if (folder / "adapter_config.json").is_file():
            raise MathwrightError(
                f"{folder} holds LoRA adapters and no model",
                hint=f"make one of them and the model they belong to: mathwright merge {folder} --out merged",
            )
        raise MathwrightError(
            f"{folder} has no config.json",
            hint=f"did you mean {inside.parent}?"
            if inside
            else "name the folder that holds config.json and the weights",
        )
    for path in (config, folder / "generation_config.json"):  # the second is passed over where it cannot be read
        if path.is_file() and (reason := json_damage(path)) is not None:
            raise MathwrightError(f"{path} is not JSON: {reason}", hint="restore the file that came with the weights")
    return folder


def require_files(source: str | Path) -> None:
    """Raise MathwrightError where a model folder lacks its weights or its tokenizer; nothing is said of hub ids."""
    if str(source).startswith("wheel:"):
        return
    folder = require_folder(source)
    if folder is None:
        return
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise MathwrightError(
            f"{folder} has no tokenizer", hint="copy tokenizer.json and tokenizer_config.json next to the weights"
        )
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise MathwrightError(f"{folder} has no weights", hint="copy its safetensors files next to config.json")


def json_damage(path: Path) -> str | None:
    """Why a file is no JSON object, or None."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        return str(error)
    return None if isinstance(value, dict) else f"a {type(value).__name__} in the place of an object"


def fast_dtype(device: str, *, begun_with: str = "") -> Literal["bfloat16", "float32"]:
    """The faster type of weights on a device, as `model.dtype: auto` takes it.

    On processors it is float32 where bfloat16 is only emulated (2 cores, AVX2: 45 and 223 tokens/s), bfloat16 where
    there is AMX. With AVX512-BF16 alone Intel's processors multiply bfloat16 at half the rate of float32 (docs/log.md);
    AMD's are taken to be faster in it, which we have not measured. What is read of the processor decides, not a
    measurement: a run that is continued on a busy machine must not find another type.

    begun_with: the type of a run that goes on. On processors it stays, unless it is one that is emulated here.
    """
    if not device.startswith("cpu"):
        return "bfloat16"
    flags, maker = _processor()
    if begun_with == "float32" or (begun_with == "bfloat16" and flags & {"amx_tile", "avx512_bf16"}):
        return begun_with
    return "bfloat16" if "amx_tile" in flags or ("avx512_bf16" in flags and maker == AMD) else "float32"


def _processor() -> tuple[set[str], str]:
    """The instruction sets of an x86 processor under Linux and its maker; nothing where they are not told."""
    path = Path("/proc/cpuinfo")
    told: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    return set(told.get("flags", "").split()), told.get("vendor_id", "")
