"""The annotation page over HTTP: who is answered, what each call does, and that decisions last."""

import http.client
import json
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import mathwright
from mathwright.corpus.annotate.server import ASSETS, Server, annotate
from mathwright.corpus.annotate.session import Session
from mathwright.corpus.rules.rules import Rule, matching, read_rules, write_rules
from mathwright.errors import MathwrightError
from tests.corpus.annotate.annotate_run import make_run, small_run


@pytest.fixture
def run(tmp_path):
    return small_run(tmp_path / "run")


@pytest.fixture
def serve():
    servers = []

    def start(run, by="Ada"):
        server = Server(Session(run, by=by))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(server, method, path, body=None, *, token=None, **headers):
    """Status, headers and text of an answer; headers given as None are left out."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    given = {"X-Token": server.token if token is None else token, **headers}
    data = json.dumps(body).encode() if body is not None else None
    connection.putrequest(method, path, skip_host="Host" in given)
    for name, value in given.items():
        if value is not None:
            connection.putheader(name.replace("_", "-"), value)
    if data is not None:
        connection.putheader("Content-Length", str(len(data)))
    connection.endheaders(data)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def ask(server, path, body=None, status=200):
    found, _, text = send(server, "GET" if body is None else "POST", path, body)
    assert found == status, text
    return json.loads(text)


def decide(server, globs, decision, status=200, seen=None):
    body = {"globs": globs, "decision": decision, "seen": seen or dict.fromkeys(globs)}
    return ask(server, "/api/decide", body, status)


# --- who is answered ------------------------------------------------------------------------------


def test_the_page_needs_the_token_and_so_does_every_call(run, serve):
    server = serve(run)
    assert server.server_address[0] == "127.0.0.1"
    path = server.url.removeprefix(f"http://127.0.0.1:{server.server_port}")
    assert send(server, "GET", path, token="")[0] == 200
    for asset in ASSETS:
        assert send(server, "GET", asset)[0] == 403
        assert send(server, "GET", f"{asset}?token={server.token}x")[0] == 403
        assert send(server, "GET", f"{asset}?token={server.token}")[0] == 200
    assert send(server, "GET", "/api/progress", token="wrong")[0] == 403
    assert send(server, "GET", "/api/progress", token="wröng".encode().decode("latin-1"))[0] == 403
    assert send(server, "GET", f"/api/progress?token={server.token}", X_Token=None, token="x")[0] == 403
    assert send(server, "POST", "/api/undo", {}, token="wrong")[0] == 403


def test_a_site_whose_name_points_here_is_not_answered(run, serve):
    server = serve(run)
    path = f"/?token={server.token}"
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1:1", ""):
        assert send(server, "GET", path, Host=host)[0] == 421
        assert send(server, "POST", "/api/undo", {}, Host=host)[0] == 421
    assert send(server, "GET", path, Host=f"localhost:{server.server_port}")[0] == 200


def test_another_site_may_not_ask(run, serve):
    server = serve(run)
    body = {"globs": ["qa.org/*"], "decision": "accept", "seen": {"qa.org/*": None}}
    for origin in ("https://evil.example", "null", f"https://127.0.0.1:{server.server_port}"):
        assert send(server, "POST", "/api/decide", body, Origin=origin)[0] == 403
    assert not (run / "rules.toml").exists()
    assert send(server, "POST", "/api/decide", body, Origin=f"http://127.0.0.1:{server.server_port}")[0] == 200
    status, headers, _ = send(server, "OPTIONS", "/api/decide")
    assert status == 501 and not any(name.lower().startswith("access-control") for name in headers)


def test_the_page_runs_no_code_but_its_own_and_loads_nothing_from_elsewhere(run, serve):
    server = serve(run)
    for asset in ASSETS:
        _, headers, text = send(server, "GET", f"{asset}?token={server.token}")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"
        elsewhere = set(re.findall(r"https?://[\w./]+", text)) - {"http://www.w3.org/2000/svg"}  # a name, not fetched
        assert elsewhere == set()
        assert "{{token}}" not in text
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)


def test_the_files_of_the_page_are_in_the_package():
    import tomllib

    root = Path(mathwright.__file__).parents[1]
    data = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["mathwright"]
    package = Path(mathwright.__file__).parent
    packed = {path for pattern in data for path in package.glob(pattern)}
    assert {package / "corpus" / "annotate" / "page" / name for name, _ in ASSETS.values()} <= packed


def test_nonsense_is_refused_and_the_server_lives_on(run, serve):
    server = serve(run)
    assert ask(server, "/api/nothing", status=404)["error"]
    assert ask(server, "/api/domains?offset=x", status=400)["error"]
    assert ask(server, "/api/page?row=99999", status=400)["error"] == "no page 99999"
    assert ask(server, "/api/detail?node=domain:nowhere.org", status=400)["error"] == "no domain nowhere.org"
    assert ask(server, "/api/decide", {"globs": ["qa.org/*"], "decision": "maybe", "seen": {}}, 400)
    assert ask(server, "/api/decide", {"globs": ["qa.org/*"]}, 400)
    assert send(server, "POST", "/api/undo", {"x": "y" * 100_000})[0] == 413
    assert send(server, "POST", "/api/undo", None, Transfer_Encoding="chunked")[0] == 413
    assert ask(server, "/api/progress")["rules"] == 0


# --- what is shown --------------------------------------------------------------------------------


def test_candidate_domains_with_their_counts(run, serve):
    server = serve(run)
    answer = ask(server, "/api/domains")
    assert [(row["name"], row["collected"], row["pages"]) for row in answer["rows"]] == [
        ("qa.org/", 19, 51),
        ("book.org/", 11, 12),
        ("en.wiki.org/", 8, 10),
        ("de.wiki.org/", 2, 10),
    ]
    first = answer["rows"][0]
    assert first["low"] < first["share"] == 19 / 51 < first["high"]
    assert np.sum(first["bins"], axis=1).tolist() == [19, 32]
    assert ask(server, "/api/domains?show=all")["total"] == 5
    assert [row["name"] for row in ask(server, "/api/domains?query=WIKI")["rows"]] == ["en.wiki.org/", "de.wiki.org/"]
    assert ask(server, "/api/domains?offset=3")["rows"][0]["name"] == "de.wiki.org/"


def test_the_tree_is_walked_a_level_at_a_time(run, serve):
    server = serve(run)
    answer = ask(server, "/api/children?node=qa.org/")
    rows = [(row["name"], row["collected"], row["pages"], row["leaf"]) for row in answer["rows"]]
    assert rows == [("qa.org/questions/", 19, 21, False), ("qa.org/users/", 0, 30, True)]
    below = ask(server, "/api/children?node=qa.org/questions/")
    assert below["direct"] == 20 and [row["pages"] for row in below["rows"]] == [1]


def test_samples_are_random_at_the_cut_or_the_best(run, serve):
    server = serve(run)

    def scores(kind, turn=0):
        return [page["score"] for page in ask(server, f"/api/samples?node=qa.org/&kind={kind}&turn={turn}")]

    assert scores("best")[0] == pytest.approx(0.99) and scores("best") == sorted(scores("best"), reverse=True)
    assert scores("borderline")[0] == pytest.approx(0.6)  # the lowest that was collected
    assert not set(scores("borderline")) & set(scores("borderline", 1))
    assert scores("random") == scores("random") != scores("random", 1)
    assert ask(server, "/api/samples?node=qa.org/&kind=best&turn=50") == []
    page = ask(server, "/api/samples?node=book.org/&kind=best")[0]
    assert page["title"].startswith("Title") and page["url"].startswith("https://www.book.org/")
    assert len(page["text"]) == 500 < page["characters"] and "$x_{" in page["text"]
    whole = ask(server, f"/api/page?row={page['row']}")
    assert len(whole["text"]) == whole["characters"] and whole["text"].startswith(page["text"])


def test_a_glob_is_counted_while_it_is_written(run, serve):
    server = serve(run)

    def match(glob):
        return ask(server, f"/api/match?glob={glob}")

    assert match("qa.org/questions/1*")["pages"] == 11
    assert match("qa.org/questions/1*")["examples"][0] == "qa.org/questions/1"
    assert match("*.wiki.org/*")["pages"] == 20
    assert match("qa.org/nothing*") == {"pages": 0, "collected": 0, "examples": [], "rule": None}
    for glob, message in (
        ("qa.org", "no host"),
        ("", "empty"),
        ("qa.org/[a", "unclosed"),
        ("https://qa.org/", "scheme"),
    ):
        answer = match(glob)
        assert message in answer["error"] and answer["hint"]


# --- what is done ---------------------------------------------------------------------------------


def test_a_decision_is_in_the_file_at_once_and_says_who_and_when(run, serve):
    server = serve(run)
    progress = decide(server, ["qa.org/questions/*"], "accept")
    (rule,) = read_rules(run / "rules.toml")
    assert (rule.glob, rule.decision, rule.by) == ("qa.org/questions/*", "accept", "Ada")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", rule.when)
    assert rule.why == "iteration 1: 19 of 21 pages collected"
    assert (progress["decided"], progress["domains"], progress["accepted"]) == (1, 4, 19)
    users, questions = ask(server, "/api/rows", {"nodes": ["qa.org/users/", "qa.org/questions/"]})
    assert (users["accepted"], questions["accepted"], questions["joining"]) == (0, 21, 2)
    assert questions["decision"] == "accept" and users["decision"] is None
    assert [row["name"] for row in ask(server, "/api/domains?show=open")["rows"]] == [
        "book.org/",
        "en.wiki.org/",
        "de.wiki.org/",
    ]
    detail = ask(server, "/api/detail?node=qa.org/")
    assert [(r["glob"], r["pages"]) for r in detail["rules"]] == [("qa.org/questions/*", 21)]


def test_changing_ones_mind_and_undo(run, serve):
    server = serve(run)
    before = decide(server, ["book.org/*"], "accept")
    (rule,) = ask(server, "/api/rows", {"nodes": ["book.org/"]})[0]["rules"].values()
    decide(server, ["book.org/*"], "reject", seen={"book.org/*": rule})
    assert [r.decision for r in read_rules(run / "rules.toml")] == ["reject"]
    assert ask(server, "/api/undo", {})["undone"] == ["book.org/*"]
    assert [r.decision for r in read_rules(run / "rules.toml")] == ["accept"]
    again = ask(server, "/api/progress")  # as after a reload: it is the server that remembers
    assert again["undo"] == "book.org/*" and again["version"] == before["version"]
    assert ask(server, "/api/undo", {})["undone"] == ["book.org/*"]
    assert read_rules(run / "rules.toml") == []
    assert ask(server, "/api/undo", {})["undone"] == []
    assert ask(server, "/api/progress")["undo"] is None


def test_a_rule_is_taken_back(run, serve):
    server = serve(run)
    decide(server, ["book.org/*"], "accept")
    seen = ask(server, "/api/rows", {"nodes": ["book.org/"]})[0]["rules"]
    decide(server, ["book.org/*"], None, seen=seen)
    assert read_rules(run / "rules.toml") == []
    ask(server, "/api/undo", {})
    assert [r.glob for r in read_rules(run / "rules.toml")] == ["book.org/*"]


@pytest.mark.parametrize(
    ("glob", "message"), [("qa.org/nothing/*", "no page of this run matches"), ("qa.org", "no host")]
)
def test_a_wrong_glob_is_not_saved(run, serve, glob, message):
    assert message in decide(serve(run), [glob], "accept", status=400)["error"]
    assert not (run / "rules.toml").exists()


def test_two_people_at_once_see_each_other_and_overwrite_nothing(run, serve):
    ada, bob = serve(run, "Ada"), serve(run, "Bob")
    seen = ask(bob, "/api/rows", {"nodes": ["qa.org/"]})[0]["rules"]
    version = ask(bob, "/api/progress")["version"]
    decide(ada, ["qa.org/*"], "accept")
    answer = decide(bob, ["qa.org/*"], "reject", status=409, seen=seen)
    assert "Ada has decided accept for qa.org/*" in answer["error"] and "nothing was changed" in answer["error"]
    assert ask(bob, "/api/progress")["version"] != version  # by which the page sees it
    seen = ask(bob, "/api/rows", {"nodes": ["qa.org/"]})[0]["rules"]
    assert seen["qa.org/*"]["by"] == "Ada"
    decide(bob, ["qa.org/*"], "reject", seen=seen)
    assert "Bob has decided reject" in ask(ada, "/api/undo", {}, 409)["error"]
    assert [(r.by, r.decision) for r in read_rules(run / "rules.toml")] == [("Bob", "reject")]


def test_the_name_can_be_changed_but_not_to_none(run, serve):
    server = serve(run)
    assert ask(server, "/api/name", {"by": "  Grace   Hopper "})["by"] == "Grace Hopper"
    decide(server, ["book.org/*"], "accept")
    assert read_rules(run / "rules.toml")[0].by == "Grace Hopper"
    for name in ("", " ", "automatic", "x" * 101):
        assert "is no name of a person" in ask(server, "/api/name", {"by": name}, 400)["error"]


def test_a_file_broken_by_hand_meanwhile_is_said_and_not_overwritten(run, serve):
    server = serve(run)
    (run / "rules.toml").write_text("[[rule]\n")
    assert "rules.toml: not TOML" in decide(server, ["book.org/*"], "accept", status=400)["error"]
    assert "rules.toml: not TOML" in ask(server, "/api/progress", status=400)["error"]
    assert (run / "rules.toml").read_text() == "[[rule]\n"


def test_a_registered_domain_is_decided_with_all_its_hosts(tmp_path, serve):
    run = small_run(tmp_path / "run", unit="registered")
    server = serve(run)
    names = {row["name"]: row for row in ask(server, "/api/domains")["rows"]}
    wiki = names["wiki.org"]
    assert (wiki["pages"], wiki["collected"]) == (20, 10)
    hosts = ask(server, "/api/children?node=domain:wiki.org")["rows"]
    assert [row["name"] for row in hosts] == ["en.wiki.org/", "de.wiki.org/"]
    assert len(ask(server, "/api/samples?node=domain:wiki.org&kind=random")) == 8
    decide(server, list(wiki["rules"]), "accept")
    rules = read_rules(run / "rules.toml")
    assert [rule.glob for rule in rules] == ["wiki.org/*", "*.wiki.org/*"]
    urls = ["https://wiki.org/", "https://fr.wiki.org/x", "https://notwiki.org/"]
    assert matching(urls, rules).tolist() == [True, True, False]
    after = ask(server, "/api/rows", {"nodes": ["domain:wiki.org"]})[0]
    assert after["decision"] == "accept" and after["accepted"] == 20
    ask(server, "/api/undo", {})
    assert read_rules(run / "rules.toml") == []


# --- the command ----------------------------------------------------------------------------------


def test_auto_writes_proposals_by_automatic_and_leaves_people_alone(run, capsys):
    write_rules(run / "rules.toml", [Rule(glob="qa.org/users/*", decision="reject", by="Ada", why="")])
    annotate(run, auto=True)
    rules = read_rules(run / "rules.toml")
    assert [(r.glob, r.by) for r in rules] == [
        ("qa.org/users/*", "Ada"),
        ("book.org/*", "automatic"),  # qa.org has been looked at by Ada
    ]
    assert rules[1].when and rules[1].why == "iteration 1: 11 of 12 pages collected (0.65-0.99)"
    before = (run / "rules.toml").read_bytes()
    annotate(run, auto=True)
    assert (run / "rules.toml").read_bytes() == before
    output = " ".join(capsys.readouterr().err.split())
    assert "1 automatic rules added" in output and "rules.toml: 2 rules" in output


@pytest.mark.parametrize(
    ("spoil", "message", "hint"),
    [
        (lambda run: (run / "recipe.json").unlink(), "holds no run", "--out"),
        (lambda run: (run / "corpus").rename(run / "other"), "no corpus stage yet", "mathwright corpus RECIPE --out"),
        (lambda run: (run / "corpus/iteration-1.done.json").unlink(), "no finished iteration yet", "same command"),
        (lambda run: (run / "rules.toml").write_text('[[rule]]\nglob = "qa.org"\n'), "rule 1: missing", "a rule has"),
        (lambda run: (run / "rules.toml").write_bytes(b"\xff\xfe"), "not UTF-8", "UTF-8"),
        (lambda run: (run / "corpus/pool/pool.parquet").unlink(), "no such file", "corpus stage"),
    ],
)
def test_a_run_that_cannot_be_annotated_says_why(run, spoil, message, hint):
    spoil(run)
    with pytest.raises(MathwrightError, match=message) as caught:
        annotate(run, auto=True)
    assert hint in caught.value.hint


def test_a_half_written_iteration_is_passed_over_and_another_one_can_be_chosen(run):
    half = run / "corpus" / "iteration-2"
    half.mkdir()
    (half / "pages.parquet").write_bytes(b"PAR1")
    session = Session(run, by="Ada")
    assert session.pages.iteration == 1
    with pytest.raises(MathwrightError, match="no finished iteration 2") as caught:
        Session(run, by="Ada", iteration=2)
    assert caught.value.hint == "it has 1"


def test_a_pool_made_anew_since_is_said(run):
    (run / "corpus/pool/pool.parquet").unlink()
    make_run(run.parent / "other", ["https://a.org/"], np.array([0.9]))
    (run.parent / "other/corpus/pool/pool.parquet").rename(run / "corpus/pool/pool.parquet")
    with pytest.raises(MathwrightError, match="123 pages, the pool 1") as caught:
        Session(run, by="Ada")
    assert "started again" in caught.value.hint


def test_a_taken_port_is_said(run, serve):
    server = serve(run)
    with pytest.raises(MathwrightError, match=f"port {server.server_port}") as caught:
        annotate(run, by="Ada", port=server.server_port, browser=False)
    assert "--port" in caught.value.hint


def test_the_command_prints_its_address_and_ends_with_where_the_rules_are(run):
    import os
    import signal
    import subprocess
    import sys

    command = [sys.executable, "-m", "mathwright.cli", "corpus", "annotate", str(run), "--by", "Ada", "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", url)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"{run / 'rules.toml'}: 0 rules; 0 of 4 domains decided, 0% of the collected pages covered" in errors
    assert "continues with them" in errors


@pytest.mark.slow
def test_a_million_pages_are_shown_at_once(tmp_path, serve):
    """Half of them in one domain, each in a folder of its own."""
    num = 1_000_000
    urls = [
        f"https://qa.org/q/{i}/title" if i % 2 else f"https://site{i % 5000}.org/a{i % 7}/b{i % 11}/{i}"
        for i in range(num)
    ]
    folder = tmp_path / "run"
    scores = np.random.default_rng(0).random(num)
    make_run(folder, urls, scores, cut=0.8)
    server = serve(folder)
    for path in (
        "/api/progress",
        "/api/domains",
        "/api/children?node=qa.org/q/",
        "/api/detail?node=qa.org/",
        "/api/match?glob=qa.org/q/*7/*",
        "/api/samples?node=qa.org/&kind=borderline",
    ):
        started = time.process_time()  # of the server, too: a thread of ours
        _, _, text = send(server, "GET", path)
        seconds = time.process_time() - started
        print(f"{path}: {seconds:.2f} s, {len(text):,} bytes")
        assert len(text) < 200_000, path
        assert seconds < 5, path  # each takes well under two
