"""Reference rows: matched token by token, summed as TRL sums."""

from pathlib import Path

import pytest

from stages.errors import InputError, RuntimeCheckError
from stages.files.io import read_parquet, write_parquet
from stages.logprobs.reference import ReferenceRow, match_reference, reference_sums
from stages.logprobs.reference_table import read_reference, write_reference
from stages.model.rendered import RenderedPair

ROW = ReferenceRow("a", [1, 2], [3, 4], [5], [-0.5, -0.25], [-2.0])
PAIR = RenderedPair("a", [1, 2], [3, 4], [5])


def test_rows_survive_the_table(tmp_path: Path) -> None:
    other = ROW._replace(pair_id="b")
    write_reference(tmp_path / "logps.parquet", [ROW, other])
    assert read_reference(tmp_path / "logps.parquet") == {"a": ROW, "b": other}


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write_reference(tmp_path / "logps.parquet", [ROW])
    table = read_parquet(tmp_path / "logps.parquet")
    write_parquet(tmp_path / "logps.parquet", table.drop_columns("rejected_logps"))
    with pytest.raises(InputError, match="rejected_logps"):
        read_reference(tmp_path / "logps.parquet")


def test_a_pair_that_stands_twice_is_refused(tmp_path: Path) -> None:
    write_reference(tmp_path / "logps.parquet", [ROW, ROW])
    with pytest.raises(InputError, match="1 pair ids stand twice"):
        read_reference(tmp_path / "logps.parquet")


def test_rows_come_back_in_the_order_of_the_pairs() -> None:
    rows = {"a": ROW, "b": ROW._replace(pair_id="b")}
    assert match_reference([PAIR._replace(pair_id="b"), PAIR], rows) == [rows["b"], rows["a"]]


@pytest.mark.parametrize(
    "row",
    [
        ROW._replace(prompt_ids=[1, 9]),
        ROW._replace(chosen_ids=[3, 9]),
        ROW._replace(rejected_ids=[9]),
        ROW._replace(chosen_logps=[-0.5]),
        ROW._replace(rejected_logps=[]),
    ],
)
def test_one_differing_token_or_log_prob_makes_the_reference_stale(row: ReferenceRow) -> None:
    with pytest.raises(RuntimeCheckError, match=r"other tokens.*1 of 1 pairs \(a\)"):
        match_reference([PAIR], {"a": row})


def test_an_absent_pair_is_named() -> None:
    with pytest.raises(RuntimeCheckError, match=r"no row for 1 of 1 pairs \(a\)"):
        match_reference([PAIR], {})


def test_sums_are_over_all_tokens() -> None:
    assert reference_sums(ROW, ld_alpha=None) == (-0.75, -2.0)


def test_ld_alpha_weighs_tokens_beyond_the_shorter_side() -> None:
    # one shared token; the second of chosen weighs 0.5: -0.5 + 0.5 * -0.25 = -0.625
    assert reference_sums(ROW, ld_alpha=0.5) == (-0.625, -2.0)
    assert reference_sums(ROW, ld_alpha=1.0) == reference_sums(ROW, ld_alpha=None)
