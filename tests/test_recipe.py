"""Every shipped recipe builds, overrides are checked, and every value of the full-scale recipe names its source."""

import ast
import dataclasses
import inspect
import itertools
import json
import re
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

import mathwright
from mathwright import recipes
from mathwright.errors import MathwrightError
from mathwright.pretrain.recipe import PretrainRecipe
from mathwright.recipe import Recipe, leaves, override, sources
from mathwright.records import from_json, to_json
from mathwright.run import affects, fingerprint
from mathwright.sft.recipe import SFTRecipe

PACKAGE = Path(mathwright.__file__).parent


@pytest.mark.parametrize("name", recipes.names())
def test_shipped_recipe_builds_and_survives_json(name: str) -> None:
    built = recipes.find(name)()
    assert from_json(Recipe, to_json(built)) == built


def test_quickstart_has_a_tiny_variant_with_the_same_stages() -> None:
    full, tiny = recipes.find("quickstart")(), recipes.find("quickstart", tiny=True)()
    assert full.name != tiny.name
    for field in dataclasses.fields(Recipe):
        assert (getattr(full, field.name) is None) == (getattr(tiny, field.name) is None), field.name


def test_every_value_of_the_full_scale_recipe_names_its_source() -> None:
    function = recipes.find("deepseekmath_7b")
    found = sources(function)
    own_comment_missing = [
        path for path, value in leaves(function()) if path not in found and not _item_has_comment(path, found)
    ]
    assert own_comment_missing == []


def _item_has_comment(path: str, found: dict[str, str]) -> bool:
    """The values of an item of a tuple may share one comment behind the item."""
    parts = path.split(".")
    return len(parts) >= 2 and parts[-2].isdigit() and ".".join(parts[:-1]) in found


def test_paper_values_are_the_papers() -> None:
    built = recipes.find("deepseekmath_7b")()
    assert built.corpus and built.pretrain and built.sft and built.rl and built.compare and built.reward
    classifier = built.corpus.classifier
    assert (classifier.dim, classifier.lr, classifier.word_ngrams, classifier.min_count, classifier.epochs) == (
        256, 0.1, 3, 3, 3,
    )  # fmt: skip
    assert built.pretrain.num_tokens // built.pretrain.batch_tokens == 50_000
    assert sum(component.weight for component in built.pretrain.mixture) == pytest.approx(1.0)
    assert built.compare.training.num_tokens // built.compare.training.batch_tokens == 37_500
    assert (built.sft.num_steps, built.sft.batch_rows, built.sft.context, built.sft.optimiser.lr) == (
        500,
        256,
        4096,
        5e-5,
    )
    assert (built.rl.kl_coef, built.rl.group_size, built.rl.inner_updates, built.rl.optimiser.lr) == (0.04, 64, 1, 1e-6)
    assert built.rl.problems_per_step * built.rl.group_size == 1024
    assert built.reward.optimiser.lr == 2e-5


def test_override_reaches_nested_values_and_items_keep_their_type() -> None:
    built = override(
        recipes.find("quickstart")(),
        ["rl.kl_coef=0", "rl.method=online_rft", 'eval.modes=["cot"]', "pretrain.optimiser.lr=3e-4"],
    )
    assert built.rl and built.eval and built.pretrain
    assert built.rl.kl_coef == 0.0
    assert built.rl.method == "online_rft"
    assert built.eval.modes == ("cot",)
    assert built.pretrain.optimiser.lr == 3e-4


def test_setting_how_long_a_training_is_goes_before_passes_of_the_recipe() -> None:
    recipe = Recipe(name="mine", sft=SFTRecipe(num_epochs=3), pretrain=PretrainRecipe(num_epochs=1))
    steps = override(recipe, ["sft.num_steps=20", "pretrain.num_tokens=4096"])
    assert steps.sft and steps.sft.num_epochs is None and steps.sft.num_steps == 20
    assert steps.pretrain and steps.pretrain.num_epochs is None
    passes = override(recipe, ["sft.num_steps=20", "sft.num_epochs=2"])
    assert passes.sft and passes.sft.num_epochs == 2, "the later of two settings holds"
    other = override(recipe, ["sft.batch_rows=1"]).sft
    assert other and other.num_epochs == 3


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("rl.kl_coeff=1", "no field 'kl_coeff'", "kl_coef"),
        ("rll.kl_coef=1", "no field 'rll'", "rl"),
        ("rl.num_steps=many", "must be int", "now"),
        ("rl.method=reinforce", "not one of 'grpo'", "now"),
        ("rl.kl_coef", "no value", "rl.lr=1e-5"),
        ("rl.kl_coef.x=1", "has no parts", "kl_coef"),
    ],
)
def test_a_wrong_override_is_named_with_a_hint(setting: str, message: str, hint: str) -> None:
    with pytest.raises(MathwrightError) as caught:
        override(recipes.find("quickstart")(), [setting])
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(MathwrightError) as caught:
        recipes.find("quikstart")
    assert "'quickstart'" in caught.value.hint


def test_a_recipe_file_outside_the_package(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import dataclasses\nfrom mathwright.recipes import quickstart\n\n"
        "def recipe():\n    return dataclasses.replace(quickstart.recipe(), name='mine', seed=7)\n"
    )
    assert recipes.find(str(path))().seed == 7
    path.write_text("x = 1\n")
    with pytest.raises(MathwrightError, match="no function recipe"):
        recipes.find(str(path))
    with pytest.raises(MathwrightError, match="no such recipe file"):
        recipes.find(str(tmp_path / "none.py"))


def test_every_recipe_field_is_read_somewhere() -> None:
    """A field that nothing reads is a promise that nothing keeps."""
    read: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "recipes":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        read |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}
    declared: set[tuple[str, str]] = set()
    todo = [recipes.find("deepseekmath_7b")(), recipes.find("quickstart", tiny=True)()]
    while todo:
        node = todo.pop()
        for field in dataclasses.fields(node):
            declared.add((type(node).__name__, field.name))
            value = getattr(node, field.name)
            items = value if isinstance(value, tuple) else (value,)
            todo += [item for item in items if dataclasses.is_dataclass(item) and not isinstance(item, type)]
    assert {f"{cls}.{name}" for cls, name in declared if name not in read} == set()


def test_a_run_keeps_which_type_of_weights_the_machine_chose(tmp_path) -> None:
    from mathwright.chain.run import Chain
    from mathwright.lm.places import fast_dtype

    built = recipes.find("smollm2")()
    assert built.model.dtype == "auto"
    Chain(built, tmp_path / "run")
    kept = json.loads((tmp_path / "run/recipe.json").read_text())
    assert kept["recipe"]["model"]["dtype"] == fast_dtype("cpu")


@pytest.mark.parametrize("begun", ["bfloat16", "float32"])
def test_a_run_goes_on_with_the_type_it_was_begun_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun) -> None:
    from mathwright.chain.run import Chain
    from mathwright.lm import places

    built = recipes.find("smollm2")()
    monkeypatch.setattr(places, "_processor", lambda: ({"avx512_bf16"}, "AuthenticAMD" if begun == "bfloat16" else ""))
    assert Chain(built, tmp_path / "run").recipe.model.dtype == begun
    monkeypatch.setattr(places, "_processor", lambda: ({"avx512_bf16"}, "" if begun == "bfloat16" else "AuthenticAMD"))
    assert Chain(built, tmp_path / "run").recipe.model.dtype == begun


# --- what a field changes ---


def parts_of(recipe: type) -> list[type]:
    """The recipe and all parts that its fields can hold."""
    found: list[Any] = []
    todo: list[Any] = [recipe]
    while todo:
        hint = todo.pop()
        todo += typing.get_args(hint)
        if dataclasses.is_dataclass(hint) and hint not in found:
            found.append(hint)
            todo += typing.get_type_hints(hint).values()
    return found


PARTS = parts_of(Recipe)
FIELDS = [(part, field.name) for part in PARTS for field in dataclasses.fields(part)]


def built(cls: Any) -> Any:
    """A recipe part with a value in every field, parts within parts and in tuples included."""
    hints = typing.get_type_hints(cls)
    return cls(**{field.name: _value(hints[field.name]) for field in dataclasses.fields(cls)})


def _value(hint: Any, other: bool = False) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        part = built(hint)
        if not other:
            return part
        field = next(f for f in dataclasses.fields(part) if affects.marks(type(part))[f.name][0] is affects.RESULT)
        return changed(part, field.name)
    if origin is Literal:
        return arguments[-1 if other else 0]
    if origin in (typing.Union, types.UnionType):
        return _value(next(a for a in arguments if a is not type(None)), other)
    if origin is tuple:
        items = arguments[:1] if arguments[-1] is Ellipsis else arguments
        return tuple(_value(item, other) for item in items)
    return {str: ("a", "b"), int: (1, 2), float: (0.5, 0.75), bool: (False, True)}[hint][other]


def changed(part: Any, name: str) -> Any:
    """The part with another value in a field."""
    return dataclasses.replace(part, **{name: _value(typing.get_type_hints(type(part))[name], other=True)})


def test_every_part_of_a_recipe_is_looked_at() -> None:
    assert {part.__name__ for part in PARTS} > {"Recipe", "RLRecipe", "RewardTermRecipe", "FilterRecipe", "LoraRecipe"}


@pytest.mark.parametrize(("part", "name"), FIELDS, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_a_field_changes_the_fingerprint_unless_it_is_marked(part: type, name: str) -> None:
    """Alone, and as a part of a whole recipe."""
    kind, grows = affects.marks(part)[name]
    one, other = built(part), changed(built(part), name)
    assert getattr(one, name) != getattr(other, name), "the test must change it"
    assert (fingerprint(one) == fingerprint(other)) == (kind is not affects.RESULT)
    assert (fingerprint([{"x": (one,)}]) == fingerprint([{"x": (other,)}])) == (kind is not affects.RESULT)
    # one of the two may have the default of a field that came later, which does not count
    leaves = {leaf.path: leaf for value in (one, other) for leaf in affects.leaves(value)}
    below = [leaf for path, leaf in leaves.items() if path == name or path.startswith(name + ".")]
    assert below and (kind is affects.RESULT or all(leaf.affects is kind for leaf in below))
    assert grows is None or kind is affects.RESULT, "what grows is of the result"


def explicit(part: type, name: str) -> bool:
    hint = typing.get_type_hints(part, include_extras=True)[name]
    return any(isinstance(mark, affects.Affects | affects.Grows) for mark in typing.get_args(hint))


def docstring(part: type, name: str) -> str:
    """The text below a field."""
    lines = inspect.getsource(part).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"    {name}: ")) + 1
    rest = lines[start:]
    text = itertools.takewhile(lambda line: not re.match(r"    \w+: ", line), rest)
    return " ".join(" ".join(text).split())


@pytest.mark.parametrize(("part", "name"), FIELDS, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_what_speaks_of_memory_speed_or_display_says_what_it_changes(part: type, name: str) -> None:
    text = docstring(part, name)
    if re.search(r"changes? nothing|take no part|bounds the memory", text):
        assert affects.marks(part)[name][0] is not affects.RESULT, text
    speaks = re.search(
        r"checkpoint|generation_batch|batch_size|micro_|saved_|sheet|workers|threads|engine|timeout|delay|requests_per|"
        r"log_|evaluat|_s$|seconds|every",
        name,
    ) or re.search(r"\bmemory, |at one time|written in full|seconds between|between checkpoints|to label", text, re.I)
    if speaks:
        assert explicit(part, name), f"{part.__name__}.{name}: mark what it changes, RESULT included"


def test_a_mark_on_a_part_is_that_of_all_it_has() -> None:
    @dataclasses.dataclass(frozen=True)
    class Inner:
        a: int
        b: Annotated[int, affects.SPEED]

    @dataclasses.dataclass(frozen=True)
    class Outer:
        shown: Annotated[Inner, affects.DISPLAY]
        many: tuple[Inner, ...]

    affects.marks.cache_clear()
    globals().update(Inner=Inner)
    outer = Outer(shown=Inner(1, 2), many=(Inner(3, 4), Inner(5, 6)))
    assert [(leaf.path, leaf.affects.value) for leaf in affects.leaves(outer)] == [
        ("shown.a", "display"), ("shown.b", "display"),
        ("many.0.a", "result"), ("many.0.b", "speed"), ("many.1.a", "result"), ("many.1.b", "speed"),
    ]  # fmt: skip
    assert affects.result_of(outer) == {"many": [{"a": 3}, {"a": 5}]}
    del globals()["Inner"]


def test_more_steps_are_more_of_the_same_only_at_a_rate_that_does_not_depend_on_them() -> None:
    whole = recipes.find("smollm2")()
    assert whole.rl and whole.sft and whole.sft.optimiser.decay and not whole.rl.optimiser.decay
    grows = {leaf.path for leaf in affects.leaves(whole) if leaf.grows}
    assert {"rl.num_steps", "reward.num_epochs", "eval.num_samples"} <= grows
    assert not grows & {"sft.num_steps", "pretrain.num_tokens"}
    constant = override(whole, ["sft.optimiser.decay=[]"])
    assert "sft.num_steps" in {leaf.path for leaf in affects.leaves(constant) if leaf.grows}


@pytest.mark.parametrize(
    "setting",
    ["sft.num_steps=0", "sft.optimiser.lr=0", "reward.num_epochs=0", "pretrain.num_tokens=0", "rl.num_steps=0"],
)
def test_a_stage_that_would_train_nothing_is_said_before_the_first_stage(tmp_path, setting) -> None:
    from mathwright.chain.run import Chain

    built = override(recipes.find("quickstart")(), [setting])
    chain = Chain(built, tmp_path / "run")
    with pytest.raises(MathwrightError, match=setting.split("=")[0].replace(".", r"\.")):
        chain.run()
    assert not (tmp_path / "run/problems").exists()


def test_a_field_that_came_later_leaves_earlier_runs_valid_until_it_is_set() -> None:
    rl = recipes.find("quickstart")().rl
    assert rl is not None
    assert "clip_eps_high" not in affects.result_of(rl)
    assert all(leaf.path != "clip_eps_high" for leaf in affects.leaves(rl))
    chosen = dataclasses.replace(rl, clip_eps_high=0.3)
    assert affects.result_of(chosen) == {**affects.result_of(rl), "clip_eps_high": 0.3}
    assert fingerprint(chosen) != fingerprint(rl)


def test_grpo_on_gsm8k_plans_memory_and_time_and_runs_at_toy_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mathwright.cli import main

    for size, least, most in (("0.5B", 8, 16), ("1.5B", 24, 40)):
        main(["rl", "grpo_gsm8k", "--dry-run", "--set", f"model.source=Qwen/Qwen2.5-{size}-Instruct"])
        first, time = capsys.readouterr().out.splitlines()[:2]
        memory = re.search(r"([\d.]+) GiB per GPU", first)
        assert memory and least < float(memory.group(1)) < most, "16 bytes a parameter, and what is on top"
        assert re.search(r"time +about \d+(\.\d)? (minutes|hours) on a GPU", time)
    main(["rl", "grpo_gsm8k", "--tiny", "--out", str(tmp_path / "run")])
    steps = [json.loads(line) for line in (tmp_path / "run/rl/metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps if row["kind"] == "train"] == [0, 1]
