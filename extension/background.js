// The service worker (Firefox: event page): the only part that talks to the server. It keeps no
// text, and sends a page only when the user asked on that page, or allowed its site for always.

import { api, say } from "./shared/api.js";
import { refusal } from "./shared/gate.js";
import { ask, ServerError } from "./shared/server.js";
import { pattern, readSettings, wantedKinds, writeSettings } from "./shared/settings.js";

const SCRIPTS = ["content/walk.js", "content/marks.js", "content/card.js", "content/watch.js"];
const STYLES = ["content/marks.css"];
const SEVERITIES = ["low", "medium", "high"];
const COLOURS = { low: "#3d4db3", medium: "#8a5200", high: "#b3261e", error: "#55626d" };
const ALWAYS = "always"; // the id of the script that is registered for sites allowed for always
const FIRST = { characters: 200_000, blocks: 5_000 }; // until the server says what its limits are

// Content scripts run beside the page's code: the key is none of their business.
api.storage.local.setAccessLevel?.({ accessLevel: "TRUSTED_CONTEXTS" })?.catch(() => {});

api.runtime.onMessage.addListener((message, sender, reply) => {
  if (sender.id !== api.runtime.id) return false;
  const handler = (sender.tab && !fromOurPage(sender) ? FROM_PAGES : FROM_US)[message?.type];
  if (!handler) return false;
  handler(message, sender).then(reply, (error) => {
    if (!(error instanceof ServerError)) console.error(error);
    reply({ error: { code: error.code ?? "server", ...(error.more ?? { detail: String(error) }) } });
  });
  return true;
});

function fromOurPage(sender) {
  return sender.url?.startsWith(api.runtime.getURL("")) ?? false;
}

const FROM_PAGES = {
  // A content script began by itself, on a site allowed for always: may it?
  async hello(_, sender) {
    const { settings, allowed } = await permit(sender);
    if (allowed) await paint(sender.tab.id);
    return { start: allowed, limits: await limits(settings) };
  },

  async check({ blocks, seconds }, sender) {
    const { settings, allowed } = await permit(sender);
    if (!allowed) return { error: { code: "refused" } };
    const only = wantedKinds(settings);
    if (only?.length === 0) return { error: { code: "no_kinds" } };
    const body = { blocks, offset_unit: "utf16", sensitivity: settings.sensitivity };
    if (only) body.only = only;
    if (settings.model !== "default") body.model = settings.model;
    if (seconds) body.seconds = seconds;
    const answer = await ask(settings, "/v1/check/page", body).catch(async (error) => {
      if (error.code === "too_big") await api.storage.session.remove("served"); // its limits changed
      throw error;
    });
    const least = SEVERITIES.indexOf(settings.severity);
    for (const block of answer.blocks)
      block.findings = block.findings?.filter((f) => SEVERITIES.indexOf(f.severity) >= least) ?? null;
    return { answer };
  },

  async state({ count, worst, failed }, sender) {
    const tabId = sender.tab.id;
    const text = failed ? "!" : count === null ? "" : String(Math.min(count, 999));
    await api.action.setBadgeText({ tabId, text });
    await api.action.setBadgeBackgroundColor({ tabId, color: COLOURS[failed ? "error" : (worst ?? "low")] });
    await api.action.setBadgeTextColor?.({ tabId, color: "#ffffff" });
    const title = failed ? say("badge_failed") : count === null ? say("action_title") : say("badge", count);
    await api.action.setTitle({ tabId, title });
    return {};
  },
};

const FROM_US = {
  // The user asks in the popup: `insist` where the page is one that is read only when asked twice.
  async start({ tabId, insist }) {
    const tab = await api.tabs.get(tabId);
    const settings = await readSettings();
    const against = refusal(tab.url ?? "", { incognito: tab.incognito, off: settings.off });
    if (against && !(against.ask && insist)) return { error: { code: against.code } };
    await api.storage.session.set({ [`tab${tabId}`]: new URL(tab.url).origin });
    try {
      const target = { tabId };
      await api.scripting.executeScript({ target, func: () => void ((globalThis.hypecheckParts ??= {}).asked = true) });
      await api.scripting.executeScript({ target, files: SCRIPTS });
    } catch {
      return { error: { code: "unsupported" } }; // the browser's own pages, its store, a viewer
    }
    await paint(tabId);
    await api.tabs.sendMessage(tabId, { type: "start", limits: await limits(settings) }, { frameId: 0 });
    return {};
  },

  async stop({ tabId }) {
    await api.storage.session.remove(`tab${tabId}`);
    await api.tabs.sendMessage(tabId, { type: "stop" }, { frameId: 0 }).catch(() => {});
    await api.action.setBadgeText({ tabId, text: "" });
    return {};
  },

  async sites() {
    await register();
    return {};
  },

  async test({ settings }) {
    return { version: await ask(settings, "/v1/version") };
  },
};

/** Say whether the page that a message comes from may be read. */
async function permit(sender) {
  const settings = await readSettings();
  const origin = new URL(sender.url).origin;
  const kept = await api.storage.session.get(`tab${sender.tab.id}`);
  const asked = kept[`tab${sender.tab.id}`] === origin;
  const against = refusal(sender.url, { incognito: sender.tab.incognito, off: settings.off });
  const always = settings.always.includes(origin);
  const allowed = sender.frameId === 0 && (asked ? !against || against.ask : always && !against);
  return { settings, allowed };
}

/**
 * Put the marks' colours in, without touching the page. As an author's style sheet Chromium takes
 * them, and hands them on to shadow trees; as a user's, Firefox knows them in shadow trees too.
 */
async function paint(tabId) {
  for (const origin of ["AUTHOR", "USER"]) {
    const css = { files: STYLES, origin };
    const target = { tabId, allFrames: true };
    await api.scripting.removeCSS({ target, ...css }).catch(() => {});
    await api.scripting.insertCSS({ target, ...css }).catch(() => api.scripting.insertCSS({ target: { tabId }, ...css }));
  }
}

/** Give how much the server reads at once; asked once for each address. */
async function limits(settings) {
  const { served } = await api.storage.session.get("served");
  if (served?.server === settings.server) return served.limits;
  try {
    const found = (await ask(settings, "/v1/version")).limits;
    const kept = { characters: found.characters, blocks: found.blocks };
    await api.storage.session.set({ served: { server: settings.server, limits: kept } });
    return kept;
  } catch {
    return FIRST; // what is wrong is said when the page is sent
  }
}

/** Let the script run by itself on the sites that the user allowed for always, and only there. */
async function register() {
  const settings = await readSettings();
  const allowed = [];
  for (const origin of settings.always)
    if (await api.permissions.contains({ origins: [pattern(origin)] })) allowed.push(origin);
  await api.scripting.unregisterContentScripts({ ids: [ALWAYS] }).catch(() => {});
  if (!allowed.length) return;
  await api.scripting.registerContentScripts([
    {
      id: ALWAYS,
      matches: [...new Set(allowed.map(pattern))],
      js: SCRIPTS,
      runAt: "document_idle",
      persistAcrossSessions: true,
    },
  ]);
}

api.permissions.onAdded.addListener(() => void register());
api.permissions.onRemoved.addListener(async ({ origins = [] }) => {
  const { always } = await readSettings();
  const left = always.filter((o) => !origins.includes(pattern(o)));
  if (left.length < always.length) await writeSettings({ always: left });
  await register();
});
api.runtime.onInstalled.addListener(() => void register());
api.tabs.onRemoved.addListener((tabId) => void api.storage.session.remove(`tab${tabId}`));

api.commands.onCommand.addListener(async (command, tab) => {
  const [active] = tab?.id ? [tab] : await api.tabs.query({ active: true, currentWindow: true });
  if (active) await api.tabs.sendMessage(active.id, { type: command }, { frameId: 0 }).catch(() => {});
});
