"""One extractor, run by the python that has it: `python extraction_sides.py SIDE pages.jsonl`, commands on stdin.

    time N         extract every N-th page; answers {"seconds": CPU time of the extractor alone, "pages": ..., "bytes": ...}
    texts PATH     extract all pages, and write {"url", "text"} lines to PATH; answers {"errors": pages that raised}

Only `ours` and `resiliparse` decode the bytes themselves, in the time measured; the others are handed the characters.
"""  # noqa: E501

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

Extract = Callable[[dict], str]


def ours() -> Extract:
    from mathwright.corpus.extract import extract

    return lambda page: extract(page["bytes"], page["url"], charset=page["charset"]).text


def resiliparse() -> Extract:
    from resiliparse.extract.html2text import extract_plain_text

    from mathwright.corpus.extract import decode

    return lambda page: extract_plain_text(decode(page["bytes"], page["charset"]), main_content=True)


def trafilatura() -> Extract:
    import trafilatura  # pyright: ignore[reportMissingImports]

    return lambda page: trafilatura.extract(page["html"], url=page["url"]) or ""


def openwebmath() -> Extract:
    """The extractor of OpenWebMath, with the likeliest value of each setting that its own file draws by chance.

    But for one: it removes Chinese characters, which would be no fair comparison on Chinese pages.
    """
    from text_extract.extract import extract_text  # pyright: ignore[reportMissingImports]
    from text_extract.utils import Config  # pyright: ignore[reportMissingImports]

    config = {**Config().sample(), "markdown_headings": True, "markdown_code": True, "remove_chinese": False}
    config["boilerplate_config"] = {
        "enable": True, "ratio_threshold": 0.18, "absolute_threshold": 10, "end_threshold": 15,
    }  # fmt: skip

    def run(page: dict) -> str:
        found = extract_text(page["html"], config)
        return found[0] if found else ""

    return run


def readability() -> Extract:
    import html2text  # pyright: ignore[reportMissingImports]
    from readability import Document  # pyright: ignore[reportMissingImports]

    writer = html2text.HTML2Text(bodywidth=0)
    writer.ignore_links = writer.ignore_images = writer.ignore_emphasis = True
    return lambda page: writer.handle(Document(page["html"]).summary())


def justext() -> Extract:
    import justext  # pyright: ignore[reportMissingImports]

    words = justext.get_stoplist("English")
    return lambda page: "\n\n".join(p.text for p in justext.justext(page["html"], words) if not p.is_boilerplate)


SIDES = {
    "ours": ours, "resiliparse": resiliparse, "trafilatura": trafilatura, "openwebmath": openwebmath,
    "readability": readability, "justext": justext,
}  # fmt: skip


def main(name: str, path: Path) -> None:
    run = SIDES[name]()
    answers, sys.stdout = sys.stdout, sys.stderr  # what an extractor prints is no answer
    for line in sys.stdin:
        command, argument = line.split(maxsplit=1)
        answer = measure(run, path, int(argument)) if command == "time" else texts(run, path, Path(argument.strip()))
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def pages(path: Path, step: int = 1):
    with path.open() as file:
        for number, line in enumerate(file):
            if number % step == 0:
                page = json.loads(line)
                yield {**page, "bytes": page["body"].encode("latin-1")}


def measure(run: Extract, path: Path, step: int) -> dict:
    seconds, count, size = 0.0, 0, 0
    for page in pages(path, step):
        start = time.process_time()
        with contextlib.suppress(Exception):  # a peer's failure on a page is its own; `texts` counts them
            run(page)
        seconds += time.process_time() - start
        count, size = count + 1, size + len(page["bytes"])
    return {"seconds": seconds, "pages": count, "bytes": size}


def texts(run: Extract, path: Path, out: Path) -> dict:
    errors = 0
    with out.open("w") as file:
        for page in pages(path):
            try:
                text = run(page)
            except Exception as error:  # as above
                print(f"{type(error).__name__} on {page['url']}: {error}"[:200], file=sys.stderr)
                text, errors = "", errors + 1
            file.write(json.dumps({"url": page["url"], "text": text}) + "\n")
    return {"errors": errors}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
