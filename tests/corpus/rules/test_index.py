"""The index of prefixes against naive counting, and at the size of a large domain."""

import fnmatch
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.rules.index import PrefixIndex, prefix_glob, split_glob
from mathwright.corpus.rules.rules import Decision, Rule, matching, merge_rules
from mathwright.corpus.urls import address

segments = st.sampled_from(["a", "b", "a-b", "ä", "数学", "x[1]", "*", "", "a b", "\U0010ffff"])
addresses = st.builds(
    lambda host, path: f"http://{host}/{'/'.join(path)}",
    st.sampled_from(["a.org", "a.org.uk", "b.org", "www.a.org"]),
    st.lists(segments, max_size=4),
)
pools = st.lists(st.tuples(addresses, st.booleans()), min_size=1, max_size=40)


def index_of(pages):
    return PrefixIndex([url for url, _ in pages], np.array([c for _, c in pages], dtype=bool))


def naive_children(pages, prefix):
    """Pages and collected pages of each prefix one segment below, counted from the definition."""
    counts, taken = Counter(), Counter()
    for url, is_collected in pages:
        segment, slash, _ = address(url).removeprefix(prefix).partition("/")
        if address(url).startswith(prefix) and slash:
            counts[f"{prefix}{segment}/"] += 1
            taken[f"{prefix}{segment}/"] += is_collected
    return [(name, counts[name], taken[name]) for name in counts]


@given(
    pages=pools, prefix=st.sampled_from(["", "a.org/", "a.org/a/", "a.org/a/b/", "a.org/数学/", "b.org/x[1]/", "z/"])
)
def test_children_are_those_of_naive_counting(pages, prefix):
    index = index_of(pages)
    children = index.children(prefix)
    found = [
        (index.child_name(prefix, int(start)), int(stop - start), int(collected))
        for start, stop, collected in zip(children.start, children.stop, children.collected, strict=True)
    ]
    assert sorted(found) == sorted(naive_children(pages, prefix))
    for name, num_pages, num_collected in found:
        share = index.share(name)
        assert (share.num_pages, share.num_collected) == (num_pages, num_collected)


@given(
    pages=pools, glob=st.sampled_from(["a.org/*", "a.org/a", "*", "a.org/[ab]/*", "?.org/*", "a.org/x[[]1]/*", "a.*/"])
)
def test_a_glob_matches_what_fnmatch_matches(pages, glob):
    index = index_of(pages)
    mask = np.zeros(len(pages), dtype=bool)
    mask[index.rows[index.matching(glob)]] = True
    urls = [url for url, _ in pages]
    assert mask.tolist() == [fnmatch.fnmatchcase(address(url), glob) for url in urls]
    rules = [Rule(glob=glob, decision="accept", by="", why="")]
    if "/" in glob:
        assert matching(urls, rules).tolist() == mask.tolist()


@given(prefix=st.text(alphabet="ab/[]*?!^-", max_size=12), rest=st.text(alphabet="ab/[]*?", max_size=6))
def test_a_prefix_becomes_a_glob_that_means_it(prefix, rest):
    assert split_glob(prefix_glob(prefix)) == (prefix, "*")
    assert fnmatch.fnmatchcase(prefix + rest, prefix_glob(prefix))


def test_flags_of_another_length_are_refused():
    with pytest.raises(ValueError, match="2 URLs but 1 flags"):
        PrefixIndex(["http://a.org/", "http://b.org/"], np.array([True]))


def test_automatic_rules_give_way_where_a_person_has_decided():
    def rule(glob, by, decision: Decision = "accept"):
        return Rule(glob=glob, decision=decision, by=by, why="")

    people = [rule("qa.org/questions/*", "Ada"), rule("*.shop/*", "Ada", "reject")]
    automatic = [rule("qa.org/*", "automatic"), rule("book.org/*", "automatic"), rule("a.shop/x/*", "automatic")]
    merged = merge_rules(people, automatic)
    assert [r.glob for r in merged] == ["qa.org/questions/*", "*.shop/*", "book.org/*", "a.shop/x/*"]
    assert merge_rules([rule("a.org/*", "Ada"), rule("a.org/*", "Bob", "reject")], ())[0].by == "Ada"


@pytest.mark.slow
def test_a_domain_of_a_million_pages_in_as_many_folders_is_walked_at_once():
    num = 1_000_000
    index = PrefixIndex((f"https://qa.org/q/{i}/title" for i in range(num)), np.arange(num) % 3 == 0)
    started = time.process_time()
    children = index.children("qa.org/q/")
    assert len(children) == num and children.collected.sum() == index.share("qa.org/").num_collected == 333_334
    assert time.process_time() - started < 5
