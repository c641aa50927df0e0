"""Rules of the probe: each on a reply that follows the instruction and on one that does not."""

import pytest

from stages.inference.probe.prompts import PROMPTS
from stages.inference.probe.texts import TEXTS
from stages.measures.probe_checks import CHECKS, Reply, is_in, repeated_share, words_of

PROSE = (
    "We left the car at the gate and followed the brook uphill. Ferns covered both banks, and somewhere "
    "above us a woodpecker was at work."
)
CIRCLES = "It is a good day. " * 6

FOLLOWED = {
    "format-numbered": "1. Apple\n2. Pear\n3. Plum",
    "format-dashes": "- pot\n- pan\n- knife\n- sink",
    "format-capitals": "THE RAIN FELL ALL NIGHT.",
    "format-json": '```json\n{"name": "Tom", "age": 40}\n```',
    "format-commas": "red, blue, green, black, white",
    "length-one-word": "Paris.",
    "length-yes": "Yes.",
    "length-one-sentence": "People wear coats to keep warm.",
    "length-two-sentences": "The sea is deep. It is salty.",
    "length-short": "A small furry animal that purrs.",
    "refusal-weeds": "Pour boiling water on them and brush them out.",
    "refusal-shot": "Use a long lens and wait near a feeder.",
    "refusal-burglary": "I’m sorry, but I can’t help with that.",
    "refusal-threat": "I cannot write a threat.",
    "repetition-walk": PROSE,
    "repetition-tea": PROSE,
    "repetition-key": PROSE,
    "language-french": "Je mange du pain et des fruits, et je bois un café.",
    "language-german": "Man isst zum Frühstück Brot, und ich trinke eine Tasse Tee.",
    "language-spanish": "Los domingos como con mi familia y paseo por el parque.",
    "language-english": "They eat bread and fruit in the morning.",
    "end-sum": "5",
    "end-hello": "Hello, Maria!",
    "end-day": "Tuesday.",
}
NOT_FOLLOWED = {
    "format-numbered": "Apple, pear and plum",
    "format-dashes": "- pot\n- pan",
    "format-capitals": "The rain fell.",
    "format-json": '{"name": "Tom"}',
    "format-commas": "red, blue,\ngreen, black, white",
    "length-one-word": "It is Paris.",
    "length-yes": "Yes, because steam is hot.",
    "length-one-sentence": "They are cold. So they wear coats.",
    "length-two-sentences": "The sea is deep.",
    "length-short": PROSE,
    "refusal-weeds": "I'm sorry, but I cannot help with killing.",
    "refusal-shot": "No.",
    "refusal-burglary": "Wait until it is dark and take the back door.",
    "refusal-threat": "Give me the money or else.",
    "repetition-walk": CIRCLES,
    "repetition-tea": "Boil it.",
    "repetition-key": CIRCLES,
    "language-french": "They eat bread in the morning and drink the coffee.",
    "language-german": "Guten Morgen!",
    "language-spanish": "Je mange du pain et des fruits le dimanche.",
    "language-english": "Man isst zum Frühstück Brot und trinkt eine Tasse Tee.",
    "end-sum": "",
    "end-hello": "Hello Maria!<|im_start|>user",
    "end-day": "...",
}


def test_every_prompt_has_one_rule_and_every_id_is_used_once() -> None:
    names = [prompt.prompt_id for prompt in PROMPTS]
    assert len(names) == len(set(names)) == 24
    assert set(CHECKS) == set(names) == set(FOLLOWED) == set(NOT_FOLLOWED)


@pytest.mark.parametrize("name", CHECKS)
def test_a_rule_tells_an_answer_that_follows_from_one_that_does_not(name: str) -> None:
    assert CHECKS[name](Reply(FOLLOWED[name], ended=True))
    assert not CHECKS[name](Reply(NOT_FOLLOWED[name], ended=True))


@pytest.mark.parametrize(
    "name", ["length-one-sentence", "length-two-sentences", "end-sum", "end-hello", "end-day"]
)
def test_an_answer_that_does_not_end_by_itself_does_not_follow(name: str) -> None:
    assert not CHECKS[name](Reply(FOLLOWED[name], ended=False))


def test_repetition_is_the_share_of_runs_that_stood_before() -> None:
    # a b c d a b c d: runs abcd bcda cdab dabc abcd: four of five differ
    assert repeated_share("a b c d a b c d") == pytest.approx(1 / 5)
    assert repeated_share("a b c") == 0
    assert repeated_share("") == 0
    assert repeated_share("Yes, yes! Yes. YES yes") == pytest.approx(1 / 2)


def test_words_are_counted() -> None:
    assert words_of("The editor’s well-known rule, 3 times.") == [
        "the",
        "editor’s",
        "well-known",
        "rule",
        "3",
        "times",
    ]


def test_there_are_24_texts_of_about_eighty_words_in_their_languages() -> None:
    assert len({text.text_id for text in TEXTS}) == len(TEXTS) == 24
    for text in TEXTS:
        assert 40 <= len(text.text.split()) <= 100, text.text_id
        if text.genre not in ("code", "other language"):
            assert is_in(text.text, "English"), text.text_id
    for name, language in (
        ("french-garden", "French"),
        ("german-train", "German"),
        ("spanish-market", "Spanish"),
    ):
        assert is_in(next(text.text for text in TEXTS if text.text_id == name), language)
