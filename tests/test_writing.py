"""Stage `writing` and the remark that `gate` makes of it: scripted models, of which one invents."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from stages import gate, writing
from stages.decision.writing_remark import parse_writing, remark
from stages.files.io import read_json, write_jsonl
from stages.files.json_text import as_written
from stages.files.pairs import SplitPair
from stages.prose.changes import Texts, compare, is_english, read_texts, shares_of_rate
from stages.run import paths
from stages.sample.corpus import write_prompt
from stages.sample.world import invent_applications
from stages.study.items import BlindItem
from tests.support.decision_factory import write_world
from tests.support.pair_factory import make_pair

ROOT = Path(__file__).parent.parent
LIMIT = as_written(
    yaml.safe_load((ROOT / "params.yaml").read_text())["limits"]["writing"]["max_unsupported_rise"]
)
N_PROMPTS, N_SIMULATIONS = 50, 2000
PLAIN = "We run the work where people live. They come when they can, and we keep the door open for them."
FACTS = (
    "In 2019 we began.", "Ruth Barlow leads the team.", "We reached 412 people.", "It cost £7,345.",
    "Of all who came, 63% came back.", "The doors open on Friday.", "Our friends in Leeds agree.",
)  # fmt: skip


def prompts() -> list[str]:
    return [write_prompt(one, "Need") for one in invent_applications(N_PROMPTS)]


def script(rng: np.random.Generator, mean: float) -> str:
    """A completion with a random number of invented facts and of other words."""
    n = min(int(rng.poisson(mean)), len(FACTS))
    facts = [str(fact) for fact in rng.choice(FACTS, size=n, replace=False)]
    return " ".join([PLAIN] * int(rng.integers(1, 4)) + facts)


def items(base: list[str], policy: list[str], given: list[str] | None = None) -> list[BlindItem]:
    return [
        BlindItem(
            prompt_id=f"p{number:03d}",
            prompt=prompt,
            base_completion=first,
            policy_completion=second,
            identical=first == second,
            tells=[],
            synthetic=False,
        )
        for number, (prompt, first, second) in enumerate(zip(given or prompts(), base, policy, strict=True))
    ]


def run(rows: list[BlindItem]) -> dict[str, Any]:
    write_jsonl(paths.BLIND_ITEMS, rows)
    writing.main()
    return read_json(paths.WRITING_METRICS)["writing"]


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_world(tmp_path)
    rows = [SplitPair(component_id=f"c{n}", **make_pair(n).model_dump()) for n in range(20)]
    write_jsonl(paths.TRAIN_PAIRS, rows)


def test_a_model_made_to_invent_is_found_with_its_interval_and_remarked_on() -> None:
    rng = np.random.default_rng(1)
    base = [script(rng, 1.0) for _ in range(N_PROMPTS)]
    policy = [f"{text} Nadia Quayle joined in 2011." if n % 5 else text for n, text in enumerate(base)]
    found = run(items(base, policy))
    added = [f"{n}" for n in range(N_PROMPTS) if n % 5]
    assert found["policy"]["n_unsupported"] - found["base"]["n_unsupported"] == 2 * len(added)
    per_completion = found["unsupported_per_completion"]
    assert per_completion["difference"] == pytest.approx(2 * len(added) / N_PROMPTS)
    rate = found["unsupported_per_100_words"]
    assert 0 < rate["low"] < rate["difference"] < rate["high"]
    assert rate["n_prompts"] == N_PROMPTS
    assert found["kinds"]["year"]["low"] > 0
    assert found["kinds"]["money"]["difference"] <= 0  # the texts grew longer, the sums did not
    gate.main()
    said = read_json(paths.GATE_METRICS)["gate"]["warnings"]
    assert said.startswith("The new model makes up more.")
    assert f"hold {found['policy']['n_unsupported']} figures" in said


def test_a_completion_of_one_word_hides_no_rise() -> None:
    rng = np.random.default_rng(6)
    base = [script(rng, 1.0) for _ in range(N_PROMPTS)]
    policy = [f"{text} Nadia Quayle joined in 2011." for text in base]
    base[3] = policy[7] = "2019"  # a rate of 100 mentions in 100 words
    found = run(items(base, policy))
    rate = found["unsupported_per_100_words"]
    for model in ("base", "policy"):
        assert rate[model] == pytest.approx(100 * found[model]["n_unsupported"] / found[model]["n_words"])
    assert 0 < rate["low"] < rate["difference"] == pytest.approx(rate["policy"] - rate["base"])


def test_the_other_way_round_nothing_is_remarked_and_every_end_is_mirrored() -> None:
    rng = np.random.default_rng(2)
    base, policy = ([script(rng, mean) for _ in range(N_PROMPTS)] for mean in (3.0, 1.0))
    one, other = run(items(base, policy)), run(items(policy, base))
    rate, mirrored = (found["unsupported_per_100_words"] for found in (one, other))
    assert (rate["low"], rate["high"]) == pytest.approx((-mirrored["high"], -mirrored["low"]))
    assert mirrored["low"] > 0
    run(items(base, policy))
    gate.main()
    assert "warnings" not in read_json(paths.GATE_METRICS)["gate"]


def test_of_equal_models_at_most_four_in_a_hundred_are_remarked_on() -> None:
    rng = np.random.default_rng(3)
    pool = [
        [read_texts(Texts("p", prompt, script(rng, mean), script(rng, mean))) for _ in range(4)]
        for prompt, mean in zip(prompts(), rng.gamma(2.0, 0.7, N_PROMPTS), strict=True)
    ]
    counts = np.array(
        [
            [
                (side.n("unsupported"), side.habits.length)
                for reading in row
                if reading
                for side in (reading.base, reading.policy)
            ]
            for row in pool
        ]
    )
    ids = [str(n) for n in range(N_PROMPTS)]
    n_remarks = 0
    for _ in range(N_SIMULATIONS):
        drawn = [counts[np.arange(N_PROMPTS), rng.integers(0, counts.shape[1], N_PROMPTS)] for _ in range(2)]
        change = compare(*(shares_of_rate(one[:, 0], one[:, 1]) for one in drawn), ids)
        evidence = {
            "checked": True, "n_prompts": N_PROMPTS, "n_other_language": 0, "n_empty": 0,
            "base": {"n_unsupported": 1, "n_words": 1}, "policy": {"n_unsupported": 1, "n_words": 1},
            "unsupported_per_100_words": change._asdict(),
        }  # fmt: skip
        n_remarks += bool(remark(parse_writing({"writing": evidence}), LIMIT))
    assert 0 < n_remarks <= 0.04 * N_SIMULATIONS


def test_texts_in_another_language_or_without_words_are_left_out_and_counted() -> None:
    given = prompts()
    german = "Wir begleiten seit vielen Jahren junge Menschen, die nach der Schule keine Arbeit finden, und helfen."
    base = [PLAIN] * N_PROMPTS
    policy = [
        PLAIN,
        "",
        german,
        "我们为村里的老人提供每周两次的上门服务，并且帮助他们学习使用手机。",
        *base[4:],
    ]
    found = run(items(base, policy, [*given[:4], german, *given[5:]]))
    assert (found["n_prompts"], found["n_other_language"], found["n_empty"]) == (N_PROMPTS - 4, 3, 1)
    alone = run(items(base[:1] * N_PROMPTS, policy, [german] * N_PROMPTS))
    assert not alone["checked"]
    gate.main()
    said = read_json(paths.GATE_METRICS)["gate"]["warnings"]
    assert said == f"Made-up facts: not checked. {N_PROMPTS} tasks not in English could not be checked."


def test_a_language_is_told_by_its_commonest_words() -> None:
    assert is_english("Brief: 33 carers")
    assert is_english(prompts()[0])
    assert not is_english(
        "Nous accompagnons les jeunes du quartier depuis dix ans et nous demandons une aide pour la suite."
    )
    assert not is_english("Организация помогает пожилым людям.")


def test_the_table_names_each_mention_with_its_place() -> None:
    base, policy = [PLAIN] * N_PROMPTS, [PLAIN] * N_PROMPTS
    policy[3] = f"{PLAIN} “In 2019 we began.”"
    run(items(base, policy))
    table = (paths.WRITING_TABLES / "mentions.csv").read_text(encoding="utf-8").splitlines()
    start = policy[3].index("2019")
    assert table == [
        "prompt_id,model,kind,status,start,end,text",
        f"p003,policy,year,unsupported,{start},{start + 4},2019",
    ]


def test_the_remark_needs_a_rise_beyond_the_limit_and_beyond_chance() -> None:
    def said(difference: float, low: float, **more: Any) -> str:
        section = {
            "checked": True, "n_prompts": 50, "n_other_language": 0, "n_empty": 0,
            "base": {"n_unsupported": 31, "n_words": 3000}, "policy": {"n_unsupported": 63, "n_words": 3100},
            "unsupported_per_100_words": {"base": 1.0, "policy": 1 + difference, "difference": difference,
                                          "low": low, "high": 2 * difference - low},
        }  # fmt: skip
        return remark(parse_writing({"writing": section | more}), LIMIT)

    assert said(1.0, 0.4) == (
        "The new model makes up more. Its texts for 50 tasks hold 63 figures, dates or names that the task did not "
        "give. The starting model’s hold 31. That is 1 more in 100 words (likely from 0.4 more to 1.6 more; limit 0.1)."
    )
    assert said(1.0, -0.1) == said(0.05, 0.01) == remark(None, LIMIT) == ""
    assert said(1.0, 0.4, n_prompts=-1).startswith("Made-up facts: not checked.")
