"""Nothing an editor receives tells the sides: a classifier on everything in page and storage is at chance.

Both models' completions come from one distribution, lengths included, so whatever the classifier
finds would be the page's own doing. A planted tell shows that it would find one.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.files.hashing import sha256_hex
from stages.study.ballot_page import render_editor_page
from stages.study.design import Slot
from stages.study.items import BlindItem
from stages.study.opening import draw_key
from stages.study.seal import Opening, key_bytes
from tests.support.study_factory import ANCHORS, make_item, make_prereg, paragraph

N_STUDIES = 200
N_PROMPTS = 24
PREREG = make_prereg(n_prompts=N_PROMPTS, n_repeats=6, min_repeat_distance=8, n_anchors=2, max_void_prompts=5)

Rows = list[tuple[int, list[float], bool]]  # study, features, is the policy left?


def make_items(study: int) -> list[BlindItem]:
    return [
        make_item(
            f"p{number:02d}",
            base_completion=paragraph(study, number, "base"),
            policy_completion=paragraph(study, number, "policy"),
        )
        for number in range(N_PROMPTS)
    ]


def text_features(text: str) -> list[float]:
    data = text.encode()
    digest = hashlib.sha256(data).digest()
    counts = [text.count(mark) for mark in (" ", ",", ".", "e", "t", "\u200b", "\u00a0", "  ")]
    return [len(text), len(data), data[0], data[-1], digest[0], digest[1], *map(float, counts)]


def screen_features(page: dict[str, Any], html: str, position: int) -> list[float]:
    """Everything around one screen: its place, ids, texts, and where the same text stands elsewhere."""
    screens = page["screens"]
    screen, before = screens[position], screens[position - 1]
    left, right = text_features(screen["left"]), text_features(screen["right"])
    identifier = bytes.fromhex(screen["slot_id"])
    twins = [p for p, other in enumerate(screens) if other["prompt"] == screen["prompt"] and p != position]
    where = html.index(screen["slot_id"])
    return [
        position, position % 2, position / len(screens), len(html), where, where % 16,
        *identifier, *bytes.fromhex(before["slot_id"]), *bytes.fromhex(page["page_id"]),
        *bytes.fromhex(page["key_sha256"])[:6],
        *left, *right, *np.subtract(left, right),
        screen["left"] < screen["right"],
        len(twins), twins[0] - position if twins else 0,
        sorted(s["slot_id"] for s in screens).index(screen["slot_id"]),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def pages() -> list[tuple[list[Slot], str]]:
    """One editor's slots and page in each simulated study."""
    found = []
    for study in range(N_STUDIES):
        secret = hashlib.sha256(str(study).encode()).digest()
        opening = Opening("0" * 12, make_items(study), PREREG, secret, synthetic=False, anchors=ANCHORS)
        key = draw_key(opening)
        slots = key.pages["ann"]
        found.append((slots, render_editor_page(opening, "ann", slots, sha256_hex(key_bytes(key)))))
    return found


def collect_rows(pages: Sequence[tuple[list[Slot], str]], *, tell: str) -> Rows:
    """One row per real screen of each page; `tell` is added to each policy text on the left."""
    rows: Rows = []
    for study, (slots, html) in enumerate(pages):
        match = re.search(r'id="ballot">(.*?)</script>', html, re.S)
        assert match
        page = json.loads(match.group(1))
        for slot, screen in zip(slots, page["screens"], strict=True):
            screen["left"] += tell if slot.left == "policy" else ""
        for position, slot in enumerate(slots):
            if slot.kind != "anchor":
                rows.append((study, screen_features(page, html, position), slot.left == "policy"))
    return rows


def best_accuracy(rows: Rows) -> tuple[float, int]:
    """The better of two classifiers on studies that it has not seen, and how many screens those have."""
    features = np.array([row[1] for row in rows], dtype=float)
    labels = np.array([row[2] for row in rows])
    fresh = np.array([row[0] % 2 == 1 for row in rows])
    models = (
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300)),
        RandomForestClassifier(n_estimators=100, max_depth=8, max_features=0.3, random_state=1),
    )
    hits = [
        float(np.mean(model.fit(features[~fresh], labels[~fresh]).predict(features[fresh]) == labels[fresh]))
        for model in models
    ]
    return max(hits), int(fresh.sum())


def test_no_classifier_tells_the_sides_from_the_page(pages: list[tuple[list[Slot], str]]) -> None:
    accuracy, n = best_accuracy(collect_rows(pages, tell=""))
    assert n == 100 * 30
    # one standard deviation of 3000 coin flips is 0.9 points; the better of two classifiers, 3.5 of them
    assert accuracy < 0.5 + 3.5 * 0.5 / np.sqrt(n)


def test_the_classifier_would_find_a_tell_if_there_were_one(pages: list[tuple[list[Slot], str]]) -> None:
    accuracy, _ = best_accuracy(collect_rows(pages[:60], tell="\u200b"))
    assert accuracy > 0.9
