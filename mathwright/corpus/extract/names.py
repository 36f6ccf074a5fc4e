"""What the class and the id of an element say it is: boilerplate, a panel that opens, a copy for small screens.

Words of names, whatever the host. They were chosen by counting, on pages with reviewed text, how much of what they name
is main content (docs/extraction.md).
"""

from __future__ import annotations

import re
from functools import lru_cache


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


_BOILERPLATE = _words("""
    nav navbar navigation navs subnav topnav sidenav menu menus mainmenu submenu megamenu dropdown
    breadcrumb breadcrumbs crumbs footer colophon sidebar sidebars masthead topbar toolbar drawer flyout offcanvas
    utility logo burger
    share sharing sharedaddy social socials addtoany addthis
    related recommended recommendations recirc outbrain taboola trending popular recent
    newsletter newsletters subscribe signup optin mailchimp login signin account cart switcher
    cookie cookies consent onetrust gdpr popup popups popover modal modals lightbox tooltip announcement dismissible
    promo promos advert adverts advertisement advertising ads ad sponsor sponsored sponsors
    byline author authors bio categories taxonomy tags tagcloud taglist copyright disclaimer privacy legal
    pagination pager toc skip noprint print screenreader visuallyhidden placeholder badge
    searchbox searchform search btn button buttons actions headerlink editsection catlinks navbox
    comment comments commentlist disqus respond aside
""")
_PHRASES = re.compile(
    r"user[-_]?(?:info|details|card)|(?:post|message|entry|comment)_*-?signature|message-(?:cell--)?user(?!Content)"
    r"|author-?pane|post-?profile|post-?head(?![a-z])|bottom-notice|crawler-post-meta|poster-?info|replyer"
    r"|(?<!\S)signature(?!\S)|likes-and-labels|topic-category|post-?views|kk-star-ratings|side-?col(?:umn)?(?![a-z])|(?:user|site|page)tools",
    re.IGNORECASE,
)
"""Names built of words each of which says little: who wrote a post, with badges, counts and signature; side columns."""
WEAK = _words("""
    skip toc button buttons btn ad ads taxonomy dropdown logo pagination placeholder tags badge
""")
"""Those that also name what lies around boilerplate, or its place: with sentences in it, such a block is content."""
_STATEMENTS = _words("theorem lemma definition example exercise problem solution proof remark algorithm")
"""What a block with such a word is, whatever else its names say of its look or its place (`definition-tooltip`)."""
_ELSEWHERE = _words("""
    nav navbar navigation navs subnav topnav sidenav menu menus mainmenu submenu megamenu breadcrumb breadcrumbs footer
    sidebar sidebars masthead topbar share sharing social socials related recommended recommendations recirc trending
    popular recent newsletter subscribe signup login account cart cookie cookies consent promo promos advert
    advertisement advertising ads ad sponsor sponsored pagination pager comments toc
""")
"""Not where they also say that it leads elsewhere (`solutions-menu`, `related-problem`)."""
_ASIDES = _words("""
    note notes tip warning caution important callout admonition theorem lemma definition example exercise remark proof
    footnote footnotes endnote endnotes sidenote marginnote
""")
"""What an `aside` that belongs to the text says it is."""
_ONLY_ASIDE = _words("aside")
_FOOTNOTES = _words("footnote footnotes endnote endnotes")
_A_PHRASE = _words("phrase")
_PANEL = _words("""
    accordion accordions collapse collapsible expand expandable expanded expander faq panel panels slide slides sliding
    tab tabs tabpanel toggle
    answer answers explanation hint hints reveal solution solutions spoiler spoilers
""")
_PANEL_ROLES = frozenset(("region", "tabpanel"))

_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")
"""The words of a name: related, Posts of relatedPosts."""
_NO_NAMES = re.compile(
    r"(?<![a-zA-Z0-9])(?=[a-f]*\d)[0-9a-f]{4,}(?![a-zA-Z0-9])"  # 28addc53ad, of an identifier that was drawn by chance
    r"|(?<![a-zA-Z0-9])(?:no|has|with|without)(?:[-_]|(?=[A-Z]))\S+"  # page-with-sidebar, no_toc_section
    r"|\S+-position-\S+|(?<!\S)topic-author(?!\S)"  # of what is in it; bbPress' answers by who asked
)


@lru_cache(maxsize=20_000)
def boilerplate_words(css_class: str, identifier: str) -> frozenset[str]:
    """The words of boilerplate in its names; the id of a section is made of its heading, and says nothing."""
    classes = [_of_name(name) for name in css_class.split()]
    of_id = [_of_name(name) for name in identifier.split()]
    counted = classes if any(section for _, _, section in classes) else classes + of_id
    words = frozenset[str]().union(*(own for own, _, _ in counted))
    found = _BOILERPLATE & words
    if found and _names_text(found, words):
        return frozenset()
    return _A_PHRASE if not found and any(phrase for _, phrase, _ in classes + of_id) else found


@lru_cache(maxsize=50_000)
def _of_name(name: str) -> tuple[frozenset[str], bool, bool]:
    """The words of one name; whether a phrase of boilerplate is in it; whether it is one of a section."""
    words = _WORD.findall(_NO_NAMES.sub(" ", name))
    return frozenset(map(str.lower, words)), _PHRASES.search(name) is not None, "section" in words


def _names_text(found: frozenset[str], words: frozenset[str]) -> bool:
    """Whether words of boilerplate stand beside one that says that the block is text."""
    if not _ELSEWHERE.isdisjoint(found):
        return False
    return not (_ASIDES if found == _ONLY_ASIDE else _STATEMENTS).isdisjoint(words)


@lru_cache(maxsize=20_000)
def is_part_of_text(css_class: str, role: str, epub_type: str) -> bool:
    """Whether an `aside` is a note, a box of the text, or its footnotes."""
    return not _ASIDES.isdisjoint(map(str.lower, _WORD.findall(f"{css_class} {role} {epub_type}")))


@lru_cache(maxsize=20_000)
def is_footnotes(css_class: str, role: str, epub_type: str) -> bool:
    """Whether a `footer` is the footnotes of the text."""
    return not _FOOTNOTES.isdisjoint(map(str.lower, _WORD.findall(f"{css_class} {role} {epub_type}")))


@lru_cache(maxsize=20_000)
def is_panel(css_class: str, role: str) -> bool:
    """Whether it is a panel of tabs or of an accordion: hidden while another is shown, but content."""
    return role in _PANEL_ROLES or not _PANEL.isdisjoint(map(str.lower, _WORD.findall(css_class)))


_SMALL_SCREENS = re.compile(
    r"(?:^|\s)(?:\S*mobile-only|visible-(?:xs|phone)(?:-block)?|show-for-small(?:-only)?|hide-(?:on-)?desktop"
    r"|(?:is-|u-)?hidden-desktop|hidden-(?:md|lg)-up)(?=\s|$)"
)
"""Classes by which themes name it."""
_BY_WIDTH = re.compile(
    r"(?:^|\s)(?:d-(sm|md|lg|xl|xxl)-|(sm|md|lg|xl|2xl):)(none|hidden|block|flex|grid|table|inline|contents)\b"
)
"""How Bootstrap and Tailwind show and hide an element from a width of the screen on."""
_WIDTHS = ("sm", "md", "lg", "xl", "xxl", "2xl")


@lru_cache(maxsize=20_000)
def is_for_small_screens(css_class: str) -> bool:
    """Whether an element is shown on small screens alone: on many pages a copy of another one."""
    if _SMALL_SCREENS.search(css_class):
        return True
    shown = [(_WIDTHS.index(bootstrap or tailwind), how) for bootstrap, tailwind, how in _BY_WIDTH.findall(css_class)]
    return bool(shown) and max(shown)[1] in ("none", "hidden")
