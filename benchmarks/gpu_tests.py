"""Run the tests marked `cuda` with pytest, where pytest is there: `python benchmarks/gpu_tests.py`.

Only files that hold such a test are collected: others may import what a bare machine lacks.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

MARK = "mark.cuda"


def main() -> None:
    if importlib.util.find_spec("pytest") is None:
        print("pytest is not installed here: the checks of gpu_checks.py have run without it")
        return
    import pytest

    files = [str(path) for path in sorted(Path("tests").rglob("test_*.py")) if MARK in path.read_text(encoding="utf-8")]
    raise SystemExit(pytest.main(["-m", "cuda", "-rs", "-p", "no:cacheprovider", *files]))


if __name__ == "__main__":
    main()
