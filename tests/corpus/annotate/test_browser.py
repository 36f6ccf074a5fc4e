"""The annotation page as a person uses it, in Chromium without a window."""

import threading

import pytest

from mathwright.corpus.annotate.server import Server
from mathwright.corpus.annotate.session import Session
from mathwright.corpus.rules.rules import Rule, read_rules, write_rules
from tests.corpus.annotate.annotate_run import small_run

pytest.importorskip("websockets", reason="the browser is driven over a websocket: pip install websockets")
from tests.corpus.annotate.browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser, tmp_path):
    """The page of a small run, its domains shown; `page.run` is the run's folder."""
    run = small_run(tmp_path / "run")
    server = Server(Session(run, by="Ada"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser.run, browser.server = run, server
    browser.problems.clear()
    browser.open(server.url)
    browser.wait("document.querySelectorAll('.row').length === 4 && document.querySelector('#detail h2')")
    yield browser
    assert browser.problems == []
    server.shutdown()
    server.server_close()


def rules(page):
    return [(rule.glob, rule.decision) for rule in read_rules(page.run / "rules.toml")]


def names(page):
    return page.evaluate("[...document.querySelectorAll('.row .text')].map((e) => e.textContent)")


def wait_for_chosen(page, name):
    page.wait(f"document.querySelector('[aria-selected=true]').dataset.node === {name!r}")
    page.wait(f"document.querySelector('#detail h2')?.textContent === {name!r}")


def wait_for_toast(page, text):
    page.wait(f"document.querySelector('#toast').textContent.includes({text!r}) && !busy")


def test_domains_are_decided_by_keyboard_and_decisions_outlive_a_reload(page):
    assert names(page) == ["qa.org", "book.org", "en.wiki.org", "de.wiki.org"]
    page.press("l")
    page.wait("document.querySelectorAll('.row').length === 6")
    assert names(page)[:3] == ["qa.org", "questions/", "users/"]
    page.press("l")
    wait_for_chosen(page, "qa.org/questions/")
    page.press("a")
    wait_for_toast(page, "accepted qa.org/questions/")
    wait_for_chosen(page, "qa.org/users/")  # it goes on by itself
    page.press("r")
    wait_for_toast(page, "rejected qa.org/users/")
    assert rules(page) == [("qa.org/questions/*", "accept"), ("qa.org/users/*", "reject")]
    assert page.evaluate("document.querySelector('#decided').textContent") == "1 / 4"
    wait_for_chosen(page, "book.org/")
    page.press("k h h")
    page.wait("document.querySelectorAll('.row').length === 4")
    assert page.evaluate("document.querySelector('.row .chip').textContent") == "100% decided"

    page.open(page.server.url)
    page.wait("document.querySelectorAll('.row').length === 4 && progress && progress.undo")
    page.press("u")
    wait_for_toast(page, "undone: qa.org/users/*")
    assert rules(page) == [("qa.org/questions/*", "accept")]
    page.press("u")
    wait_for_toast(page, "undone: qa.org/questions/*")
    page.press("u")
    wait_for_toast(page, "nothing to undo")
    assert rules(page) == []


def test_a_glob_is_edited_with_a_live_count_and_a_wrong_one_is_not_saved(page):
    page.press("e")
    page.wait("document.activeElement.id === 'glob'")
    assert page.evaluate("document.querySelector('#glob').value") == "qa.org/*"
    page.wait("document.querySelector('#live').textContent.startsWith('51 pages match, 19 of them collected')")
    page.evaluate("document.querySelector('#glob').select()")
    page.call("Input.insertText", text="qa.org/[")
    page.wait("document.querySelector('#live').textContent.includes('unclosed [')")
    page.press("Enter")
    page.call("Input.insertText", text="uq]*ns/1")
    page.wait("document.querySelector('#live').textContent.startsWith('1 page matches')")
    page.call("Input.insertText", text="*")
    page.press("Shift+Enter")
    wait_for_toast(page, "rejected qa.org/[uq]*ns/1*")
    assert rules(page) == [("qa.org/[uq]*ns/1*", "reject")]
    page.wait("!document.querySelector('#glob') && document.activeElement.id === 'tree'")
    assert page.evaluate("document.querySelector('.row .chip').textContent") == "22% decided"
    page.press("e Escape")
    page.wait("!document.querySelector('#glob')")


def test_samples_are_text_and_never_code(page):
    page.press("3")
    page.wait("document.querySelectorAll('.sample').length === 8")
    first = "document.querySelector('.sample')"
    assert "<script>document.title = 'broken'</script><img" in page.evaluate(
        f"{first}.querySelector('pre').textContent"
    )
    assert "onerror=alert(1)" in page.evaluate(f"{first}.querySelector('a').textContent")
    assert page.evaluate("document.querySelectorAll('img, iframe, #detail script').length") == 0
    assert page.evaluate("document.title") == "Annotate run"
    assert page.evaluate(f"{first}.querySelector('.tex').textContent") == "$a < b$"
    link = page.evaluate(f"(({{rel, target}}) => [rel, target])({first}.querySelector('a'))")
    assert link == ["noopener noreferrer", "_blank"]
    page.press("t")
    page.wait("[...document.querySelectorAll('.sample pre')].some((e) => e.textContent.length > 600)")
    page.press("l j j")  # the folder with the name that tries to be code
    page.wait("document.querySelectorAll('.row').length === 6")
    assert page.evaluate("document.querySelectorAll('img').length") == 0


def test_the_mouse_does_it_too(page):
    page.click(".row:nth-child(2)")
    wait_for_chosen(page, "book.org/")
    page.click("#detail button.reject")
    wait_for_toast(page, "rejected book.org/")
    assert rules(page) == [("book.org/*", "reject")]
    page.click("#undo")
    wait_for_toast(page, "undone")
    assert rules(page) == []
    page.click(".row .twist")
    page.wait("document.querySelectorAll('.row').length === 6")
    page.evaluate("$('show').value = 'all'; $('show').dispatchEvent(new Event('change'))")
    page.wait("document.querySelector('#total').textContent === '5 domains'")
    page.click("#search")
    page.call("Input.insertText", text="wiki")
    page.wait("document.querySelector('#total').textContent === '2 domains'")
    assert names(page) == ["en.wiki.org", "de.wiki.org"]
    page.press("jar Escape")  # written into the field: no decisions
    assert rules(page) == []


def test_what_somebody_else_decides_is_seen_and_not_overwritten(page):
    write_rules(
        page.run / "rules.toml", [Rule(glob="qa.org/*", decision="reject", by="Bob", why="", when="2026-01-01")]
    )
    page.press("a")
    page.wait("document.querySelector('#toast').textContent.includes('Bob has decided reject for qa.org/*')")
    page.wait("document.querySelector('.row .chip')?.textContent === 'rejected' && !busy")
    page.problems.clear()  # the browser notes the answer 409
    assert rules(page) == [("qa.org/*", "reject")]
    page.press("a")  # now on what is seen
    wait_for_toast(page, "accepted qa.org/")
    assert rules(page) == [("qa.org/*", "accept")]
    write_rules(page.run / "rules.toml", [])
    page.wait("document.querySelector('#toast').textContent === 'the rules have been changed elsewhere'")
    page.wait("!document.querySelector('.row .chip')")


def test_the_next_open_domain_and_the_list_of_keys(page):
    page.press("a")
    wait_for_toast(page, "accepted qa.org/")
    page.press("jj k n")
    wait_for_chosen(page, "de.wiki.org/")
    page.press("n")
    wait_for_chosen(page, "book.org/")
    page.press("?")
    page.wait("document.querySelector('#keys').open")
    page.press("a")  # under the dialog nothing is decided
    page.press("Escape")
    page.wait("!document.querySelector('#keys').open")
    assert rules(page) == [("qa.org/*", "accept")]


def test_a_screen_reader_hears_what_is_there(page):
    tree = page.evaluate(
        "[...document.querySelectorAll('#tree [role=row]')].map((e) => "
        "[e.getAttribute('aria-level'), e.getAttribute('aria-expanded'), e.getAttribute('aria-selected')])"
    )
    assert tree[0] == ["1", "false", "true"] and {row[2] for row in tree[1:]} == {"false"}
    active = page.evaluate(
        "document.getElementById(document.querySelector('#tree').getAttribute('aria-activedescendant'))?.role"
    )
    assert active == "row"
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select')].filter((e) => "
        "!(e.textContent.trim() || e.getAttribute('aria-label'))).length"
    )
    assert unnamed == 0
