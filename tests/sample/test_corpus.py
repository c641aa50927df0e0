import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from stages.data.components import index_texts, label_components, link_texts
from stages.data.shared_runs import RunLengths
from stages.data.texts import count_words
from stages.sample.__main__ import write_sample
from stages.sample.corpus import make_sample
from stages.sample.text import DIMENSIONS

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def sample():
    return make_sample()


def test_the_files_of_the_repository_are_what_the_generator_writes(sample, tmp_path):
    write_sample(sample, tmp_path)
    for name in ("pairs.jsonl", "prompts.jsonl", "truth.json"):
        assert (tmp_path / name).read_bytes() == (REPOSITORY / "data/sample" / name).read_bytes()


def test_it_has_the_promised_size(sample):
    assert len(sample.pairs) == 2500
    assert len(sample.prompts) == 50
    assert len({pair.group_id for pair in sample.pairs}) >= 400
    assert len({pair.section for pair in sample.pairs}) == 12
    assert len({pair.editor for pair in sample.pairs}) == 6
    assert len({pair.pair_id for pair in sample.pairs}) == 2500
    funders = {pair.prompt.split("Funder: ")[1].split(",")[0] for pair in sample.pairs}
    assert len(funders) == 8


def test_everything_is_marked_synthetic(sample):
    assert all(pair.synthetic for pair in sample.pairs)
    assert all(prompt.synthetic for prompt in sample.prompts)
    assert sample.truth["synthetic"] is True


def test_paragraphs_have_30_to_90_words(sample):
    counts = [count_words(text) for pair in sample.pairs for text in (pair.chosen, pair.rejected)]
    assert min(counts) >= 30
    assert max(counts) <= 90


def test_the_ceiling_is_known_and_the_labels_keep_to_it(sample):
    ceiling = sample.truth["bayes_ceiling"]
    assert 0.80 <= ceiling <= 0.85
    p = [row["p_chosen"] for row in sample.truth["pairs"].values()]
    assert ceiling == pytest.approx(np.mean(np.maximum(p, 1 - np.array(p))), abs=1e-5)
    # 2,500 draws with that mean: standard deviation below sqrt(.25 / 2500) = 0.01
    assert abs(np.mean(np.array(p) > 0.5) - ceiling) < 0.03


def test_neither_the_longer_nor_the_left_text_tends_to_win(sample):
    longer = np.mean([len(pair.chosen) > len(pair.rejected) for pair in sample.pairs])
    assert abs(longer - 0.5) <= 0.03
    left = np.mean([pair.chosen_shown == "left" for pair in sample.pairs])
    assert abs(left - 0.5) <= 0.03


def test_each_dimension_varies_independently_and_matters(sample):
    assert len(DIMENSIONS) >= 6
    rows = list(sample.truth["pairs"].values())
    levels = np.array(
        [[name in row[side] for name in DIMENSIONS] for row in rows for side in ("chosen", "rejected")],
        dtype=float,
    )
    assert np.abs(levels.mean(axis=0) - 0.5).max() < 0.05
    correlations = np.corrcoef(levels.T) - np.eye(len(DIMENSIONS))
    assert np.abs(correlations).max() < 0.08
    better = (levels[0::2] - levels[1::2]).mean(axis=0)
    assert (better > 0.05).all(), dict(zip(DIMENSIONS, better, strict=True))


def test_a_bag_of_words_stays_below_three_quarters(sample):
    chosen, rejected = [pair.chosen for pair in sample.pairs], [pair.rejected for pair in sample.pairs]
    groups = np.array([pair.group_id for pair in sample.pairs])
    counter = CountVectorizer(binary=True, min_df=3).fit(chosen + rejected)
    difference = (
        counter.transform(chosen).astype(float) - counter.transform(rejected).astype(float)
    ).toarray()
    sign = np.where(np.arange(len(groups)) % 2, 1, -1)
    n_right = 0
    for train, rest in GroupKFold(5).split(difference, groups=groups):
        model = LogisticRegression(fit_intercept=False, C=0.02, max_iter=500)
        model.fit(difference[train] * sign[train, None], sign[train])
        n_right += int((difference[rest] @ model.coef_[0] > 0).sum())
    accuracy = n_right / len(groups)
    assert 0.6 < accuracy < 0.75


def test_components_are_single_applications(sample):
    texts = index_texts(sample.pairs)
    labels = label_components(texts, link_texts(texts, similarity=0.8, lengths=RunLengths(13, 40)))
    assert len(set(labels.tolist())) == len({pair.group_id for pair in sample.pairs})


def test_no_section_of_an_application_is_asked_for_twice(sample):
    assert max(Counter(pair.prompt for pair in sample.pairs).values()) == 1
    assert not {prompt.prompt for prompt in sample.prompts} & {pair.prompt for pair in sample.pairs}


def test_truth_is_plain_json(sample):
    assert json.loads(json.dumps(sample.truth)) == sample.truth
