"""What this machine lacks for the tests: said before they run, and after them what was skipped and why.

With MATHWRIGHT_TESTS_REQUIRE=1, which `.ci/run` sets after it has installed what can be installed, a test that is
skipped fails, unless it is for one of the reasons of `MAY_LACK`.
"""

import importlib.util
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

REQUIRE = os.environ.get("MATHWRIGHT_TESTS_REQUIRE", "") not in ("", "0")

MAY_LACK = {
    r"needs a GPU|CUDA": "no GPU can be installed",
    r"vllm": "has an environment of its own (docs/engines.md)",
    r"pycosat": "has no wheel; reasoning-gym needs it for data sets that we do not use (extra `gym`)",
    r"shared/data": "the real data is not part of the repository",
    r"this machine lacks|no Python that an ordinary user may run": "of the kernel and the account",
    r"/proc/|x86-64|on Linux": "of the machine",
    r"no packed products in bfloat16|OpenBLAS|two workers": "of the processor and the wheels",
    r"is no number": "a golden case that another test looks at",
}
"""Reasons to skip (regular expressions) that stand on any machine -> why nobody can install what is missing."""

PACKAGES = ("aiohttp", "datasets", "openai", "peft", "ray", "reasoning_gym", "websockets")


def lacking() -> Iterator[str]:
    """One line for each thing that tests are skipped for on this machine, with what to do about it."""
    if shutil.which("chromium") is None:
        yield "chromium: the tests of pages in a browser are skipped (apt-get install chromium)"
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        yield f"Python packages {', '.join(missing)}: their tests are skipped (make .venv.stamp)"
    from mathwright.tools.isolation import missing_features

    if features := missing_features():
        yield f"{', '.join(features)}: the tests of the sandbox are skipped (docs/sandbox.md)"
    if not (Path(__file__).resolve().parents[2] / "shared" / "data").is_dir():
        yield "shared/data beside the checkout: the tests on real pages and problems are skipped"


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"this machine lacks {line}" for line in lacking()]


def must_run(reason: str) -> bool:
    """Whether a skip for that reason is a failure here."""
    return REQUIRE and not any(re.search(pattern, reason) for pattern in MAY_LACK)


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test or a file was skipped."""
    where = report.longrepr
    text = where[2] if isinstance(where, tuple | list) else str(where)
    return text.removeprefix("Skipped: ")


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and must_run(reason := reason_of(report)):
        report.outcome = "failed"
        report.longrepr = f"skipped, which MATHWRIGHT_TESTS_REQUIRE forbids: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was skipped, grouped by reason."""
    counts = Counter(
        (reason_of(report), report.nodeid.split("::")[0]) for report in terminalreporter.stats.get("skipped", ())
    )
    if not counts:
        return
    terminalreporter.section("skipped")
    for reason in sorted({reason for reason, _ in counts}):
        files = {file: number for (why, file), number in sorted(counts.items()) if why == reason}
        terminalreporter.line(f"{sum(files.values())}: {reason}")
        for file, number in files.items():
            terminalreporter.line(f"    {number} of {file}")
