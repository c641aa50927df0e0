from fractions import Fraction

from stages.files.json_text import as_written


def test_a_decimal_is_taken_as_written() -> None:
    assert as_written(0.68) == Fraction(17, 25)
    assert as_written(0.02) == Fraction(1, 50)
    assert as_written(1e-05) == Fraction(1, 100000)
