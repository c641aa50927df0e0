from stages.variants.listing import HEADER, add_params
from tests.support.decision_factory import make_variant


def test_training_parameters_that_differ_become_columns_while_there_is_room():
    variants = [
        make_variant(
            "a", params={"train.beta": "0.1", "train.loss_type": "sigmoid", "data.pairs": "x.jsonl"}
        ),
        make_variant("b", params={"train.beta": "0.3", "train.loss_type": "ipo", "data.pairs": "y.jsonl"}),
    ]
    rows = [["a"] * len(HEADER), ["b"] * len(HEADER)]
    header, left_out = add_params(rows, variants, width=60)
    assert header == [*HEADER, "beta"]
    assert left_out == ["data.pairs", "train.loss_type"]
    assert [row[-1] for row in rows] == ["0.1", "0.3"]
