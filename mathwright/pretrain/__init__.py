"""§2.2-2.3: pre-training on a mixture of corpora."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathwright.api import train_pretrain as train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """`pretrain.train`, whose module imports all stages, when it is first asked for."""
    if name == "train":
        from mathwright.api import train_pretrain

        return train_pretrain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
