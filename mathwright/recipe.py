"""Recipes: one frozen object that says everything about a run, and the three ways to look at it.

A recipe is a Python function that returns a `Recipe`, in a file under `mathwright/recipes/` or anywhere else. Next to
each number stands a comment with its source, the paper's section or `paper silent: our reason`; `sources` reads those
comments, so that `mathwright show` prints value and source together. `override` applies `--set a.b=v`.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import io
import json
import tokenize
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from mathwright.corpus.recipe import CorpusRecipe
from mathwright.errors import MathwrightError
from mathwright.eval.recipe import EvalRecipe
from mathwright.lm.recipe import ModelRecipe
from mathwright.other_names import VERL, ours
from mathwright.pretrain.recipe import CompareRecipe, PretrainRecipe
from mathwright.problems.recipe import ProblemsRecipe
from mathwright.records import from_json, to_json
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl.recipe import RLRecipe
from mathwright.run import affects
from mathwright.run.affects import ADDED, DISPLAY
from mathwright.sft.recipe import SFTRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole experiment, its parts in the order of the paper. A part that is None is left out of the run."""

    name: Annotated[str, DISPLAY]
    """Of the run: a folder holds runs of one recipe."""
    seed: int = 0
    model: ModelRecipe = ModelRecipe()
    template: str = "auto"
    """How a question is put to the model: `tokenizer` (the model's own chat template), `deepseekmath` (the paper's) or
    `short`; `auto`: as the model was trained, which is its chat template where it has one, else the paper's."""
    system: Annotated[str, ADDED] = ""
    """A system prompt for the model's own chat template: it goes into the template itself, so that the trained model
    is asked with it by every other tool too."""
    enable_thinking: Annotated[bool | None, ADDED] = None
    """What the model's chat template is told of `enable_thinking` (Qwen3 and its like): false for answers without a
    thinking block. It goes into the template as the system prompt does. None: the template's own choice."""
    problems: ProblemsRecipe = ProblemsRecipe()
    corpus: CorpusRecipe | None = None
    compare: CompareRecipe | None = None
    pretrain: PretrainRecipe | None = None
    sft: SFTRecipe | None = None
    reward: RewardRecipe | None = None
    rl: RLRecipe | None = None
    eval: EvalRecipe | None = None


RecipeFunction = Callable[[], Recipe]
LENGTHS, PASSES = ("num_steps", "num_tokens"), "num_epochs"
"""How long a training is. A recipe that gives passes goes by them; who sets one of the others means that."""


# --- overrides ------------------------------------------------------------------------------------


def override(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """Apply settings of the form `a.b=value`; the value is JSON, or else a plain string.

    Raises MathwrightError for an unknown field (with the nearest name) and for a value of another type.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise MathwrightError(f"--set {setting}: no value", hint="write it as --set rl.lr=1e-5")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        if any(key == name for name in VERL):
            raise MathwrightError(f"--set {setting}: the recipe has no {key!r}", hint=ours(key))
        recipe = _replace(recipe, key.split("."), value, setting)
    return recipe


def _replace(node: Any, keys: list[str], value: Any, setting: str) -> Any:
    known = [f.name for f in dataclasses.fields(node)]
    name, rest = keys[0], keys[1:]
    if name not in known:
        part = setting.partition(".")[0] if "." in setting.partition("=")[0] else ""
        elsewhere = ours(name, part)
        if isinstance(node, Recipe) and not rest:
            inside = [part for part in known if name in _names(getattr(node, part))]
            elsewhere = elsewhere or (f"it is a field of a part: {inside[0]}.{name}" if inside else "")
        close = difflib.get_close_matches(name, known, n=1)
        raise MathwrightError(
            f"--set {setting}: {type(node).__name__} has no field {name!r}",
            hint=elsewhere or (f"did you mean {close[0]!r}?" if close else f"fields: {', '.join(known)}"),
        )
    old = getattr(node, name)
    if rest and isinstance(old, tuple) and rest[0].isdigit() and int(rest[0]) < len(old):
        return dataclasses.replace(node, **{name: _replace_item(old, rest, value, setting)})
    if rest:
        if old is None and not isinstance(node, Recipe) and (make := _part_of(type(node), name)) is not None:
            old = make()  # rl.lora.rank=8; a whole stage is not made by the way
        if not dataclasses.is_dataclass(old):
            raise MathwrightError(
                f"--set {setting}: {name!r} is {old!r}, it has no parts", hint=f"set {name} itself, or another field"
            )
        new = _replace(old, rest, value, setting)
    else:
        # Building the whole parent from JSON checks the new value against the field's declared type.
        try:
            new = getattr(from_json(type(node), {**to_json(node), name: value}), name)
        except ValueError as error:
            raise MathwrightError(f"--set {setting}: {error}", hint=f"it is {old!r} now") from error
        if name in LENGTHS and getattr(node, PASSES, None) is not None:
            return dataclasses.replace(node, **{name: new, PASSES: None})
    return dataclasses.replace(node, **{name: new})


def _names(part: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else []


def _replace_item(items: tuple[Any, ...], keys: list[str], value: Any, setting: str) -> tuple[Any, ...]:
    """The items of a tuple with one changed, or something in it: problems.sources.0.num_train."""
    number, rest = int(keys[0]), keys[1:]
    if not rest or not dataclasses.is_dataclass(items[number]):
        raise MathwrightError(
            f"--set {setting}: an item of a list is set by its fields", hint="or set the whole list, as JSON"
        )
    return (*items[:number], _replace(items[number], rest, value, setting), *items[number + 1 :])


def _part_of(cls: type, name: str) -> Callable[[], Any] | None:
    """The record that an optional field can hold, where it has defaults for all it is made of."""
    hint = typing.get_type_hints(cls)[name]
    kinds = [kind for kind in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(kind)]
    return typing.cast("Callable[[], Any]", kinds[0]) if kinds else None


def names_of(part: str) -> list[str]:
    """The fields of a part of the recipe; none where there is no such part."""
    kind = _part_of(Recipe, part) if part in {field.name for field in dataclasses.fields(Recipe)} else None
    return [field.name for field in dataclasses.fields(typing.cast("Any", kind))] if kind is not None else []


def leaves(recipe: Any) -> Iterator[tuple[str, Any]]:
    """Every value of a recipe with its dotted path; the items of tuples of records have an index in it."""
    for leaf in affects.leaves(recipe):
        yield leaf.path, leaf.value


# --- sources --------------------------------------------------------------------------------------


def sources(function: RecipeFunction) -> dict[str, str]:
    """The comment next to (or in the lines just above) each keyword argument of a recipe function, by dotted path."""
    text = inspect.getsource(function)
    comments, alone = _comments(text)
    tree = ast.parse(text)
    result: dict[str, str] = {}
    calls = (n.value for n in ast.walk(tree) if isinstance(n, ast.Return) and isinstance(n.value, ast.Call))
    returned = next(calls, None)
    if returned is not None:  # a recipe made otherwise, such as `return mine`, has no comments beside its values
        _collect_sources(returned, "", comments, alone, result)
    return result


def _comments(text: str) -> tuple[dict[int, str], set[int]]:
    """Comments by line number, and the lines on which nothing but a comment stands."""
    comments: dict[int, str] = {}
    alone: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments[token.start[0]] = token.string.lstrip("# ").strip()
            if token.line.strip().startswith("#"):
                alone.add(token.start[0])
    return comments, alone


def _collect_sources(
    call: ast.Call, prefix: str, comments: dict[int, str], alone: set[int], out: dict[str, str]
) -> None:
    for keyword in call.keywords:
        path = f"{prefix}{keyword.arg}"
        last = keyword.value.end_lineno or keyword.value.lineno
        above: list[str] = []
        line = keyword.lineno - 1
        while line in alone:
            above.insert(0, comments[line])
            line -= 1
        beside = comments.get(last, "") if last not in alone else ""
        if beside or above:
            out[path] = " ".join([*above, beside] if beside else above)
        if isinstance(keyword.value, ast.Call):
            _collect_sources(keyword.value, path + ".", comments, alone, out)
        elif isinstance(keyword.value, ast.Tuple | ast.List):
            for index, item in enumerate(keyword.value.elts):
                if isinstance(item, ast.Call):
                    _collect_sources(item, f"{path}.{index}.", comments, alone, out)
                    last_line = item.end_lineno or item.lineno
                    if last_line in comments and last_line not in alone:
                        out[f"{path}.{index}"] = comments[last_line]


def source_of(path: str, found: dict[str, str]) -> str:
    """The source of a value: its own comment, or that of the nearest part around it."""
    while path:
        if path in found:
            return found[path]
        path = path.rpartition(".")[0]
    return ""
