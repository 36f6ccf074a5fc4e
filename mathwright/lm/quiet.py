"""Transformers without its own progress bars and notices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import logging as transformers_logging


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Within it, transformers shows no progress bars and no notices: they would mix with ours."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
