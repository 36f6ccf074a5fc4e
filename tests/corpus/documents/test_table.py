"""The same expressions on this machine's cores and on a Ray cluster give the same corpus."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import daft
import numpy as np
import pytest

from mathwright.corpus.documents.compute import DocumentWriter, read_rows, to_row
from mathwright.corpus.documents.table import compute, set_runner
from mathwright.errors import MathwrightError
from mathwright.records import Document
from tests.corpus.test_stage import run_stage, web  # noqa: F401 (fixture)


def test_every_row_is_computed_once_and_named(tmp_path):
    path = tmp_path / "pages.parquet"
    with DocumentWriter(path) as writer:
        for i in range(3000):  # several row groups; five records share an offset, two of them a URL
            writer.write(
                to_row(Document(url=f"u{i % 2999}", title="", text="x" * i, archive="a", offset=i % 2999 // 5))
            )
    found = np.full(3000, -1)
    for rows, values in compute(path, length=daft.col("text").length()):
        assert (found[rows] == -1).all()
        found[rows] = values.column("length").to_numpy()
    assert sorted(found.tolist()) == list(range(3000))
    texts = [len(row["text"]) for row in read_rows(path, ["text"])]
    twice = {0, 2999}  # which of the two records with one key comes first is not said
    assert [f for i, f in enumerate(found.tolist()) if i not in twice] == [
        t for i, t in enumerate(texts) if i not in twice
    ]


STAGE = """
import sys
from pathlib import Path
import daft, ray
from ray.cluster_utils import Cluster
from mathwright.corpus.documents.table import set_runner
from mathwright.corpus.stage import run
from tests.corpus.test_stage import run_stage

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False)
set_runner("ray", cluster.address)
assert len([node for node in ray.nodes() if node["Alive"]]) == 2
run_stage(Path(sys.argv[1]), Path(sys.argv[2]))
assert daft.get_or_create_runner().name == "ray"
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_two_ray_workers_give_the_corpus_of_the_native_engine(web, tmp_path):  # noqa: F811
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root), "DAFT_PROGRESS_BAR": "0", "RAY_AUTH_MODE": "disabled"}
    run_stage(web, tmp_path / "native")
    assert daft.get_or_create_runner().name == "native"
    done = subprocess.run(
        [sys.executable, "-c", STAGE, str(web), str(tmp_path / "ray")],
        env=environment, cwd=root, capture_output=True, text=True, timeout=540,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    native, ray = (tmp_path / runner / "corpus" for runner in ("native", "ray"))
    for name in ("shards/train/shard-00000.bin", "shards/heldout/shard-00000.bin", "quality/sheet.jsonl"):
        assert (native / name).read_bytes() == (ray / name).read_bytes()
    rows = [list(read_rows(folder / "pool" / "pool.parquet")) for folder in (native, ray)]
    assert rows[0] == rows[1]
    iterations = [json.loads((f / "manifest.json").read_text())["summary"]["iterations"] for f in (native, ray)]
    assert iterations[0] == iterations[1]


def test_a_runner_that_is_not_there_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MathwrightError, match="needs Ray"):
        set_runner("ray")
    set_runner("native")
