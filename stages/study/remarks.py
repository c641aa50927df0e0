"""What a complete study says about itself: signs that it was not sound, against lines fixed beforehand.

A remark changes no state. It stands in the metrics, among the gate's reasons and on the founder's page.
"""

from collections.abc import Mapping
from typing import Any

from stages.study.prereg import Soundness


def remarks(secondary: Mapping[str, Mapping[str, Any]], lines: Soundness) -> list[str]:
    """One sentence for each line that the `secondary` analyses cross; what was not measured is no remark."""
    said = []
    anchors = secondary.get("anchors")
    if anchors and anchors["n_noticed"] < lines.min_anchors_noticed * anchors["n"]:
        said.append(
            f"Of {anchors['n']} control screens with one plainly worse text, the editors noticed "
            f"{anchors['n_noticed']}."
        )
    side = secondary.get("side")
    if side and side["p_value"] < lines.side_level:
        for name in ("left", "right"):
            n, n_decided = side[f"n_{name}"], side["n_left"] + side["n_right"]
            if n > lines.max_side_share * n_decided:
                said.append(f"The editors chose the {name} text {n} times of {n_decided}.")
    repeats = secondary.get("repeats")
    if repeats and repeats["n_same"] < lines.min_repeats_same * repeats["n"]:
        said.append(
            f"Of {repeats['n']} screens shown twice with the sides swapped, {repeats['n_same']} got the "
            "same answer again."
        )
    agreement = secondary.get("agreement")
    if agreement and agreement["alpha"] < lines.min_alpha:
        said.append("The editors hardly agree with each other.")
    return [*said, "So the blind test may not be sound."] if said else []
