"""The report of a run: pages made from its artefacts alone, static files that open without a server or a network.

    RUN/report.html             overview: the result, what each stage contributed, warnings, where the run comes from
    RUN/report/STAGE.html       a stage: what it made, its curves, everything it measured
    RUN/report/texts.html       pages of the corpus, to read
    RUN/report/rollouts.html    what the policy wrote during reinforcement, to look through
    RUN/eval/samples.html       every answer of the evaluation (`samples.py`)

A page carries its own style and script, and a policy under which nothing else runs and nothing is fetched. What models
and web pages wrote is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mathwright.files import atomic
from mathwright.lines import json_text, readable
from mathwright.report.gathered import Run, stage_title
from mathwright.report.overview import facts, headline, overview_parts, stage_rows
from mathwright.report.policy import csp_hash
from mathwright.report.rollouts import write_rollouts_page
from mathwright.report.several import several_shown
from mathwright.report.shown import FILTERS
from mathwright.report.stages import ABOUT, page_of, parts_of
from mathwright.report.texts import shelves_of
from mathwright.report.theme import THEME_JS
from mathwright.report.warned import warnings_of

HERE = Path(__file__).parent


def write_report(path: Path) -> Path:
    """Write the pages of a run; returns the first, RUN/report.html.

    Whatever stages have finished are shown. Raises MathwrightError where `path` is no run directory.
    """
    run = Run.read(path)
    (path / "report").mkdir(exist_ok=True)
    template = _environment().get_template
    shelves = shelves_of(run)
    rollouts = write_rollouts_page(
        path / "rl" / "rollouts.jsonl",
        path / "report" / "rollouts.html",
        mode=(run.recipe.get("rl") or {}).get("mode", ""),
        home="rl.html" if "rl" in run.stages else "../report.html",
    )
    links = _reading(run, rollouts, num_texts=sum(len(shelf.pages) for shelf in shelves))
    warned = warnings_of(run)
    shown = {"run": run, "contents": _contents(run, links)}
    if shelves:
        page = template("texts.html.jinja").render(
            **shown, root="../", here="texts", title="The corpus", shelves=shelves
        )
        _write(path / "report" / "texts.html", page)
    for stage in run.stages:
        page = template("stage.html.jinja").render(
            **shown,
            root="../",
            here=stage,
            title=stage_title(stage),
            about=ABOUT.get(stage, ""),
            manifest=run.manifests.get(stage),
            warned=[w for w in warned if w.stage == stage],
            parts=parts_of(run, stage),
        )
        _write(path / page_of(stage), page)
    page = template("overview.html.jinja").render(
        **shown,
        root="",
        here="",
        title=run.name,
        headline=headline(run),
        warned=warned,
        parts=overview_parts(run),
        stages=stage_rows(run),
        links=links,
        facts=facts(run),
        recipe_json=json_text(run.recipe, indent=1),
    )
    _write(path / "report.html", page)
    return path / "report.html"


def write_several(paths: Sequence[Path]) -> Path:
    """Write a page with several runs side by side, RUN/report/beside-OTHERS.html of the first; returns it.

    Its links lead to the report of each (`write_report`).

    Raises MathwrightError where one of them is no run directory.
    """
    runs = [Run.read(path) for path in paths]
    others = "-".join(path.resolve().name for path in paths[1:])
    target = paths[0] / "report" / f"beside-{others[:100]}.html"
    page = _environment().get_template("several.html.jinja").render(
        run=runs[0], root="../", here="several", title="Runs side by side",
        contents=[("report.html", "", "Overview")], **several_shown(runs),
    )  # fmt: skip
    _write(target, page)
    return target


def _contents(run: Run, links: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Address from the run's folder, name and title of each page."""
    stages = [(str(page_of(stage)), stage, stage_title(stage)) for stage in run.stages]
    reading = [(address, Path(address).stem, title) for address, title, _ in links]
    return [("report.html", "", "Overview"), *stages, *reading]


def _reading(run: Run, rollouts: Mapping[str, Any] | None, *, num_texts: int) -> list[tuple[str, str, str]]:
    """Pages of texts: address, title, and what is there."""
    links = []
    if (run.path / "eval" / "records.jsonl").is_file():
        links.append(("eval/samples.html", "Answers", "every answer of the evaluation, right and wrong"))
    if rollouts is not None:
        first, last = rollouts["first_step"], rollouts["last_step"]
        links.append(
            (
                "report/rollouts.html",
                "Responses",
                f"what the model wrote during reinforcement: {rollouts['num_questions']:,} times a question was asked, "
                f"step {first} to step {last}",
            )
        )
    if num_texts:
        links.append(("report/texts.html", "Texts", f"{num_texts} pages of the corpus"))
    return links


# --- pages ----------------------------------------------------------------------------------------


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(FILTERS, csp_hash=csp_hash)
    environment.globals.update(
        theme_js=Markup(THEME_JS), page_js=Markup(_file("report.js")), page_css=Markup(_file("report.css"))
    )
    return environment


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _write(path: Path, page: str) -> None:
    with atomic(path) as partial:
        partial.write_text(readable(page), encoding="utf-8", newline="\n")
