"""Mathwright: build a mathematical language model the way DeepSeekMath was built (arXiv 2402.03300)."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mathwright import corpus, pretrain, reward, rl, sft
    from mathwright.api import evaluate, generate

__all__ = ["corpus", "evaluate", "generate", "pretrain", "reward", "rl", "sft"]


def __getattr__(name: str) -> Any:
    """The commands from Python (`mathwright.api`), when they are first asked for: `import mathwright` stays light."""
    import importlib

    if name in ("evaluate", "generate"):
        return getattr(importlib.import_module("mathwright.api"), name)
    if name in __all__:
        return importlib.import_module(f"mathwright.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
