// The browser's API under one name, and the messages of the user's language.

export const api = globalThis.browser ?? globalThis.chrome;

/** Give a message of `_locales`, or its name where there is none. */
export function say(name, ...values) {
  return api.i18n.getMessage(name, values.map(String)) || name;
}

/** Fill what the HTML leaves open: `data-say` for text, `data-say-ATTRIBUTE` for attributes. */
export function translate(root = document) {
  document.documentElement.lang = api.i18n.getUILanguage();
  document.documentElement.dir = api.i18n.getMessage("@@bidi_dir") || "ltr";
  for (const e of root.querySelectorAll("*")) {
    for (const [key, name] of Object.entries(e.dataset)) {
      if (key === "say") e.textContent = say(name);
      else if (key.startsWith("say")) e.setAttribute(attribute(key), say(name));
    }
  }
}

function attribute(key) {
  const name = key.slice(3);
  return name.replace(/[A-Z]/g, (c, i) => (i ? "-" : "") + c.toLowerCase());
}

/** Make an element; text is always text, never markup. */
export function make(tag, className, ...content) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...content.filter((c) => c !== null && c !== undefined));
  return e;
}
