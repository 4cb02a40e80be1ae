// What the user set. It stays on this machine (storage.local): the key must not travel by sync.

import { api } from "./api.js";
import { KINDS } from "./kinds.js";

export const DEFAULTS = Object.freeze({
  server: "http://127.0.0.1:8080",
  key: "",
  sensitivity: "balanced",
  model: "default",
  severity: "low",
  kinds: null, // null for all: a kind that a later version brings is then on
  always: [], // origins that are checked as soon as they open
  off: [], // hosts that are never read
});

export async function readSettings() {
  const kept = await api.storage.local.get(Object.keys(DEFAULTS));
  return { ...DEFAULTS, ...kept };
}

export async function writeSettings(changed) {
  await api.storage.local.set(changed);
}

/** Give the server's address without a path's end, or null where it is no address of a server. */
export function serverAddress(text) {
  let url;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text.trim()) ? text.trim() : `http://${text.trim()}`);
  } catch {
    return null;
  }
  if (!["http:", "https:"].includes(url.protocol) || url.username || url.password) return null;
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/** Give the match pattern that covers an origin; patterns cannot name a port. */
export function pattern(address) {
  const url = new URL(address);
  return `${url.protocol}//${url.hostname}/*`;
}

/** Give the kinds to ask for; null for all. */
export function wantedKinds(settings) {
  if (settings.kinds === null) return null;
  const known = KINDS.map(([id]) => id);
  return settings.kinds.filter((k) => known.includes(k));
}
