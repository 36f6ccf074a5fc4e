"""Which encoding a page is read in, where what it declares is wrong."""

import pytest

from mathwright.corpus.extract import decode, extract

RUSSIAN = "Пусть функция непрерывна на отрезке"
XHTML = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">'
JAPANESE = "関数が区間で連続ならば、"


@pytest.mark.parametrize(
    ("html", "charset", "expected"),
    [
        pytest.param(b"<meta charset=utf-16><p>Hello", None, "Hello", id="wide by declaration alone"),
        pytest.param(b"<p>Hello", "utf-32", "Hello", id="wide by a header alone"),
        pytest.param("<p>Hello".encode("utf-16-le"), "utf-16le", "Hello", id="wide"),
        pytest.param(
            b"<!-- <meta charset=gbk> --><meta charset=windows-1251><p>" + RUSSIAN.encode("cp1251"),
            None,
            RUSSIAN,
            id="declared in a comment",
        ),
        pytest.param(JAPANESE.encode("iso-2022-jp"), "iso-2022-jp", JAPANESE, id="Japanese in seven bits"),
        pytest.param("<p>dérivée à l'".encode("cp1252"), "unicode", "dérivée à l'", id="no encoding at all"),
    ],
)
def test_an_encoding_that_cannot_be_is_not_believed(html: bytes, charset: str | None, expected: str) -> None:
    assert expected in decode(html, charset)


def test_xhtml_elements_closed_in_themselves_do_not_swallow_the_page() -> None:
    words = "A paragraph with enough words in it to be the text of a page that somebody wrote one day."
    for empty in (
        "<iframe src='a'/>",
        "<textarea/>",
        "<style />",
        '<div class="nav" id="x>y"/>',
        "<script src='a.js'/>",
    ):
        page = f"{XHTML}<body>{empty}<p>{words}</p></body></html>"
        assert extract(page.encode(), "").text == words
