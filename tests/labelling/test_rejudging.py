"""A whole re-judging by files: opened, judged by scripts, collected, revealed; its tamperings, and its blindness."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.data.checking import read_settings, validate_pairs
from stages.errors import InputError, StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import write_jsonl
from stages.files.pairs import SplitPair
from stages.labelling import steps
from stages.labelling.ranking import DoubtRow
from stages.labelling.rejudging import choose_pairs, make_opening, pairs_bytes
from stages.measures.agreement import describe_labels
from stages.run import paths
from stages.run.params import load_params
from stages.study.ballot_page import render_editor_page
from stages.study.ballots import Answer, write_ballot
from stages.study.folder import ballots_folder, study_folder
from stages.study.opening import draw_key
from stages.study.seal import key_bytes
from stages.study.secret import screens_of
from tests.support.pair_factory import make_pair, write_rows
from tests.system.test_study_is_blind import best_accuracy, screen_features

REPOSITORY = Path(__file__).parents[2]
N, N_DOUBTFUL = 60, 20
EDITORS = ("ann", "ben", "cid")


def make_split_pair(number, **fields):
    pair = make_pair(number, **{"editor": "ann", **fields})
    return SplitPair(component_id=f"c{number}", **dict(pair))


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A repository with a split and a ranking: pair 0 is the most doubtful."""
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params["study"]["editors"] = list(EDITORS)
    params["labels"]["n_doubtful"] = N_DOUBTFUL
    Path("params.yaml").write_text(yaml.safe_dump(params))
    Path(".gitignore").write_text("/.bluepencil/\n")
    pairs = [make_split_pair(n, editor=None if n == N - 1 else "ann") for n in range(N)]
    write_jsonl(paths.TRAIN_PAIRS, pairs[:50])
    write_jsonl(paths.SELECTION_PAIRS, pairs[50:])
    write_jsonl(paths.HOLDOUT_PAIRS, [make_split_pair(n) for n in range(N, N + 5)])
    ranking = [
        DoubtRow(pair_id=pair.pair_id, part="train", doubt=round(0.9 - n / 100, 6))
        for n, pair in enumerate(pairs)
    ]
    write_jsonl(paths.DOUBT, ranking)
    return {pair.prompt: pair for pair in pairs}


def judge(world, name, editor, says):
    """What `editor` exports who on each screen prefers `says(pair)`: chosen, rejected or tie."""
    page = (study_folder(name) / f"ballot-{editor}.html").read_bytes()
    commitment = json.loads((study_folder(name) / "commitment.json").read_text())
    answers = []
    for screen in screens_of(page):
        pair = world[screen["prompt"]]
        vote = says(pair)
        wanted = getattr(pair, vote) if vote != "tie" else None
        choice = "tie" if wanted is None else "left" if screen["left"] == wanted else "right"
        answers.append(Answer(slot_id=screen["slot_id"], choice=choice, strength="", reasons=[], note=""))
    seal = commitment["pages"][editor]
    return write_ballot(
        study_id=name, page_id=seal["page_id"], editor=editor, key_sha256=commitment["key_sha256"],
        synthetic=False, answers=answers,
    )  # fmt: skip


def number(pair):
    return int(pair.pair_id[1:])


def collect_all(world, name, says=lambda editor, pair: "chosen"):
    for editor in EDITORS:
        data = judge(world, name, editor, lambda pair, editor=editor: says(editor, pair))
        Path(f"{editor}.json").write_bytes(data)
        steps.collect(Path(f"{editor}.json"), receipt=sha256_hex(data))


def opened():
    steps.open_rejudging()
    (name,) = steps.rejudgings()
    return name


def test_a_whole_rejudging(world, capsys):
    name = opened()
    assert "then `bluepencil labels collect FILE" in steps.say_status("")[-1]
    # the most doubtful half is wrong in the eyes of ben and cid; cid ties on every seventh; ann stays with the record
    collect_all(
        world,
        name,
        lambda editor, pair: "chosen" if editor == "ann" or number(pair) >= 10 else "rejected",
    )
    assert "next: bluepencil labels reveal" in steps.say_status("")
    steps.reveal("", despite_missing="")
    said = capsys.readouterr().out
    result = json.loads((study_folder(name) / "result.json").read_text())["labels"]
    rows = [json.loads(line) for line in (study_folder(name) / "votes.jsonl").read_text().splitlines()]
    controls = {row["pair_id"] for row in rows if row["source"] == "control"}
    known = controls - {f"p{N - 1:04d}"}
    wrong = {one for one in known if int(one[1:]) < 10}
    assert (result["n_suspects"], result["n_controls"], len(controls)) == (N_DOUBTFUL, N_DOUBTFUL, N_DOUBTFUL)
    assert result["overturned_suspects"]["n_overturned"] == 10
    assert result["agreement"]["n_comparisons"] == 2 * len(known)
    assert result["agreement"]["share"] == pytest.approx(1 - len(wrong) / len(known))
    assert result["consistency"]["share"] == 1.0
    assert result["n_controls_of_unknown_editors"] == len(controls) - len(known)
    assert result["ceiling"]["status"] == "known"
    assert "overturned: 10 of 20 doubtful pairs (" in said
    assert steps.verify("")[0] == f"study {name}: every file fits the seal"
    with pytest.raises(StudyError, match="revealed already"):
        steps.reveal("", despite_missing="")


def test_the_votes_are_read_as_further_votes_and_suspects_are_in_no_agreement(world):
    name = opened()
    collect_all(world, name, lambda editor, pair: "chosen" if number(pair) % 4 else "rejected")
    steps.reveal("", despite_missing="")
    raws = write_rows(
        Path("data/raw/pairs.jsonl"),
        [json.loads(pair.model_dump_json(exclude={"component_id"})) for pair in world.values()],
    )
    kept = paths.KEPT / "votes.jsonl"
    kept.parent.mkdir()
    kept.write_bytes((study_folder(name) / "votes.jsonl").read_bytes())
    settings = read_settings(load_params())
    before = validate_pairs(raws, {}, settings, None)
    after = validate_pairs(raws, {}, settings, None, kept)
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    n_new = sum(row["source"] != "first" for row in rows)
    assert after.checked.rows.n_rows == before.checked.rows.n_rows + n_new
    found = describe_labels(after.checked.judged)["agreement"]
    # ann is the recorded editor of all pairs but one: of each control she, ben and cid make three comparisons, unless
    # she contradicts herself, and then ben and cid make one
    controls = {row["pair_id"] for row in rows if row["source"] == "control"}
    assert found["n_items"] == len(controls)
    assert describe_labels(before.checked.judged)["agreement"]["n_items"] == 0
    overturned = [
        one for one in after.checked.votes_of.values() if one.n_agree == 2 and "ann" not in one.votes
    ]
    assert overturned
    world_text = raws.read_text().replace("Write about subject number 0 ", "Write about another subject ")
    raws.write_text(world_text)
    with pytest.raises(InputError, match="votes are on texts that data/raw/pairs.jsonl does not have"):
        validate_pairs(raws, {}, settings, None, kept)


def change(path, old, new):
    data = Path(path).read_bytes()
    assert old in data, path
    Path(path).write_bytes(data.replace(old, new, 1))


def swap_ballots(name):
    folder = ballots_folder(name)
    data = (folder / "ann.json").read_bytes()
    (folder / "ann.json").write_bytes((folder / "ben.json").read_bytes())
    (folder / "ben.json").write_bytes(data)


def secret_of(name):
    return Path(load_params().study.secret_path) / name


TAMPERINGS = {
    "a page": (lambda n: change(study_folder(n) / "ballot-ann.html", b"Write about", b"Write around"), "ballot-ann.html"),
    "the commitment": (lambda n: change(study_folder(n) / "commitment.json", b'"synthetic":false', b'"synthetic":true'), "commitment.json"),
    "the table": (lambda n: change(study_folder(n) / "items.jsonl", b'"shown"', b'"void"'), "items.jsonl"),
    "the pre-registration": (lambda n: change(study_folder(n) / "prereg.yaml", b"chance: 0.5", b"chance: 0.4"), "prereg.yaml"),
    "which pair is a control": (lambda n: change(f"{secret_of(n)}.pairs", b'"is_control":true', b'"is_control":false'), ".pairs: differs"),
    "the recorded label": (lambda n: change(f"{secret_of(n)}.pairs", b'"chosen":"Here', b'"chosen":"There'), ".pairs: differs"),
    "the pairs taken away": (lambda n: Path(f"{secret_of(n)}.pairs").unlink(), ".pairs: is missing"),
    "an answer": (lambda n: change(ballots_folder(n) / "ann.json", b'"choice":"left"', b'"choice":"right"'), "checksum"),
    "a ballot by another": (swap_ballots, "differs from the receipt"),
    "a ballot taken away": (lambda n: (ballots_folder(n) / "ann.json").unlink(), "has a receipt, and the file is gone"),
    "another secret": (lambda n: secret_of(n).write_text("ab" * 32 + "\n"), "not the one the study was sealed with"),
    "a page added": (lambda n: (study_folder(n) / "more.html").write_text("x"), "is no page of this study"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERINGS)
def test_a_tampering_is_named_and_nothing_is_revealed(world, what):
    name = opened()
    collect_all(world, name)
    tamper, says = TAMPERINGS[what]
    tamper(name)
    with pytest.raises(StudyError, match=says.replace(".", r"\.")):
        steps.reveal("", despite_missing="")
    assert not (study_folder(name) / "key.json").exists()
    assert not (study_folder(name) / "result.json").exists()


def test_what_does_not_belong_is_refused_with_a_way_out(world):
    with pytest.raises(StudyError, match="`bluepencil labels open` begins"):
        steps.reveal("", despite_missing="")
    name = opened()
    with pytest.raises(StudyError, match=f"no pairs are judged again under this name, only {name}"):
        steps.say_status("labels-of-another-day")
    with pytest.raises(StudyError, match="being judged again already"):
        steps.open_rejudging()
    with pytest.raises(StudyError, match="ballots are missing: ann, ben, cid"):
        steps.reveal("", despite_missing="")
    data = judge(world, name, "ann", lambda pair: "chosen").replace(name.encode(), b"0" * 12)
    Path("other.json").write_bytes(data)
    with pytest.raises(StudyError, match="was changed after its export|study collect"):
        steps.collect(Path("other.json"), receipt="")
    collect_all(world, name)
    write_jsonl(paths.HOLDOUT_PAIRS, [make_split_pair(n) for n in range(N + 1, N + 6)])
    with pytest.raises(StudyError, match="judges pairs of split .* again, and the split is"):
        steps.reveal("", despite_missing="")


def test_a_ranking_of_other_pairs_is_refused(world):
    write_jsonl(paths.DOUBT, [DoubtRow(pair_id="x", part="train", doubt=0.5)])
    with pytest.raises(StudyError, match="run `bluepencil repro labels`"):
        steps.open_rejudging()


def test_nothing_an_editor_receives_tells_a_suspect_from_a_control(world):
    """Pairs of one kind of text, doubted by lot: whatever a classifier finds would be the page's own doing."""
    params, rows = load_params(), []
    random = np.random.default_rng(5)
    pairs = list(world.values())
    for study in range(30):
        order = random.permutation(len(pairs))
        ranking = [DoubtRow(pair_id=pairs[n].pair_id, part="train", doubt=0.5) for n in order]
        secret = bytes(random.integers(0, 256, 32, dtype=np.uint8))
        chosen = choose_pairs(pairs, ranking, n=N_DOUBTFUL, secret=secret, split_sha256="0" * 64)
        opening = make_opening(chosen, params, secret=secret, sha256=sha256_hex(pairs_bytes(chosen)))
        key = draw_key(opening)
        html = render_editor_page(opening, "ann", key.pages["ann"], sha256_hex(key_bytes(key)))
        assert not any(word in html for word in ("is_suspect", "doubt", chosen[0].pair_id))
        assert "come twice" not in html  # nothing is asked again
        screens = screens_of(html.encode())
        page = json.loads(html.split('id="ballot">')[1].split("</script>")[0])
        of_prompt = {pair.prompt: pair for pair in chosen}
        for position, screen in enumerate(screens):
            pair = of_prompt[screen["prompt"]]
            if pair.is_suspect != pair.is_control:
                rows.append((study, screen_features(page, html, position), pair.is_suspect))
    accuracy, n = best_accuracy(rows)
    assert n > 300
    assert accuracy < 0.5 + 3.5 * 0.5 / np.sqrt(n)
