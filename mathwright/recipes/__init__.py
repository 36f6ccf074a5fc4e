"""Recipes that come with the package, one Python file an experiment, and how a recipe is found by name or path."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import traceback
import typing
from pathlib import Path

from mathwright.errors import MathwrightError
from mathwright.files import similar
from mathwright.recipe import Recipe, RecipeFunction


def names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def build(name_or_path: str, *, tiny: bool = False) -> Recipe:
    """The recipe that `find` finds. Raises MathwrightError where its function raises, or returns something else."""
    function = find(name_or_path, tiny=tiny)
    try:
        made = function()
    except MathwrightError:
        raise
    except Exception as error:  # code that is not ours
        raise _broken(name_or_path, error) from error
    if not isinstance(made, Recipe):
        raise MathwrightError(
            f"{function.__name__}() of {name_or_path} returns {type(made).__name__}, not a Recipe",
            hint="end it with: return Recipe(name=..., ...)",
        )
    return made


def _broken(path: str, error: BaseException) -> MathwrightError:
    """What is said of a recipe file that cannot be run, with the line of it that fails."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == Path(path).resolve()]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    words = " ".join(str(error).split())
    where = f"{path}:{line}" if line else path
    if isinstance(error, ModuleNotFoundError):
        hint = f"install {error.name}, or put the folder that has it on PYTHONPATH"
    else:
        hint = "correct the recipe; `mathwright show quickstart` shows one that works"
    return MathwrightError(f"{where}: {type(error).__name__}: {words}"[:300], hint=hint)


def find(name_or_path: str, *, tiny: bool = False) -> RecipeFunction:
    """The recipe function called `name_or_path`: a shipped recipe, or a Python file that defines `recipe()`.

    A file is run as the program it is, with the rights of the user. `tiny` asks for the module's `tiny()`: the same
    stages at sizes for a test. Raises MathwrightError where there is no such recipe or no tiny variant of it.
    """
    if name_or_path.endswith(".py"):
        path = Path(name_or_path)
        if not path.is_file():
            there = [file.name for file in path.parent.glob("*.py")]
            raise MathwrightError(f"{path}: no such recipe file", hint=f"check the path; {similar(path.name, there)}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # code that is not ours
            raise _broken(name_or_path, error) from error
    elif name_or_path in names():
        module = importlib.import_module(f"mathwright.recipes.{name_or_path}")
    else:
        close = difflib.get_close_matches(name_or_path, names(), n=1)
        raise MathwrightError(
            f"no recipe {name_or_path!r}",
            hint=f"did you mean {close[0]!r}?" if close else f"recipes: {', '.join(names())}; or a path to a .py file",
        )
    wanted = "tiny" if tiny else "recipe"
    function = getattr(module, wanted, None)
    if not callable(function):
        raise MathwrightError(f"{module.__file__} defines no function {wanted}()", hint="it must return a Recipe")
    return typing.cast(RecipeFunction, function)
