"""From the bytes of a page to its characters."""

from __future__ import annotations

import codecs
import re
import unicodedata
from functools import cache
from typing import Any

from resiliparse.parse.encoding import detect_encoding

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: it begins with that one's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(rb"<meta[^>]{0,300}charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_XML = re.compile(rb"\A\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_ESCAPED = ("iso2022_jp_ext", "iso2022_jp_2", "iso2022_kr", "hz", "utf-7")
"""Python's names of encodings whose bytes are ASCII: they have to be believed where they are declared."""
_WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
"""Encodings in which every other byte, at least, of what markup consists of is zero."""
_LOOKED_AT = 65_536


def decode(html: bytes, charset: str | None) -> str:
    """Characters of a page: by byte-order mark, by being valid UTF-8, by header, by meta element, by detection.

    Valid UTF-8 comes before what is declared: text in another encoding is hardly ever valid UTF-8 by chance,
    and declarations are often wrong.
    """
    for bom, encoding in _BOMS:
        if html.startswith(bom):
            return html[len(bom) :].decode(encoding, "replace")
    if wide := _wide(html):
        return html.decode(wide, "replace")
    header, own = _codec(charset), _codec(_declared(html))
    has_zeros = b"\0" in html[:_LOOKED_AT]
    # "unicode", say, of a page that is not
    declared = [name for name in (header, own) if name and (has_zeros or name not in _WIDE)]
    for name in declared:
        if name in _ESCAPED or name in _WIDE:
            return html.decode(name, _MEND)
    try:
        return html.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(html) - 4:  # only the last character is cut
            return html.decode("utf-8", "ignore")
    declared = [name for name in declared if name != "utf-8"]
    if len(declared) == 2 and declared[0] == "cp1252" != declared[1] and _is_side_by_side(html):
        # Latin-1 is what servers say of every page by default.
        text = _text(html, declared[1])
        if "\ufffd" not in text:
            return text
    for name in declared:
        return _text(html, name)
    text = _text(html, _codec(detect_encoding(html)) or "utf-8")
    return _korean(html) or text if "\ufffd" in text else text


def _wide(html: bytes) -> str | None:
    """UTF-16 or UTF-32 that nothing declares, as the zeros show between the characters of markup."""
    head = html[:1024]
    if b"\0" not in head:
        return None
    for encoding, width, at in (("utf-32-le", 4, 0), ("utf-32-be", 4, 3), ("utf-16-le", 2, 0), ("utf-16-be", 2, 1)):
        lowest = head[at::width]
        zeros, of = head.count(0) - lowest.count(0), len(head) - len(lowest)
        if len(lowest) >= 4 and 10 * zeros >= 7 * of and 50 * lowest.count(0) <= len(lowest):
            return encoding
    return None


def _is_side_by_side(html: bytes) -> bool:
    """Whether bytes that are not ASCII mostly stand side by side: as in all scripts but the Latin one."""
    marks = html.translate(_NOT_ASCII)
    return 4 * marks.count(b"\0\1\0") < marks.count(1)


_NOT_ASCII = bytes(128) + b"\1" * 128


def _korean(html: bytes) -> str | None:
    """The characters of a page in EUC-KR that declares nothing: the detection takes many for another encoding."""
    try:
        text = html.decode("cp949")
    except UnicodeDecodeError:
        return None
    hangul = sum("\uac00" <= character <= "\ud7a3" for character in text)
    return text if 2 * hangul > sum(not character.isascii() for character in text) else None


def _declared(html: bytes) -> str | None:
    head = html[:_LOOKED_AT]
    if b"<!--" in head:
        head = _COMMENT.sub(b"", head)
    found = _XML.search(head[:300]) or _META.search(head[:8192])
    return found[1].decode("ascii") if found else None


# --- names of encodings --------------------------------------------------------------------------------

_LABELS = {
    label: codec
    for codec, labels in {
        "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
        "cp866": "866 cp866 csibm866 ibm866",
        "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
        "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
        "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
        "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
        "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e"
        " iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
        "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597"
        " iso_8859-7 iso_8859-7:1987 sun_eu_greek",
        "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598"
        " iso_8859-8 iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
        "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
        "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
        "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
        "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
        "iso8859-16": "iso-8859-16 iso8859-16",
        "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
        "koi8-u": "koi8-ru koi8-u",
        "mac-roman": "csmacintosh mac macintosh x-mac-roman",
        "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
        "cp1250": "cp1250 windows-1250 x-cp1250",
        "cp1251": "cp1251 windows-1251 x-cp1251",
        # x-user-defined: as HTML reads it in a meta element; by itself it has private characters alone
        "cp1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591"
        " iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252 x-user-defined",
        "cp1253": "cp1253 windows-1253 x-cp1253",
        "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5"
        " windows-1254 x-cp1254",
        "cp1255": "cp1255 windows-1255 x-cp1255",
        "cp1256": "cp1256 windows-1256 x-cp1256",
        "cp1257": "cp1257 windows-1257 x-cp1257",
        "cp1258": "cp1258 windows-1258 x-cp1258",
        "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
        "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030",
        "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
        "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
        "iso2022_jp_ext": "csiso2022jp iso-2022-jp",  # the one with katakana of half width
        "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
        "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601"
        " windows-949",
        "utf-16-be": "unicodefffe utf-16be",
        "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
        # Browsers refuse these for what scripts can hide in them; we run none.
        "iso2022_kr": "csiso2022kr iso-2022-kr",
        "hz": "hz-gb-2312",
    }.items()
    for label in labels.split()
}
"""Every label of the Encoding Standard -> Python's codec that is nearest to what the standard means by it.

Browsers read a label as the widest encoding that pages use it for: Latin-1 as windows-1252, EUC-KR as code page 949.
"""
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"})


def _codec(name: str | None) -> str | None:
    """Python's codec for a name found in the wild, as browsers understand it; else what Python calls so."""
    if not name:
        return None
    label = name.strip(" \t\r\n\f\"'").lower()
    if label in _LABELS:
        return _LABELS[label]
    try:
        found = codecs.lookup(label)
    except (LookupError, ValueError):  # a name with a null character is a ValueError
        return None
    known = _LABELS.get(found.name) or _LABELS.get(found.name.replace("_", "-")) or found.name
    return known if known in _ESCAPED or known in _WIDE or _keeps_markup(known) else None


@cache
def _keeps_markup(codec: str) -> bool:
    """Whether ASCII is ASCII in it: pages are not in EBCDIC, and not in hexadecimal digits."""
    try:
        return codec not in _NO_CHARSETS and b"<p>a</p>".decode(codec) == "<p>a</p>"
    except (LookupError, ValueError):  # LookupError: no encoding of text
        return False


# --- where Python's codecs fall short --------------------------------------------------------------------

_SISTERS = {
    "iso8859-2": "cp1250",
    "iso8859-7": "cp1253",
    "iso8859-8": "cp1255",
    "iso8859-13": "cp1257",
    "iso8859-15": "cp1252",
}
"""Sets of ISO 8859 that Windows has with most letters in the same places."""
_COUSINS = {"iso8859-4": "cp1257", "iso8859-5": "cp1251", "iso8859-6": "cp1256"}
"""Sets for the same languages, with the letters elsewhere."""
_CONTROLS = re.compile(rb"[\x80-\x9f]")
_PAIRS = ("euc_jp", "cp932", "cp949", "gb18030", "big5hkscs")
_MENDED = 200_000
"""A page with more bytes that cannot be read is none."""
_SIGNS = (("♁", "⊕"), ("☉", "⊙"), ("∼", "～"), ("‾", "¯"))
"""Signs of Big5 as Python has them, and as the Encoding Standard and every page of mathematics does."""
_OTHERWISE = {"koi8-u": {0xAE: "ў", 0xBE: "Ў"}, "cp1255": {0xCA: "\u05ba"}}
"""Characters that the Encoding Standard has in other places than Python."""


def _text(html: bytes, codec: str) -> str:
    """The characters of a page in an encoding that it is said to be in."""
    if codec in _PAIRS:
        text = html.decode(codec, "replace")
        if 0 < text.count("\ufffd") < _MENDED:  # mending one takes a hundred times as long as reading a character
            text = html.decode(codec, _MEND)
        for python, standard in _SIGNS if codec == "big5hkscs" else ():
            text = text.replace(python, standard)
        return text
    if codec.startswith("iso8859") and _CONTROLS.search(html) is not None:
        # No page has the control characters that ISO puts there: it was written on Windows, or a part of it was.
        windows = _SISTERS.get(codec) or _COUSINS.get(codec) or "cp1252"
        return _by_table(html, _table(windows) if _is_windows(html, codec, windows) else _mixed_table(codec, windows))
    return _by_table(html, _table(codec)) if codec in _OTHERWISE else html.decode(codec, "replace")


def _by_table(html: bytes, table: Any) -> str:
    return codecs.charmap_decode(html, "replace", table)[0]


@cache
def _table(codec: str) -> str:
    """The characters of the 256 bytes."""
    characters = list(bytes(range(256)).decode(codec, "replace"))
    for byte, character in _OTHERWISE.get(codec, {}).items():
        characters[byte] = character
    return "".join(characters)


@cache
def _mixed_table(iso: str, windows: str) -> str:
    """A set of ISO, with what Windows has in place of control characters."""
    return _table(iso)[:0x80] + _table(windows)[0x80:0xA0] + _table(iso)[0xA0:]


def _is_windows(html: bytes, iso: str, windows: str) -> bool:
    """Whether the letters, too, of a page with bytes 0x80 to 0x9F are those of the set of Windows.

    Each byte votes that is a letter in one of the sets and a sign in the other, where a letter follows: a sign
    (`©`, `±`, `¶`) hardly ever stands so. Quotation marks do, and have no vote.
    """
    if iso not in _SISTERS:
        return iso in _COUSINS and _codec(detect_encoding(html)) != iso
    old, new = _table(iso), _table(windows)
    votes = 0
    for byte in range(0x80, 0x100):
        if old[byte].isalpha() == new[byte].isalpha():
            continue
        sign = old[byte] if new[byte].isalpha() else new[byte]
        if sign == "\ufffd" or unicodedata.category(sign) in ("Pi", "Pf"):
            continue
        places = _followed(byte, iso).findall(html)
        votes += len(places) if new[byte].isalpha() else -len(places)
    return votes >= 0


@cache
def _followed(byte: int, iso: str) -> re.Pattern[bytes]:
    """The byte where a letter follows, which both sets have there."""
    letters = bytes(code for code, character in enumerate(_table(iso)) if character.isalpha())
    return re.compile(re.escape(bytes([byte])) + b"(?=[" + re.escape(letters) + b"])")


def _mend(error: UnicodeError) -> tuple[str, int]:
    """What stands where a codec of several bytes a character has none, and where reading goes on.

    Python's codecs pass over one byte of a pair that they do not know, and then read all that follows in halves.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data, start = error.object, error.start
    pair = data[start : start + 2]
    if error.encoding == "gb18030" and pair[:1] == b"\x80":
        return "€", start + 1  # as in GBK of Windows
    if error.encoding.startswith("iso2022"):
        if error.encoding.startswith("iso2022_jp") and error.end - start == 2 and min(pair) > 0x20:
            return _japanese(bytes(byte | 0x80 for byte in pair)), error.end
        return "\ufffd", error.end
    if len(pair) < 2 or pair[1] < 0x80 or pair[0] in (0x80, 0xFF):
        return "\ufffd", error.end if error.reason.startswith("incomplete") else start + 1
    if error.encoding == "big5hkscs":
        return pair.decode("cp950", "replace")[:1], start + 2
    if error.encoding == "euc_jp":
        if pair[0] in (0x8E, 0x8F):
            return "\ufffd", start + (3 if pair[0] == 0x8F and data[start + 2 : start + 3] > b"\x80" else 2)
        return _japanese(pair), start + (2 if pair[0] > 0xA0 else 1)
    return "\ufffd", start + 2


def _japanese(pair: bytes) -> str:
    """A character of EUC-JP as code page 932 has it: row 13 (`①`, `㈱`, `№`) and more are in no standard of Japan."""
    row, column = pair[0] - 0xA0, pair[1] - 0xA1
    if not (0 < row < 95 and 0 <= column < 94):
        return "\ufffd"
    lead = (row - 1) // 2 + (0x81 if row <= 62 else 0xC1)
    trail = column + 0x9F if row % 2 == 0 else column + (0x40 if column < 0x3F else 0x41)
    try:
        return bytes([lead, trail]).decode("cp932")
    except ValueError:
        return "\ufffd"


_MEND = "mathwright-mend"
codecs.register_error(_MEND, _mend)
