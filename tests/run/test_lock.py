"""Two commands on one run do not interleave: the second one gets a line that says who works on it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mathwright.cli import main
from mathwright.errors import MathwrightError
from mathwright.run import RunDirectory, lock
from tests import warm
from tests.small_run import contents, write_recipe

HOLDER = """
import sys, time
from pathlib import Path
from mathwright.run import lock
with lock.hold(Path(sys.argv[1])) as held:
    held.say(at=sys.argv[2], corpus="")
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held_by_another(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), "sft"], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).resolve().parents[2],
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_the_second_command_is_told_who_holds_the_run_and_touches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_recipe(tmp_path)
    run = tmp_path / "run"
    main(["sft", str(recipe), "--out", str(run)])
    capsys.readouterr()
    with held_by_another(run) as process:
        before = contents(run)
        for arguments in (("sft", "--set", "sft.num_steps=9"), ("run",), ("rl", "--clear"), ("sft",)):
            with pytest.raises(SystemExit) as stop:
                main([arguments[0], str(recipe), "--out", str(run), *arguments[1:]])
            said = capsys.readouterr().err
            assert stop.value.code == 2 and len(said.strip().splitlines()) == 1
            assert f"in use by process {process.pid}" in said and "since" in said and "hint:" in said
        assert contents(run) == before
        main(["report", str(run)])  # reads alone


def test_a_killed_commands_lock_is_free_at_once(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path, recipe_name="r", recipe={})
    with held_by_another(tmp_path) as process:
        with pytest.raises(lock.InUseError), directory.lock():
            pass
        process.send_signal(signal.SIGKILL)
        with directory.lock() as held:
            assert held is not None
            assert lock.is_held(tmp_path)
    assert not lock.is_held(tmp_path)


def test_a_new_run_begins_once(tmp_path: Path) -> None:
    with held_by_another(tmp_path / "run"), pytest.raises(MathwrightError, match="in use"):
        RunDirectory(tmp_path / "run", recipe_name="r", recipe={})
    RunDirectory(tmp_path / "run", recipe_name="r", recipe={})  # a lock file alone is no foreign folder


def test_of_the_processes_of_torchrun_the_first_takes_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(tmp_path, recipe_name="r", recipe={})
    with directory.lock():
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "1")
        with RunDirectory(tmp_path, recipe_name="r", recipe={}).lock() as held:
            assert held is None


def test_while_others_help_nothing_is_moved_and_the_run_is_not_taken(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path, recipe_name="r", recipe={})
    (directory.stage("corpus", 1).path / "pages").write_text("x")
    with lock.help_with(tmp_path):
        with pytest.raises(lock.InUseError):
            directory.stage("corpus", 2)
        with pytest.raises(lock.InUseError), directory.lock():
            pass
    assert (tmp_path / "corpus" / "pages").is_file()
    with directory.lock():
        pass


def test_two_commands_started_together_make_one_run(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    command = ["-m", "mathwright.cli", "sft", str(recipe), "--out", str(tmp_path / "run")]
    done = warm.run_together(command, command)
    said, codes = [each.stderr for each in done], sorted(each.returncode for each in done)
    assert codes in ([0, 0], [0, 2]), said  # the second waits a moment, and may find the first one done
    assert (tmp_path / "run" / "sft" / "manifest.json").is_file()
    assert not list((tmp_path / "run").glob(f"*.{time.strftime('%Y')}*"))
    if codes == [0, 2]:
        assert sum("is in use by" in text for text in said) == 1
