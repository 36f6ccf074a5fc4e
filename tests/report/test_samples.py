"""The page of samples holds what the records say, counts right, and what a model wrote stays text."""

import base64
import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mathwright.errors import MathwrightError
from mathwright.records import EvalRecord, FinishReason, Problem, Verdict, VerdictStatus, to_json
from mathwright.report import samples
from mathwright.report.samples import escape_json, write_samples_page

NEEDS_CHROMIUM = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium to look at the page")

HOSTILE = {
    "closes the script element": "</script><script>document.title='owned'</script>",
    "opens a comment in a script": "<!--<script>",
    "markup": "<img src=x onerror=\"document.title='owned'\"> &lt;b&gt; &amp; ]]> -->",
    "template": "{{ 7*7 }} {% raw %} ${document.title='owned'}",
    "line separators": "a\u2028b\u2029c",
    "replacement": "\ufffd\ufffd bytes lost",
    "not a character": "\uffff \U0010ffff",
    "Chinese": "所以答案是 $\\boxed{4}$。",
    "boxed program": "\\boxed{```python\nprint('</pre>')\n```}",
    "url": "javascript:document.title='owned' https://example.com/x.png",
}
"""Texts that must come out as they went in."""


def problem(number: object = 1, *, question: str = "What is 2 + 2?", answer: str = "4", **fields: Any) -> Problem:
    return Problem(id=f"p-{number}", question=question, answer=answer, source="toy", split="test", **fields)


def record(
    asked: Problem,
    status: VerdictStatus = "correct",
    *,
    response: str = "It is $\\boxed{4}$.",
    prediction: str | None = None,
    sample: int = -1,
    finish: FinishReason = "stop",
    model: str = "sft",
    mode: str = "cot",
    prompt: str = "User: the prompt",
    method: str = "number",
    **fields: Any,
) -> EvalRecord:
    if prediction is None:
        prediction = {"correct": "4", "unparsable_prediction": ""}.get(status, "5")
    verdict = Verdict(status=status, prediction=prediction, reference=asked.answer, method=method)
    return EvalRecord(
        model=model, task="toy", mode=mode, problem=asked, sample=sample, prompt=prompt, response=response,
        verdict=verdict, finish=finish, num_tokens=7, **fields,
    )  # fmt: skip


def write_folder(folder: Path, records: list[EvalRecord], table: object = None) -> Path:
    """A folder as an evaluation leaves it; ASCII, as lone surrogates have no UTF-8."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(to_json(r)) + "\n" for r in records)
    (folder / "records.jsonl").write_text(lines, encoding="ascii")
    rows = [{"model": "sft", "mode": "cot", "accuracy": 0.5}] if table is None else table
    (folder / "table.json").write_text(json.dumps(rows), encoding="ascii")
    return folder


class Reader(HTMLParser):
    """Script elements by id, the text of each sample, and all text that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts: dict[str, str] = {}
        self.samples: list[str] = []
        self.heading = ""
        """Of the problem that is open."""
        self.text = ""
        self.tags: list[str] = []
        self._open: str | None = None
        self._in_sample = self._in_heading = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        if tag in ("script", "style"):
            self._open = values.get("id") or tag
            self.scripts[self._open] = ""
        if tag == "h2":
            self._in_heading = "id" not in values
        if tag == "section":
            self._in_sample = True
            self.samples.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._open = None
        if tag == "h2":
            self._in_heading = False
        if tag == "section":
            self._in_sample = False

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self.scripts[self._open] += data
            return
        self.text += data
        if self._in_heading:
            self.heading += data
        if self._in_sample:
            self.samples[-1] += data


def index_of(html: str) -> dict[str, Any]:
    return json.loads(Reader(html).scripts["index"])


def texts_of(html: str) -> list[dict[str, Any]]:
    """The texts of all problems in the order of the index, unpacked as the page unpacks them."""
    scripts = Reader(html).scripts
    chunks = [
        json.loads(gzip.decompress(base64.b64decode(scripts[f"texts-{i}"])))
        for i in range(index_of(html)["num_chunks"])
    ]
    return [chunks[p["chunk"]][p["place"]] for p in index_of(html)["problems"]]


def written(folder: Path) -> str:
    return write_samples_page(folder).read_text(encoding="utf-8")


# --- what stands in the file ----------------------------------------------------------------------


UNPRINTABLE = {"control": "\0 \x1b[31m", "half characters": "\ud800 half \udfff", "long": "x" * 400_000, "empty": ""}


@pytest.mark.parametrize("text", [*HOSTILE.values(), *UNPRINTABLE.values()], ids=[*HOSTILE, *UNPRINTABLE])
def test_any_text_survives_the_way_into_the_page(tmp_path: Path, text: str) -> None:
    asked = problem(question=text, answer=text, choices=(text, "4"))
    html = written(write_folder(tmp_path, [record(asked, response=text, prediction=text, prompt=text)]))
    (texts,) = texts_of(html)
    assert texts["question"] == texts["answer"] == texts["choices"][0] == texts["prompt"] == text
    assert texts["samples"][0][:2] == [text, text]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_neither_end_an_element_nor_become_markup(tmp_path: Path, text: str) -> None:
    plain = Reader(written(write_folder(tmp_path / "plain", [record(problem())])))
    asked = Problem(id=text, question=text, answer=text, source="toy", split="test", subject=text, level=text)
    table = [{"model": text, "task": text, "mode": text, "accuracy": 0.5, "by_subject": {}, "by_level": {}}]
    folder = write_folder(tmp_path / "hostile", [record(asked, model=text, mode=text)], table)
    (folder / "settings.json").write_text(json.dumps({text: text}), encoding="ascii")
    html = written(folder)
    assert Reader(html).tags.count("script") == plain.tags.count("script")
    assert "img" not in Reader(html).tags
    assert index_of(html)["problems"][0]["id"] == text
    assert text in Reader(html).text


def test_escaped_json_is_the_same_json() -> None:
    value = {"<&>\u2028\u2029\ud800\0": ["</script>", "<!--", 1.5, None, True]}
    text = escape_json(value)
    assert json.loads(text) == value
    assert text.isascii() and not set("<>&\0") & set(text)
    with pytest.raises(ValueError):
        escape_json(float("nan"))


def test_the_page_fetches_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    html = written(write_folder(tmp_path, [record(problem())]))
    match = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert match is not None
    policy = dict(part.split(maxsplit=1) for part in match.group(1).split("; "))
    assert policy["default-src"] == "'none'" and "unsafe" not in match.group(1)
    assert not re.search(r"(?:src|href)=[\"']?(?!data:|#)[^\"'>]*//", html)
    assert "innerHTML" not in html and "insertAdjacentHTML" not in html and "document.write" not in html


def test_a_prompt_is_stored_once_for_its_samples_unless_one_has_its_own(tmp_path: Path) -> None:
    asked = problem()
    records = [record(asked, sample=k, prompt="shared prompt") for k in range(-1, 4)]
    records.append(record(asked, sample=4, prompt="another prompt"))
    (texts,) = texts_of(written(write_folder(tmp_path, records)))
    assert json.dumps(texts).count("shared prompt") == 1
    assert [s[4] for s in texts["samples"]] == ["", "", "", "", "", "another prompt"]


def test_samples_are_in_order_the_greedy_one_first_whatever_the_order_of_the_records(tmp_path: Path) -> None:
    first, second = problem(1), problem(2)
    records = [record(first, sample=1), record(second, sample=0), record(first, sample=-1), record(first, sample=0)]
    problems = index_of(written(write_folder(tmp_path, records)))["problems"]
    assert [(p["id"], [s[0] for s in p["samples"]]) for p in problems] == [("p-1", [-1, 0, 1]), ("p-2", [0])]


def test_a_problem_in_two_modes_and_two_models_is_three_rows(tmp_path: Path) -> None:
    records = [record(problem()), record(problem(), mode="tool"), record(problem(), model="rl")]
    problems = index_of(written(write_folder(tmp_path, records)))["problems"]
    assert [(p["model"], p["mode"]) for p in problems] == [("sft", "cot"), ("sft", "tool"), ("rl", "cot")]


@pytest.mark.parametrize(
    ("answers", "disagrees"),
    [
        ([("correct", "0.5"), ("correct", "\\frac12")], False),  # both equal the reference
        ([("correct", "4"), ("incorrect", "5")], True),
        ([("incorrect", "5"), ("incorrect", "6")], True),
        ([("incorrect", "5"), ("incorrect", " 5 ")], False),
        ([("incorrect", "5")], False),
    ],
)
def test_disagreement(tmp_path: Path, answers: list[tuple[VerdictStatus, str]], disagrees: bool) -> None:
    asked = problem()
    records = [record(asked, status, prediction=answer, sample=k) for k, (status, answer) in enumerate(answers)]
    (entry,) = index_of(written(write_folder(tmp_path, records)))["problems"]
    assert entry["disagrees"] is disagrees


def test_programs_of_one_verdict_do_not_disagree(tmp_path: Path) -> None:
    asked = problem(tests="assert f(1) == 2")
    records = [record(asked, "incorrect", prediction=f"x = {k}", sample=k, method="tests") for k in range(2)]
    (entry,) = index_of(written(write_folder(tmp_path, records)))["problems"]
    assert entry["disagrees"] is False


def test_texts_are_packed_in_parts_that_all_can_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "CHUNK_CHARS", 3_000)
    records = [record(problem(k), response=f"response {k} " + "x" * 700) for k in range(20)]
    html = written(write_folder(tmp_path, records))
    assert index_of(html)["num_chunks"] > 3
    assert [t["samples"][0][0].split()[1] for t in texts_of(html)] == [str(k) for k in range(20)]


def test_the_same_records_give_the_same_page(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, [record(problem())])
    assert written(folder) == written(folder)
    assert not list(folder.glob("*.partial"))


def test_of_a_large_evaluation_only_right_samples_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, long = problem(), "y" * 1000
    records = [record(asked, response=long)]
    records += [record(asked, response=long, sample=k) for k in range(4)]
    records += [record(asked, "incorrect", response=long, sample=k) for k in range(4, 6)]
    folder = write_folder(tmp_path, records)
    assert "large evaluation" not in written(folder)
    monkeypatch.setattr(samples, "LARGE_SAMPLES", 6)
    html = written(folder)
    (texts,) = texts_of(html)
    assert [len(s[0]) for s in texts["samples"]] == [1000, 1000, 1000, 300, 300, 1000, 1000]
    assert [s[3] for s in texts["samples"]] == [0, 0, 0, 700, 700, 0, 0]
    assert "2 right samples are cut at 300 characters" in html


def test_figures_of_the_table_stand_in_the_page(tmp_path: Path) -> None:
    row = {
        "model": "sft", "task": "math", "mode": "tool", "num_problems": 5000, "accuracy": 0.5871,
        "accuracy_interval": [0.571, 0.601], "truncated": 0.031, "unparsable": 0.012, "mean_tokens": 412.4,
        "maj_at_k": 0.655, "pass_at": {"1": 0.56, "16": 0.84}, "unscored": 3,
        "by_subject": {"Algebra": {"num_problems": 1187, "accuracy": 0.789}, "Geometry": {"num_problems": 479}},
        "by_level": {"5": {"num_problems": 1324, "accuracy": 0.291}, "1": {"num_problems": 437, "accuracy": 0.888}},
    }  # fmt: skip
    shown = Reader(written(write_folder(tmp_path, [record(problem())], [row]))).text
    for figure in (
        "5,000",
        "58.7%",
        "57.1% to 60.1%",
        "65.5%",
        "84.0%",
        "3.1%",
        "1.2%",
        "412",
        "1,187",
        "78.9%",
        "29.1%",
    ):
        assert figure in shown, figure
    assert "Maj@16" in shown and shown.index("Pass@1") < shown.index("Pass@16")


def test_a_score_that_is_no_number_is_shown_as_such(tmp_path: Path) -> None:
    (entry,) = index_of(written(write_folder(tmp_path, [record(problem(), score=float("nan"))])))["problems"]
    assert entry["samples"][0][5] == "nan"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("table.json", None, "no such file"),
        ("table.json", b"{", "not JSON"),
        ("table.json", b"\xff", "not JSON"),
        ("table.json", b'{"model": 1}', "not a list of rows"),
        ("table.json", b'[{"model": "a", "mode": "cot"}]', "row 1 lacks 'accuracy'"),
        ("records.jsonl", None, "no such file"),
        ("records.jsonl", b'{"model": "a"}\n', "records.jsonl:1: not a EvalRecord"),
        ("records.jsonl", b'"\xff\xfe"\n', "records.jsonl:1: not a EvalRecord: 'utf-8'"),
        ("settings.json", b"[]", "not a JSON object"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    folder = write_folder(tmp_path, [record(problem())])
    (folder / name).unlink(missing_ok=True)
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(MathwrightError, match=re.escape(message)) as raised:
        write_samples_page(folder)
    assert name in raised.value.message
    assert not (folder / "samples.html").exists()


def test_an_evaluation_without_records_gives_an_empty_page(tmp_path: Path) -> None:
    assert index_of(written(write_folder(tmp_path, [], [])))["problems"] == []


# --- what a browser makes of it -------------------------------------------------------------------

Look = Callable[..., Reader]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Open a page in Chromium and read what stands there a while later; the console must stay empty."""

    def open_page(page: Path, fragment: str = "", *, quiet: bool = True) -> Reader:
        profile = tmp_path / f"profile-{len(list(tmp_path.glob('profile-*')))}"
        done = subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=8000",
                "--dump-dom", f"{page.as_uri()}#{fragment}",
            ],
            capture_output=True, encoding="utf-8", timeout=120, check=True,
        )  # fmt: skip
        if quiet:
            assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
        return Reader(done.stdout)

    return open_page


def counts(page: Reader) -> dict[str, int]:
    """The number on each filter, and `shown`: that of the problems listed."""
    found = re.findall(
        r"(wrong|right|no answer|unscored|timeout|truncated|tool used|disagreement|contaminated) ([\d,]+)", page.text
    )
    listed = re.search(r"([\d,]+) of [\d,]+ problems", page.text)
    assert listed is not None
    numbers = {name: int(number.replace(",", "")) for name, number in reversed(found)}
    return {**numbers, "shown": int(listed.group(1).replace(",", ""))}


def mixed(folder: Path) -> Path:
    """Twelve problems with every verdict; p-1 is right greedily, while one of its two samples is wrong."""
    algebra, geometry = {"subject": "Algebra"}, {"subject": "Geometry"}
    records = [
        record(problem(1, **algebra)),
        record(problem(1, **algebra), sample=0),
        record(problem(1, **algebra), "incorrect", sample=1, response="Only here: hapax.", finish="length"),
        record(problem(2, **algebra), "incorrect", finish="length", response="cut"),
        record(problem(3, **algebra), "incorrect", contaminated=True),
        record(problem(4, **algebra), "unparsable_prediction", finish="length"),
        record(problem(5, **geometry), "unparsable_reference"),
        record(problem(6, **geometry), "timeout"),
        *(record(problem(k, **geometry), num_tool_calls=k % 2, mode="tool") for k in range(7, 13)),
    ]
    return write_samples_page(write_folder(folder, records))


ALL = {
    "wrong": 2, "right": 7, "no answer": 1, "unscored": 1, "timeout": 1, "truncated": 2, "tool used": 3,
    "disagreement": 1, "contaminated": 1, "shown": 12,
}  # fmt: skip


@NEEDS_CHROMIUM
@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("", ALL),
        ("filter=wrong", {"shown": 2, "right": 7, "truncated": 1, "contaminated": 1, "disagreement": 0}),
        ("filter=wrong,no-answer,timeout", {"shown": 4, "truncated": 2}),  # verdicts add up
        ("filter=wrong,truncated", {"shown": 1}),  # the others narrow
        ("filter=wrong&in=any", {"shown": 3, "truncated": 2}),  # p-1 by its sample
        ("filter=right,truncated&in=any", {"shown": 0}),  # p-1 has both, in no one sample
        ("subject=Algebra", {"shown": 4, "right": 1, "wrong": 2, "tool used": 0}),
        ("mode=tool&filter=tool-used", {"shown": 3, "wrong": 0}),
        ("q=HAPAX", {"shown": 1, "right": 1}),
        ("q=" + quote("boxed{4}$. "), {"shown": 0}),  # literally, not as a regular expression
        ("q=" + quote("$\\boxed{4}$."), {"shown": 11}),
        ("filter=nonsense&sort=nonsense&subject=nonsense&problem=nonsense", ALL),
    ],
)
def test_filters_count_right(tmp_path: Path, look: Look, fragment: str, expected: dict[str, int]) -> None:
    found = counts(look(mixed(tmp_path / "eval"), fragment))
    assert {name: found[name] for name in expected} == expected


@NEEDS_CHROMIUM
def test_a_link_opens_its_problem_and_all_of_its_samples(tmp_path: Path, look: Look) -> None:
    page = look(mixed(tmp_path / "eval"), "problem=" + quote("sft|toy|cot|p-1"))
    assert page.heading == "p-1"
    assert [("greedy answer" in t, "hapax" in t) for t in page.samples] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert "finish: length" in page.samples[2] and "finish: stop" in page.samples[0]


@NEEDS_CHROMIUM
def test_what_a_model_wrote_is_text_in_the_browser(tmp_path: Path, look: Look) -> None:
    asked = problem(question=HOSTILE["markup"], answer=HOSTILE["closes the script element"], choices=("<b>A</b>",))
    records = [record(asked, response=t, prediction=t, sample=k) for k, t in enumerate(HOSTILE.values())]
    records.append(record(asked, response="nul \0 half \ud800 turned \u202e end", sample=90))
    page = look(write_samples_page(write_folder(tmp_path / "eval", records)))
    assert "<title>" not in page.text and "Samples: sft" in page.text and "owned'" in page.text
    assert "img" not in page.tags and "b" in page.tags
    for (name, text), sample in zip(HOSTILE.items(), page.samples, strict=False):
        assert text in sample, name  # as the answer; the response is cut into blocks
    assert "nul ⟨U+0000⟩ half ⟨U+D800⟩ turned ⟨U+202E⟩ end" in page.samples[-1]
    assert page.tags.count("script") == 4


@NEEDS_CHROMIUM
def test_programs_and_outputs_stand_apart_and_hostile_fences_do_no_harm(tmp_path: Path, look: Look) -> None:
    transcript = "First.\n```python\nprint(2 + 2)\n```\n```output\n4\n```\nSo $\\boxed{4}$."
    asked = problem()
    records = [
        record(asked, response=transcript, mode="tool", num_tool_calls=1),
        record(asked, "incorrect", response="Then\n```python\nwhile True:", mode="tool", sample=0, finish="length"),
        record(asked, "incorrect", response="```python\n" * 40_000, mode="tool", sample=1),
        record(asked, "incorrect", response="z" * 400_000, mode="tool", sample=2),
    ]
    page = look(write_samples_page(write_folder(tmp_path / "eval", records)), "in=any")
    assert page.samples[0].endswith("First.programprint(2 + 2)output4So 4."), "the box is set"
    assert page.samples[1].endswith("Thenprogram (not closed)while True:")
    assert "show all 400,000 characters" in page.samples[2] and "show all 400,000 characters" in page.samples[3]
    assert page.samples[3].count("z") == 20_000


@NEEDS_CHROMIUM
def test_many_problems_are_listed_only_where_they_are_seen(tmp_path: Path, look: Look) -> None:
    records = [record(problem(k), "correct" if k % 3 else "incorrect") for k in range(3000)]
    page = look(write_samples_page(write_folder(tmp_path / "eval", records)), "filter=wrong")
    assert counts(page)["shown"] == 1000
    assert 3 <= len(re.findall(r"greedy answer wrong", page.text)) < 60


@NEEDS_CHROMIUM
def test_the_policy_keeps_a_script_that_got_in_from_running(tmp_path: Path, look: Look) -> None:
    page = mixed(tmp_path / "eval")
    html = page.read_text(encoding="utf-8")
    page.write_text(html.replace("</main>", "</main><script>document.title='owned'</script>"), encoding="utf-8")
    assert "Samples: sft" in look(page, quiet=False).text


@NEEDS_CHROMIUM
@pytest.mark.parametrize(
    ("keys", "expected", "heading"),
    [
        ("jj", {"shown": 12}, "p-3"),
        ("jjk", {"shown": 12}, "p-2"),
        ("1", {"shown": 2}, "p-2"),  # the first wrong one is opened
        ("11", {"shown": 12}, "p-2"),
        ("16", {"shown": 1}, "p-2"),
        ("g1", {"shown": 3}, "p-1"),
        ("9", {"shown": 1}, "p-3"),
        ("90", {"shown": 12}, "p-3"),
        ("57", {"shown": 0}, ""),
    ],
)
def test_keys(tmp_path: Path, look: Look, keys: str, expected: dict[str, int], heading: str) -> None:
    page = mixed(tmp_path / "eval")
    # A script of the test's own presses the keys; for it the policy is taken out.
    press = "for (const [i, key] of [..." + json.dumps(keys) + "].entries()) setTimeout(() => "
    press += "document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true})), 1000 + 300 * i);"
    html = re.sub(r"<meta http-equiv=[^>]*>", "", page.read_text(encoding="utf-8"))
    page.write_text(html.replace("</body>", f"<script>{press}</script></body>"), encoding="utf-8")
    opened = look(page)
    found = counts(opened)
    assert {name: found[name] for name in expected} == expected
    assert opened.heading == heading
