"""On a real DVC repository of three experiments, made once: a stage that writes what variants write."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from stages.cli.app import app
from stages.cli.compare import compare
from stages.errors import InputError
from stages.variants import compare as comparing
from tests.support.decision_factory import make_params, write

STAGE = """
import json, pathlib, random, yaml
beta = yaml.safe_load(open("params.yaml"))["train"]["beta"]
draw = random.Random(1)
margins = [draw.gauss(beta, 1) for _ in range(300)]
answers = [draw.random() < 0.6 + beta / 10 for _ in range(40)]
def rows(path, values):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\\n" for value in values))
lengths = dict(n_chosen_tokens=9, n_rejected_tokens=9, n_chosen_chars=9, n_rejected_chars=9)
logps = dict(chosen_logp=0, rejected_logp=0, ref_chosen_logp=0, ref_rejected_logp=0)
rows("data/holdout/margins.jsonl", [
    dict(pair_id=f"h{i}", part="holdout", margin=margin, editor=None, section=None, component_id=f"c{i // 2}",
         synthetic=False, split_sha256="5", render_sha256="r", **lengths, **logps)
    for i, margin in enumerate(margins)])
rows("data/mmlu/policy.jsonl", [
    dict(question_id=f"q{i}", subject=f"s{i % 4}", category="stem", gold=0, config_sha256="c", correct=right,
         predicted=0 if right else 1, logprobs=[0.0, -1.0, -2.0, -3.0] if right else [-1.0, 0.0, -2.0, -3.0])
    for i, right in enumerate(answers)])
for model, length in (("base", 20), ("policy", int(100 * beta))):
    rows(f"data/generate/{model}.jsonl", [
        dict(prompt_id="p", prompt="?", completion="x", raw_completion="x", n_tokens=length,
             finish_reason="eos", removed_role_tags=False, trimmed=False, seed=1, settings_sha256="s",
             synthetic=False)])
wins = sum(margin > 0 for margin in margins)
part = dict(k=wins, n=300, accuracy=wins / 300, low=0.1, high=0.9)
rows("metrics/accuracy.json", [dict(holdout=part, selection=dict(part, accuracy=1 - beta))])
gates = json.loads(pathlib.Path("gates.json").read_text())
gates["gate"]["accuracy"]["value"] = wins / 300
gates["gate"]["capability"]["value"] = beta / 100
rows("metrics/gate.json", [gates])
"""
PIPELINE = {
    "stages": {
        "all": {
            "cmd": f"{sys.executable} stage.py",
            "params": ["train.beta"],
            "deps": ["data/split/holdout.jsonl"],
            "outs": [
                "data/holdout/margins.jsonl",
                "data/mmlu/policy.jsonl",
                "data/generate/policy.jsonl",
                "data/generate/base.jsonl",
            ],
            "metrics": [{"metrics/accuracy.json": {"cache": False}}, {"metrics/gate.json": {"cache": False}}],
        }
    }
}


def run(*command: str) -> None:
    names = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **names, "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("variants")
    before = Path.cwd()
    os.chdir(folder)
    verdict = {"state": "pass", "literal_met": "met", "reasons": "Fine."}
    verdict |= {"value": 0.7, "low": 0.6, "high": 0.8, "n": 300}
    gates = dict.fromkeys(("accuracy", "winrate", "capability"), verdict)
    write(folder / "gates.json", json.dumps({"gate": {**gates, "overall": {"state": "pass"}}}))
    write(folder / "stage.py", STAGE)
    write(folder / "dvc.yaml", yaml.safe_dump(PIPELINE))
    write(folder / "params.yaml", yaml.safe_dump(make_params()))
    write(folder / "data/split/holdout.jsonl", "the pairs that are held out\n")
    dvc = (sys.executable, "-m", "dvc")
    run("git", "init", "-q", "-b", "main")
    run(*dvc, "init", "-q")
    run(*dvc, "repro", "-q")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "first")
    run(*dvc, "exp", "run", "-q", "-n", "wild", "-S", "train.beta=0.5")
    run(*dvc, "exp", "run", "-q", "-n", "gone", "-S", "train.beta=0.9")
    run(*dvc, "exp", "run", "-q", "-n", "calm", "-S", "train.beta=0.2")
    run(*dvc, "exp", "remove", "-q", "gone")
    os.chdir(before)
    return folder


@pytest.fixture
def inside(repository, monkeypatch) -> Path:
    monkeypatch.chdir(repository)
    return repository


def test_all_variants_are_ranked_by_selection_and_repeats_are_one(inside, capsys):
    compare()
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].startswith("main ranks first; whether it is ahead of calm cannot be said.")
    start = next(number for number, line in enumerate(lines) if line.startswith("rank")) + 2
    ranked = [line.split()[:2] for line in lines[start : start + 3]]
    assert ranked == [["1", "main"], ["2", "calm"], ["3", "wild"]]
    assert "workspace" not in out
    assert "train.beta" in out
    assert "have been scored 4 times" in out  # the removed experiment looked at them, too
    assert "calm against main" in out
    assert "wild against main" not in out


def test_named_variants_are_paired_on_the_same_items(inside, capsys):
    compare(["wild", "calm"])
    out = capsys.readouterr().out
    assert "have been scored 4 times" in out  # looks are counted over all, not over those named
    line = " ".join(out.split())
    beta = {"calm": 0.2, "wild": 0.5}
    wins = {}
    for name in beta:
        draw = random.Random(1)
        wins[name] = [draw.gauss(beta[name], 1) > 1e-4 for _ in range(300)]
    only_wild = sum(wild and not calm for wild, calm in zip(wins["wild"], wins["calm"], strict=True))
    assert f"n 300; only wild right {only_wild}, only calm right 0" in line
    assert "right answers:" in out


def test_exp_show_is_one_short_row_a_variant(inside, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, ["exp", "show"])
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert lines[0] == ["variant", "selection", "held", "out", "win", "rate", "drop", "verdict", "beta"]
    rows = {line[0]: line for line in lines[2:6]}
    assert set(rows) == {"workspace", "main", "calm", "wild"}
    assert rows["calm"][-3:] == ["✓", "pass", "0.2"]
    assert max(map(len, done.output.splitlines())) <= 80
    assert "No experiment yet" not in done.output


def test_without_an_experiment_exp_show_says_how_one_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q", "-b", "main")
    run(sys.executable, "-m", "dvc", "init", "-q")
    done = CliRunner().invoke(app, ["exp", "show"])
    assert done.exit_code == 0, done.output
    assert "No experiment yet; `bluepencil exp run" in done.output


def test_commits_are_found_by_any_name_that_git_knows(inside, capsys):
    compare(["HEAD", "calm"])
    assert "main" in capsys.readouterr().out


def test_a_removed_experiment_is_named_with_what_there_is(inside):
    with pytest.raises(InputError, match=r"no such variant: gone; .*Known: .*calm"):
        compare(["calm", "gone"])


def test_the_page_is_self_contained_and_draws_every_variant(inside, tmp_path, capsys):
    compare(page=tmp_path / "compare.html")
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert (
        page.count('<i class="best"') + page.count('<i class="other"') == 6
    )  # three variants against drop, and against length
    assert "Accuracy against length" in page
    assert "default-src 'none'" in page
    for word in ("http:", "https:", "<script", "src="):
        assert word not in page


def test_seeds_of_one_candidate_stand_together_and_are_not_paired_unasked(
    inside, monkeypatch, tmp_path, capsys
):
    everything = comparing.list_experiments()
    calm = next(one for one in everything if one.name == "calm")
    train = calm.params["train"]
    again = calm._replace(name="again", rev="1" * 40, params=calm.params | {"train": {**train, "seed": 7}})
    monkeypatch.setattr(comparing, "list_experiments", lambda: [*everything, again])
    compare(page=tmp_path / "compare.html")
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["2", "80.0", "%", "80.0", "%", "to", "80.0", "%", "2", "7,", "42", "0.2"] in lines
    names = [line[:2] for line in lines if line[:1] and line[0].isdigit() and line[1].isalpha()]
    assert names == [["1", "main"], ["2", "again"], ["2", "calm"], ["3", "wild"]]
    assert "again against main" in out
    assert "calm against" not in out
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "Candidates, over their seeds" in page
    compare(["calm", "again"])
    assert "calm against again" in capsys.readouterr().out


def test_what_was_trained_on_is_known_from_the_lock_code_included(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q", "-b", "main")
    run(sys.executable, "-m", "dvc", "init", "-q")
    for number, code in enumerate(("old", "new", "old")):
        deps = [{"path": "data/split/train.jsonl", "md5": "d"}, {"path": "stages/train.py", "md5": code}]
        locked = {"deps": deps, "params": {"params.yaml": {"train.seed": number}}, "outs": []}
        write(tmp_path / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": {"train": locked}}))
        run("git", "add", "-A")
        run("git", "commit", "-qm", code)
    found = [one.trained_on for one in comparing.list_experiments() if one.name != "workspace"]
    assert len(found) == 3
    assert sorted(found.count(one) for one in found) == [1, 2, 2]


def test_a_run_that_scores_no_held_out_pair_is_no_look(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q", "-b", "main")
    run(sys.executable, "-m", "dvc", "init", "-q")
    counts = []
    for number, n_scored in enumerate((300, 0, 0)):  # a run, then two of a curve
        locked = {
            "deps": [{"path": "data/split/holdout.jsonl", "md5": "pairs"}],
            "params": {"params.yaml": {"size.n_holdout_scored": n_scored}},
            "outs": [{"path": "data/holdout/margins.jsonl", "md5": f"margins-{number}"}],
        }
        write(tmp_path / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": {"holdout": locked}}))
        run("git", "add", "-A")
        run("git", "commit", "-qm", f"{n_scored} scored")
        everything = comparing.list_experiments()
        counts.append(comparing.count_all_looks(everything, next(one for one in everything if one.look)))
    assert counts == [1, 1, 1]


def test_rows_that_are_not_cached_are_said_to_be_missing(inside, monkeypatch, capsys):
    bare = [one._replace(outs={}) for one in comparing.list_experiments()]
    monkeypatch.setattr(comparing, "list_experiments", lambda: bare)
    compare(["calm", "wild"])
    out = capsys.readouterr().out
    assert " ".join(out.split()).count("not in the cache") == 4  # the first line, and three differences
    assert "ranks first by selection accuracy" not in out


def test_scores_of_other_held_out_pairs_are_no_looks_at_these(inside):
    everything = comparing.list_experiments()
    chosen = next(one for one in everything if one.name == "calm")
    assert comparing.count_all_looks(everything, chosen) == 4
    moved = chosen._replace(look=chosen.look._replace(holdout="other pairs"))
    others = [one._replace(look=moved.look) if one.rev == chosen.rev else one for one in everything]
    assert comparing.count_all_looks(others, moved) == 1
    assert comparing.count_all_looks(others, next(one for one in others if one.name == "wild")) == 4


def test_what_git_holds_is_what_dvc_says(inside):
    from dvc.repo import Repo

    with Repo() as repo:
        states = repo.experiments.show(all_commits=True)
        rows = [
            *states,
            *(row for state in states for group in state.experiments or [] for row in group.revs),
        ]
    ours = {one.rev: one for one in comparing.list_experiments()}
    assert {row.rev for row in rows} == set(ours)
    for row in rows:
        one = ours[row.rev]
        assert one.params == row.data.params["params.yaml"]["data"]
        assert one.metrics == {path: metrics["data"] for path, metrics in row.data.metrics.items()}
        cached = {path: hash_ for path, hash_ in one.hashes.items() if not path.startswith("metrics")}
        assert cached == {path: row.data.outs[path].hash for path in cached}
        assert set(cached) == {path for path in row.data.outs if not path.startswith("metrics")}
        assert row.rev == "workspace" or one.name == row.name or one.name == row.rev[:7]


def test_a_broken_commit_is_read_as_far_as_it_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q", "-b", "main")
    run(sys.executable, "-m", "dvc", "init", "-q")
    write(tmp_path / "params.yaml", "a: [1")
    write(tmp_path / "dvc.lock", "[" * 100_000)  # at which libyaml would end the process
    write(tmp_path / "metrics/gate.json", "{")
    write(tmp_path / "metrics/accuracy.json", '{"selection": {"accuracy": 0.5}}')
    run("git", "add", "-A")
    run("git", "commit", "-qm", "broken")
    for one in comparing.list_experiments():
        assert (one.params, one.outs, one.look) == ({}, {}, None)
        assert one.metrics == {"metrics/accuracy.json": {"selection": {"accuracy": 0.5}}}
    with pytest.raises(InputError, match="no experiment has scored"):
        compare()


def test_outside_a_repository_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no DVC repository"):
        compare()
