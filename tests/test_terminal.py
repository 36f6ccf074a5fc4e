"""Text of others on a terminal: neither rich nor the terminal takes it for orders, whoever prints it."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

import mathwright
from mathwright.run import RunDirectory
from mathwright.terminal import PlainConsole, visible

PACKAGE = Path(mathwright.__file__).parent
HOSTILE = {
    "a closing tag of nothing": "text/[/x]",
    "a style": "[bold]loud[/bold] [link=http://evil.example]here[/link]",
    "an emoji": ":skull:",
    "an escape sequence": "\x1b]0;owned\x07\x1b[2J",
    "an escape sequence of one byte": "\x9b2J\x9d0;owned\x9c",
    "a turned direction": "\u202egpj.exe\u202c",
    "half a pair": "\ud800",
    "a backspace and a return": "good\x08\x08\x08\x08evil\rover",
}
TURNS = {"\u061c", "\u200e", "\u200f"}


def shown(*renderables: object, width: int = 200, terminal: bool = False) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    PlainConsole(file=file, width=width, force_terminal=terminal).print(*renderables)
    file.flush()
    return file.buffer.getvalue().decode()  # type: ignore[attr-defined]


def is_harmless(text: str) -> bool:
    return not any(
        (unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t")
        or c in TURNS
        or unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for c in text
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_every_way_to_the_console_shows_the_text_and_obeys_none_of_it(text: str) -> None:
    table = Table("a column", title=text)
    table.add_row(text)
    table.add_row(Text(text, "bold"))
    for printed in (shown(text), shown(Text.assemble(("error:", "red"), text)), shown(table)):
        assert is_harmless(printed)
        assert "owned" in printed or "owned" not in text
        assert "[/x]" in printed or "[/x]" not in text
        assert "[bold]loud[/bold]" in printed or "[bold]" not in text
        assert ":skull:" in printed or ":skull:" not in text


@given(st.text(st.characters(), max_size=50))
def test_no_text_of_any_code_points_reaches_the_terminal_as_an_order(text: str) -> None:
    assert is_harmless(visible(text))
    assert is_harmless(shown(text))
    assert visible(visible(text)) == visible(text)
    plain = "".join(c for c in text if is_harmless(c) and c not in "\u2028\u2029")
    assert visible(plain) == plain


def test_our_own_styles_still_reach_a_terminal() -> None:
    assert shown(Text("error:", "bold red"), terminal=True).startswith("\x1b[1;31merror:\x1b[0m")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_stage_says_counts_and_warns_in_text_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    stage = RunDirectory(tmp_path / "run", recipe_name="r", recipe={}).stage("corpus")
    stage.say(text)
    stage.warn(text)
    stage.funnel(f"read {text}", unit=text, num_in=3, num_out=2, dropped={f"type:{text}": 1})
    with stage.progress(f"reading {text}", total=2) as advance:
        advance(2)
    printed = capsys.readouterr().err
    assert is_harmless(printed)
    assert printed.count("\n") >= 3


def test_a_progress_bar_of_ours_shows_descriptions_as_they_are() -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=True, width=100)
    with Progress(TextColumn("{task.description}", markup=False), console=console) as bars:
        bars.add_task(HOSTILE["a closing tag of nothing"], total=1)
    assert "text/[/x]" in file.getvalue()


@pytest.mark.parametrize("text", [t for t in HOSTILE.values() if "\ud800" not in t])
def test_errors_of_the_command_line_show_names_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    from mathwright.cli import main

    for arguments in (["show", text.replace("/", "|")], ["report", str(tmp_path / text.replace("/", "|"))]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert is_harmless(capsys.readouterr().err)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_data_goes_into_pipes_as_it_is_and_is_shown_on_a_terminal(text: str) -> None:
    code = f"""
import sys
from mathwright.terminal import put
put({text!r})
sys.stdout.isatty = lambda: True
put({text!r})
"""
    done = subprocess.run([sys.executable, "-X", "utf8", "-c", code], capture_output=True, check=True)
    piped, _, seen = done.stdout.partition(b"\n")
    assert piped.decode() == text.encode("utf-8", "backslashreplace").decode()
    assert is_harmless(seen.decode())


# --- nobody goes around it ----------------------------------------------------------------------------


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node


def is_plain(node: ast.expr) -> bool:
    """A literal of ours, or a Text."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("Text", "Text.assemble")
    return isinstance(node, ast.Constant)


def offences(source: str) -> list[str]:
    """Places in a source where a string of any origin could be read as rich's markup."""
    tree = ast.parse(source)
    found = [
        f"imports {name}"
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        if name in ("rich.markup", "rich.console", "rich.panel", "rich.logging", "rich.traceback")
    ]
    for name, call in calls(tree):
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if options.get("markup", "False") != "False" or "from_markup" in ast.unparse(call.func):
            found.append(f"line {call.lineno}: markup is read")
        if name == "TextColumn" and options.get("markup") != "False":
            found.append(f"line {call.lineno}: TextColumn reads markup")
        if name == "Progress" and not call.args:
            found.append(f"line {call.lineno}: Progress has rich's own columns, which read markup")
        is_asked = ast.unparse(call.func) in ("console.status", "Prompt.ask")
        if is_asked and not (call.args and is_plain(call.args[0])):
            found.append(f"line {call.lineno}: {name} reads markup")
    return found


def test_nothing_in_the_package_reads_text_as_markup() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}: {offence}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "terminal.py" and path.read_text(encoding="utf-8").find("rich") + 1
        for offence in offences(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "from rich.console import Console",
        "import rich.markup",
        "console.print(message, markup=True)",
        "Text.from_markup(message)",
        'TextColumn("{task.description}")',
        "Progress(console=console)",
        "console.status(message)",
        "Prompt.ask(f'{name}?')",
    ],
)
def test_the_test_above_sees(source: str) -> None:
    assert offences(source)
