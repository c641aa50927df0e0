from stages.inference.mmlu.option_rows import Prompt, build_row, collect_prompts


def test_a_row_holds_the_prompt_once_and_each_option_behind_it() -> None:
    (prompt,) = collect_prompts([([5, 6, 7], [8, 9]), ([5, 6, 7], [4, 3, 2])])
    row = build_row(prompt, n_shared=1)
    # 6 7 | 8 | 4 3: the last token of each option predicts nothing
    assert row.tokens == [6, 7, 8, 4, 3]
    assert row.positions == [1, 2, 3, 3, 4]
    assert row.branches == [0, 0, 1, 2, 2]
    assert row.labels == [8, 9, 4, 3, 2]
    assert row.predictors == [1, 2, 1, 3, 4]


def test_one_token_options_add_nothing_to_the_row() -> None:
    row = build_row(Prompt((5, 6, 7), [(1,), (2,), (3,), (4,)]), n_shared=0)
    assert row.tokens == [5, 6, 7]
    assert row.predictors == [2, 2, 2, 2]
    assert row.labels == [1, 2, 3, 4]


def test_equal_options_are_laid_out_once() -> None:
    prompts = collect_prompts([([5], [1, 2]), ([6], [1]), ([5], [3]), ([5], [1, 2])])
    assert prompts == [Prompt((5,), [(1, 2), (3,)]), Prompt((6,), [(1,)])]
