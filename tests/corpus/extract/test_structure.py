"""What readers see of a page's structure stands in its text, and what they do not see is left out."""

import pytest

from mathwright.corpus.extract import extract

SENTENCE = "A paragraph of the article that is long enough to count as content, with commas, and a full stop. "
ARTICLE = f"<article><h1>Heading</h1><p>{SENTENCE * 5}</p>{{}}<p>{SENTENCE * 5}</p></article>"


def text_of(html: str) -> str:
    return extract(f"<html><body>{html}</body></html>".encode(), "https://example.org/").text


def within(block: str) -> str:
    """The text of a block between paragraphs of an article."""
    text = text_of(ARTICLE.format(block))
    before, _, rest = text.partition((SENTENCE * 5).strip())
    inner, _, after = rest.rpartition((SENTENCE * 5).strip())
    assert before == "Heading\n\n" and after == ""
    return inner.strip("\n")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param("<table><tr><td><p>0</p></td><td><p>1</p></td></tr></table>", "0\t\t1", id="a paragraph a cell"),
        pytest.param(
            "<table><tr><td>\n<p>0</p>\n</td>\n<td>\n<p>1</p>\n</td></tr></table>", "0\t\t1", id="white space"
        ),
        pytest.param("<table><tr><td><div><p>0</p></div></td><td><b>1</b></td></tr></table>", "0\t\t1", id="deeper"),
        pytest.param("<table><tr><td><p>0</p><td><p>1</p><tr><td><p>2</p><td>3</table>", "0\t\t1\n2\t\t3", id="rows"),
        pytest.param(
            "<table><tr><th><p>a</p><p>b</p></th><td><p>c</p></td></tr></table>", "a b\t\tc", id="two in a cell"
        ),
        pytest.param("<table><tr><td>a<br>b</td><td>c</td></tr></table>", "a b\t\tc", id="break"),
        pytest.param("<table><tr><td><b>a<br>b</b></td><td>c</td></tr></table>", "a b\t\tc", id="break in bold"),
        pytest.param("<table><tr><td><p>a</p><p>b</p></td></tr></table>", "a\n\nb", id="one cell: no row"),
        pytest.param(
            "<table><tr><td>a<ul><li>x</li></ul></td><td><p>b</p></td></tr></table>", "a\n  • x\n\nb", id="list"
        ),
        pytest.param(
            f"<table><tr><td><p>a</p><p>b</p></td><td><p>{SENTENCE * 3}</p></td></tr></table>",
            f"a\n\nb\n\n{SENTENCE * 3}".strip(),
            id="long text: layout",
        ),
        pytest.param(
            "<div role='table'><div role='row'><div role='cell'>a</div><div role='cell'>b</div></div>"
            "<div role='row'><span role='cell'>c</span><span role='cell'>d</span></div></div>",
            "a\t\tb\nc\t\td",
            id="rows by role",
        ),
    ],
)
def test_rows_of_tables_are_lines(html: str, expected: str) -> None:
    assert within(html) == expected


CODE = "<td class='code'><pre>x\n  y</pre></td></tr></table>"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param(
            f'<table><tr><td class="rouge-gutter gl"><pre class="lineno">1\n2\n</pre></td>{CODE}',
            "x\n  y",
            id="Rouge",
        ),
        pytest.param(
            f'<table><tr><td class="gutter"><pre><span class="line">1</span><br>'
            f'<span class="line">2</span><br></pre></td>{CODE}',
            "x\n  y",
            id="Hexo",
        ),
        pytest.param(
            f'<table><tr><td class="gutter"><div class="line number1">1</div>'
            f'<div class="line number2">2</div></td>{CODE}',
            "x\n  y",
            id="SyntaxHighlighter",
        ),
        pytest.param(
            '<table><tr><td class="gutter"><div class="line">1</div><div class="line">2</div></td><td class="code">'
            '<div class="container"><div class="line"><code>x</code></div><div class="line"><code>y</code></div></div>'
            "</td></tr></table>",
            "x\ny",
            id="SyntaxHighlighter without pre",
        ),
        pytest.param(
            f'<table><tr><td class="crayon-nums"><div class="x">'
            f'<div class="crayon-num" data-line="1">1</div><div class="crayon-num">2</div></div></td>{CODE}',
            "x\n  y",
            id="Crayon",
        ),
        pytest.param(
            f'<table><tr><td class="lntd"><pre><code><span class="lnt">1\n</span>'
            f'<span class="lnt">2\n</span></code></pre></td>{CODE}',
            "x\n  y",
            id="Hugo's table",
        ),
        pytest.param(
            '<pre><code><span class="line"><span class="ln">1</span><span class="cl">x\n</span></span></code></pre>',
            "x",
            id="Hugo's lines",
        ),
        pytest.param('<pre><span class="source-line-no">001</span><span>x</span></pre>', "x", id="Javadoc"),
        pytest.param(
            '<div class="line"><a name="l1"></a><span class="lineno">    1</span>&#160;x</div>', "\xa0x", id="Doxygen"
        ),
        pytest.param(
            '<pre><span class="lineno">1 </span>x\n<span class="lineno">2 </span>y</pre>', "x\ny", id="Pygments"
        ),
        pytest.param('<pre><a class="file-line-num">1</a>x</pre>', "x", id="GitLab"),
        pytest.param(
            '<pre class="prettyprint"><ol class="linenums"><li class="L0">x = 1</li><li>  y</li></ol></pre>',
            "x = 1\n  y",
            id="prettify",
        ),
        pytest.param('<ol class="linenums"><li class="L0">x = 1</li></ol>', "x = 1", id="prettify without pre"),
        pytest.param('<p>A verse,<span class="linenum">10</span></p>', "A verse,", id="verse"),
        pytest.param('<p>sec<span class="pageno">14</span>ond</p>', "second", id="page in a word"),
        pytest.param('<p>one <span class="pagenum">[Pg 13]</span>two</p>', "one two", id="page of a book"),
        pytest.param('<p>one <span class="pagenum">[Pg xiv]</span>two</p>', "one two", id="page of a preface"),
        pytest.param('<p>a <span class="ln">ln 2</span> <span class="lineno">x</span></p>', "a ln 2 x", id="no number"),
    ],
)
def test_numbers_of_lines_and_pages_go(html: str, expected: str) -> None:
    assert within(html) == expected


def test_code_in_a_toolbar_stays() -> None:
    html = "<div class='code-toolbar'><pre>x = 1</pre><div class='toolbar'><button>Copy</button></div></div>"
    assert within(html) == "x = 1"
    assert within(f"<div class='sidebar'><p>{SENTENCE}</p><pre>x</pre></div>") == ""


RADIO = "<input type='radio' name='q'>"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param(
            '<div class="r0"><input type="radio" id="q1"><label for="q1">'
            '<span class="answernumber">a. </span>x is seven'
            '</label></div><div class="r1"><input type="radio" id="q2"><label for="q2">x is two</label></div>',
            "a. x is seven\nx is two",
            id="Moodle",
        ),
        pytest.param(
            f"<ul><li><label>{RADIO} three</label></li><li><label>{RADIO} four</label></li></ul>",
            "  • three\n  • four",
            id="list",
        ),
        pytest.param(
            f"<p>Which?</p><label>{RADIO} A) 21</label><br><label>{RADIO} B) 22</label>",
            "Which?\n\nA) 21\nB) 22",
            id="breaks",
        ),
        pytest.param(
            f"<p>Which?</p><label>{RADIO} 21</label><label>{RADIO} 22</label>", "Which?\n\n21\n22", id="no breaks"
        ),
        pytest.param(
            f"<ol><li>Which?<label>{RADIO} 21</label><label>{RADIO} 22</label></li></ol>",
            "  1. Which?\n    21\n    22",
            id="choices in an item",
        ),
        pytest.param(
            f"<div>{RADIO}<label>one</label></div><div>{RADIO}<label>two</label></div>", "one\ntwo", id="beside"
        ),
        pytest.param("<div><label><input type='checkbox'> \\(x^2\\)</label></div>", "$x^2$", id="formula"),
        pytest.param(
            "<ul class='checklist'><li><label><input type='checkbox'> eggs</label></li></ul>",
            "  • eggs",
            id="list of things",
        ),
        pytest.param(
            "<ul><li class='task-list-item'><label><input type='checkbox'> do it</label></li></ul>",
            "  • do it",
            id="task",
        ),
        pytest.param(
            "<ul><li class='wprm-ingredient'><input type='checkbox' id=i><label for=i>flour</label></li></ul>",
            "  • flour",
            id="recipe",
        ),
        pytest.param("<div><label><input type='checkbox'> Sale</label></div>", "", id="filter of a shop"),
        pytest.param(
            "<div class='product-options'><label><input type='radio' name='Size'> Small</label></div>",
            "",
            id="size of a product",
        ),
        pytest.param("<div><label for='name'>Name</label><input id='name'></div>", "", id="field"),
        pytest.param(
            f"<form><fieldset><legend>What is 2+2?</legend><label>{RADIO}3</label><label>{RADIO}4</label>"
            f"<label>{RADIO}22</label></fieldset></form>",
            "What is 2+2?\n3\n4\n22",
            id="form",
        ),
    ],
)
def test_choices_are_text(html: str, expected: str) -> None:
    assert within(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param("<h3><button>Chapter one</button></h3><p>Text.</p>", "Chapter one\n\nText.", id="heading"),
        pytest.param("<h3>Chapter one <button>Edit</button></h3>", "Chapter one", id="button beside a heading"),
        pytest.param(
            "<button aria-expanded='false'>What is a prime?</button><div>A number.</div>",
            "What is a prime?\nA number.",
            id="question",
        ),
        pytest.param(
            "<button class='collapsible'>Solution of exercise 1</button><div>Text.</div>",
            "Solution of exercise 1\nText.",
            id="class",
        ),
        pytest.param(
            "<button data-bs-toggle='collapse' data-bs-target='#s'>Proof of the theorem</button><div>Text.</div>",
            "Proof of the theorem\nText.",
            id="Bootstrap",
        ),
        pytest.param("<p>Press <button>\\(\\sqrt{x}\\)</button> now.</p>", "Press $\\sqrt{x}$ now.", id="formula"),
        pytest.param(
            "<button aria-expanded='false'>Open the main menu?</button><div>Text.</div>", "Text.", id="command"
        ),
        pytest.param(
            "<p><button aria-expanded='false'>What is it, then?</button></p><p><button>Other</button></p>",
            "",
            id="a script brings the answer",
        ),
        pytest.param(
            "<nav><button aria-expanded='false'>What do we do?</button><div>a</div></nav>", "", id="navigation"
        ),
    ],
)
def test_buttons_that_are_content_stay(html: str, expected: str) -> None:
    assert within(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param("<details><summary>Exercise 1</summary>2 apples</details>", "Exercise 1\n2 apples", id="summary"),
        pytest.param(
            '<span style="display:block">12</span><span style="display: block">34</span>', "12\n34", id="style"
        ),
        pytest.param('<p>a<span style="display:inline-block">b</span>c</p>', "abc", id="inline block"),
        pytest.param(
            "<div role=list><span role=listitem>a</span><span role=listitem>b</span></div>", "a\nb", id="items by role"
        ),
        pytest.param(
            "<blockquote><div><cite>Ann wrote:</cite>Two.</div></blockquote><p>Three.</p>",
            "Ann wrote:\nTwo.\n\nThree.",
            id="phpBB",
        ),
        pytest.param("<blockquote><cite>Emma</cite> is a book.</blockquote>", "Emma is a book.", id="title"),
    ],
)
def test_lines_that_readers_see_are_lines(html: str, expected: str) -> None:
    assert within(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param('<p><span style="visibility:hidden">0</span>5</p>', "5", id="sort key"),
        pytest.param('<p><span style="font-size:0">0</span>5</p>', "5", id="size"),
        pytest.param('<p><span style="font-size:0.9em">0</span>5</p>', "05", id="small"),
        pytest.param('<p><span style="position:absolute; left:-9999px">0</span>5</p>', "5", id="far left"),
        pytest.param('<p><a style="text-indent: -9999px">0</a>5</p>', "5", id="indent"),
        pytest.param('<p><a style="text-indent: -9999px; background: red">0</a>5</p>', "05", id="shown as a colour"),
        pytest.param(
            '<div style="font-size:0"><span style="font-size:12px">Text</span></div>', "Text", id="size within"
        ),
        pytest.param(
            f'<div style="visibility:hidden">{SENTENCE * 2}</div>', (SENTENCE * 2).strip(), id="shown by a script"
        ),
        pytest.param(
            '<p>A <span class="tooltip">prime<span class="tooltiptext">a number of that kind</span></span> is</p>',
            "A prime is",
            id="tip",
        ),
        pytest.param(
            '<p>A <span class="tooltip">prime<span>a number</span></span> is</p>', "A prime is", id="tip in tooltip"
        ),
        pytest.param(
            'A <div class="tooltip">prime<span class="tooltiptext">a number</span></div> is', "A prime is", id="block"
        ),
        pytest.param('<style>.x1{display:none}</style><p>a<span class="x1">b</span></p>', "a", id="class"),
        pytest.param(
            '<style>@media print{.x1{display:none}}</style><p>a<span class="x1">b</span></p>', "ab", id="on paper"
        ),
        pytest.param(
            '<style>.x1{display:none}.y:hover .x1{display:block}</style><p>a<span class="x1">b</span></p>',
            "ab",
            id="shown elsewhere",
        ),
        pytest.param('<style>.solution{display:none}</style><div class="solution">b</div>', "b", id="solution"),
        pytest.param(
            "<p>Advertisement</p><p><a href=x>SKIP ADVERTISEMENT</a></p>a", "a", id="mark of an advertisement"
        ),
        pytest.param("<p>Story continues below advertisement</p>a", "a", id="story continues"),
        pytest.param("<p>Advertisement is a trade.</p>", "Advertisement is a trade.", id="sentence about it"),
        pytest.param("<p>Note. <a class='footnote-backref' href='#r'>↩</a></p>", "Note.", id="back to the text"),
        pytest.param("<p>Note. <a class='reversefootnote' href='#r'>&#8617;</a></p>", "Note.", id="kramdown"),
        pytest.param(
            "<div class='kk-star-ratings'>Rate this</div><div class='post-views'>12 views</div>a", "a", id="counts"
        ),
        pytest.param("<div class='user_info'>Ann, 12 posts</div>a", "a", id="who wrote"),
    ],
)
def test_what_is_not_seen_goes(html: str, expected: str) -> None:
    assert within(html) == expected


@pytest.mark.parametrize(
    ("html", "stays"),
    [
        pytest.param("<aside class='note'>Kept <a href=x>link</a></aside>", True, id="note"),
        pytest.param("<aside role='doc-footnote'>Kept</aside>", True, id="role"),
        pytest.param("<aside epub:type='footnote'>Kept</aside>", True, id="epub"),
        pytest.param("<aside class='starlight-aside starlight-aside--tip'>Kept</aside>", True, id="Starlight"),
        pytest.param("<aside>It is Kept as a sentence.</aside>", True, id="sentence between paragraphs"),
        pytest.param("<aside>Kept <a href=x>See more.</a></aside>", False, id="links"),
        pytest.param("<aside class='pullquote'>Kept, said twice.</aside>", False, id="quote of the page itself"),
        pytest.param("<aside class='sidebar note'>Kept</aside>", False, id="sidebar"),
        pytest.param("<blockquote><p>Text.</p><footer>Kept</footer></blockquote>", True, id="whose words"),
        pytest.param("<footer class='footnotes'>Kept</footer>", True, id="footnotes"),
        pytest.param("<footer class='courtesy-note'>Kept</footer>", False, id="footer"),
        pytest.param("<div class='comment-block theorem'>Kept</div>", True, id="theorem"),
        pytest.param("<div class='definition-tooltip'>Kept</div>", True, id="definition"),
        pytest.param("<div class='related-problem'>Kept</div>", False, id="related"),
        pytest.param("<div class='solution-menu'>Kept</div>", False, id="menu"),
        pytest.param("<dialog open>Kept</dialog>", True, id="open dialog"),
        pytest.param("<dialog>Kept</dialog>", False, id="dialog"),
    ],
)
def test_boxes_of_the_text_stay(html: str, stays: bool) -> None:
    assert ("Kept" in within(html)) == stays


@pytest.mark.parametrize(
    ("html", "stays"),
    [
        pytest.param(
            "<button aria-controls='s1'>Solve</button><div id='s1' style='display:none'>Kept</div>", True, id="aria"
        ),
        pytest.param("<a data-target='#s1'>Solve</a><div id='s1' style='display:none'>Kept</div>", True, id="target"),
        pytest.param("<a data-bs-target='#s1'>Solve</a><div id='s1' hidden>Kept</div>", True, id="Bootstrap"),
        pytest.param("<a href='#s1'>Solve</a><div id='s1' style='display: none'>Kept</div>", True, id="link"),
        pytest.param(
            """<input type=button onclick="flip('s1')"><div id='s1' style='display:none'>Kept</div>""",
            True,
            id="script",
        ),
        pytest.param("<button>Show solution</button><div style='display:none'>Kept</div>", True, id="after a button"),
        pytest.param(
            "<input type=button value='Show answer'><div style='display:none'>Kept</div>", True, id="after a field"
        ),
        pytest.param("<p><a href=#>解答</a></p><div style='display:none'>Kept</div>", True, id="Japanese"),
        pytest.param("<button>Menu</button><div style='display:none'>Kept</div>", False, id="after another button"),
        pytest.param("<div id='s2' style='display:none'>Kept</div><a href='#s1'>x</a>", False, id="named by none"),
        pytest.param(
            "<a href='#s1'>x</a><div id='s1' style='display:none'><a href=x>Kept</a></div>", False, id="links"
        ),
        pytest.param("<a href='#s1'>x</a><form id='s1' style='display:none'>Kept</form>", False, id="form"),
    ],
)
def test_hidden_solutions_with_an_opener_stay(html: str, stays: bool) -> None:
    assert ("Kept" in within(html)) == stays


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param("<ol style='list-style:none'><li>a</li><li>b</li></ol>", "  a\n  b", id="style"),
        pytest.param("<ol style='list-style-type: none'><li>a</li><li>b</li></ol>", "  a\n  b", id="type"),
        pytest.param("<ol class='list-unstyled'><li><b>a</b></li><li>b</li></ol>", "  a\n  b", id="Bootstrap"),
        pytest.param("<ol class='list-none'><li>a</li></ol>", "  a", id="Tailwind"),
        pytest.param("<ol class='upperroman simple'><li>a</li><li>b</li></ol>", "  I. a\n  II. b", id="docutils"),
        pytest.param("<ol class='arabic simple'><li>a</li></ol>", "  1. a", id="numbers"),
        pytest.param(
            "<style>ol.x{list-style-type:lower-alpha}</style><ol class='x'><li>a</li></ol>", "  a. a", id="own style"
        ),
    ],
)
def test_lists_have_the_marks_that_readers_see(html: str, expected: str) -> None:
    assert within(html) == expected


def test_pages_of_frames_are_read_by_what_stands_for_them() -> None:
    frames = b"<html><frameset><frame src=a></frameset>"
    html = frames + b"<noframes><body><p>All about <b>primes</b>.</p></body></noframes></html>"
    assert extract(html, "https://example.org/").text == "All about primes."
