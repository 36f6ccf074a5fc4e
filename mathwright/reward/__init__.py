"""§4.1: reward models, from ranked samples."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathwright.api import train_reward as train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """`reward.train`, whose module imports all stages, when it is first asked for."""
    if name == "train":
        from mathwright.api import train_reward

        return train_reward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
