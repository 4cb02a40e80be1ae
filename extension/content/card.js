// The floating card: what a mark says, why, what to ask. It stands in a closed shadow root, and in
// the page only while it is shown.

"use strict";
globalThis.hypecheckParts ??= {};

(() => {
  const parts = globalThis.hypecheckParts;
  if (parts.Card) return;
  const api = globalThis.browser ?? globalThis.chrome;
  const say = (name, ...values) => api.i18n.getMessage(name, values.map(String)) || name;
  const LEAVE = 260; // milliseconds in which the pointer may cross from the mark to the card

  const STYLE = `
    :host {
      all: initial !important; position: fixed !important; inset: 0 auto auto 0 !important; margin: 0 !important; padding: 0 !important;
      border: 0 !important; width: 0 !important; height: 0 !important; overflow: visible !important; background: none !important;
      display: block !important; z-index: 2147483647 !important; color-scheme: light dark !important;
    }
    .card, .ring { --sheet: #fffefb; --ink: #1c2730; --soft: #55626d; --line: #ddd8cc; --accent: #0b6b7d; }
    .guaranteed_cure { --m: #b3261e; --m-bg: #fbdad5; }
    .pressure_sales { --m: #8a5200; --m-bg: #ffe3ad; }
    .missing_data { --m: #3d4db3; --m-bg: #dfe3fd; }
    @media (prefers-color-scheme: dark) {
      .card, .ring { --sheet: #1a2229; --ink: #e8ecef; --soft: #a9b5bf; --line: #323e48; --accent: #7fd0e0; }
      .guaranteed_cure { --m: #ffb4ab; --m-bg: #5c2320; }
      .pressure_sales { --m: #ffcb7d; --m-bg: #553a0c; }
      .missing_data { --m: #bcc5ff; --m-bg: #2f376e; }
    }
    * { box-sizing: border-box; }
    .card {
      position: fixed; width: min(25rem, calc(100vw - 24px)); max-height: min(30rem, calc(100vh - 24px)); overflow: auto;
      overscroll-behavior: contain; scrollbar-width: thin; background: var(--sheet); color: var(--ink); border: 1px solid var(--line);
      border-top: 4px solid var(--m); border-radius: 12px; box-shadow: 0 12px 36px #0004; padding: 14px 16px 0;
      font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; text-align: start;
    }
    .card:focus { outline: none; }
    :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 6px; }
    .card:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; border-radius: 12px; }
    .head { display: flex; gap: 8px; align-items: flex-start; }
    h2 { font-size: 16px; line-height: 1.3; margin: 4px 0 6px; font-weight: 650; }
    .pill {
      display: inline-block; border-radius: 99px; padding: 1px 10px; background: var(--m-bg); color: var(--m); font-size: 12.5px; font-weight: 600;
    }
    .head > div { flex: 1; min-width: 0; }
    blockquote {
      margin: 0 0 10px; padding: 4px 10px; border-inline-start: 3px solid var(--m); color: var(--ink); overflow-wrap: anywhere;
      font: 15px/1.45 Charter, "Bitstream Charter", Georgia, "Noto Serif", "DejaVu Serif", serif;
    }
    h3 { font-size: 12.5px; margin: 10px 0 1px; color: var(--soft); font-weight: 600; letter-spacing: .01em; }
    p { margin: 0; }
    ul { margin: 0; padding-inline-start: 18px; }
    li { margin: 2px 0; }
    a { color: var(--accent); }
    .foot {
      display: flex; align-items: center; gap: 6px; border-top: 1px solid var(--line); margin-top: 12px; padding: 8px 0 10px;
      color: var(--soft); font-size: 13px; position: sticky; bottom: 0; background: var(--sheet);
    }
    .foot span { flex: 1; }
    button {
      font: inherit; font-size: 13px; color: var(--ink); background: transparent; border: 1px solid var(--line); border-radius: 8px;
      padding: 3px 10px; cursor: pointer; min-height: 28px;
    }
    button:hover { border-color: var(--accent); }
    .close { border: 0; font-size: 20px; line-height: 1; width: 28px; padding: 0; color: var(--soft); margin: -4px -6px 0 0; }
    .ring { position: fixed; border: 3px solid var(--m); border-radius: 6px; box-shadow: 0 0 0 3px var(--m-bg); pointer-events: none; }
    .aloud { position: fixed; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    @media (prefers-reduced-motion: no-preference) { .card { animation: come .12s ease-out; } }
    @keyframes come { from { opacity: 0; translate: 0 4px; } }
    @media (forced-colors: active) { .card { border-width: 2px; } .pill { border: 1px solid; } }
    @media print { :host { display: none !important; } }
  `;

  function make(tag, className, ...content) {
    const e = document.createElement(tag);
    if (className) e.className = className;
    e.append(...content);
    return e;
  }

  parts.Card = class {
    /** `step(by)` goes to a neighbour; `closed()` is told when the card went away. */
    constructor({ step, closed }) {
      this.step = step;
      this.closed = closed;
      this.mark = null;
      this.pinned = false;
      this.timer = 0;
      this.back = null; // what had the focus before
      this.host = make("div");
      const root = this.host.attachShadow({ mode: "closed" });
      this.root = root;
      try {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(STYLE);
        root.adoptedStyleSheets = [sheet];
      } catch {
        root.append(make("style", "", STYLE)); // Firefox guards the list from content scripts
      }
      this.ring = make("div", "ring");
      this.card = make("section", "card");
      this.card.setAttribute("role", "dialog");
      this.card.setAttribute("aria-labelledby", "title");
      this.card.tabIndex = -1;
      this.aloud = make("div", "aloud");
      this.aloud.setAttribute("role", "status");
      root.append(this.ring, this.card, this.aloud);
      this.card.addEventListener("pointerenter", () => clearTimeout(this.timer));
      this.card.addEventListener("pointerleave", () => this.leave());
      for (const type of ["keydown", "keyup", "keypress"])
        root.addEventListener(type, (event) => {
          if (type === "keydown" && event.key === "Escape") this.hide();
          event.stopPropagation(); // the page's own shortcuts are not meant
        });
    }

    get shown() {
      return this.mark !== null;
    }

    /** Show what a mark says; `pinned` until it is closed, `focus` for the keyboard. */
    show(mark, { index, count, pinned = false, focus = false }) {
      clearTimeout(this.timer);
      const fresh = mark !== this.mark || pinned !== this.pinned;
      if (!this.shown) this.back = document.activeElement;
      this.mark = mark;
      this.pinned = pinned;
      if (!this.host.isConnected) document.documentElement.append(this.host);
      try {
        this.host.popover = "manual"; // above the page's dialogs
        if (!this.host.matches(":popover-open")) this.host.showPopover();
      } catch {
        // a high z-index does, mostly
      }
      if (fresh) this.fill(mark.finding, index, count);
      this.place();
      if (focus) {
        this.card.focus({ preventScroll: true });
        this.aloud.textContent = `${say(`kind_${mark.finding.kind}`)}: ${mark.finding.text}`;
      }
    }

    fill(f, index, count) {
      const title = make("h2", "", say(`kind_${f.kind}`));
      title.id = "title";
      const close = make("button", "close", "×");
      close.setAttribute("aria-label", say("close"));
      const head = make("div", "head", make("div", "", make("span", "pill", say(f.category)), title), close);
      const nodes = [head, make("blockquote", "", f.text)];
      nodes.push(make("h3", "", say("why")), make("p", "", f.why), make("h3", "", say("ask")), make("p", "", f.advice));
      if (f.references.length) {
        const list = make("ul");
        for (const r of f.references.slice(0, 3)) {
          const link = make("a", "", `${r.title} (${r.year})`);
          if (/^https:\/\//.test(r.url)) link.href = r.url;
          link.target = "_blank";
          link.rel = "noopener noreferrer";
          list.append(make("li", "", link));
        }
        nodes.push(make("h3", "", say("guidance")), list);
      }
      const before = make("button", "", say("previous")), next = make("button", "", say("next"));
      const foot = make("div", "foot", make("span", "", say("place", index + 1, count)), before, next);
      this.card.className = `card ${f.category}`;
      this.ring.className = `ring ${f.category}`;
      this.card.replaceChildren(...nodes, foot);
      this.card.scrollTop = 0;
      // What the page makes up is not trusted: only real clicks count.
      close.addEventListener("click", (e) => e.isTrusted && this.hide());
      before.addEventListener("click", (e) => e.isTrusted && this.step(-1));
      next.addEventListener("click", (e) => e.isTrusted && this.step(1));
    }

    /** Put the card beside its mark, within the window. */
    place() {
      if (!this.shown) return;
      const box = parts.place(this.mark);
      this.ring.hidden = !this.mark.element || !box;
      this.ring.style.display = this.ring.hidden ? "none" : "block";
      if (!box) return;
      const size = this.card.getBoundingClientRect();
      const wide = document.documentElement.clientWidth, high = window.innerHeight;
      const left = Math.max(12, Math.min(box.left, wide - size.width - 12));
      const below = box.bottom + 10 + size.height <= high - 8;
      const above = box.top - 10 - size.height >= 8;
      const top = below ? box.bottom + 10 : above ? box.top - 10 - size.height : Math.max(8, high - size.height - 8);
      Object.assign(this.card.style, { left: `${left}px`, top: `${top}px` });
      Object.assign(this.ring.style, {
        left: `${box.left - 4}px`, top: `${box.top - 4}px`, width: `${box.right - box.left + 8}px`, height: `${box.bottom - box.top + 8}px`,
      });
    }

    /** The pointer went away: close soon, unless the card is pinned or the pointer comes back. */
    leave() {
      clearTimeout(this.timer);
      if (!this.pinned) this.timer = setTimeout(() => this.hide(), LEAVE);
    }

    hide() {
      clearTimeout(this.timer);
      if (!this.shown) return;
      this.mark = null;
      const focused = this.root.activeElement !== null;
      this.host.remove();
      this.aloud.textContent = "";
      if (focused) this.back?.focus?.({ preventScroll: true });
      this.back = null;
      this.closed();
    }
  };
})();
