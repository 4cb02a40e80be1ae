"""Made-up advertisements for tests of scans and reports: many clinics, months, repeats, errors.

Every sentence is written for this project; no clinic of these names is meant.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

# Clinic, its site, its field, and how hard it sells, from 0 to 1.
CLINICS = (
    ("Northgate Stem Cell Centre", "northgate-cells.example", "cells", 0.95),
    ("Dr Ilse Brandt Regenerative", "brandt-regen.example", "cells", 0.75),
    ("KneeWell Clinics", "kneewell.example", "joints", 0.6),
    ("Harbour Spine & Joint", "harbourspine.example", "joints", 0.25),
    ("SlimNow Medical", "slimnow.example", "weight", 0.9),
    ("Metabolic Health Partners", "metabolic-hp.example", "weight", 0.2),
    ("Lumière Skin Bar", "lumiere-skin.example", "skin", 0.7),
    ("Oakfield Dermatology", "oakfield-derm.example", "skin", 0.1),
    ("BrightArc Dental", "brightarc.example", "teeth", 0.5),
    ("Vital Drip Lounge", "vitaldrip.example", "drips", 0.85),
    ("Saint Elmo Hair Institute", "st-elmo-hair.example", "hair", 0.65),
    ("City Eye Surgeons", "cityeye.example", "eyes", 0.15),
)
TOPICS = {
    "cells": ("stem cell therapy", "worn knees"),
    "joints": ("shockwave therapy", "knee pain"),
    "weight": ("our weight-loss programme", "obesity"),
    "skin": ("laser treatment", "acne scars"),
    "teeth": ("dental implants", "missing teeth"),
    "drips": ("our IV drip", "fatigue"),
    "hair": ("a hair transplant", "hair loss"),
    "eyes": ("cataract surgery", "cloudy vision"),
}
HYPE = (
    "Only {n} spots left this month!",
    "Book before Friday and save {n}0%.",
    "Act now, this offer ends at midnight.",
    "Results are guaranteed or your money back.",
    "{T} cures {c} for good.",
    "Completely risk-free, with no side effects at all.",
    "A true miracle for people with {c}.",
    "9{n}% of our patients are pain free after one visit.",
    "Clinically proven to end {c}.",
    "“I threw my crutches away after a week!” says Maria, 6{n}.",
    "Over {n},000 happy patients cannot be wrong.",
    "We are the number one clinic for {c} in the whole region.",
    "Works for everyone, whatever your age.",
    "Do not wait until it is too late.",
    "Say goodbye to {c} forever.",
    "Forget surgery: your surgeon will not tell you about {t}.",
    "FDA-registered laboratory, so you know it works.",
    "See the before and after pictures and judge for yourself.",
)
SOBER = (
    "We are open from nine to five on weekdays.",
    "Ask your own doctor whether {t} suits you.",
    "{T} helps some people with {c}; others notice no difference.",
    "Your first visit takes about forty minutes.",
    "Bring a list of the medicines that you take.",
    "Bleeding, infection and pain are possible after the procedure.",
    "The price list hangs at the front desk and stands on our site.",
    "Parking is behind the building.",
    "In a trial of 112 adults, pain fell by 1.2 points more than with placebo.",
    "We do not promise results, because nobody can.",
    "A nurse will call you the day after.",
    "You can change your mind at any time.",
)
NOT_ENGLISH = (
    "Unsere Praxis heilt Arthrose garantiert und ohne jeden Schmerz, rufen Sie uns heute noch an."
)


def advertisements(n: int, seed: int = 1) -> Iterator[dict[str, str]]:
    """Give ``n`` advertisements as a scraper would: some twice, some nearly, some in German."""
    rng = random.Random(seed)
    kept: list[dict[str, str]] = []
    for i in range(n):
        month = f"2026-{1 + i * 10 // n:02d}-{rng.randint(1, 28):02d}"
        if kept and rng.random() < 0.25:
            again = dict(rng.choice(kept), id=f"ad-{i}", date=month)
            if rng.random() < 0.5:
                again["text"] += " Call us today."
            yield again
            continue
        name, site, field, hard = CLINICS[min(int(rng.expovariate(0.25)), len(CLINICS) - 1)]
        treatment, condition = TOPICS[field]
        size = rng.randint(3, 7)
        lines = []
        for _ in range(size):
            line = rng.choice(
                HYPE if rng.random() < hard * (0.4 + 0.06 * int(month[5:7])) else SOBER
            )
            lines.append(
                line.format(n=rng.randint(2, 9), t=treatment, T=treatment.capitalize(), c=condition)
            )
        text = NOT_ENGLISH if rng.random() < 0.01 else " ".join(lines)
        ad = {
            "id": f"ad-{i}",
            "page_name": name,
            "link": f"https://{site}/offers/{i}",
            "date": month,
            "text": text,
        }
        kept.append(ad)
        yield ad


def write(path: Path, n: int, seed: int = 1) -> Path:
    """Write JSON Lines, every 500th of them torn."""
    with path.open("w", encoding="utf-8") as file:
        for i, ad in enumerate(advertisements(n, seed)):
            line = json.dumps(ad, ensure_ascii=False)
            file.write((line[:-9] if i % 500 == 250 else line) + "\n")
    return path
