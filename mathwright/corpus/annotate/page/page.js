// The annotation page. All text of pages and URLs goes into text nodes: nothing from the web is ever parsed as HTML.
"use strict";

const TOKEN = document.documentElement.dataset.token;
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);
const tree = $("tree"), detail = $("detail");

// A node: {row, level, parent, open, children (ids, or null if not asked), total, direct}
const nodes = new Map();
let top_ = { ids: [], total: 0 };
let chosen = null; // id of the selected node
let editing = null; // id of the node whose glob is edited
let editorGlob = ""; // what stands in the editor, kept over renderings
let samples = { shown: false, kind: "random", turn: 0 };
let progress = null;
let busy = false;

// --- talking to the server -----------------------------------------------------------------------

async function ask(path, values = {}, post = false) {
  const url = post ? path : `${path}?${new URLSearchParams(values)}`;
  const headers = { "X-Token": TOKEN };
  const options = post
    ? { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: JSON.stringify(values) }
    : { headers };
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new Error("The server does not answer: start the command again. Saved decisions are in the rules file.");
  }
  const value = await response.json();
  if (!response.ok) throw new Error(value.error + (value.hint ? ` – ${value.hint}` : ""));
  return value;
}

let toastTimer = 0;
function toast(message, wrong = false) {
  const box = $("toast");
  box.textContent = message;
  box.className = wrong ? "shown wrong" : "shown";
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (box.className = ""), wrong ? 7000 : 2500);
}

const attempt = (work) => work().catch((error) => toast(error.message, true));

// --- making elements ------------------------------------------------------------------------------

function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null) made.setAttribute(key, value);
  }
  made.append(...content.filter((part) => part !== null));
  return made;
}

function shape(name, attributes, ...content) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

const number = (value) => value.toLocaleString("en");
const percent = (value) => (value > 0 && value < 0.005 ? "<1%" : `${Math.round(100 * value)}%`);

function shareBar(row, width = 96) {
  const x = (value) => value * width;
  return shape(
    "svg", { width, height: 14, role: "img", "aria-label": `${percent(row.low)} to ${percent(row.high)}` },
    shape("title", {}, `95% interval ${(100 * row.low).toFixed(1)}% to ${(100 * row.high).toFixed(1)}%`),
    shape("rect", { class: "ground", x: 0, y: 4, width, height: 6, rx: 3 }),
    shape("rect", { class: "taken", x: 0, y: 4, width: x(row.share), height: 6, rx: 3 }),
    shape("line", { class: "whisker", x1: x(row.low), x2: x(row.high), y1: 7, y2: 7 }),
    shape("line", { class: "whisker", x1: x(row.low), x2: x(row.low), y1: 4, y2: 10 }),
    shape("line", { class: "whisker", x1: x(row.high), x2: x(row.high), y1: 4, y2: 10 }),
  );
}

function histogram(bins, width, height, cut = null, edges = null) {
  const [taken, rest] = bins;
  const most = Math.max(1, ...taken.map((count, i) => count + rest[i]));
  const step = width / taken.length;
  const bars = [];
  taken.forEach((count, i) => {
    // A bin with a page stays visible however many others have.
    const high = (value) => (value ? Math.max(1, (value / most) * height) : 0);
    const box = { x: i * step, width: step - 1 };
    if (count) bars.push(shape("rect", { class: "taken", ...box, y: height - high(count), height: high(count) }));
    if (rest[i]) bars.push(shape("rect", { class: "rest", ...box, y: height - high(count) - high(rest[i]), height: high(rest[i]) }));
  });
  bars.push(shape("rect", { class: "ground", x: 0, y: height, width, height: 1 }));
  if (cut !== null && edges) {
    const x = ((cut - edges[0]) / (edges[edges.length - 1] - edges[0])) * width;
    bars.push(shape("line", { class: "cut-line", x1: x, x2: x, y1: -4, y2: height + 3 }));
  }
  return shape("svg", { width, height: height + 2, viewBox: `0 0 ${width} ${height + 2}`, role: "img", "aria-label": "pages by score" }, ...bars);
}

function chip(row) {
  const word = { accept: "accepted", reject: "rejected" };
  const make = (text, kind, title) => element("span", { class: `chip ${kind}`, title }, text);
  if (row.decision) return make(word[row.decision], row.decision, "by a rule of this prefix");
  const some = Object.values(row.rules).find((rule) => rule);
  if (some) return make("partly", "partly", `${some.glob} ${word[some.decision]}`);
  if (row.accepted === row.pages) return make("accepted", "accept inherited", "by rules of other prefixes");
  if (row.rejected === row.pages) return make("rejected", "reject inherited", "by rules of other prefixes");
  const covered = row.accepted + row.rejected;
  if (!covered) return "";
  return make(`${percent(covered / row.pages)} decided`, "partly", `${number(row.accepted)} pages accepted, ${number(row.rejected)} rejected`);
}

// --- the tree -------------------------------------------------------------------------------------

function keep(row, level, parent) {
  const known = nodes.get(row.node);
  if (known) known.row = row;
  else nodes.set(row.node, { row, level, parent, open: false, children: null, total: 0, direct: 0 });
  return row.node;
}

function* visible(ids = top_.ids) {
  for (const id of ids) {
    yield id;
    const node = nodes.get(id);
    if (node.open && node.children) yield* visible(node.children);
  }
}

function shortName(id) {
  const { row, parent } = nodes.get(id);
  const above = parent && !parent.startsWith("domain:") ? nodes.get(parent).row.name : "";
  const name = above ? row.name.slice(above.length) : row.name;
  return above ? name : name.replace(/\/$/, "");
}

function rowElement(id) {
  const { row, level, open } = nodes.get(id);
  const twist = row.leaf
    ? element("span", { class: "twist" })
    : element("button", { class: "twist", tabindex: -1, "aria-label": open ? "close" : "open", onclick: (event) => { event.stopPropagation(); choose(id); attempt(() => setOpen(id, !open)); } }, open ? "▾" : "▸");
  const label = element("div", { class: "label", role: "gridcell", title: row.name }, twist, element("span", { class: "text" }, shortName(id)));
  label.style.paddingLeft = `${(level - 1) * 16}px`;
  return element(
    "div",
    {
      class: "row", role: "row", id: `row:${id}`, "data-node": id, "aria-level": level, "aria-selected": id === chosen,
      "aria-expanded": row.leaf ? null : String(open), onclick: () => choose(id),
      ondblclick: () => attempt(() => setOpen(id, !nodes.get(id).open)),
    },
    label,
    element("div", { class: "share", role: "gridcell" }, element("span", {}, percent(row.share)), shareBar(row)),
    element("div", { class: "counts", role: "gridcell" }, number(row.collected), element("small", {}, ` / ${number(row.pages)}`)),
    element("div", { role: "gridcell" }, histogram(row.bins, 96, 20)),
    element("div", { role: "gridcell" }, chip(row)),
  );
}

function listElements(ids, level, more) {
  const made = [];
  for (const id of ids) {
    const node = nodes.get(id);
    made.push(rowElement(id));
    if (id === editing) made.push(editor(id));
    if (!node.open || !node.children) continue;
    made.push(...listElements(node.children, level + 1, node.children.length < node.total ? () => loadChildren(id) : null));
    if (node.direct && node.children.length) {
      const note = element("div", { class: "note" }, `${number(node.direct)} ${node.direct === 1 ? "page" : "pages"} directly in ${node.row.name}`);
      note.style.paddingLeft = `${level * 16 + 34}px`;
      made.push(note);
    }
  }
  if (more) {
    const button = element("button", { onclick: () => attempt(more) }, "Show more");
    made.push(element("div", { class: "more" }, button));
  }
  return made;
}

function render() {
  const more = top_.ids.length < top_.total ? () => loadTop(false) : null;
  const scroll = tree.scrollTop;
  tree.replaceChildren(...listElements(top_.ids, 1, more));
  if (!top_.ids.length) tree.append(element("div", { class: "note" }, emptyMessage()));
  tree.scrollTop = scroll;
  if (chosen) tree.setAttribute("aria-activedescendant", `row:${chosen}`);
  $("total").textContent = `${number(top_.total)} ${top_.total === 1 ? "domain" : "domains"}`;
}

function emptyMessage() {
  if ($("search").value) return "No domain with this in its name.";
  if ($("show").value === "open" && progress && progress.domains) return "All candidate domains are decided.";
  return "No domain is mathematical by the run's rule (corpus.domain_share, corpus.domain_min_pages). Look at all domains.";
}

async function loadTop(anew = true) {
  const asked = { show: $("show").value, query: $("search").value.trim(), offset: anew ? 0 : top_.ids.length };
  const answer = await ask("/api/domains", asked);
  if (asked.query !== $("search").value.trim() || asked.show !== $("show").value) return; // typed on meanwhile
  const ids = answer.rows.map((row) => keep(row, 1, null));
  top_ = { ids: anew ? ids : [...top_.ids, ...ids], total: answer.total };
  if (anew) editing = null;
  render();
  if (anew && ![...visible()].includes(chosen)) choose(top_.ids[0] ?? null);
}

async function loadChildren(id) {
  const node = nodes.get(id);
  const answer = await ask("/api/children", { node: id, offset: (node.children || []).length });
  const ids = answer.rows.map((row) => keep(row, node.level + 1, id));
  Object.assign(node, { children: [...(node.children || []), ...ids], total: answer.total, direct: answer.direct });
  if (!node.children.length) {
    node.row.leaf = true;
    node.open = false;
    toast(`no folders below ${node.row.name}`);
  }
  render();
}

async function setOpen(id, open) {
  const node = nodes.get(id);
  if (node.row.leaf) return;
  node.open = open;
  if (open && !node.children) await loadChildren(id);
  render();
}

function choose(id) {
  chosen = id;
  samples.turn = 0;
  for (const row of tree.querySelectorAll(".row")) row.setAttribute("aria-selected", String(row.dataset.node === id));
  if (id === null) {
    tree.removeAttribute("aria-activedescendant");
    detail.replaceChildren();
    return;
  }
  tree.setAttribute("aria-activedescendant", `row:${id}`);
  document.getElementById(`row:${id}`)?.scrollIntoView({ block: "nearest" });
  clearTimeout(choose.timer); // while j is held down nothing is asked
  choose.timer = setTimeout(() => attempt(showDetail), 120);
}

function move(steps) {
  const list = [...visible()];
  const place = list.indexOf(chosen);
  choose(list[Math.min(list.length - 1, Math.max(0, place + steps))] ?? null);
}

function goOn() {
  // To the next row that is not below the decided one.
  const list = [...visible()];
  const level = nodes.get(chosen).level;
  const next = list.slice(list.indexOf(chosen) + 1).find((id) => nodes.get(id).level <= level);
  if (next) choose(next);
}

function goToOpenDomain() {
  const list = top_.ids;
  let domain = chosen;
  while (domain && nodes.get(domain).parent) domain = nodes.get(domain).parent;
  const start = list.indexOf(domain) + 1;
  const isOpen = (id) => !(nodes.get(id).row.accepted + nodes.get(id).row.rejected);
  const next = [...list.slice(start), ...list.slice(0, start)].find(isOpen);
  if (next) choose(next);
  else toast("every domain in this list is decided");
}

// --- decisions ------------------------------------------------------------------------------------

async function refresh() {
  // Rows on the screen change with any rule: their own, those above and below them.
  const ids = [...visible()];
  for (const row of await ask("/api/rows", { nodes: ids }, true)) nodes.get(row.node).row = row;
  render();
  await showDetail();
}

async function change(path, values) {
  // One at a time: a second key press must not be decided on rows that the first is about to change.
  if (busy) return false;
  busy = true;
  try {
    showProgress(await ask(path, values, true));
    return true;
  } catch (error) {
    showProgress(await ask("/api/progress"));
    toast(error.message, true);
    return false;
  } finally {
    await refresh().catch((error) => toast(error.message, true));
    busy = false;
  }
}

async function decide(decision) {
  if (!chosen) return;
  const { row } = nodes.get(chosen);
  if (decision === null && !Object.values(row.rules).some((rule) => rule)) return toast("this prefix has no rule of its own");
  if (await change("/api/decide", { globs: Object.keys(row.rules), decision, seen: row.rules })) {
    toast(decision === null ? `no rule for ${row.name} any more` : `${decision}ed ${row.name}`);
    if (decision !== null) goOn();
  }
}

async function undo() {
  if (!progress.undo) return toast("nothing to undo");
  const glob = progress.undo;
  if (await change("/api/undo", {})) toast(`undone: ${glob}`);
}

async function rename() {
  const by = prompt("Who decides? The name is kept with each rule.", progress.by);
  if (by !== null) await change("/api/name", { by });
}

// --- the editor of a glob -------------------------------------------------------------------------

function edit(id) {
  editing = id;
  editorGlob = Object.keys(nodes.get(id).row.rules)[0];
  render();
  const input = $("glob");
  input.focus();
  input.setSelectionRange(editorGlob.length, editorGlob.length);
  attempt(countGlob);
}

function closeEditor() {
  editing = null;
  render();
  tree.focus();
}

function editor(id) {
  const input = element("input", {
    id: "glob", value: editorGlob, spellcheck: "false", autocomplete: "off", "aria-label": "Glob", "aria-describedby": "live",
    oninput: (event) => {
      editorGlob = event.target.value;
      matched = null;
      clearTimeout(editor.timer);
      editor.timer = setTimeout(() => attempt(countGlob), 120);
    },
    onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Escape") closeEditor();
      if (event.key === "Enter") attempt(() => decideGlob(event.shiftKey ? "reject" : "accept"));
    },
  });
  const box = element(
    "div", { class: "editor", onclick: (event) => event.stopPropagation() },
    input,
    element("div", { class: "live", id: "live", role: "status" }, "…"),
    element(
      "div", { class: "buttons" },
      element("button", { class: "accept", onclick: () => attempt(() => decideGlob("accept")) }, element("kbd", {}, "Enter"), " Accept"),
      element("button", { class: "reject", onclick: () => attempt(() => decideGlob("reject")) }, element("kbd", {}, "Shift Enter"), " Reject"),
      element("button", { onclick: closeEditor }, element("kbd", {}, "Esc"), " Cancel"),
      element("span", { class: "quiet" }, "* any text, also across /; ? one character; [ab] one of these"),
    ),
  );
  return box;
}

let matched = null; // the last answer about editorGlob
async function countGlob() {
  const glob = editorGlob;
  const answer = await ask("/api/match", { glob });
  const live = $("live");
  if (glob !== editorGlob || !live) return; // typed on meanwhile
  matched = { glob, ...answer };
  const isWrong = Boolean(answer.error) || answer.pages === 0;
  live.className = isWrong ? "live wrong" : "live";
  $("glob").setAttribute("aria-invalid", String(isWrong));
  if (answer.error) live.replaceChildren(`${answer.error}. ${answer.hint}`);
  else if (!answer.pages) live.replaceChildren("No page of this run matches.");
  else {
    const rule = answer.rule ? ` Now ${answer.rule.decision}ed by ${answer.rule.by}.` : "";
    live.replaceChildren(
      element("b", {}, number(answer.pages)), answer.pages === 1 ? " page matches, " : " pages match, ", element("b", {}, number(answer.collected)),
      ` of them collected (${percent(answer.collected / answer.pages)}).${rule}`, element("br"), answer.examples.join(" · "),
    );
  }
}

async function decideGlob(decision) {
  clearTimeout(editor.timer);
  if (!matched || matched.glob !== editorGlob) await countGlob();
  if (matched.error || !matched.pages) return $("glob").focus();
  const { glob, rule } = matched;
  if (await change("/api/decide", { globs: [glob], decision, seen: { [glob]: rule } })) {
    toast(`${decision}ed ${glob}`);
    closeEditor();
  }
}

// --- the chosen prefix ----------------------------------------------------------------------------

async function showDetail() {
  if (!chosen) return;
  const id = chosen;
  const answer = await ask("/api/detail", { node: id });
  if (id !== chosen) return;
  const { row, rules, proposed, edges, cut } = answer;
  const scroll = detail.scrollTop;
  const figure = (value, text) => element("span", {}, element("b", {}, value), ` ${text}`);
  const low = (100 * row.low).toFixed(1), high = (100 * row.high).toFixed(1);
  detail.replaceChildren(
    element("h2", {}, row.name),
    element(
      "div", { class: "figures" },
      figure(number(row.pages), row.pages === 1 ? "page" : "pages"),
      figure(number(row.collected), `collected (${(100 * row.share).toFixed(1)}%, interval ${low}–${high}%)`),
      row.accepted ? figure(number(row.accepted), `accepted, ${number(row.joining)} of them not collected: these join the seed`) : null,
      row.rejected ? figure(number(row.rejected), "rejected") : null,
    ),
    element(
      "div", { class: "buttons" },
      element("button", { class: "accept", onclick: () => attempt(() => decide("accept")) }, element("kbd", {}, "a"), " Accept"),
      element("button", { class: "reject", onclick: () => attempt(() => decide("reject")) }, element("kbd", {}, "r"), " Reject"),
      element("button", { onclick: () => edit(chosen) }, element("kbd", {}, "e"), " Edit glob"),
      element("button", { onclick: () => attempt(() => decide(null)), disabled: !Object.values(row.rules).some((rule) => rule) }, element("kbd", {}, "c"), " Clear"),
    ),
    element("h3", {}, "Pages by score"),
    histogram(row.bins, 330, 70, cut, edges),
    axis(edges),
    element(
      "div", { class: "legend" },
      element("span", {}, element("i", { class: "taken" }), "collected"),
      element("span", {}, element("i", { class: "rest" }), "not collected"),
      cut === null ? null : element("span", {}, element("i", { class: "cut" }), `lowest collected score, ${cut.toFixed(3)}`),
    ),
    ...ruleList("Rules that concern these pages", rules, (rule) =>
      element("button", { onclick: () => attempt(() => clearRule(rule)) }, "Clear")),
    ...ruleList("Proposed", proposed, (rule) =>
      element("button", { class: "accept", onclick: () => attempt(() => acceptProposed(rule)) }, "Accept")),
    element("h3", {}, "Sample pages"),
    sampleButtons(),
    element("div", { id: "samples" }),
  );
  detail.scrollTop = scroll;
  if (samples.shown) await showSamples();
}

function axis(edges) {
  const made = element("div", { class: "axis" }, element("span", {}, edges[0].toFixed(3)), element("span", {}, "score"), element("span", {}, edges[edges.length - 1].toFixed(3)));
  made.style.width = "330px";
  made.style.maxWidth = "100%";
  return made;
}

function ruleList(title, rules, button) {
  if (!rules.length) return [];
  const made = rules.map((rule) => {
    const when = rule.when ? `, ${rule.when.replace("T", " ").replace("Z", " UTC")}` : "";
    const counts = rule.pages === undefined ? "" : ` · ${number(rule.pages)} pages`;
    const who = rule.pages === undefined ? "" : ` by ${rule.by}${when}${counts}`;
    return element(
      "div", { class: "rule" },
      element("div", { class: "line" }, element("code", {}, rule.glob), button(rule)),
      element("div", { class: "who" }, element("span", { class: `chip ${rule.decision}` }, rule.decision), who),
      element("div", { class: "who" }, rule.why),
    );
  });
  return [element("h3", {}, title), ...made];
}

const RULE_FIELDS = ["glob", "decision", "by", "why", "when"];
const pure = (rule) => rule && Object.fromEntries(RULE_FIELDS.map((name) => [name, rule[name]]));

async function clearRule(rule) {
  if (await change("/api/decide", { globs: [rule.glob], decision: null, seen: { [rule.glob]: pure(rule) } })) {
    toast(`no rule for ${rule.glob} any more`);
  }
}

async function acceptProposed(rule) {
  if (await change("/api/decide", { globs: [rule.glob], decision: "accept", seen: { [rule.glob]: null } })) {
    toast(`accepted ${rule.glob}`);
  }
}

// --- samples --------------------------------------------------------------------------------------

function sampleButtons() {
  const kinds = [["random", "Random"], ["borderline", "At the cut"], ["best", "Best"]];
  const made = kinds.map(([kind, name], i) =>
    element("button", { "aria-pressed": String(samples.shown && samples.kind === kind), onclick: () => attempt(() => sample(kind)) }, element("kbd", {}, String(i + 1)), ` ${name}`));
  return element("div", { class: "buttons" }, ...made);
}

async function sample(kind) {
  // The same kind again: other pages.
  samples = { shown: true, kind, turn: samples.shown && samples.kind === kind ? samples.turn + 1 : 0 };
  await showDetail();
}

async function showSamples() {
  const id = chosen;
  let found = await ask("/api/samples", { node: id, kind: samples.kind, turn: samples.turn });
  if (!found.length && samples.turn) {
    samples.turn = 0;
    found = await ask("/api/samples", { node: id, kind: samples.kind, turn: 0 });
  }
  if (id === chosen && $("samples")) $("samples").replaceChildren(...found.map(sampleElement));
}

function sampleElement(page) {
  const text = element("pre", {}, ...marked(page.text));
  const parts = [
    element("div", { class: "top" },
      element("span", { class: "title" }, page.title || "(no title)"),
      element("span", { class: "score" }, `${page.score.toFixed(4)} · ${page.collected ? "collected" : "not collected"}`)),
    /^https?:/.test(page.url)
      ? element("a", { href: page.url, target: "_blank", rel: "noopener noreferrer" }, page.url)
      : element("span", { class: "quiet" }, page.url),
    text,
  ];
  if (page.text.length < page.characters) {
    const button = element("button", { class: "full", onclick: () => attempt(() => showText(page.row, text, button)) }, `All ${number(page.characters)} characters`);
    parts.push(button);
  }
  return element("article", { class: "sample" }, ...parts);
}

async function showText(row, text, button) {
  const page = await ask("/api/page", { row });
  text.replaceChildren(...marked(page.text));
  button.replaceWith(page.text.length < page.characters ? element("span", { class: "quiet" }, `the first ${number(page.text.length)} of ${number(page.characters)} characters`) : "");
}

function marked(text) {
  // Formulas in another colour; the text itself is untouched.
  const formula = /(\$\$[^]+?\$\$|\$[^$\n]+\$|\\\([^]+?\\\)|\\\[[^]+?\\\])/;
  return text.split(formula).map((part, i) => (i % 2 ? element("span", { class: "tex" }, part) : document.createTextNode(part)));
}

// --- progress -------------------------------------------------------------------------------------

function showProgress(now) {
  progress = now;
  const bar = (id, ...shares) => {
    let x = 0;
    $(id).replaceChildren(...shares.map(([share, kind]) => {
      const made = shape("rect", { class: kind, x: 100 * x, y: 0, width: 100 * share, height: 6 });
      x += share;
      return made;
    }));
  };
  const covered = (now.accepted + now.rejected) / Math.max(1, now.collected);
  $("decided").textContent = `${number(now.decided)} / ${number(now.domains)}`;
  $("covered").textContent = percent(covered);
  bar("decided-bar", [now.decided / Math.max(1, now.domains), "taken"]);
  bar("covered-bar", [now.accepted / Math.max(1, now.collected), "fill-accept"], [now.rejected / Math.max(1, now.collected), "fill-reject"]);
  $("run").textContent = `${now.run.split("/").pop()}, iteration ${now.iteration}`;
  $("run").title = `rules in ${now.file}`;
  $("name").textContent = `by ${now.by}`;
  $("undo").disabled = !now.undo;
  $("undo").title = now.undo ? `Undo the decision on ${now.undo}` : "";
  document.title = `Annotate ${now.run.split("/").pop()}`;
}

async function watch() {
  // Others may decide in the same run, and the file may be edited by hand.
  if (busy || document.hidden) return;
  const version = progress.version;
  const now = await ask("/api/progress");
  if (busy || now.version === version) return;
  showProgress(now);
  await refresh();
  toast("the rules have been changed elsewhere");
}

// --- keys and start -------------------------------------------------------------------------------

const KEYS = {
  j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
  PageDown: () => move(15), PageUp: () => move(-15), Home: () => move(-Infinity), End: () => move(Infinity),
  l: () => open(), ArrowRight: () => open(), h: () => close_(), ArrowLeft: () => close_(),
  a: () => decide("accept"), r: () => decide("reject"), c: () => decide(null), u: () => undo(),
  e: () => chosen && edit(chosen), n: () => goToOpenDomain(),
  s: () => sample(samples.kind), 1: () => sample("random"), 2: () => sample("borderline"), 3: () => sample("best"),
  t: () => detail.querySelector("button.full")?.click(),
  "/": () => $("search").focus(), "?": () => $("keys").showModal(),
};

async function open() {
  if (!chosen) return;
  const node = nodes.get(chosen);
  if (node.open && node.children?.length) return choose(node.children[0]);
  await setOpen(chosen, true);
}

async function close_() {
  if (!chosen) return;
  const node = nodes.get(chosen);
  if (node.open) await setOpen(chosen, false);
  else if (node.parent) choose(node.parent);
}

document.addEventListener("keydown", (event) => {
  const inField = event.target.matches("input, select, textarea") || $("keys").open;
  if (event.key === "Escape" && event.target.id === "search") return tree.focus();
  if (event.key === "Enter" && event.target.id === "search") return tree.focus();
  if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
  const work = KEYS[event.key];
  if (!work) return;
  event.preventDefault();
  attempt(async () => work());
});

$("undo").addEventListener("click", () => attempt(undo));
$("name").addEventListener("click", () => attempt(rename));
$("help").addEventListener("click", () => $("keys").showModal());
$("show").addEventListener("change", () => { attempt(loadTop); tree.focus(); });
$("search").addEventListener("input", () => {
  clearTimeout(loadTop.timer);
  loadTop.timer = setTimeout(() => attempt(loadTop), 150);
});

attempt(async () => {
  showProgress(await ask("/api/progress"));
  await loadTop();
  tree.focus();
  setInterval(() => attempt(watch), 4000);
});
