// Talking to the user's HypeCheck server. Every failure has a code that the user can act on.

import { api } from "./api.js";
import { pattern } from "./settings.js";

const PATIENCE = 30_000; // milliseconds; the server itself stops reading after eight seconds

/** A failure: its code names the message `error_CODE` in _locales. */
export class ServerError extends Error {
  constructor(code, more = {}) {
    super(code);
    this.code = code;
    this.more = more;
  }
}

/** Ask the server; give the JSON of its answer. Throws a ServerError. */
export async function ask(settings, path, body) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (settings.key) headers["X-API-Key"] = settings.key;
  let answer;
  try {
    answer = await fetch(settings.server + path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      redirect: "error", // the text goes to the server that the user was shown, to no other
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch (error) {
    if (error.name === "TimeoutError") throw new ServerError("slow");
    throw new ServerError(await why(settings));
  }
  let content;
  try {
    content = await answer.json();
  } catch {
    throw new ServerError("not_hypecheck");
  }
  if (answer.ok) return content;
  const wait = Number(answer.headers.get("Retry-After")) || 0;
  const detail = typeof content?.detail === "string" ? content.detail : "";
  if (!detail) throw new ServerError("not_hypecheck");
  switch (answer.status) {
    case 401:
    case 403:
      throw new ServerError(settings.key ? "key" : "no_key");
    case 404:
    case 405:
      throw new ServerError("not_hypecheck");
    case 413:
      throw new ServerError("too_big", { detail });
    case 429:
    case 503:
      throw new ServerError("busy", { wait });
    default:
      throw new ServerError("server", { detail: `${answer.status}: ${detail}` });
  }
}

/** Say why nothing came: the browser tells a page no more than "failed". */
async function why(settings) {
  if (await localNetworkDenied()) return "local_network";
  const allowed = await api.permissions.contains({ origins: [pattern(settings.server)] });
  if (!allowed) {
    try {
      // An answer that may not be read still shows that a server is there.
      await fetch(`${settings.server}/livez`, { mode: "no-cors", credentials: "omit", cache: "no-store" });
      return "not_allowed";
    } catch {
      // nothing is there
    }
  }
  return "down";
}

async function localNetworkDenied() {
  for (const name of ["loopback-network", "local-network", "local-network-access"]) {
    try {
      if ((await navigator.permissions.query({ name })).state === "denied") return true;
    } catch {
      // this browser has no such permission
    }
  }
  return false;
}
