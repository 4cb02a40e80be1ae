"""HTML to plain text, one block a line, the way a visitor reads it.

Headings, list items, cells, buttons, captions and footers stay, since hype and disclaimers live
there; scripts, navigation, hidden parts and cookie banners go. Offsets of a report on a page count
into the text that :func:`page_text` gives. Bytes become text in :mod:`hypecheck.reading`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from hypecheck.allow import Directive, close, directive
from hypecheck.types import Region

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "button",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "hr",
        "html",
        "label",
        "legend",
        "li",
        "listing",
        "main",
        "marquee",
        "menu",
        "ol",
        "optgroup",
        "option",
        "p",
        "plaintext",
        "pre",
        "search",
        "section",
        "select",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "title",
        "tr",
        "ul",
        "xmp",
    ]
)
_DROPPED = frozenset(
    [
        "audio",
        "canvas",
        "datalist",
        "embed",
        "frameset",
        "iframe",
        "map",
        "nav",
        "noembed",
        "noframes",
        "noscript",
        "object",
        "rp",
        "script",
        "style",
        "svg",
        "template",
        "textarea",
        "video",
    ]
)
_PRE = frozenset(("pre", "listing", "xmp", "plaintext"))
_VOID = frozenset(
    [
        "area",
        "base",
        "basefont",
        "bgsound",
        "br",
        "col",
        "embed",
        "frame",
        "hr",
        "img",
        "input",
        "keygen",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
# Their start tags close an open sibling, so an unclosed run of them does not nest.
_SELF_CLOSING = frozenset(
    [
        "p",
        "li",
        "dt",
        "dd",
        "option",
        "optgroup",
        "td",
        "th",
        "tr",
        "tbody",
        "thead",
        "tfoot",
        "caption",
        "colgroup",
        "html",
        "head",
        "body",
        "rb",
        "rt",
        "rp",
        "rtc",
    ]
)
_FORMATTING = frozenset(
    [
        "a",
        "b",
        "big",
        "code",
        "em",
        "font",
        "i",
        "nobr",
        "s",
        "small",
        "strike",
        "strong",
        "tt",
        "u",
    ]
)
_SCOPES = frozenset(["applet", "marquee", "object", "table", "template", "svg", "math"])

_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)", re.I)
_BLOCK_STYLE = re.compile(r"display\s*:\s*(?:block|flex|grid|list-item|table)", re.I)
_BUTTON = re.compile(r"(?:^|[\s_-])(?:btn|button|cta)(?:$|[\s_-])", re.I)
# "consent" alone is no sign: clinics have sections on informed consent.
_COOKIES = re.compile(
    r"cookie|gdpr|onetrust|usercentrics|didomi|"
    r"consent[-_ ]?(?:banner|bar|box|modal|popup|notice|dialog|overlay|manager|root|prompt)|"
    r"(?:banner|bar|modal|popup|notice|dialog|overlay|cmp)[-_ ]?consent",
    re.I,
)
_COOKIE_TAGS = frozenset(["aside", "dialog", "div", "footer", "form", "section"])
_COOKIE_SIZE = 3000  # characters; more than a banner holds, so a wrapper of the page stays
_FILE_NAME = re.compile(
    r"\.(?:jpe?g|png|gif|webp|svg|avif|bmp|heic)\b|^(?:img|dsc|pxl|image|photo)?[-_ ]?\d+$", re.I
)
_LOGO = re.compile(r"\b(?:logo|icon|avatar|placeholder|thumbnail|spacer|arrow|favicon)\b", re.I)
_FOOTNOTE = re.compile(r"[\d,;*†‡§¶ ]{1,12}")
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_TWINS = 64  # blocks: how long a repeated run of them may be

_DEPTH = 256  # levels; pages have a few dozen, and the parser's time grows with the square
_OPEN_FORMATTING = 6  # HTML reopens unclosed <b>, <i>, … in every block: pages could explode
_ATTRIBUTES = 400  # a tag; the parser compares each with each
_LONG_TAG = 2000  # characters; a shorter tag cannot hold too many attributes

_SPACE = r"\t\n\f\r "
_TAG = re.compile(rf"<(?:(/?)([a-zA-Z][^{_SPACE}/>]*)|!--|[!?/])")
_ATTRIBUTE = (
    rf"[^{_SPACE}/>][^{_SPACE}/>=]*+"
    rf"(?:[{_SPACE}]*+=[{_SPACE}]*+(?:\"[^\"]*+\"|'[^']*+'|[^{_SPACE}>\"'][^{_SPACE}>]*+)?+)?+"
)
_TAG_END = re.compile(rf"(?:[{_SPACE}/]++|{_ATTRIBUTE})*+>")
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_RAW = {
    name: re.compile(rf"</{name}(?=[{_SPACE}/>])", re.I)
    for name in [
        "script",
        "style",
        "textarea",
        "title",
        "xmp",
        "iframe",
        "noembed",
        "noframes",
        "noscript",
    ]
}
_COMMENT_END = re.compile(r"--!?>")

_DOCUMENT = re.compile(
    r"\s*(?:<\?xml[^<>]*>\s*|<!--(?>.*?-->)\s*)*+<(?:!doctype\s+html|html|head|body)\b",
    re.I | re.S,
)
_BLOCK_TAG = re.compile(
    r"<(/?)(?:address|article|aside|blockquote|br|button|center|div|dl|dt|dd|figure|figcaption|"
    r"footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|script|section|style|table|tbody|td|th|tr|"
    r"title|ul)(?:\s[^<>]*|/)?>",
    re.I,
)


def looks_like_html(text: str) -> bool:
    """Tell whether ``text`` is a page or a piece of one, rather than prose with a stray ``<``.

    >>> looks_like_html("<h1>Knees</h1><p>Cured.</p>")
    True
    >>> looks_like_html("We <3 knees. Write to <info@clinic.example>. <b>Now</b>!")
    False
    """
    head = text.lstrip("\ufeff")
    if "<" not in head:
        return False
    if _DOCUMENT.match(head):
        return True
    tags = [m[1] for m in _BLOCK_TAG.finditer(head)]
    start = head.lstrip()[:2]
    if start[:1] == "<" and (start[1:].isalpha() or start[1:] == "!"):
        return len(tags) >= 2
    # Text first, tags later: a fragment has them throughout, a note about HTML has a few.
    lines = sum(1 for line in head.splitlines() if line.strip())
    return len(tags) >= 3 and len(tags) * 3 >= lines


# A directive's place is kept by a character that no text holds: those of this private plane are
# taken out of a page that has directives.
_PLACE, _PLACES = 0x100000, 65_000
_PLACE_CHARACTER = re.compile(f"[{chr(_PLACE)}-{chr(_PLACE + _PLACES)}]")


def page_text(html: str) -> str:
    """Give the visible text of ``html`` in reading order, one block a line.

    ``<br>`` is a line break too. A block that begins in lower case has an empty line before it, so
    that :mod:`hypecheck.segment` does not take it for the rest of a wrapped line. Total on any
    string and linear in its length: nesting, attributes and unclosed tags beyond what pages have
    are left out before parsing.

    >>> print(page_text("<h1>Knee&nbsp;pain?</h1><p>We <b>cure</b> it.<script>x()</script>"))
    Knee pain?
    We cure it.
    """
    return read_page(html)[0]


def read_page(html: str) -> tuple[str, tuple[Region, ...]]:
    r"""Give :func:`page_text`, and the regions of it that comments in ``html`` switch off.

    >>> html = "<p>Act now!</p><!-- hypecheck: off --><p>Cured!</p><!-- hypecheck: on --><p>Hi"
    >>> text, regions = read_page(html)
    >>> [text[r.start : r.end] for r in regions]
    ['Cured!\n']
    """
    html = html.encode("utf-8", "replace").decode()
    directives: list[Directive] | None = None
    if "hypecheck:" in html.lower():
        directives = []
        html = _PLACE_CHARACTER.sub("", html)
    tree = LexborHTMLParser(_tame(html))
    out = _Blocks(directives)
    if tree.root is not None:
        if directives is not None:  # comments may stand in front of everything
            for comment in reversed(list(_before(tree.root))):
                out.comment(comment)
        _walk(tree.root, out)
    out.end_block()
    text = out.text()
    if not directives:
        return text, ()
    marks: list[tuple[int, int, Directive]] = []
    for n, m in enumerate(_PLACE_CHARACTER.finditer(text)):
        at = m.start() - n  # in the text without these characters
        marks.append((at, at, directives[ord(m[0]) - _PLACE]))
    text = _PLACE_CHARACTER.sub("", text)
    marks += [(len(text), len(text), directives[ord(c) - _PLACE]) for c in out.places]
    return text, close(marks, len(text))


def _before(node: LexborNode) -> Iterator[str]:
    """Give the comments in front of ``node``, the nearest first."""
    before = node.prev
    while before is not None:
        if before.tag == "-comment":
            yield before.comment_content or ""
        before = before.prev


class _Blocks:
    """The blocks read so far, and the one being read."""

    def __init__(self, directives: list[Directive] | None = None) -> None:
        self.directives = directives  # comments that speak to HypeCheck, as they come; None: none
        self.places = ""  # characters for those that no text has followed yet
        self.done: list[str] = []
        self.size = 0  # characters ever added; tells whether an element held any text
        self.breaks = 0  # how often a line ended
        self.parts: list[str] = []  # of the current line
        self._begun = False  # whether the current line shows anything yet
        self._lines: list[str] = []  # of the current block
        self._later: list[str] = []  # blocks found in the middle of this one
        self._seen: dict[str, int] = {}  # block: index of its last occurrence

    def add(self, text: str) -> None:
        if self.places and text.strip():
            begun = len(text) - len(text.lstrip())
            text = text[:begun] + self.places + text[begun:]
            self.places = ""
        self.parts.append(text)
        if text and not text.isspace():
            self.size += len(text)
            self._begun = True

    def comment(self, text: str) -> None:
        if (
            self.directives is not None
            and len(self.directives) < _PLACES
            and (d := directive(text))
        ):
            self.places += chr(_PLACE + len(self.directives))
            self.directives.append(d)

    def end_line(self) -> None:
        line = " ".join("".join(self.parts).split())
        self.parts.clear()
        self._begun = False
        self.breaks += 1
        if line:
            self._lines.append(line)
        else:
            self._end_lines()  # two line breaks in a row are a paragraph's end

    def end_block(self) -> None:
        if self.parts:
            self.end_line()
        self._end_lines()
        for block in self._later:
            self._append(block)
        self._later.clear()

    def add_block(self, text: str) -> None:
        """Add a block of its own without cutting a block that has begun."""
        text = " ".join(text.split())
        if not text:
            return
        text, self.places = self.places + text, ""
        self.size += len(text)
        if self._lines or self._begun:
            self._later.append(text)
        else:
            self._append(text)

    def cut(self, length: int) -> None:
        """Forget all blocks from index ``length`` on."""
        del self.done[length:]

    def text(self) -> str:
        out: list[str] = []
        for block in self.done:
            if out:
                first = _PLACE_CHARACTER.sub("", block)[:1] if self.directives else block[0]
                out.append("\n\n" if first.islower() else "\n")
            out.append(block)
        return "".join(out)

    def _end_lines(self) -> None:
        if self._lines:
            self._append("\n".join(self._lines))
            self._lines.clear()

    def _append(self, block: str) -> None:
        """Append ``block``; a run that repeats the run before it (a responsive twin) goes."""
        done, at = self.done, len(self.done)
        last = self._seen.get(block, -1)
        done.append(block)
        self._seen[block] = at
        run = at - last
        if last < 0 or not 0 < run <= _TWINS or at + 1 < 2 * run:
            return
        if done[-run:] == done[-2 * run : -run] and (run == 1 or sum(map(len, done[-run:])) >= 40):
            del done[-run:]
            self._seen.update((twin, at + 1 - 2 * run + i) for i, twin in enumerate(done[-run:]))


@dataclass(slots=True)
class _Open:
    """An element whose children are being read, and what stood before it."""

    node: LexborNode
    tag: str
    block: bool
    size: int
    breaks: int
    parts: int
    blocks: int
    heads: int
    label: str | None = None
    banner: bool = False


def _walk(root: LexborNode, out: _Blocks) -> None:
    """Read ``root``'s descendants; a loop, not a recursion, whatever the depth."""
    path: list[_Open] = []
    pre = heads = 0
    node = root.first_child
    while node is not None or path:
        if node is None:
            left = path.pop()
            pre -= left.tag in _PRE
            small = heads == left.heads and out.size - left.size <= _COOKIE_SIZE
            if left.banner and small:
                out.end_block()
                out.cut(left.blocks)
            _leave(left, out)
            node = left.node.next
            continue
        tag = node.tag
        if tag == "-text":
            text = node.text_content or ""
            if pre and "\n" in text:
                first, *rest = text.split("\n")
                out.add(first)
                for line in rest:
                    out.end_line()
                    out.add(line)
            else:
                out.add(text)
        elif tag == "-comment" and out.directives is not None:
            out.comment(node.comment_content or "")
        elif tag is not None and tag[0] != "-":
            opened = _enter(node, tag, out, heads)
            heads += tag in ("h1", "main", "article")
            if opened is not None:
                pre += tag in _PRE
                path.append(opened)
                node = node.first_child
                continue
        node = node.next


def _enter(node: LexborNode, tag: str, out: _Blocks, heads: int) -> _Open | None:
    """Begin an element; None where its children are not to be read."""
    if tag in _DROPPED:
        if tag not in ("script", "style", "noscript", "template", "svg", "rp"):
            out.end_block()
        return None
    given = node.attributes
    role = (given.get("role") or "").lower() if given else ""
    style = (given.get("style") or "") if given else ""
    block = tag in _BLOCKS
    if given:
        page = tag in ("html", "body")  # hidden until a script runs, or never seen at all
        if not page and ("hidden" in given or _HIDDEN.search(style)):
            return None
        if (given.get("aria-hidden") or "").lower() == "true" or role == "navigation":
            return None
        block = (
            block
            or role in ("button", "heading", "listitem")
            or (tag in ("a", "span") and _BUTTON.search(given.get("class") or "") is not None)
            or _BLOCK_STYLE.search(style) is not None
        )
    if tag == "br":
        out.end_line()
        return None
    if tag in ("img", "input"):
        _add_replaced(tag, given, out)
        return None
    if tag == "a" and not block:
        before = node.prev
        block = before is not None and before.tag == "a"  # links side by side: a row of buttons
    if block:
        out.end_block()
    opened = _Open(node, tag, block, out.size, out.breaks, len(out.parts), len(out.done), heads)
    if tag == "q":
        out.add("“")
    elif tag == "optgroup" and given.get("label"):
        out.add_block(given["label"] or "")
    if given:
        if tag == "button" or (tag == "a" and opened.block) or role == "button":
            opened.label = given.get("aria-label")
        if tag in _COOKIE_TAGS:
            names = f"{given.get('id') or ''} {given.get('class') or ''}"
            if "dialog" in role:
                names += f" {given.get('aria-label') or ''}"
            opened.banner = _COOKIES.search(names) is not None
    return opened


def _leave(left: _Open, out: _Blocks) -> None:
    if left.tag == "sup" and left.breaks == out.breaks and out.size - left.size <= 12:
        # "success¹" rather than "success1": a footnote mark is no part of the word.
        raised = "".join(out.parts[left.parts :])
        if _FOOTNOTE.fullmatch(raised) or raised.strip() == "TM":
            out.parts[left.parts :] = [raised.translate(_RAISED).replace("TM", "™")]
    elif left.tag == "q":
        out.add("”")
    elif left.label and left.size == out.size:
        out.add(left.label)
    if left.block:
        out.end_block()


def _add_replaced(tag: str, given: dict[str, str | None], out: _Blocks) -> None:
    """Add what an image or an input field shows in words."""
    alt = " ".join((given.get("alt") or "").split())
    if tag == "input":
        kind = (given.get("type") or "").lower()
        if kind in ("submit", "button", "reset"):
            out.end_block()
            out.add_block(given.get("value") or given.get("aria-label") or "")
        elif kind == "image":
            out.add_block(alt)
        return
    if alt and len(alt) <= 8 and not any(c.isalnum() for c in alt):
        out.add(alt)  # an emoji as an image
    elif " " in alt and not _FILE_NAME.search(alt) and not (len(alt) < 60 and _LOGO.search(alt)):
        out.add_block(alt)


def _tame(html: str) -> str:
    """Take out what would make parsing slower than linear; ordinary pages come back unchanged.

    Follows the HTML tokenizer: start and end tags, attributes, comments, raw text. Also takes out
    ``<noscript>`` as a whole, which a parser without scripts would spill into the page.
    """
    out: list[str] = []
    done = pos = 0
    nesting: list[str] = []
    formatting: Counter[str] = Counter()
    endless = False  # a <noscript> that nothing closes: do not look for its end again
    size = len(html)
    while True:
        m = _TAG.search(html, pos)
        if m is None:
            break
        start, pos = m.start(), m.end()
        if m[2] is None:
            pos = _skip_markup(html, m[0], pos)
            continue
        name = m[2].lower()
        end = _TAG_END.match(html, pos)
        if end is None:  # the text ends inside a tag: the rest is no content
            size = start
            break
        pos = end.end()
        instead: str | None = None
        if m[1]:
            _close(name, nesting, formatting)
        elif name in _RAW:
            raw_end = None if endless and name == "noscript" else _RAW[name].search(html, pos)
            if name != "noscript":
                pos = raw_end.start() if raw_end else size
            elif raw_end:
                pos = html.find(">", raw_end.end()) + 1 or size
                instead = ""
            else:
                endless = True
        elif name in _FORMATTING:
            if formatting.total() >= _OPEN_FORMATTING:
                instead = ""
            formatting[name] += 1
        elif name not in _VOID and name not in _SELF_CLOSING:
            if len(nesting) >= _DEPTH:
                instead = "<br>" if name in _BLOCKS else ""
            else:
                nesting.append(name)
        if instead is None and end.end() - start > _LONG_TAG and _many_attributes(end[0]):
            instead = f"<{m[1]}{m[2]}>" + html[end.end() : pos]
        if instead is not None:
            out += (html[done:start], instead)
            done = pos
    if not out and size == len(html):
        return html
    out.append(html[done:size])
    return "".join(out)


def _skip_markup(html: str, opener: str, pos: int) -> int:
    """Give where a comment, doctype, or other markup without a name ends."""
    if opener != "<!--":
        return html.find(">", pos) + 1 or len(html)
    if html.startswith((">", "->"), pos):
        return pos + 1
    end = _COMMENT_END.search(html, pos)
    return end.end() if end else len(html)


def _close(name: str, nesting: list[str], formatting: Counter[str]) -> None:
    """Close as the parser would, or less: depth may be over- but never underestimated."""
    if name in _FORMATTING:
        formatting[name] = max(0, formatting[name] - 1)
    elif nesting and nesting[-1] == name:
        nesting.pop()
    elif name in _BLOCKS:
        for i in range(len(nesting) - 1, max(-1, len(nesting) - 33), -1):
            if nesting[i] == name:
                del nesting[i:]
                return
            if nesting[i] in _SCOPES:
                return


def _many_attributes(tag: str) -> bool:
    return sum(1 for _ in _ONE_ATTRIBUTE.finditer(tag)) > _ATTRIBUTES
