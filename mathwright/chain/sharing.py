"""Two commands that are to make the same corpus share the extraction of its archives; all else one of them does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mathwright.chain.context import Context
from mathwright.run import Stage, lock


def reaches_corpus(context: Context) -> bool:
    """Wait until the command that holds the run is at the corpus; False where it makes none, or another one."""
    run, mark = context.directory.path, context.mark("corpus")
    while (found := lock.holder(run)).get("corpus") == mark and lock.is_held(run):
        if found["at"] not in ("problems", "model"):
            return found["at"] == "corpus"
        time.sleep(0.3)
    return False


@contextmanager
def joined_corpus(context: Context) -> Iterator[Stage]:
    """The corpus stage of a run that another command holds. Raises lock.InUseError where that is at another one."""
    run, mark = context.directory.path, context.mark("corpus")
    with lock.help_with(run):
        found = lock.holder(run)
        if (found.get("at"), found.get("corpus")) != ("corpus", mark):
            raise lock.in_use(run)
        yield Stage("corpus", run / "corpus", mark)
