"""The file that `split.keep` names: a whole split of this data, or a message."""

from pathlib import Path

import pytest

from stages.data.earlier_split import EarlierRow, Part, describe_kept, read_kept
from stages.errors import InputError
from stages.files.io import write_jsonl
from stages.run import paths

KEPT = paths.KEPT / "split.jsonl"


def row(number: int, part: Part) -> EarlierRow:
    return EarlierRow(pair_id=f"p{number}", item=f"item-{number}", part=part)


ROWS = [row(1, "train"), row(2, "selection"), row(3, "holdout"), row(4, "holdout")]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "is empty"),
        (ROWS[:2], "has 2 pairs and none that is held out"),
        ([*ROWS, row(3, "train")], r"the same pair in two parts \(such as p3\)"),
    ],
)
def test_a_file_that_is_no_whole_split_is_refused_with_a_way_out(
    rows: list[EarlierRow], message: str
) -> None:
    write_jsonl(KEPT, rows)
    with pytest.raises(InputError, match=message) as caught:
        read_kept(KEPT)
    assert "restore it from git" in str(caught.value)


def test_a_whole_split_is_read() -> None:
    write_jsonl(KEPT, ROWS)
    assert read_kept(KEPT) == ROWS
    assert read_kept(None) == []


def test_how_many_kept_pairs_are_here_is_said() -> None:
    keys, names = [one.item for one in ROWS], [one.pair_id for one in ROWS]
    assert describe_kept(ROWS, keys, names).endswith(
        "4 of 4 kept pairs found; 2 of 2 that were held out; 0 pairs are new"
    )
    assert "3 of 4 kept pairs found; 1 of 2" in describe_kept(ROWS, keys[:3], names[:3])
    assert describe_kept(ROWS[2:], keys, names).endswith("; 2 pairs are new")  # as of a file that was cut
    edited = describe_kept(ROWS, [*keys[:3], "edited"], names)
    assert "4 of 4 kept pairs found, 1 of them by their id alone; 2 of 2" in edited


def test_a_split_of_other_data_is_refused() -> None:
    with pytest.raises(InputError, match="none of its 4 pairs is here: it is a split of other data"):
        describe_kept(ROWS, ["item-8"], ["p8"])
