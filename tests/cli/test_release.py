"""`bluepencil release` and `verify` on a finished repository: real git, DVC, GTO and tiny models."""

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from dvc.repo import Repo
from huggingface_hub import ModelCard, constants

from stages import gate
from stages.cli.release import release
from stages.errors import InputError, ReleaseError, RuntimeCheckError
from stages.files.hashing import sha256_hex
from stages.files.io import read_json, read_jsonl, sha256_file, write_json, write_jsonl
from stages.inference.generation.completions import Generation
from stages.model.checkpoint import load_model
from stages.model.manifest import Rendering
from stages.release import hub, merging
from stages.release.lineage import Lineage, lineage_bytes, seal_lineage, sums_text
from stages.release.objections import registered_from
from stages.release.registry import settle_version
from stages.release.verify import verify
from stages.run.params import load_params
from stages.study.folder import ballots_folder, current_study_id
from tests.support.release_factory import (
    change_yaml,
    commit,
    git,
    make_repository,
    make_split_pair,
    name_committer,
)

FOLDER = Path("releases/policy-v0.0.1")
REASON = "The board <wants> to see it; we know."


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which everything passes."""
    folder = tmp_path_factory.mktemp("finished") / "repository"
    with pytest.MonkeyPatch.context() as patch:
        make_repository(folder, patch)
    return folder


@pytest.fixture(scope="module")
def released(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after its release."""
    folder = tmp_path_factory.mktemp("released") / "repository"
    shutil.copytree(finished, folder, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        name_committer(patch)
        release()
    return folder


def inside_copy(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(source, target, symlinks=True)
    monkeypatch.chdir(target)
    name_committer(monkeypatch)
    return target


@pytest.fixture
def world(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inside a copy of the finished repository."""
    return inside_copy(finished, tmp_path / "world", monkeypatch)


@pytest.fixture
def shipped(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inside a copy of the repository that was released."""
    return inside_copy(released, tmp_path / "shipped", monkeypatch)


@pytest.fixture
def alone(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the release folder, far from its repository."""
    shutil.copytree(released / FOLDER, tmp_path / "policy")
    monkeypatch.chdir(tmp_path)
    return Path("policy")


def lineage_of(folder: Path) -> Lineage:
    return Lineage.model_validate(read_json(folder / "lineage.json"))


# What is released


def test_what_ships_is_the_judged_model(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(released)
    runtime = load_params().runtime
    ids = torch.randint(2, 320, (2, 30), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        judged = load_model(Path("models/base"), Path("models/policy"), runtime)(ids).logits
        base = load_model(Path("models/base"), None, runtime)(ids).logits
        ships = load_model(FOLDER, None, runtime)(ids).logits
    torch.testing.assert_close(ships, judged, atol=1e-4, rtol=0)
    assert (judged - base).abs().max() > 0.1  # the adapter does something
    model = lineage_of(FOLDER).model
    assert (model.merge.n_modules, model.drift.n_rows, model.drift.same_top_token) == (14, 3, 1.0)
    assert model.merge.slope == pytest.approx(1, abs=1e-4)
    assert model.drift.kl < 1e-6 < 0.01 < model.drift.kl_from_base
    assert (model.regeneration.n_prompts, model.regeneration.different) == (8, [])


def test_the_folder_is_complete_and_leaves_nothing_beside_it(released: Path) -> None:
    folder = released / FOLDER
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    wanted = {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "README.md"}
    wanted |= {
        "founder.html",
        "SHA256SUMS",
        "lineage.json",
        "evidence/dvc.lock",
        "evidence/metrics/gate.json",
    }
    assert wanted <= names
    assert not {name for name in names if "adapter" in name or "training_args" in name}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()} == {0o644}
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert {line[66:]: line[:64] for line in lines} == {
        name: sha256_file(folder / name) for name in names - {"SHA256SUMS"}
    }


def test_every_number_of_the_metrics_is_in_the_lineage(released: Path) -> None:
    numbers = {(one.file, one.name): one.value for one in lineage_of(released / FOLDER).numbers}
    gate = read_json(released / "metrics/gate.json")["gate"]
    for name in ("accuracy", "winrate", "capability"):
        for key in ("value", "low", "high", "n"):
            assert numbers["metrics/gate.json", f"gate.{name}.{key}"] == gate[name][key]
    assert ("metrics/validate.json", "validate.n_rows") in numbers


def test_the_registry_knows_the_version(shipped: Path) -> None:
    revision = git("rev-parse", "HEAD").strip()
    assert git("cat-file", "-t", "policy@v0.0.1").strip() == "tag"
    assert f"SHA256SUMS sha256:{sha256_file(FOLDER / 'SHA256SUMS')}" in git("tag", "-n9", "policy@v0.0.1")
    with Repo() as repo:
        assert repo.artifacts.get_rev("policy") == revision
        assert repo.artifacts.get_path("policy") == "models/policy"


def test_the_card_is_one_that_the_hub_takes_and_says_what_ships(released: Path) -> None:
    card = ModelCard.load(released / FOLDER / "README.md")
    assert card.data.library_name == "transformers"
    assert card.text.index("Release `policy@v0.0.1`") < card.text.index("## Evaluation")
    assert "merged into its base, in float32" in card.text
    assert "wrote 8 again letter for letter" in card.text
    assert "at least 1 variant," in card.text


def test_the_next_release_has_the_next_version(shipped: Path) -> None:
    git("commit", "-qm", "nothing", "--allow-empty")
    revision = git("rev-parse", "HEAD").strip()
    assert settle_version("policy", revision, None) == "v0.0.2"
    assert settle_version("policy", revision, "v1.0.0") == "v1.0.0"


# Refusals


def pending_capability() -> None:
    document = read_json(Path("metrics/capability.json"))
    document["capability"]["n"] = 900
    document["capability"] |= {"n_discordant_worse": 3, "n_discordant_better": 3, "drop": 0.0}
    document["capability"] |= {"n_base_correct": 500, "n_policy_correct": 500, "low": -0.01, "high": 0.01}
    document["capability"]["high_two_sided"] = 0.012
    write_json(Path("metrics/capability.json"), document)
    gate.main()
    commit("Fewer questions")


def other_limits() -> None:
    change_yaml("params.yaml", "limits.accuracy.min_share", 0.6)
    change_yaml("params.yaml", "limits.winrate.min_share", 0.55)


def other_holdout() -> None:
    write_jsonl(Path("data/split/holdout.jsonl"), [make_split_pair(99)])


def stale_split() -> None:
    write_jsonl(Path("data/split/train.jsonl"), [make_split_pair(99)])


def changed_ballot() -> None:
    file = ballots_folder(current_study_id()) / "ann.json"
    file.write_text(file.read_text().replace('"left"', '"right"', 1))


def stray_ballot() -> None:
    (ballots_folder(current_study_id()) / "dan.json").write_text("{}")


def no_commit() -> None:
    change_yaml("params.yaml", "train.seed", 7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            [no_commit, stale_split, stray_ballot, lambda: FOLDER.mkdir(parents=True)],
            [
                "not committed to git: params.yaml, data/ballots/",
                "dan.json",
                "stage train: changed deps",
                "stage split: changed outs (data/split/train.jsonl)",
                "dvc repro",
                f"{FOLDER}: exists already",
                "never overwritten",
            ],
        ),
        (
            [other_limits, other_holdout, changed_ballot, lambda: commit("Other tests, pairs and ballots")],
            [
                "limits.accuracy.min_share was 0.68 when the study was opened, and is 0.6",
                "the pre-registration says min_share 0.6, params.yaml now 0.55",
                "the held-out pairs had the hash",
                "when the study was opened",
                "ballot ann.json: was changed after the key was revealed",
            ],
        ),
        (
            [lambda: git("tag", "-am", "x", "policy@v1.0.0")],
            ["policy@v1.0.0: this commit is released already"],
        ),
        ([lambda: Path("dvc.lock").unlink()], ["dvc.lock: no such file"]),
    ],
    ids=["workspace", "commits", "released", "no lock"],
)
def test_a_release_is_refused_with_all_its_reasons_and_no_override_helps(
    world: Path, changes: list[Callable[[], Any]], words: list[str]
) -> None:
    for change in changes:
        change()
    with pytest.raises(ReleaseError) as error:
        release(override=REASON)
    for word in words:
        assert word in str(error.value)
    assert error.value.exit_code == 1


def test_a_lock_without_end_is_named_before_dvc_reads_it(world: Path) -> None:
    Path("dvc.lock").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"dvc\.lock: not readable as YAML .*nested more than 50 deep"):
        release()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"override": "  "}, "--override wants a reason"),
        ({"override": REASON}, "nothing has to be overridden"),
        ({"version": "1.0"}, "--version 1.0: is no semantic version"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(world: Path, options: dict[str, str], words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        release(**options)


def test_a_commit_and_a_version_are_released_once(shipped: Path) -> None:
    with pytest.raises(ReleaseError, match=r"policy@v0\.0\.1: this commit is released already"):
        settle_version("policy", git("rev-parse", "HEAD").strip(), None)
    git("commit", "-qm", "nothing", "--allow-empty")
    with pytest.raises(ReleaseError, match=r"policy@v0\.0\.1: this version is taken"):
        settle_version("policy", git("rev-parse", "HEAD").strip(), "v0.0.1")


def test_a_model_that_is_no_artifact_is_refused(world: Path) -> None:
    change_yaml("dvc.yaml", "artifacts", {})
    with pytest.raises(InputError, match="`artifacts` has no entry with the path models/policy"):
        release()


def test_what_was_registered_must_be_known() -> None:
    with pytest.raises(InputError, match=r"commit abc: dvc\.lock or params\.yaml is incomplete"):
        registered_from({"limits": {}}, {"stages": {}}, place="commit abc")


# An override, and failures on the way


def test_an_override_stands_in_card_page_lineage_and_tag(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pending_capability()
    with pytest.raises(ReleaseError) as error:
        release()
    for words in (
        "overall state is pending",
        "gate capability is pending",
        "say why for everyone to read: --override",
    ):
        assert words in str(error.value)
    release(override=REASON, to=Path("out/policy"))
    assert f"released all the same: {REASON}" in capsys.readouterr().out
    folder = Path("out/policy")
    decision = lineage_of(folder).decision
    assert (decision.overall, decision.override) == ("pending", REASON)
    assert any("Only 900 of the 14,042 questions" in line for line in decision.overridden)
    for name in ("README.md", "founder.html"):
        assert "The board &lt;wants&gt; to see it; we know." in (folder / name).read_text(encoding="utf-8")
    assert "overall state is pending" in (folder / "README.md").read_text(encoding="utf-8")
    assert REASON in git("tag", "-n9", "policy@v0.0.1")
    verify(folder)
    assert f"released although pending: {REASON}" in capsys.readouterr().out


def nothing_is_left() -> bool:
    return not git("tag") and not (FOLDER.parent.exists() and list(FOLDER.parent.iterdir()))


def test_a_wrong_merge_leaves_nothing(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        merging, "merge", lambda base, *_, **__: load_model(base, None, load_params().runtime)
    )
    with pytest.raises(RuntimeCheckError, match="elements of .* are not base [+] adapter"):
        release()
    assert nothing_is_left()


def test_a_release_that_cannot_be_registered_leaves_nothing(world: Path) -> None:
    git("tag", "policy@v0.0.1")  # a plain tag, which the registry does not see until it writes its own
    with pytest.raises(ReleaseError, match=r"policy@v0\.0\.1: cannot be registered"):
        release()
    git("tag", "-d", "policy@v0.0.1")
    assert nothing_is_left()


def test_completions_that_come_out_otherwise_are_named(world: Path) -> None:
    path = Path("data/generate/policy.jsonl")
    rows = read_jsonl(path, Generation)
    assert [row.prompt_id for row in rows][:2] == ["p000", "p001"]
    params = load_params()
    changed = [rows[0], rows[1].model_copy(update={"raw_completion": "Other words."}), *rows[2:]]
    Path("out").mkdir()
    shipped = merging.write_shipped(
        Path("models/base"), Path("models/policy"), Path("out"), params.runtime, form="merged"
    )
    again = merging.regenerate(shipped, changed, params.generate, Rendering())
    assert again.different == ["p001"]


# Verification


def test_the_whole_chain_is_followed_in_the_repository(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verify(FOLDER)
    out = capsys.readouterr().out
    assert "every byte as released" in out
    gate_md5 = next(
        out["md5"]
        for out in yaml.safe_load(Path("dvc.lock").read_text())["stages"]["gate"]["outs"]
        if out["path"] == "metrics/gate.json"
    )
    assert f"metrics/gate.json: 13 numbers, md5 {gate_md5} in dvc.lock" in out
    assert "<- gate <- blind" in out
    assert "data/raw/pairs.jsonl" in out
    assert f"git revision {git('rev-parse', 'HEAD').strip()}" in out
    assert "not at hand" not in out
    assert "the git tag policy@v0.0.1 for SHA256SUMS" in out


@pytest.mark.slow
def test_in_a_subfolder_of_a_larger_repository_other_teams_files_hold_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_repository(tmp_path / "teams/writing", monkeypatch, is_subfolder=True)
    (tmp_path / "teams/params.yaml").write_text("another: team's\n")
    capsys.readouterr()
    release()
    verify(FOLDER)
    assert "every byte as released" in capsys.readouterr().out
    with Path("params.yaml").open("a") as params:
        params.write("# a note\n")
    with pytest.raises(ReleaseError, match="params.yaml"):
        release(version="0.0.2")


def test_a_folder_alone_is_checked_and_says_how_far(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify(alone)
    out = capsys.readouterr().out
    assert "is not in a repository here" in out
    assert "nothing outside of the folder" in out
    verify(alone, sums=sha256_file(alone / "SHA256SUMS"))
    assert "the SHA-256 you gave" in capsys.readouterr().out


def test_files_that_a_hub_adds_are_no_misfit(alone: Path) -> None:
    (alone / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    (alone / ".cache/huggingface").mkdir(parents=True)
    (alone / ".cache/huggingface/x").write_text("x")
    verify(alone)


def flip(path: Path, place: float) -> None:
    """Change one bit of the byte at this share of the file's length."""
    data = bytearray(path.read_bytes())
    data[min(int(len(data) * place), len(data) - 1)] ^= 1
    path.write_bytes(bytes(data))


TAMPERED = [
    ("model.safetensors", 0.0), ("model.safetensors", 0.5), ("model.safetensors", 1.0), ("config.json", 0.4),
    ("generation_config.json", 0.5), ("tokenizer.json", 0.6), ("tokenizer_config.json", 0.1),
    ("chat_template.jinja", 0.5), ("README.md", 0.3), ("founder.html", 0.9), ("evidence/dvc.lock", 0.5),
    ("evidence/dvc.yaml", 0.5), ("evidence/params.yaml", 0.2), ("evidence/metrics/gate.json", 0.5),
    ("evidence/metrics/accuracy.json", 0.3), ("evidence/metrics/winrate.json", 0.7),
    ("evidence/metrics/capability.json", 0.1), ("evidence/metrics/split.json", 0.5),
    ("evidence/metrics/validate.json", 0.5), ("evidence/reports/founder.html", 0.2),
    ("evidence/reports/model_card.md", 0.8), ("lineage.json", 0.0), ("lineage.json", 0.3), ("lineage.json", 0.6),
    ("lineage.json", 1.0), ("SHA256SUMS", 0.0), ("SHA256SUMS", 0.3), ("SHA256SUMS", 0.7), ("SHA256SUMS", 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "place"), TAMPERED)
def test_one_changed_bit_is_named(alone: Path, name: str, place: float) -> None:
    expected = sha256_file(alone / name)
    flip(alone / name, place)
    found = sha256_file(alone / name)
    with pytest.raises(ReleaseError) as error:
        verify(alone)
    first = str(error.value).split("\n")
    assert first[1].startswith(f"  {name}: ")
    assert first[2] == f"    expected {expected}"
    assert first[3] == f"    found    {found}"
    files = {line.split(":")[0].strip() for line in first[1::3]}
    assert files <= {name, name.removeprefix("evidence/"), "evidence/dvc.lock", "params.yaml"}  # and no other


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "modeling.py").write_text("x"), "modeling.py: is no part of the release"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json: is missing"),
        (lambda folder: (folder / "more.md").symlink_to("README.md"), "more.md: is no plain file"),
        (lambda folder: (folder / "evidence/dvc.lock").write_text("x"), "evidence/dvc.lock: differs"),
    ],
)
def test_files_too_many_or_too_few_are_named(alone: Path, change: Callable[[Path], Any], words: str) -> None:
    change(alone)
    with pytest.raises(ReleaseError, match=words):
        verify(alone)


def test_a_folder_that_is_no_release_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no release folder: SHA256SUMS and lineage\.json missing"):
        verify(tmp_path)


def forge(folder: Path) -> None:
    """Change the card, and rewrite lineage, seal and sums so that they fit."""
    with (folder / "README.md").open("a") as file:
        file.write("It is perfect.\n")
    lineage = lineage_of(folder)
    files = {**lineage.files, "README.md": sha256_file(folder / "README.md")}
    lineage = seal_lineage(lineage.model_copy(update={"files": files}))
    (folder / "lineage.json").write_bytes(lineage_bytes(lineage))
    sums = sums_text({**files, "lineage.json": sha256_hex(lineage_bytes(lineage))})
    (folder / "SHA256SUMS").write_text(sums)


def test_a_forger_of_the_whole_folder_is_caught_by_the_tag(shipped: Path) -> None:
    sealed = sha256_file(FOLDER / "SHA256SUMS")
    forge(FOLDER)
    with pytest.raises(ReleaseError) as error:
        verify(FOLDER)
    assert "SHA256SUMS: is not the one that the git tag policy@v0.0.1 vouches for" in str(error.value)
    assert f"expected {sealed}" in str(error.value)


def test_a_forger_of_the_whole_folder_is_caught_by_a_hash_from_elsewhere(alone: Path) -> None:
    sealed = sha256_file(alone / "SHA256SUMS")
    forge(alone)
    verify(alone)  # as it says itself: nothing outside of the folder vouches for it
    with pytest.raises(ReleaseError, match=f"SHA256SUMS: is not the one you expect\n    expected {sealed}"):
        verify(alone, sums=sealed)


def cached(name: str) -> Path:
    stages = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    md5 = next(
        out["md5"] for stage in stages.values() for out in stage.get("outs", []) if out["path"] == name
    )
    return Path(".dvc/cache/files/md5") / md5[:2] / md5[2:]


def corrupt(path: Path) -> None:
    path.chmod(0o644)
    path.write_text("other bytes")


def corrupt_weights() -> None:
    listed = json.loads(cached("models/policy").read_text())
    md5 = next(one["md5"] for one in listed if one["relpath"] == "adapter_model.safetensors")
    corrupt(Path(".dvc/cache/files/md5") / md5[:2] / md5[2:])
    corrupt(Path("models/policy/adapter_model.safetensors"))


def move_tag() -> None:
    git("commit", "-qm", "later", "--allow-empty")
    git("tag", "-f", "-am", git("for-each-ref", "--format=%(contents)", "refs/tags"), "policy@v0.0.1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: git("tag", "-d", "policy@v0.0.1"), "git tag policy@v0.0.1: is not there"),
        (move_tag, "git tag policy@v0.0.1: points to another revision"),
        (corrupt_weights, "models/policy: has changed since dvc.lock recorded it"),
        (
            lambda: [
                corrupt(cached("data/holdout/margins.jsonl")),
                corrupt(Path("data/holdout/margins.jsonl")),
            ],
            "data/holdout/margins.jsonl: has changed since dvc.lock recorded it",
        ),
    ],
)
def test_what_no_longer_matches_in_the_repository_is_named(
    shipped: Path, change: Callable[[], Any], words: str
) -> None:
    change()
    with pytest.raises(ReleaseError) as error:
        verify(FOLDER)
    assert words in str(error.value)


def test_what_is_not_at_hand_is_said_and_no_misfit(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in ("models", ".dvc/cache", "data/holdout"):
        shutil.rmtree(path)
    verify(FOLDER)
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if "not at hand" in line)
    assert "data/holdout/margins.jsonl" in line
    assert "models/policy" in line


# The hub


@pytest.fixture
def hub_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return monkeypatch


def test_a_push_without_token_network_or_name_is_refused_before_anything_is_built(
    hub_token: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match=r"--push-to-hub a/b: no token is there; run `hf auth login`"):
        hub.check_hub("a/b", "v1.0.0")
    hub_token.setenv("HF_TOKEN", "hf_x")
    with pytest.raises(InputError, match=r"--push-to-hub a/b: the hub cannot be reached"):
        hub.check_hub("a/b", "v1.0.0")
    with pytest.raises(InputError, match=r"--push-to-hub a/b/c: is no repository name"):
        hub.check_hub("a/b/c", "v1.0.0")
