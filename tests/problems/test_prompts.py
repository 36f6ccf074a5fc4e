"""Prompts: every exemplar is right and new, and a response that imitates them is cut and read as it should be."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mathwright.answers import check_answer, extract_answer
from mathwright.corpus.decontaminate import build_index, find_contamination
from mathwright.errors import MathwrightError
from mathwright.problems.prompts import (
    Exemplar,
    Prompt,
    build_prompt,
    exemplar_sets,
    load_exemplars,
    program_of,
)
from mathwright.problems.tables import file_rows
from mathwright.problems.templates import prompt_text
from mathwright.records import Problem, SolutionFormat
from mathwright.tools.loop import program_answer, tool_output
from mathwright.tools.sandbox import Sandbox

MODES: tuple[SolutionFormat, ...] = ("cot", "pot", "tool")
NEEDED: Mapping[SolutionFormat, str] = {"cot": "cot", "pot": "program", "tool": "output"}
SETS_AND_MODES = [
    (name, mode) for name in exemplar_sets() for mode in MODES if getattr(load_exemplars(name)[0], NEEDED[mode])
]
ALL_EXEMPLARS = [pytest.param(e, id=e.problem.id) for name in exemplar_sets() for e in load_exemplars(name)]


def ask(question: str = "What is 1 + 1?", **fields: Any) -> Problem:
    return Problem(**{"id": "p", "question": question, "answer": "2", "source": "s", "split": "test", **fields})


def build(problem: Problem, mode: SolutionFormat = "cot", **options: Any) -> Prompt:
    defaults = {"template": "plain", "shots": 0, "exemplars": "word_en", "tokenizer": None}
    return build_prompt(problem, mode, **{**defaults, **options})


def cut(text: str, stop: Sequence[str]) -> str:
    """What a generator with these stop strings keeps."""
    return text[: min([len(text), *(text.index(s) for s in stop if s in text)])]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


# --- the exemplars --------------------------------------------------------------------------------


@pytest.mark.parametrize("exemplar", [p for p in ALL_EXEMPLARS if not p.values[0].problem.id.startswith("code")])  # type: ignore[union-attr]
def test_what_an_exemplar_says_is_true(exemplar: Exemplar, sandbox: Sandbox) -> None:
    """Its program prints what the transcript shows, and program and words come to the answer."""
    answer = exemplar.problem.answer
    assert check_answer(extract_answer(f"{exemplar.cot} {exemplar.ending}") or "", answer).correct
    if exemplar.program:
        execution = sandbox.run(exemplar.program, timeout_s=30)
        assert tool_output(execution) == exemplar.output
        assert check_answer(program_answer(execution) or "", answer).correct
        assert exemplar.lead


@pytest.mark.parametrize("exemplar", load_exemplars("code_en"), ids=lambda e: e.problem.id)
def test_a_program_that_is_the_answer_passes_the_tests_in_its_question(exemplar: Exemplar, sandbox: Sandbox) -> None:
    asserts = [line for line in exemplar.problem.question.splitlines() if line.startswith("assert ")]
    assert len(asserts) == 3
    for line in asserts:
        assert sandbox.run(f"{exemplar.program}\n{line}", timeout_s=10).status == "ok"
        wrong = line.replace("==", "!=")
        assert sandbox.run(f"{exemplar.program}\n{wrong}", timeout_s=10).status == "error"


@pytest.mark.parametrize("name", ["choice_en", "choice_zh"])
def test_the_right_options_stand_at_different_letters(name: str) -> None:
    """A model that learns a letter from the exemplars learns nothing."""
    exemplars = load_exemplars(name)
    for exemplar in exemplars:
        assert exemplar.problem.answer in "ABCDE"[: len(exemplar.problem.choices)]
        assert len(set(exemplar.problem.choices)) == len(exemplar.problem.choices)
    assert {exemplar.problem.answer for exemplar in exemplars[:4]} == set("ABCD")


def test_no_exemplar_stands_in_a_benchmark(shared_data: Path) -> None:
    texts = {n: [t for e in load_exemplars(n) for t in (e.problem.question, e.cot) if t] for n in exemplar_sets()}
    index = build_index(texts)
    assert all(find_contamination(text, index) for group in texts.values() for text in group)
    found: list[tuple[str, str]] = []
    num_read = 0
    for folder in ("problems", "chinese"):
        for path in sorted((shared_data / folder).glob("*.json*")):
            if "_train" not in path.name:
                for _, row in file_rows(path):
                    num_read += 1
                    for text in _strings(row):
                        found += [(path.name, span.matched) for span in find_contamination(text, index)]
    assert num_read > 20_000
    assert found == []


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) > 10:
            yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


# --- few-shot prompts -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "mode"), SETS_AND_MODES)
def test_a_model_that_goes_on_as_the_exemplars_do_is_cut_behind_its_answer(
    name: str, mode: SolutionFormat, sandbox: Sandbox
) -> None:
    """The prompt of exemplar k is the beginning of a longer prompt; what follows there is what a base model writes."""
    exemplars = load_exemplars(name)
    whole = build(ask(language=exemplars[0].problem.language), mode, shots=len(exemplars), exemplars=name).text
    for number, exemplar in enumerate(exemplars):
        prompt = build(exemplar.problem, mode, shots=number, exemplars=name)
        assert whole.startswith(prompt.text)
        assert prompt.text.endswith(prompt.response_prefix) and not prompt.text.endswith(" ")
        response = cut(whole[len(prompt.text) :], prompt.stop)
        if mode == "pot":
            assert program_of(exemplar.problem, prompt, response) == exemplar.program
            continue
        assert response.strip().endswith(exemplar.ending)
        assert check_answer(extract_answer(response) or "", exemplar.problem.answer).correct
        if mode == "tool":
            assert f"```python\n{exemplar.program}\n```\n```output\n{exemplar.output}\n```\n" in response


def test_a_chain_of_thought_prompt_as_it_stands() -> None:
    prompt = build(ask("How old is Al?"), shots=1)
    first = load_exemplars("word_en")[0]
    assert prompt.text == (
        f"Question: {first.problem.question}\nAnswer: {first.cot} The answer is 11.\n\n"
        "Question: How old is Al?\nAnswer:"
    )
    assert prompt.messages is None


def test_a_program_prompt_as_it_stands() -> None:
    prompt = build(ask("How old is Al?"), "pot", shots=1)
    first = load_exemplars("word_en")[0]
    assert prompt.text == (
        f"Question: {first.problem.question}\n```python\n{first.program}\n```\n\nQuestion: How old is Al?\n```python\n"
    )
    assert prompt.response_prefix == "```python\n"


def test_options_stand_behind_the_question() -> None:
    prompt = build(ask("Which is even?", choices=("3", "4")), shots=2, exemplars="choice_en")
    assert prompt.text.endswith("Question: Which is even?\n(A) 3\n(B) 4\nAnswer:")
    assert prompt.text.count("\n(A) ") == 3 and "The answer is (B).\n\n" in prompt.text


@pytest.mark.parametrize("colon", ["：", ":"])
def test_a_chinese_model_is_stopped_at_its_next_question_whichever_colon_it_writes(colon: str) -> None:
    prompt = build(ask("几岁？", language="zh"), shots=8, exemplars="word_zh")
    assert prompt.text.endswith("\n\n问题：几岁？\n解答：")
    response = "问题转化为 7×8。\n问题在于 56。答案是 56。\n"
    assert cut(f"{response}\n问题{colon}几个？\n解答：3", prompt.stop) == response


def test_the_words_around_a_question_are_those_of_the_exemplars() -> None:
    assert build(ask(language="en"), shots=1, exemplars="word_zh").text.endswith("\n\n问题：What is 1 + 1?\n解答：")


# --- chat -----------------------------------------------------------------------------------------


def _render(messages: Sequence[Mapping[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
    turns = "".join(f"<{message['role']}>{message['content']}</>" for message in messages)
    return turns + ("<assistant>" if add_generation_prompt and not tokenize else "")


CHAT = SimpleNamespace(chat_template="has one", apply_chat_template=_render)


@pytest.mark.parametrize(("name", "mode"), [pair for pair in SETS_AND_MODES if pair[0] != "code_en"])
def test_exemplars_as_turns_obey_what_their_question_asks(name: str, mode: SolutionFormat) -> None:
    """The suffix asks for a box, so the answers above must have one; a program answers for itself."""
    exemplars = load_exemplars(name)
    prompt = build(exemplars[0].problem, mode, template="tokenizer", tokenizer=CHAT, shots=3, exemplars=name)
    assert prompt.messages is not None and prompt.stop == () and prompt.response_prefix == ""
    assert [message["role"] for message in prompt.messages] == ["user", "assistant"] * 3 + ["user"]
    assert prompt.messages[0] == prompt.messages[-1]  # the same question, asked in the same words
    assert prompt.text == _render(prompt.messages, tokenize=False, add_generation_prompt=True)
    for exemplar, message in zip(exemplars, prompt.messages[1::2], strict=False):
        if mode == "pot":
            assert program_of(exemplar.problem, prompt, message["content"]) == exemplar.program
        else:
            assert f"\\boxed{{{exemplar.problem.answer}}}" in message["content"]
            assert extract_answer(message["content"]) == exemplar.problem.answer


def test_a_server_gets_messages_and_has_no_tokenizer() -> None:
    prompt = build(ask(), template="tokenizer", shots=0)
    assert prompt.text == prompt_text(ask(), "cot", "deepseekmath", None)
    assert prompt.messages == ({"role": "user", "content": _suffixed("What is 1 + 1?")},)
    several = build(ask(), template="tokenizer", shots=2)
    assert several.text.count("\n\nAssistant: ") == 2 and several.text.endswith("\n\nAssistant:")


# --- zero-shot ------------------------------------------------------------------------------------


def _suffixed(question: str) -> str:
    return f"{question}\nPlease reason step by step, and put your final answer within \\boxed{{}}."


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("template", ["deepseekmath", "tokenizer", "short"])
def test_without_exemplars_a_prompt_is_that_of_the_template(template: str, language: str, mode: SolutionFormat) -> None:
    problem = ask("What is {1}?", language=language)
    prompt = build(problem, mode, template=template, tokenizer=CHAT)
    assert prompt.text == prompt_text(problem, mode, template, CHAT)
    assert (prompt.stop, prompt.response_prefix) == ((), "")
    if template == "short":
        assert prompt.messages is None
    else:
        assert prompt.messages is not None
        assert [m["role"] for m in prompt.messages] == ["user"] and prompt.messages[0]["content"] in prompt.text


def test_a_choice_is_asked_for_by_its_letter() -> None:
    english = build(ask("Which is even?", choices=("3", "4")), template="deepseekmath")
    asked = "Which is even?\n(A) 3\n(B) 4\nChoose the letter of the right option."
    assert english.text == f"User: {_suffixed(asked)}\n\nAssistant:"
    chinese = build(ask("哪个是偶数？", choices=("3", "4"), language="zh"), template="deepseekmath")
    assert chinese.text == (
        "User: 哪个是偶数？\n(A) 3\n(B) 4\n请选择正确选项的字母。\n"
        "请通过逐步推理来解答问题，并把最终答案放置于\\boxed{}中。\n\nAssistant:"
    )
    assert chinese.messages is not None and f"User: {chinese.messages[0]['content']}\n\n" in chinese.text


# --- programs -------------------------------------------------------------------------------------

HEAD = '''from typing import List


def mean(xs: List[float]) -> float:
    return sum(xs) / len(xs)


def spread(xs: List[float]) -> float:
    """ Largest distance from the mean.
    >>> spread([1.0, 3.0])
    1.0
    """
'''
TESTS = "assert spread([1.0, 3.0]) == 1.0\nassert spread([0.0, 0.0, 3.0]) == mean([2.0, 2.0])\n"
FUNCTION = ask(HEAD, tests=TESTS)
BODY = "    return max(abs(x - mean(xs)) for x in xs)\n"
WITHOUT_HEAD = f"def spread(xs: List[float]) -> float:\n{BODY}"


def test_a_base_model_continues_the_head_of_a_function(sandbox: Sandbox) -> None:
    prompt = build(FUNCTION)
    assert prompt.text == HEAD and prompt.messages is None
    for more in (
        "\ndef other():\n    pass\n",
        "\nprint(spread([1]))",
        "\n# Test\n",
        "\n```\nSo",
        "\nif __name__",
        "\n@x",
    ):
        assert program_of(FUNCTION, prompt, cut(BODY + more, prompt.stop)) == HEAD + BODY
    commented = "    # inside\n    if not xs:\n        return 0\n" + BODY
    assert cut(commented, prompt.stop) == commented
    assert sandbox.run(f"{program_of(FUNCTION, prompt, commented)}\n{TESTS}", timeout_s=10).status == "ok"


@pytest.mark.parametrize("template", ["deepseekmath", "tokenizer", "short"])
def test_a_chat_model_is_asked_for_the_whole_function(template: str) -> None:
    prompt = build(FUNCTION, template=template, tokenizer=CHAT)
    assert HEAD.strip() in prompt.text and "prints" not in prompt.text and "boxed" not in prompt.text
    assert "one ```python block" in prompt.text


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (f" Here it is:\n```python\n{WITHOUT_HEAD}```\nDone.", "imports and the other function are in the head"),
        (f"```python\n{HEAD}{BODY}```", "the whole, written again"),
        (f"```python\nfrom __future__ import annotations\n{HEAD}{BODY}```", "an import that must stand at the top"),
        (f"```python\n{WITHOUT_HEAD}", "cut off behind the program"),
        (f"```python\n{WITHOUT_HEAD}```\nFor example:\n```python\nspread(None)\n```", "an example of its use follows"),
        (
            f"```python\ndef spread(xs):\n    return 0\n```\nBetter:\n```python\n{WITHOUT_HEAD}```",
            "the last one counts",
        ),
        (f"```python\n{WITHOUT_HEAD}```\n```output\nspread(3)\n```\n", "output is no program"),
        (f"```\n{WITHOUT_HEAD}```", "an unmarked block, where there is no other"),
        (f"1. First\n   ```python\n   {WITHOUT_HEAD.replace(chr(10), chr(10) + '   ')}\n   ```", "a block in a list"),
        (
            f"```python\ndef spread(xs):\n    '''\n    ```xs``` are numbers\n    '''\n{BODY}```",
            "a fence within a line is none",
        ),
        (f"```python\nx = 1 +\n```python\n{WITHOUT_HEAD}```", "a marked fence ends a block left open"),
    ],
)
def test_the_program_of_a_chat_response(response: str, why: str, sandbox: Sandbox) -> None:
    prompt = build(FUNCTION, template="deepseekmath")
    program = program_of(FUNCTION, prompt, response)
    assert sandbox.run(f"{program}\n{TESTS}", timeout_s=10).status == "ok", why


def test_a_head_alone_passes_no_tests(sandbox: Sandbox) -> None:
    """The head is put before a program; it must not stand in for it."""
    prompt = build(FUNCTION, template="deepseekmath")
    for response in ("```python\nx = 1\n```", "```python\n```"):
        program = program_of(FUNCTION, prompt, response)
        assert sandbox.run(f"{program}\n{TESTS}", timeout_s=10).status == "error"


@pytest.mark.parametrize("response", ["", "I do not know.", "```output\n3\n```", "`x = 1`"])
@pytest.mark.parametrize("problem", [FUNCTION, ask()])
def test_a_response_without_a_program_has_none(response: str, problem: Problem) -> None:
    prompt = build(problem, "pot", template="deepseekmath")
    assert program_of(problem, prompt, response) is None


def test_the_last_program_answers_a_question_without_tests() -> None:
    response = " ```python\ndef f():\n    return 1\n```\nor\n```python\nprint(2)\n```\n"
    assert program_of(ask(), build(ask(), "pot", template="deepseekmath"), response) == "print(2)"


def test_an_opened_program_ends_with_its_first_fence() -> None:
    """An engine that does not know stop strings returns the model's next question, too."""
    prompt = build(ask(), "pot", shots=2)
    assert program_of(ask(), prompt, "print(1 + 1)") == "print(1 + 1)"
    going_on = "print(1 + 1)\n```\n\nQuestion: Two?\n```python\nprint(3)\n```\n"
    assert program_of(ask(), prompt, going_on) == "print(1 + 1)"
    assert cut(going_on, prompt.stop) == "print(1 + 1)"


@pytest.mark.parametrize("shots", [0, 3])
def test_a_task_in_words_with_tests_is_answered_by_a_program_in_any_mode(shots: int) -> None:
    test = "assert add(1, 1) == 2"
    problem = ask(f"Write add.\nYour code should pass these tests:\n\n{test}", tests=test)
    prompt = build(problem, "cot", shots=shots, exemplars="code_en")
    assert prompt.text.endswith("\n\nassert add(1, 1) == 2\n```python\n")
    assert prompt.text.count("```python\n") == shots + 1
    assert program_of(problem, prompt, "def add(a, b):\n    return a + b") == "def add(a, b):\n    return a + b"


def test_a_function_asked_for_behind_exemplars_keeps_its_imports(sandbox: Sandbox) -> None:
    prompt = build(FUNCTION, shots=3, exemplars="code_en")
    assert prompt.text.endswith(f"Complete this Python function:\n\n{HEAD}```python\n")
    program = program_of(FUNCTION, prompt, WITHOUT_HEAD)
    assert sandbox.run(f"{program}\n{TESTS}", timeout_s=10).status == "ok"


def test_prose_that_quotes_a_function_is_no_head() -> None:
    problem = ask("Mend this:\n\ndef f(x):\n    return x +", tests="assert f(1) == 2")
    assert build(problem).text.endswith("return x +\n```python\n")
    same_without_tests = ask(HEAD)
    assert build(same_without_tests).text.endswith("\nAnswer:")


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shots": 9}, r"9 exemplars were asked for, but word_en has 8"),
        ({"shots": -1}, "at least 0"),
        ({"shots": 1, "exemplars": "word_fr"}, r"'word_fr'.*choice_en, .*word_en, word_zh"),
        ({"shots": 1, "exemplars": "../word_en"}, "no set of exemplars"),
        ({"shots": 1, "template": "deepseekmath"}, "'deepseekmath'.*--template plain"),
        ({"shots": 1, "mode": "pot", "exemplars": "choice_en"}, "choice_en have no programs"),
        ({"shots": 1, "mode": "tool", "exemplars": "code_en"}, "code_en have no programs that print"),
        ({"shots": 1, "mode": "cot", "exemplars": "code_en"}, "code_en have no worked solutions"),
        ({"template": "alpaca"}, "unknown prompt template 'alpaca'"),
        ({"template": "tokenizer", "tokenizer": SimpleNamespace(chat_template=None)}, "no chat template"),
        ({"template": "tokenizer", "tokenizer": SimpleNamespace(), "shots": 2}, "no chat template"),
    ],
)
def test_what_cannot_be_built_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MathwrightError, match=message):
        build(ask(), **options)
