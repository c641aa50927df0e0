"""The plot tables as the founder's appendix reads them."""

from fractions import Fraction

from stages.reporting.appendix import parse_slices
from stages.reporting.share_plots import plot_shares

TABLE = """\
kind,name,k,n,accuracy,low,high
editor,ann,6,10,0.6,0.3,0.8
editor,ben,3,4,0.75,,
"""


def test_a_slice_of_one_group_is_drawn_without_a_range() -> None:
    ann, ben = parse_slices(TABLE)
    assert (ann.low, ann.high, ben.low, ben.high) == (0.3, 0.8, None, None)
    plot = plot_shares([ann, ben], target=Fraction(68, 100), about="By editor.")
    assert plot is not None
    assert plot.rows[0].low < plot.rows[0].value < plot.rows[0].high
    assert plot.rows[1].low == plot.rows[1].value == plot.rows[1].high
    assert "ben, 75 of 100 (its range cannot be told)" in plot.alt
