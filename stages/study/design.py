"""Who sees what, where and when: sides, orders, repeats and anchors, all drawn at random.

Every lot is an HMAC-SHA256 of a name under the study's 32-byte secret. Without the secret nothing
can be foretold; with it, anyone can draw again and find the same.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from stages.files.record import Record
from stages.study.prereg import Prereg

SECRET_BYTES = 32
N_SWAPS_PER_CELL = 10  # 2 x 2 exchanges that mix the table of sides; the totals stay
N_PLACEMENT_TRIES = 500

Kind = Literal["item", "repeat", "anchor"]
Left = Literal["policy", "base", "better", "worse"]


class Slot(Record):
    """One screen of one editor's ballot; `left` says what stands on the left. Secret until revealed."""

    slot_id: str
    item_id: str
    kind: Kind
    left: Left


def lot(secret: bytes, *names: str) -> bytes:
    """32 bytes that depend on the secret and the names alone."""
    return hmac.digest(secret, b"".join(name.encode() + b"\0" for name in names), "sha256")


def opaque_id(secret: bytes, *names: str) -> str:
    """12 hex digits that tell nothing about the names."""
    return lot(secret, "id", *names).hex()[:12]


def shuffled(secret: bytes, label: str, names: Sequence[str]) -> list[str]:
    """The names in an order drawn at random, whatever order they came in."""
    return sorted(names, key=lambda name: lot(secret, "order", label, name))


def below(secret: bytes, limit: int, *names: str) -> int:
    """A whole number in [0, limit)."""
    return int.from_bytes(lot(secret, "below", *names)[:8], "big") % limit


class Placed(NamedTuple):
    """Where the repeats go: positions of the first showings and, pairwise, of the second ones."""

    first: list[int]
    second: list[int]


def draw_pages(
    secret: bytes, prompt_ids: Sequence[str], anchor_ids: Sequence[str], design: Prereg
) -> dict[str, list[Slot]]:
    """Each editor's slots in the order shown. ValueError where the design does not fit the prompts.

    Each editor has the policy left in half of the items (an odd one at random); each prompt has it
    left for half of the editors; a repeat is swapped and at least `min_repeat_distance` later.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"the secret has {len(secret)} bytes, {SECRET_BYTES} were expected")
    _refuse_misfit(len(prompt_ids), len(anchor_ids), design)
    sides = draw_sides(secret, prompt_ids, design.editors)
    return {
        editor: _draw_page(secret, editor, sides[editor], anchor_ids, design) for editor in design.editors
    }


def _refuse_misfit(n_prompts: int, n_anchor_texts: int, design: Prereg) -> None:
    n_slots = n_prompts + design.n_repeats + design.n_anchors
    if n_prompts == 0:
        raise ValueError("there is no prompt left to show")
    if design.n_anchors > n_anchor_texts:
        raise ValueError(f"n_anchors is {design.n_anchors}, and there are {n_anchor_texts} anchor texts")
    if design.n_repeats > n_prompts:
        raise ValueError(f"n_repeats is {design.n_repeats}, and {n_prompts} prompts are left to show")
    if design.n_repeats and n_slots - design.n_repeats < design.min_repeat_distance:
        raise ValueError(
            f"{n_slots} screens cannot hold {design.n_repeats} repeats {design.min_repeat_distance} screens "
            "later; lower study.n_repeats or study.min_repeat_distance"
        )


def draw_sides(
    secret: bytes, prompt_ids: Sequence[str], editors: Sequence[str]
) -> dict[str, dict[str, bool]]:
    """editor -> prompt id -> is the policy left? Balanced over prompts and over editors."""
    rows, columns = shuffled(secret, "prompts", prompt_ids), shuffled(secret, "editors", editors)
    n_left = _column_totals(secret, len(rows), columns)
    cells = _fill(secret, rows, columns, n_left)
    _mix(secret, cells, rows, columns)
    return {editor: {prompt: cells[prompt][editor] for prompt in rows} for editor in editors}


def _column_totals(secret: bytes, n_rows: int, columns: Sequence[str]) -> dict[str, int]:
    """How often each editor has the policy left: half, and of odd ones half of the editors one more."""
    n_more = (len(columns) + below(secret, 2, "editors")) // 2 if n_rows % 2 else 0
    return {editor: n_rows // 2 + (position < n_more) for position, editor in enumerate(columns)}


def _fill(
    secret: bytes, rows: Sequence[str], columns: Sequence[str], n_left: Mapping[str, int]
) -> dict[str, dict[str, bool]]:
    """Ryser's construction: each prompt goes left for the editors who still need it most."""
    need, total, half = dict(n_left), sum(n_left.values()), len(columns) // 2
    n_rows_with_one_more = total - half * len(rows)
    cells = {}
    for position, prompt in enumerate(rows):
        n_here = half + (position < n_rows_with_one_more)
        by_need = sorted(columns, key=lambda editor: (-need[editor], lot(secret, "fill", prompt, editor)))
        for editor in by_need[:n_here]:
            need[editor] -= 1
        cells[prompt] = {editor: editor in by_need[:n_here] for editor in columns}
    if any(need.values()):
        raise AssertionError("totals that differ by at most one always fit")
    return cells


def _mix(
    secret: bytes, cells: dict[str, dict[str, bool]], rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Exchange checkerboards of two prompts and two editors, so that no pattern of `_fill` is left."""
    for step in range(N_SWAPS_PER_CELL * len(rows) * len(columns)):
        drawn = lot(secret, "mix", str(step))
        p, q = (rows[int.from_bytes(drawn[at : at + 8], "big") % len(rows)] for at in (0, 8))
        a, b = (columns[int.from_bytes(drawn[at : at + 8], "big") % len(columns)] for at in (16, 24))
        if cells[p][a] == cells[q][b] != cells[p][b] == cells[q][a]:
            for prompt in (p, q):
                cells[prompt][a], cells[prompt][b] = cells[prompt][b], cells[prompt][a]


def _draw_page(
    secret: bytes, editor: str, policy_left: Mapping[str, bool], anchor_ids: Sequence[str], design: Prereg
) -> list[Slot]:
    prompts = shuffled(secret, f"{editor} items", list(policy_left))
    anchors = shuffled(secret, f"{editor} anchors", anchor_ids)[: design.n_anchors]
    repeated, once = prompts[: design.n_repeats], prompts[design.n_repeats :]
    n_slots = len(prompts) + len(repeated) + len(anchors)
    placed = place_repeats(secret, editor, n_slots, len(repeated), design.min_repeat_distance)

    slots: dict[int, Slot] = {}
    for prompt, first, second in zip(repeated, placed.first, placed.second, strict=True):
        slots[first] = _slot(secret, editor, prompt, "item", "policy" if policy_left[prompt] else "base")
        slots[second] = _slot(secret, editor, prompt, "repeat", "base" if policy_left[prompt] else "policy")
    rest = [
        _slot(secret, editor, prompt, "item", "policy" if policy_left[prompt] else "base") for prompt in once
    ]
    for anchor in anchors:
        rest.append(
            _slot(secret, editor, anchor, "anchor", ("better", "worse")[below(secret, 2, editor, anchor)])
        )
    free = [position for position in range(n_slots) if position not in slots]
    rest.sort(key=lambda slot: lot(secret, "place", editor, slot.slot_id))
    slots.update(zip(free, rest, strict=True))
    return [slots[position] for position in range(n_slots)]


def _slot(secret: bytes, editor: str, name: str, kind: Kind, left: Left) -> Slot:
    return Slot(
        slot_id=opaque_id(secret, "slot", editor, kind, name),
        item_id=opaque_id(secret, "anchor" if kind == "anchor" else "item", name),
        kind=kind,
        left=left,
    )


def place_repeats(secret: bytes, editor: str, n_slots: int, n_repeats: int, distance: int) -> Placed:
    """Positions of each repeated item and its repeat, at least `distance` apart, drawn at random."""
    for attempt in range(N_PLACEMENT_TRIES):
        free = list(range(n_slots))
        placed = Placed([], [])
        for number in range(n_repeats):
            names = (editor, str(attempt), str(number))
            starts = [position for position in free if free[-1] - position >= distance]
            if not starts:
                break
            first = starts[below(secret, len(starts), "first", *names)]
            ends = [position for position in free if position - first >= distance]
            second = ends[below(secret, len(ends), "second", *names)]
            placed.first.append(first)
            placed.second.append(second)
            free = [position for position in free if position not in (first, second)]
        if len(placed.first) == n_repeats:
            return placed
    # A design this tight is rarely met by chance: first showings at the front, repeats at the end.
    return Placed(list(range(n_repeats)), list(range(n_slots - n_repeats, n_slots)))
