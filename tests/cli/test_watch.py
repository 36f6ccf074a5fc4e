"""`mathwright watch`: a run that goes on, one that has finished, one that was killed, and what is no run."""

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mathwright.cli import main
from mathwright.cli.watch import drawn, line, look
from mathwright.errors import MathwrightError
from mathwright.run import RunDirectory, Stage
from mathwright.terminal import PlainConsole
from tests.small_run import contents

PARTS = {"sft": {"num_steps": 4}, "rl": {"num_steps": 8}, "eval": {"modes": ["cot"]}}
RESPONSE = "7 + 5 is \\boxed{12}"


def made(run: RunDirectory, name: str) -> Stage:
    """A stage that has finished."""
    stage = run.stage(name, PARTS[name])
    stage.log(3, kind="train", loss=0.5, lr=0.1)
    stage.log(4, kind="eval", heldout_loss=0.75)
    stage.finish(outputs={"model": stage.path / "model"})
    return stage


@contextmanager
def at_work(folder: Path, *, steps: int = 8) -> Iterator[Stage]:
    """A run whose reinforcement has done `steps` of 8, as long as the block lasts."""
    run = RunDirectory(folder, recipe_name="mine", recipe=PARTS)
    with run.lock() as held:
        assert held is not None
        made(run, "sft")
        stage = run.stage("rl", PARTS["rl"])
        held.say(at="rl")
        with stage.progress("grpo", 8) as advance:
            for step in range(steps):
                advance(1)
                stage.log(step, kind="train", reward_mean=step / 8, accuracy=0.25, kl=0.002)
            stage.log(steps, kind="warning", message="not a measurement")
            stage.log(steps, kind="eval", accuracy=0.125, response_tokens=30)
            group = {
                "problem": {"question": "What is 7 + 5?"},
                "rollouts": [{"completion": {"text": RESPONSE}, "reward": 1.0}],
            }
            (stage.path / "rollouts.jsonl").write_text(json.dumps({"step": steps, "group": group}) + "\n")
            stage.warn("answers are cut")
            yield stage


def shown(run: Path, width: int = 120) -> str:
    screen = io.StringIO()
    PlainConsole(file=screen, width=width).print(drawn(look(run)))
    return screen.getvalue()


def test_a_run_at_work_is_shown_and_nothing_of_it_is_touched(tmp_path: Path) -> None:
    with at_work(tmp_path / "run", steps=5):
        before = contents(tmp_path / "run")
        view = look(tmp_path / "run")
        assert [(stage.name, stage.state) for stage in view.stages] == [
            ("sft", "finished"), ("rl", "running"), ("eval", "waiting"),
        ]  # fmt: skip
        assert line(view).startswith("rl  running; grpo: ") and "mean reward 0.5; correct answers 25.0%" in line(view)
        assert line(view).endswith("; held-out correct answers 12.5%; held-out response length 30 tokens")
        screen = shown(tmp_path / "run")
        for text in (
            "mine;",
            "grpo:",
            "of 8",
            "Mean reward",
            "What is 7 + 5?",
            RESPONSE,
            "reward 1",
            "answers are cut",
        ):
            assert text in screen
        assert "not a measurement" not in screen
        assert max(map(len, shown(tmp_path / "run", width=60).splitlines())) <= 60
        assert contents(tmp_path / "run") == before


def test_a_pipe_gets_a_line_at_a_time_until_the_run_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        with at_work(tmp_path / "run") as stage:
            begun.set()
            end.wait(30)
        with RunDirectory(tmp_path / "run", recipe_name="mine", recipe=PARTS).lock():
            stage.finish(outputs={"model": stage.path / "model"})

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(30)
    threading.Timer(0.4, end.set).start()
    main(["watch", str(tmp_path / "run"), "--every", "0.1"])
    thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert sum("warning: answers are cut" in text for text in lines) == 1
    assert sum("rl  running; grpo: " in text for text in lines) >= 2
    assert "\x1b" not in "".join(lines)


def test_a_finished_run_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDirectory(tmp_path, recipe_name="mine", recipe={"sft": PARTS["sft"]})
    made(run, "sft")
    main(["watch", str(tmp_path)])
    [told] = capsys.readouterr().out.splitlines()
    assert "sft  finished in 0 seconds; loss 0.5 nats a token; held-out loss 0.75" in told
    assert f"sft model  {tmp_path}/sft/model" in shown(tmp_path)


def test_a_run_that_was_killed_says_how_far_it_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import time, sys; from pathlib import Path; from tests.cli.test_watch import at_work\n"
        "with at_work(Path(sys.argv[1]), steps=3): print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert look(tmp_path).is_running
        process.kill()
    began = time.monotonic()
    with pytest.raises(SystemExit) as end:
        main(["watch", str(tmp_path)])
    assert end.value.code == 1 and time.monotonic() - began < 5
    assert "rl  stopped; grpo: " in capsys.readouterr().out
    assert "no command is working on it" in shown(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"), [("", "damaged"), ("[]", "damaged"), ('{"name": "mine"}', "damaged"), (None, "holds no run")]
)
def test_what_is_no_run(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(MathwrightError, match=message):
        look(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == (["recipe.json"] if text is not None else [])
