"""§4-5: reinforcement with GRPO and its relatives, a method a row of Table 10."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathwright.api import train_rl as train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    """`rl.train`, whose module imports all stages, when it is first asked for."""
    if name == "train":
        from mathwright.api import train_rl

        return train_rl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
