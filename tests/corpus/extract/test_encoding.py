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


# --- as browsers read what is declared -------------------------------------------------------------------

_ONE_BYTE = {
    "ibm866": ("cp866", "866 cp866 csibm866 ibm866"),
    "iso-8859-2": (
        "iso8859-2",
        "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    ),
    "iso-8859-3": (
        "iso8859-3",
        "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    ),
    "iso-8859-4": (
        "iso8859-4",
        "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    ),
    "iso-8859-5": (
        "iso8859-5",
        "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    ),
    "iso-8859-6": (
        "iso8859-6",
        "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i "
        "iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    ),
    "iso-8859-7": (
        "iso8859-7",
        "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 "
        "iso_8859-7:1987 sun_eu_greek",
    ),
    "iso-8859-8": (
        "iso8859-8",
        "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 "
        "iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    ),
    "iso-8859-10": ("iso8859-10", "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6"),
    "iso-8859-13": ("iso8859-13", "iso-8859-13 iso8859-13 iso885913"),
    "iso-8859-14": ("iso8859-14", "iso-8859-14 iso8859-14 iso885914"),
    "iso-8859-15": ("iso8859-15", "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9"),
    "iso-8859-16": ("iso8859-16", "iso-8859-16"),
    "koi8-r": ("koi8-r", "cskoi8r koi koi8 koi8-r koi8_r"),
    "koi8-u": ("koi8-u", "koi8-ru koi8-u"),
    "macintosh": ("mac-roman", "csmacintosh mac macintosh x-mac-roman"),
    "windows-874": ("cp874", "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874"),
    "windows-1250": ("cp1250", "cp1250 windows-1250 x-cp1250"),
    "windows-1251": ("cp1251", "cp1251 windows-1251 x-cp1251"),
    "windows-1252": (
        "cp1252",
        "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 "
        "iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252 x-user-defined",
    ),
    "windows-1253": ("cp1253", "cp1253 windows-1253 x-cp1253"),
    "windows-1254": (
        "cp1254",
        "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 "
        "windows-1254 x-cp1254",
    ),
    "windows-1255": ("cp1255", "cp1255 windows-1255 x-cp1255"),
    "windows-1256": ("cp1256", "cp1256 windows-1256 x-cp1256"),
    "windows-1257": ("cp1257", "cp1257 windows-1257 x-cp1257"),
    "windows-1258": ("cp1258", "cp1258 windows-1258 x-cp1258"),
    "x-mac-cyrillic": ("mac-cyrillic", "x-mac-cyrillic x-mac-ukrainian"),
}
"""The Encoding Standard's labels of sets of one byte, with Python's codec of the same characters.

Under "x-user-defined", a page's meta element means windows-1252 (HTML Standard, 13.2.3.2)."""
_OTHERWISE = {"koi8-u": {0xAE: "ў", 0xBE: "Ў"}, "cp1255": {0xCA: "\u05ba"}}
_LETTERS = {
    "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030": ("gb18030", "镕函数€"),
    "big5 big5-hkscs cn-big5 csbig5 x-x-big5": ("big5hkscs", "函數咗碁"),
    "cseucpkdfmtjapanese euc-jp x-euc-jp": ("euc_jp", "関数ｱ丂"),
    "csiso2022jp iso-2022-jp": ("iso2022_jp_ext", "関数ｱ"),
    "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis": ("cp932", "関数①㈱髙"),
    "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949": (
        "cp949",
        "쓩햏 똠방각하 펲시콜라",
    ),
    "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le": ("utf-16-le", "<p>関数"),
    "unicodefffe utf-16be": ("utf-16-be", "<p>関数"),
    "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8": ("utf-8", "関数"),
    "csiso2022kr iso-2022-kr": ("iso2022_kr", "함수"),  # these two a browser refuses: we run no scripts
    "hz-gb-2312": ("hz", "函数"),
}


def test_every_label_of_the_encoding_standard_is_understood() -> None:
    for codec, labels in _ONE_BYTE.values():
        for byte in range(0x80, 0x100):
            expected = _OTHERWISE.get(codec, {}).get(byte) or bytes([byte]).decode(codec, "replace")
            if "\x80" <= expected <= "\x9f" or not expected.isalpha():
                continue
            for label in labels.split():
                # with ASCII behind it, the byte alone is no UTF-8
                assert decode(bytes([byte]) + b" word", f" {label.upper()} ") == expected + " word", (label, hex(byte))
    for labels, (codec, text) in _LETTERS.items():
        for label in labels.split():
            assert decode(text.encode(codec), label) == text, label


def meta(name: str, page: bytes) -> bytes:
    return f"<meta charset={name}>".encode() + page


CLOSED = "関数が閉区間で連続である".encode("euc-jp")


@pytest.mark.parametrize(
    ("html", "charset", "expected"),
    [
        pytest.param(CLOSED + b"\xad\xa1\xad\xea" + CLOSED, "euc-jp", "である①㈱関数が", id="NEC's row 13"),
        pytest.param(CLOSED + b"\xad\xa1\xad\xea" + CLOSED, None, "である①㈱関数が", id="row 13, undeclared"),
        pytest.param(b'\x1b$B$"-!$"\x1b(B x', "iso-2022-jp", "あ①あ x", id="row 13 in seven bits"),
        pytest.param(CLOSED + b"\xfe\xfe" + CLOSED, "euc-jp", "である\ufffd関数が", id="no such pair"),
        pytest.param(CLOSED + b"\x93" + CLOSED, "euc-jp", "である\ufffd関数が", id="no first byte of a pair"),
        pytest.param(CLOSED + b"\xad<b>", "euc-jp", "である\ufffd<b>", id="half a pair before a tag"),
        pytest.param(
            "함수".encode("cp949") + b"\xad\xa1" + "함수".encode("cp949"), "euc-kr", "함수\ufffd함수", id="Korean"
        ),
        pytest.param(b"\x80 5" + "元".encode("gbk"), "gb2312", "€ 5元", id="GBK's euro"),
        pytest.param(b"1\xa1\xf2\xa1\xf32 " + "和".encode("big5"), "big5", "1⊕⊙2 和", id="Big5's signs"),
        pytest.param(b"\x93abc\x94 5\x966 \x85", "tis-620", "“abc” 5–6 …", id="Thai"),
    ],
)
def test_what_the_codecs_of_python_lack(html: bytes, charset: str | None, expected: str) -> None:
    assert expected in decode(html, charset)


@pytest.mark.parametrize(
    ("name", "page", "expected"),
    [
        pytest.param(
            "iso-8859-2", "Cena 5 – 6 „dobře“ žluť Š".encode("cp1250"), "Cena 5 – 6 „dobře“ žluť Š", id="Czech"
        ),
        pytest.param("iso-8859-2", "jaźń ± 5 «ok»".encode("cp1250"), "jaźń ± 5 «ok»", id="Polish"),
        pytest.param(
            "iso-8859-2",
            "Škoda, Šumava, kůň, žluť ".encode("iso-8859-2") + b"5 \x96 6",
            "Škoda, Šumava, kůň, žluť 5 – 6",
            id="ISO with one dash of Windows",
        ),
        pytest.param("iso-8859-2", "Škoda, žluť".encode("iso-8859-2"), "Škoda, žluť", id="ISO"),
        pytest.param("iso-8859-7", "Άλλο 5 € τιμή".encode("cp1253"), "Άλλο 5 € τιμή", id="Greek"),
        pytest.param(
            "iso-8859-7", "Άλλο τιμή ".encode("iso-8859-7") + b"\x80", "Άλλο τιμή €", id="Greek ISO with one euro"
        ),
        pytest.param("iso-8859-8-i", "שלום 5–6".encode("cp1255"), "שלום 5–6", id="Hebrew"),
        pytest.param("iso-8859-5", (RUSSIAN + " 5–6").encode("cp1251"), RUSSIAN + " 5–6", id="Cyrillic"),
        pytest.param(
            "iso-8859-5", RUSSIAN.encode("iso-8859-5") + b" 5\x966", RUSSIAN + " 5–6", id="Cyrillic ISO with one dash"
        ),
        pytest.param("iso-8859-4", "Ķēniņš šeit 5–6".encode("cp1257"), "Ķēniņš šeit 5–6", id="Baltic"),
        pytest.param("iso-8859-15", "œuvre 5 € – l’été".encode("cp1252"), "œuvre 5 € – l’été", id="Western"),
    ],
)
def test_bytes_that_iso_leaves_to_controls_show_a_page_of_windows(name: str, page: bytes, expected: str) -> None:
    assert decode(meta(name, page), None).endswith(expected)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("windows-1251", RUSSIAN), ("koi8-r", RUSSIAN), ("iso-8859-7", "Έστω συνάρτηση"), ("shift_jis", JAPANESE),
        ("euc-jp", JAPANESE), ("gb2312", "函数在区间上连续"), ("big5", "函數在區間上連續"), ("euc-kr", "함수가 연속"),
    ],
)  # fmt: skip
def test_a_page_knows_better_than_the_default_of_its_server(name: str, text: str) -> None:
    page = meta(name, f"<p>{text}".encode(name))
    for header in ("iso-8859-1", "windows-1252", "us-ascii"):
        assert decode(page, header).endswith(text)
    assert not decode(page, "iso-8859-2").endswith(text)  # that is no default: somebody chose it


def test_a_set_that_a_tool_wrote_into_a_western_page_is_not_believed_against_the_header() -> None:
    for name in ("gb2312", "windows-1251", "shift_jis"):
        assert decode(meta(name, "<p>L’été à la piscine".encode("cp1252")), "iso-8859-1").endswith("L’été à la piscine")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_show(encoding: str) -> None:
    page = f"<html><head><title>数学</title></head><body><p>{JAPANESE} Hello</p>"
    assert decode(page.encode(encoding), None) == page
    assert decode(page.encode(encoding), "iso-8859-1") == page
    assert decode(("\ufeff" + page).encode(encoding), None) == page
    assert decode(b"<p>a\0b</p>" * 50, None) == "<p>a\0b</p>" * 50  # zeros here and there are none of it


@pytest.mark.parametrize("name", ["hex", "rot13", "undefined", "cp037", "punycode", "x\0y", "no-such"])
def test_a_name_that_no_page_can_be_in_is_none(name: str) -> None:
    assert decode("<p>dérivée à l'".encode("cp1252"), name) == "<p>dérivée à l'"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param("<p>数学是研究数量、\n结构的学科", "数学是研究数量、结构的学科", id="Chinese"),
        pytest.param("<p>関数が\r\n\t区間で\n連続", "関数が区間で連続", id="Japanese, Windows' line ends, indentation"),
        pytest.param("<p>数学<b>研究</b>\n数量，\n<b>结构</b>", "数学研究数量，结构", id="tags in a line"),
        pytest.param("<p>数学\n“结构”\n的", "数学“结构”的", id="quotes"),
        pytest.param("<p>数学\nmath\n数学 5\n数", "数学 math 数学 5 数", id="words between"),
        pytest.param("<p>수학은\n학문", "수학은 학문", id="Korean has spaces"),
        pytest.param("<p>数学<br>\n结构", "数学\n结构", id="a break"),
        pytest.param("<p>数学\n<p>结构", "数学\n\n结构", id="paragraphs"),
        pytest.param("<pre>数学\n结构</pre><p>数\n学", "数学\n结构\n\n数学", id="kept as it stands"),
        pytest.param("<script>a='<pre>'</script><p>数\n学", "数学", id="a tag in a script"),
    ],
)
def test_a_line_end_between_chinese_characters_is_no_space(html: str, expected: str) -> None:
    assert extract(f"<html><body><article>{html}</article></body></html>".encode(), "").text == expected


def test_lines_of_a_long_chinese_page_are_joined() -> None:
    page = "<html><body><article>" + "<p>数学是研究数量、\n结构以及空间\n等概念的学科。</p>\n" * 300
    assert extract(page.encode(), "").text == "\n\n".join(["数学是研究数量、结构以及空间等概念的学科。"] * 300)
