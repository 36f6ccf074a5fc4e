"""The server engine: what it asks, its tool loop, and that it survives whatever servers do."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Iterator
from typing import Any, Literal, cast

import pytest

from mathwright.engines.engine import Answer, Engine
from mathwright.engines.server import ServerEngine
from mathwright.engines.server_replies import Finish, GoOn, Reply, RunTool, advance, in_block, parse_reply
from mathwright.errors import MathwrightError
from mathwright.lm.recipe import SamplingRecipe
from mathwright.tools.isolation import missing_features
from mathwright.tools.loop import PythonTool
from mathwright.tools.sandbox import Sandbox
from tests.engines.asking import GREEDY, LONG, SAMPLED, answers, prompt, request
from tests.engines.fake_server import FakeServer, Fault, serving

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("openai") is None, reason="the package openai (extra `server`) is not installed"
)


def echo(prompt: str, seed: int) -> str:
    return f"I was asked {prompt[-6:]} with {seed}."


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries wait milliseconds."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.005)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)


def engine_for(server: FakeServer, endpoint: Literal["completions", "chat"] = "completions", **options: Any) -> Engine:
    options = {"num_concurrent": 4, "timeout_s": 5.0, "max_retries": 2, **options}
    return ServerEngine(base_url=server.base_url, model="fake", endpoint=endpoint, **options)


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_what_a_server_is_asked(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sesame")
    drawn = SamplingRecipe(temperature=0.7, top_p=0.9, top_k=5, max_new_tokens=40)
    with serving(echo) as server:
        engine = engine_for(server, endpoint, api_key_env="MY_KEY", num_concurrent=1)
        first, second = answers(engine, [request("Why?", 7, drawn, ("nev", "er")), request("How?", 8, GREEDY)])
    assert "with 7." in first.text and first.finish == "stop" and first.num_tokens == len(first.text) + 1
    assert second.text == ("I was asked " + "How?")[:12] and second.finish == "length" and second.num_tokens == 12
    asked, greedy = server.requests
    shared = {"model": "fake", "temperature": 0.7, "top_p": 0.9, "top_k": 5, "max_tokens": 40, "seed": 7}
    assert asked.items() >= {**shared, "stop": ["nev", "er"]}.items()
    assert greedy["temperature"] == 0.0
    assert not {"top_p", "top_k", "stop"} & greedy.keys(), "hosted servers refuse what they do not know"
    if endpoint == "chat":
        assert asked["messages"] == [{"role": "user", "content": "Why?"}]
    else:
        assert asked["prompt"] == "Why?"
    assert server.keys == ["Bearer sesame"] * 2


def test_a_system_prompt_and_what_the_servers_template_is_told() -> None:
    with serving(echo) as server:
        engine = engine_for(server, "chat", system="Be good.", enable_thinking=False)
        answers(engine, [request("Why?", 7, GREEDY)])
    [asked] = server.requests
    assert asked["messages"] == [{"role": "system", "content": "Be good."}, {"role": "user", "content": "Why?"}]
    assert asked["chat_template_kwargs"] == {"enable_thinking": False}
    with pytest.raises(MathwrightError, match="--endpoint completions sends none"):
        engine_for(server, "completions", system="Be good.")


def test_requests_run_side_by_side_and_no_more_than_allowed() -> None:
    with serving(echo) as server:
        server.faults = lambda number, body: server.released.wait(0.05) or None  # so that requests overlap
        found = answers(engine_for(server, num_concurrent=3), [request(f"q{i:05}", i, LONG) for i in range(12)])
    assert [answer.text for answer in found] == [echo(f"q{i:05}", i) for i in range(12)]
    assert 1 < server.most_at_once <= 3


def test_stop_strings_beyond_what_a_server_takes_end_the_answer_all_the_same() -> None:
    stop = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(")
    with serving(lambda prompt, seed: "    return 1\nprint(2)\ndef g():") as server:
        (answer,) = answers(engine_for(server), [request("def f():", 0, LONG, stop)])
    assert (answer.text, answer.finish) == ("    return 1", "stop")
    assert server.requests[0]["stop"] == list(stop[:4])


RECOVERED: list[Fault] = ["drop", "half", 500, 503, 429, (429, b"slow down"), 408]


@pytest.mark.parametrize("fault", RECOVERED, ids=str)
def test_a_fault_that_passes_is_not_seen(fault: Fault) -> None:
    with serving(echo, faults=lambda number, body: fault if number < 2 else None) as server:
        found = answers(engine_for(server, num_concurrent=1), [request("a" * 6, 1, LONG), request("b" * 6, 2, LONG)])
    assert [answer.text for answer in found] == [echo("a" * 6, 1), echo("b" * 6, 2)]
    assert len(server.requests) == 4


def test_silence_is_given_up_and_tried_again() -> None:
    with serving(echo, faults=lambda number, body: "hang" if number == 0 else None) as server:
        (answer,) = answers(engine_for(server, timeout_s=0.3), [request("a" * 6, 1, LONG)])
    assert answer.text == echo("a" * 6, 1)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [("drop", "cannot be reached"), (500, "answered 500: the fault 500"), (429, "429"), ("hang", "0.3 s")],
)
def test_a_server_that_stays_away_ends_the_run_and_keeps_what_is_finished(fault: Fault, said: str) -> None:
    kept: dict[int, Answer] = {}
    with serving(echo, faults=lambda number, body: fault if number >= 3 else None) as server:
        engine = engine_for(server, num_concurrent=1, timeout_s=0.3)
        with pytest.raises(MathwrightError, match=said) as caught:
            engine.generate(
                [request(f"q{i:05}", i, LONG) for i in range(9)],
                tool=None,
                max_tool_rounds=0,
                on_completion=kept.__setitem__,
            )
    assert kept.keys() == {0, 1, 2}
    assert kept[2].text == echo("q00002", 2)
    assert len(server.requests) == 6, "three times the fourth, and nothing behind it"
    assert "kept" in caught.value.hint and "same command" in caught.value.hint


def test_no_server_at_all() -> None:
    with serving(echo) as server:
        address = server.base_url
    engine = ServerEngine(base_url=address, model="fake", endpoint="completions", max_retries=1)
    with pytest.raises(MathwrightError, match="cannot be reached"):
        answers(engine, [request("a")])


@pytest.mark.parametrize(
    ("status", "hint"), [(400, "refuses"), (401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, "--base-url")]
)
def test_a_refusal_is_final_and_says_why(status: int, hint: str) -> None:
    body = {"error": {"message": "no,\nnot like this"}}
    with (
        serving(echo, faults=lambda number, _: (status, body)) as server,
        pytest.raises(MathwrightError, match=f"{status}: no, not like this") as caught,
    ):
        answers(engine_for(server, num_concurrent=1), [request("a"), request("b")])
    assert hint in caught.value.hint
    assert len(server.requests) == 1


def choices(**choice: Any) -> bytes:
    return json.dumps({"choices": [choice]}).encode()


MALFORMED: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "", "length"),
    "not JSON": (b"<html>Welcome</html>", "", "length"),
    "deep JSON": (b"[" * 100_000, "", "length"),
    "null": (b"null", "", "length"),
    "a list": (b"[1]", "", "length"),
    "no choices": (b"{}", "", "length"),
    "empty choices": (b'{"choices": []}', "", "length"),
    "null choices": (b'{"choices": null}', "", "length"),
    "a choice that is none": (b'{"choices": [7]}', "", "length"),
    "null content": (choices(message={"content": None}, finish_reason="stop"), "", "stop"),
    "null text": (choices(text=None, finish_reason="length"), "", "length"),
    "text that is none": (choices(text=3, finish_reason="stop"), "", "stop"),
    "an unknown reason": (choices(text="So 4.", finish_reason="eos_token"), "So 4.", "stop"),
    "no reason": (choices(text="So 4."), "So 4.", "stop"),
    "parts": (choices(message={"content": [{"text": "So "}, {"text": "4."}, 3]}), "So 4.", "stop"),
    "invalid UTF-8": (b'{"choices": [{"text": "So \xff4.", "finish_reason": "stop"}]}', "So \ufffd4.", "stop"),
    "a lone surrogate": (b'{"choices": [{"text": "So \\ud800 4.", "finish_reason": "stop"}]}', "So ? 4.", "stop"),
    "usage that is none": (b'{"choices": [{"text": "abcdef"}], "usage": {"completion_tokens": -1}}', "abcdef", "stop"),
}


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
@pytest.mark.parametrize(("body", "text", "finish"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_reply_is_a_status(endpoint: Any, body: bytes, text: str, finish: str) -> None:
    with serving(echo, faults=lambda number, _: body if number == 0 else None) as server:
        odd, sound = answers(
            engine_for(server, endpoint, num_concurrent=1), [request("odd"), request("sound", 1, LONG)]
        )
    assert (odd.text, odd.finish, odd.num_tool_calls) == (text, finish, 0)
    assert odd.num_tokens == -(-len(text) // 3)
    assert sound.finish == "stop" and "with 1." in sound.text


def test_unreadable_replies_are_counted_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(echo, faults=lambda number, body: b"{}" if number % 2 else None) as server:
        answers(engine_for(server), [request("a", i) for i in range(6)])
    assert "3 replies" in capsys.readouterr().err


def test_a_prompt_that_does_not_fit_gets_less_room_or_an_empty_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(lambda prompt, seed: "x" * 1_000) as server:
        server.context = 100
        long, middling, short = answers(
            engine_for(server),
            [request("p" * n, 0, dataclasses.replace(GREEDY, max_new_tokens=64)) for n in (90, 60, 9)],
        )
    assert (long.text, long.finish) == ("", "length")
    assert (middling.text, middling.finish) == ("x" * 32, "length")
    assert short.num_tokens == 64
    assert "2 requests were longer" in " ".join(capsys.readouterr().err.split())


def test_an_error_of_the_caller_ends_the_run_as_it_is() -> None:
    def full(index: int, answer: Answer) -> None:
        raise OSError("no space left")

    with serving(echo) as server, pytest.raises(OSError, match="no space left"):
        engine_for(server).generate(
            [request("a", i) for i in range(9)], tool=None, max_tool_rounds=0, on_completion=full
        )


def test_addresses_and_prompts_that_cannot_work_are_refused_at_once() -> None:
    with pytest.raises(MathwrightError, match="address"):
        ServerEngine(base_url="", model="fake")
    with pytest.raises(ValueError, match="num_concurrent"):
        ServerEngine(base_url="http://x/v1", model="fake", num_concurrent=0)
    plain = dataclasses.replace(request("a"), prompt=prompt("a"))
    with serving(echo) as server, pytest.raises(MathwrightError, match="no chat"):
        answers(engine_for(server, "chat"), [request("b"), plain])
    assert server.requests == []


# --- tools behind a server ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    if missing := missing_features():
        pytest.skip("this machine lacks " + ", ".join(missing))
    with Sandbox() as sandbox:
        yield sandbox


PROGRAM_1 = "Let us see.\n```python\nx = 6 * 7\nprint(x)\n```\n"
PROGRAM_2 = "Half of it:\n```python\nprint(x // 2)\n```\n"
TRANSCRIPT = (
    f"{PROGRAM_1}```output\n42\n```\nAs a table:\n```\n42 | 21\n```\n"
    f"{PROGRAM_2}```output\n21\n```\nSo it is \\boxed{{21}}."
)


def solve(prompt: str, seed: int) -> str:
    """Writes on from where the prompt ends; left alone it makes up what its programs print."""
    if prompt.endswith("\n21\n```\n"):
        return "So it is \\boxed{21}."
    if "\n```python\nx = " not in prompt:
        return PROGRAM_1 + "```output\n99\n```\nSo it is \\boxed{99}."
    made_up = PROGRAM_2 + "```output\n98\n```\nSo it is \\boxed{98}."
    if prompt.endswith("| 21\n```\n"):
        return made_up
    if prompt.endswith("table:\n```\n"):
        return "42 | 21\n```\n" + made_up
    return "As a table:\n```\n42 | 21\n```\n" + made_up


def solve_with_tools(server: FakeServer, sandbox: Sandbox, endpoint: Any, **options: Any) -> Answer:
    options = {"max_tool_rounds": 4, "sampling": LONG, **options}
    asked = request("Double twenty-one, and back?", 3, options["sampling"])
    tool = PythonTool(sandbox)
    (answer,) = answers(engine_for(server, endpoint), [asked], tool=tool, max_tool_rounds=options["max_tool_rounds"])
    assert tool._earlier == {}, "the session is closed"
    return answer


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_a_transcript_with_two_programs(sandbox: Sandbox, endpoint: Any) -> None:
    with serving(solve) as server:
        answer = solve_with_tools(server, sandbox, endpoint)
    assert answer.text == TRANSCRIPT
    assert (answer.finish, answer.num_tool_calls) == ("stop", 2)
    assert len({asked["seed"] for asked in server.requests}) == len(server.requests) >= 3
    last = server.requests[-1]
    if endpoint == "completions":
        assert last["prompt"] == "Double twenty-one, and back?" + TRANSCRIPT.removesuffix("So it is \\boxed{21}.")
        assert answer.num_tokens >= len(TRANSCRIPT) - len("```output\n42\n```\n" * 2)
    else:
        roles = [(message["role"], message["content"]) for message in last["messages"]]
        assert roles == [
            ("user", "Double twenty-one, and back?"),
            ("assistant", PROGRAM_1),
            ("user", "```output\n42\n```\n"),
            ("assistant", f"As a table:\n```\n42 | 21\n```\n{PROGRAM_2}"),
            ("user", "```output\n21\n```\n"),
        ]


def test_a_completions_server_that_does_not_say_what_stopped_it(sandbox: Sandbox) -> None:
    """A fence that opens a block is then taken for the end; one that closes a program never is."""
    with serving(solve) as server:
        server.says_what_stopped = server.counts = False
        answer = solve_with_tools(server, sandbox, "completions")
    assert answer.text == f"{PROGRAM_1}```output\n42\n```\nAs a table:\n"
    assert (answer.finish, answer.num_tool_calls) == ("stop", 1)


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_out_of_tool_rounds(sandbox: Sandbox, endpoint: Any) -> None:
    with serving(solve) as server:
        answer = solve_with_tools(server, sandbox, endpoint, max_tool_rounds=1)
        none = solve_with_tools(server, sandbox, endpoint, max_tool_rounds=0)
    assert answer.text == TRANSCRIPT.partition("```output\n21")[0]
    assert (answer.finish, answer.num_tool_calls) == ("tool_limit", 1)
    assert (none.text, none.finish, none.num_tool_calls) == (PROGRAM_1, "tool_limit", 0)


def test_the_output_of_a_program_counts_towards_the_limit(sandbox: Sandbox) -> None:
    def prints_much(prompt: str, seed: int) -> str:
        return "```python\nprint('7' * 300)\n```\n"

    with serving(prints_much) as server:
        answer = solve_with_tools(
            server, sandbox, "completions", sampling=dataclasses.replace(LONG, max_new_tokens=100)
        )
    assert (answer.finish, answer.num_tool_calls) == ("length", 1)
    assert answer.text.endswith("7\n```\n")
    assert len(server.requests) == 1


def test_a_chat_turn_that_ends_right_behind_its_program_calls_it(sandbox: Sandbox) -> None:
    def hands_over(prompt: str, seed: int) -> str:
        return "It is 4." if "output" in prompt else "```python\nprint(2 + 2)\n```"

    with serving(hands_over) as server:
        assert solve_with_tools(server, sandbox, "chat").text == (
            "```python\nprint(2 + 2)\n```\n```output\n4\n```\nIt is 4."
        )
        # Our own generator stops at the end token in this place, and so does a completion.
        alone = solve_with_tools(server, sandbox, "completions")
    assert (alone.text, alone.num_tool_calls) == ("```python\nprint(2 + 2)\n```", 0)


def test_slow_and_hostile_programs_hold_up_no_other_response(sandbox: Sandbox) -> None:
    def write(prompt: str, seed: int) -> str:
        if "```output" in prompt:
            return "Done: " + prompt.rsplit("```output\n", 1)[1].split("\n")[0]
        return {0: "```python\nwhile True: pass\n```\n", 1: "```python\nopen('/etc/passwd').read()\n```\n"}.get(
            seed, f"```python\nprint({seed})\n```\n"
        )

    order: list[int] = []
    found: dict[int, Answer] = {}

    def keep(index: int, answer: Answer) -> None:
        order.append(index)
        found[index] = answer

    with serving(write) as server:
        engine_for(server, num_concurrent=6).generate(
            [request("q", seed, LONG) for seed in range(6)],
            tool=PythonTool(sandbox, timeout_s=1),
            max_tool_rounds=1,
            on_completion=keep,
        )
    assert order[-1] == 0
    assert "TimeoutError" in found[0].text and "Error" in found[1].text
    assert all(found[seed].text.endswith(f"Done: {seed}") for seed in range(2, 6))


def test_a_server_that_stops_at_once_each_time_comes_to_an_end(sandbox: Sandbox) -> None:
    reply = choices(text="", finish_reason="stop", stop_reason="```\n")
    with serving(echo, faults=lambda number, body: reply) as server:
        answer = solve_with_tools(server, sandbox, "completions", sampling=SAMPLED)
    assert answer.finish == "length"
    assert 0 < len(server.requests) <= 12


@pytest.mark.parametrize(
    ("before", "text", "stopped_by", "expected"),
    [
        ("", "```python\n1\n", "```\n", RunTool("```python\n1\n```\n", "1")),
        ("", "```python\n1\n", None, RunTool("```python\n1\n```\n", "1")),
        ("", "```python\n1\n", "", Finish("```python\n1\n", "stop")),  # the end token, in the middle of a program
        ("```python\n", "1\n", "```\n", RunTool("```python\n1\n```\n", "1")),  # begun in an earlier stretch
        ("", "```python\n1\n```\n", "```\n", RunTool("```python\n1\n```\n", "1")),  # the stop string is left in
        ("", "```python\n1\n```\nThen\n```\n", None, RunTool("```python\n1\n```\n", "1")),
        ("", "```python\nx = '", "```\n", GoOn("```python\nx = '```\n")),
        ("", "```output\n1\n", None, GoOn("```output\n1\n```\n")),
        ("", "So:\n", "```\n", GoOn("So:\n```\n")),
        ("", "So 4.\n", None, Finish("So 4.\n", "stop")),
        ("", "So 4.\nQuestion: more", "\nQuestion:", Finish("So 4.", "stop")),
        ("So 4.\nQues", "tion: more", None, Finish("So 4.", "stop")),
        ("", "```python\n1\n```\n\nQuestion: ", None, RunTool("```python\n1\n```\n", "1")),
        ("", "a\nQuestion:\n```python\n1\n```\n", None, Finish("a", "stop")),
    ],
)
def test_what_follows_from_a_completion(before: str, text: str, stopped_by: str | None, expected: object) -> None:
    reply = Reply(text=text, finish="stop", num_tokens=1, stopped_by=stopped_by)
    tool = PythonTool(cast(Sandbox, None))  # only `pending` is asked
    assert advance(before, reply, stop=("\nQuestion:",), tool=tool, is_chat=False) == expected


def test_a_program_that_ends_at_the_limit_is_not_run() -> None:
    reply = Reply(text="```python\n1\n```\n", finish="length", num_tokens=9, stopped_by=None)
    tool = PythonTool(cast(Sandbox, None))
    assert advance("", reply, stop=(), tool=tool, is_chat=False) == Finish(reply.text, "length")


@pytest.mark.parametrize("text", ["```python\n1\n", "a\n ```\nb", "```\n```x", "```a\n```\n```b\n"])
def test_open_blocks(text: str) -> None:
    assert in_block(text)
    assert not in_block(text + "\n```\n")


def test_a_reply_says_what_stopped_it_or_does_not() -> None:
    found = [
        parse_reply(choices(text="a", **given)).stopped_by
        for given in ({"stop_reason": None}, {"stop_reason": "x"}, {"matched_stop": 2}, {"matched_stop": "y"}, {})
    ]
    assert found == ["", "x", "", "y", None]
