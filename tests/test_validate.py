import json
import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from typer.testing import CliRunner

from stages import split as split_stage
from stages import validate as validate_stage
from stages.cli.data import app
from stages.errors import InputError, ParamsError
from stages.repository.dvc import md5_file
from tests.support.pair_factory import make_raw, make_text, write_rows

REPOSITORY = Path(__file__).parent.parent
OUTS = ("data/validate/pairs.jsonl", "data/validate/prompts.jsonl", "data/validate/violations.jsonl",
        "data/validate/report.html", "metrics/validate.json")  # fmt: skip


def make_prompts(n):
    return [
        {"prompt_id": f"f{number}", "prompt": f"Write freely about matter number {number} now."}
        for number in range(n)
    ]


@pytest.fixture
def world(tmp_path, monkeypatch):
    return enter_world(tmp_path / "one", monkeypatch)


def enter_world(folder, monkeypatch, pairs="raw/pairs.jsonl"):
    """A repository of its own with 40 sound pairs and 50 prompts."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    params["data"] = {
        "pairs": pairs,
        "prompts": "raw/prompts.jsonl",
        "columns": {},
        "sheet": None,
        "votes": None,
    }
    params["split"] |= {"n_holdout": 6, "n_selection": 4}
    save_params(params)
    write_rows(folder / "raw/pairs.jsonl", [make_raw(number) for number in range(40)])
    write_rows(folder / "raw/prompts.jsonl", make_prompts(50))
    return folder


def save_params(params):
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def load(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def rows(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_sound_pairs_are_kept_and_nothing_is_left_out_of_the_metrics(world):
    validate_stage.main()
    metrics = load("metrics/validate.json")["validate"]
    assert {name: metrics[name] for name in ("n_rows", "n_kept", "n_set_aside", "n_prompts", "ok", "broken")} == {
        "n_rows": 40, "n_kept": 40, "n_set_aside": 0, "n_prompts": 50, "ok": True, "broken": "none"
    }  # fmt: skip
    assert metrics["is_synthetic"] is False
    assert set(metrics["rules"]) == set(yaml.safe_load(Path("params.yaml").read_text())["validate"]["rules"])
    assert None not in metrics.values()
    assert rows("data/validate/violations.jsonl") == []
    assert rows("data/validate/pairs.jsonl")[0] == {
        **make_raw(0), "editor": None, "group_id": None, "section": None, "reviewed_at": None, "chosen_shown": None,
        "synthetic": False,
    }  # fmt: skip


def spoil(folder):
    """Ten bad rows of many kinds after the 40 sound ones, two bad prompts, and markup everywhere."""
    bad = [
        make_raw(50, chosen=""), make_raw(51, chosen=make_text(102), rejected=make_text(102)), make_raw(1),
        make_raw(53, chosen=make_raw(2)["rejected"], rejected=make_raw(2)["chosen"]),
        make_raw(54, chosen="<img src=x onerror=alert(1)> is what this text says."), make_raw(55, chosen=["x"]),
        make_raw(56, prompt="A garbled â€™ prompt."), make_raw(57, pair_id="p0003"), make_raw(58, editor="</td><script>"),
    ]  # fmt: skip
    path = write_rows(folder / "raw/pairs.jsonl", [*[make_raw(number) for number in range(40)], *bad])
    path.write_bytes(path.read_bytes() + b"{broken\n")
    prompts = [
        *make_prompts(50),
        {"prompt_id": "f1", "prompt": "Twice the same id."},
        {"prompt_id": "x", "prompt": make_raw(7)["prompt"]},
    ]
    write_rows(folder / "raw/prompts.jsonl", prompts)


def test_bad_rows_are_recorded_and_the_stage_ends_well(world):
    spoil(world)
    validate_stage.main()
    metrics = load("metrics/validate.json")["validate"]
    violations = rows("data/validate/violations.jsonl")
    aside = {one["line"] for one in violations if one["set_aside"] and one["file"] == "pairs"}
    assert metrics["ok"] is False
    assert metrics["n_rows"] == 50 == metrics["n_votes"] + metrics["n_repeats"] + metrics["n_set_aside"]
    assert len(aside) == metrics["n_set_aside"] + metrics["n_repeats"]
    assert len(rows("data/validate/pairs.jsonl")) == metrics["n_kept"]
    assert metrics["n_prompts"] == 50 == len(rows("data/validate/prompts.jsonl"))
    for rule, count in metrics["rules"].items():
        assert sum(one["rule"] == rule for one in violations) == count
    assert "rows_are_readable" in metrics["broken"]
    assert {one["rule"] for one in violations if one["file"] == "prompts"} == {
        "prompts_are_unique",
        "prompts_are_fresh",
    }
    assert all(one["found"] and one["remedy"] for one in violations)


def test_the_page_quotes_nothing_as_markup_and_loads_nothing(world):
    spoil(world)
    validate_stage.main()
    page = Path("data/validate/report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


def test_two_runs_in_different_folders_write_the_same_bytes(tmp_path, monkeypatch):
    written = []
    for name in ("one", "another-and-longer"):
        folder = enter_world(tmp_path / name, monkeypatch, pairs=str(tmp_path / name / "raw/pairs.jsonl"))
        spoil(folder)
        validate_stage.main()
        written.append([(folder / out).read_bytes() for out in OUTS])
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("spoil_file", "says"),
    [
        (lambda: Path("raw/pairs.jsonl").unlink(), "no such file"),
        (lambda: Path("raw/pairs.jsonl").write_text(""), "is empty"),
        (lambda: Path("raw/pairs.jsonl").write_text('{"pair_id": 1, "prompt": "x", "better": "y", "rejected": "z"}\n'), "no column chosen"),
        (lambda: write_rows(Path("raw/pairs.jsonl"), [make_raw(1, chosen="")]), "none of 1 rows can be kept"),
        (lambda: Path("raw/prompts.jsonl").unlink(), "no such file"),
        (lambda: Path("raw/prompts.jsonl").write_text("\n"), "is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_stops_the_stage_and_leaves_nothing(world, spoil_file, says):
    spoil_file()
    with pytest.raises(InputError, match=says):
        validate_stage.main()
    assert not Path("data").exists()
    assert not Path("metrics").exists()


def test_a_rule_that_the_code_does_not_know_is_refused(world):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["validate"]["rules"]["texts_are_lovely"] = params["validate"]["rules"].pop("rows_are_unique")
    save_params(params)
    with pytest.raises(ParamsError) as caught:
        validate_stage.main()
    assert "texts_are_lovely: is no known rule" in str(caught.value)
    assert "rows_are_unique: is missing" in str(caught.value)


def test_an_allowed_share_is_allowed_exactly(world):
    # 1 of 50 is the allowed 2 %, 2 of 50 are more
    good = [make_raw(number) for number in range(49)]
    write_rows(Path("raw/pairs.jsonl"), [*good, make_raw(60, chosen="")])
    validate_stage.main()
    assert load("metrics/validate.json")["validate"]["ok"] is True
    write_rows(Path("raw/pairs.jsonl"), [*good[:48], make_raw(60, chosen=""), make_raw(61, chosen="")])
    validate_stage.main()
    assert load("metrics/validate.json")["validate"]["broken"] == "required_fields_are_filled"


def test_the_split_refuses_unfit_data_and_names_the_rules(world):
    spoil(world)
    validate_stage.main()
    page = Path("data/validate/report.html").read_text(encoding="utf-8")
    assert "“Every row can be read” (<code>rows_are_readable</code>)" in page
    with pytest.raises(InputError) as caught:
        split_stage.main()
    assert "rows_are_readable" in str(caught.value)
    assert not Path("data/split").exists()


def test_the_split_refuses_too_few_prompts(world):
    write_rows(Path("raw/prompts.jsonl"), make_prompts(49))
    validate_stage.main()
    with pytest.raises(InputError, match="49 of 50 wanted prompts"):
        split_stage.main()


def test_the_split_holds_out_exactly_and_writes_every_pair_once(world):
    validate_stage.main()
    split_stage.main()
    metrics = load("metrics/split.json")["split"]
    parts = {name: rows(f"data/split/{name}.jsonl") for name in ("train", "selection", "holdout")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 30, "selection": 4, "holdout": 6}
    assert {name: metrics[f"n_{name}"] for name in parts} == {"train": 30, "selection": 4, "holdout": 6}
    assert sorted(row["pair_id"] for part in parts.values() for row in part) == [
        f"p{n:04d}" for n in range(40)
    ]
    assert metrics["n_overlaps"] == 0
    assert metrics["n_components"] == 40
    assert all(len(row["component_id"]) == 16 for part in parts.values() for row in part)


def test_a_holdout_that_cannot_be_is_explained(world):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["split"]["n_holdout"] = 7
    save_params(params)
    write_rows(Path("raw/pairs.jsonl"), [make_raw(n, group_id=f"g{n // 4}") for n in range(40)])
    validate_stage.main()
    with pytest.raises(InputError, match="no exact holdout of 7.*nearest possible sizes: 4 or 8"):
        split_stage.main()
    assert not Path("data/split").exists()


def test_the_sample_of_the_repository_is_fit_and_splits(tmp_path, monkeypatch):
    folder = enter_world(tmp_path / "sample", monkeypatch)
    shutil.copytree(REPOSITORY / "data/sample", folder / "data/sample")
    shutil.copy(REPOSITORY / "params.yaml", folder / "params.yaml")
    validate_stage.main()
    split_stage.main()
    validated, split = load("metrics/validate.json")["validate"], load("metrics/split.json")["split"]
    assert (validated["n_kept"], validated["n_prompts"], validated["ok"], validated["is_synthetic"]) == (
        2500,
        50,
        True,
        True,
    )
    assert (split["n_holdout"], split["n_overlaps"], split["is_synthetic"]) == (300, 0, True)
    assert split["n_components"] >= 400


def lock_split(folder):
    """What DVC does after the stage: its files in the cache, their hashes in dvc.lock; and then before it runs again."""
    Repo.init(no_scm=True, force=True).close()
    outs = []
    for name in ("train", "selection", "holdout"):
        file = folder / f"data/split/{name}.jsonl"
        md5 = md5_file(file)
        cached = folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        file.rename(cached)
        outs.append({"path": f"data/split/{name}.jsonl", "hash": "md5", "md5": md5})
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"split": {"outs": outs}}}))


def set_split(**values):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["split"] |= values
    save_params(params)


def ids_held_out():
    return sorted(row["pair_id"] for row in rows("data/split/holdout.jsonl"))


def test_a_split_that_dvc_knows_is_not_drawn_anew_in_silence(world, capsys):
    validate_stage.main()
    split_stage.main()
    before, sha256 = ids_held_out(), load("metrics/split.json")["split"]["split_sha256"]
    lock_split(world)
    split_stage.main()  # the same again
    assert ids_held_out() == before
    shutil.rmtree("data/split")

    set_split(salt="another")
    with pytest.raises(InputError, match="the held-out pairs would change") as caught:
        split_stage.main()
    assert not Path("data/split").exists()
    assert f"split.replaces: {sha256[:12]}" in str(caught.value)

    kept = CliRunner().invoke(app, ["keep"])
    assert kept.exit_code == 0, kept.output
    assert "6 held-out pairs and 34 others" in kept.output
    set_split(keep="data/kept/split.jsonl")
    split_stage.main()
    assert "split.keep: 40 of 40 kept pairs found; 6 of 6 that were held out" in "".join(capsys.readouterr())
    assert ids_held_out() == before

    set_split(keep=None, replaces=sha256[:12])
    split_stage.main()
    assert ids_held_out() != before


def test_a_split_whose_files_are_in_no_cache_stops(world):
    validate_stage.main()
    split_stage.main()
    lock_split(world)
    shutil.rmtree(".dvc/cache")
    with pytest.raises(InputError, match="run `dvc pull`"):
        split_stage.main()


def test_one_prompt_for_all_pairs_is_named_as_the_cause(world):
    write_rows(Path("raw/pairs.jsonl"), [make_raw(n, prompt="Write about one thing.") for n in range(40)])
    validate_stage.main()
    with pytest.raises(InputError, match=r"no size is possible: all 40 pairs share one prompt \(such as p0"):
        split_stage.main()
