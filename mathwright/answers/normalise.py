"""Bring the many spellings of one answer to a single one: TeX furniture, spacing, Unicode, plain-text functions.

Everything here is text to text, linear in its length, and changes no meaning: `\\dfrac12`, `\\frac{1}{2}` and
`\\tfrac 1 2` become `\\frac{1}{2}`; `\\left[` becomes `[`; set braces `\\{` become the single character `⦃`, so that
the braces left over only group.
"""

from __future__ import annotations

import re

from mathwright.answers.programs import from_program

MAX_ANSWER_CHARS = 2000
"""A longer text is no final answer; it is compared as a string only."""

SET_OPEN, SET_CLOSE = "⦃", "⦄"

_GREEK = "alpha beta gamma delta epsilon lambda mu rho sigma tau phi omega ell Delta Omega"
_EIGHTHS = ((1, 5), (2, 5), (3, 5), (4, 5), (1, 6), (5, 6), (1, 8), (3, 8), (5, 8), (7, 8))
_UNICODE = str.maketrans(
    {
        **dict(zip("（），：；％＝＋－／［］｛｝＜＞．", "(),:;%=+-/[]⦃⦄<>.", strict=True)),
        **dict(zip("０１２３４５６７８９", "0123456789", strict=True)),
        "−": "-",
        "–": "-",
        "，": ",",
        "、": ",",
        "。": ".",
        "×": r"\times ",
        "·": r"\cdot ",
        "⋅": r"\cdot ",
        "÷": "/",
        "π": r"\pi ",
        "θ": r"\theta ",
        "∞": r"\infty ",
        "√": r"\sqrt ",
        "…": "...",
        "℃": "°C",
        "℉": "°F",
        "≤": r"\le ",
        "≥": r"\ge ",
        "≠": r"\ne ",
        "≈": r"\approx ",
        "∪": r"\cup ",
        "∩": r"\cap ",
        "∈": r"\in ",
        "±": r"\pm ",
        "∓": r"\mp ",
        "∅": r"\emptyset ",
        **{c: rf"\{name} " for c, name in zip("αβγδελμρστφωℓΔΩ", _GREEK.split(), strict=True)},
        **{c: rf"\frac{{{n}}}{{{d}}}" for c, (n, d) in zip("⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞", _EIGHTHS, strict=True)},
        "ℝ": r"\mathbb{R} ",
        "⁄": "/",
        "½": r"\frac{1}{2}",
        "¼": r"\frac{1}{4}",
        "¾": r"\frac{3}{4}",
        "⅓": r"\frac{1}{3}",
        "⅔": r"\frac{2}{3}",
        "’": "'",
        "′": "'",
        "\u00a0": " ",
        "\u2009": " ",
        "\u202f": " ",
        "\u200b": "",
        "\ufeff": "",
        "￥": "¥",
    }
)

_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "₀₁₂₃₄₅₆₇₈₉₊₋ₙ"
_RAISED_RUN, _LOWERED_RUN = re.compile(f"[{_RAISED}]+"), re.compile(f"[{_LOWERED}]+")
_TO_LINE = str.maketrans(_RAISED + _LOWERED, "0123456789+-n" * 2)
_OVERLINE = "\u0305"
_OVERLINED = re.compile(rf"(?:\d{_OVERLINE})+")
_ROOT_SIGN = re.compile(r"([√∛∜])\s*(\d+(?:\.\d+)?|[a-z]|\([^()]*\))")
_ROOT_INDEX = {"√": "", "∛": "[3]", "∜": "[4]"}
_PLAIN_ROOT = re.compile(r"(?<![\\a-zA-Z])sqrt\s*(\d+(?:\.\d+)?)")
_CIRCLED_COMMAND = re.compile(r"\\textcircled\s*\{\s*(\d)\s*\}")
_CIRCLED = "①②③④⑤⑥⑦⑧⑨"
_CIRCLED_LIST = re.compile(rf"\s*[{_CIRCLED}](?:[\s,、，和与]*[{_CIRCLED}])*\s*")
_ORNAMENT = re.compile(
    r"\\(?:underline|uline|bm|pmb)(?![a-zA-Z])|\\(?:text)?color\s*\{[^{}]*\}|\\(?:checkmark|blacksquare|square|qed|Box)(?![a-zA-Z])"
)
_HEDGE = re.compile(
    r"^(\\text\s*\{\s*)?(?:(?:approximately|about|around|roughly|exactly|nearly|approx\.?)\s+(?=[-}\d$¤\\])|(?:大约|约|一共|总共|共|等于)(?:为|是)?\s*(?=[-\d]))",
    re.IGNORECASE,
)
_FRENCH = re.compile(r"(^|\\cup\s*)([\[\]])([^\[\]()]+[,;][^\[\]()]+)([\[\]])(?=\s*(?:$|\\cup))")
_TEMPERATURE = re.compile(r"(?:\\text\{\s*)?°(?:\s*\}|\s*\\text\{)?\s*([CF])(?![a-zA-Z])(?:\s*\})?")
_SCALES = {"C": "celsius", "F": "fahrenheit"}
_RATE = re.compile(r"^每(小时|分钟|秒|天|千克|公斤|米|个|人)\s*(\d+(?:\.\d+)?\s*[\u4e00-\u9fff]+)$")
_CHINESE_FRACTION, _CHINESE_MIXED = (
    re.compile(r"(?<!\d)(\d+)\s*分之\s*(\d+)"),
    re.compile(r"(?<!\d)(\d+)\s*又\s*(?=\d|\\frac)"),
)
_CHINESE_RATIO = re.compile(r"(\d)\s*比\s*(?=\d)")
_SYSTEM = re.compile(
    rf"[{SET_OPEN}{{]?\s*\\begin\{{(cases|array|aligned)\}}(?:\{{[lcr]*\}})?(.*)\\end\{{\1\}}", re.DOTALL
)
_CHOOSE = re.compile(r"\{\s*([^{}]+?)\s*\\choose\s*([^{}]+?)\s*\}")
_CIS = re.compile(r"(?:\\(?:operatorname|text|mathrm)\{\s*cis\s*\}|\\?cis(?![a-zA-Z]))\s*(\([^()]*\)|[^\s,+()]+)")
_FURNITURE = re.compile(
    r"\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|nolimits|hfill|hspace\{[^{}]*\})"
    r"(?![a-zA-Z])\.?"
)
_NO_SPACE = re.compile(r"\\!\s*")
_SPACE = re.compile(r"\\[,;: ]|\\(?:quad|qquad|enspace|thinspace|newline)(?![a-zA-Z])|~|&nbsp;|[\t\r\n]")
_BRACED_COMMA = re.compile(r"\s*\{\s*,\s*\}\s*")
_TEXT = re.compile(r"\\(?:text|mbox|hbox|textbf|textit|textrm|textnormal|textsf|texttt|mathrm|rm)\s*\{([^{}]*)\}")
_STYLE = re.compile(r"\\(?:mathbf|mathit|mathsf|boldsymbol|bm|mathcal|pmb)\s*(?=[{a-zA-Z\\])")
# Bold type marks vectors, which matters where they are multiplied, and the unit vectors i, j and k.
_BOLD_VECTOR = re.compile(r"\\(?:mathbf|boldsymbol)\s*\{\s*([a-zA-Z])\s*\}")
_BOLD_UNIT = re.compile(r"\\(?:mathbf|boldsymbol)\s*\{\s*([ijk])\s*\}")
_DEGREE = re.compile(r"\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))|\\degree(?![a-zA-Z])")
_FRAC = re.compile(r"\\(?:[dtc])?frac(?![a-zA-Z])\s*")
_SHORT_COMMANDS = (
    (re.compile(r"\\(?:leqslant|leq|leqq)(?![a-zA-Z])"), r"\\le "),
    (re.compile(r"\\(?:geqslant|geq|geqq)(?![a-zA-Z])"), r"\\ge "),
    (re.compile(r"\\neq(?![a-zA-Z])"), r"\\ne "),
    (re.compile(r"\\(?:varnothing|O)(?![a-zA-Z])"), r"\\emptyset "),
    (re.compile(r"\\(?:langle|lparen)(?![a-zA-Z])"), "("),
    (re.compile(r"\\(?:rangle|rparen)(?![a-zA-Z])"), ")"),
    (re.compile(r"\\(?:lbrack)(?![a-zA-Z])"), "["),
    (re.compile(r"\\(?:rbrack)(?![a-zA-Z])"), "]"),
    (re.compile(r"\\(?:\{|lbrace(?![a-zA-Z]))"), SET_OPEN),
    (re.compile(r"\\(?:\}|rbrace(?![a-zA-Z]))"), SET_CLOSE),
    (re.compile(r"\\(?:lvert|rvert|vert|mid)(?![a-zA-Z])"), "|"),
    (re.compile(r"\\(?:bigcup)(?![a-zA-Z])"), r"\\cup "),
    (re.compile(r"\\lg(?![a-zA-Z])"), r"\\log_{10} "),
    (re.compile(r"\+\s*/\s*-|\+-"), r"\\pm "),
    (re.compile(r"\\(?:colon)(?![a-zA-Z])"), ":"),
    (re.compile(r"\\lt(?![a-zA-Z])"), "<"),
    (re.compile(r"\\gt(?![a-zA-Z])"), ">"),
    (re.compile(r"<=|=<"), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (re.compile(r"!="), r"\\ne "),
    (re.compile(r"\\ast(?![a-zA-Z])|\*\*"), lambda m: "^" if m.group() == "**" else "*"),
    (re.compile(r"(?<![\\a-zA-Z])(?:oo|inf|infinity|Infinity)(?![a-zA-Z])"), r"\\infty "),
)
_FUNCTION_WORDS = re.compile(
    r"(?<![\\a-zA-Z])(sqrt|pi|arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log|ln|exp)(?![a-zA-Z])"
)
_POWER_FRACTION = re.compile(r"\^\s*(\\frac\{[^{}]*\}\{[^{}]*\})")
_PARENTHESIS = re.compile("[()]")
_POWER_PARENTHESIS = re.compile(r"\^\s*\(")
_ROOT_ARGUMENT = re.compile(r"\\sqrt\s*(?:(\()|([0-9a-zA-Z])|(\\[a-zA-Z]+))")
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z])")
_THOUSANDS = re.compile(r"(?<![\d,(\[⦃.])(\d{1,3}(?:,\d{3})+)(?=\s*(?:\\(?:pi|sqrt|frac)|[a-z]|°))")
_SPACES = re.compile(r"\s{2,}")
_WRAPPERS = (("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)"), ("**", "**"), ("`", "`"), ('"', '"'), ("$", "$"))


def clean(text: str) -> str:
    """The answer in its one spelling, without delimiters, furniture and final punctuation."""
    text = _SPACES.sub(" ", text)  # once and here, for a pattern may look at each blank of a run from each blank
    text = from_program(_outer(text.replace("\\$", "¤")))
    text = _ORNAMENT.sub("", _circled(text)).strip()
    text = _OVERLINED.sub(lambda m: rf"\overline{{{m.group().replace(_OVERLINE, '')}}}", text)
    # A root sign stands over all digits behind it; TeX's `\\sqrt12` over one.
    text = _ROOT_SIGN.sub(lambda m: rf"\sqrt{_ROOT_INDEX[m.group(1)]}{{{m.group(2)}}}", text)
    text = _PLAIN_ROOT.sub(r"\\sqrt{\1}", text)
    text = _RAISED_RUN.sub(lambda m: f"^{{{m.group().translate(_TO_LINE)}}}", text)
    text = _LOWERED_RUN.sub(lambda m: f"_{{{m.group().translate(_TO_LINE)}}}", text)
    text = _HEDGE.sub(r"\1", text.translate(_UNICODE))
    text = _strip_dollars(text)
    text = _NO_SPACE.sub("", text)
    # `\\` ends a row of a matrix: it is set aside, so that `\\ ` is not read as a space command.
    if not any(environment in text for environment in ("matrix", "array", "cases", "aligned")):
        text = _DOUBLED.sub(r"\\", text)
    text = text.replace("\\\\", "␤")
    text = _SPACES.sub(" ", _SPACE.sub(" ", _FURNITURE.sub(" ", text)))
    text = (
        _BRACED_COMMA.sub(",", _EMPTY_TEXT.sub("", text)).replace("\\%", "%").replace("\\#", "#").replace("\\&", "and")
    )
    for pattern, replacement in _SHORT_COMMANDS:
        text = pattern.sub(replacement, text)
    text = _OLD_STYLE.sub(r"\\text{\1}", _SIUNITX.sub(_siunitx, text))
    text = _upright(_TEXT.sub(r"\\text{\1}", text))
    # A lone letter that is no unit is a variable, `5\\text{x}`, or a constant.
    text = text if _LETTER.fullmatch(text.strip()) else _LETTER.sub(r"\1", text)
    text = _STYLE.sub(
        "", _BOLD_VECTOR.sub(r"\\vec{\1}", text) if "\\times" in text else _BOLD_UNIT.sub(r"\\hat{\1}", text)
    )
    text = _CHINESE_RATIO.sub(r"\1:", text)
    text = _CHINESE_MIXED.sub(r"\1 ", _CHINESE_FRACTION.sub(r"\\frac{\2}{\1}", text))
    if (system := _SYSTEM.fullmatch(text.strip())) and all("=" in row for row in system.group(2).split("␤")):
        text = ", ".join(row.replace("&", " ").strip(" ,") for row in system.group(2).split("␤"))
    text = _CHOOSE.sub(r"\\binom{\1}{\2}", text)
    text = _CIS.sub(r"(\\cos \1+i\\sin \1)", text)
    text = _DEGREE.sub("°", text)
    text = _TEMPERATURE.sub(lambda m: rf"\text{{{_SCALES[m.group(1)]}}}", text)
    text = _RATE.sub(r"\2/\1", text)
    text = _FRENCH.sub(_straightened, text)
    text = _THOUSANDS.sub(lambda m: m.group().replace(",", ""), text)
    text = _FUNCTION_WORDS.sub(r"\\\1 ", text) if "\\text" not in text else text
    text = _POWER_FRACTION.sub(r"^{\1}", _roots(_fractions(text)))
    text = _power_parentheses(text)
    text = _SPACES.sub(" ", text).strip()
    return text if text.endswith("...") else text.rstrip(" .,;:?")


def _circled(text: str) -> str:
    """`①③` as the set {1, 3}: which of several statements hold."""
    text = _CIRCLED_COMMAND.sub(lambda m: _CIRCLED[int(m.group(1)) - 1], text)
    if _CIRCLED_LIST.fullmatch(text):
        numbers = [str(_CIRCLED.index(c) + 1) for c in text if c in _CIRCLED]
        return SET_OPEN + ",".join(numbers) + SET_CLOSE
    return text


def _straightened(match: re.Match[str]) -> str:
    """`]0, 1[` as `(0, 1)`."""
    before, left, ends, right = match.groups()
    return f"{before}{'(' if left == ']' else '['}{ends}{')' if right == '[' else ']'}"


def _outer(text: str) -> str:
    """Take off matching delimiters around the whole text."""
    text = text.strip()
    while True:
        for start, end in _WRAPPERS:
            inner = text[len(start) : len(text) - len(end)]
            wrapped = len(text) > len(start) + len(end) and text.startswith(start) and text.endswith(end)
            if wrapped and start not in inner and end not in inner:
                text = inner.strip()
                break
        else:
            return text


def _strip_dollars(text: str) -> str:
    """Dollar signs delimit mathematics where they come in pairs; a single one beside a digit is money."""
    text = text.replace("$$", "$")
    for command in (r"\[", r"\]", r"\(", r"\)"):
        text = text.replace(command, " ")
    if text.count("$") % 2 == 0:
        return text.replace("$", "")
    return re.sub(r"\$(?=\s*\d)|(?<=\d)\s*\$", "¤", text).replace("$", "")


def closing_brace(text: str, start: int) -> int:
    """Index of the brace that closes the one at `start`, or -1."""
    depth = 0
    for index in range(start, len(text)):
        character = text[index]
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return index
    return -1


_EMPTY_TEXT = re.compile(r"\\text\{[\s.,;:!?]*\}\s*$")
_LETTER = re.compile(r"\\text\{([acefijknoqruvwxyz])\}")
_OLD_STYLE = re.compile(r"\{\s*\\(?:rm|sf|tt|bf|it)(?![a-zA-Z])\s*([^{}]*)\}")
_SIUNITX = re.compile(r"\\(?:SI|qty)\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_SI_MACRO = re.compile(
    r"\\(kilo|mega|giga|tera|hecto|deca|deci|centi|milli|micro|nano|pico|femto)(?![a-zA-Z])|\\(per)(?![a-zA-Z])|\\([a-z]+)"
)


def _siunitx(match: re.Match[str]) -> str:
    """`\\SI{5}{\\kilo\\gram}` as `5\\text{ kilogram}`."""
    unit = _SI_MACRO.sub(lambda m: m.group(1) or ("/" if m.group(2) else f"{m.group(3)} "), match.group(2))
    return rf"{match.group(1)}\text{{ {unit.strip()}}}"


_NESTED = re.compile(r"\\(?:text|mathrm|rm)\s*\{(?=[^{}]*\{)")
_LETTERS = re.compile(r"\\[a-zA-Z]+|[a-zA-Z][a-zA-Z ]*")


def _upright(text: str) -> str:
    """`\\mathrm{m s^{-2}}`, whose braces are nested, as `\\text{m s}^{-2}`."""
    pieces, position = [], 0
    while match := _NESTED.search(text, position):
        end = closing_brace(text, match.end() - 1)
        if end < 0:
            break
        inner = _LETTERS.sub(
            lambda m: m.group() if m.group()[0] == "\\" else rf"\text{{{m.group()}}}", text[match.end() : end]
        )
        pieces += [text[position : match.start()], inner]
        position = end + 1
    return "".join(pieces) + text[position:]


def _argument(text: str, start: int) -> tuple[str, int]:
    """The TeX argument at `start` (a group, a command or one character) and the index behind it."""
    while start < len(text) and text[start] == " ":
        start += 1
    if start >= len(text):
        return "", start
    if text[start] == "{":
        end = closing_brace(text, start)
        return (text[start + 1 : end], end + 1) if end >= 0 else ("", len(text) + 1)
    command = re.match(r"\\(?:sqrt|text)\s*\{[^{}]*\}|\\[a-zA-Z]+", text[start:])
    if command:
        return command.group(), start + command.end()
    return text[start], start + 1


def _fractions(text: str) -> str:
    """Write every fraction as `\\frac{a}{b}`: `\\frac12`, `\\frac 1{2}`, `\\dfrac`."""
    pieces, position = [], 0
    while match := _FRAC.search(text, position):
        top, after_top = _argument(text, match.end())
        bottom, end = _argument(text, after_top)
        if not top or not bottom or end > len(text):
            break
        pieces += [text[position : match.start()], "\\frac{", _fractions(top), "}{", _fractions(bottom), "}"]
        position = end
    return "".join(pieces) + text[position:]


def _partners(text: str) -> dict[int, int]:
    """Where the parenthesis that opens at each index is closed, where it is."""
    opened: list[int] = []
    partners: dict[int, int] = {}
    for match in _PARENTHESIS.finditer(text):
        if match.group() == "(":
            opened.append(match.start())
        elif opened:
            partners[opened.pop()] = match.start()
    return partners


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    """The text with stretches (start, end) replaced, none of which overlap."""
    pieces, position = [], 0
    for start, end, replacement in sorted(edits):
        pieces += [text[position:start], replacement]
        position = end
    return "".join(pieces) + text[position:]


def _roots(text: str) -> str:
    """`\\sqrt3`, `\\sqrt(3)` and `\\sqrt\\pi` as `\\sqrt{...}`."""
    partners, edits = _partners(text), []
    for match in _ROOT_ARGUMENT.finditer(text):
        if not match.group(1):
            edits.append((match.start(), match.end(), "\\sqrt{" + (match.group(2) or match.group(3)) + "}"))
        elif (end := partners.get(match.end() - 1)) is not None:
            edits += [(match.start(), match.end(), "\\sqrt{"), (end, end + 1, "}")]
    return _edited(text, edits)


def _power_parentheses(text: str) -> str:
    """`x^(n+1)`, as programs print it, as `x^{(n+1)}`: TeX would raise the parenthesis alone."""
    partners, edits = _partners(text), []
    for match in _POWER_PARENTHESIS.finditer(text):
        if (end := partners.get(match.end() - 1)) is not None:
            edits += [(match.start(), match.end(), "^{("), (end, end + 1, ")}")]
    return _edited(text, edits)
