"""The comparison of corpora: a part of the stage for each, finished ones kept, the same under several processes."""

import json
from pathlib import Path

import pytest
import torch

from mathwright.lm.load import load
from mathwright.lm.shards import TokenShards
from mathwright.pretrain import train
from mathwright.run import read_manifest, read_manifests, read_metrics
from tests import warm
from tests.chain.compare_worker import NAMES, compare, write_inputs


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_inputs(folder)
    compare(folder, folder / "run")
    return folder


def weights(run: Path, name: str) -> dict[str, torch.Tensor]:
    return load(run / "compare" / name / "model", dtype="float32").model.state_dict()


def test_comparison_gives_each_corpus_the_same_tokens_and_ranks_the_fitting_one_first(compared: Path) -> None:
    manifest = read_manifest(compared / "run" / "compare")
    assert manifest is not None
    like, noise = manifest["summary"]["table"]
    assert like["num_tokens"] == noise["num_tokens"]
    assert like["bits_per_byte_before"] == noise["bits_per_byte_before"]
    assert like["bits_per_byte_after"] < noise["bits_per_byte_after"]


def test_each_corpus_has_a_model_and_metrics_of_its_own(compared: Path) -> None:
    stage = compared / "run" / "compare"
    manifest = read_manifest(stage)
    assert manifest is not None
    assert manifest["outputs"] == {name: f"compare/{name}/model" for name in NAMES}
    assert set(read_manifests(stage)) == set(NAMES)
    assert all(list(read_metrics(stage / name)) for name in NAMES)


def test_a_stopped_comparison_goes_on_with_the_corpus_it_was_at(
    compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    class Stopping(TokenShards):
        def __init__(self, path: Path | str) -> None:
            super().__init__(path)
            opened.append(Path(path).name)
            if Path(path).name == "noise" and not (tmp_path / "again").exists():
                raise KeyboardInterrupt

    monkeypatch.setattr(train, "TokenShards", Stopping)
    with pytest.raises(KeyboardInterrupt):
        compare(compared, tmp_path / "run")
    assert (tmp_path / "run" / "compare" / "noise" / "clock.json").is_file(), "its time counts"
    (tmp_path / "again").touch()
    opened.clear()
    compare(compared, tmp_path / "run")
    assert "noise" in opened and "like" not in opened
    for name in NAMES:
        torch.testing.assert_close(weights(tmp_path / "run", name), weights(compared / "run", name), rtol=0, atol=0)


@pytest.mark.slow
def test_two_processes_compare_as_one(compared: Path, tmp_path: Path) -> None:
    def torchrun() -> str:
        done = warm.torchrun("-m", "tests.chain.compare_worker", str(compared), str(tmp_path / "run"))
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stderr

    torchrun()
    assert torchrun().count("finished before, skipped") == len(NAMES), "said by one process"
    for name in NAMES:
        torch.testing.assert_close(weights(tmp_path / "run", name), weights(compared / "run", name), rtol=0, atol=1e-5)
    manifest = json.loads((tmp_path / "run" / "compare" / "manifest.json").read_text())
    assert [row["corpus"] for row in manifest["summary"]["table"]] == list(NAMES)
