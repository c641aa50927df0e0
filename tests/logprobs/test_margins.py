"""Margins from log-probs."""

import pytest

from stages.files.pairs import SplitPair
from stages.logprobs.margins import margin_row, reward_margin
from stages.logprobs.reference import ReferenceRow
from stages.model.rendered import RenderedPair, render_sha256

PAIR = SplitPair(
    pair_id="a", prompt="p", chosen="a longer text", rejected="a text", editor="e1", group_id="g", section="need",
    reviewed_at=None, chosen_shown="left", synthetic=True, component_id="c7",
)  # fmt: skip
BASE = ReferenceRow("a", [1], [2, 3], [4], [-1.0, -2.0], [-4.0])


def test_the_margin_is_beta_times_the_difference_of_log_ratios() -> None:
    # 0.1 * ((-2 - -3) - (-5 - -4)) = 0.1 * (1 + 1) = 0.2
    row = margin_row(PAIR, "holdout", BASE, [-0.5, -1.5], [-5.0], beta=0.1, split_sha256="s")

    assert row.margin == pytest.approx(0.2)
    assert (row.chosen_logp, row.rejected_logp) == (-2.0, -5.0)
    assert (row.ref_chosen_logp, row.ref_rejected_logp) == (-3.0, -4.0)


def test_the_row_carries_what_the_measures_need() -> None:
    row = margin_row(PAIR, "selection", BASE, [-0.5, -1.5], [-5.0], beta=0.1, split_sha256="s")

    assert (row.n_chosen_tokens, row.n_rejected_tokens) == (2, 1)
    assert (row.n_chosen_chars, row.n_rejected_chars) == (13, 6)
    assert (row.part, row.editor, row.section, row.component_id) == ("selection", "e1", "need", "c7")
    assert row.synthetic
    assert row.split_sha256 == "s"
    assert row.render_sha256 == render_sha256(RenderedPair(*BASE[:4]))


def test_an_untouched_policy_has_a_margin_of_exactly_zero() -> None:
    row = margin_row(
        PAIR, "holdout", BASE, BASE.chosen_logps, BASE.rejected_logps, beta=0.3, split_sha256="s"
    )
    assert row.margin == 0


def test_swapping_the_sides_mirrors_the_margin() -> None:
    one = reward_margin(beta=0.1, chosen_logp=-3, rejected_logp=-9, ref_chosen_logp=-4, ref_rejected_logp=-7)
    other = reward_margin(
        beta=0.1, chosen_logp=-9, rejected_logp=-3, ref_chosen_logp=-7, ref_rejected_logp=-4
    )
    assert one == -other == pytest.approx(0.3)
