"""The twenty platforms: learning, boards, questions, wikis, books. Markup after what their themes write by default."""

# ruff: noqa: E501  # markup

from __future__ import annotations

from collections.abc import Callable
from html import escape

from tests.corpus.extract.platforms import (
    Content,
    canvas_image,
    dollars,
    katex,
    knowl_process,
    lines,
    m,
    math_container,
    mathml,
    menu,
    pandoc_span,
    paragraphs,
    parentheses,
    whole,
    wiki_image,
    zhihu_image,
)


def moodle(c: Content) -> str:
    posts = "".join(
        f'<article id="p{k}" class="forum-post-container mb-2" data-region="post"><div class="d-flex border p-2 forumpost'
        f' focus-target"><div class="d-flex flex-column w-100"><header class="row d-flex header"><div class="mr-2"><img'
        f' class="rounded-circle w-100" src="u.png" alt=""></div><div class="d-flex flex-column"><h3 class="h6 font-weight-bold'
        f' mb-0">{"Re: " if k else ""}{escape(c.title)}</h3></div></header><div class="d-flex body-content-container"><div'
        f' class="no-overflow w-100 content-alignment-container"><div id="post-content-{k}" class="post-content-container">'
        f"{paragraphs(text, parentheses)}</div></div></div></div></div></article>"
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<nav class="fixed-top navbar" aria-label="{m("Site")}">{menu("Dashboard", "My courses")}</nav>
        <div id="page" class="container-fluid d-print-block"><div id="nav-drawer" class="closed"><nav class="list-group">
        {menu("Participants", "Grades")}</nav></div><div id="page-content" class="row"><div id="region-main-box"><section
        id="region-main"><div role="main">{posts}</div></section></div></div><footer id="page-footer">{m("Data retention")}
        </footer></div>""")  # fmt: skip


def canvas(c: Content) -> str:
    text = "".join(paragraphs(text, canvas_image) for text in c.texts)
    return whole(c.title, f"""<div id="application"><header id="header" class="ic-app-header no-print">{menu("Account",
        "Courses", "Inbox")}</header><div id="wrapper" class="ic-Layout-wrapper"><div id="main"><div id="left-side"><nav
        role="navigation">{menu("Modules", "Quizzes")}</nav></div><div id="not_right_side"><div id="content" class="ic-Layout-contentMain"
        role="main"><div id="wiki_page_show"><div class="show-content user_content clearfix enhanced"><h1 class="page-title">
        {escape(c.title)}</h1>{text}</div></div></div></div></div></div><footer role="contentinfo" id="footer">{m("Help")}</footer>
        </div>""")  # fmt: skip


def blackboard(c: Content) -> str:
    items = "".join(
        f'<li id="contentListItem:{k}" class="clearfix liItem read"><div class="item clearfix"><h3>Part {k}</h3></div>'
        f'<div class="details"><div class="vtbegenerated">{paragraphs(text, mathml)}</div></div></li>'
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<div id="globalNavPageNavArea"><nav>{menu("Courses", "Community")}</nav></div><div id="navigationPane"
        class="navigationPane"><nav>{menu("Announcements", "Tools")}</nav></div><div id="contentPanel" class="contentPane"><div
        id="content" role="main"><div id="pageTitleDiv"><h1 id="pageTitleHeader"><span id="pageTitleText">{escape(c.title)}</span>
        </h1></div><ul class="contentList" id="content_listContainer">{items}</ul></div></div>""")  # fmt: skip


def open_edx(c: Content) -> str:
    blocks = "".join(
        f'<div class="vert vert-{k}"><div class="xblock xblock-student_view xblock-student_view-html">'
        f"{paragraphs(text, parentheses)}</div></div>"
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<header class="global-header">{menu("Discover", "Sign in")}</header><nav class="courseware
        sequence-nav">{menu("Previous", "Next")}</nav><div class="content-wrapper main-container" id="content"><main id="main">
        <section class="course-content"><div class="xblock xblock-student_view-vertical"><h2 class="hd hd-2 unit-title">
        {escape(c.title)}</h2><div class="vert-mod">{blocks}</div></div></section></main></div><footer class="footer-openedx">
        {m("Terms of service")}</footer>""")  # fmt: skip


def discourse(c: Content) -> str:
    posts = "".join(
        f'<div id="post_{k}" itemprop="comment" class="topic-body crawler-post"><div class="crawler-post-meta"><span'
        f' class="creator"><a href="/u/ann"><span itemprop="name">{m("ann")}</span></a></span><span class="crawler-post-infos">'
        f'<time class="post-time">{m("3 May")}</time><span itemprop="position">{m(str(k))}</span></span></div><div class="post"'
        f' itemprop="text">{paragraphs(text, dollars)}</div><div class="crawler-linkback-list"></div></div>'
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<header><a href="/">{m("Board")}</a></header><div id="main-outlet" class="wrap" role="main"><div
        id="topic-title"><h1><a href="/t/1">{escape(c.title)}</a></h1><div class="topic-category"><span class="badge-category">
        {m("Algebra")}</span></div></div>{posts}<div id="related-topics" class="more-topics__list"><h3 class="more-topics__list-title">
        Related topics</h3><div class="topic-list-container"><table class="topic-list"><tr><td><a href="/t/2">{m("Another")}</a></td>
        </tr></table></div></div></div><footer class="container wrap"><nav>{menu("Home", "Guidelines")}</nav></footer>""")  # fmt: skip


def phpbb(c: Content) -> str:
    posts = "".join(
        f'<div id="p{k}" class="post has-profile bg{k % 2 + 1}"><div class="inner"><dl class="postprofile" id="profile{k}"><dt>'
        f'<a href="u" class="username">{m("ann")}</a></dt><dd class="profile-posts"><strong>Posts:</strong> {m("12")}</dd></dl>'
        f'<div class="postbody"><div id="post_content{k}"><h3><a href="#p{k}">{"Re: " if k else ""}{escape(c.title)}</a></h3><ul'
        f' class="post-buttons"><li><a href="q">{m("Quote")}</a></li></ul><div class="content">{lines(text, parentheses)}</div><div'
        f' id="sig{k}" class="signature">{m("Per aspera")}</div></div></div></div></div>'
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<div id="wrap" class="wrap"><div id="page-header"><div class="headerbar" role="banner"><p
        class="skiplink"><a href="#start_here">{m("Skip to content")}</a></p></div><div class="navbar" role="navigation">
        {menu("FAQ", "Login")}</div></div><a id="start_here" class="anchor"></a><div id="page-body" class="page-body" role="main">
        <h2 class="topic-title"><a href="v">{escape(c.title)}</a></h2>{posts}</div><div id="page-footer" class="page-footer"
        role="contentinfo"><div class="navbar" role="navigation">{menu("Board index", "Delete cookies")}</div></div></div>""")  # fmt: skip


def xenforo(c: Content) -> str:
    posts = "".join(
        f'<article class="message message--post js-post" id="js-post-{k}"><div class="message-inner"><div class="message-cell'
        f' message-cell--user"><section class="message-user"><h4 class="message-name"><a class="username">{m("ann")}</a></h4><dl'
        f' class="pairs pairs--justified"><dt>{m("Messages")}</dt><dd>{m("31")}</dd></dl></section></div><div class="message-cell'
        f' message-cell--main"><div class="message-main"><header class="message-attribution"><ul><li><time>{m("May 3")}</time>'
        f'</li></ul></header><div class="message-content"><div class="message-userContent lbContainer"><article class="message-body'
        f' js-selectToQuote"><div class="bbWrapper">{lines(text, parentheses)}</div></article></div></div><footer'
        f' class="message-footer">{m("Like")}</footer></div></div></div></article>'
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<div class="p-pageWrapper"><header class="p-header">{m("Board")}</header><nav class="p-nav">
        {menu("Forums", "Log in")}</nav><div class="p-body"><div class="p-body-inner"><div class="p-body-header"><h1
        class="p-title-value">{escape(c.title)}</h1></div><div class="p-body-main p-body-main--withSidebar"><div
        class="p-body-content"><div class="block block--messages"><div class="block-container"><div class="block-body
        js-replyNewMessageContainer">{posts}</div></div></div></div><div class="p-body-sidebar"><div class="block">
        {menu("Online now", "Share this page")}</div></div></div></div></div><footer class="p-footer">{m("Terms")}</footer>
        </div>""")  # fmt: skip


def vbulletin(c: Content) -> str:
    posts = "".join(
        f'<li class="postbitlegacy postbitim postcontainer" id="post_{k}"><div class="posthead"><span class="postdate">'
        f'{m("05-03")}</span></div><div class="postdetails"><div class="userinfo"><a class="username">{m("ann")}</a><dl'
        f' class="userinfo_extra"><dt>Posts</dt><dd>{m("9")}</dd></dl></div><div class="postbody"><div class="postrow"><div'
        f' class="content"><div id="post_message_{k}"><blockquote class="postcontent restore">{lines(text, parentheses)}'
        f"</blockquote></div></div></div></div></div></li>"
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<div class="above_body"><div id="header" class="floatcontainer"><ul class="nouser menu">
        <li>{m("Register")}</li></ul></div><div id="navbar" class="navbar">{menu("Forum", "Today")}</div></div><div
        class="body_wrapper"><div id="pagetitle" class="pagetitle"><h1>Thread: <span class="threadtitle">{escape(c.title)}</span>
        </h1></div><div id="postlist" class="postlist restrain"><ol id="posts" class="posts">{posts}</ol></div></div><div id="footer"
        class="floatcontainer footer">{m("Archive")}</div>""")  # fmt: skip


def smf(c: Content) -> str:
    posts = "".join(
        f'<div class="windowbg" id="msg{k}"><div class="post_wrapper"><div class="poster-info"><h4>{m("ann")}</h4><ul'
        f' class="user_info"><li class="postcount">{m("Posts: 4")}</li></ul></div><div class="postarea"><div class="keyinfo"><h5>'
        f'{escape(c.title)}</h5></div><div class="post"><div class="inner" id="msg_{k}">{lines(text, parentheses)}</div></div></div>'
        f'<div class="moderatorbar"><div class="signature" id="s{k}">{m("Logged")}</div></div></div></div>'
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<div id="header"><h1 class="forumtitle"><a href="/">The board</a></h1></div><div id="main_menu">
        {menu("Help", "Search")}</div><div id="content_section"><div id="main_content_section"><div id="forumposts">{posts}</div>
        </div></div><div id="footer">{m("Powered by")}</div>""")  # fmt: skip


def stack_exchange(c: Content) -> str:
    user = (
        f'<div class="post-signature flex--item fl0"><div class="user-info"><div class="user-action-time">{m("asked May 3")}</div>'
        f'<div class="user-details"><a href="/u">{m("ann")}</a><span class="badgecount">{m("7")}</span></div></div></div>'
    )
    question, *answers = (
        f'<div class="s-prose js-post-body" itemprop="text">{paragraphs(text, math_container)}</div><div class="mt24 d-flex">'
        f'<div class="js-post-menu"><a href="q">{m("Share")}</a></div>{user}</div>'
        for text in c.texts
    )
    shown = "".join(
        f'<div id="answer-{k}" class="answer js-answer"><div class="post-layout"><div class="answercell">{text}</div></div></div>'
        for k, text in enumerate(answers)
    )
    return whole(c.title, f"""<header class="s-topbar">{menu("Log in", "Sign up")}</header><div class="container"><div
        id="left-sidebar" class="left-sidebar"><nav>{menu("Tags", "Users")}</nav></div><div id="content"><div id="question-header">
        <h1 itemprop="name"><a href="/q/1" class="question-hyperlink">{escape(c.title)}</a></h1></div><div id="mainbar"
        role="main"><div class="question js-question" id="question"><div class="post-layout"><div class="postcell">{question}</div>
        </div></div><div id="answers">{shown}</div></div><div id="sidebar" role="complementary"><div class="module
        sidebar-related"><h4>Related</h4>{menu("One", "Two")}</div></div></div></div><footer class="site-footer">{m("About")}</footer>
        """)  # fmt: skip


def mediawiki(c: Content) -> str:
    sections = "".join(
        f'<div class="mw-heading mw-heading2"><h2 id="S{k}">Part {k}</h2><span class="mw-editsection"><a href="e">{m("edit")}</a>'
        f"</span></div>{paragraphs(text, wiki_image)}"
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<div class="vector-header-container"><header class="vector-header mw-header">{menu("Main page",
        "Log in")}</header></div><div class="mw-page-container"><main id="content" class="mw-body"><header class="mw-body-header
        vector-page-titlebar"><h1 id="firstHeading" class="firstHeading mw-first-heading">{escape(c.title)}</h1></header><div
        id="bodyContent" class="vector-body"><div id="mw-content-text" class="mw-body-content"><div class="mw-content-ltr
        mw-parser-output">{sections}</div></div><div id="catlinks" class="catlinks">{menu("Category")}</div></div></main></div><div
        class="mw-footer-container"><footer id="footer" class="mw-footer">{m("Privacy policy")}</footer></div>""")  # fmt: skip


def dokuwiki(c: Content) -> str:
    sections = "".join(
        f'<h2 class="sectionedit{k}" id="s{k}">Part {k}</h2><div class="level2">{paragraphs(text, parentheses)}</div>'
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<div id="dokuwiki__site"><div id="dokuwiki__top" class="site dokuwiki"><div id="dokuwiki__header">
        <div class="pad group"><ul class="a11y skip"><li><a href="#c">{m("skip to content")}</a></li></ul><div class="tools group">
        <div id="dokuwiki__usertools">{menu("Log In")}</div></div></div></div><div class="wrapper group"><div id="dokuwiki__aside">
        <div class="pad aside include group">{menu("start", "sandbox")}</div></div><div id="dokuwiki__content"><div class="pad
        group"><div class="page group"><h1 class="sectionedit1" id="t">{escape(c.title)}</h1>{sections}</div></div></div></div><div
        id="dokuwiki__footer">{m("Last modified")}</div></div></div>""")  # fmt: skip


def confluence(c: Content) -> str:
    sections = "".join(f"<h2 id='id-{k}'>Part {k}</h2>{paragraphs(text, dollars)}" for k, text in enumerate(c.texts))
    return whole(c.title, f"""<div id="page"><div id="full-height-container"><header id="header" role="banner">{menu("Spaces",
        "People")}</header><div class="ia-splitter"><div class="acs-side-bar ia-scrollable-section"><nav>{menu("Pages", "Blog")}</nav>
        </div><div id="main" class="aui-page-panel"><div id="main-header"><h1 id="title-text" class="with-breadcrumbs">
        {escape(c.title)}</h1></div><div id="content" class="page view"><div id="main-content" class="wiki-content">{sections}</div>
        <div id="likes-and-labels-container">{m("No labels")}</div><div id="comments-section" class="pageSection">{m("Write a comment")}
        </div></div></div></div></div><div id="footer" role="contentinfo">{m("Report a bug")}</div></div>""")  # fmt: skip


def pretext(c: Content) -> str:
    sections = "".join(
        f'<section class="subsection" id="ss-{k}"><h3 class="heading"><span class="type">Part</span> <span class="codenumber">'
        f"1.{k}</span></h3>{paragraphs(text, knowl_process, 'div')}</section>"
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<a class="assistive" href="#ptx-content">{m("Skip to main content")}</a><header id="ptx-masthead"
        class="ptx-masthead">{m("A book")}</header><nav id="ptx-navbar" class="ptx-navbar">{menu("Prev", "Up")}</nav><div
        id="ptx-page" class="ptx-page"><div id="ptx-sidebar" class="ptx-sidebar"><nav id="ptx-toc" class="ptx-toc">{menu("Front")}</nav>
        </div><main class="ptx-main"><div id="ptx-content" class="ptx-content"><section class="section"><h2 class="heading">
        <span class="title">{escape(c.title)}</span></h2>{sections}</section></div><div id="ptx-content-footer"
        class="ptx-content-footer">{m("Top")}</div></main></div>""")  # fmt: skip


def libretexts(c: Content) -> str:
    sections = "".join(
        f'<h2 class="editable">Part {k}</h2>{paragraphs(text, parentheses)}' for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<header class="elm-header"><div class="elm-header-user-nav">{menu("Sign in")}</div></header><main
        class="elm-skin-container" data-mt-content-container=""><ol class="mt-breadcrumbs">{menu("Home")}</ol><article
        class="elm-content-container elm-content-guide"><header><h1 id="title">{escape(c.title)}</h1></header><section
        class="mt-content-container">{sections}</section><footer class="mt-content-footer">{m("Was this helpful?")}</footer></article>
        </main><footer class="elm-footer">{m("Powered by")}</footer>""")  # fmt: skip


def bookdown(c: Content) -> str:
    sections = "".join(
        f'<div id="s{k}" class="section level2"><h2><span class="header-section-number">1.{k}</span> Part</h2>'
        f"{paragraphs(text, pandoc_span)}</div>"
        for k, text in enumerate(c.texts)
    )
    return whole(c.title, f"""<div class="book without-animation with-summary font-size-2"><div class="book-summary"><nav
        role="navigation"><ul class="summary"><li>{m("1 Start")}</li></ul></nav></div><div class="book-body"><div class="body-inner">
        <div class="book-header fixed" role="navigation"><h1><a href="./">{m("A book")}</a></h1></div><div class="page-wrapper"
        role="main"><div class="page-inner"><section class="normal" id="section-"><div id="t" class="section level1"><h1>
        {escape(c.title)}</h1>{sections}</div></section></div></div></div><a href="n" class="navigation navigation-next"></a></div>
        </div>""")  # fmt: skip


def epub(c: Content) -> str:
    sections = "".join(
        f'<section epub:type="subchapter"><h2>Part {k}</h2>{paragraphs(text, mathml)}<a id="page{k}"/></section>'
        for k, text in enumerate(c.texts)
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml"'
        f' xmlns:epub="http://www.idpf.org/2007/ops"><head><title>{escape(c.title)}</title><script src="x.js"/></head><body'
        f' epub:type="bodymatter"><section epub:type="chapter"><h1>{escape(c.title)}</h1>{sections}</section></body></html>'
    )


def zhihu(c: Content) -> str:
    question, *answers = (paragraphs(text, zhihu_image) for text in c.texts)
    shown = "".join(
        f'<div class="List-item"><div class="ContentItem AnswerItem"><div class="ContentItem-meta"><div class="AuthorInfo'
        f' AnswerItem-authorInfo">{m("用户")}</div></div><div class="RichContent RichContent--unescapable"><span'
        f' class="RichText ztext CopyrightRichText-richText" itemprop="text">{text}</span><div class="ContentItem-actions'
        f' RichContent-actions"><button class="Button">{m("赞同")}</button></div></div></div></div>'
        for text in answers
    )
    return whole(c.title, f"""<div id="root"><header role="banner" class="AppHeader">{menu("首页", "登录")}</header><main role="main"
        class="App-main"><div class="QuestionPage"><div class="QuestionHeader"><h1 class="QuestionHeader-title">{escape(c.title)}</h1>
        <div class="QuestionHeader-detail"><div class="QuestionRichText"><span class="RichText ztext">{question}</span></div></div></div>
        <div class="Question-main"><div class="Question-mainColumn"><div id="QuestionAnswers-answers">{shown}</div></div><div
        class="Question-sideColumn"><div class="Card">{menu("相关推荐")}</div></div></div></div></main></div>""")  # fmt: skip


def csdn(c: Content) -> str:
    text = "".join(f"<h2><a id='_{k}'></a>Part {k}</h2>{paragraphs(t, katex)}" for k, t in enumerate(c.texts))
    return whole(c.title, f"""<div id="csdn-toolbar">{menu("博客", "登录")}</div><div class="main_father clearfix"><div class="container
        clearfix" id="mainBox"><main><div class="blog-content-box"><div class="article-header-box"><div class="article-header"><div
        class="article-title-box"><h1 class="title-article" id="articleContentId">{escape(c.title)}</h1></div></div></div><article
        class="baidu_pl"><div id="article_content" class="article_content clearfix"><div id="content_views"
        class="markdown_views prism-atom-one-dark">{text}</div></div></article></div><div class="recommend-box">{menu("推荐")}</div></main>
        <aside class="blog_container_aside">{menu("热门文章")}</aside></div></div>""")  # fmt: skip


def baidu_zhidao(c: Content) -> str:
    question, *answers = c.texts
    shown = "".join(
        f'<div class="wgt-answers"><div class="bd answer"><div class="line content"><div class="rich-content-container'
        f' rich-text-" id="answer-content-{k}"><div class="best-text mb-10">{paragraphs(text, zhihu_image)}</div></div></div></div>'
        f'<div class="wgt-replyer-all">{m("回答者")}</div></div>'
        for k, text in enumerate(answers)
    )
    return whole(c.title, f"""<div id="userbar">{menu("百度首页", "登录")}</div><div id="body" class="container"><div class="layout-wrap">
        <section class="line qb-section"><article class="grid qb-content" id="qb-content"><div id="wgt-ask" class="wgt-ask"><h1
        class="ask-title">{escape(c.title)}</h1><div class="line mt-10 q-content"><span class="con">
        {paragraphs(question, zhihu_image, "div")}</span></div></div>{shown}</article><aside class="grid-r qb-side">{menu("其他类似问题")}
        </aside></section></div></div><footer id="footer">{m("帮助")}</footer>""")  # fmt: skip


PLATFORMS: tuple[Callable[[Content], str], ...] = (
    moodle, canvas, blackboard, open_edx, discourse, phpbb, xenforo, vbulletin, smf, stack_exchange,
    mediawiki, dokuwiki, confluence, pretext, libretexts, bookdown, epub, zhihu, csdn, baidu_zhidao,
)  # fmt: skip
