"""Batch files of OpenAI's interface: requests that a server answers within a day, at a lower price."""

from __future__ import annotations

import json
from pathlib import Path

from mathwright.engines.server_replies import parse_reply
from mathwright.errors import MathwrightError
from mathwright.files import write_lines
from mathwright.lines import json_text
from mathwright.problems.rows import read_rows
from mathwright.sft.annotate.requests import RequestLog
from mathwright.sft.annotate.run import Annotation
from mathwright.sft.annotate.settings import request_key


def write_batch(annotation: Annotation, path: Path) -> int:
    """Write what is to be asked first, and has no reply yet, as a batch file of OpenAI's interface; returns how many.

    Raises MathwrightError where the teacher is no server, or solutions run programs while they are written.
    """
    line = getattr(annotation.engine, "batch_line", None)
    if line is None or annotation.settings.format == "tool":
        raise MathwrightError(
            "batch files hold single requests to a server", hint="--base-url, and --format cot or pot"
        )
    todo = [
        annotation.request(one, sample)
        for one in annotation.asked
        for sample in range(annotation.settings.samples)
        if annotation.requests.answer(request_key(one.problem.id, sample)) is None
    ]
    return write_lines(path, (json_text(line(request)) for request in todo))


def read_batch(log: RequestLog, path: Path) -> tuple[int, int]:
    """Take the replies of a batch's result file into the log; (taken, failed). A key that has a reply keeps it.

    Raises MathwrightError for a file that is none.
    """
    taken = failed = 0
    for number, row in read_rows(path):
        response, key = row.get("response"), row.get("custom_id")
        if not isinstance(key, str):
            raise MathwrightError(f"{path}:{number}: no custom_id", hint="name the result file of a batch")
        if not isinstance(response, dict) or response.get("status_code") != 200 or row.get("error"):
            failed += 1
        elif log.earlier(key, 0) is None:
            log.take(key, parse_reply(json.dumps(response.get("body")).encode()))
            taken += 1
    return taken, failed
