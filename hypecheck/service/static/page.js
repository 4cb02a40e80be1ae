// The paste page: sends the text as it is typed, shows what came back. No text leaves for elsewhere.

const $ = (id) => document.getElementById(id);
const box = $("text"), under = $("under"), sheet = $("sheet"), card = $("card");
const NAMES = {
  guaranteed_cure: "Promises a cure",
  pressure_sales: "Presses to buy",
  missing_data: "Claims without data",
};
const SIGNS = { stated: "✓", not_stated: "✗", not_applicable: "–" };
const WORDS = { stated: "Stated", not_stated: "Not stated", not_applicable: "Does not apply" };
const BEFORE = "Flags appear here: what the phrase does, what to ask, and the official guidance.";
const NONE = "Nothing flagged at this sensitivity. That does not make a text true: see the checklist.";
const EXAMPLE = `Say goodbye to knee pain for good
Our umbilical stem cells regrow worn cartilage, and 94% of our patients skip surgery.
Every injection is completely safe. Results vary from person to person.
“I threw away my cane after one visit!” says Margaret, 71.
Only four places left this month. Book before Friday and the second knee is half price.
Do you take insurance? Please call the front desk; we open at nine.
A 2022 review found no good evidence that such cells rebuild cartilage.`;

let report = null; // the last answer
let findings = []; // its findings, moved along with later edits; dropped where the text changed
let timer = 0;
let running = null;
let current = -1;

function make(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// Asking the server

function headers() {
  const out = { "Content-Type": "application/json" };
  const key = sessionStorage.getItem("key");
  if (key) out["X-API-Key"] = key;
  return out;
}

async function ask() {
  const text = box.value;
  running?.abort();
  if (!text.trim()) return show(null, text);
  running = new AbortController();
  const signal = running.signal;
  say("Reading …");
  try {
    const answer = await fetch("/v1/check", {
      method: "POST",
      headers: headers(),
      body: JSON.stringify({ text, sensitivity: sensitivity(), offset_unit: "utf16" }),
      signal,
    });
    const content = await answer.json();
    if (signal.aborted) return;
    $("keyform").hidden = answer.status !== 401;
    if (!answer.ok) {
      show(null, text);
      const wait = Number(answer.headers.get("Retry-After"));
      if (answer.status === 503 && wait) later(1000 * wait);
      return say(`${content.title}: ${content.detail}`);
    }
    if (!titles.size) await learnTitles();
    if (!signal.aborted) show(content, text);
  } catch (error) {
    if (error.name !== "AbortError") say("The server does not answer. Is `hypecheck serve` running?");
  }
}

function later(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(ask, milliseconds);
}

function sensitivity() {
  return document.querySelector("input[name=sensitivity]:checked").value;
}

function say(text) {
  $("status").textContent = text;
}

// Showing

function show(content, text) {
  report = content;
  findings = content ? content.findings.map((f) => ({ ...f })) : [];
  shift(text, box.value); // what was typed while the answer was on its way
  current = -1;
  redraw();
  checklist();
  $("markdown").disabled = $("json").disabled = !content;
  const n = findings.length;
  say(content ? (n === 0 ? "Nothing flagged." : `${n} phrase${n === 1 ? "" : "s"} flagged.`) : "Nothing to read yet.");
  const notes = content ? [...content.notes] : [];
  if (content?.incomplete) notes.push("This text is long: the time ran out, and its end was read less thoroughly.");
  $("note").hidden = notes.length === 0;
  $("note").textContent = notes.join(" ");
  if (content) $("versions").textContent = `version ${content.versions.package}, model ${content.versions.model ?? "none"}`;
}

function redraw() {
  hideCard();
  paint();
  tiles();
  list();
}

// The marks lie under the text, in a copy that has the same lines.
function paint() {
  const text = box.value;
  const parts = [];
  let at = 0;
  findings.forEach((f, i) => {
    const start = Math.max(f.start, at);
    if (f.end <= start) return;
    if (start > at) parts.push(text.slice(at, start));
    const m = make("mark", f.category + (i === current ? " here" : ""), text.slice(start, f.end));
    m.dataset.i = i;
    parts.push(m);
    at = f.end;
  });
  parts.push(text.slice(at) + "\u200b");
  under.replaceChildren(...parts);
  $("count").textContent = text.length.toLocaleString("en");
}

// Until the next answer, flags move along with what is typed before them.
function shift(before, after) {
  let a = 0;
  const most = Math.min(before.length, after.length);
  while (a < most && before[a] === after[a]) a++;
  let z = 0;
  while (z < most - a && before[before.length - 1 - z] === after[after.length - 1 - z]) z++;
  const end = before.length - z, by = after.length - before.length;
  findings = findings
    .filter((f) => f.end <= a || f.start >= end)
    .map((f) => (f.start >= end ? { ...f, start: f.start + by, end: f.end + by } : f));
}

function tiles() {
  const counts = Object.keys(NAMES).map((c) => [c, findings.filter((f) => f.category === c).length]);
  $("tiles").replaceChildren(
    ...counts.map(([c, n]) => {
      const li = make("li", c);
      li.append(make("b", "", report ? String(n) : "–"), make("span", "", NAMES[c]));
      return li;
    }),
  );
}

function list() {
  $("empty").hidden = findings.length > 0;
  $("empty").textContent = report ? NONE : BEFORE;
  $("findings").replaceChildren(...findings.map(item));
}

function item(f, i) {
  const li = make("li", f.category);
  const row = make("button", "row");
  row.type = "button";
  row.setAttribute("aria-expanded", "false");
  row.append(make("span", "quote", `“${f.text}”`));
  const what = make("span", "what");
  what.append(make("span", "pill", NAMES[f.category]), make("span", "", title(f)));
  what.append(make("span", "", `${Math.round(100 * f.score)}%`));
  what.lastChild.title = "How likely a careful reader would flag it";
  row.append(what);
  const more = make("div", "more");
  more.hidden = true;
  const why = make("p", "", f.why), advice = make("p", "", f.advice);
  why.prepend(make("b", "", "Why it matters"));
  advice.prepend(make("b", "", "What to ask"));
  more.append(why, advice);
  if (f.references.length) {
    const guidance = make("div");
    guidance.append(make("b", "", "Official guidance"));
    const ul = make("ul");
    for (const r of f.references) {
      const entry = make("li"), a = make("a", "", `${r.title} (${r.year})`);
      a.href = r.url;
      a.rel = "noopener noreferrer";
      a.target = "_blank";
      entry.append(a);
      ul.append(entry);
    }
    guidance.append(ul);
    more.append(guidance);
  }
  row.addEventListener("click", () => {
    const open = more.hidden;
    more.hidden = !open;
    row.setAttribute("aria-expanded", String(open));
    point(i);
  });
  row.addEventListener("focus", () => point(i));
  li.append(row, more);
  return li;
}

const titles = new Map(); // kind: what it does, in words

async function learnTitles() {
  try {
    const answer = await fetch("/v1/rules", { headers: headers() });
    if (answer.ok) for (const kind of await answer.json()) titles.set(kind.id, kind.title);
  } catch {
    // the kinds' names do, too
  }
}

function title(f) {
  const name = f.kind.replaceAll("_", " ");
  return titles.get(f.kind) ?? name[0].toUpperCase() + name.slice(1);
}

function checklist() {
  $("nocheck").hidden = Boolean(report);
  $("checklist").replaceChildren(
    ...(report?.checklist ?? []).map((c) => {
      const li = make("li");
      const sign = make("span", `sign ${c.status}`, SIGNS[c.status]);
      sign.setAttribute("role", "img");
      sign.setAttribute("aria-label", WORDS[c.status]);
      li.append(sign, make("span", "", c.title));
      if (c.status === "stated") li.append(make("small", "", c.evidence.map((e) => `“${e.text}”`).join(" · ")));
      else if (c.status === "not_stated") li.append(make("small", "", c.question));
      return li;
    }),
  );
}

// Pointing at one flag, in the text and in the list

function point(i) {
  current = i;
  for (const m of under.querySelectorAll("mark")) m.classList.toggle("here", Number(m.dataset.i) === i);
  [...$("findings").children].forEach((li, n) => li.classList.toggle("here", n === i));
  const m = under.querySelector(`mark[data-i="${i}"]`);
  if (!m) return;
  const a = m.getBoundingClientRect(), b = sheet.getBoundingClientRect();
  if (a.top < b.top + 8 || a.bottom > b.bottom - 8) sheet.scrollTop += a.top - b.top - b.height / 3;
}

function step(by) {
  if (!findings.length) return;
  const i = (current + by + findings.length) % findings.length;
  point(i);
  box.focus({ preventScroll: true });
  box.setSelectionRange(findings[i].start, findings[i].end);
  showCard(i, under.querySelector(`mark[data-i="${i}"]`)?.getBoundingClientRect());
}

function showCard(i, at) {
  const f = findings[i];
  if (!f || !at) return hideCard();
  card.className = `card ${f.category}`;
  card.replaceChildren(make("h3", "", title(f)), make("p", "", f.why), make("p", "ask", f.advice));
  card.hidden = false;
  const size = card.getBoundingClientRect();
  const left = Math.min(Math.max(at.left, 12), innerWidth - size.width - 12);
  const below = at.bottom + 8 + size.height < innerHeight;
  card.style.left = `${left}px`;
  card.style.top = `${Math.max(8, below ? at.bottom + 8 : at.top - size.height - 8)}px`;
}

function hideCard() {
  card.hidden = true;
}

function markAt(x, y) {
  for (const e of document.elementsFromPoint(x, y)) if (e.tagName === "MARK") return e;
  return null;
}

// Events

let before = "";
box.addEventListener("input", () => {
  const text = box.value;
  const n = findings.length;
  shift(before, text);
  before = text;
  if (findings.length === n) {
    hideCard();
    paint();
  } else redraw();
  later(text.length > 20000 ? 900 : 350);
});
box.addEventListener("mousemove", (event) => {
  const m = markAt(event.clientX, event.clientY);
  if (m) {
    point(Number(m.dataset.i));
    showCard(Number(m.dataset.i), m.getClientRects()[0]);
  } else hideCard();
});
box.addEventListener("mouseleave", hideCard);
sheet.addEventListener("scroll", hideCard);
document.addEventListener("keydown", (event) => {
  if (event.key === "F8") {
    event.preventDefault();
    step(event.shiftKey ? -1 : 1);
  } else if (event.key === "Escape") hideCard();
});

function put(text) {
  box.value = text;
  box.dispatchEvent(new Event("input"));
  later(0);
}

$("example").addEventListener("click", () => put(EXAMPLE));
$("clear").addEventListener("click", () => {
  put("");
  box.focus();
});
$("open").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
});
let moving = false; // a selection within the text: the browser's own business
box.addEventListener("dragstart", () => (moving = true));
box.addEventListener("dragend", () => (moving = false));
for (const name of ["dragover", "dragleave", "drop"])
  sheet.addEventListener(name, (event) => {
    if (moving) return;
    event.preventDefault();
    sheet.classList.toggle("drop", name === "dragover");
    if (name !== "drop") return;
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
    else put(event.dataTransfer.getData("text/plain"));
  });

async function take(files) {
  const file = files[0];
  if (!file) return;
  if (file.size > 2_000_000) return say("This file is larger than 2 MB: scan it with `hypecheck check`.");
  const text = await file.text();
  if (text.includes("\0")) return say("This file is not a text.");
  const html = /\.html?$/i.test(file.name) || file.type === "text/html";
  const plain = html ? await visible(text) : text;
  if (plain !== null) put(plain);
}

// The server reads pages as a visitor sees them; the text of its answer takes the page's place.
async function visible(html) {
  try {
    const answer = await fetch("/v1/check", {
      method: "POST",
      headers: headers(),
      body: JSON.stringify({ text: html, format: "html", model: "none" }),
    });
    const content = await answer.json();
    $("keyform").hidden = answer.status !== 401;
    if (answer.ok) return content.text;
    say(`${content.title}: ${content.detail}`);
  } catch {
    say("The server does not answer. Is `hypecheck serve` running?");
  }
  return null; // what stands in the box stays
}

for (const input of document.querySelectorAll("input[name=sensitivity]"))
  input.addEventListener("change", () => {
    remember();
    later(0);
  });
$("keyform").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key").value.trim());
  later(0);
});

// Taking along

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch {
    say("The browser did not allow copying.");
  }
}

function markdown() {
  const lines = ["# HypeCheck", ""];
  for (const f of findings) {
    lines.push(`- **“${f.text.replace(/\s+/g, " ")}”** ${title(f)} (${NAMES[f.category].toLowerCase()})`);
    lines.push(`  ${f.why} ${f.advice}`);
    for (const r of f.references.slice(0, 1)) lines.push(`  [${r.title} (${r.year})](${r.url})`);
  }
  if (!findings.length) lines.push("Nothing flagged.");
  lines.push("", "## The patient’s checklist", "");
  for (const c of report.checklist)
    if (c.status !== "not_applicable")
      lines.push(`- [${c.status === "stated" ? "x" : " "}] ${c.title}${c.status === "stated" ? "" : `: ${c.question}`}`);
  lines.push("", `Sensitivity ${sensitivity()}; version ${report.versions.package}, model ${report.versions.model}. Not legal or medical advice.`);
  return lines.join("\n") + "\n";
}

$("markdown").addEventListener("click", () => copy(markdown(), "Markdown"));
$("json").addEventListener("click", () => copy(JSON.stringify(report, null, 2), "JSON"));
$("link").addEventListener("click", () => copy(location.href, "Link (without the text)"));

// What a link can hold: the settings, never the text.
function remember() {
  history.replaceState(null, "", `#sensitivity=${sensitivity()}`);
}

function recall() {
  const wanted = new URLSearchParams(location.hash.slice(1)).get("sensitivity");
  const input = [...document.querySelectorAll("input[name=sensitivity]")].find((e) => e.value === wanted);
  if (input) input.checked = true;
}

const THEMES = ["system", "light", "dark"];
function theme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  $("theme").setAttribute("aria-label", `Colour theme: ${name === "system" ? "as the system" : name}`);
  $("theme").textContent = { system: "◐", light: "☀", dark: "☾" }[name];
  localStorage.setItem("theme", name);
}
$("theme").addEventListener("click", () => {
  theme(THEMES[(THEMES.indexOf(localStorage.getItem("theme") ?? "system") + 1) % 3]);
});

addEventListener("hashchange", () => {
  recall();
  later(0);
});
theme(THEMES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "system");
recall();
tiles();
if (box.value) put(box.value);
