"""The symbols of AsciiMath (asciimath.org) and what they are in TeX."""

from __future__ import annotations

import functools

_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
_SAME_NAME = (
    "cdot ast star setminus times div ltimes rtimes bowtie circ oplus otimes odot wedge bigwedge vee bigvee cap bigcap "
    "cup bigcup sum prod int oint partial nabla pm emptyset infty aleph therefore because ldots cdots vdots ddots quad "
    "qquad angle frown triangle diamond square lfloor rfloor lceil rceil ne lt gt le ge leq geq ll gg prec preceq succ "
    "succeq in notin subset supset subseteq supseteq equiv cong approx propto neg implies iff forall exists bot top "
    "vdash models uparrow downarrow rightarrow to leftarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow mapsto "
    "hookrightarrow prime sim not backslash"
)
_SPACED = (
    "times div cdot cap cup wedge vee setminus circ oplus otimes odot pm in notin subset supset subseteq supseteq "
    "equiv cong approx propto ne le ge leq geq lt gt ll gg to rightarrow implies iff sim mapsto Rightarrow "
    "Leftrightarrow"
)
"""Those of them that stand between operands."""
RELATIONS = {
    "=": "=", "!=": r"\ne", "<": "<", ">": ">", "<=": r"\leq", ">=": r"\geq", "lt=": r"\leq", "gt=": r"\geq",
    "mlt": r"\ll", "mgt": r"\gg", "-<": r"\prec", "-lt": r"\prec", "-<=": r"\preceq", ">-": r"\succ",
    ">-=": r"\succeq", "!in": r"\notin", "sub": r"\subset", "sup": r"\supset", "sube": r"\subseteq",
    "supe": r"\supseteq", "-=": r"\equiv", "~=": r"\cong", "~": r"\sim", "~~": r"\approx", "prop": r"\propto",
    "=>": r"\Rightarrow", "<=>": r"\Leftrightarrow", "|--": r"\vdash", "|==": r"\models", "uarr": r"\uparrow",
    "darr": r"\downarrow", "rarr": r"\rightarrow", "->": r"\to", ">->": r"\rightarrowtail",
    "->>": r"\twoheadrightarrow", ">->>": r"\twoheadrightarrow", "|->": r"\mapsto", "larr": r"\leftarrow",
    "harr": r"\leftrightarrow", "rArr": r"\Rightarrow", "lArr": r"\Leftarrow", "hArr": r"\Leftrightarrow", ":=": ":=",
}  # fmt: skip
BINARIES = {
    "+": "+", "-": "-", "*": r"\cdot", "**": r"\ast", "***": r"\star", "//": "/", "\\\\": r"\setminus", "xx": r"\times",
    "-:": r"\div", "divide": r"\div", "|><": r"\ltimes", "><|": r"\rtimes", "|><|": r"\bowtie", "@": r"\circ",
    "o+": r"\oplus", "ox": r"\otimes", "o.": r"\odot", "^^": r"\wedge", "vv": r"\vee", "nn": r"\cap", "uu": r"\cup",
    "+-": r"\pm", "-+": r"\mp", "±": r"\pm", "×": r"\times", "÷": r"\div", "·": r"\cdot",
}  # fmt: skip
CONSTANTS = {
    "^^^": r"\bigwedge", "vvv": r"\bigvee", "nnn": r"\bigcap", "uuu": r"\bigcup", "del": r"\partial", "grad": r"\nabla",
    "O/": r"\emptyset", "oo": r"\infty", ":.": r"\therefore", ":'": r"\because", "...": r"\ldots", "|...|": r"|\ldots|",
    "|cdots|": r"|\cdots|", "/_": r"\angle", "/_\\": r"\triangle", "'": "'", "|__": r"\lfloor", "__|": r"\rfloor",
    "|~": r"\lceil", "~|": r"\rceil", "CC": r"\mathbb{C}", "NN": r"\mathbb{N}", "QQ": r"\mathbb{Q}",
    "RR": r"\mathbb{R}", "ZZ": r"\mathbb{Z}", "EE": r"\exists", "AA": r"\forall", "TT": r"\top", "_|_": r"\bot",
    "dx": "dx", "dy": "dy", "dz": "dz", "dt": "dt", "and": r"\text{ and }", "or": r"\text{ or }", "if": r"\text{ if }",
    "mod": r"\bmod ", "dim": r"\dim", "lim": r"\lim", "Lim": r"\operatorname{Lim}", "max": r"\max", "min": r"\min",
    "sup ": r"\sup", "inf": r"\inf", "frown": r"\frown", "\\ ": "~", "%": r"\%", "#": r"\#", "&": r"\&", "$": r"\$",
    "~": r"\sim", "≤": r"\leq", "≥": r"\geq", "hbar": r"\hbar", "ell": r"\ell", ":|:": "|", ",": ",", ";": ";",
    "glb": r"\operatorname{glb}", "lub": r"\operatorname{lub}",
}  # fmt: skip
FUNCTIONS = {
    **{name: "\\" + name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "cot", "coth", "sec", "csc",
                                      "arcsin", "arccos", "arctan", "exp", "log", "ln", "det", "gcd")},
    **{name: f"\\operatorname{{{name}}}" for name in ("sech", "csch", "lcm", "Sin", "Cos", "Tan", "Arcsin", "Arccos",
                                                      "Arctan", "Sinh", "Cosh", "Tanh", "Cot", "Sec", "Csc", "Log",
                                                      "Ln")},
    "f": "f", "g": "g",
}  # fmt: skip
"""Names that take what follows them as their argument, in front of a fraction's bar or a script."""
UNARY = {
    "sqrt": "\\sqrt{%s}", "abs": r"\left|%s\right|", "norm": r"\left\|%s\right\|", "floor": r"\lfloor %s\rfloor",
    "ceil": r"\lceil %s\rceil", "Abs": r"\left|%s\right|", "hat": r"\hat{%s}", "bar": r"\overline{%s}",
    "overline": r"\overline{%s}", "vec": r"\vec{%s}", "tilde": r"\tilde{%s}", "dot": r"\dot{%s}", "ddot": r"\ddot{%s}",
    "ul": r"\underline{%s}", "underline": r"\underline{%s}", "ubrace": r"\underbrace{%s}",
    "underbrace": r"\underbrace{%s}", "obrace": r"\overbrace{%s}", "overbrace": r"\overbrace{%s}",
    "overarc": r"\overparen{%s}", "overparen": r"\overparen{%s}", "cancel": r"\cancel{%s}", "bb": r"\mathbf{%s}",
    "mathbf": r"\mathbf{%s}", "sf": r"\mathsf{%s}", "mathsf": r"\mathsf{%s}", "bbb": r"\mathbb{%s}",
    "mathbb": r"\mathbb{%s}", "cc": r"\mathcal{%s}", "mathcal": r"\mathcal{%s}", "tt": r"\mathtt{%s}",
    "mathtt": r"\mathtt{%s}", "fr": r"\mathfrak{%s}", "mathfrak": r"\mathfrak{%s}", "mathrm": r"\mathrm{%s}",
    "rm": r"\mathrm{%s}", "mathit": r"\mathit{%s}", "phantom": r"\phantom{%s}",
}  # fmt: skip
BINARY = {
    "frac": r"\frac{%s}{%s}", "root": r"\sqrt[%s]{%s}", "stackrel": r"\overset{%s}{%s}", "overset": r"\overset{%s}{%s}",
    "underset": r"\underset{%s}{%s}", "color": r"\color{%s}{%s}", "class": "%.0s%s", "id": "%.0s%s",
}  # fmt: skip
OPEN = {"(": "(", "[": "[", "{": r"\{", "(:": r"\langle ", "<<": r"\langle ", "langle": r"\langle ", "{:": ""}
CLOSE = {")": ")", "]": "]", "}": r"\}", ":)": r"\rangle ", ">>": r"\rangle ", "rangle": r"\rangle ", ":}": ""}
WORDS = ("text", "mbox")

Token = tuple[str, str]
"""Kind and TeX (for brackets and names of kinds with arguments, the AsciiMath itself)."""


@functools.cache
def symbols() -> dict[str, Token]:
    """AsciiMath symbol -> token."""
    table: dict[str, Token] = {name: ("constant", "\\" + name) for name in (_GREEK + " " + _SAME_NAME).split()}
    table.update((name, ("infix", "\\" + name)) for name in _SPACED.split())
    table.update((name, ("constant", tex)) for name, tex in CONSTANTS.items())
    table.update((name, ("infix", tex)) for name, tex in (RELATIONS | BINARIES).items())
    for kind, names in (("function", FUNCTIONS), ("unary", UNARY), ("binary", BINARY), ("open", OPEN),
                        ("close", CLOSE), ("words", dict.fromkeys(WORDS))):  # fmt: skip
        table.update((name, (kind, name)) for name in names)
    table.update({"_": ("sub", "_"), "^": ("sup", "^"), "/": ("fraction", "/"), "|": ("bar", "|"), "||": ("bar", "||")})
    return table


@functools.cache
def longest() -> int:
    return max(map(len, symbols()))
