"""What is wrong with a command line, in one line: an unknown verb or option with the nearest one, a missing value."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import tyro

from mathwright.errors import MathwrightError
from mathwright.other_names import ours

_BOX = "│╭╰─╮╯|+- "
"""What tyro draws around its words, in Unicode and without. A line that is left empty is a rule."""


def parse(command: Any, arguments: Sequence[str], *, prog: str, description: str | None) -> Any:
    """The command that arguments mean. Prints help and exits where it is asked for.

    Raises MathwrightError, one line with a hint, where tyro would print a box.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                command,
                args=arguments,
                prog=prog,
                description=description,
                config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as end:
        if not end.code or not said.getvalue().strip():
            sys.stderr.write(said.getvalue())
            raise
    raise _in_one_line(said.getvalue(), prog)


def require_known(given: Sequence[str], verbs: Mapping[str, type], behind: Mapping[str, Mapping[str, type]]) -> None:
    """Raise MathwrightError for a verb or an option that there is not, with the one that was probably meant."""
    if not given:
        raise MathwrightError("no command", hint=f"one of {', '.join(verbs)}; mathwright --help")
    name = given[0]
    if name.startswith("-"):
        if name not in ("-h", "--help"):
            raise MathwrightError(f"{name} before a command", hint="mathwright --help")
        return
    if name not in verbs:
        close = difflib.get_close_matches(name, verbs, n=1)
        more = _verb_of(name)
        raise MathwrightError(
            f"there is no command {name!r}",
            hint=more or (f"did you mean {close[0]!r}?" if close else f"one of {', '.join(verbs)}"),
        )
    second = given[1] if len(given) > 1 else ""
    verb = behind.get(name, {}).get(second, verbs[name])
    _require_options(given[1:], verb, f"{name} {second}" if verb is not verbs[name] else name)


_VERBS = {"train": "rl, sft, reward or pretrain", "grpo": "rl", "dpo": "rl", "evaluate": "eval", "finetune": "sft",
          "fine-tune": "sft", "lm_eval": "eval", "generate": "chat", "serve": "chat", "version": "--version",
          "help": "--help", "list": "show", "recipes": "show", "mine": "corpus", "reward-model": "reward",
          "quickstart": "run quickstart", "info": "doctor", "check": "doctor",
          "status": "watch", "monitor": "watch", "logs": "watch", "follow": "watch"}  # fmt: skip
"""What other programs call them."""


def _verb_of(name: str) -> str:
    return f"it is `mathwright {_VERBS[name]}` here" if name in _VERBS else ""


def options_of(verb: type) -> dict[str, Any]:
    """The options of a verb by their name on the command line."""
    found: dict[str, Any] = {"--help": None}
    for field in dataclasses.fields(verb):
        name = "--" + field.name.rstrip("_").replace("_", "-")
        found[name] = field
        if field.type in ("bool", bool):
            found["--no-" + name[2:]] = field
    return found


def _require_options(arguments: Sequence[str], verb: type, called: str) -> None:
    known = options_of(verb)
    for argument in arguments:
        if argument == "--":
            return
        if not re.match(r"--?[A-Za-z]", argument) or argument == "-h":
            continue
        name = "--" + argument.partition("=")[0].lstrip("-").replace("_", "-")
        if name in known and argument.startswith("--"):
            continue
        elsewhere = _data_option(name, called) or ours(argument.partition("=")[0], called)
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        path = argument.lstrip("-").partition("=")[0]
        if "." in path and not elsewhere:
            elsewhere = f"a recipe's value is set by --set {path}=..."
        if not elsewhere and not close and (field := _field_of(called, path.replace("-", "_"))):
            elsewhere = f"a recipe's value is set by --set {called}.{field}=..."
        where = f"mathwright {called} --help lists its options; a recipe's values are set by --set"
        raise MathwrightError(
            f"`mathwright {called}` has no option {argument.partition('=')[0]}",
            hint=elsewhere or (f"did you mean {close[0]}?" if close else where),
        )


def _data_option(name: str, called: str) -> str:
    """Where another verb's option for one's own rows is meant."""
    from mathwright.cli.own import DATA

    if called in DATA and name[2:] in DATA.values():
        return f"`mathwright {called}` reads --{DATA[called]}"
    return ""


def _field_of(part: str, name: str) -> str:
    """The field of a part of the recipe that is meant: steps is num_steps."""
    from mathwright.recipe import names_of

    names = names_of(part)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    within = [field for field in names if name in field.split("_")]
    return next(iter(close or within), "")


def _in_one_line(said: str, prog: str) -> MathwrightError:
    """tyro's box as an error: what stands above its first rule."""
    inside = [line.strip(_BOX) for line in said.splitlines()[1:]]
    while inside and not inside[0]:
        inside.pop(0)
    rule = next((n for n, line in enumerate(inside) if not line), len(inside))
    text = " ".join(" ".join(inside[:rule]).split())
    missing = re.match(r"Missing from [^:]*: (.*)", text)
    if missing:
        text = f"not given: {missing.group(1).removesuffix(' (required)')}"
    text = text.replace("Error parsing ", "").replace("invalid literal for int() with base 10:", "not a whole number:")
    text = text.replace("could not convert string to float:", "not a number:")
    return MathwrightError(text[:300] or "the command line cannot be read", hint=f"{prog} --help")
