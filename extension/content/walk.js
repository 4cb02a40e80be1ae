// The page's visible text in reading order, in blocks, with the way back from offsets to the DOM.
// Content scripts cannot be modules; they share one object of their own, unseen by the page.

"use strict";
globalThis.hypecheckParts ??= {};

(() => {
  const parts = globalThis.hypecheckParts;
  if (parts.read) return;

  // Never read: code, what the visitor writes, what is drawn rather than written, menus.
  const SKIPPED = new Set(
    ("SCRIPT STYLE NOSCRIPT TEMPLATE CODE SAMP TEXTAREA SELECT OPTION DATALIST METER PROGRESS CANVAS VIDEO " +
      "AUDIO OBJECT EMBED MAP HEAD NAV RP").split(" "),
  );
  const EDITED = new Set(["textbox", "searchbox", "combobox", "spinbutton"]);
  const BUTTONS = new Set(["button", "tab", "menuitem", "option"]);
  const INLINE = new Set(["inline", "contents", "ruby", "ruby-base", "ruby-text"]);
  const INLINE_BOX = new Set(["inline-block", "inline-flex", "inline-grid", "inline-table"]);
  const FILE_NAME = /\.(?:jpe?g|png|gif|webp|svg|avif|bmp|heic)\b|^(?:img|dsc|image|photo)?[-_ ]?\d+$/i;

  /** A run of text that belongs together: a paragraph, a heading, a button, a caption. */
  class Block {
    constructor() {
      this.text = "";
      this.pieces = []; // { at, node, from, size }: text[at, at + size) is node.data[from, from + size)
      this.element = null; // of words that stand in an attribute: a picture's, a button's
    }

    add(text, node, from) {
      const last = this.pieces.at(-1);
      if (last && last.node === node && last.from + last.size === from && last.at + last.size === this.text.length)
        last.size += text.length;
      else this.pieces.push({ at: this.text.length, node, from, size: text.length });
      this.text += text;
    }

    /** Give the DOM range of text[start, end), or null for words of an attribute. */
    range(start, end) {
      const first = this.pieces.find((p) => p.at <= start && start < p.at + p.size) ?? this.pieces.find((p) => p.at >= start);
      const last = this.pieces.findLast((p) => p.at < end);
      if (!first || !last) return null;
      const range = first.node.ownerDocument.createRange();
      range.setStart(first.node, first.from + Math.max(0, start - first.at));
      range.setEnd(last.node, last.from + Math.min(last.size, end - last.at));
      return range;
    }
  }

  class Reader {
    constructor(skip) {
      this.skip = skip;
      this.blocks = [];
      this.roots = []; // documents and open shadow roots that were entered
      this.block = new Block();
    }

    end() {
      const block = this.block;
      if (/[\p{L}\p{N}]/u.test(block.text)) {
        block.text = block.text.replace(/\s+$/, "");
        this.blocks.push(block);
      }
      if (block.text) this.block = new Block();
    }

    attribute(element, text) {
      this.end();
      const block = new Block();
      block.text = text.trim().replace(/\s+/g, " ");
      block.element = element;
      if (/\p{L}/u.test(block.text)) this.blocks.push(block);
    }

    text(node, style) {
      const data = node.data;
      const block = this.block;
      if (/^(?:pre|break-spaces)/.test(style.whiteSpace)) {
        if (data) block.add(data, node, 0);
        return;
      }
      for (const match of data.matchAll(/[^\t\n\f\r ]+|[\t\n\f\r ]+/g)) {
        const blank = "\t\n\f\r ".includes(match[0][0]);
        if (!blank) block.add(match[0], node, match.index);
        else if (block.text && !/\s$/.test(block.text)) block.add(" ", node, match.index);
      }
    }

    children(node, style) {
      for (let child = node.firstChild; child; child = child.nextSibling) this.visit(child, style);
    }

    visit(node, style) {
      if (node.nodeType === Node.TEXT_NODE) {
        if (style.visibility === "visible") this.text(node, style);
        return;
      }
      if (node.nodeType !== Node.ELEMENT_NODE || node === this.skip) return;
      const tag = node.tagName;
      if (SKIPPED.has(tag) || node.namespaceURI !== "http://www.w3.org/1999/xhtml") return;
      if (node.getAttribute("aria-hidden") === "true") return;
      const role = node.getAttribute("role");
      if (role === "navigation" || EDITED.has(role) || node.isContentEditable) return;
      const own = node.ownerDocument.defaultView.getComputedStyle(node);
      if (own.display === "none") return;
      // Parts that are folded away (details, content-visibility) have styles, but are not shown.
      if (own.display !== "contents" && tag !== "BR" && !node.checkVisibility()) return;
      if (tag === "BR") {
        if (this.block.text && !/\n$/.test(this.block.text)) this.block.text = this.block.text.replace(/ +$/, "") + "\n";
        return;
      }
      if (tag === "IMG" || tag === "INPUT") return this.replaced(node, tag, own);
      if (tag === "IFRAME" || tag === "FRAME") return this.frame(node);
      const button = tag === "BUTTON" || tag === "SUMMARY" || BUTTONS.has(role);
      const box = INLINE_BOX.has(own.display) && (button || tag === "A");
      // Letters and words are often boxes of their own, for an effect: those stay together.
      const apart = button || box || !(INLINE.has(own.display) || INLINE_BOX.has(own.display));
      if (apart) this.end();
      if (node.shadowRoot) {
        this.roots.push(node.shadowRoot);
        this.children(node.shadowRoot, own);
      } else if (tag === "DETAILS" && !node.open) {
        const summary = node.querySelector(":scope > summary");
        if (summary) this.visit(summary, own);
      } else if (tag === "SLOT") {
        const given = node.assignedNodes({ flatten: true });
        if (given.length) for (const child of given) this.visit(child, own);
        else this.children(node, own);
      } else this.children(node, own);
      if (apart) this.end();
    }

    replaced(node, tag, style) {
      if (style.visibility !== "visible") return;
      if (tag === "INPUT") {
        // The words on a button; never what a visitor enters.
        if (["submit", "button", "reset"].includes(node.type)) this.attribute(node, node.value);
        return;
      }
      const alt = (node.getAttribute("alt") ?? "").trim();
      if (alt.includes(" ") && !FILE_NAME.test(alt)) this.attribute(node, alt);
    }

    frame(node) {
      let inner = null;
      try {
        inner = node.contentDocument; // null where the frame has another origin
      } catch {
        return;
      }
      if (!inner?.body || !/^(?:about:|https?:)/.test(inner.URL)) return;
      this.end();
      this.document(inner);
      this.end();
    }

    document(doc) {
      this.roots.push(doc);
      this.visit(doc.body, doc.defaultView.getComputedStyle(doc.body));
    }
  }

  /** Read a document: { blocks, roots }. `skip` is an element of our own. */
  parts.read = (doc, skip = null) => {
    const reader = new Reader(skip);
    if (doc.body) reader.document(doc);
    reader.end();
    return { blocks: reader.blocks, roots: reader.roots };
  };

  const PAYMENT_NAME =
    /(?:^|[^a-z])(?:card[-_ ]?(?:number|no|num)|cc[-_ ]?(?:number|num|csc|exp)|cvv2?|cvc2?|iban|security[-_ ]?code)(?:$|[^a-z])/i;
  const PAYMENT_FRAME =
    /^https:\/\/(?:[^/]+\.)?(?:stripe\.com|stripe\.network|braintreegateway\.com|paypal\.com|adyen\.com|squareup\.com|squarecdn\.com|authorize\.net|klarna\.com|checkout\.com|worldpay\.com|mollie\.com)\//i;

  /** Say what a page has that forbids reading it: "password", "payment" or null. */
  parts.sensitive = (roots) => {
    for (const root of roots) {
      if (root.querySelector("input[type=password i], input[autocomplete~='current-password'], input[autocomplete~='new-password']"))
        return "password";
      if (root.querySelector("input[autocomplete^='cc-'], input[autocomplete*=' cc-'], select[autocomplete^='cc-']")) return "payment";
      for (const field of root.querySelectorAll("input, select")) {
        if (["submit", "button", "hidden", "checkbox", "radio"].includes(field.type)) continue;
        const names = `${field.name} ${field.id} ${field.placeholder ?? ""} ${field.getAttribute("aria-label") ?? ""}`;
        if (PAYMENT_NAME.test(names)) return "payment";
      }
      for (const frame of root.querySelectorAll("iframe[src]")) if (PAYMENT_FRAME.test(frame.src)) return "payment";
    }
    return null;
  };

  /** Give every document and open shadow root of a page, also of its hidden parts. */
  parts.roots = (doc) => {
    const found = [doc];
    for (const root of found) {
      for (const element of root.querySelectorAll("*")) {
        if (element.shadowRoot) found.push(element.shadowRoot);
        else if (element.tagName === "IFRAME" || element.tagName === "FRAME") {
          let inner = null;
          try {
            inner = element.contentDocument;
          } catch {
            // another origin
          }
          if (inner) found.push(inner);
        }
      }
    }
    return found;
  };
})();
