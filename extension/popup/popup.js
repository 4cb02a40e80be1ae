// The popup: asks before anything is sent, names the server, shows what was found on the page.

import { api, make, say, translate } from "../shared/api.js";
import { refusal } from "../shared/gate.js";
import { CATEGORIES } from "../shared/kinds.js";
import { pattern, readSettings, writeSettings } from "../shared/settings.js";

const $ = (id) => document.getElementById(id);
const SIGNS = { stated: "✓", not_stated: "✗", not_applicable: "–" };
const POLL = 400; // milliseconds, while the page is read

let tab = null;
let settings = null;
let against = null;
let reachable = false; // the browser lets the extension reach the server
let problem = null; // what the worker refused, as { code, … }
let page = null; // what the content script says
let shown = ""; // the findings and the checklist as they stand in the lists

translate();
await begin();

async function begin() {
  const wanted = Number(new URLSearchParams(location.search).get("tab")); // a popup opened as a page
  [tab] = wanted ? [await api.tabs.get(wanted)] : await api.tabs.query({ active: true, currentWindow: true });
  settings = await readSettings();
  reachable = await api.permissions.contains({ origins: [pattern(settings.server)] });
  against = refusal(tab?.url ?? "", { incognito: tab?.incognito, off: settings.off });
  page = await ask({ type: "status" });
  const { hostname } = address() ?? {};
  $("site").textContent = hostname || "";
  document.querySelector(`input[name=sensitivity][value=${settings.sensitivity}]`).checked = true;
  $("off").checked = against?.code === "off";
  $("always").checked = settings.always.includes(address()?.origin);
  render();
  setInterval(look, POLL);
}

function address() {
  try {
    return new URL(tab.url);
  } catch {
    return null;
  }
}

async function ask(message) {
  try {
    return await api.tabs.sendMessage(tab.id, message, { frameId: 0 });
  } catch {
    return null; // not there yet
  }
}

async function look() {
  const now = await ask({ type: "status" });
  if (JSON.stringify(now) === JSON.stringify(page)) return;
  page = now;
  render();
}

// What the page's state is, in words and with what can be done about it

function render() {
  const state = page?.on ? page.status : "idle";
  const wrong = problem ?? (state === "error" || state === "refused" ? page.error : null);
  const found = page?.on && !wrong && page.checklist !== null;
  $("results").hidden = !found;
  $("say").className = "say";
  $("command").hidden = true;
  $("actions").replaceChildren();
  $("where").textContent = "";
  const site = ["http:", "https:"].includes(address()?.protocol);
  $("off-row").hidden = !site;
  $("always-row").hidden = !site || (against !== null && against.code !== "off");
  $("always").disabled = against?.code === "off";

  if (wrong) return failed(wrong);
  if (against && !against.ask) return refused(against.code);
  if (state === "idle") return idle();
  if (state === "reading" && !found) {
    $("say").classList.add("busy");
    speak(say("reading"), "");
    $("where").textContent = say("server", settings.server);
    return;
  }
  $("say").classList.add("found");
  const count = page.findings.length;
  const headline = count === 0 ? say("nothing") : count === 1 ? say("found_one") : say("found", count);
  speak(headline, page.status === "reading" ? say("reading_on") : "");
  if (page.status === "reading") $("say").classList.add("busy");
  act(say("again"), check).title = say("again_hint");
  act(say("stop"), stop).title = say("stop_hint");
  $("where").textContent = say("server", settings.server);
  results();
}

function speak(headline, detail) {
  if ($("headline").textContent !== headline) $("headline").textContent = headline;
  if ($("detail").textContent !== detail) $("detail").textContent = detail;
}

function act(text, run, main = false) {
  const button = make("button", main ? "main" : "", text);
  button.type = "button";
  button.addEventListener("click", run);
  $("actions").append(button);
  return button;
}

function idle() {
  if (against) {
    $("say").classList.add("ask");
    speak(say(`${against.code}_title`), say(`${against.code}_ask`));
    act(say("check_anyway"), check, true);
  } else {
    speak(say("idle_title"), say("idle"));
    act(say("check"), check, true);
  }
  $("where").textContent = say("goes_to", settings.server);
}

function refused(code) {
  speak(say(`${code}_title`), say(`${code}_why`));
}

function failed({ code, detail = "", wait = 0 }) {
  $("say").classList.add("bad");
  const values = { down: settings.server, not_hypecheck: settings.server, not_allowed: settings.server, too_big: detail, server: detail, busy: wait };
  speak(say(`error_${code}_title`), say(`error_${code}`, values[code] ?? settings.server));
  const command = { down: startCommand(), not_allowed: "hypecheck serve --cors-extensions", too_big: "HYPECHECK_MAX_CHARACTERS=1000000 hypecheck serve" }[code];
  if (command) {
    $("code").textContent = command;
    $("command").hidden = false;
  }
  if (["password", "payment"].includes(code)) {
    $("say").className = "say ask";
    return;
  }
  if (code === "not_allowed") act(say("allow"), check, true);
  else if (["key", "no_key", "not_hypecheck", "no_kinds"].includes(code)) act(say("open_options"), () => api.runtime.openOptionsPage(), true);
  if (!["unsupported", "gone"].includes(code)) act(say("retry"), check, command !== undefined);
}

function startCommand() {
  const url = new URL(settings.server);
  const port = url.port && url.port !== "8080" ? ` --port ${url.port}` : "";
  return ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname) ? `hypecheck serve${port}` : undefined;
}

function results() {
  const now = JSON.stringify([page.findings, page.checklist, page.notes, page.shortened]);
  if (now === shown) return; // what stands there keeps its focus
  shown = now;
  $("tiles").replaceChildren(
    ...CATEGORIES.map((c) => {
      const n = page.findings.filter((f) => f.category === c).length;
      return make("li", c, make("b", "", String(n)), make("span", "", say(c)));
    }),
  );
  const notes = [...page.notes];
  if (page.shortened) notes.unshift(say("shortened", page.shortened.characters.toLocaleString()));
  $("note").hidden = notes.length === 0;
  $("note").textContent = notes.join(" ");
  $("empty").hidden = page.findings.length > 0;
  $("findings").replaceChildren(
    ...page.findings.map((f) => {
      const button = make("button", f.category, make("q", "", short(f.text)));
      button.type = "button";
      const where = f.picture ? ` · ${say("in_picture")}` : "";
      button.append(make("small", "", `${say(`kind_${f.kind}`)}${where}`));
      button.addEventListener("click", async () => {
        await ask({ type: "go", index: f.index, focus: true });
      });
      return make("li", "", button);
    }),
  );
  $("checklist").replaceChildren(
    ...page.checklist.map((c) => {
      const sign = make("b", "", SIGNS[c.status]);
      sign.setAttribute("role", "img");
      sign.setAttribute("aria-label", say(c.status));
      const li = make("li", c.status, sign, make("span", "", c.title));
      const quotes = c.evidence.slice(0, 3).map((e) => `“${short(e.text)}”`);
      if (c.status === "stated") li.append(make("small", "", quotes.join(" · ")));
      else if (c.status === "not_stated") li.append(make("small", "", c.question));
      return li;
    }),
  );
}

function short(text) {
  const plain = text.replace(/\s+/g, " ");
  return plain.length > 160 ? `${plain.slice(0, 159)}…` : plain;
}

// What the user does

/** Send the page. The browser asks for leave to reach the server only inside a click. */
async function check() {
  problem = null;
  let leave = Promise.resolve(true);
  if (!reachable) leave = api.permissions.request({ origins: [pattern(settings.server)] }).catch(() => false);
  $("say").className = "say busy";
  speak(say("reading"), "");
  $("actions").replaceChildren();
  reachable = await leave;
  const { error } = (await api.runtime.sendMessage({ type: "start", tabId: tab.id, insist: against?.ask ?? false })) ?? {};
  problem = error ?? null;
  page = await ask({ type: "status" });
  render();
}

async function stop() {
  await api.runtime.sendMessage({ type: "stop", tabId: tab.id });
  problem = null;
  page = await ask({ type: "status" });
  render();
}

for (const input of document.querySelectorAll("input[name=sensitivity]"))
  input.addEventListener("change", async () => {
    settings.sensitivity = input.value;
    await writeSettings({ sensitivity: input.value });
    await ask({ type: "again" });
  });

$("always").addEventListener("change", async (event) => {
  const wanted = event.target.checked;
  const { origin } = address();
  // Asked first, within the click; Firefox closes the popup for it, the worker does the rest.
  const leave = wanted ? api.permissions.request({ origins: [pattern(origin)] }) : Promise.resolve(true);
  const rest = settings.always.filter((o) => o !== origin);
  settings.always = wanted ? [...rest, origin] : rest;
  await writeSettings({ always: settings.always });
  if (!(await leave.catch(() => false))) {
    event.target.checked = false;
    settings.always = rest;
    await writeSettings({ always: rest });
  }
  await api.runtime.sendMessage({ type: "sites" });
  if (event.target.checked && !page?.on) await check();
});

$("off").addEventListener("change", async (event) => {
  const { hostname, origin } = address();
  const rest = settings.off.filter((h) => h !== hostname);
  settings.off = event.target.checked ? [...rest, hostname] : rest;
  if (event.target.checked) settings.always = settings.always.filter((o) => o !== origin);
  await writeSettings({ off: settings.off, always: settings.always });
  await api.runtime.sendMessage({ type: "sites" });
  if (event.target.checked) await stop();
  $("always").checked = settings.always.includes(origin);
  against = refusal(tab.url, { incognito: tab.incognito, off: settings.off });
  render();
});

$("options").addEventListener("click", () => api.runtime.openOptionsPage());
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("code").textContent);
  $("copy").textContent = say("copied");
});

const tabs = [$("tab-findings"), $("tab-checklist")];
for (const [i, button] of tabs.entries()) {
  button.addEventListener("click", () => choose(i));
  button.addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    choose(1 - i);
    tabs[1 - i].focus();
  });
}

function choose(i) {
  for (const [k, button] of tabs.entries()) {
    button.setAttribute("aria-selected", String(k === i));
    button.tabIndex = k === i ? 0 : -1;
    $(button.getAttribute("aria-controls")).hidden = k !== i;
  }
}
