"""§3: fine-tuning on worked solutions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathwright.api import train_sft as train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """`sft.train`, whose module imports all stages, when it is first asked for."""
    if name == "train":
        from mathwright.api import train_sft

        return train_sft
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
