// Lists what openapi.json describes, each operation with a command to try.

const make = (tag, className, text) => {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
};

function command(path, verb, operation) {
  const content = operation.requestBody?.content ?? {};
  const [type] = Object.keys(content);
  const lines = [`curl${verb === "post" ? "" : " -s"} ${location.origin}${path}`];
  if (type) {
    const named = Object.values(content[type].examples ?? {})[0]?.value;
    const model = content[type].schema?.$ref?.split("/").pop();
    const value = named ?? schemas[model]?.examples?.[0];
    if (type === "application/x-www-form-urlencoded")
      for (const [k, v] of Object.entries(value ?? {})) lines.push(`  --data-urlencode '${k}=${v}'`);
    else {
      lines.push(`  -H 'Content-Type: ${type}'`);
      if (value) lines.push(`  --data-binary '${(typeof value === "string" ? value : JSON.stringify(value)).replaceAll("'", "'\\''")}'`);
    }
  }
  return lines.join(" \\\n");
}

let schemas = {};
const root = document.getElementById("docs");
try {
  const api = await (await fetch("/openapi.json")).json();
  schemas = api.components.schemas;
  const groups = new Map();
  for (const [path, verbs] of Object.entries(api.paths))
    for (const [verb, operation] of Object.entries(verbs)) {
      const tag = operation.tags?.[0] ?? "more";
      if (!groups.has(tag)) groups.set(tag, []);
      const article = make("article"), h = make("h3");
      h.append(make("span", "verb", verb.toUpperCase() + " "), path);
      article.append(h, make("p", "", operation.description ?? operation.summary), make("pre", "", command(path, verb, operation)));
      article.querySelector("pre").tabIndex = 0;
      groups.get(tag).push(article);
    }
  root.replaceChildren(...api.info.description.split("\n\n").map((p) => make("p", "", p.replaceAll("`", ""))));
  for (const [tag, articles] of groups) root.append(make("h2", "", tag), ...articles);
} catch {
  root.replaceChildren(make("p", "", "openapi.json could not be read."));
}
