"use strict";
(() => {
  const form = document.getElementById("filters");
  if (!form) return;
  const items = [...document.querySelectorAll("#list > li")];
  const words = new Map(items.map((li) => [li, li.textContent.toLowerCase()]));
  const count = document.getElementById("count");
  const chosen = ["kind", "severity", "advertiser", "source", "known"];

  const show = () => {
    const data = new FormData(form);
    const categories = new Set(data.getAll("category"));
    const sought = (data.get("words") || "").toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const li of items) {
      const fits =
        categories.has(li.dataset.category) &&
        chosen.every((name) => !data.get(name) || li.dataset[name] === data.get(name)) &&
        sought.every((word) => words.get(li).includes(word));
      li.hidden = !fits;
      n += fits;
    }
    count.textContent = n === items.length ? `All ${n} examples are shown.` : `${n} of ${items.length} examples are shown.`;
  };

  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  form.reset();
  // On paper, every table is open.
  addEventListener("beforeprint", () => {
    for (const d of document.querySelectorAll("details:not([open])")) {
      d.open = true;
      d.dataset.shut = "";
    }
  });
  addEventListener("afterprint", () => {
    for (const d of document.querySelectorAll("details[data-shut]")) {
      d.open = false;
      delete d.dataset.shut;
    }
  });
})();
