"""What can be wrong with the input of a stage, found before a file of the run is touched.

A wrong path or value must not cost the hours in front of the stage that reads it, nor move what the run has made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mathwright.chain.provenance import local
from mathwright.errors import MathwrightError
from mathwright.problems.templates import TEMPLATES
from mathwright.rl.check import check as check_rl
from mathwright.run.affects import leaves

if TYPE_CHECKING:
    from mathwright.chain.run import Chain


def check(chain: Chain, todo: Sequence[str], clear: Collection[str]) -> None:
    """Raise MathwrightError for the first thing that is wrong with the stages to be run and have not finished."""
    unfinished = [name for name in todo if name in clear or not chain.is_finished(name)]
    if "rl" in unfinished and chain.recipe.rl is not None:
        check_rl(chain.recipe.rl)
    for name in unfinished:
        if name in ("sft", "reward", "rl", "eval"):
            _require_template("template", chain.recipe.template)
        if (model := chain.made_from.given_model(name)) is not None:
            _require_model(chain.made_from.start(name), f"--model {model}")
        CHECKS[name](chain)
    for name in unfinished:
        for earlier in chain.made_from.reads(name):
            if earlier not in todo:
                chain.require(earlier)
        _require_reads_stay(chain, name, moved=name in clear)


def _require_template(what: str, template: str, known: Sequence[str] = TEMPLATES) -> None:
    if template not in known:
        raise MathwrightError(f"{what} is {template!r}", hint=f"use one of {', '.join(known)}")


def _require_model(source: str, what: str) -> None:
    from mathwright.lm.load import require_source

    try:
        require_source(source)
    except MathwrightError as error:
        if source in error.message:
            raise
        raise MathwrightError(f"{what}: {error.message}", hint=error.hint) from error


# --- by stage -------------------------------------------------------------------------------------


def _problems(chain: Chain) -> None:
    _ = chain.loaded_problems  # all of them: an unknown source, a malformed line, a split without a problem


def _model(chain: Chain) -> None:
    recipe = chain.recipe.model
    if recipe.source != "scratch":
        _require_model(recipe.source, "model.source")
    elif recipe.scratch is None:
        raise MathwrightError("model.source is 'scratch' but model.scratch is missing", hint="give its sizes")
    else:
        _require_template("template", chain.recipe.template)


def _corpus(chain: Chain) -> None:
    from mathwright.corpus.archive.listing import find_archives
    from mathwright.corpus.classifier import Classifier
    from mathwright.corpus.decontaminate.texts import benchmark_texts
    from mathwright.corpus.mining.checks import check_recipe
    from mathwright.corpus.rules.rules import read_rules

    recipe = chain.recipe.corpus
    assert recipe is not None
    check_recipe(recipe, chain.directory.path)
    benchmark_texts(recipe.benchmarks, recipe.benchmark_data)
    if recipe.web.kind == "archives":
        find_archives(recipe.web.archives, prefix=recipe.web.archives_prefix)
    if recipe.web.rules:
        read_rules(Path(recipe.web.rules))
    for folder in filter(None, (recipe.page_classifier, recipe.web.classifier)):
        Classifier.load(Path(folder))


def _compare(chain: Chain) -> None:
    from mathwright.pretrain.recipe import check as check_training

    recipe = chain.recipe.compare
    assert recipe is not None
    if not chain.made_from.has("corpus"):
        raise MathwrightError("a comparison needs held-out text", hint="give the recipe a corpus part")
    check_training(recipe.training)
    _shards(chain, [component.path for component in recipe.corpora])
    if recipe.model is not None:
        _require_model(recipe.model.source, "compare.model.source")


def _pretrain(chain: Chain) -> None:
    from mathwright.pretrain.recipe import check as check_pretrain

    assert chain.recipe.pretrain is not None
    check_pretrain(chain.recipe.pretrain)
    _shards(chain, [component.path for component in chain.recipe.pretrain.mixture])


def _shards(chain: Chain, paths: Sequence[str]) -> None:
    from mathwright.lm.shards import TokenShards

    given = chain.made_from.given.shards
    for path in paths:
        if path != "run:corpus":
            TokenShards(path)
        elif given is not None:
            TokenShards(given)
        elif not chain.made_from.has("corpus"):
            raise MathwrightError(
                "the mixture names run:corpus, but the recipe has no corpus part", hint="name token shards: --shards"
            )


def _sft(chain: Chain) -> None:
    from mathwright.sft.recipe import check as check_sft

    assert chain.recipe.sft is not None
    check_sft(chain.recipe.sft)


def _reward(chain: Chain) -> None:
    from mathwright.reward.recipe import check as check_reward

    assert chain.recipe.reward is not None
    check_reward(chain.recipe.reward)


def _rl(chain: Chain) -> None:
    from mathwright.rl.functions import import_function
    from mathwright.rl.steps import step_scorer

    recipe = chain.recipe.rl
    assert recipe is not None
    for term in recipe.extra_rewards:
        if term.kind == "function":
            import_function(term.function)
    if recipe.method == "grpo_process":
        step_scorer(recipe.step_reward)
    if recipe.reference:
        _require_model(recipe.reference, "rl.reference")
    if recipe.reward == "model" and not chain.made_from.has("reward"):
        raise MathwrightError(
            "rl.reward is model, but the recipe has no reward part", hint="give it one, or set rl.reward=rule"
        )


def _eval(chain: Chain) -> None:
    assert chain.recipe.eval is not None
    _require_template("eval.start_template", chain.recipe.eval.start_template, (*TEMPLATES, "plain"))


CHECKS: Mapping[str, Callable[[Chain], None]] = {
    "problems": _problems,
    "model": _model,
    "corpus": _corpus,
    "compare": _compare,
    "pretrain": _pretrain,
    "sft": _sft,
    "reward": _reward,
    "rl": _rl,
    "eval": _eval,
}


# --- what a stage reads stays where it is -----------------------------------------------------------


def _require_reads_stay(chain: Chain, name: str, *, moved: bool) -> None:
    """Raise where a stage that is about to be removed or set aside holds what this very command names as input.

    The model that a stage starts from may lie in the folder of the stage itself: it is read from where it goes.
    """
    folder = chain.directory.path / name
    standing = chain.directory.standing(name, chain.made_from.of(name), growing=chain.made_from.growing(name))
    if not moved and standing.state in ("nothing", "same"):
        return
    own = chain.made_from.given_model(name)
    for what, path in _named(chain):
        if not local(path).is_relative_to(folder.resolve()):
            continue
        if what == "--model" and own is not None and (not moved or chain.made_from.start(name) != own):
            continue
        verb = "remove (--clear)" if moved else "set aside"
        raise MathwrightError(
            f"{what} {path} lies in {folder}, which this command would {verb}",
            hint="copy it to another place and name that, or choose another --out",
        )


def _named(chain: Chain) -> Iterator[tuple[str, str]]:
    """Files and folders of this machine that the command names."""
    given = chain.made_from.given
    if given.model is not None and local(given.model).exists():
        yield "--model", given.model
    if given.shards is not None:
        yield "--shards", str(given.shards)
    for leaf in leaves(chain.recipe):
        values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        for value in values:
            if isinstance(value, str) and "/" in value and "://" not in value and local(value).exists():
                yield leaf.path, value
