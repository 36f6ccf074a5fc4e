"""The quick looks that say which pages are looked at closely miss nothing."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mathwright.corpus.extract import limits

SOURCES = st.text(alphabet='<>/oOa "é\ud800', max_size=60)


@given(SOURCES, st.integers(1, 12))
def test_quick_look_for_long_tags_finds_what_the_exact_one_finds(source: str, long: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "_LONG", long)
        patch.setattr(limits, "_LONG_TAG", re.compile(rf"<[a-zA-Z][^>]{{{long}}}"))
        assert limits._has_long_tag(source) == (limits._LONG_TAG.search(source) is not None)


@example("</<<<", 3)
@given(SOURCES, st.integers(1, 12))
def test_counts_of_tags_are_exact_and_of_depth_not_too_small(source: str, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "_CHUNK", chunk)
        patch.setattr(limits, "MAX_OPTIONS", 0)
        tags, options, depth = limits._count_tags(source.encode("utf-8", "replace"))
    source = source.removesuffix("<")  # which begins no tag
    assert tags == source.count("<")
    assert options == source.count("<o") + source.count("<O")
    open_tags = deepest = 0
    for end in re.findall(r"<(/?)", source):
        open_tags = max(0, open_tags - 1) if end else open_tags + 1
        deepest = max(deepest, open_tags)
    assert deepest <= depth


@pytest.mark.parametrize(("tags", "too_deep"), [(limits.MAX_NESTING, False), (limits.MAX_NESTING + 1, True)])
def test_depth_beyond_the_limit_is_told(tags: int, too_deep: bool) -> None:
    source = "<div>" * tags + "x" + "</div>" * tags
    unchanged, problems, told = limits.limit_tags(source)
    assert (unchanged, told, bool(problems)) == (source, too_deep, too_deep)


def test_end_tags_of_dropped_choices_hide_no_depth() -> None:
    _, _, too_deep = limits.limit_tags("<div></option>" * 3000 + "<option>" * 3000)
    assert too_deep


def test_a_page_is_cut_at_the_limit_of_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_TAGS", 3)
    assert limits.limit_tags("<p>a<p>b<p>c")[:2] == ("<p>a<p>b<p>c", [])
    assert limits.limit_tags("<p>a<p>b<p>c<p>d")[:2] == ("<p>a<p>b<p>c", ["cut at 3 tags"])
