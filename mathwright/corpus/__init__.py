"""§2.1: mathematics mined from the web, from archives and crawls to token shards."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathwright.api import build_corpus as build

__all__ = ["build"]


def __getattr__(name: str) -> Any:
    """`corpus.build`, whose module imports all stages, when it is first asked for."""
    if name == "build":
        from mathwright.api import build_corpus

        return build_corpus
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
