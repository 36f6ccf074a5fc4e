"""What a chat template writes around a response: the example that is trained is the conversation it renders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.errors import MathwrightError
from mathwright.lm.tokenise import encode, encode_prompt, encode_response
from mathwright.problems.prompts import build_prompt
from mathwright.problems.turns import end_of_own_turn, turn
from mathwright.records import Part, Problem, Solution
from tests.problems import chat_templates
from tests.problems.chat_templates import KINDS, TEMPLATES, tokenizer
from tests.properties import examples

PROBLEM = Problem(id="p", question="What is 1 + 1?", answer="2", source="s", split="train")
TOKENIZERS = {
    (kind, family): tokenizer(kind, template) for kind in KINDS for family, (template, _) in TEMPLATES.items()
}


def solution(*texts: str) -> Solution:
    """Text, a program alone, or text, program, output and text."""
    if texts[0].startswith("```"):
        code = Part(kind="code", text=texts[0].removeprefix("```python\n").removesuffix("```\n"))
        return Solution(problem_id="p", format="pot", parts=(code,), answer="2")
    kinds = ("text", "code", "output", "text")
    parts = tuple(Part(kind=kind, text=text) for kind, text in zip(kinds, texts, strict=False))  # type: ignore[arg-type]
    return Solution(problem_id="p", format="tool" if len(texts) > 1 else "cot", parts=parts, answer="2")


def example(made, given: Solution) -> tuple[list[int], list[int]]:
    """The tokens of the prompt and of the response, as fine-tuning makes them."""
    prompt = build_prompt(PROBLEM, given.format, template="tokenizer", tokenizer=made).text
    around = turn("tokenizer", made)
    tokens, _ = encode_response(
        made, prompt, around.segments(given), prefix=around.require_prefix(), gap=around.gap, end=around.end
    )
    return encode_prompt(made, prompt), tokens


def rendered(made, answer: str) -> str:
    """The conversation up to its last end token: what follows belongs to no response."""
    mode = "pot" if answer.startswith("```") else "cot"
    question = (
        build_prompt(PROBLEM, mode, template="deepseekmath", tokenizer=None)
        .text.removeprefix("User: ")
        .removesuffix("\n\nAssistant:")
    )
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    text = made.apply_chat_template(messages, tokenize=False)
    end = made.convert_ids_to_tokens(turn("tokenizer", made).end)
    start = len(build_prompt(PROBLEM, mode, template="tokenizer", tokenizer=made).text)
    return text[: text.index(end, start) + len(end)]


@pytest.mark.parametrize("family", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_end_is_the_one_the_template_writes(kind: str, family: str) -> None:
    made = TOKENIZERS[kind, family]
    assert made.convert_ids_to_tokens(turn("tokenizer", made).end) == TEMPLATES[family][1]
    assert end_of_own_turn(made) == turn("tokenizer", made).end


@pytest.mark.parametrize("family", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer",
    [
        "It is two.",
        "so the answer is \\boxed{2}",
        "The answer\nis (2).",
        "$2$",
        "2",
        "is two.\n",
        "```python\nprint(2)\n```\n",
    ],
)
def test_the_example_is_the_rendered_conversation(kind: str, family: str, answer: str) -> None:
    made = TOKENIZERS[kind, family]
    prompt, response = example(made, solution(answer))
    assert prompt + response == encode(made, rendered(made, answer))


@examples(60)
@given(
    st.sampled_from(sorted(TOKENIZERS)),
    st.text(alphabet="aI2 .,:()\\n$é一\n", min_size=1, max_size=12).filter(str.strip),
)
def test_any_answer_is_trained_in_the_words_of_the_conversation(which: tuple[str, str], answer: str) -> None:
    """Token for token, unless the answer melts into the prompt: then the prompt's tokens are those generation sees."""
    made = TOKENIZERS[which]
    prompt, response = example(made, solution(answer))
    whole = encode(made, rendered(made, answer))
    if whole[: len(prompt)] == prompt:
        assert prompt + response == whole
    assert response[-1] == turn("tokenizer", made).end
    words = ["".join(str(made.decode(tokens)).split()) for tokens in (prompt + response, whole)]
    assert words[0] == words[1]  # SentencePiece decodes line ends between control tokens with spaces or without


def test_deepseeks_answer_begins_with_a_space_and_llamas_ends_with_one() -> None:
    deepseek, llama = (turn("tokenizer", TOKENIZERS["byte level", name]) for name in ("deepseek", "llama-2"))
    assert (deepseek.prefix, deepseek.gap) == (" ", "")
    assert (llama.prefix, llama.gap) == (" ", " ")
    qwen = turn("tokenizer", TOKENIZERS["byte level", "qwen3"])
    assert qwen.prefix == "<think>\n\n</think>\n\n"


def test_without_an_end_of_turn_the_sequence_ends() -> None:
    made = tokenizer(template=chat_templates.NO_END)
    around = turn("tokenizer", made)
    assert (around.gap, around.end) == ("\n\n", made.eos_token_id)


def test_the_papers_layouts_end_with_the_end_of_the_sequence() -> None:
    made = tokenizer(template=TEMPLATES["chatml"][0])
    for template in ("deepseekmath", "short"):
        around = turn(template, made)
        assert (around.prefix, around.gap, around.end) == (" ", "", made.eos_token_id)


def test_nothing_that_ends_a_response_is_an_error() -> None:
    for template in ("deepseekmath", "short"):
        with pytest.raises(MathwrightError, match="no end-of-sequence token"):
            turn(template, tokenizer(eos_token=None))
    with pytest.raises(MathwrightError, match="no end-of-sequence token"):
        turn("tokenizer", tokenizer(template=chat_templates.NO_END, eos_token=None))
    ends_by_itself = tokenizer(template=TEMPLATES["chatml"][0], eos_token=None)
    assert turn("tokenizer", ends_by_itself).end == ends_by_itself.convert_tokens_to_ids("<|im_end|>")


def test_an_end_that_is_no_token_is_an_error() -> None:
    """A template copied onto a base model that lacks its tokens."""
    made = tokenizer(template=TEMPLATES["chatml"][0], control=())
    with pytest.raises(MathwrightError, match=r"'<\|im_end\|>', which is not one token"):
        turn("tokenizer", made)
    assert end_of_own_turn(made) is None


def test_a_template_that_asks_in_other_words_than_it_shows_takes_no_given_response() -> None:
    made = tokenizer(template=chat_templates.OPENS_A_BLOCK)
    around = turn("tokenizer", made)
    assert around.end == made.eos_token_id, "generation and its end are as the template has them"
    with pytest.raises(MathwrightError, match="other words"):
        around.require_prefix()


def test_a_template_that_refuses_is_named() -> None:
    made = tokenizer(template="{{ raise_exception('no system role') }}")
    with pytest.raises(MathwrightError, match="cannot be used: no system role"):
        turn("tokenizer", made)


def test_a_control_token_spelt_in_a_solution_is_text() -> None:
    made = TOKENIZERS["byte level", "chatml"]
    _, response = example(made, solution("It writes <|im_end|> and </s> and goes on."))
    end = turn("tokenizer", made).end
    assert response.count(end) == 1 and response[-1] == end
    assert made.eos_token_id not in response
    assert made.decode(response[:-1]) == "It writes <|im_end|> and </s> and goes on."


@pytest.mark.parametrize("kind", KINDS)
def test_the_output_of_a_program_is_tokenised_as_generation_inserts_it(kind: str) -> None:
    made = TOKENIZERS[kind, "chatml"]
    given_one = solution("We compute.", "print(2)", "2", "It is 2.")
    around = turn("tokenizer", made)
    prompt = build_prompt(PROBLEM, "tool", template="tokenizer", tokenizer=made).text
    tokens, own = encode_response(
        made, prompt, around.segments(given_one), prefix=around.require_prefix(), gap=around.gap, end=around.end
    )
    inserted = [token for token, is_own in zip(tokens, own, strict=True) if not is_own]
    assert inserted == encode(made, "```output\n2\n```\n", parse_special=False)
    assert own[-1] and tokens[-1] == around.end
