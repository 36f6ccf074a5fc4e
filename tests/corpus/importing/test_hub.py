"""Data sets of the hub: only the files of the layout are asked for, and what stands in the way is said."""

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from mathwright.corpus.importing import hub
from mathwright.corpus.importing.layouts import find_layout
from mathwright.corpus.importing.plan import Options
from mathwright.corpus.importing.run import import_corpus
from mathwright.errors import MathwrightError
from tests.corpus.importing.publishers import PUBLISHERS


def test_the_files_of_a_layout_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    def download(repository: str, *, repo_type: str, allow_patterns: list[str]) -> str:
        assert repo_type == "dataset"
        asked.append((repository, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    PUBLISHERS["openwebmath"](tmp_path)
    import_corpus(Options(layout="openwebmath", path="open-web-math/open-web-math"), tmp_path / "out")
    hub.fetch("EleutherAI/proof-pile-2", find_layout("proof_pile_2"), "arxiv")
    hub.fetch("a/b", find_layout("text"), "")
    assert asked == [
        ("open-web-math/open-web-math", ["data/train-*"]),
        ("EleutherAI/proof-pile-2", ["arxiv/*"]),
        ("a/b", ["*"]),
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GatedRepoError, "GAIR/MathPile is gated on the hub"),
        (RepositoryNotFoundError, "no such folder, and no such data set"),
        (ConnectionError, "cannot be fetched"),
    ],
)
def test_what_stands_in_the_way_is_said(error: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise error.__new__(error)  # the hub's errors are made of a response

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(MathwrightError, match=message):
        hub.fetch("GAIR/MathPile", find_layout("mathpile"), "")
