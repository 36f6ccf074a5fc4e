"""From the bytes of a page to its characters."""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META = re.compile(rb"<meta[^>]{0,300}charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_XML = re.compile(rb"\A\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_ESCAPED = ("iso2022_jp", "iso2022_jp_2", "iso2022_kr", "hz", "utf-7")
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
    declared = [name for name in (_codec(charset), _codec(_declared(html))) if name]
    wide = b"\0" in html[:_LOOKED_AT]
    declared = [name for name in declared if wide or name not in _WIDE]  # "unicode", say, of a page that is not
    for name in declared:
        if name in _ESCAPED or name in _WIDE:
            return html.decode(name, "replace")
    try:
        return html.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(html) - 4:  # only the last character is cut
            return html.decode("utf-8", "ignore")
    for name in declared:
        if name != "utf-8":
            return html.decode(name, "replace")
    text = html.decode(_codec(detect_encoding(html)) or "utf-8", "replace")
    return _korean(html) or text if "\ufffd" in text else text


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


def _codec(name: str | None) -> str | None:
    """Python's codec for a name found in the wild, as browsers understand it (latin-1 means cp1252)."""
    if not name:
        return None
    mapped = map_encoding_to_html5(name, fallback_utf8=False) or name
    mapped = {"gbk": "gb18030", "gb2312": "gb18030", "euc-kr": "cp949", "shift_jis": "cp932", "big5": "big5hkscs"}.get(
        mapped.lower(), mapped
    )
    try:
        return codecs.lookup(mapped).name
    except (LookupError, ValueError):  # a name with a null character is a ValueError
        return None
