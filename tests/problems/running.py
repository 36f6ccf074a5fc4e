"""Runs our own programs in this process, for tests that are not about the sandbox."""

import contextlib
import io
from collections.abc import Sequence


def run_here(codes: Sequence[str]) -> list[str]:
    """What each program prints."""
    outputs = []
    for code in codes:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, {})
        outputs.append(printed.getvalue())
    return outputs
