// The options: server, key, what to look for, sites. Everything is kept on this machine.

import { api, make, say, translate } from "../shared/api.js";
import { CATEGORIES, KINDS } from "../shared/kinds.js";
import { pattern, readSettings, serverAddress, wantedKinds, writeSettings } from "../shared/settings.js";

const $ = (id) => document.getElementById(id);
let settings = await readSettings();

translate();
fill();

function fill() {
  $("server").value = settings.server;
  $("key").value = settings.key;
  document.querySelector(`input[name=sensitivity][value=${settings.sensitivity}]`).checked = true;
  $("model").value = settings.model;
  $("severity").value = settings.severity;
  kinds();
  sites();
}

function kinds() {
  const on = wantedKinds(settings) ?? KINDS.map(([id]) => id);
  $("kinds").replaceChildren(
    ...CATEGORIES.map((category) => {
      const set = make("fieldset", category, make("legend", "", say(category)));
      for (const [id, of] of KINDS) {
        if (of !== category) continue;
        const box = make("input");
        box.type = "checkbox";
        box.value = id;
        box.checked = on.includes(id);
        set.append(make("label", "", box, make("span", "", say(`kind_${id}`))));
      }
      return set;
    }),
  );
}

function sites() {
  for (const list of ["always", "off"]) {
    const entries = settings[list].map((site) => {
      const button = make("button", "", say("remove"));
      button.type = "button";
      button.setAttribute("aria-label", say("remove_site", site));
      button.addEventListener("click", () => remove(list, site));
      return make("li", "", make("span", "", site), button);
    });
    if (!entries.length) entries.push(make("li", "hint", say("none")));
    $(list).replaceChildren(...entries);
  }
}

async function remove(list, site) {
  await save({ [list]: settings[list].filter((s) => s !== site) });
  if (list === "always" && pattern(site) !== pattern(settings.server))
    await api.permissions.remove({ origins: [pattern(site)] }).catch(() => {});
  await api.runtime.sendMessage({ type: "sites" });
  sites();
}

async function save(changed) {
  settings = { ...settings, ...changed };
  await writeSettings(changed);
}

function status(text, good) {
  $("server-status").textContent = text;
  $("server-status").className = `status ${good === undefined ? "" : good ? "good" : "bad"}`;
}

$("server-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const server = serverAddress($("server").value);
  if (!server) return status(say("server_wrong"), false);
  // Within the click: afterwards the browser would not ask.
  const leave = api.permissions.request({ origins: [pattern(server)] }).catch(() => false);
  $("server").value = server;
  await save({ server, key: $("key").value.trim() });
  await leave;
  status(say("testing"));
  const answer = await api.runtime.sendMessage({ type: "test", settings });
  if (answer?.version) {
    const { package: version, model } = answer.version;
    status(say("server_good", version, model ?? "–"), true);
  } else {
    const { code, detail = "", wait = "" } = answer?.error ?? { code: "server" };
    status(`${say(`error_${code}_title`)}. ${say(`error_${code}`, detail || wait || server)}`, false);
  }
});

for (const input of document.querySelectorAll("input[name=sensitivity]"))
  input.addEventListener("change", () => save({ sensitivity: input.value }));
$("model").addEventListener("change", () => save({ model: $("model").value }));
$("severity").addEventListener("change", () => save({ severity: $("severity").value }));
$("kinds").addEventListener("change", async () => {
  const on = [...$("kinds").querySelectorAll("input:checked")].map((b) => b.value);
  await save({ kinds: on.length === KINDS.length ? null : on });
  $("kinds-status").textContent = on.length ? "" : say("error_no_kinds");
});
