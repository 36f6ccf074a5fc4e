r"""Filters of language, length and repetition: options, all off unless a recipe asks for them (the paper names none).

No rule drops a page for its TeX: the language is told from the text between formulas; a formula is one word, which
repeats only where the whole formula does, and has no length; a line that is a formula alone is no line. There is no
rule about symbols, braces or the share of letters.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mathwright.corpus.recipe import FilterRecipe
from mathwright.corpus.text import CJK
from mathwright.errors import MathwrightError

LANGUAGE_CHARS = 4000
"""Characters from which the language is told: more change nothing and cost time."""
MIN_LANGUAGE_CHARS = 20
"""Letters that are needed to tell a language; a page with fewer (a table of formulas) is kept."""

_ENVIRONMENTS = "align alignat array aligned bmatrix cases displaymath eqnarray equation gather matrix multline pmatrix"
_OPENING = (
    # a price is no formula: the first $ stands before a character, the second behind one and before no digit
    r"(?P<inline>(?<![\\$])\$(?=[^\s$])[^$\n]{0,400}?(?<=[^\s\\])\$(?!\d))"
    rf"|(?P<display>\$\$|\\\[|\\\(|\\begin\{{(?P<environment>{'|'.join(_ENVIRONMENTS.split())})\*?\}})"
    r"|(?P<command>\\[a-zA-Z]+)"
)
_FORMULA = re.compile(_OPENING)
_WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+")
_FORMULA_OR_WORD = re.compile(rf"{_OPENING}|{_WORD.pattern}")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_CLOSINGS = {"$$": re.compile(r"\$\$"), "\\[": re.compile(r"\\\]"), "\\(": re.compile(r"\\\)")}
_CLOSINGS |= {name: re.compile(rf"\\end\{{{name}\*?\}}") for name in _ENVIRONMENTS.split()}


def _spans(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Where formulas, TeX commands (and words, if the pattern has them) stand. Time is linear in the text's length."""
    missing: set[str] = set()  # closing delimiters of which there is none any more: not looked for again
    position = 0
    while (match := pattern.search(text, position)) is not None:
        end = match.end()
        if match["display"] is not None:
            name = match["environment"] or match["display"]
            closing = None if name in missing else _CLOSINGS[name].search(text, end)
            if closing is not None:
                end = closing.end()
            else:
                missing.add(name)
                command = _COMMAND.match(text, match.start())
                position = match.start() + 1 if command is None else command.end()
                if command is None:
                    continue
                end = position
        yield match.start(), end
        position = end


def mask_tex(text: str) -> str:
    """The text with a space in place of each formula and TeX command."""
    if "$" not in text and "\\" not in text:
        return text
    pieces, copied = [], 0
    for start, end in _spans(text, _FORMULA):
        pieces.append(text[copied:start])
        copied = end
    return " ".join((*pieces, text[copied:]))


def count_formulas(text: str) -> Counter[str]:
    r"""Formulas of a text by how they are delimited: $, $$, \(, \[, environment, or a command outside of all these."""
    found: Counter[str] = Counter()
    if "$" not in text and "\\" not in text:
        return found
    for start, _ in _spans(text, _FORMULA):
        opening = text[start : start + 2]
        if opening in ("$$", "\\(", "\\["):
            found[opening] += 1
        elif opening[0] == "$":
            found["$"] += 1
        else:
            found["environment" if text.startswith("\\begin{", start) else "command"] += 1
    return found


def reject(text: str, recipe: FilterRecipe) -> str:
    """Why a text is left out, or "" where it is kept. Reasons are fixed phrases, so that they can be counted.

    Raises MathwrightError where a language is asked for and no model is there.
    """
    if recipe.max_words and len(text.split()) > recipe.max_words:
        return "too many words"
    return _language(text, recipe) or _lines(text, recipe) or _ngrams(text, recipe)


# --- language -------------------------------------------------------------------------------------


def _language(text: str, recipe: FilterRecipe) -> str:
    if not recipe.languages:
        return ""
    sample = _sample(text)
    if sum(map(str.isalpha, sample)) < MIN_LANGUAGE_CHARS:
        return ""
    language, confidence = _identifier(recipe.language_model)(sample)
    return "language" if language not in recipe.languages and confidence >= recipe.min_confidence else ""


def identify_language(text: str, model: str = "") -> tuple[str, float]:
    """ISO 639 code of the language of a text, formulas left out, and how sure that is (0 to 1).

    `model` is a fastText model for language identification (lid.176.bin or lid.176.ftz); "" is py3langid.
    """
    return _identifier(model)(_sample(text))


def _sample(text: str) -> str:
    return " ".join(mask_tex(text[: 4 * LANGUAGE_CHARS]).split())[:LANGUAGE_CHARS]


@functools.cache
def _identifier(model: str) -> Callable[[str], tuple[str, float]]:
    return _fasttext_identifier(model) if model else _langid_identifier()


def _fasttext_identifier(path: str) -> Callable[[str], tuple[str, float]]:
    import fasttext

    if not Path(path).is_file():
        raise MathwrightError(
            f"{path}: no such language model",
            hint="get lid.176.ftz from fasttext.cc, or leave corpus.filters.language_model empty",
        )
    try:
        model = fasttext.load_model(path)
    except (ValueError, RuntimeError) as error:
        raise MathwrightError(f"{path}: no fastText model: {error}", hint="download it again") from error

    def identify(text: str) -> tuple[str, float]:
        labels, values = model.predict(text.replace("\n", " ").encode("utf-8", "replace").decode("utf-8"))
        return (labels[0].removeprefix("__label__"), min(1.0, float(values[0]))) if labels else ("und", 0.0)

    return identify


def _langid_identifier() -> Callable[[str], tuple[str, float]]:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MathwrightError(
            "the package `py3langid` is missing",
            hint="pip install 'mathwright[corpus]', or name a fastText model in corpus.filters.language_model",
        ) from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def identify(text: str) -> tuple[str, float]:
        language, confidence = identifier.classify(text.encode("utf-8", "replace"))
        return str(language), float(confidence)

    return identify


# --- repetition (Gopher, Rae et al. 2021, Table A1) -----------------------------------------------


def _lines(text: str, recipe: FilterRecipe) -> str:
    if recipe.max_duplicate_lines >= 1 and recipe.max_duplicate_line_chars >= 1:
        return ""
    # Lines are compared with their formulas; one that is a formula alone is no line.
    lines = [line for line in map(str.strip, text.split("\n")) if _WORD.search(mask_tex(line))]
    if not lines:
        return ""
    repeated = [line for line, count in Counter(lines).items() for _ in range(count - 1)]
    if len(repeated) > recipe.max_duplicate_lines * len(lines):
        return "repeated lines"
    if sum(map(len, repeated)) > recipe.max_duplicate_line_chars * sum(map(len, lines)):
        return "characters in repeated lines"
    return ""


def _ngrams(text: str, recipe: FilterRecipe) -> str:
    if not (recipe.max_top_ngram or recipe.max_duplicate_ngrams):
        return ""
    words = [text[start:end].lower() for start, end in _spans(text, _FORMULA_OR_WORD)]
    sizes = [len(word) if word[0].isalnum() else 0 for word in words]
    size = sum(sizes)
    for n, share in recipe.max_top_ngram:
        if _top_ngram_chars(words, sizes, n) > share * size:
            return f"one {n}-gram too often"
    for n, share in recipe.max_duplicate_ngrams:
        if _duplicate_ngram_chars(words, sizes, n) > share * size:
            return f"repeated {n}-grams"
    return ""


def _top_ngram_chars(words: Sequence[str], sizes: Sequence[int], n: int) -> int:
    """Characters of the n-gram that has most of them over all its places; 0 where none comes twice."""
    counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    sized = {tuple(words[i : i + n]): sum(sizes[i : i + n]) for i in range(len(words) - n + 1)}
    return max((count * sized[gram] for gram, count in counts.items() if count > 1), default=0)


def _duplicate_ngram_chars(words: Sequence[str], sizes: Sequence[int], n: int) -> int:
    """Characters of the words inside n-grams that came before, each word once."""
    seen: set[tuple[str, ...]] = set()
    total = covered = 0  # `covered`: words before it are counted
    for i in range(len(words) - n + 1):
        gram = tuple(words[i : i + n])
        if gram in seen:
            total += sum(sizes[max(i, covered) : i + n])
            covered = i + n
        else:
            seen.add(gram)
    return total
