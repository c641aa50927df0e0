"""Stages `reference`, `holdout` and `accuracy` in a row: a policy that is the base wins nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from peft import LoraConfig, get_peft_model

from stages import accuracy, holdout, reference
from stages.files.io import read_json, read_jsonl, write_json, write_jsonl
from stages.files.pairs import SplitPair
from stages.logprobs.margins import MarginRow
from stages.model.checkpoint import base_sha256, load_tokenizer
from stages.model.rendered import render_sha256
from stages.model.rendering import render_pair
from stages.run import paths
from tests.support.pair_factory import make_pair
from tests.support.tiny_models import tiny_model, write_tiny_base

PARAMS = Path(__file__).parent.parent / "params.yaml"


def split_pairs(*numbers: int) -> list[SplitPair]:
    return [SplitPair(**make_pair(n).model_dump(), component_id=f"c{n // 2}") for n in numbers]


@pytest.fixture(scope="module", name="rows")
def _rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[MarginRow]]:
    """An untouched adapter through both stages; tests run in their folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("holdout"))
        yield score_untouched_policy()


def score_untouched_policy() -> list[MarginRow]:
    """The margins that `reference` and `holdout` write for a policy that is the base."""
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    params["processes"]["accelerate_config"] = str(PARAMS.parent / "sizes/accelerate/one_process.yaml")
    params["size"] |= {"n_train": 2, "n_holdout_scored": 5, "n_selection_scored": "all"}
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    write_tiny_base(paths.BASE_MODEL)
    get_peft_model(tiny_model(), LoraConfig(r=2, target_modules="all-linear")).save_pretrained(
        paths.POLICY_MODEL
    )
    write_json(paths.POLICY_MODEL / "manifest.json", {"base_sha256": base_sha256(paths.BASE_MODEL)})
    write_jsonl(paths.TRAIN_PAIRS, split_pairs(1, 2))
    write_jsonl(paths.SELECTION_PAIRS, split_pairs(3))
    write_jsonl(paths.HOLDOUT_PAIRS, split_pairs(*range(10, 16)))
    reference.main()
    holdout.main()
    return read_jsonl(paths.MARGINS, MarginRow)


def test_an_untouched_policy_has_margins_of_exactly_zero_and_wins_nothing(rows: list[MarginRow]) -> None:
    assert [row.margin for row in rows] == [0.0] * 6
    assert all(row.chosen_logp == row.ref_chosen_logp < 0 for row in rows)
    accuracy.main()
    found = read_json(paths.ACCURACY_METRICS)["holdout"]
    assert (found["k"], found["n"], found["n_zero_margins"]) == (0, 5, 5)
    assert found["low"] == 0 < found["high"]
    assert found["preference_gain"] == 0
    assert found["preference_gain_low"] < 0 < found["preference_gain_high"]
    assert found["brier"] == 0.25


def test_a_row_names_the_tokens_that_were_scored(rows: list[MarginRow]) -> None:
    pairs = {pair.pair_id: pair for pair in split_pairs(3, *range(10, 16))}
    tokenizer = load_tokenizer(paths.BASE_MODEL)
    for row in rows:
        pair = pairs[row.pair_id]
        rendered = render_pair(tokenizer, pair)
        assert row.render_sha256 == render_sha256(rendered)
        assert (row.n_chosen_tokens, row.n_rejected_tokens) == (
            len(rendered.chosen_ids),
            len(rendered.rejected_ids),
        )
        assert (row.editor, row.section, row.component_id) == (pair.editor, pair.section, pair.component_id)
        assert (row.n_chosen_chars, row.n_rejected_chars) == (len(pair.chosen), len(pair.rejected))
