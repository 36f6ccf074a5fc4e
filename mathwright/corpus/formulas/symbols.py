"""Characters of mathematical Unicode as TeX commands."""

from __future__ import annotations

import functools
import re
import unicodedata

FILLER = "\ue004"
"""Put beside a lone character in the source, which resiliparse would otherwise drop; stands for nothing."""

# Where several commands name one character, the one people write; and what docutils' tables lack.
_PREFERRED = {
    FILLER: "",
    "−": "-", "∗": "*", "⁎": "*", "′": "'", "″": "''", "‴": "'''", "’": "'", "≤": r"\leq", "≥": r"\geq",
    "≠": r"\neq", "→": r"\to", "←": r"\leftarrow", "⟶": r"\longrightarrow", "⟵": r"\longleftarrow", "↦": r"\mapsto",
    "⇒": r"\Rightarrow",
    "⇔": r"\Leftrightarrow", "⟹": r"\implies", "⟺": r"\iff", "…": r"\ldots", "⋯": r"\cdots", "⋮": r"\vdots",
    "⋱": r"\ddots", "·": r"\cdot", "⋅": r"\cdot", "×": r"\times", "∣": r"\mid", "∥": r"\|", "‖": r"\|", "∧": r"\wedge",
    "∨": r"\vee", "¬": r"\neg", "∅": r"\emptyset", "∖": r"\setminus", "∘": r"\circ", "∎": r"\blacksquare", "⊤": r"\top",
    "⊥": r"\perp", "∞": r"\infty", "∂": r"\partial", "∇": r"\nabla", "ℓ": r"\ell", "ħ": r"\hbar", "ℏ": r"\hbar",
    "∈": r"\in", "∋": r"\ni", "∉": r"\notin", "ϕ": r"\phi", "φ": r"\varphi", "ϵ": r"\epsilon", "ε": r"\varepsilon",
    "ϑ": r"\vartheta", "ϱ": r"\varrho", "ϖ": r"\varpi", "ς": r"\varsigma", "ϰ": r"\varkappa", "µ": r"\mu", "μ": r"\mu",
    "Ω": r"\Omega", "\u2126": r"\Omega", "∆": r"\Delta", "∑": r"\sum", "∏": r"\prod", "∐": r"\coprod", "∫": r"\int",
    "∬": r"\iint", "∭": r"\iiint", "∮": r"\oint", "√": r"\surd", "∀": r"\forall", "∃": r"\exists", "∄": r"\nexists",
    "≔": ":=", "∶": ":", "≡": r"\equiv", "≈": r"\approx", "≅": r"\cong", "∼": r"\sim", "≃": r"\simeq", "∝": r"\propto",
    "⟨": r"\langle", "⟩": r"\rangle", "〈": r"\langle", "〉": r"\rangle", "⌊": r"\lfloor", "⌋": r"\rfloor",
    "⌈": r"\lceil", "⌉": r"\rceil", "{": r"\{", "}": r"\}", "\\": r"\backslash", "%": r"\%", "#": r"\#", "&": r"\&",
    "_": r"\_", "$": r"\$", "~": r"\sim", "^": r"\hat{}", "°": r"^\circ", "±": r"\pm", "∓": r"\mp", "÷": r"\div",
    "½": r"\frac{1}{2}", "⊂": r"\subset", "⊆": r"\subseteq", "⊕": r"\oplus", "⊗": r"\otimes", "†": r"\dagger",
    "‡": r"\ddagger", "≪": r"\ll", "≫": r"\gg", "⊢": r"\vdash", "⊨": r"\models", "□": r"\square", "★": r"\star",
    "⋆": r"\star", "∠": r"\angle", "△": r"\triangle", "≜": r"\triangleq", "⌢": r"\frown", "ı": r"\imath",
    "ȷ": r"\jmath", "ℎ": "h",
    "ℜ": r"\Re", "ℑ": r"\Im", "ℵ": r"\aleph", "℘": r"\wp", "⟦": r"[\![", "⟧": r"]\!]", "‾": r"\overline{}",
    "\u2061": "", "\u2062": "", "\u2063": "", "\u2064": "", "\u200b": "", "\u200c": "", "\u200d": "", "\ufeff": "",
    "\u00ad": "", "\xa0": r"\ ", "\u2009": r"\,", "\u200a": "", "\u2005": r"\,", "\u2006": r"\,", "\u2004": r"\;",
    "\u2003": r"\quad", "\u2001": r"\quad", "\u205f": r"\:", "\u2002": r"\;", "∕": "/", "⁄": "/", "‐": "-",
    "–": "-", "‑": "-", "—": "-",
    "Α": "A", "Β": "B", "Ε": "E", "Ζ": "Z", "Η": "H", "Ι": "I", "Κ": "K", "Μ": "M", "Ν": "N", "Ο": "O",
    "Ρ": "P", "Τ": "T", "Χ": "X", "ο": "o",
}  # fmt: skip

FUNCTIONS = frozenset({
    "arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "det", "dim", "exp", "gcd",
    "hom", "inf", "ker", "lg", "lim", "liminf", "limsup", "ln", "log", "max", "min", "Pr", "sec", "sin", "sinh",
    "sup", "tan", "tanh",
})  # fmt: skip
"""Function names that are TeX commands."""

RELATIONS = frozenset({
    "=", "<", ">", "≤", "≥", "≠", "≡", "≈", "≅", "∼", "≃", "∝", "∈", "∉", "∋", "⊂", "⊆", "⊃", "⊇", "→", "←", "↔",
    "⇒", "⇐", "⇔", "⟶", "⟵", "⟹", "⟺", "↦", "≔", ":=", "≪", "≫", "⊢", "⊨", "∣", "≜", "≐", "⪯", "≺", "≻", "⪰", "≲",
    "≳", "==", "!=", "<=", ">=", "⊊", "⊈", "∥", "⊥",
})  # fmt: skip
BINARIES = frozenset({
    "+", "-", "−", "±", "∓", "×", "·", "⋅", "∗", "∘", "∩", "∪", "∧", "∨", "⊕", "⊗", "÷", "∖", "⊙", "⋆", "⊖",
})  # fmt: skip
BIG_OPERATORS = frozenset("∑∏∐∫∬∭∮⋀⋁⋂⋃⨀⨁⨂⨆⨄")
ACCENTS = {
    "ˆ": "hat", "^": "hat", "\u0302": "hat", "¯": "bar", "ˉ": "bar", "\u0304": "bar", "‾": "overline", "_": "overline",
    "―": "overline", "─": "overline", "\u0305": "overline", "→": "vec", "⃗": "vec", "⇀": "vec", "˜": "tilde",
    "~": "tilde",
    "∼": "tilde", "\u0303": "tilde", "˙": "dot", ".": "dot", "\u0307": "dot", "¨": "ddot", "\u0308": "ddot",
    "⃛": "dddot",
    "˘": "breve", "\u0306": "breve", "ˇ": "check", "\u030c": "check", "´": "acute", "\u0301": "acute",
    "`": "grave",
    "\u0300": "grave", "˚": "mathring", "\u030a": "mathring", "⏞": "overbrace", "︷": "overbrace", "←": "overleftarrow",
    "↔": "overleftrightarrow", "⏜": "overparen", "⎴": "overbracket", "⃜": "ddddot",
}  # fmt: skip
"""Character above a base -> accent command. A stretched hat, tilde or arrow becomes its wide form."""
WIDE_ACCENTS = {"hat": "widehat", "tilde": "widetilde", "bar": "overline", "vec": "overrightarrow"}
UNDER_ACCENTS = {
    "⏟": "underbrace", "︸": "underbrace", "_": "underline", "‾": "underline", "¯": "underline", "\u0332": "underline",
    "―": "underline", "─": "underline", "→": "underrightarrow", "←": "underleftarrow",
    "⏝": "underparen", "⎵": "underbracket",
}  # fmt: skip
VARIANTS = {
    "bold": "mathbf", "bold-italic": "boldsymbol", "double-struck": "mathbb", "script": "mathcal",
    "bold-script": "mathcal", "fraktur": "mathfrak", "bold-fraktur": "mathfrak", "sans-serif": "mathsf",
    "bold-sans-serif": "mathsf", "sans-serif-italic": "mathsf", "sans-serif-bold-italic": "mathsf",
    "monospace": "mathtt", "-tex-calligraphic": "mathcal", "-tex-mathit": "mathit",
}  # fmt: skip
"""MathML's mathvariant -> TeX font command; "normal" and "italic" depend on what they apply to."""

_STYLED_NAME = re.compile(
    r"(?:MATHEMATICAL )?(BOLD ITALIC|BOLD SCRIPT|BOLD FRAKTUR|SANS-SERIF BOLD ITALIC|SANS-SERIF BOLD|SANS-SERIF ITALIC"
    r"|SANS-SERIF|BOLD|ITALIC|DOUBLE-STRUCK|SCRIPT|FRAKTUR|BLACK-LETTER|MONOSPACE) (?:CAPITAL|SMALL|DIGIT) "
)
_STYLE_COMMANDS = {
    "BOLD": "mathbf", "BOLD ITALIC": "boldsymbol", "ITALIC": "", "DOUBLE-STRUCK": "mathbb", "SCRIPT": "mathcal",
    "BOLD SCRIPT": "mathcal", "FRAKTUR": "mathfrak", "BLACK-LETTER": "mathfrak", "BOLD FRAKTUR": "mathfrak",
    "SANS-SERIF": "mathsf", "SANS-SERIF BOLD": "mathsf", "SANS-SERIF ITALIC": "mathsf",
    "SANS-SERIF BOLD ITALIC": "mathsf", "MONOSPACE": "mathtt",
}  # fmt: skip


@functools.cache
def _commands() -> dict[str, str]:
    """Character -> TeX, from docutils' tables of commands, ours first."""
    from docutils.utils.math import tex2unichar

    table: dict[str, str] = {}
    for group in ("mathalpha", "mathbin", "mathclose", "mathfence", "mathop", "mathopen", "mathord", "mathrel"):
        for name, character in getattr(tex2unichar, group).items():
            known = table.get(character)
            if len(character) == 1 and ord(character) > 127 and (known is None or len(name) + 1 < len(known)):
                table[character] = "\\" + name
    return {**table, **_PREFERRED}


@functools.cache
def _styled(character: str) -> tuple[str, str] | None:
    """Font command and plain letter of a styled letter such as ℝ or 𝐱; None for any other character."""
    name = _STYLED_NAME.match(unicodedata.name(character, ""))
    plain = unicodedata.normalize("NFKC", character)
    if name is None or plain == character:
        return None
    return _STYLE_COMMANDS[name[1]], plain


def to_tex(text: str) -> str:
    """Mathematical characters as TeX: symbols as commands, styled letters with their font, others as they are."""
    if text.isascii() and text.isalnum():
        return text
    tex = ""
    font = ""
    run = ""
    commands = _commands()
    for character in text:
        styled = None if character in _PREFERRED or ord(character) < 128 else _styled(character)
        if styled is None or styled[0] != font:
            tex, run = join(tex, _in_font(font, run)), ""
            font = ""
        if styled is None:
            tex = join(tex, commands.get(character, character))
        else:
            font = styled[0]
            run = join(run, commands.get(styled[1], styled[1]))
    return join(tex, _in_font(font, run))


def _in_font(font: str, run: str) -> str:
    return f"\\{font}{{{run}}}" if font and run else run


_ENDS_IN_COMMAND = re.compile(r"(?:\\[A-Za-z]+|[_^][A-Za-z0-9])\Z")


def join(left: str, right: str) -> str:
    r"""Two pieces of TeX in a row, with a space where `\alpha` and `x` would become `\alphax`, `x_i` and `2` `x_i2`."""
    if right and left and (right[0].isalnum() or right[0] == "*") and _ENDS_IN_COMMAND.search(left[-24:]):
        return f"{left} {right}"
    return left + right


def ends_in_backslash(tex: str) -> bool:
    r"""Whether what follows `tex` would be escaped: `x\` ends in half an escape, `x\\` in a whole one."""
    return (len(tex) - len(tex.rstrip("\\"))) % 2 == 1


def trim(tex: str) -> str:
    r"""TeX without the space around it. The space of `\ ` stays: its backslash alone would escape what follows."""
    trimmed = tex.strip()
    cut_an_escape = ends_in_backslash(trimmed) and not tex.endswith("\\")
    return trimmed + " " if cut_an_escape else trimmed
