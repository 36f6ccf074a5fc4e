"""Texts of one's own as token shards: what `text:PATH` in a mixture names, imported before the training begins."""

from __future__ import annotations

from pathlib import Path

from mathwright.corpus.importing.layouts import choose_files, find_layout
from mathwright.errors import MathwrightError
from mathwright.files import content_mark
from mathwright.pretrain.recipe import MixtureRecipe
from mathwright.run import Stage

TEXT = "text:"
FOLDER = "texts"
"""In the folder of the stage, with a folder for each component."""
HELDOUT_SHARE = 0.02
"""Of the documents, by which bits per byte are measured."""


def is_text(path: str) -> bool:
    """Whether a component of a mixture names texts, not shards."""
    return path.startswith(TEXT)


def named(path: str) -> tuple[str, str]:
    """The files that text:PATH or text:PATH:COLUMN names, and the column."""
    body = path.removeprefix(TEXT)
    files, colon, column = body.rpartition(":")
    return (files, column) if colon and column.isidentifier() else (body, "")


def require_texts(path: str) -> None:
    """Raise MathwrightError where there is no file of texts."""
    files, column = named(path)
    try:
        choose_files(find_layout("text", column), Path(files).expanduser())
    except MathwrightError as error:
        raise MathwrightError(f"the texts {error.message}", hint=error.hint) from error


def texts_mark(path: str) -> str:
    """What tells the texts from others."""
    files, column = named(path)
    return content_mark(choose_files(find_layout("text", column), Path(files).expanduser()).chosen)


def shards_of(component: MixtureRecipe, stage: Stage, *, tokenizer: str, seed: int) -> tuple[Path, Path | None]:
    """(token shards, held-out shards or None) of the texts that a component names; made by the first process.

    An import that was stopped is resumed. Raises MathwrightError where there is nothing to read.
    """
    from mathwright.corpus.importing.plan import Options
    from mathwright.corpus.importing.run import import_corpus
    from mathwright.lm import parallel

    folder = stage.path / FOLDER / component.name
    files, column = named(component.path)
    if stage.writes:
        options = Options(
            layout="text", path=files, text_column=column, tokenizer=tokenizer, heldout_share=HELDOUT_SHARE, seed=seed
        )
        import_corpus(options, folder)
    parallel.barrier(parallel.world())
    heldout = folder / "heldout"
    return folder / "shards", heldout if any(heldout.glob("*.json")) else None


def heldout_beside(shards: Path) -> Path | None:
    """The held-out shards that `mathwright corpus import --heldout-share` writes beside the shards, if it did."""
    heldout = shards.parent / "heldout"
    return heldout if any(heldout.glob("shard-*.json")) else None
