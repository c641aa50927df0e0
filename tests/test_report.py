import json
import math
import os
import re
import tempfile
from pathlib import Path
from statistics import NormalDist

import pytest
from huggingface_hub import ModelCard

from stages import gate as gate_stage
from stages import report
from stages.decision.wording import count, in_hundred, rounded
from stages.errors import InputError
from stages.files.json_text import as_written
from stages.pages.html import TEMPLATES
from tests.support.decision_factory import (
    PRESENT_STUDY,
    ROOT,
    accuracy_section,
    capability_section,
    item_row,
    make_params,
    metrics_documents,
    winrate_section,
    write_world,
)
from tests.support.reading import own_blocks, reading_grade

BANNED = (
    *(
        "significant",
        "p-value",
        "p value",
        "p =",
        "p<",
        "null hypothesis",
        "confidence interval",
        "statistic",
    ),
    *("dpo", "lora", "trl", "mmlu", "fine-tun", "hyperparameter", "epoch", "logit", "log-prob", "token"),
)
COMMANDS = ("bluepencil", "dvc ", "git ", "metrics/", "params", ".json", "--")
MAX_BYTES = 400_000
GOLDEN = ROOT / "tests/golden"

PENDING_STUDY = {
    "status": "pending",
    "study_id": PRESENT_STUDY,
    "reason": "DPO study 0123456789ab: no ballots.",
    "n_ballots_expected": 150,
    "n_ballots_received": 0,
    "n_synthetic": 0,
}
WORLDS = {
    "invalid": metrics_documents(accuracy={"holdout": accuracy_section(split_sha256="6" * 64)}),
    "fail": metrics_documents(capability={"capability": capability_section(1200, 500, high_two_sided=0.07)}),
    "pending": metrics_documents(winrate={"winrate": PENDING_STUDY}),
    "inconclusive": metrics_documents(winrate={"winrate": winrate_section(85, 5, 60)}),
    "pass": metrics_documents(),
    "confirmed": metrics_documents(
        accuracy={"holdout": accuracy_section(270)},
        winrate={"winrate": winrate_section(120, 0, 30)},
        capability={"capability": capability_section(500, 490, low=-0.006, high=0.007, high_two_sided=0.008)},
    ),
}


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render(world: Path, documents=None, items=None) -> str:
    write_world(world, documents, items)
    gate_stage.main()
    report.main()
    return (world / "reports/founder.html").read_text(encoding="utf-8")


def card(world: Path) -> str:
    return (world / "reports/model_card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("state", WORLDS)
def test_a_page_for_every_state_keeps_the_rules_of_plain_language(world, state):
    page = render(world, WORLDS[state])
    gates = json.loads((world / "metrics/gate.json").read_text(encoding="utf-8"))["gate"]
    assert gates["overall"]["state"] == state
    blocks = own_blocks(page)
    text = "\n".join(blocks)
    assert reading_grade(text) <= 9
    assert [word for word in BANNED if word in text.lower()] == []
    assert [block for block in blocks if "%" in block or "`" in block] == []
    assert [word for word in COMMANDS if word in text.lower()] == []


def test_remarks_of_a_study_about_itself_stand_once_on_its_card(world):
    said = "Of 6 control screens with one plainly worse text, the editors noticed 0."
    page = render(world, metrics_documents(winrate={"winrate": winrate_section(remarks=said)}))
    gates = json.loads((world / "metrics/gate.json").read_text(encoding="utf-8"))["gate"]
    assert gates["winrate"]["state"] == "pass"
    assert gates["winrate"]["reasons"].endswith(said)
    assert page.count(said) == 1


def test_the_page_prices_the_texts_that_editors_see_before_and_after_a_rehearsal(world):
    # 16 tasks are shown, 27 have equal texts, 7 are void; 10 repeats and 2 plain cases come on top
    waiting = {**PENDING_STUDY, "n_prompts": 43, "n_shown": 16}
    page = render(world, metrics_documents(winrate={"winrate": waiting}))
    assert "Three editors judge 28 pairs of texts each, 84 in all." in page
    assert "The blind test has 43 tasks." in page
    rehearsed = metrics_documents(winrate={"winrate": waiting})
    write_world(world, rehearsed)
    (world / "metrics/winrate.json").write_text(json.dumps({"rehearsal": waiting}), encoding="utf-8")
    gate_stage.main()
    report.main()
    assert "The blind test has 43 tasks." in (world / "reports/founder.html").read_text(encoding="utf-8")


def test_the_card_names_an_empty_list_and_marks_thousands(world):
    render(world)
    assert "| `lora_target_parameters` | `none` |" in card(world)
    assert "2,000 of 2,000 training pairs used" in card(world)
    assert "134,515,008 parameters" in card(world)


def test_pairs_of_one_group_leave_the_page_without_a_range(world):
    section = accuracy_section(n_components=1)
    without = {key: value for key, value in section.items() if key not in ("low", "high", "n_eff")}
    page = render(world, metrics_documents(accuracy={"holdout": without}))
    gates = json.loads((world / "metrics/gate.json").read_text(encoding="utf-8"))["gate"]
    assert (gates["accuracy"]["state"], gates["overall"]["state"]) == ("inconclusive", "inconclusive")
    assert "74 of 100, how far off that may be cannot be told." in page
    assert "All scored pairs, or nearly all, are of one group" in page
    assert page.count('class="rng"') - page.count('class="line"') == 2  # the other two tests
    assert reading_grade("\n".join(own_blocks(page))) <= 9


def test_broken_files_leave_no_path_and_no_command_on_the_page(world):
    write_world(world)
    (world / "metrics/accuracy.json").write_text("{", encoding="utf-8")
    gate_stage.main()
    report.main()
    page = (world / "reports/founder.html").read_text(encoding="utf-8")
    text = "\n".join(own_blocks(page))
    assert "The results of this test cannot be read." in text
    assert [word for word in COMMANDS if word in text.lower()] == []


@pytest.mark.parametrize("name", ["winrate", "accuracy", "capability"])
def test_a_test_that_cannot_be_used_shows_no_number_as_if_it_held(world, name):
    broken = {
        "winrate": metrics_documents(winrate={"winrate": winrate_section(study_id="a" * 12)}),
        "accuracy": WORLDS["invalid"],
        "capability": metrics_documents(capability={"capability": capability_section(same_questions=False)}),
    }
    page = render(world, broken[name])
    card = page.split('<article class="test invalid">')[1].split("</article>")[0]
    assert re.findall(r"\d", re.sub(r"<[^>]*>", "", card)) == []
    assert "<figure" not in card
    assert page.count('<article class="test invalid">') == 1


def test_each_number_stands_once_above_the_appendix(world):
    sheet = render(world, WORLDS["pass"]).split('<div class="appendix">')[0]
    text = re.sub(r"<[^>]*>", "", sheet.split("<main>")[1])
    for number in (
        "66",
        "58.1",
        "73.1",
        "222",
        "68.8",
        "78.6",
        "8,355",
        "8,425",
        "14,042",
        "target 60",
        "target 68",
    ):
        assert len(re.findall(rf"(?<![\d.,]){re.escape(number)}(?![\d.,]\d)(?!\d)", text)) == 1, number


def test_the_ceiling_of_the_labels_stands_once_under_the_taste_of_the_editors(world):
    documents = metrics_documents()
    documents["split"]["split"]["holdout_ceiling"] = {"lowest": 0.73, "highest": 0.84}
    said = "Even a perfect reader of our editors could agree with them on 73 to 84 of 100 such pairs."
    page = render(world, documents)
    assert page.count(said) == page.split('<article class="test')[2].count(said) == 1
    assert said in card(world)


def test_a_page_links_to_the_others_and_a_released_one_to_none(world):
    page = render(world)
    links = re.findall(r'<a href="([^"]+)"', page)
    data = ["validate", "split", "labels"]
    assert links == [*(f"../data/{name}/report.html" for name in data), "compare.html"]
    assert "<nav" not in report.founder_page(report.read_findings())


def numbers_in(text: str) -> set[str]:
    return {number.rstrip(".,") for number in re.findall(r"\d[\d,.]*", text)}


def explained_numbers(world: Path) -> set[str]:
    """Every number that metrics and parameters explain: counts, shares in a hundred, sums named here."""
    params = make_params()
    told = {"100", *numbers_of_costs(world, params)}

    def add(value):
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            told.update(part.lstrip("0") for part in value.split("-"))  # a day is told as 6 January 2025
        if isinstance(value, dict):
            for part in value.values():
                add(part)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            share = abs(as_written(value))
            told.update({count(int(share)), in_hundred(share), rounded(share * 100, places=0)})

    for path in (world / "metrics").iterdir():
        add(json.loads(path.read_text(encoding="utf-8")))
    add({name: params[name] for name in ("limits", "split", "generate")})
    return told


def numbers_of_costs(world: Path, params) -> set[str]:
    """What a new study takes, of the planned size and of the size that the numbers ask for."""
    study = params["study"]
    minutes, n_editors = study["plan"]["minutes_per_screen"], len(study["editors"])
    sizes = {params["generate"]["n_prompts"], *sizes_by_trying(world)}
    told = {rounded(as_written(minutes))}
    for n_tasks in sizes:
        n_views = n_tasks + study["n_repeats"] + study["n_anchors"]
        told |= {count(n_tasks), count(n_views), count(n_views * n_editors)}
        told |= {rounded(as_written(n * minutes / 60)) for n in (n_views, n_views * n_editors)}
    return told


def sizes_by_trying(world: Path) -> set[int]:
    """Tens of tasks, one after the other, until the interval leaves a line of the gate out four times in five."""
    winrate = json.loads((world / "metrics/winrate.json").read_text(encoding="utf-8"))["winrate"]
    found = set()
    for line in (0.5, 0.6) if "n_star" in winrate else ():
        for n_tasks in range(10, 5000, 10):
            n_star, share = winrate["n_star"] * n_tasks / winrate["n_prompts"], winrate["value"]
            # the interval leaves the line out where the share seen is so far from it (score test)
            far = winrate["z"] * math.sqrt(line * (1 - line) / n_star)
            spread = math.sqrt(share * (1 - share) / n_star)
            if NormalDist().cdf((abs(share - line) - far) / spread) >= 0.8:
                found.add(n_tasks)
                break
    return found


@pytest.mark.parametrize("state", WORLDS)
def test_no_number_on_the_page_is_absent_from_the_metrics(world, state):
    page = render(world, WORLDS[state])
    numbers = numbers_in(" ".join(own_blocks(page)))
    assert len(numbers) > 15
    assert numbers - explained_numbers(world) - {"95"} == set()  # 95: what a bar means


@pytest.mark.parametrize("state", WORLDS)
def test_a_page_is_self_contained_small_and_offline(world, state):
    page = render(world, WORLDS[state])
    assert len(page.encode()) < MAX_BYTES
    assert not re.search(r"https?:|//[a-z]|url\(|@import|<script|<link|<iframe|\bsrc=|href=\"[^.c]", page)
    assert "default-src 'none'" in page
    assert "@page { size: A4" in page


@pytest.mark.parametrize(
    "template",
    [
        "reporting/founder.html.j2",
        "reporting/founder_charts.html.j2",
        "reporting/model_card.md.j2",
        "variants/compare.html.j2",
    ],
)
def test_templates_hold_no_numbers(template):
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    text = re.sub(r"\{% block style %\}.*?\{% endblock %\}|\{#.*?#\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\{[{%].*?[%}]\}", "", text, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", "", text, flags=re.DOTALL)
    assert re.findall(r"\d", text.replace("SHA-256", "")) == []


def test_made_up_data_put_a_banner_before_everything(world):
    page = render(world, items=[item_row(number, synthetic=True) for number in range(3)])
    assert page.index("Decide nothing from this page.") < page.index("<h1>")
    assert page.count("made-up") == page.count("Rehearsal") == 1
    assert 'class="notice stop"' not in render(world)


def test_quoted_texts_are_marked_escaped_and_left_out_of_the_rules(world):
    hostile = '<script>alert("DPO 99 %")</script> significant'
    rows = [item_row(0, prompt=hostile, base_completion=hostile, policy_completion=f"{hostile}!")]
    page = render(world, items=rows)
    assert "<script" not in page
    assert page.count('<blockquote data-quoted dir="auto" lang="en">&lt;script&gt;') == 3
    assert "99 %" not in " ".join(own_blocks(page))


def test_the_studys_own_words_are_left_to_those_who_run_it(world):
    assert "no ballots" not in render(world, WORLDS["pending"])
    assert "DPO study 0123456789ab: no ballots." in card(world)


def test_models_are_named_only_after_the_study(world):
    assert "One model" in render(world, WORLDS["pending"])
    page = render(world, WORLDS["pass"])
    assert "One model" not in page
    assert page.index("<h4>Starting model") < page.index("<h4>New model")


def test_without_texts_the_page_says_so(world):
    assert "There are no texts to show" in render(world, items=[item_row(0, identical=True)])


def test_every_verdict_is_word_symbol_and_colour(world):
    page = render(world)
    assert '<span class="verdict"><span aria-hidden="true">✓✓</span> Passed clearly</span>' in page
    for state in WORLDS:
        assert f".{state} {{ --state: var(--{state}); }}" in page


def luminance(colour: str) -> float:
    """WCAG 2.2 relative luminance of #rrggbb."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_text_colour_has_contrast_of_at_least_four_and_a_half(world):
    style = render(world).split("<style>")[1].split("</style>")[0]
    schemes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in re.findall(r":root \{([^}]*)\}", style)
    ]
    assert len(schemes) == 3  # light, dark, print
    for colours in schemes:
        for name in ("ink", "soft", "mark", "stop", *WORLDS):
            for ground in (colours["paper"], colours["wash"]):
                light, dark = sorted((luminance(ground), luminance(colours[name])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, colours[name], ground)


def test_every_drawing_says_in_words_what_it_shows(world):
    page = render(world)
    assert page.count("<figure") == 7  # three gates; editors, slices, margins, calibration
    assert len(re.findall(r'<figure [^>]*role="img" aria-label="[^"]{40,}"', page)) == 7
    assert "<svg" not in page  # its letters would shrink on a phone


def test_the_appendix_draws_only_what_may_be_used(world):
    page = render(world, WORLDS["pending"])
    assert page.count("<figure") == 5
    assert "editor by editor" not in page
    page = render(world, WORLDS["invalid"])  # the set-aside pairs are of another split
    assert "part by part" not in page
    assert "editor by editor" in page


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("accuracy/slices.csv", "kind,name\neditor,ann\n"),
        ("accuracy/margins.csv", "pair_id,margin\nh1,nan\n"),
        ("winrate/editors.csv", "editor,value,low,high,n,rehearsal\nann,much,0,1,50,False\n"),
    ],
)
def test_a_broken_table_is_named_and_nothing_is_written(world, table, text):
    write_world(world)
    gate_stage.main()
    (world / "data" / table).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="a table cannot be read"):
        report.main()
    assert not (world / "reports").exists()


def test_a_warning_of_the_gates_stands_under_the_answer(world):
    render(world)
    path = world / "metrics/gate.json"
    gates = json.loads(path.read_text(encoding="utf-8"))
    gates["gate"]["warnings"] = "On harder questions it did <worse>."
    path.write_text(json.dumps(gates), encoding="utf-8")
    report.main()
    page = (world / "reports/founder.html").read_text(encoding="utf-8")
    assert (
        '<p class="notice caution" role="note"><strong>Caution.</strong> On harder questions it did &lt;worse&gt;.'
        in page
    )
    assert page.index('class="answer') < page.index('class="notice') < page.index("<article")
    assert "> **Caution.** On harder questions" in card(world)


def test_release_adds_the_looks_and_its_reason_against_the_verdict(world):
    render(world)
    findings = report.read_findings()
    assert "tested 12 versions so far" in report.founder_page(findings, n_looks=12)
    assert "tested this version only" in report.founder_page(findings, n_looks=1)
    page = report.founder_page(findings, override="A pilot with <one> client.")
    assert "<q data-quoted>A pilot with &lt;one&gt; client.</q>" in page
    assert page.index('class="notice stop"') < page.index("<h1>")
    assert reading_grade("\n".join(own_blocks(page))) <= 9
    assert "> **Released against the verdict.** Reason given: A pilot" in report.model_card(
        findings, override="A pilot\nwith one client."
    )
    assert 'class="notice' not in report.founder_page(findings)


def test_days_are_those_of_the_data(world):
    assert "that our editors ranked from 6 January 2025 to 28 November 2025." in render(world)
    documents = metrics_documents()
    del documents["validate"]["validate"]["audit"]
    assert "that our editors ranked. It may" in render(world, documents)


@pytest.mark.parametrize("state", WORLDS)
def test_the_page_is_the_one_that_was_looked_at(world, state):
    expected = (GOLDEN / f"founder_{state}.html").read_text(encoding="utf-8")
    assert render(world, WORLDS[state]) == expected, (
        "The page changed. Run `python -m tests.test_report`, look at tests/golden/ in a browser, keep both."
    )


def test_equal_inputs_give_equal_bytes(world):
    first = render(world), card(world)
    assert (render(world), card(world)) == first


@pytest.mark.parametrize("state", WORLDS)
def test_the_card_is_one_that_the_hub_library_reads(world, state):
    render(world, WORLDS[state])
    loaded = ModelCard(card(world))
    data = loaded.data
    assert data.license == "apache-2.0"
    assert data.library_name == "peft"
    assert data.pipeline_tag == "text-generation"
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert (data.model_name, data.language) == ("Grant writer", ["en"])
    reported = {result.metric_type: result.metric_value for result in data.eval_results}
    gates = json.loads((world / "metrics/gate.json").read_text(encoding="utf-8"))["gate"]
    names = {"accuracy": "accuracy", "winrate": "win_rate", "capability": "accuracy_drop"}
    expected = {
        names[name]: gates[name]["value"]
        for name in names
        if gates[name]["state"] != "invalid" and "value" in gates[name]
    }
    assert reported == expected
    assert f"**Release decision: {state}.**" in loaded.text


def test_the_card_tells_no_setting_that_may_have_changed_after_training(world):
    render(world)
    text = card(world)
    assert "| `beta` |" in text
    assert "| `accelerate_config` |" in text
    assert "save_steps" not in text
    assert "max_loss_growth" not in text


def test_the_card_tells_an_unknown_licence_as_other(world):
    write_world(world)
    manifest = json.loads((world / "models/base/manifest.json").read_text(encoding="utf-8"))
    (world / "models/base/manifest.json").write_text(json.dumps({**manifest, "licence": "My own, v2"}))
    gate_stage.main()
    report.main()
    data = ModelCard(card(world)).data
    assert (data.license, data.license_name) == ("other", "My own, v2")


def test_nothing_measured_leaves_out_the_evaluation(world):
    render(world)
    for name in ("accuracy", "winrate", "capability"):
        (world / f"metrics/{name}.json").unlink()
    gate_stage.main()
    report.main()
    assert ModelCard(card(world)).data.eval_results is None
    page = (world / "reports/founder.html").read_text(encoding="utf-8")
    assert page.count("<figure") == 0
    assert page.count('class="number"') == 0


if __name__ == "__main__":
    for name, documents in WORLDS.items():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            page = render(Path(folder), documents)
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / f"founder_{name}.html").write_text(page, encoding="utf-8")
