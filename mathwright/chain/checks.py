"""What can be wrong with the input of a stage, found before a file of the run is touched.

A wrong path or value must not cost the hours before the stage that reads it, nor move what the run has made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from mathwright.chain.context import Context
from mathwright.chain.provenance import local
from mathwright.chain.texts import is_text, require_texts
from mathwright.errors import MathwrightError
from mathwright.lm.places import require_files
from mathwright.problems.own_template import says_system, says_thinking
from mathwright.problems.templates import TEMPLATES
from mathwright.run.affects import leaves


def check(context: Context, todo: Sequence[str], clear: Collection[str]) -> None:
    """Raise MathwrightError for the first thing that is wrong with the stages to be run and have not finished."""
    made_from = context.made_from
    unfinished = [name for name in todo if name in clear or not context.is_finished(name)]
    # first all that needs no torch, which takes seconds to import; and last what reads whole files and runs programs
    for name in sorted(unfinished, key=("problems", "corpus").__contains__):
        if (model := made_from.given_model(name)) is not None:
            require_model(made_from.start(name), f"--model {model}")
            _require_told(context, made_from.start(name))
        made_from.spec(name).check(context)
    for name in unfinished:
        for earlier in made_from.reads(name):
            if earlier not in todo:
                context.require(earlier)
        _require_reads_stay(context, name, moved=name in clear)
    for name in unfinished:
        if (model := made_from.given_model(name)) is not None:
            _open_model(made_from.start(name), f"--model {model}")
        for source, what in made_from.spec(name).opens(context.recipe):
            _open_model(source, what)


def require_template(what: str, template: str, known: Sequence[str] = TEMPLATES) -> None:
    """Raise MathwrightError where there is no such template; `what` names the field."""
    if template not in known:
        raise MathwrightError(f"{what} is {template!r}", hint=f"use one of {', '.join(known)}")


def require_model(source: str, what: str) -> None:
    """Raise MathwrightError where there is no such model folder; `what` names what asks for it. Imports no torch."""
    _saying(lambda: require_files(source), source, what)


def _open_model(source: str, what: str) -> None:
    """Raise MathwrightError where a model's tokenizer cannot be loaded, or the hub does not give it."""

    def look() -> None:
        from mathwright.lm.load import require_source

        require_source(source)

    _saying(look, source, what)


def _saying(look: Callable[[], None], source: str, what: str) -> None:
    try:
        look()
    except MathwrightError as error:
        if source in error.message:
            raise
        raise MathwrightError(f"{what}: {error.message}", hint=error.hint) from error


def _require_told(context: Context, model: str) -> None:
    """Raise MathwrightError where the chat template of a model named by hand was not told what the recipe says."""
    system, thinking, folder = context.recipe.system, context.recipe.enable_thinking, local(model)
    if not folder.is_dir():
        return
    file = folder / "chat_template.jinja"
    template = file.read_text(encoding="utf-8") if file.is_file() else ""
    told = [("system prompt", "system", not system or says_system(template, system)),
            ("enable_thinking", "enable_thinking", thinking is None or says_thinking(template, thinking))]  # fmt: skip
    for what, field, is_told in told:
        if not is_told:
            raise MathwrightError(
                f"the recipe's {what} is not in the chat template of --model {model}",
                hint="name the model in the recipe (--set model.source=...), whose template gets it, or leave "
                f"`{field}` out",
            )


def require_shards(context: Context, paths: Sequence[str]) -> None:
    """Raise MathwrightError where token shards that a recipe names are not there; `run:corpus` are those of the run."""
    from mathwright.lm.shards import TokenShards

    given = context.made_from.given.shards
    for path in paths:
        if is_text(path):
            require_texts(path)
        elif path != "run:corpus":
            TokenShards(path)
        elif given is not None:
            TokenShards(given)
        elif not context.made_from.has("corpus"):
            raise MathwrightError(
                "the mixture names run:corpus, but the recipe has no corpus part", hint="name token shards: --shards"
            )


# --- what a stage reads stays where it is -----------------------------------------------------------


def _require_reads_stay(context: Context, name: str, *, moved: bool) -> None:
    """Raise where a stage that is about to be removed or set aside holds what this very command names as input.

    The model that a stage starts from may lie in the folder of the stage itself: it is read from where it goes.
    """
    folder = context.directory.path / name
    standing = context.directory.standing(name, context.made_from.of(name), growing=context.made_from.growing(name))
    if not moved and standing.state in ("nothing", "same"):
        return
    own = context.made_from.given_model(name)
    for what, path in _named(context):
        if not local(path).is_relative_to(folder.resolve()):
            continue
        if what == "--model" and own is not None and (not moved or context.made_from.start(name) != own):
            continue
        verb = "remove (--clear)" if moved else "set aside"
        raise MathwrightError(
            f"{what} {path} lies in {folder}, which this command would {verb}",
            hint="copy it to another place and name that, or choose another --out",
        )


def _named(context: Context) -> Iterator[tuple[str, str]]:
    """Files and folders of this machine that the command names."""
    given = context.made_from.given
    if given.model is not None and local(given.model).exists():
        yield "--model", given.model
    if given.shards is not None:
        yield "--shards", str(given.shards)
    for leaf in leaves(context.recipe):
        values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        for value in values:
            if isinstance(value, str) and "/" in value and "://" not in value and local(value).exists():
                yield leaf.path, value
