"""Two commands that are to make the same corpus: one holds the run, the other shares the extraction and ends."""

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mathwright.chain.run import Chain
from mathwright.corpus import stage as corpus_stage
from mathwright.errors import SharedWorkDoneError
from mathwright.run import lock, read_manifest
from tests import small_run
from tests.corpus.test_stage import recipe, web  # noqa: F401

FIRST = """
import sys, time
from pathlib import Path
from mathwright.run import lock
from mathwright.corpus.claims import Claim
run = Path(sys.argv[1])
with lock.hold(run) as held, Claim.take(run / "corpus" / "lead.lock"):
    held.say(at="model", corpus=sys.argv[2])
    print("held", flush=True)
    time.sleep(1)
    held.say(at=sys.argv[3], corpus=sys.argv[2])
    time.sleep(60)
"""


@contextmanager
def first_command(chain: Chain, at: str = "corpus") -> Iterator["subprocess.Popen[str]"]:
    """A command that holds the run, comes to a stage in a second, and stays there until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", FIRST, str(chain.directory.path), chain.mark("corpus"), at],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[2],
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def chain(web: Path, tmp_path: Path) -> Chain:  # noqa: F811
    """A run whose problems and model are there, and whose corpus has begun."""
    small_run.write_recipe(tmp_path)
    whole = dataclasses.replace(small_run.recipe(tmp_path), corpus=recipe(web))
    made = Chain(whole, tmp_path / "run")
    made.run(("problems", "model"))
    made.made_from.asked = frozenset()
    made.stage("corpus")
    return made


def test_a_command_that_comes_second_shares_and_ends(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_stage, "_extract", lambda *_: None)
    (chain.directory.path / "corpus" / "archives").mkdir()
    (chain.directory.path / "corpus" / "archives" / "plan.json").write_text("{}")
    with first_command(chain):
        with pytest.raises(SharedWorkDoneError):
            chain.run()
        assert lock.helpers_gone(chain.directory.path)


def test_where_the_first_command_dies_the_second_does_the_rest(chain: Chain) -> None:
    with first_command(chain) as process:
        threading.Timer(3, process.kill).start()
        chain.run(("problems", "model", "corpus"))
    assert read_manifest(chain.directory.path / "corpus") is not None and chain.is_finished("corpus")
    assert not list(chain.directory.path.glob(f"corpus.{time.strftime('%Y')}*"))


@pytest.mark.parametrize("other", [{"min_words": 21}, None])
def test_a_command_for_another_corpus_or_at_another_stage_has_to_wait(chain: Chain, other: dict[str, int]) -> None:
    with first_command(chain, at="corpus" if other else "sft"):
        changed = chain
        if other:
            assert chain.recipe.corpus is not None
            corpus = dataclasses.replace(chain.recipe.corpus, **other)
            changed = Chain(dataclasses.replace(chain.recipe, corpus=corpus), chain.directory.path)
        with pytest.raises(lock.InUseError):
            changed.run(("problems", "model", "corpus"))
