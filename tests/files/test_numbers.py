from stages.files.numbers import percent


def test_a_share_is_written_with_its_decimals_and_a_space_before_the_sign() -> None:
    assert percent(0.583) == "58.3 %"
    assert percent(0.5, places=0) == "50 %"
    assert percent(0.99954, places=2) == "99.95 %"
