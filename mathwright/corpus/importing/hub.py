"""Data sets of the Hugging Face hub: the files of a layout, fetched into the hub's own cache."""

from __future__ import annotations

from pathlib import Path

from mathwright.corpus.importing.layouts import Layout
from mathwright.errors import MathwrightError


def fetch(repository: str, layout: Layout, subset: str) -> Path:
    """The folder of a data set `owner/name`, of which the files of the layout (or of one subset) are there.

    Raises MathwrightError where it does not exist, is gated, or cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    globs = layout.subsets.get(subset) or tuple(g for own in layout.subsets.values() for g in own) or layout.globs
    # The hub's patterns know no folders: `*` fits a slash too.
    patterns = sorted({glob.replace("**/*", "*").replace("**", "*") for glob in globs})
    try:
        return Path(snapshot_download(repository, repo_type="dataset", allow_patterns=patterns))
    except GatedRepoError as error:
        raise MathwrightError(
            f"{repository} is gated on the hub",
            hint=f"accept its terms at https://huggingface.co/datasets/{repository}, then `hf auth login`",
        ) from error
    except RepositoryNotFoundError as error:
        raise MathwrightError(
            f"{repository}: no such folder, and no such data set on the hub", hint="check the path or the name"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise MathwrightError(
            f"{repository} cannot be fetched: {error}", hint="check the path or the network; the command resumes"
        ) from error
