import hashlib

from stages.files.hashing import sha256_hex
from stages.study.seal import (
    Commitment,
    PageSeal,
    commitment_bytes,
    key_bytes,
    make_key,
    make_table,
    seal,
    seal_sha256,
    study_id_of,
)
from tests.support.study_factory import make_item, make_prereg

SECRET = hashlib.sha256(b"seal").digest()
OTHER = hashlib.sha256(b"other").digest()
DESIGN = make_prereg(editors=["a", "b", "c"], n_repeats=2, min_repeat_distance=3, n_anchors=2)


def make_items(n: int = 12) -> list:
    items = [make_item(f"p{number}") for number in range(n - 1)]
    return [*items, make_item("same", identical=True, policy_completion="x", base_completion="x")]


def make_commitment() -> Commitment:
    return seal(
        {
            "study_id": "0" * 12,
            "synthetic": False,
            "items_sha256": "1" * 64,
            "generations_sha256": {"base": "2" * 64, "policy": "3" * 64},
            "prereg_sha256": "4" * 64,
            "table_sha256": "5" * 64,
            "pages": {"a": PageSeal(file="a.html", sha256="6" * 64, page_id="p", slot_ids=["s"])},
            "key_sha256": "7" * 64,
        }
    )


def test_the_study_id_is_the_start_of_the_items_hash() -> None:
    assert study_id_of(b"abc") == "ba7816bf8f01"  # SHA-256("abc"), FIPS 180-4


def test_the_table_tells_nothing_about_sides() -> None:
    items = make_items()
    mirrored = [
        item.model_copy(
            update={"base_completion": item.policy_completion, "policy_completion": item.base_completion}
        )
        for item in items
    ]
    assert make_table(SECRET, items) == make_table(SECRET, mirrored)


def test_the_key_names_the_policys_text_and_the_table_holds_it() -> None:
    items = make_items()
    key = make_key(SECRET, items, DESIGN, study_id="s")
    table = {row.prompt_id: row for row in make_table(SECRET, items)}
    for item in items:
        row = table[item.prompt_id]
        assert key.policy_sha256[row.item_id] == sha256_hex(item.policy_completion.encode())
        assert key.policy_sha256[row.item_id] in row.text_sha256s


def test_identical_and_void_prompts_are_on_no_page() -> None:
    key = make_key(SECRET, make_items(), DESIGN, study_id="s")
    assert all(len(slots) == 11 + 2 + 2 for slots in key.pages.values())


def test_item_ids_need_the_secret() -> None:
    ours, theirs = ({row.item_id for row in make_table(secret, make_items())} for secret in (SECRET, OTHER))
    assert not ours & theirs


def test_another_secret_makes_another_key() -> None:
    keys = [key_bytes(make_key(secret, make_items(), DESIGN, study_id="s")) for secret in (SECRET, OTHER)]
    assert sha256_hex(keys[0]) != sha256_hex(keys[1])
    assert keys[0] == key_bytes(make_key(SECRET, make_items(), DESIGN, study_id="s"))


def test_the_commitment_carries_the_hash_of_all_its_rest() -> None:
    commitment = make_commitment()
    assert commitment.seal_sha256 == seal_sha256(commitment)
    for change in ({"study_id": "x"}, {"synthetic": True}, {"key_sha256": "8" * 64}, {"pages": {}}):
        assert seal_sha256(commitment.model_copy(update=change)) != commitment.seal_sha256
    assert Commitment.model_validate_json(commitment_bytes(commitment)) == commitment
