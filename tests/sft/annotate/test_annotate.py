"""A teacher behind a server that misbehaves: each response is kept, or set aside with its reason; nothing is asked or
paid for twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mathwright.engines.choose import EngineOptions, open_engine
from mathwright.errors import MathwrightError
from mathwright.lines import file_lines
from mathwright.records import Problem, Solution, read_jsonl
from mathwright.run import read_manifest
from mathwright.sft.annotate import batch, forecast
from mathwright.sft.annotate.requests import LOG, RequestLog
from mathwright.sft.annotate.run import Annotation
from mathwright.sft.annotate.settings import AnnotateSettings
from mathwright.tools.sandbox import Sandbox
from tests import warm
from tests.engines.fake_server import FakeServer, serving
from tests.sft.annotate.teacher import BEHAVIOURS, PROBLEMS, SHOWN, problem, problem_file, program, rejected, write


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def opened(
    out: Path,
    server: FakeServer,
    problems: list[Problem],
    *,
    num_concurrent: int = 4,
    max_retries: int = 2,
    **values: Any,
) -> Annotation:
    out.mkdir(parents=True, exist_ok=True)
    defaults = {
        "teacher": "teacher",
        "samples": 1,
        "max_new_tokens": 2000,
        "program_timeout_s": 1.0,
        "max_tool_rounds": 2,
    }
    settings = AnnotateSettings(**{**defaults, **values})
    log = RequestLog(out, settings, "server")
    options = EngineOptions(
        name="server",
        base_url=server.base_url,
        dtype="float32",
        num_concurrent=num_concurrent,
        timeout_s=10,
        max_retries=max_retries,
    )
    engine = open_engine(settings.teacher, options, recorder=log)
    return Annotation(problems, out, settings, engine, log, find_contaminated=values.get("find"))


def annotated(
    out: Path, server: FakeServer, problems: list[Problem], sandbox: Sandbox, **values: Any
) -> dict[str, Any]:
    annotation = opened(out, server, problems, **values)
    annotation.draw(sandbox)
    return annotation.finish()


def solutions(out: Path) -> list[Solution]:
    return list(read_jsonl(out / "solutions.jsonl", Solution))


# --- reasons ---


def ignoring_stop_strings(number: int, body: dict[str, Any]) -> bytes | None:
    """A server that knows no stop strings lets the teacher write an output block to its end."""
    if "forging" not in body["messages"][-1]["content"]:
        return None
    choice = {"message": {"content": BEHAVIOURS["forging"][0]("", 0)}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice]}).encode()


def test_every_misbehaviour_has_its_reason(tmp_path: Path, sandbox: Sandbox) -> None:
    with serving(write, faults=ignoring_stop_strings) as server:
        annotated(tmp_path, server, PROBLEMS, sandbox)
    reasons = {row["problem_id"]: row["reason"] for row in rejected(tmp_path)}
    expected = {p.id: reason for p, (_, reason) in zip(PROBLEMS, BEHAVIOURS.values(), strict=True)}
    assert {**dict.fromkeys(expected, ""), **reasons} == expected
    [kept] = solutions(tmp_path)
    assert [part.kind for part in kept.parts] == ["text", "code", "output", "text"]
    assert kept.parts[2].text == "7" and kept.problem_id == "p0"
    manifest = read_manifest(tmp_path)
    assert manifest is not None and manifest["funnels"][1]["num_in"] == len(PROBLEMS)


def test_the_teacher_is_told_of_rounds_and_output(tmp_path: Path, sandbox: Sandbox) -> None:
    with serving(write) as server:
        annotated(tmp_path, server, PROBLEMS[:1], sandbox, max_tool_rounds=3, max_output_chars=99)
    asked = server.requests[0]["messages"][-1]["content"]
    assert "at most 3 programs" in asked and "at most 99 characters" in asked
    assert "\\boxed{}" in asked


def test_another_model_and_broken_replies(tmp_path: Path, sandbox: Sandbox) -> None:
    """Another model's reply is set aside; half a reply, a dropped connection, 429 and 500 are asked again."""

    def reply(model: str) -> bytes:
        choice = {"message": {"role": "assistant", "content": "It is \\boxed{7}."}, "finish_reason": "stop"}
        return json.dumps({"model": model, "choices": [choice]}).encode()

    faults: dict[int, Any] = {
        0: "half",
        1: "drop",
        2: 500,
        3: reply("Teacher-2026-01-01"),
        4: reply("other-model"),
        5: b"{\xff",
        6: b"",
    }
    problems = [problem(f"q{i}", f"{i}: What is 3 plus 4?") for i in range(4)]
    with serving(lambda prompt, seed: "no", faults=lambda number, body: faults.get(number)) as server:
        annotated(tmp_path, server, problems, sandbox, format="cot", num_concurrent=1, max_retries=4)
    assert [s.problem_id for s in solutions(tmp_path)] == ["q0"]
    assert [row["reason"] for row in rejected(tmp_path)] == ["another model", "truncated", "truncated"]


def test_retry_after_is_obeyed(tmp_path: Path, sandbox: Sandbox) -> None:
    import http.server

    times: list[float] = []
    with serving(lambda prompt, seed: "\\boxed{7}") as server:
        handler: Any = server.http.RequestHandlerClass
        plain = handler.answer

        def answer(self: http.server.BaseHTTPRequestHandler, number: int, body: dict[str, Any]) -> None:
            times.append(time.monotonic())
            if number:
                plain(self, number, body)
                return
            self.send_response(429)
            self.send_header("Retry-After", "2")
            self.send_header("Content-Length", "0")
            self.end_headers()

        handler.answer = answer
        annotated(tmp_path, server, [problem("a", "What is 3 plus 4?")], sandbox, format="cot")
    assert times[1] - times[0] >= 1.9, "without it the first pause is half a second"
    assert len(solutions(tmp_path)) == 1


def test_a_server_that_stays_away_is_named_and_what_came_before_stays(tmp_path: Path, sandbox: Sandbox) -> None:
    def faults(number: int, body: dict[str, Any]) -> int | None:
        return 503 if number >= 2 else None

    problems = [problem(f"q{i}", f"{i}: What is 3 plus 4?") for i in range(4)]
    with (
        serving(lambda prompt, seed: "It is \\boxed{7}.", faults=faults) as server,
        pytest.raises(MathwrightError, match="503"),
    ):
        annotated(tmp_path, server, problems, sandbox, format="cot", num_concurrent=1, max_retries=0)
    with serving(lambda prompt, seed: "It is \\boxed{7}.") as server:
        annotated(tmp_path, server, problems, sandbox, format="cot")
        assert len(server.requests) == 2, "two had come before"
    assert len(solutions(tmp_path)) == 4


# --- what is asked ---


def test_problems_that_are_not_asked(tmp_path: Path, sandbox: Sandbox) -> None:
    problems = [
        problem("a", "What is 3 plus 4?"),
        problem("b", "What is  3 plus 4"),
        problem("c", "And this?", answer=""),
        Problem(id="d", question="A test?", answer="7", source="toy", split="test"),
        problem("e", "Contaminated?"),
    ]

    def find(texts: Any) -> list[list[Mapping[str, Any]]]:
        return [[{"task": "gsm8k", "problem_id": "g1"}] if "Contam" in text else [] for _, text in texts]

    with serving(lambda prompt, seed: "It is \\boxed{7}.") as server:
        settings = AnnotateSettings(teacher="teacher", format="cot", samples=1)
        log = RequestLog(tmp_path, settings, "server")
        engine = open_engine(
            "teacher", EngineOptions(name="server", base_url=server.base_url, dtype="float32"), recorder=log
        )
        annotation = Annotation(problems, tmp_path, settings, engine, log, find_contaminated=find)
        annotation.draw(sandbox)
        annotation.finish()
        assert len(server.requests) == 1
    assert Counter(row["reason"] for row in rejected(tmp_path, "problems")) == Counter(
        ["same question", "no answer", "split test", "contaminated: gsm8k"]
    )
    [audit] = [json.loads(line) for line in file_lines(tmp_path / "contamination.jsonl")]
    assert audit["id"] == "e" and audit["problem_id"] == "g1"


def test_adaptive_k(tmp_path: Path, sandbox: Sandbox) -> None:
    """Two ways are kept: an easy problem is asked twice, a hard one up to eight times, twice as often each time."""

    def teacher(prompt: str, seed: int) -> str:
        if "easy" in prompt:
            return f"First {seed} + 1 = {seed + 1}. It is \\boxed{{7}}."
        if "half" in prompt and seed % 2:
            return f"First {seed} + 1 = {seed + 1}. It is \\boxed{{7}}."
        return "It is \\boxed{8}."

    problems = [problem("easy", "easy?"), problem("half", "half?"), problem("hard", "hard?")]
    with serving(teacher) as server:
        summary = annotated(tmp_path, server, problems, sandbox, format="cot", samples=8, keep=2)
        asked = Counter(body["messages"][-1]["content"][:4] for body in server.requests)
    assert asked["easy"] == 2 and asked["hard"] == 8 and 2 <= asked["half"] <= 8
    kept = Counter(s.problem_id for s in solutions(tmp_path))
    assert kept["easy"] == 2 and kept["hard"] == 0
    assert summary["solved"] == len(kept)
    rates = {row["problem_id"]: row for row in map(json.loads, file_lines(tmp_path / "pass_rates.jsonl"))}
    assert rates["hard"] == {"problem_id": "hard", "samples": 8, "right": 0, "kept": 0}


def test_the_same_way_twice_is_a_duplicate(tmp_path: Path, sandbox: Sandbox) -> None:
    def teacher(prompt: str, seed: int) -> str:
        return program(f"{'abc'[seed % 3]} = 3 + 4\nprint({'abc'[seed % 3]})  # {seed}")(prompt, seed)

    with serving(teacher) as server:
        annotated(tmp_path, server, [problem("a", "What is 3 plus 4?")], sandbox, samples=5)
    assert len(solutions(tmp_path)) == 1
    assert [row["reason"] for row in rejected(tmp_path)] == ["duplicate"] * 4


def test_a_vote_answers_problems_without_an_answer(tmp_path: Path, sandbox: Sandbox) -> None:
    def teacher(prompt: str, seed: int) -> str:
        agreed = "8" if seed % 7 == 0 else ("7", "7.0", "14/2")[seed % 3]
        value = agreed if "agreed" in prompt else str(seed)
        return f"Take {seed} + 0 = {seed}. It is \\boxed{{{value}}}."

    problems = [problem("agreed", "agreed?", answer=""), problem("split", "split?", answer="")]
    with serving(teacher) as server:
        annotated(tmp_path, server, problems, sandbox, format="cot", samples=8, vote=True)
    [answered] = list(read_jsonl(tmp_path / "problems.jsonl", Problem))
    assert answered.id == "agreed" and answered.answer in ("7", "7.0", "14/2")
    assert {s.answer for s in solutions(tmp_path)} == {answered.answer}
    assert [row["reason"] for row in rejected(tmp_path, "problems")] == ["no majority"]


# --- cost ---


def test_cost_is_counted_and_bounded(tmp_path: Path, sandbox: Sandbox) -> None:
    """A character is a token of the fake server: each request costs prompt + reply, at a price of 1 a token."""
    problems = [problem(f"q{i}", f"{i}: What is 3 plus 4?") for i in range(20)]
    prices = {"price_in": 1e6, "price_out": 1e6, "format": "cot"}
    with serving(lambda prompt, seed: "It is \\boxed{7}.") as server:
        one = annotated(tmp_path / "one", server, problems[:1], sandbox, **prices)["cost"]
        summary = annotated(tmp_path / "all", server, problems, sandbox, max_cost=5.5 * one, **prices)
        assert summary["stopped_by_cost"] and summary["requests"] == 5
        assert summary["cost"] <= 5.5 * one
        before = len(server.requests)
        summary = annotated(tmp_path / "all", server, problems, sandbox, max_cost=1000 * one, **prices)
        assert len(server.requests) - before == 15, "what was paid for is not asked again"
    assert summary["solutions"] == 20
    rows = [json.loads(line) for line in file_lines(tmp_path / "all" / LOG)]
    replies = [row for row in rows if row["kind"] == "reply"]
    assert sum(row["price"] for row in replies) == pytest.approx(summary["cost"])
    assert all(row["reply"]["num_prompt_tokens"] > 0 for row in replies)


def test_a_price_is_needed_for_a_highest_cost() -> None:
    with pytest.raises(MathwrightError, match="without a price"):
        AnnotateSettings(teacher="t", max_cost=1.0)


def test_a_forecast_asks_twenty_problems_and_keeps_the_replies(tmp_path: Path, sandbox: Sandbox) -> None:
    problems = [problem(f"q{i}", f"{i}: What is 3 plus 4?" + " Please." * (i % 3)) for i in range(60)]
    prices = {"price_in": 1e6, "price_out": 1e6, "format": "cot"}
    with serving(lambda prompt, seed: "It is \\boxed{7}.") as server:
        annotation = opened(tmp_path, server, problems, samples=2, **prices)
        found = forecast.forecast(annotation, sandbox)
        assert len(server.requests) == 40
        assert not (tmp_path / "solutions.jsonl").exists()
        text = forecast.forecast_text(found)
        summary = annotated(tmp_path, server, problems, sandbox, samples=2, **prices)
        assert len(server.requests) == 120
    assert "forecast for 60 problems, from 20" in text
    assert found["requests"]["all"] == 120 and found["cost"]["low"] <= summary["cost"] <= found["cost"]["high"]


def test_batch_files_go_out_and_come_back(tmp_path: Path, sandbox: Sandbox) -> None:
    problems = [problem(f"q{i}", f"{i}: What is 3 plus 4?") for i in range(3)]
    with serving(lambda prompt, seed: "no") as server:
        annotation = opened(tmp_path / "out", server, problems, format="cot", samples=2)
        assert batch.write_batch(annotation, tmp_path / "batch.jsonl") == 6
        lines = [json.loads(line) for line in file_lines(tmp_path / "batch.jsonl")]
        assert {line["url"] for line in lines} == {"/v1/chat/completions"} and lines[0]["body"]["model"] == "teacher"
        results = []
        for place, line in enumerate(lines):
            _, body = server.reply("/v1/chat/completions", {**line["body"]})
            body["choices"][0]["message"]["content"] = f"{place} + 1 = {place + 1}. It is \\boxed{{7}}."
            results.append(
                {"custom_id": line["custom_id"], "response": {"status_code": 200 if place else 500, "body": body}}
            )
        (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in results))
        assert batch.read_batch(annotation.requests, tmp_path / "results.jsonl") == (5, 1)
        annotation.draw(sandbox)
        annotation.finish()
        assert len(server.requests) == 1, "only what had failed is asked"
    assert len(solutions(tmp_path / "out")) == 5
    with serving(write) as server, pytest.raises(MathwrightError, match="batch files hold single requests"):
        batch.write_batch(opened(tmp_path / "tool", server, PROBLEMS), tmp_path / "b.jsonl")


# --- resuming ---


def test_other_settings_are_refused_and_a_damaged_log_is_named(tmp_path: Path, sandbox: Sandbox) -> None:
    with serving(write) as server:
        annotated(tmp_path, server, PROBLEMS[:1], sandbox)
        with pytest.raises(MathwrightError, match="temperature"):
            opened(tmp_path, server, PROBLEMS[:1], temperature=0.1)
        with (tmp_path / LOG).open("a") as log:
            log.write('{"kind": "reply"}\n')
        with pytest.raises(MathwrightError, match=rf"{LOG}:5"):
            opened(tmp_path, server, PROBLEMS[:1])


def files(out: Path) -> dict[str, bytes]:
    names = (
        "problems.jsonl",
        "solutions.jsonl",
        "pass_rates.jsonl",
        "rejected/solutions.jsonl",
        "rejected/problems.jsonl",
    )
    return {name: (out / name).read_bytes() for name in names}


def command(problems: Path, out: Path, server: FakeServer, *more: str) -> list[str]:
    return [
        "-m", "mathwright.cli", "sft", "annotate", str(problems), "--teacher", "teacher",
        "--base-url", server.base_url,
        "--out", str(out), "--samples", "2", "--num-concurrent", "3", "--max-tool-rounds", "2", *more,
    ]  # fmt: skip


def test_killed_in_the_middle_and_resumed_to_the_same_files(tmp_path: Path) -> None:
    names = ("right", "wrong", "failing", "contradicting", "endless", "wordy")
    problems = [problem(f"k{i}", f"{names[i % len(names)]}: what is 3 plus 4, again {i}?") for i in range(12)]
    file = problem_file(tmp_path, problems)

    def slowly(prompt: str, seed: int) -> str:
        time.sleep(0.1)
        return write(prompt, seed)

    with serving(slowly) as server:
        assert warm.run(*command(file, tmp_path / "whole", server)).returncode == 0
        num_whole = len(server.requests)
    with serving(slowly) as server:
        for lines in (4, 20):
            run = warm.start(*command(file, tmp_path / "killed", server))
            log = tmp_path / "killed" / LOG
            end = time.monotonic() + 60
            while time.monotonic() < end and not (log.exists() and log.read_bytes().count(b"\n") > lines):
                time.sleep(0.02)
            run.kill()
            run.wait()
            with log.open("ab") as torn:
                torn.write(b'{"kind": "reply", "key": "k')
        assert warm.run(*command(file, tmp_path / "killed", server)).returncode == 0
        num_killed = len(server.requests)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert num_whole <= num_killed <= num_whole + 2 * 3, "only what was under way is asked again"


def test_a_server_that_dies_between_rounds_goes_on_behind_the_program(tmp_path: Path, sandbox: Sandbox) -> None:
    def faults(number: int, body: dict[str, Any]) -> int | None:
        return 500 if number == 1 else None

    one = [problem("a", "right: what is 3 plus 4?")]
    with serving(write, faults=faults) as server:
        with pytest.raises(MathwrightError):
            annotated(tmp_path, server, one, sandbox, max_retries=0)
        annotated(tmp_path, server, one, sandbox, max_retries=0)
        assert len(server.requests) == 3, "the first round is not asked twice"
        assert any(SHOWN.removeprefix("<user>") in m["content"] for m in server.requests[2]["messages"])
    assert len(solutions(tmp_path)) == 1


# --- the command ---


def test_the_key_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-key")
    with serving(lambda prompt, seed: "Your key is sk-very-secret-key, it is \\boxed{7}.") as server:
        annotated(tmp_path, server, [problem("a", "What is 3 plus 4?")], sandbox, format="cot")
        assert server.keys == ["Bearer sk-very-secret-key"]
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"sk-very-secret" not in written and b"[key]" in written
    refusal = (401, {"error": {"message": "Incorrect API key: sk-very-secret-key"}})
    with serving(write, faults=lambda number, body: refusal) as server, pytest.raises(MathwrightError) as error:
        annotated(tmp_path / "refused", server, PROBLEMS[:1], sandbox)
    assert "sk-very-secret" not in str(error.value) and "[key]" in str(error.value)


def test_a_local_model_teaches_and_its_annotation_resumes(tmp_path: Path, sandbox: Sandbox) -> None:
    """A random model writes nonsense: all of it is drawn, judged and set aside, and a second call draws nothing."""
    from mathwright.engines.local import LocalEngine
    from mathwright.lm.recipe import ScratchRecipe
    from mathwright.lm.save import save
    from mathwright.lm.scratch import from_scratch

    sizes = ScratchRecipe(vocab_size=300, width=32, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=64)
    lm = from_scratch(sizes, [p.question for p in PROBLEMS], max_length=512, seed=0)
    save(lm, tmp_path / "model")
    settings = AnnotateSettings(
        teacher=str(tmp_path / "model"),
        samples=3,
        max_new_tokens=8,
        format="tool",
        template="deepseekmath",
        price_out=1e6,
    )
    problems = [problem("a", "What is 3 plus 4?"), problem("b", "What is 2 plus 5?")]
    out = tmp_path / "out"
    out.mkdir()

    class Counting(LocalEngine):
        drawn = 0

        def generate(self, requests: Any, **more: Any) -> None:
            Counting.drawn += len(requests)
            super().generate(requests, **more)

    seen: list[dict[str, bytes]] = []
    summary: Any = None
    for _ in range(2):
        log = RequestLog(out, settings, "local")
        annotation = Annotation(problems, out, settings, Counting(lm), log)
        annotation.draw(sandbox)
        summary = annotation.finish()
        seen.append(files(out))
    assert Counting.drawn == 6 and seen[0] == seen[1]
    assert summary["requests"] == 6 and summary["cost"] == summary["tokens"]["written"] > 0
    assert len(rejected(out)) + summary["solutions"] == 6


@pytest.mark.parametrize("name", ["solutions.jsonl", "problems.jsonl"])
def test_a_folder_of_other_solutions_is_not_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("of an import\n")
    settings = AnnotateSettings(teacher="teacher", format="cot", samples=1)
    with pytest.raises(MathwrightError, match="holds solutions that no teacher was asked for"):
        RequestLog(tmp_path, settings, "server")
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing was begun"
