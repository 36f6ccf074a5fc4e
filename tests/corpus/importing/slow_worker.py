"""A worker of an import that says that it has begun a job and then takes its time."""

import time
from pathlib import Path

from mathwright.children import say
from mathwright.corpus.importing import worker


def slow(self: worker.Worker, number: int, output: Path) -> None:
    say(rows=1)
    time.sleep(600)


worker.Worker.read = slow
worker.main()
