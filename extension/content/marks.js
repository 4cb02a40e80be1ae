// The marks: ranges in the browser's highlight registries. The page's own tree is not touched.

"use strict";
globalThis.hypecheckParts ??= {};

(() => {
  const parts = globalThis.hypecheckParts;
  if (parts.Marks) return;

  // From the weakest to the strongest: where two overlap, the later is seen.
  const NAMES = ["missing_data", "pressure_sales", "guaranteed_cure", "current"].map((n) => `hypecheck-${n}`);

  parts.Marks = class {
    constructor() {
      this.all = []; // { finding, range, element }
      this.views = new Set(); // windows of the page and of its frames
    }

    /** Show these marks and no others. */
    show(marks) {
      this.all = marks;
      const wanted = new Map();
      for (const mark of marks) {
        if (!mark.range) continue;
        const view = mark.range.startContainer.ownerDocument.defaultView;
        if (!view) continue; // the frame went away
        const name = `hypecheck-${mark.finding.category}`;
        if (!wanted.has(view)) wanted.set(view, new Map());
        const names = wanted.get(view);
        if (!names.has(name)) names.set(name, []);
        names.get(name).push(mark.range);
      }
      for (const view of this.views) if (!wanted.has(view)) this.clear(view);
      for (const [view, names] of wanted) {
        this.views.add(view);
        for (const name of NAMES) this.put(view, name, names.get(name) ?? []);
      }
    }

    /** Set one mark apart; null for none. */
    point(mark) {
      for (const view of this.views) this.put(view, NAMES.at(-1), []);
      const view = mark?.range?.startContainer.ownerDocument.defaultView;
      if (view) this.put(view, NAMES.at(-1), [mark.range]);
    }

    put(view, name, ranges) {
      const registry = view.CSS.highlights;
      if (!ranges.length) return void registry.delete(name);
      const highlight = new view.Highlight(...ranges);
      highlight.priority = NAMES.indexOf(name);
      registry.set(name, highlight);
    }

    clear(view) {
      try {
        for (const name of NAMES) view.CSS.highlights.delete(name);
      } catch {
        // the frame went away
      }
      this.views.delete(view);
    }

    hide() {
      this.all = [];
      for (const view of [...this.views]) this.clear(view);
    }

    /** Give the mark at a point of a window's viewport, or null. */
    at(view, x, y, shadowRoots) {
      if (!this.all.length) return null;
      const element = this.all.find((m) => m.element && m.element.ownerDocument.defaultView === view && inside(m.element.getClientRects(), x, y));
      if (element) return element;
      const registry = view.CSS.highlights;
      const here = this.all.filter((m) => m.range?.startContainer.ownerDocument.defaultView === view);
      if (registry.highlightsFromPoint) {
        const hits = registry.highlightsFromPoint(x, y, { shadowRoots });
        const ranges = new Set(hits.flatMap((h) => h.ranges));
        return here.find((m) => ranges.has(m.range)) ?? null;
      }
      return here.find((m) => inside(m.range.getClientRects(), x, y)) ?? null;
    }
  };

  function inside(boxes, x, y) {
    return [...boxes].some((b) => b.left <= x && x <= b.right && b.top <= y && y <= b.bottom);
  }

  /** Give where a mark is, in the viewport of the top window. */
  parts.place = (mark) => {
    const boxes = mark.range ? mark.range.getClientRects() : mark.element.getClientRects();
    const box = [...boxes].find((b) => b.width > 0) ?? mark.range?.getBoundingClientRect() ?? null;
    if (!box) return null;
    let { left, top } = box;
    let view = (mark.range?.startContainer ?? mark.element).ownerDocument.defaultView;
    while (view && view !== globalThis.window && view.frameElement) {
      const frame = view.frameElement.getBoundingClientRect();
      left += frame.left + view.frameElement.clientLeft;
      top += frame.top + view.frameElement.clientTop;
      view = view.parent;
    }
    return { left, top, right: left + box.width, bottom: top + box.height };
  };
})();
