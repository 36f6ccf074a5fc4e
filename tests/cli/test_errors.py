"""Over 200 deliberate errors: each is one line with a hint that helps, before torch is loaded, and deletes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.error_table import CASES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What each case did, run one after another in a process that has not loaded torch."""
    folder = tmp_path_factory.mktemp("errors")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tests.cli.error_table", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return {result["command"]: result for result in json.loads(done.stdout)}


def test_there_are_enough() -> None:
    assert len({command for command, _, _ in CASES}) == len(CASES) >= 150


@pytest.mark.parametrize(("command", "message", "hint"), CASES, ids=[command or "nothing" for command, _, _ in CASES])
def test_an_error_is_one_line_with_a_hint(results: dict[str, dict], command: str, message: str, hint: str) -> None:
    result = results[command]
    assert result["trace"] == ""
    assert result["status"] == 2
    assert len(result["err"].strip().splitlines()) == 1
    said, mark, advice = result["err"].partition("hint:")
    assert said.startswith("error:") and mark and advice.strip()
    assert message in said
    assert hint in advice
    assert result["out"] == ""
    assert result["gone"] == [], "nothing that was there is changed"


def test_none_of_them_waits_for_torch(results: dict[str, dict]) -> None:
    assert [command for command, result in results.items() if result["torch"]] == []


def test_debug_shows_where(tmp_path: Path) -> None:
    from mathwright.cli import main
    from mathwright.errors import MathwrightError

    with pytest.raises(MathwrightError, match="no such recipe file"):
        main(["run", str(tmp_path / "none.py"), "--debug"])
