// What holds the page's side together: read, send, mark, and again when the page changes.

"use strict";
globalThis.hypecheckParts ??= {};

(() => {
  const parts = globalThis.hypecheckParts;
  if (parts.started) return;
  parts.started = true;
  const api = globalThis.browser ?? globalThis.chrome;

  const HURRY = 0.4; // seconds: the first answer to a long page; the rest is read on afterwards
  const ROUNDS = 8; // requests in which a page is read to its end
  const QUIET = 350; // milliseconds without a change before the page is read again
  const PATIENCE = 1500; // … but no longer than this
  const PAUSE = { least: 1000, most: 30_000 }; // between two sendings; it doubles while changes go on
  const SEVERITIES = ["low", "medium", "high"];
  const ATTRIBUTES = ["class", "style", "hidden", "open", "aria-hidden", "alt", "value"];

  const marks = new parts.Marks();
  const card = new parts.Card({ step: (by) => step(by), closed: () => marks.point(null) });

  let on = false;
  let status = "idle"; // reading | done | refused | error
  let error = null; // { code, … }
  let limits = { characters: 200_000, blocks: 5_000 };
  let blocks = [];
  let roots = [];
  let shortened = false;
  let last = null; // the last answer, without its blocks
  let texts = ""; // what was sent last, digits apart
  let current = -1;
  let answers = new Map(); // by a block's text, digits as zeros: of each such block { tag, text, findings }
  let turn = 0; // raised by every new reading: answers to an older one are dropped
  let pause = PAUSE.least;
  let sentAt = 0;
  let changedAt = 0;
  let cost = 0; // milliseconds that the last reading took
  let timer = 0;

  // Countdowns change every second and say the same.
  const shape = (text) => text.replace(/\d/g, "0");

  async function tell(message) {
    try {
      return await api.runtime.sendMessage(message);
    } catch {
      stop(); // the extension was updated or removed: this script is an orphan
      return { error: { code: "gone" } };
    }
  }

  function report() {
    const worst = marks.all.reduce((w, m) => Math.max(w, SEVERITIES.indexOf(m.finding.severity)), 0);
    const known = status === "done" || (status === "reading" && last !== null);
    const failed = status === "error" || status === "refused";
    void tell({ type: "state", count: known ? marks.all.length : null, worst: SEVERITIES[worst], failed });
  }

  function become(newStatus, newError = null) {
    status = newStatus;
    error = newError;
    report();
  }

  // Reading

  function read() {
    const began = performance.now();
    const found = parts.read(document, card.host);
    const all = parts.roots(document);
    watch(all);
    roots = found.roots;
    const against = parts.sensitive(all);
    cost = performance.now() - began;
    if (against) return against;
    let size = 0;
    blocks = [];
    for (const block of found.blocks) {
      size += block.text.length;
      if (size > limits.characters || blocks.length >= limits.blocks) break;
      blocks.push(block);
    }
    shortened = blocks.length < found.blocks.length;
    const seen = new Map();
    for (const block of blocks) {
      const key = shape(block.text);
      const nth = seen.get(key) ?? 0;
      seen.set(key, nth + 1);
      const known = answers.get(key);
      block.answer = known?.[Math.min(nth, known.length - 1)] ?? null;
    }
    return null;
  }

  /** Mark what is known of the blocks that are there; the rest waits for the answer. */
  function mark() {
    const found = [];
    for (const block of blocks) {
      for (const finding of block.answer?.findings ?? []) {
        const range = block.range(finding.start, finding.end);
        if (range) found.push({ finding: { ...finding, text: block.text.slice(finding.start, finding.end) }, range, element: null });
        else if (block.element) found.push({ finding, range: null, element: block.element });
      }
    }
    const kept = card.mark;
    marks.show(found);
    current = -1;
    if (kept) {
      current = found.findIndex((m) => same(m, kept));
      if (current < 0) card.hide();
      else point(current, { pinned: card.pinned });
    }
  }

  function same(a, b) {
    if (a.element || b.element) return a.element === b.element && a.finding.kind === b.finding.kind;
    return (
      a.finding.kind === b.finding.kind &&
      a.range.startContainer === b.range.startContainer &&
      a.range.startOffset === b.range.startOffset
    );
  }

  async function refresh() {
    clearTimeout(timer);
    timer = 0;
    changedAt = 0;
    if (!on || document.hidden) return; // a page that comes to the front is read again
    const against = read();
    if (against) {
      forget();
      return become("refused", { code: against });
    }
    if (status === "refused") become("reading");
    mark();
    const now = blocks.map((b) => shape(b.text)).join("\n");
    if (now === texts && last && !error) return report();
    const wait = sentAt + pause - performance.now();
    if (wait > 0 && last) {
      report();
      timer = setTimeout(refresh, wait);
      return;
    }
    if (performance.now() - sentAt > 4 * pause) pause = PAUSE.least;
    else pause = Math.min(2 * pause, PAUSE.most);
    sentAt = performance.now();
    texts = now;
    await send(++turn);
  }

  async function send(mine) {
    become("reading");
    if (!blocks.length) {
      last = { checklist: [], notes: [], scores: {}, versions: null, incomplete: false };
      return become("done");
    }
    let tries = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const sent = blocks;
      const body = sent.map((b, i) => {
        const out = { id: String(i), text: b.text };
        if (b.answer?.text === b.text) out.known = b.answer.tag;
        return out;
      });
      const { answer, error: wrong } = await tell({ type: "check", blocks: body, seconds: round ? null : HURRY });
      if (mine !== turn || !on) return;
      if (wrong?.code === "busy" && tries++ < 3) {
        await new Promise((done) => setTimeout(done, 1000 * Math.min(Math.max(wrong.wait, 1), 10)));
        if (mine !== turn || !on) return;
        round--;
        continue;
      }
      if (wrong) {
        texts = "";
        return become("error", wrong);
      }
      take(sent, answer);
      mark();
      if (!answer.incomplete) break;
      become("reading"); // the marks are there; the rest of the page is read on
    }
    become("done");
  }

  function take(sent, answer) {
    answers = new Map();
    answer.blocks.forEach((got, i) => {
      const block = sent[i];
      const findings = got.findings ?? block.answer?.findings ?? [];
      block.answer = { tag: got.tag, text: block.text, findings };
      const key = shape(block.text);
      if (!answers.has(key)) answers.set(key, []);
      answers.get(key).push(block.answer);
    });
    const { blocks: _, ...rest } = answer;
    last = rest;
  }

  function forget() {
    turn++;
    card.hide();
    marks.hide();
    answers = new Map();
    blocks = [];
    last = null;
    texts = "";
  }

  // Watching

  const observer = new MutationObserver((changes) => {
    if (changes.every((c) => ours(c))) return;
    soon();
  });
  let watched = new Set();

  function ours(change) {
    const nodes = [...change.addedNodes, ...change.removedNodes];
    return change.target === card.host || (nodes.length > 0 && nodes.every((n) => n === card.host));
  }

  function watch(all) {
    const now = new Set(all);
    for (const root of now) {
      if (watched.has(root)) continue;
      observer.observe(root, { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES });
      listen(root);
    }
    watched = now;
  }

  function soon() {
    if (!on) return;
    const now = performance.now();
    if (!changedAt) changedAt = now;
    clearTimeout(timer);
    // Never more than a tenth of the page's time, whatever it animates.
    const wait = Math.max(QUIET, 9 * cost);
    timer = setTimeout(refresh, Math.max(0, Math.min(wait, changedAt + Math.max(PATIENCE, wait) - now)));
  }

  // Pointing

  const listening = new WeakSet();

  function listen(root) {
    if (root.nodeType !== Node.DOCUMENT_NODE || listening.has(root)) return;
    listening.add(root);
    const view = root.defaultView;
    if (!view) return;
    let waiting = false;
    let last = null; // where the pointer is by now; null over the card
    root.addEventListener(
      "pointermove",
      (event) => {
        if (!on || !marks.all.length) return;
        last = event.target === card.host ? null : event;
        if (waiting || !last) return;
        waiting = true;
        view.requestAnimationFrame(() => {
          waiting = false;
          if (last) hover(view, last.clientX, last.clientY);
        });
      },
      { capture: true, passive: true },
    );
    root.addEventListener(
      "click",
      (event) => {
        if (!on || !event.isTrusted || event.target === card.host) return;
        const hit = at(view, event.clientX, event.clientY);
        if (hit >= 0) point(hit, { pinned: true });
        else if (card.shown) card.hide();
      },
      { capture: true, passive: true },
    );
    root.addEventListener(
      "keydown",
      (event) => {
        if (event.key === "Escape" && card.shown) card.hide();
      },
      { capture: true, passive: true },
    );
    const follow = () => card.place();
    view.addEventListener("scroll", follow, { capture: true, passive: true });
    view.addEventListener("resize", follow, { passive: true });
    for (const type of ["load", "toggle", "transitionend"]) root.addEventListener(type, soon, { capture: true, passive: true });
  }

  function at(view, x, y) {
    const shadows = roots.filter((r) => r.nodeType === Node.DOCUMENT_FRAGMENT_NODE);
    const found = marks.at(view, x, y, shadows);
    return found ? marks.all.indexOf(found) : -1;
  }

  function hover(view, x, y) {
    if (!on || card.pinned && card.shown) return;
    const hit = at(view, x, y);
    if (hit >= 0) point(hit, {});
    else if (card.shown) card.leave();
  }

  function point(index, { pinned = false, focus = false }) {
    const found = marks.all[index];
    if (!found) return;
    current = index;
    marks.point(found);
    card.show(found, { index, count: marks.all.length, pinned, focus });
  }

  /** Go to a mark: scroll to it, say what it is. */
  function go(index, focus) {
    const found = marks.all[index];
    if (!found) return;
    const element = found.element ?? found.range.startContainer.parentElement;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block: "center", behavior: calm ? "instant" : "auto" });
    point(index, { pinned: true, focus });
  }

  function step(by) {
    const count = marks.all.length;
    if (!count) return;
    const from = current < 0 ? (by > 0 ? -1 : 0) : current;
    go((from + by + count) % count, true);
  }

  // What the popup and the worker ask

  function start(given) {
    limits = given.limits ?? limits;
    on = true;
    pause = PAUSE.least;
    sentAt = 0;
    forget();
    become("reading");
    return refresh();
  }

  function stop() {
    on = false;
    clearTimeout(timer);
    observer.disconnect();
    watched = new Set();
    forget();
    status = "idle";
    error = null;
  }

  function describe() {
    return {
      on,
      status,
      error,
      shortened: shortened ? limits : null,
      findings: marks.all.map((m, i) => ({
        index: i,
        text: m.finding.text,
        kind: m.finding.kind,
        category: m.finding.category,
        severity: m.finding.severity,
        picture: m.element?.tagName === "IMG",
      })),
      checklist: last?.checklist ?? null,
      notes: last?.notes ?? [],
      incomplete: last?.incomplete ?? false,
      versions: last?.versions ?? null,
    };
  }

  document.addEventListener("visibilitychange", () => document.hidden || soon());

  api.runtime.onMessage.addListener((message, sender, reply) => {
    if (sender.id !== api.runtime.id || sender.tab?.id !== undefined && !sender.url?.startsWith(api.runtime.getURL(""))) return false;
    switch (message?.type) {
      case "status":
        reply(describe());
        break;
      case "start":
        void start(message);
        reply({});
        break;
      case "again": // the settings changed: what was found under the old ones is void
        if (on) void start({});
        reply({});
        break;
      case "stop":
        stop();
        reply({});
        break;
      case "go":
        go(message.index, message.focus ?? false);
        reply({});
        break;
      case "next":
      case "previous":
        step(message.type === "next" ? 1 : -1);
        reply({});
        break;
      default:
        return false;
    }
    return false;
  });

  // Put in by a click, it is told to start; on a site allowed for always it asks.
  if (!parts.asked) void tell({ type: "hello" }).then((answer) => {
    if (answer?.start && !on) void start(answer);
  });
})();
