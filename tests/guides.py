"""The guides, run as a reader would run them: their fenced blocks one after another in one folder.

What a block of a guide is, to a reader and here:

- ```sh is typed into a shell, ```python is a program. One that begins with `# NAME.py` is the file of that name.
- ```text behind a block is what the block prints, among other lines; `...` stands for anything.
- A block that begins with `# needs ...` (the network, a GPU) cannot be run everywhere. It is not run: its commands are
  parsed by the command line's own parser, the recipes they name are built, and its Python is compiled.

`mathwright` in a shell is a small program that hands its arguments and its open files to the test, where a process that
has torch loaded already (tests/warm.py) runs the real command line.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mathwright.cli.arguments import StageArguments
from mathwright.cli.verbs import _command
from mathwright.recipe import override
from mathwright.recipes import build
from tests import warm

DOCS = Path(__file__).resolve().parents[1] / "docs"
NEEDS = re.compile(r"# needs (\S.*)")
FILE = re.compile(r"# ([\w-]+\.py)\s*$")
ALSO = {
    "pip",
    "hf",
    "git",
    "torchrun",
    "tensorboard",
    "python3",
    "sudo",
    "cd",
    "nvidia-smi",
    "source",
    "export",
}
"""What blocks that are not run may call besides mathwright."""
TIMEOUT_S = 300.0
_STUB = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
    asked.connect({address!r})
    socket.send_fds(asked, [json.dumps([os.getcwd(), sys.argv[1:]]).encode()], [0, 1, 2])
    sys.exit(int(asked.recv(16)))
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a guide."""

    language: str
    text: str
    line: int
    """Of the guide, where its text begins."""

    @property
    def needs(self) -> str:
        """What it needs that is not everywhere; "" for a block that is run."""
        found = NEEDS.match(self.text)
        return found.group(1) if found else ""

    @property
    def file(self) -> str:
        """The file that it is, if it is one."""
        found = FILE.match(self.text.partition("\n")[0]) if self.language == "python" else None
        return found.group(1) if found else ""


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page in their order. Raises ValueError for one that does not end."""
    found: list[Block] = []
    begun: tuple[str, int] | None = None
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.startswith("```"):
            continue
        if begun is None:
            begun = line[3:].strip(), number + 1
        else:
            language, first = begun
            found.append(Block(language, "\n".join(lines[first - 1 : number - 1]) + "\n", first))
            begun = None
    if begun is not None:
        raise ValueError(f"{page}:{begun[1]}: a block that does not end")
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The commands in a block of shell as lists of words, without comments and what a here-document holds."""
    text = re.sub(r"\\\n\s*", " ", text)
    text = re.sub(r"<<'?(\w+)'?\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.commenters = "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("|&;"):
                if words:
                    yield words
                words = []
            else:
                words.append(word)


def check_unrun(block: Block) -> None:
    """Raise for a block that cannot be run here and would fail where it can: what its commands are is looked at."""
    if block.language == "python":
        compile(block.text, f"line {block.line}", "exec")
        return
    for program, *arguments in commands(block.text):
        if program == "mathwright":
            check_command(arguments)
        elif program == "torchrun":
            after = arguments[arguments.index("mathwright.cli") + 1 :]
            check_command(after)
        elif program == "make":
            makefile = (DOCS.parent / "Makefile").read_text(encoding="utf-8")
            assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in arguments)
        else:
            assert program in ALSO, f"line {block.line}: {program!r} is not known to the tests"


def check_command(arguments: Sequence[str]) -> None:
    """Have the real parser read a command; a recipe of the package that it names is built with its settings."""
    if list(arguments) == ["--version"]:
        return
    command = _command(list(arguments))
    if isinstance(command, StageArguments) and command.recipe.isidentifier() and not getattr(command, "tasks", ""):
        override(build(command.recipe, tiny=command.tiny), command.set_)


def lacking(said: str, expected: str) -> list[str]:
    """Lines of `expected` that no line of `said` is like; `...` stands for anything."""
    there = [" ".join(line.split()) for line in said.splitlines()]
    patterns = {
        line: ".*".join(re.escape(" ".join(part.split())) for part in line.split("...")).replace(r"\ .*", r"\ ?.*")
        for line in expected.splitlines()
        if line.strip()
    }
    return [line for line, pattern in patterns.items() if not any(re.search(pattern, one) for one in there)]


class Reader:
    """Somebody who types what a guide says, in a folder of their own."""

    def __init__(self, folder: Path, path: str) -> None:
        self.folder = folder
        self._environment = {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "160"}

    def follow(self, block: Block) -> str:
        """Do what a block says; what it printed. Raises AssertionError where that fails."""
        if block.file:
            (self.folder / block.file).write_text(block.text)
            return ""
        if block.language == "python":
            program = self.folder / "typed.py"
            program.write_text(block.text)
            done = warm.run(str(program))
        else:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text], cwd=self.folder, env=self._environment,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, check=False,
            )  # fmt: skip
        said = (done.stdout or "") + (done.stderr or "")
        assert done.returncode == 0, f"line {block.line} ended with {done.returncode}:\n{said}"
        return said


@contextmanager
def reader(folder: Path, programs: Path) -> Iterator[Reader]:
    """A reader in `folder`, the current one, whose `mathwright`, in `programs`, is run by warm processes."""
    address = str(programs / "asked")
    stub = programs / "mathwright"
    stub.write_text(_STUB.format(python=sys.executable, address=address))
    stub.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(address)
        server.listen()
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield Reader(folder, str(programs))
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket) -> None:
    while True:
        try:
            asked, _ = server.accept()
        except OSError:  # the guide has ended
            return
        with asked:
            message, files, _, _ = socket.recv_fds(asked, 1 << 16, 3)
            folder, arguments = json.loads(message)
            try:
                code = warm.start_on(files, "-m", "mathwright.cli", *arguments, folder=folder).wait(TIMEOUT_S)
            finally:
                for file in files:
                    os.close(file)
            asked.send(str(code % 256).encode())
