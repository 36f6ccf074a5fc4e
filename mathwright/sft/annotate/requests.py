"""requests.jsonl: each reply of the teacher with its tokens, seconds and price. Resume and ledger in one.

    {"kind": "settings", ...}                                    the first line: what the requests are made with
    {"kind": "reply", "key": "p7#0", "round": 0, "text": ...}    a reply of a server, before its program is run
    {"kind": "answer", "key": "p7#0", "text": ...}               a whole response, programs and outputs included

A killed annotation asks for nothing twice: whole responses are read back, and of one that was under way the replies
are given back to the engine, whose programs run again and print the same.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathwright.engines.engine import Answer
from mathwright.engines.server_replies import Reply
from mathwright.errors import MathwrightError
from mathwright.files import append_line, whole_lines
from mathwright.lines import json_text
from mathwright.sft.annotate.settings import AnnotateSettings
from mathwright.sft.folder import PROBLEMS, SOLUTIONS

LOG = "requests.jsonl"


class RequestLog:
    """The log of a folder; a `mathwright.engines.server.Recorder`."""

    def __init__(self, folder: Path, settings: AnnotateSettings, engine_name: str) -> None:
        """Read what an earlier call has left. Raises MathwrightError where it was made with other settings, is damaged
        in the middle, or the folder holds solutions from elsewhere."""
        self._path = folder / LOG
        self._settings = settings
        self._replies: dict[tuple[str, int], Reply] = {}
        self._answers: dict[str, Answer] = {}
        self._lock = threading.Lock()
        self._under_way = 0
        self._known: Mapping[str, Any] | None = None
        self.cost = 0.0
        self.tokens: Counter[str] = Counter()
        self.num_requests = self.num_new = 0
        self.seconds = 0.0
        self.stopped = False
        """Whether a request was not sent because of its price."""
        self._models: dict[str, str] = {}
        self._spent: dict[str, Counter[str]] = {}
        for number, line in enumerate(whole_lines(self._path), start=1):
            self._read(number, line)
        fixed = {"kind": "settings", **settings.fixed(engine_name)}
        if self._known is None:
            if any((folder / name).exists() for name in (PROBLEMS, SOLUTIONS)):
                raise MathwrightError(
                    f"{folder} holds solutions that no teacher was asked for",
                    hint="choose another --out: its files would be written over",
                )
            append_line(self._path, json_text(fixed))
        elif self._known != fixed:
            changed = [k for k in fixed if self._known.get(k) != fixed[k]]
            raise MathwrightError(
                f"{folder} holds solutions asked for in another way ({', '.join(changed)})",
                hint="choose another --out, or give the same settings",
            )

    def _read(self, number: int, line: str) -> None:
        try:
            row = json.loads(line)
            kind = row.pop("kind")
            if kind == "settings":
                self._known = {"kind": kind, **row}
            elif kind == "reply":
                reply = Reply(**row["reply"])
                self._replies[row["key"], row["round"]] = reply
                self._count(row["key"], reply, row["seconds"])
            elif kind == "answer":
                self._answers[row["key"]] = Answer(**row["answer"])
                if not row["counted"]:
                    self._count_answer(row["key"], self._answers[row["key"]])
        except (ValueError, KeyError, TypeError) as error:
            raise MathwrightError(
                f"{self._path}:{number}: not a line of a request log: {error}",
                hint="remove this line: it is asked again",
            ) from error

    # -- what a server is asked --

    def earlier(self, key: str, num_rounds: int) -> Reply | None:
        """The reply of an earlier call."""
        return self._replies.get((key, num_rounds))

    def begin(self) -> bool:
        """Whether a request fits under the highest cost, with those under way at the mean price so far."""
        with self._lock:
            highest = self._settings.max_cost
            mean = self.cost / self.num_requests if self.num_requests else 0.0
            if highest is not None and self.cost + mean * (self._under_way + 1) > highest:
                self.stopped = True
                return False
            self._under_way += 1
            return True

    def fail(self) -> None:
        """A request that was under way got no reply."""
        with self._lock:
            self._under_way -= 1

    def record(self, key: str, num_rounds: int, reply: Reply, seconds: float) -> None:
        """Keep a reply, at once: it is paid for."""
        with self._lock:
            self._under_way -= 1
            self._replies[key, num_rounds] = reply
            price = self._count(key, reply, seconds)
            self.num_new += 1
            row = {
                "kind": "reply", "key": key, "round": num_rounds, "seconds": round(seconds, 3), "price": price,
                "reply": dataclasses.asdict(reply),
            }  # fmt: skip
            append_line(self._path, json_text(row))

    def take(self, key: str, reply: Reply) -> None:
        """Keep a reply that came by another way: out of a batch file."""
        with self._lock:
            self._under_way += 1
        self.record(key, 0, reply, 0.0)

    def _count(self, key: str, reply: Reply, seconds: float) -> float:
        settings = self._settings
        cached = settings.price_in if settings.price_cached is None else settings.price_cached
        price = (
            (reply.num_prompt_tokens - reply.num_cached_tokens) * settings.price_in
            + reply.num_cached_tokens * cached
            + reply.num_tokens * settings.price_out
        ) / 1e6
        self.cost += price
        self.num_requests += 1
        self.seconds += seconds
        self.tokens.update(prompt=reply.num_prompt_tokens, cached=reply.num_cached_tokens, written=reply.num_tokens)
        self._spend(key, price, reply.num_prompt_tokens, reply.num_tokens)
        if reply.model:
            self._models[key] = reply.model
        return price

    def _spend(self, key: str, price: float, prompt: int, written: int) -> None:
        row = self._spent.setdefault(key, Counter())
        row.update({"requests": 1, "prompt": prompt, "written": written, "cost": price})  # type: ignore[dict-item]

    def spent(self, keys: Sequence[str]) -> dict[str, float]:
        """Requests, tokens and price of some responses together."""
        rows = [self._spent.get(key, Counter()) for key in keys]
        return {name: float(sum(row[name] for row in rows)) for name in ("requests", "prompt", "written", "cost")}

    # -- whole responses --

    def answer(self, key: str) -> Answer | None:
        """A whole response of an earlier call, or of this one."""
        return self._answers.get(key)

    def keep(self, key: str, answer: Answer) -> None:
        """Keep a whole response. Of an engine without requests its tokens are counted here."""
        with self._lock:
            counted = (key, 0) in self._replies
            self._answers[key] = answer
            if not counted:
                self.num_new += 1
                self._count_answer(key, answer)
            row = {"kind": "answer", "key": key, "counted": counted, "answer": dataclasses.asdict(answer)}
            append_line(self._path, json_text(row))

    def _count_answer(self, key: str, answer: Answer) -> None:
        price = answer.num_tokens * self._settings.price_out / 1e6
        self.num_requests += 1
        self.tokens["written"] += answer.num_tokens
        self.cost += price
        self._spend(key, price, 0, answer.num_tokens)

    def model_of(self, key: str) -> str:
        """The model that wrote a response, as the server names it; "" where it does not."""
        return self._models.get(key, "")
