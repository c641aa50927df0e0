"""What a study says about its own soundness."""

import pytest

from stages.study.prereg import Soundness
from stages.study.remarks import remarks

SOUND = {
    "anchors": {"n": 6, "n_noticed": 5},
    "side": {"n_left": 80, "n_right": 70, "share_left": 80 / 150, "p_value": 0.46},
    "repeats": {"n": 30, "n_same": 21},
    "agreement": {"alpha": 0.35, "n_prompts": 50, "n_unanimous": 20},
}


def test_a_sound_study_says_nothing_of_itself() -> None:
    assert remarks(SOUND, Soundness()) == []
    assert remarks({}, Soundness()) == []  # imported judgements have neither anchors nor repeats


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"anchors": {"n": 6, "n_noticed": 0}}, "Of 6 control screens with one plainly worse text, the editors noticed 0."),
        ({"side": {"n_left": 40, "n_right": 110, "p_value": 1e-8}}, "The editors chose the right text 110 times of 150."),
        ({"repeats": {"n": 30, "n_same": 14}}, "Of 30 screens shown twice with the sides swapped, 14 got the same answer again."),
        ({"agreement": {"alpha": 0.02}}, "The editors hardly agree with each other."),
    ],
)  # fmt: skip
def test_each_line_that_is_crossed_is_said(changed: dict, sentence: str) -> None:
    assert remarks(SOUND | changed, Soundness()) == [sentence, "So the blind test may not be sound."]


def test_touching_a_line_is_not_crossing_it() -> None:
    touching = {
        "anchors": {"n": 4, "n_noticed": 3},
        "side": {"n_left": 60, "n_right": 40, "p_value": 0.001},
        "repeats": {"n": 30, "n_same": 15},
        "agreement": {"alpha": 0.1},
    }
    assert remarks(touching, Soundness()) == []
