"""A rules file that a person and the page change in turn: nothing of the person's is lost, nobody is overwritten."""

import multiprocessing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.rules.file import Conflict, RulesFile
from mathwright.corpus.rules.rules import Decision, Rule, read_rules, write_rules
from mathwright.errors import MathwrightError
from tests.properties import examples

BY_HAND = """# Rules of our group. Ask Ada before changing them.
[[rule]]
glob = "a.org/*"
decision = "accept"
by = "Ada"
why = '''
# looks like a comment,

but is none'''

# Question and answer sites

# only the questions
[[rule]]  # checked
glob = "qa.org/questions/*"
decision = "accept"
by = "Ada"
when = 2024-02-29
why = "TeX on most pages"

# profiles and badges
[[rule]]
glob = "qa.org/users/*"
decision = "reject"
by = "Bob"
why = ""
# the end
"""


def rule(glob, decision: Decision = "accept", by="Cy", why="", when="2026-01-01T00:00:00Z"):
    return Rule(glob=glob, decision=decision, by=by, why=why, when=when)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "rules.toml").write_text(BY_HAND)
    return RulesFile(tmp_path / "rules.toml")


def test_an_appended_rule_leaves_the_rest_byte_for_byte(file):
    new = rule("new.org/*")
    assert file.change({new.glob: new}, {new.glob: None}) == {new.glob: None}
    text = file.path.read_text()
    assert text.startswith(BY_HAND)
    assert text.removeprefix(BY_HAND) == (
        '\n[[rule]]\nglob = "new.org/*"\ndecision = "accept"\nby = "Cy"\nwhen = "2026-01-01T00:00:00Z"\nwhy = ""\n'
    )
    assert file.rules()[-1] == new and len(file.rules()) == 4


def test_a_changed_rule_keeps_its_place_and_the_comment_above_it(file):
    old = file.rules()[1]
    new = rule(old.glob, "reject", why="spam")
    assert file.change({old.glob: new}, {old.glob: old}) == {old.glob: old}
    head, tail = BY_HAND.split("[[rule]]  # checked\n")
    assert file.path.read_text() == (
        f"{head}[[rule]]\nglob = {chr(34)}{old.glob}{chr(34)}\n"
        'decision = "reject"\nby = "Cy"\nwhen = "2026-01-01T00:00:00Z"\nwhy = "spam"\n'
        + tail[tail.index("\n# profiles") :]
    )


def test_a_removed_rule_takes_its_own_comment_with_it_and_no_other(file):
    old = file.rules()[1]
    file.change({old.glob: None}, {old.glob: old})
    text = file.path.read_text()
    assert "only the questions" not in text and "qa.org/questions" not in text
    assert "# Question and answer sites\n\n# profiles and badges\n[[rule]]" in text
    assert [r.glob for r in file.rules()] == ["a.org/*", "qa.org/users/*"]
    for left in file.rules():
        file.change({left.glob: None}, {left.glob: left})
    assert file.rules() == []
    assert "# Rules of our group." in file.path.read_text() and "# the end" in file.path.read_text()


OTHER_LAYOUT = """# top

  [[ rule ]]   # Ada's
  why   = 'literal "quotes"'   # said in a meeting
    # inside the rule
  by = "Ada"
  "glob" = "a.org/x/*"
  decision='accept'
  when = 2024-02-29T13:05:00Z

# of Bob
[[rule]]
glob = "b.org/*"
decision = "reject"
by = "Bob"
why = """
OTHER_LAYOUT += '"""\nseveral\n# lines\n\nin a row"""\n'


def test_a_layout_of_ones_own_stays_byte_for_byte_around_a_change(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(OTHER_LAYOUT)
    file = RulesFile(path)
    old = file.rules()[1]
    file.change({old.glob: rule(old.glob, "accept")}, {old.glob: old})
    head, _, _ = OTHER_LAYOUT.partition("[[rule]]\n")
    assert path.read_text().startswith(head + '[[rule]]\nglob = "b.org/*"\ndecision = "accept"\n')
    assert [(r.glob, r.by, r.why) for r in file.rules()] == [
        ("a.org/x/*", "Ada", 'literal "quotes"'),
        ("b.org/*", "Cy", ""),
    ]


def test_what_has_been_decided_meanwhile_is_not_overwritten(file):
    glob = "qa.org/users/*"
    before = file.path.read_bytes()
    with pytest.raises(Conflict, match=r"Bob has decided reject for qa.org/users/\* meanwhile"):
        file.change({"new.org/*": rule("new.org/*"), glob: rule(glob)}, {})
    with pytest.raises(Conflict, match="has been removed"):
        file.change({"gone.org/*": None}, {"gone.org/*": rule("gone.org/*")})
    assert file.path.read_bytes() == before


def test_a_change_by_hand_is_seen(file):
    assert len(file.rules()) == 3
    file.path.write_text(BY_HAND.replace('decision = "reject"', 'decision = "accept"'))
    assert file.rules()[2].decision == "accept"
    file.path.unlink()
    assert file.rules() == []


def test_the_second_rule_of_a_glob_never_counted_and_goes_with_a_change(file):
    file.path.write_text(BY_HAND + '\n[[rule]]\nglob = "a.org/*"\ndecision = "reject"\nby = "Bob"\nwhy = ""\n')
    first = file.rules()[0]
    file.change({first.glob: rule(first.glob, why="new")}, {first.glob: first})
    assert [(r.glob, r.why) for r in file.rules()] == [
        ("a.org/*", "new"),
        ("qa.org/questions/*", "TeX on most pages"),
        ("qa.org/users/*", ""),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'rule = [{glob = "a.org/*", decision = "accept", by = "", why = ""}]\n',
            r"not each below a line \[\[rule\]\]",
        ),
        ("[[rule]\n", "not TOML"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_changed_is_named_and_left_alone(tmp_path, text, message):
    path = tmp_path / "rules.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = path.read_bytes()
    with pytest.raises(MathwrightError, match=message):
        RulesFile(path).change({"b.org/*": rule("b.org/*")}, {})
    assert path.read_bytes() == before


def test_a_wrong_glob_is_not_written(file):
    with pytest.raises(MathwrightError, match="has no host and path"):
        file.change({"a.org": rule("a.org")}, {})
    assert file.path.read_text() == BY_HAND


def test_windows_line_ends_are_read(file):
    file.path.write_bytes(BY_HAND.replace("\n", "\r\n").encode())
    old = file.rules()[2]
    file.change({old.glob: rule(old.glob)}, {old.glob: old})
    assert file.rules()[2] == rule(old.glob)


globs = st.sampled_from([f"{host}.org/{path}*" for host in "abc" for path in ("", "x/", "[[]/", '"/')])


@examples(40)
@given(steps=st.lists(st.tuples(globs, st.sampled_from(["accept", "reject", None])), max_size=12))
def test_any_chain_of_changes_gives_the_rules_of_a_dictionary(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("rules") / "rules.toml"
    write_rules(path, [])
    file, expected = RulesFile(path), {}
    for glob, decision in steps:
        new = rule(glob, decision, why="x\ny") if decision else None
        file.change({glob: new}, {glob: expected.get(glob)})
        expected = {**expected, glob: new} if new else {g: r for g, r in expected.items() if g != glob}
        assert {r.glob: r for r in read_rules(path)} == expected


def _append(path, name):
    file = RulesFile(path)
    for i in range(25):
        glob = f"{name}.org/{i}/*"
        file.change({glob: rule(glob, by=name)}, {glob: None})


def test_two_processes_lose_no_rule(tmp_path):
    path = tmp_path / "rules.toml"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append, args=(path, name)) for name in ("ada", "bob")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {r.glob for r in read_rules(path)} == {f"{name}.org/{i}/*" for name in ("ada", "bob") for i in range(25)}
