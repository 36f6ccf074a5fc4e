"""Main content: what is kept and what goes, each case for an error seen on real pages."""

import pytest

from mathwright.corpus.extract import extract

SENTENCE = "A paragraph of the article that is long enough to count as content, with commas, and a full stop. "
ARTICLE = f"<article><h1>Heading</h1><p>{SENTENCE * 5}</p>{{}}</article>"


def text_of(body: str) -> str:
    return extract(f"<html><body>{body}</body></html>".encode(), "https://example.org/").text


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("<nav><a href=x>Gone</a></nav>", id="navigation"),
        pytest.param('<div class="post-navigation">Gone</div>', id="word of a class"),
        pytest.param('<div class="relatedPosts">Gone</div>', id="word inside a joined name"),
        pytest.param('<div id="newsletter_signup">Gone</div>', id="id"),
        pytest.param('<div class="cookie-consent">Gone</div>', id="cookie banner"),
        pytest.param('<ul class="social-share"><li>Gone</li></ul>', id="share buttons"),
        pytest.param('<section class="comments-area"><p>Gone</p></section>', id="comments"),
        pytest.param("<footer>Gone</footer>", id="footer"),
        pytest.param("<form>Gone</form>", id="form"),
        pytest.param("<div hidden>Gone</div>", id="hidden"),
        pytest.param('<div style="color: red; display: none">Gone</div>', id="display none"),
        pytest.param('<p><i aria-hidden="true">Gone</i></p>', id="hidden from readers"),
        pytest.param('<h2>Kept<a class="headerlink" href="#x">Gone</a></h2>', id="mark of a heading"),
    ],
)
def test_boilerplate_goes(block: str) -> None:
    text = text_of(ARTICLE.format(block + "<p>The last words.</p>"))
    assert "Gone" not in text
    assert text.startswith("Heading\n") and text.endswith("The last words.")


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("<div class='unrelated-work'>Kept</div>", id="part of another word"),
        pytest.param("<section id='related-work'><h2>Kept</h2></section>", id="id made of a heading (Sphinx)"),
        pytest.param("<div class='section level2' id='search'><h2>Kept</h2></div>", id="id made of a heading (pandoc)"),
        pytest.param("<div class='language-python highlight'><pre>Kept</pre></div>", id="code"),
        pytest.param("<figure><table><tr><td>Kept</td></tr></table></figure>", id="table in a figure"),
        pytest.param("<figure><img><figcaption>Kept</figcaption></figure>", id="caption"),
        pytest.param("<ul><li><a href=x>Kept</a></li></ul>", id="list of links in the article"),
        pytest.param("<p>a <span>\u2192</span> Kept</p>", id="a symbol alone in an element"),
        pytest.param(r"<div class='ad popup'>Kept \(x^2\)</div>", id="block with a formula"),
    ],
)
def test_content_stays(block: str) -> None:
    assert "Kept" in text_of(ARTICLE.format(block))


@pytest.mark.parametrize(
    ("css", "goes"),
    [
        ("d-block d-sm-none", True), ("d-none d-sm-block", False), ("d-sm-none d-lg-block", False),
        ("d-md-flex", False), ("d-none d-md-block d-lg-none", True),
        ("md:hidden", True), ("hidden md:block", False), ("sm:hidden lg:grid", False),
        ("visible-xs", True), ("visible-xs-block", True), ("hidden-xs", False), ("card--mobile-only", True),
        ("show-for-small-only", True), ("is-hidden-desktop", True), ("mobile", False), ("hide-on-desktop", True),
    ],
)  # fmt: skip
def test_the_copy_for_small_screens_goes_with_its_formulas(css: str, goes: bool) -> None:
    """Pages that hold everything twice, once for each width of the screen."""
    article = rf"<p>{SENTENCE * 8} \(x^2\)</p>"
    text = text_of(f"<div class='d-none d-sm-block'>{article}</div><div class='{css}'>{article}</div>")
    assert text.count("$x^2$") == (1 if goes else 2)


def test_what_is_there_for_small_screens_alone_stays() -> None:
    assert SENTENCE.strip() in text_of(f"<div class='d-sm-none'><p>{SENTENCE * 8}</p></div>")


def test_line_numbers_of_code_go() -> None:
    numbers = "<td class='linenos'><div class='linenodiv'><pre>1\n2</pre></div></td>"
    text = text_of(f"<p>{SENTENCE}</p><table><tr>{numbers}<td class='code'><pre>x = 1\ny = 2</pre></td></tr></table>")
    assert text.endswith("x = 1\ny = 2") and "2\n\n" not in text
    listing = "".join(
        f"<div class='ltx_listingline'><span class='ltx_tag ltx_tag_listingline'>{i}</span><span>line{i}</span></div>"
        for i in (1, 2)
    )
    assert text_of(f"<p>{SENTENCE}</p><div class='ltx_lstlisting'>{listing}</div>").endswith("line1\nline2")


def test_a_symbol_alone_in_an_element_stays_itself() -> None:
    assert "f : G \u2192 H" in text_of("<pre>f <span>:</span> G <span>\u2192</span> H</pre>")


def test_the_article_is_kept_and_its_surroundings_go() -> None:
    text = text_of(f"<div>Before</div>{ARTICLE.format('')}<div>After</div>")
    assert text.startswith("Heading") and "Before" not in text and "After" not in text


def test_a_list_of_articles_is_no_article() -> None:
    text = text_of("".join(f"<article><h2>Entry {i}</h2><p>{SENTENCE * 4}</p></article>" for i in range(4)))
    assert [f"Entry {i}" in text for i in range(4)] == [True] * 4


def test_a_wrapper_is_not_its_name() -> None:
    assert SENTENCE.strip() in text_of(f'<div class="page-with-sidebar"><p>{SENTENCE * 5}</p></div>')


def test_large_blocks_of_links_go_by_name_too() -> None:
    links = "".join(f'<a href="/{i}">Topic number {i} </a>' for i in range(100))
    text = text_of(f'<div class="mega-menu">{links}</div><p>{SENTENCE * 6}</p>')
    assert text == (SENTENCE * 6).strip()


def test_where_the_rules_leave_nothing_all_text_stays() -> None:
    body = f'<div class="modal"><p>{SENTENCE * 9}</p></div><nav>Gone</nav>'
    assert SENTENCE.strip() in text_of(body) and "Gone" not in text_of(body)


def test_text_in_noscript_is_read_where_there_is_no_other() -> None:
    hidden = f"<noscript><p>{SENTENCE * 30}</p></noscript>"
    assert SENTENCE.strip() in text_of(f"<div>Loading</div>{hidden}")
    assert "Loading" in text_of(ARTICLE.format("<p>Loading</p>") + "<noscript>Gone</noscript>")


STRUCTURE = """<article><h2>Section</h2><p>line 1<br>line 2 soft&shy;hyphen <b>bold</b>text</p>
<ul><li>one<ul><li>sub \\(x\\)</ul><li>two</ul><ol><li>x<li>y</ol>
<table><tr><th>A<th>B $y$<tr><td>1<td>2</table>
<pre><code><span class=k>def</span> f(x):
    return &lt;x&gt;  # $5</code></pre>
<blockquote>quote</blockquote><dl><dt>term<dd>definition</dl>
<p>中文<b>公式</b>文字</p><p dir=rtl>\u200fשלום $x^2$ עולם\u200e</p><p>cafe\u0301</p></article>"""


def test_structure() -> None:
    assert text_of(STRUCTURE).split("\n") == [
        "Section", "", "line 1", "line 2 softhyphen boldtext", "",
        "  • one", "    • sub $x$", "  • two", "  1. x", "  2. y",
        "A\t\tB $y$", "1\t\t2",
        "def f(x):", "    return <x>  # $5",
        "quote", "term", "definition", "",
        "中文公式文字", "", "\u200fשלום $x^2$ עולם\u200e", "", "caf\u00e9",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("<div role='tabpanel' style='display: none'>Kept</div>", id="panel of tabs"),
        pytest.param("<div class='accordion-item__body' hidden>Kept</div>", id="panel of an accordion"),
        pytest.param("<div class='faq-answer' style='display:none'>Kept</div>", id="answer that opens"),
        pytest.param(f"<section class='toc-para'><p>{SENTENCE * 2}Kept</p></section>", id="anchor of a contents list"),
        pytest.param(f"<div class='skip-item' id='t2'><p>{SENTENCE * 2}Kept</p></div>", id="what may be skipped"),
        pytest.param(f"<div class='banner stack-btn-down'><p>{SENTENCE * 2}Kept</p></div>", id="place of a button"),
        pytest.param("<div class='carousel-pagination-position-inside'>Kept</div>", id="place of what is in it"),
        pytest.param("<div id='container-28addc53ad'>Kept</div>", id="number that spells a word"),
        pytest.param("<div class='bbp-reply-position-3 topic-author'>Kept</div>", id="answer by who asked"),
        pytest.param("<div class='layout--withSidebar'>Kept</div>", id="wrapper of boilerplate"),
        pytest.param("<header><h3>Kept</h3></header>", id="header of a section"),
        pytest.param("<h2>Related work</h2><p>Kept, as it links to nothing.</p>", id="heading of a paper"),
    ],
)
def test_what_is_no_boilerplate_stays(block: str) -> None:
    assert "Kept" in text_of(ARTICLE.format(block))


LINKS = "<ul><li><a href=a>Gone, a title</a><li><a href=b>Gone, another title</a></ul>"


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("<div class='panel menu' hidden>Gone</div>", id="hidden panel of a menu"),
        pytest.param("<div class='drawer'><a href=x>Gone</a></div>", id="weak word without sentences"),
        pytest.param("<div class='post-signature'><span>Gone, 1,234</span></div>", id="signature of a post"),
        pytest.param("<div class='message-cell message-cell--user'>Gone</div>", id="pane of a poster"),
        pytest.param(f"<h2>Related articles</h2>{LINKS}", id="heading and list"),
        pytest.param(f"<div><h3>You may also like</h3><div>{LINKS}</div></div>", id="heading in a block"),
        pytest.param(
            f"<div><div><h4>More from this shop</h4></div><div>{LINKS}</div></div>", id="heading in a wrapper"
        ),
        pytest.param(
            "<header><h2>Site</h2>" + "<a href=x>Gone and gone</a> " * 40 + "</header>", id="menu in a header"
        ),
    ],
)
def test_what_points_elsewhere_goes(block: str) -> None:
    text = text_of(ARTICLE.format(f"{block}<h2>Next</h2><p>The last words.</p>"))
    assert "Gone" not in text and text.endswith("Next\n\nThe last words.")


def test_sections_of_a_page_of_links_are_its_content() -> None:
    teasers = "".join(f"<p><a href={i}>A title of some length, number {i}</a></p>" for i in range(20))
    assert "More from the north" in text_of(f"<main>{teasers}<h2>More from the north</h2>{LINKS}</main>")


def test_formulas_stay_under_any_heading() -> None:
    assert "$x^2$" in text_of(ARTICLE.format(r"<h2>Related formulas</h2><ul><li><a href=x>\(x^2\)</a></ul>"))


def test_parts_that_are_sent_later_stand_where_a_script_puts_them() -> None:
    """React's streamed pages: a template holds the place, the part follows hidden at the end of the page."""
    page = f"<main><h1>Title</h1><template id='B:0'></template><p>{SENTENCE}</p></main>"
    text = text_of(f'{page}<div hidden id="S:0"><p>Streamed {SENTENCE * 3}</p></div>')
    assert text.index("Title") < text.index("Streamed") < text.rindex(SENTENCE.strip())
