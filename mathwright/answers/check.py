"""Judge answers: read both, compare exactly, and ask a worker only where expressions must be worked out."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, cast

from mathwright.answers.compare import SPELLING, Spelling, compare
from mathwright.answers.extract import extract_answer
from mathwright.answers.normalise import clean
from mathwright.answers.numbers import Quantity
from mathwright.answers.pool import shared_pool
from mathwright.answers.structure import UnreadableError, parse
from mathwright.children import WorkerDiedError, WorkerTimeoutError
from mathwright.records import Verdict, VerdictStatus

_MARKERS = ("\\boxed", "\\fbox", "answer", "Answer", "####", "答案")


def check_answer(prediction: str, reference: str, *, timeout_s: float = 5, rel_tolerance: float = 0.0) -> Verdict:
    """Whether a final answer equals the reference answer; the rules stand in `compare.py`.

    Neither text is ever evaluated. Most answers are decided in microseconds by exact arithmetic in this process;
    the others by a worker that is killed after `timeout_s` seconds (status `timeout`, which also stands for a
    worker that ran out of memory). A reference that cannot be read gives `unparsable_reference`: do not score it.
    Either text may still be wrapped (`$...$`, `\\boxed{}`, "the answer is ..."). May be called from any thread.

    `rel_tolerance` is for benchmarks whose own scorer has one: numbers are then the same, alone or as parts of an
    answer, where |prediction - reference| <= rel_tolerance |reference|. It is the one rule that is not symmetric.

    Raises ValueError for a negative tolerance.
    """
    verdict = _check_here(prediction, reference, rel_tolerance)
    return verdict if verdict is not None else _ask_worker(prediction, reference, timeout_s, rel_tolerance)


async def check_answer_async(
    prediction: str, reference: str, *, timeout_s: float = 5, rel_tolerance: float = 0.0
) -> Verdict:
    """`check_answer` for coroutines: the event loop goes on while threads compare and wait for workers."""
    verdict = await asyncio.to_thread(_check_here, prediction, reference, rel_tolerance)
    if verdict is not None:
        return verdict
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_waiting(), _ask_worker, prediction, reference, timeout_s, rel_tolerance)


def check_response(response: str, reference: str, *, timeout_s: float = 5, rel_tolerance: float = 0.0) -> Verdict:
    """Whether the final answer of a response equals the reference; without one, `unparsable_prediction`."""
    answer = extract_answer(response)
    if answer is None:
        status = "unparsable_prediction" if _readable(reference) else "unparsable_reference"
        return _verdict(status, "", reference, "none")
    return check_answer(answer, reference, timeout_s=timeout_s, rel_tolerance=rel_tolerance)


def check_responses(
    pairs: Iterable[tuple[str, str]], *, timeout_s: float = 5, rel_tolerance: float = 0.0
) -> list[Verdict]:
    """`check_response` for many pairs (response, reference), in their order, over all workers at once.

    Equal pairs of answers are compared once.
    """
    answers = [(extract_answer(response), reference) for response, reference in pairs]
    distinct = list(dict.fromkeys(answers))
    verdicts: dict[tuple[str | None, str], Verdict | None] = {
        (answer, reference): check_response("", reference)
        if answer is None
        else _check_here(answer, reference, rel_tolerance)
        for answer, reference in distinct
    }
    open_pairs = [cast("tuple[str, str]", pair) for pair, verdict in verdicts.items() if verdict is None]
    if open_pairs:
        with ThreadPoolExecutor(max_workers=shared_pool().num_workers) as threads:
            worked_out = threads.map(lambda pair: _ask_worker(pair[0], pair[1], timeout_s, rel_tolerance), open_pairs)
            verdicts.update(zip(open_pairs, worked_out, strict=True))
    return [cast(Verdict, verdicts[pair]) for pair in answers]


def _check_here(prediction: str, reference: str, rel_tolerance: float) -> Verdict | None:
    """The verdict by exact comparison in this process, or None where a worker must decide."""
    if rel_tolerance < 0:
        raise ValueError(f"rel_tolerance must be 0 or more, not {rel_tolerance}")
    prediction_text, reference_text = _unwrapped(prediction), _unwrapped(reference)
    try:
        right = parse(reference_text)
    except (UnreadableError, RecursionError):
        return _verdict("unparsable_reference", prediction, reference, "none")
    try:
        left = parse(prediction_text)
    except (UnreadableError, RecursionError):
        return _verdict("unparsable_prediction", prediction, reference, "none")
    if left == right:
        method = "string" if clean(prediction_text) == clean(reference_text) else "structure"
        return _verdict("correct", prediction, reference, method)
    decision = compare(left, right, Spelling(Fraction(str(rel_tolerance))) if rel_tolerance else SPELLING)
    if decision is None:
        return None
    method = "number" if isinstance(left, Quantity) and isinstance(right, Quantity) else "structure"
    return _verdict("correct" if decision else "incorrect", prediction, reference, method)


def _ask_worker(prediction: str, reference: str, timeout_s: float, rel_tolerance: float) -> Verdict:
    job: dict[str, Any] = {
        "prediction": _unwrapped(prediction),
        "reference": _unwrapped(reference),
        "timeout_s": timeout_s,
        "rel_tolerance": rel_tolerance,
    }
    try:
        reply = shared_pool().ask(job, timeout_s)
    except WorkerTimeoutError:
        return _verdict("timeout", prediction, reference, "symbolic")
    except WorkerDiedError:
        return _verdict("timeout", prediction, reference, "died")
    return _verdict(reply["status"], prediction, reference, reply["method"])


_threads: ThreadPoolExecutor | None = None
_threads_lock = threading.Lock()


def _waiting() -> ThreadPoolExecutor:
    """Threads in which coroutines wait for a worker: their own, for a hang must not use up the loop's."""
    global _threads
    with _threads_lock:
        if _threads is None:
            _threads = ThreadPoolExecutor(shared_pool().num_workers, thread_name_prefix="answers")
        return _threads


def _after_fork_in_child() -> None:
    global _threads, _threads_lock
    _threads, _threads_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)


def _unwrapped(text: str) -> str:
    if any(marker in text for marker in _MARKERS):
        return extract_answer(text) or text
    return text


def _readable(reference: str) -> bool:
    try:
        parse(_unwrapped(reference))
    except (UnreadableError, RecursionError):
        return False
    return True


def _verdict(status: str, prediction: str, reference: str, method: str) -> Verdict:
    return Verdict(status=cast(VerdictStatus, status), prediction=prediction, reference=reference, method=method)
