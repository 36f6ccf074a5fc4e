"""Responses from any server with the OpenAI interface: vLLM, SGLang, llama.cpp, Ollama, or a hosted model.

The tool loop runs here: the server writes up to the end of a program, the program runs in our sandbox, and the server
is asked to go on after its output. What a server sends is not trusted more than what a model writes: a reply without
text is an empty answer, counted and said, never a crash.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from rich.text import Text

from mathwright.engines.engine import Answer, Request
from mathwright.engines.seeds import round_seed
from mathwright.engines.server_replies import FENCE, Finish, GoOn, Reply, RunTool, advance, estimate_tokens, parse_reply
from mathwright.errors import MathwrightError
from mathwright.records import FinishReason, ToolCall
from mathwright.terminal import console
from mathwright.tools.loop import PythonTool

Endpoint = Literal["completions", "chat"]

MAX_STOPS = 4
"""Stop strings sent: hosted servers refuse more. All of them end the response here, sent or not."""
MIN_ROOM = 16
"""A response that gets no room for this many tokens in the server's context is given up."""
OVER_CONTEXT = ("context length", "context_length", "context size", "context_size", "context window", "max_model_len")
"""What servers say where a prompt and max_tokens do not fit: vLLM, SGLang, OpenAI, llama.cpp."""
CONNECT_TIMEOUT_S = 20.0
MIN_KEY_CHARS = 8
"""A shorter key ("none", "x") is no secret, and may be a word of any text."""


class Recorder(Protocol):
    """Keeps the replies of a server, and says whether more may be asked for."""

    def earlier(self, key: str, num_rounds: int) -> Reply | None:
        """The reply of an earlier call to the same request, after so many replies before it."""
        ...

    def begin(self) -> bool:
        """Whether a request may be sent now; it is under way then, until `record` or `fail`."""
        ...

    def record(self, key: str, num_rounds: int, reply: Reply, seconds: float) -> None:
        """Keep a reply."""
        ...

    def fail(self) -> None:
        """A request that was under way got no reply."""
        ...


class _StoppedError(Exception):
    """The recorder lets no more requests be sent: the response stays unfinished."""


@dataclass(slots=True)
class _Response:
    """A response in the making."""

    request: Request
    key: int
    """Of its tool session."""
    text: str = ""
    turns: tuple[str, ...] = ()
    """The text cut into what the model wrote and what the tool printed, in turn, without the stretch being written."""
    num_tokens: int = 0
    num_rounds: int = 0
    num_tool_calls: int = 0

    @property
    def room(self) -> int:
        return self.request.sampling.max_new_tokens - self.num_tokens


class ServerEngine:
    """A model behind an OpenAI-compatible server."""

    name = "server"
    tokenizer: Any | None = None

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        endpoint: Endpoint = "chat",
        api_key_env: str = "OPENAI_API_KEY",
        num_concurrent: int = 16,
        timeout_s: float = 600.0,
        max_retries: int = 8,
        recorder: Recorder | None = None,
        system: str = "",
        enable_thinking: bool | None = None,
    ) -> None:
        """Name a server; it is first asked by `generate`.

        Args:
            base_url: such as http://127.0.0.1:8000/v1.
            model: the name the server knows the model by.
            endpoint: completions sends `Prompt.text`, chat sends `Prompt.messages`.
            api_key_env: environment variable that holds the key; many local servers need none.
            num_concurrent: requests at a time.
            timeout_s: the longest that the server may be silent, also while it writes: it sends whole replies.
            max_retries: how often one request is repeated after a dropped connection, a timeout, status 408, 409, 429
                or 5xx: after 0.5 s, then twice as long each time, up to 8 s, or as long as the server asks for.
            recorder: is given every reply, and gives back those of an earlier call instead of asking again.
            system: a system message before every conversation that begins with none.
            enable_thinking: what the server's chat template is told of it, in the way of vLLM and SGLang
                (`chat_template_kwargs`); None: nothing.

        Raises MathwrightError where base_url is no address or the package openai is missing.
        """
        if not base_url.startswith(("http://", "https://")):
            raise MathwrightError(
                f"{base_url!r} is not the address of a server", hint="--base-url http://127.0.0.1:8000/v1"
            )
        if endpoint == "completions" and (system or enable_thinking is not None):
            raise MathwrightError(
                "--system and --enable-thinking are for chats, and --endpoint completions sends none",
                hint="--endpoint chat",
            )
        if num_concurrent < 1:
            raise ValueError(f"num_concurrent is {num_concurrent}; at least one request must run")
        _import_openai()
        self._base_url, self._model, self._endpoint = base_url, model, endpoint
        self._api_key_env, self.num_concurrent = api_key_env, num_concurrent
        self._timeout_s, self._max_retries = timeout_s, max_retries
        self.recorder = recorder
        self._system, self._enable_thinking = system, enable_thinking

    def generate(
        self,
        requests: Sequence[Request],
        *,
        tool: PythonTool | None,
        max_tool_rounds: int,
        on_completion: Callable[[int, Answer], None],
    ) -> None:
        """See `Engine.generate`; on_completion is called from the thread that calls this.

        Tokens are counted as the server counts them; the tool's output, and replies the server has no count for, as a
        token for every three characters. Requests that the recorder lets not be sent leave their responses unfinished,
        and nothing is called for these. Raises MathwrightError where the server refuses a request or stays away.
        """
        if self._endpoint == "chat" and any(request.prompt.messages is None for request in requests):
            raise MathwrightError(
                "these prompts are no chat, and the chat endpoint takes nothing else",
                hint="--endpoint completions, or --template tokenizer",
            )
        run = _Run(self, tool, max_tool_rounds, on_completion)
        try:
            asyncio.run(run.complete(requests))
        except ExceptionGroup as group:  # one failure ends all; the others are its echo
            raise group.exceptions[0] from group.exceptions[0].__cause__
        finally:
            run.say_oddities()

    def close(self) -> None:
        """Nothing to free: connections end with `generate`."""

    def client(self) -> Any:
        openai = _import_openai()
        return openai.AsyncOpenAI(
            base_url=self._base_url,
            api_key=os.environ.get(self._api_key_env) or "none",
            timeout=openai.Timeout(self._timeout_s, connect=min(self._timeout_s, CONNECT_TIMEOUT_S)),
            max_retries=self._max_retries,
        )

    async def ask(self, client: Any, response: _Response, max_tokens: int, stop: Sequence[str]) -> Reply:
        """One request. Raises openai's errors once it has been repeated often enough."""
        parameters = self._parameters(response.request, response.num_rounds, max_tokens, stop)
        if self._endpoint == "completions":
            prompt = response.request.prompt.text + response.text
            raw = await client.completions.with_raw_response.create(prompt=prompt, **parameters)
        else:
            messages = self._messages(response.request, response.turns)
            raw = await client.chat.completions.with_raw_response.create(messages=messages, **parameters)
        return parse_reply(self._without_key(raw.content))

    def _parameters(self, request: Request, num_rounds: int, max_tokens: int, stop: Sequence[str]) -> dict[str, Any]:
        sampling = request.sampling
        parameters: dict[str, Any] = {
            "model": self._model,
            "max_tokens": max_tokens,
            "temperature": sampling.temperature,
            "seed": round_seed(request.seed, num_rounds),
        }
        # Hosted servers refuse what they do not know, so nothing is sent that changes nothing.
        if stop:
            parameters["stop"] = list(stop)
        if sampling.top_p < 1:
            parameters["top_p"] = sampling.top_p
        if sampling.top_k:
            parameters["extra_body"] = {"top_k": sampling.top_k}
        if self._enable_thinking is not None:
            told = {"chat_template_kwargs": {"enable_thinking": self._enable_thinking}}
            parameters["extra_body"] = parameters.get("extra_body", {}) | told
        return parameters

    def _messages(self, request: Request, turns: Sequence[str] = ()) -> list[dict[str, str]]:
        """The chat so far: the model's stretches as its turns, the tool's output as the user's."""
        messages = [dict(message) for message in request.prompt.messages or ()]
        if self._system and (not messages or messages[0]["role"] != "system"):
            messages.insert(0, {"role": "system", "content": self._system})
        for place, text in enumerate(turns):
            messages.append({"role": ("assistant", "user")[place % 2], "content": text})
        return messages

    def batch_line(self, request: Request) -> dict[str, Any]:
        """The request without tools as a line of a batch file (OpenAI's batch interface), by its key."""
        body = self._parameters(request, 0, request.sampling.max_new_tokens, request.prompt.stop[:MAX_STOPS])
        body |= body.pop("extra_body", {})
        if self._endpoint == "completions":
            body["prompt"] = request.prompt.text
        else:
            body["messages"] = self._messages(request)
        url = "/v1/chat/completions" if self.is_chat else "/v1/completions"
        return {"custom_id": request.key, "method": "POST", "url": url, "body": body}

    def _without_key(self, body: bytes) -> bytes:
        """What a server sent, without our key, which some repeat in their messages: it is written to files."""
        key = os.environ.get(self._api_key_env, "").encode()
        return body.replace(key, b"[key]") if len(key) >= MIN_KEY_CHARS else body

    @property
    def is_chat(self) -> bool:
        return self._endpoint == "chat"

    def refused(self, error: Any) -> MathwrightError:
        """What to tell about an error that is still there after all retries."""
        status = getattr(error, "status_code", None)
        if status is None:
            reason = (
                f"did not answer in {self._timeout_s:g} s"
                if "timed out" in str(error)
                else f"cannot be reached: {error.__cause__ or error}"
            )
        else:
            reason = f"answered {status}: {self._without_key(_message(error).encode()).decode()}"
        if status is None or status in (408, 409, 429) or status >= 500:
            return MathwrightError(
                f"{self._base_url} {reason} (asked {self._max_retries + 1} times)",
                hint="finished samples are kept; run the same command again once the server works",
            )
        hints = {
            401: f"put the key into the environment variable {self._api_key_env}",
            403: f"put a key that may use {self._model} into the environment variable {self._api_key_env}",
            404: f"check that --base-url ends as the server wants it (often /v1) and that it serves {self._model}",
        }
        return MathwrightError(
            f"{self._base_url} {reason}",
            hint=hints.get(status, "the server refuses such requests; finished samples are kept"),
        )


class _Run:
    """The state of one call of `generate`."""

    def __init__(
        self,
        server: ServerEngine,
        tool: PythonTool | None,
        max_tool_rounds: int,
        on_completion: Callable[[int, Answer], None],
    ) -> None:
        self.server, self.tool, self.max_tool_rounds = server, tool, max_tool_rounds
        self.on_completion = on_completion
        self.num_unreadable = self.num_over_context = 0

    async def complete(self, requests: Sequence[Request]) -> None:
        queue = enumerate(requests)
        # Not one task a request: what has not begun when the server fails should not begin at all.
        async with self.server.client() as client, asyncio.TaskGroup() as group:
            for _ in range(min(self.server.num_concurrent, len(requests))):
                group.create_task(self._work(client, queue))

    async def _work(self, client: Any, queue: Iterator[tuple[int, Request]]) -> None:
        for index, request in queue:
            response = _Response(request, index)
            try:
                finish = await self._respond(client, response)
            except _StoppedError:
                continue
            finally:
                if self.tool is not None:
                    self.tool.close(index)
            self.on_completion(
                index,
                Answer(
                    text=response.text,
                    finish=finish,
                    num_tokens=response.num_tokens,
                    num_tool_calls=response.num_tool_calls,
                ),
            )

    async def _respond(self, client: Any, response: _Response) -> FinishReason:
        """Ask until the response is finished; its text grows in place."""
        while response.room > 0:
            reply = await self._ask(client, response)
            if reply is None:
                return "length"
            response.num_rounds += 1
            response.num_tokens += reply.num_tokens
            stop = response.request.prompt.stop
            step = advance(response.text, reply, stop=stop, tool=self.tool, is_chat=self.server.is_chat)
            response.text = step.text
            match step:
                case Finish(finish=finish):
                    return finish
                case GoOn():
                    # The fence is counted, so that a server that stops at once each time comes to an end.
                    response.num_tokens += estimate_tokens(FENCE)
                case RunTool(code=code):
                    if response.num_tool_calls >= self.max_tool_rounds:
                        return "tool_limit"
                    await self._call(response, code)
        return "length"

    async def _call(self, response: _Response, code: str) -> None:
        assert self.tool is not None
        (output,) = await asyncio.to_thread(self.tool.run, [ToolCall(key=response.key, code=code)])
        response.num_tool_calls += 1
        written = response.text[len("".join(response.turns)) :]
        response.turns = (*response.turns, written, output)
        response.text += output
        response.num_tokens += estimate_tokens(output)

    async def _ask(self, client: Any, response: _Response) -> Reply | None:
        """The server's reply; None where there is no room for one in its context.

        Servers refuse a max_tokens that does not fit after the prompt. How long the prompt is only they know, so half
        as many are asked for, and half of that, down to MIN_ROOM.
        """
        openai = _import_openai()
        room = response.room
        while True:
            try:
                reply = await self._recorded(client, response, room)
            except openai.APIError as error:
                if not _over_context(error):
                    raise self.server.refused(error) from error
                self.num_over_context += room == response.room
                if room <= MIN_ROOM:
                    return None
                room = max(MIN_ROOM, room // 2)
            else:
                self.num_unreadable += reply.unreadable
                return reply

    async def _recorded(self, client: Any, response: _Response, room: int) -> Reply:
        """The reply to a request: of an earlier call where the recorder has it, else asked for and recorded."""
        recorder, key, num_rounds = self.server.recorder, response.request.key, response.num_rounds
        if recorder is None:
            return await self.server.ask(client, response, room, self._stops(response))
        if (known := recorder.earlier(key, num_rounds)) is not None:
            return known
        if not recorder.begin():
            raise _StoppedError
        begun = time.monotonic()
        try:
            reply = await self.server.ask(client, response, room, self._stops(response))
        except BaseException:
            recorder.fail()
            raise
        recorder.record(key, num_rounds, reply, time.monotonic() - begun)
        return reply

    def _stops(self, response: _Response) -> tuple[str, ...]:
        stop = response.request.prompt.stop
        if self.tool is not None:
            # A chat turn cannot be taken up in the middle: it may end only where a program certainly has ended.
            stop = ("```output" if self.server.is_chat else FENCE, *stop)
        return stop[:MAX_STOPS]

    def say_oddities(self) -> None:
        if self.num_unreadable:
            warning = f"{self.num_unreadable:,} replies of the server had no text; their answers are empty"
            console.print(Text(warning, "yellow"))
        if self.num_over_context:
            warning = (
                f"{self.num_over_context:,} requests were longer than the server's context and got less room; "
                "lower --max-new-tokens, or give the server a longer context"
            )
            console.print(Text(warning, "yellow"))


def served_models(base_url: str, api_key_env: str = "OPENAI_API_KEY") -> list[str]:
    """The models a server has, by its own names. Raises MathwrightError where it does not say."""
    openai = _import_openai()
    client = openai.OpenAI(base_url=base_url, api_key=os.environ.get(api_key_env) or "none", timeout=CONNECT_TIMEOUT_S)
    try:
        with client:
            return [model.id for model in client.models.list()]
    except openai.OpenAIError as error:
        status = getattr(error, "status_code", None)
        raise MathwrightError(
            f"{base_url} does not say which models it has" + (f" (it answered {status})" if status else ""),
            hint="name the model with --teacher",
        ) from error


def _over_context(error: Any) -> bool:
    if getattr(error, "status_code", None) not in (400, 413, 422):
        return False
    said = f"{getattr(error, 'code', '')} {getattr(error, 'type', '')} {_message(error)}".lower()
    return any(words in said for words in OVER_CONTEXT)


def _message(error: Any) -> str:
    """What the server said, on one line."""
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else body
    return " ".join(str(said or error).split())[:500]


def _import_openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise MathwrightError(
            "the package openai, which speaks to servers, is not installed", hint="pip install 'mathwright[server]'"
        ) from error
    return openai
