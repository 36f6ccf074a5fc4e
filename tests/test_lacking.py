"""A skip says why, and where all that can be installed was installed, it is a failure."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SKIPPING = """
import pytest

@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.skipif(True, reason="needs Chromium to look at the page")
def test_page(number): pass

def test_gpu():
    pytest.skip("needs a GPU")

@pytest.mark.xfail
def test_known(): assert False
"""


def run_tests(folder: Path, required: str) -> "subprocess.CompletedProcess[str]":
    """The tests above and a file that needs a package, in a process of their own."""
    (folder / "conftest.py").write_text("pytest_plugins = ['tests.lacking']\n")
    (folder / "test_some.py").write_text(SKIPPING)
    (folder / "test_file.py").write_text("import pytest\npytest.importorskip('no_such_package')\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors", str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MATHWRIGHT_TESTS_REQUIRE": required},
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def test_skips_are_grouped_by_reason_at_the_end(tmp_path: Path) -> None:
    done = run_tests(tmp_path, "0")
    assert done.returncode == 0, done.stdout
    end = done.stdout[done.stdout.index("= skipped =") :].splitlines()
    assert "2: needs Chromium to look at the page" in end and "    2 of test_some.py" in end
    assert "1: needs a GPU" in end
    assert any(line.startswith("1: could not import 'no_such_package'") for line in end)


def test_where_everything_was_installed_only_what_cannot_be_may_be_lacking(tmp_path: Path) -> None:
    done = run_tests(tmp_path, "1")
    assert done.returncode == 1
    assert "1 skipped, 1 xfailed, 3 errors" in done.stdout
    assert "MATHWRIGHT_TESTS_REQUIRE forbids: needs Chromium" in done.stdout
    assert "MATHWRIGHT_TESTS_REQUIRE forbids: could not import 'no_such_package'" in done.stdout
