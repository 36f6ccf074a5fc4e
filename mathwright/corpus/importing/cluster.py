"""The jobs of an import on a Ray cluster: each a task on any of its nodes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mathwright.corpus.documents.table import require_ray
from mathwright.errors import MathwrightError

ATTEMPTS = 2
"""Times that a job is tried whose process dies, or whose node."""


class RayCrew:
    """What `crew.Crew` is on this machine. Every node sees what is read and written under the same paths."""

    def __init__(self, out: Path, jobs: Sequence[dict[str, Any]], advance: Callable[[int], None], address: str) -> None:
        """address: ray://HOST:10001; "" is the cluster this machine belongs to, or a new one on this machine.

        Raises MathwrightError where Ray is missing or there is no such cluster.
        """
        self.out, self.jobs, self.advance = out.resolve(), jobs, advance
        require_ray()
        import ray
        import ray.exceptions

        if not ray.is_initialized():
            try:
                ray.init(address or None, log_to_driver=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise MathwrightError(
                    f"no Ray cluster at {address or 'this machine'}: {error}",
                    hint="start one with `ray start --head`, or leave --ray-address away for one on this machine",
                ) from error
        self.ray = ray

    def work(self) -> None:
        """Until all jobs are done. Raises what a job met; the others are cancelled then."""
        do = self.ray.remote(max_retries=ATTEMPTS - 1)(_do)
        running = {do.remote(str(self.out), job): job for job in self.jobs}
        try:
            while running:
                (done,), _ = self.ray.wait(list(running), num_returns=1)
                self.advance(self._result(done, running.pop(done)))
        finally:
            for task in running:
                self.ray.cancel(task, force=True)

    def _result(self, done: Any, job: Mapping[str, Any]) -> int:
        try:
            return self.ray.get(done)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except self.ray.exceptions.RayError as error:
            raise MathwrightError(
                f"job {job['number']} ended {ATTEMPTS} workers: {error}",
                hint=f"its files are in {self.out / 'work' / 'plan.json'}; is there memory enough on the nodes?",
            ) from error


def _do(out: str, job: dict[str, Any]) -> int:
    """One job, in a process of the cluster; the rows it read."""
    worker, rows = _worker(out)
    rows.clear()
    worker.do(job)
    return sum(rows)


@functools.lru_cache(maxsize=1)
def _worker(out: str) -> tuple[Any, list[int]]:
    """What a process keeps between its jobs, and the rows that it told of."""
    from mathwright.corpus.importing.worker import Worker

    rows: list[int] = []
    return Worker(Path(out), rows.append), rows
