"""Errors that are not ours to raise, and yet not ours to mend: said in one line, with what to do."""

from __future__ import annotations

import errno

from mathwright.errors import MathwrightError

EXTRAS = {
    "problems": ("datasets", "pyarrow"),
    "corpus": ("fastwarc", "resiliparse", "scrapy", "warcio", "fasttext", "daft", "tldextract", "fsspec", "docutils",
               "py3langid", "ahocorasick_rs", "urllib3"),
    "eval": ("sympy", "math_verify", "scipy", "jinja2"),
    "report": ("latex2mathml",),
    "models": ("gguf",),
    "server": ("openai",),
    "vllm": ("vllm",),
    "lora": ("peft",),
    "gym": ("reasoning_gym",),
    "ray": ("ray",),
}  # fmt: skip
"""The extra that a package comes with."""


def explained(error: Exception) -> MathwrightError | None:
    """An error as a person can act on it; None for a bug of ours, whose traceback is to be seen."""
    match error:
        case MathwrightError():
            return error
        case ModuleNotFoundError() if error.name and not error.name.startswith("mathwright"):
            package = error.name.partition(".")[0]
            extra = next((name for name, packages in EXTRAS.items() if package in packages), None)
            hint = f"pip install 'mathwright[{extra}]'" if extra else f"pip install {package}"
            return MathwrightError(f"this needs the package {package}", hint=hint)
        case OSError() if error.errno == errno.ENOSPC:
            return MathwrightError(str(error), hint="free some space, then run the command again")
        case PermissionError():
            return MathwrightError(f"{error.filename}: not allowed", hint="choose another place, or change its rights")
        case NotADirectoryError() | FileExistsError() if error.filename:
            return MathwrightError(f"{error.filename} is a file, where a folder is needed", hint="choose another --out")
        case IsADirectoryError() if error.filename:
            return MathwrightError(f"{error.filename} is a folder, where a file is needed", hint="name a file")
        case OSError() if error.errno == errno.EROFS:
            return MathwrightError(f"{error.filename}: the disk is read-only", hint="choose another --out")
        case _ if type(error).__name__ == "OutOfMemoryError":
            return MathwrightError(
                "the GPU has no memory left",
                hint="lower micro_batch_tokens and generation_batch of the stage (--set), or train with lora",
            )
        case MemoryError():
            return MathwrightError("the memory is full", hint="lower micro_batch_tokens of the stage (--set)")
    return None
