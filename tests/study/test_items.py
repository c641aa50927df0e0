import pytest

from stages.study.items import find_tells, pair_completions
from tests.support.study_factory import make_generation

PHRASES = ["Qwen", "as an AI", "GPT-4"]


def rules(completion: str, **changes: object) -> list[str]:
    row = make_generation(completion=completion, **changes)
    return [tell.rule for tell in find_tells(row, "base", PHRASES)]


@pytest.mark.parametrize(
    ("completion", "rule"),
    [
        ("As an AI, I would ask for more.", "names_no_model"),
        ("I am qwen and I write.", "names_no_model"),
        ("Written by GPT-4.", "names_no_model"),
        ("Our plan.\nAssistant: more.", "has_no_role_tag"),
        ("User: what else?", "has_no_role_tag"),
        ("**Human:** and now.", "has_no_role_tag"),
        ("Fine.<|im_end|>", "has_no_template_leftover"),
        ("Fine.</s>", "has_no_template_leftover"),
        ("<think>They ask for money.</think>\n\nWe ask for £5.", "has_no_template_leftover"),
        ("[THINK]Money.[/THINK]We ask for £5.", "has_no_template_leftover"),
        ("<seed:think>Money.", "has_no_template_leftover"),
        ("<|channel|>analysis<|message|>Money.", "has_no_template_leftover"),
        ("<|channel>thought Money.", "has_no_template_leftover"),
        ("Money.<channel|>We ask for £5.", "has_no_template_leftover"),
        ("Fine.<｜end▁of▁sentence｜>", "has_no_template_leftover"),
        ("[INST] Go on. [/INST]", "has_no_template_leftover"),
        ("### Response:\nFine.", "has_no_template_leftover"),
        ("Dear {{ name }}.", "has_no_template_leftover"),
        ("Broken \ufffd letter.", "has_no_template_leftover"),
    ],
)
def test_every_kind_of_tell_is_found(completion: str, rule: str) -> None:
    assert rule in rules(completion)


@pytest.mark.parametrize(
    "completion",
    [
        "A plain paragraph about users: they read.",
        "We serve as an aid to many, and asanAI is no word.",
        "The Qwenlike tree.",
        "The human cost is high; the model works.",
        "a < b and c > d, and {x} is a set.",
    ],
)
def test_ordinary_prose_has_no_tell(completion: str) -> None:
    assert rules(completion) == []


def test_a_phrase_of_the_prompt_is_no_tell() -> None:
    assert rules("Qwen river runs dry.", prompt="Write about the Qwen river.") == []


def test_a_text_cut_by_the_token_limit_gives_itself_away_unless_it_ends_a_sentence() -> None:
    assert rules("We will buy the", finish_reason="length") == ["ends_a_sentence"]
    assert rules("", finish_reason="length") == ["ends_a_sentence"]
    assert rules("She said “yes.”", finish_reason="length") == []
    assert rules("- one\n- two", finish_reason="eos") == []


def test_a_tell_on_one_side_voids_the_prompt_for_both() -> None:
    (item,) = pair_completions(
        [make_generation(completion="Fine.")], [make_generation(completion="As an AI.")], tell_phrases=PHRASES
    )
    assert item.status == "void"
    assert [(tell.side, tell.phrase) for tell in item.tells] == [("policy", "as an AI")]


def test_identical_completions_are_set_apart_and_not_scanned() -> None:
    row = make_generation(completion="As an AI.")
    (item,) = pair_completions([row], [row], tell_phrases=PHRASES)
    assert item.status == "identical"
    assert item.tells == []


def test_one_side_synthetic_makes_the_item_synthetic() -> None:
    (item,) = pair_completions(
        [make_generation(completion="A.")],
        [make_generation(completion="B.", synthetic=True)],
        tell_phrases=[],
    )
    assert item.synthetic
    assert item.status == "shown"


def test_the_order_of_the_policy_rows_does_not_matter() -> None:
    base = [make_generation(f"p{i}", f"Base {i}.") for i in range(5)]
    policy = [make_generation(f"p{i}", f"Policy {i}.") for i in range(5)]
    items = pair_completions(base, policy, tell_phrases=[])
    assert items == pair_completions(base, policy[::-1], tell_phrases=[])
    assert [item.policy_completion for item in items] == [row.completion for row in policy]


@pytest.mark.parametrize(
    ("base", "policy", "message"),
    [
        ([], [], "there are no completions"),
        ([make_generation("a")], [], "prompt a: not answered by policy"),
        (
            [make_generation("a")],
            [make_generation("a"), make_generation("b")],
            "prompt b: not answered by base",
        ),
        ([make_generation("a")] * 2, [make_generation("a")], "prompt a: answered twice by base"),
        ([make_generation("a")], [make_generation("a", prompt="Other.")], "its text differs"),
        ([make_generation("a")], [make_generation("a", settings_sha256="1" * 64)], "settings differ"),
    ],
)
def test_sides_that_do_not_belong_together_are_refused(base, policy, message) -> None:
    with pytest.raises(ValueError, match=message):
        pair_completions(base, policy, tell_phrases=[])
