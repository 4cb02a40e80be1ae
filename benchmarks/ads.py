"""Make scraped advertisements, as many as are asked for, the same every time.

    python benchmarks/ads.py 1000000 ads.jsonl
    python benchmarks/ads.py 20000 pages.warc.gz

Sentences of the corpus are recombined within their field, with other names, towns, prices and
numbers. What scrapes are full of is there in fixed shares (:data:`SHARES`): copies of earlier ads,
near copies, long pages, other languages, noise, torn lines. Each ad is made from its number alone,
so that a million need no more memory than one, and a copy needs no look at the first.

JSON Lines hold rows as an Ad Library scrape has them; a WARC holds the same ads as web pages with
navigation, scripts and a cookie banner around them.
"""

from __future__ import annotations

import gzip
import html
import io
import json
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypecheck import corpus

CORPUS = Path(__file__).parent.parent / "data" / "corpus"
SHARES = {
    "copy": 0.22,  # of an earlier ad, word for word
    "near": 0.12,  # of an earlier ad, with other town, price and name
    "page": 0.02,  # 25 to 80 sentences
    "foreign": 0.03,
    "noise": 0.02,
    "torn": 0.002,  # a line that breaks off
}
_CITIES = """Aberdeen Adelaide Albuquerque Atlanta Auckland Austin Baltimore Bath Belfast Boise
Boston Bristol Brisbane Calgary Cambridge Cardiff Charlotte Chicago Cork Dallas Denver Derry
Detroit Dubai Dublin Dundee Edinburgh Exeter Fresno Galway Glasgow Halifax Hamilton Houston Jaipur
Kampala Lagos Leeds Leicester Limerick Lisbon Liverpool London Manchester Medellin Melbourne Miami
Mumbai Nairobi Nashville Newcastle Norwich Oakland Omaha Ottawa Oxford Perth Phoenix Plano Portland
Pune Reno Sacramento Savannah Seattle Sheffield Singapore Swansea Sydney Tampa Tijuana Toronto
Tucson Tulsa Vancouver Victoria Wellington Winnipeg York""".split()  # noqa: SIM905 (read more easily so)
_NAMES = """Abbott Achebe Ahmed Alvarez Baker Barnes Bauer Bianchi Byrne Carter Castillo Chen Clarke
Costa Dawson Delgado Dubois Eriksen Evans Farrell Fischer Flores Foster Garcia Gupta Hansen Harris
Hughes Ibrahim Ivanova Jensen Johansson Kapoor Kaur Keller Khan Kim Kowalski Larsen Lee Lewis Lopez
Marsh Mehta Meyer Moreau Murphy Nakamura Nguyen Novak Okafor Okoye Olsen Park Patel Perez Quinn Rao
Reyes Rossi Santos Sato Schmidt Shah Silva Singh Sorensen Stone Tanaka Torres Turner Varga Walsh
Weber Wong Young Zhang""".split()  # noqa: SIM905
_FIRST = ("Nova", "Prime", "Harbor", "Summit", "Vital", "True", "Bright", "North", "Cedar", "Apex")
_SECOND = ("Regen", "Wellness", "Spine", "Joint", "Health", "Skin", "Stem", "Longevity", "Hair")
_THIRD = ("Clinic", "Center", "Institute", "Group", "Studio", "Partners")
_ENDS = (
    "Call {phone}.", "Book at {site}", "{name}, {city}", "Now in {city}!", "📍 {city} ☎ {phone}",
    "Consultation from ${price}.", "👉 {site}", "Ask for Dr. {name}.", "#{city} #wellness", "",
)  # fmt: skip
_FOREIGN = (
    "Nuestra clínica en {city} ofrece tratamientos para el dolor de rodilla desde {price} euros, "
    "llame hoy mismo al {phone} y pida su cita con el doctor {name}.",
    "Unsere Praxis in {city} behandelt Rückenschmerzen schonend und ohne Operation, die erste "
    "Beratung kostet {price} Euro, rufen Sie uns an: {phone}.",
    "Notre centre de {city} vous accueille pour des soins de la peau à partir de {price} euros, "
    "prenez rendez-vous avec le docteur {name} au {phone}.",
    "La nostra clinica di {city} propone cure per i capelli a partire da {price} euro, chiamate "
    "subito il numero {phone} per prenotare una visita.",
    "A nossa clínica em {city} trata dores nas costas com sessões a partir de {price} euros, "
    "marque já a sua consulta pelo telefone {phone}.",
    "Onze kliniek in {city} behandelt pijnlijke gewrichten, de eerste afspraak kost {price} euro, "
    "bel vandaag nog naar {phone} en vraag naar dokter {name}.",
    "Nasza klinika w mieście {city} oferuje zabiegi na bolące stawy już od {price} złotych, "
    "zadzwoń pod numer {phone} i umów się na wizytę.",
)
_NOISE = (
    "", " ", "{{{{product.name}}}} {{{{product.price}}}}", "🔥🔥🔥 👇👇👇", "#{city} " * 12,
    "https://{site}/{price}?utm_source=fb&utm_campaign={phone}", "See more", "{phone}", "…",
    "Weâ€™re open in {city} — donâ€™t miss it", "F R E E  c o n s u l t  i n  {city}",
    "L\u200bi\u200bmited s\u200bpots in {city}",
)  # fmt: skip
_NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})*(?![\w:/-])")
_DOCTOR = re.compile(r"\b(Dr\.? )[A-Z]\w+")


class Ads:
    """A scrape: every ad by its number."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        fields: dict[str, list[str]] = defaultdict(list)
        for document in corpus.read([CORPUS]):
            field = document.meta.get("field", "").partition(",")[0]
            fields[field] += (s.text for s in document.sentences)
        self._pools = [texts for _, texts in sorted(fields.items()) if len(texts) >= 200]
        self._sizes = [len(p) for p in self._pools]

    def row(self, number: int) -> dict[str, Any] | None:
        """Give an ad as a scrape holds it; None for one whose line is torn."""
        rng = random.Random(f"{self._seed} {number}")
        sort = self._sort(rng, number)
        if sort == "torn":
            return None
        clinic = random.Random(f"{self._seed} clinic {int(30_000 ** rng.random())}")
        name = " ".join(clinic.choice(w) for w in (_FIRST, _SECOND, _THIRD))
        day = rng.randrange(365)
        return {
            "id": f"{10**14 + number * 7919}",
            "page_name": f"{name} {clinic.choice(_CITIES)}",
            "ad_delivery_start_time": f"2026-{day // 31 + 1:02}-{day % 28 + 1:02}",
            "ad_text": self._text(rng, number, sort),
            "link_url": f"https://{name.replace(' ', '').lower()}.example/p/{rng.randrange(50)}",
        }

    def _sort(self, rng: random.Random, number: int) -> str:
        at = rng.random()
        for sort, share in SHARES.items():
            if at < share:
                return "new" if sort in ("copy", "near") and number < 100 else sort
            at -= share
        return "new"

    def _text(self, rng: random.Random, number: int, sort: str) -> str:
        while sort in ("copy", "near"):  # ads are copied soon, seldom later
            number = max(0, number - int(rng.paretovariate(0.6)))
            first = random.Random(f"{self._seed} {number}")
            of = self._sort(first, number)
            if of not in ("copy", "near", "torn"):
                text = self._made(random.Random(f"{self._seed} text {number}"), of)
                return text if sort == "copy" else self._changed(rng, text)
        return self._made(random.Random(f"{self._seed} text {number}"), sort)

    def _made(self, rng: random.Random, sort: str) -> str:
        values = {
            "city": rng.choice(_CITIES),
            "name": rng.choice(_NAMES),
            "price": rng.randrange(19, 4000),
            "phone": f"0{rng.randrange(10**8, 10**9)}",
            "site": f"{rng.choice(_FIRST)}{rng.choice(_SECOND)}.example".lower(),
        }
        if sort == "foreign":
            return rng.choice(_FOREIGN).format(**values)
        if sort == "noise":
            return rng.choice(_NOISE).format(**values)
        (pool,) = rng.choices(self._pools, self._sizes)
        count = rng.randint(25, 80) if sort == "page" else min(9, 2 + int(rng.expovariate(0.5)))
        sentences = [self._changed(rng, rng.choice(pool)) for _ in range(count)]
        sentences.append(rng.choice(_ENDS).format(**values))
        joint = "\n" if sort == "page" or rng.random() < 0.4 else " "
        return joint.join(s for s in sentences if s)

    def _changed(self, rng: random.Random, text: str) -> str:
        """Give the text with other numbers, as often as not, and another doctor."""

        def number(found: re.Match[str]) -> str:
            if rng.random() < 0.5:
                return found[0]
            digits = [str(rng.randint(1, 9)) if c.isdigit() else c for c in found[0]]
            return "".join(digits)

        return _DOCTOR.sub(rf"\g<1>{rng.choice(_NAMES)}", _NUMBER.sub(number, text))


def json_lines(count: int, seed: int = 1) -> Iterator[bytes]:
    """Give ads as lines of JSON."""
    ads = Ads(seed)
    for number in range(count):
        row = ads.row(number)
        if row is None:
            yield f'{{"id": "{number}", "ad_text": "Limited ti\n'.encode()
        else:
            yield (json.dumps(row, ensure_ascii=False) + "\n").encode()


_PAGE = (
    "<!doctype html><html lang=en><head><meta charset=utf-8><title>{name}</title>"
    "<style>{style}</style><script>{script}</script></head><body><nav><ul>{menu}</ul></nav>"
    "<div class=cookie-banner>We use cookies. <button>Accept</button></div><main><h1>{head}</h1>"
    "{body}<button>Book now</button></main><footer>© 2026 {name}. <a href=/privacy>Privacy</a>"
    "</footer></body></html>"
)


def warc(count: int, seed: int = 1) -> Iterator[bytes]:
    """Give ads as pages of a crawl, a gzip member a record; about 30 kB of HTML a page."""
    ads = Ads(seed)
    menu = "".join(f"<li><a href=/{n.lower()}>{n}</a></li>" for n in _CITIES[:40])
    for number in range(count):
        rng = random.Random(f"{seed} page {number}")
        rows = [ads.row(number * 12 + k) for k in range(rng.randint(4, 12))]
        lines = [s for r in rows if r for s in r["ad_text"].split("\n") if s.strip()]
        if not lines:
            continue
        row = next(r for r in rows if r)
        body = _PAGE.format(
            name=html.escape(row["page_name"]),
            style=".a{margin:0 auto;padding:4px}" * rng.randint(50, 300),
            script="window.dataLayer=window.dataLayer||[];" * rng.randint(100, 500),
            menu=menu,
            head=html.escape(lines[0][:120]),
            body="".join(
                f'<div class="col-{n % 12}"><p class="t">{html.escape(s)}</p></div>'
                for n, s in enumerate(lines)
            ),
        ).encode()
        http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {row['link_url']}?n={number}\r\n"
            f"WARC-Date: {row['ad_delivery_start_time']}T00:00:00Z\r\n"
            f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{number:012}>\r\n"
            "Content-Type: application/http;msgtype=response\r\n"
            f"Content-Length: {len(http)}\r\n\r\n"
        ).encode()
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=6) as member:
            member.write(head + http + b"\r\n\r\n")
        yield packed.getvalue()


def write(path: Path, count: int, seed: int = 1) -> None:
    """Write ``count`` ads (``.jsonl``) or pages (``.warc.gz``)."""
    make = warc if path.name.endswith(".warc.gz") else json_lines
    with path.open("wb") as file:
        file.writelines(make(count, seed))


if __name__ == "__main__":
    write(Path(sys.argv[2]), int(sys.argv[1]))
