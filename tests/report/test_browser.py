"""The pages as people see them: in three widths, light and dark, with the keyboard; nothing cut, nothing complained."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mathwright.report.page import write_report, write_several
from mathwright.report.samples import write_samples_page
from tests.report.made_run import NUM_STEPS, make_run

pytest.importorskip("websockets", reason="the browser is driven over a websocket: pip install websockets")
from tests.corpus.annotate.browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

WIDTHS = (390, 820, 1360)
READ = "getComputedStyle(document.body).backgroundColor"
TOO_WIDE = """[...document.querySelectorAll("body *")].filter((e) => {
  const box = e.getBoundingClientRect();
  const apart = ".wide, .skip, details:not([open]), #panes, .figures table";  // what scrolls by itself, or is folded
  return box.width && (box.right > innerWidth + 1 || box.left < -1) && !e.closest(apart);
}).map((e) => e.tagName + "." + (e.className.baseVal ?? e.className) + " " + e.textContent.slice(0, 40)).slice(0, 5)"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    run, other = make_run(folder / "run"), make_run(folder / "other", seed=1, gain=-0.2)
    for path in (run, other):
        write_report(path)
        write_samples_page(path / "eval")
    write_several([run, other])
    return run


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile"), timeout_s=60) as page:
        yield page


def show(browser: Browser, page: Path, fragment: str = "") -> None:
    browser.problems.clear()
    browser.open("about:blank")
    browser.open(page.as_uri() + fragment)
    browser.wait("location.protocol === 'file:' && document.readyState === 'complete'")
    if page.name in ("rollouts.html", "samples.html"):
        browser.wait("document.querySelector('#detail h2')")


def test_every_page_fits_every_width_light_and_dark(browser: Browser, made: Path) -> None:
    papers = {}
    for page in sorted(made.rglob("*.html")):
        show(browser, page)
        for dark in (False, True):
            for width in WIDTHS:
                browser.emulate(dark=dark, width=width)
                where = f"{page.name} at {width}"
                assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), where
                assert browser.evaluate(TOO_WIDE) == [], where
            papers[page.name, dark] = browser.evaluate(READ)
        assert browser.problems == [], (page.name, browser.problems)
        assert papers[page.name, False] != papers[page.name, True], page.name
    browser.emulate()


@pytest.fixture
def served(made: Path) -> Iterator[str]:
    """The address of the report's folder on a server: Chromium now and then forgets what a page of a file had kept."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(made)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_switch_of_colours_overrules_the_system_and_holds_on_the_next_page(browser: Browser, served: str) -> None:
    browser.emulate(dark=False)
    browser.problems.clear()
    browser.open(f"{served}/report.html")
    browser.wait("location.protocol === 'http:' && document.readyState === 'complete'")
    light = browser.evaluate(READ)
    browser.click("#theme")  # auto -> light
    browser.click("#theme")  # light -> dark
    dark = browser.evaluate(READ)
    assert dark != light and browser.evaluate("document.getElementById('theme').textContent") == "colours: dark"
    browser.click("a[href$='rl.html']")
    browser.wait("location.pathname.endsWith('/rl.html') && document.readyState === 'complete'")
    assert browser.evaluate(READ) == dark
    browser.click("#theme")
    assert browser.evaluate(READ) == light
    assert browser.problems == []


def test_values_of_a_curve_are_read_with_the_arrows_and_the_mouse(browser: Browser, made: Path) -> None:
    show(browser, made / "report" / "rl.html")
    read = "document.querySelector('.readout').textContent"
    browser.evaluate("document.querySelector('.area').focus()")
    key = "document.querySelector('.area').dispatchEvent(new KeyboardEvent('keydown', {key: %r, bubbles: true}))"
    browser.evaluate(key % "ArrowRight")
    assert browser.evaluate(read) == "step 0: 0.3"
    browser.evaluate(key % "ArrowRight")
    assert browser.evaluate(read) == "step 1: 0.31"
    browser.evaluate(key % "End")
    assert browser.evaluate(read) == f"step {NUM_STEPS - 1}: 0.69"
    browser.evaluate("document.querySelector('.area').blur()")
    assert browser.evaluate(read) == ""
    assert browser.problems == []


def test_pages_are_turned_with_the_arrows(browser: Browser, made: Path) -> None:
    show(browser, made / "report.html")
    browser.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}))")
    browser.wait("location.pathname.endsWith('/report/problems.html') && document.readyState === 'complete'")


def test_texts_are_found_by_their_words(browser: Browser, made: Path) -> None:
    show(browser, made / "report" / "texts.html")
    browser.press("/")
    browser.wait("document.activeElement.id === 'find'")
    browser.evaluate("find.value = 'page 41'; find.dispatchEvent(new Event('input'))")
    assert browser.evaluate("document.getElementById('found').textContent") == "1 of 60"
    assert browser.evaluate("document.querySelectorAll('.shelf:not([hidden]) h2').length") == 1
    assert browser.evaluate("document.querySelectorAll('math msqrt').length") > 50, "formulas are set"


def test_rollouts_are_browsed_by_step_and_the_same_question_is_found_again(browser: Browser, made: Path) -> None:
    page = made / "report" / "rollouts.html"
    show(browser, page, "#step=5")
    assert browser.evaluate("document.getElementById('step-said').textContent") == "step 5"
    assert browser.evaluate("document.querySelectorAll('.row[role=option]').length") == 1
    text = browser.evaluate("document.getElementById('detail').textContent")
    for said in (
        "same question, earlier and later:", "step 1 1/2", "reward 1 (+0.50 against its group)", "no reward",
        "of which answer 1, short 0.5", "rewards of its 2 steps", "programprint(2 + 2)", "output4",
    ):  # fmt: skip
        assert said in text, said
    assert browser.evaluate("document.querySelectorAll('#detail math mfrac').length") == 1
    assert browser.evaluate("document.querySelectorAll('#detail .boxed').length") == 1
    browser.press("t")
    browser.wait("document.getElementById('detail').textContent.includes('\\\\boxed{4}')")
    browser.press("]")
    browser.wait("document.getElementById('step-said').textContent === 'step 6'")
    browser.press("0")
    browser.wait(f"document.getElementById('count').textContent === '{NUM_STEPS} of {NUM_STEPS} problems'")
    assert browser.evaluate("location.hash").startswith("#problem=6"), "the address holds what is open"
    assert browser.problems == []


def test_what_a_model_wrote_is_text_on_the_page_of_rollouts(browser: Browser, made: Path) -> None:
    show(browser, made / "report" / "rollouts.html", "#step=0")
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    assert browser.evaluate("document.title") == "Responses of the training"
    assert "document.title='owned'" in browser.evaluate("document.getElementById('detail').textContent")


def test_a_script_that_gets_into_a_page_does_not_run(browser: Browser, made: Path, tmp_path: Path) -> None:
    evil = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    page = tmp_path / "report.html"
    html = (made / "report.html").read_text(encoding="utf-8").replace("<body>", "<body>" + evil)
    page.write_text(html, encoding="utf-8")
    show(browser, page)
    assert browser.evaluate("document.title") == "made · Mathwright"
    assert browser.problems != [], "the policy has spoken"


def test_a_page_is_printed_whole_and_on_white(browser: Browser, made: Path) -> None:
    browser.emulate(dark=True)
    show(browser, made / "report.html")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate(READ) == "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    pdf = browser.call("Page.printToPDF")["data"]
    assert len(pdf) > 10_000
    browser.call("Emulation.setEmulatedMedia", media="")
