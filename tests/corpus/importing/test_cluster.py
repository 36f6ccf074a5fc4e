"""An import on a Ray cluster of two nodes makes what it makes on this machine."""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from mathwright.cli import main
from mathwright.corpus.archive.remote import MissingArchiveError
from mathwright.corpus.importing.plan import Options
from mathwright.corpus.importing.run import import_corpus
from mathwright.errors import MathwrightError
from tests.corpus.importing.publishers import PUBLISHERS
from tests.corpus.importing.test_run import summary, tree

IMPORT = """
import sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from mathwright.cli import main
from mathwright.corpus.importing.cluster import RayCrew
from mathwright.errors import MathwrightError

out, arguments = Path(sys.argv[1]), sys.argv[2:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False)
assert len([node for node in ray.nodes() if node["Alive"]]) == 2
main(["corpus", "import", *arguments, "--out", str(out), "--runner", "ray"])

def fails():
    raise MathwrightError("the file is damaged", hint="fetch it again")

crew = RayCrew(out, [], lambda rows: None, "")
try:
    crew._result(ray.remote(fails).remote(), {"number": 0})
except MathwrightError as error:
    assert (error.message, error.hint) == ("the file is damaged", "fetch it again"), error
else:
    raise AssertionError("the error of a job is the import's")
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_two_ray_workers_import_what_this_machine_does(tmp_path: Path, tokenizer: Path) -> None:
    PUBLISHERS["proof_pile_2"](tmp_path / "in")
    arguments = ["proof_pile_2", str(tmp_path / "in"), "--tokenizer", str(tokenizer), "--heldout-share", "0.2"]
    main(["corpus", "import", *arguments, "--out", str(tmp_path / "native")])
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, str(tmp_path / "ray"), *arguments],
        env={**os.environ, "PYTHONPATH": str(root), "RAY_AUTH_MODE": "disabled"},
        cwd=root, capture_output=True, text=True, timeout=540,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert tree(tmp_path / "ray") == tree(tmp_path / "native")
    assert summary(tmp_path / "ray") == summary(tmp_path / "native")


def test_a_runner_that_is_not_there_is_an_error_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PUBLISHERS["finemath"](tmp_path / "in")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MathwrightError, match="needs Ray"):
        import_corpus(Options(layout="finemath", path=str(tmp_path / "in")), tmp_path / "out", runner="ray")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [MathwrightError, MissingArchiveError])
def test_an_error_of_another_process_is_the_same_error(kind: type[MathwrightError]) -> None:
    error = pickle.loads(pickle.dumps(kind("a file is missing", hint="fetch it")))
    assert type(error) is kind and (error.message, error.hint) == ("a file is missing", "fetch it")
    assert str(error) == "a file is missing (hint: fetch it)"
