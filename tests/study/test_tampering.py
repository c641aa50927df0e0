"""A study in git: what was tampered with is named, before the reveal and after it; honest surroundings are not."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stages.files.hashing import sha256_hex
from stages.files.json_text import canonical_json
from stages.run import paths
from stages.run.params import load_params
from stages.study.ballots import content_sha256
from stages.study.collecting import collect_ballot
from stages.study.folder import ballots_folder, page_file, study_folder
from stages.study.opening import open_study
from stages.study.status import State, read_state, report_lines
from tests.support.study_factory import answer_page, make_world, prefers

EDITORS = ("editor-1", "editor-2", "editor-3")
NOT_IN_GIT = ("secrets", "data/blind", "data/generate")  # the custodian's, and what DVC brings
Tamper = Callable[[Path, Path], None]  # the study's folder, its ballots' folder


def git(*arguments: str, cwd: Path | None = None) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.autocrlf=false"]
    subprocess.run(["git", *who, *arguments], cwd=cwd, check=True, capture_output=True)


def commit(*_: object) -> None:
    git("add", "-A")
    git("commit", "-qm", "next")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A study with all ballots in, every step committed: sealed, and after its reveal."""
    from stages.cli.study.reveal import reveal

    with pytest.MonkeyPatch.context() as patch:
        sealed = tmp_path_factory.mktemp("sealed")
        study_id = make_world(
            sealed, patch, n_prompts=10, study={"min_repeat_distance": 3, "secret_path": "secrets"}
        )
        Path(".gitignore").write_text("".join(f"/{name}/\n" for name in NOT_IN_GIT))
        git("init", "-q")
        open_study(continues="")
        commit()
        for editor in EDITORS:
            sent = answer_page(study_folder(study_id) / page_file(editor), prefers("POLICYTEXT"))
            Path("secrets/sent.json").write_bytes(sent)
            collect_ballot(Path("secrets/sent.json"), receipt=sha256_hex(sent)[:20])
            commit()
        revealed = tmp_path_factory.mktemp("revealed")
        shutil.copytree(sealed, revealed, dirs_exist_ok=True)
        patch.chdir(revealed)
        reveal(despite_missing="")
        commit()
        yield {"sealed": sealed, "revealed": revealed, "id": Path(study_id)}


def state_of(worlds: dict[str, Path]) -> State:
    return read_state(load_params(), str(worlds["id"]))


def flip(path: Path) -> None:
    """Every answer the other way round, with a checksum that fits."""
    body = json.loads(path.read_bytes())
    for answer in body["answers"]:
        answer["choice"] = {"left": "right", "right": "left", "tie": "tie"}[answer["choice"]]
    body["content_sha256"] = content_sha256(body)
    path.write_bytes((canonical_json(body) + "\n").encode())


def set_receipts(ballots: Path, *, without: str = "") -> None:
    """Receipts that fit whatever ballots are there."""
    hashes = {path.name: sha256_hex(path.read_bytes()) for path in sorted(ballots.glob("editor-*.json"))}
    kept = {name: value for name, value in hashes.items() if name != without}
    (ballots / "receipts.json").write_text(json.dumps(kept))


def set_reveal(study: Path, ballots: Path) -> None:
    """A record of the reveal that fits whatever ballots are there."""
    body = json.loads((study / "reveal.json").read_text())
    body["ballots_sha256"] = {path.name: sha256_hex(path.read_bytes()) for path in ballots.glob("editor-*")}
    (study / "reveal.json").write_text(json.dumps(body))


def steps(*one_after_another: Tamper) -> Tamper:
    def tamper(study: Path, ballots: Path) -> None:
        for step in one_after_another:
            step(study, ballots)

    return tamper


def edit(name: str, old: str, new: str) -> Tamper:
    def tamper(study: Path, ballots: Path) -> None:
        path = ballots / name if name.startswith("editor") or name == "receipts.json" else study / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return tamper


def flip_ballot(_: Path, ballots: Path) -> None:
    flip(ballots / "editor-1.json")


def fit_receipts(_: Path, ballots: Path) -> None:
    set_receipts(ballots)


def drop_ballot(_: Path, ballots: Path) -> None:
    (ballots / "editor-2.json").unlink()


def draw_again(study: Path, ballots: Path) -> None:
    """The whole study opened a second time, under another secret."""
    shutil.rmtree(study)
    Path("secrets", study.name).unlink()
    open_study(continues="")


def swap_ballots(_: Path, ballots: Path) -> None:
    one, two = ballots / "editor-1.json", ballots / "editor-2.json"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


# What is wrong, by the first file that must be named; each is tried on the sealed and on the revealed study.
BOTH: dict[str, tuple[Tamper, str]] = {
    "a ballot's answers flipped": (flip_ballot, "editor-1.json: differs from the version in git"),
    "flipped, with a receipt that fits": (
        steps(flip_ballot, fit_receipts),
        "receipts.json: the receipt of editor-1.json, committed to git in",
    ),
    "flipped and committed": (steps(flip_ballot, commit), "editor-1.json: was changed in git by commit"),
    "flipped, receipt and all, and committed": (
        steps(flip_ballot, fit_receipts, commit),
        "editor-1.json: was changed in git by commit",
    ),
    "flipped and committed, then more commits": (
        steps(flip_ballot, fit_receipts, commit, edit("../../params.yaml", "seed:", "seed: "), commit),
        "editor-1.json: was changed in git by commit",
    ),
    "one answer edited": (edit("editor-3.json", '"left"', '"tie"'), "was changed after its export"),
    "a ballot gone": (drop_ballot, "editor-2.json: was committed to git in"),
    "a ballot gone, and its receipt": (
        steps(drop_ballot, fit_receipts),
        "receipts.json: the receipt of editor-2.json",
    ),
    "a ballot removed by a commit": (
        steps(drop_ballot, fit_receipts, commit),
        "editor-2.json: was committed to git in",
    ),
    "two ballots swapped": (swap_ballots, "editor-1.json: differs from the version in git"),
    "a receipt taken away": (
        lambda _, ballots: set_receipts(ballots, without="editor-3.json"),
        "receipts.json: the receipt of editor-3.json",
    ),
    "a receipt changed by a commit": (
        steps(edit("receipts.json", '"editor-1.json": "', '"editor-1.json": "0'), commit),
        "receipts.json: the receipt of editor-1.json",
    ),
    "all receipts gone": (
        lambda _, ballots: (ballots / "receipts.json").unlink(),
        "receipts.json: the receipt of editor-1.json",
    ),
    "a stray file": (
        lambda _, ballots: (ballots / "more.txt").write_text("Editor 4 says left."),  # type: ignore[arg-type, return-value]
        "more.txt: is cut off or no JSON",
    ),
    "a ballot twice": (
        lambda _, ballots: shutil.copy(ballots / "editor-1.json", ballots / "editor-1b.json"),  # type: ignore[arg-type, return-value]
        "editor-1 has handed in",
    ),
    "a page changed": (edit("ballot-editor-2.html", "<html", "<html "), "ballot-editor-2.html: differs"),
    "a page changed by a commit": (
        steps(edit("ballot-editor-2.html", "<html", "<html "), commit),
        "ballot-editor-2.html: was changed in git by commit",
    ),
    "a page gone": (lambda study, _: (study / "ballot-editor-1.html").unlink(), "editor-1.html: is missing"),
    "the item table changed": (edit("items.jsonl", '"shown"', '"void"'), "items.jsonl: differs"),
    "the pre-registration changed": (edit("prereg.yaml", "min_share: 0.6", "min_share: 0.5"), "prereg.yaml:"),
    "the pre-registration changed by a commit": (
        steps(edit("prereg.yaml", "min_share: 0.6", "min_share: 0.5"), commit),
        "prereg.yaml: was changed in git by commit",
    ),
    "the commitment changed": (edit("commitment.json", '"synthetic":false', '"synthetic":true'), "own hash"),
    "the commitment gone": (
        lambda study, _: (study / "commitment.json").unlink(),
        "commitment.json: is missing",
    ),
    "opened again": (draw_again, "commitment.json: differs from the version in git"),
    "opened again and committed": (
        steps(draw_again, commit),
        "commitment.json: was changed in git by commit",
    ),
    "the policy's texts changed": (
        lambda *_: paths.generations("policy").write_text("other"),  # type: ignore[arg-type, return-value]
        "data/generate/policy.jsonl: differs",
    ),
}
SEALED: dict[str, tuple[Tamper, str]] = {
    "another secret": (
        lambda study, _: Path("secrets", study.name).write_text("ab" * 32),  # type: ignore[arg-type, return-value]
        "is not the one the study was sealed with",
    ),
    "half of the secret": (
        lambda study, _: Path("secrets", study.name).write_text("ab" * 16),  # type: ignore[arg-type, return-value]
        "is not the secret that was written",
    ),
    "a key of one's own": (
        lambda study, _: (study / "key.json").write_text("{}"),  # type: ignore[arg-type, return-value]
        "key.json: is not the key that was sealed",
    ),
}
REVEALED: dict[str, tuple[Tamper, str]] = {
    "sides swapped in the key": (
        edit("key.json", '"left":"policy"', '"left":"base"'),
        "key.json: is not the key",
    ),
    "the key taken back": (
        lambda study, _: (study / "key.json").unlink(),
        "key.json: was committed to git in",
    ),
    "the reveal taken back": (
        steps(
            lambda study, _: (study / "key.json").unlink(),
            lambda study, _: (study / "reveal.json").unlink(),
            commit,
        ),
        "reveal.json: was committed to git in",
    ),
    "the record of the reveal gone": (
        lambda study, _: (study / "reveal.json").unlink(),
        "reveal.json: is missing beside the revealed key",
    ),
    "another reason for the reveal": (
        edit("reveal.json", '"reason": ""', '"reason": "x"'),
        "reveal.json: differs from the version in git",
    ),
    "a ballot flipped, receipt and record made to fit": (
        steps(flip_ballot, fit_receipts, set_reveal),
        "reveal.json: differs from the version in git",
    ),
    "the same, committed": (
        steps(flip_ballot, fit_receipts, set_reveal, commit),
        "reveal.json: was changed in git by commit",
    ),
    "a ballot that came later": (
        steps(
            drop_ballot, fit_receipts, set_reveal, lambda study, ballots: git("checkout", "--", str(ballots))
        ),
        "ballot editor-2.json: came after the key was revealed",
    ),
}
CASES = [
    *(("sealed", name, *case) for name, case in {**BOTH, **SEALED}.items()),
    *(("revealed", name, *case) for name, case in {**BOTH, **REVEALED}.items()),
]


@pytest.mark.parametrize(
    ("when", "what", "tamper", "message"), CASES, ids=[f"{when}: {what}" for when, what, *_ in CASES]
)
def test_tampering_is_named(
    worlds: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    what: str,
    tamper: Tamper,
    message: str,
) -> None:
    shutil.copytree(worlds[when], tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    tamper(study_folder(str(worlds["id"])), ballots_folder(str(worlds["id"])))
    problems = state_of(worlds).problems
    assert any(message in problem for problem in problems), problems


# ---- honest surroundings


def clone(worlds: dict[str, Path], when: str, target: Path, *options: str) -> Path:
    """A clone, and beside it what DVC and the custodian would bring."""
    subprocess.run(
        ["git", "clone", "-q", *options, worlds[when].as_uri(), str(target)], check=True, capture_output=True
    )
    bring(worlds[when], target)
    return target


def bring(source: Path, target: Path) -> None:
    for name in NOT_IN_GIT:
        shutil.copytree(source / name, target / name, dirs_exist_ok=True)


def with_line_ends_converted(worlds: dict[str, Path], when: str, tmp_path: Path) -> Path:
    return clone(worlds, when, tmp_path / "here", "-c", "core.autocrlf=true")


def in_a_subfolder(worlds: dict[str, Path], when: str, tmp_path: Path) -> Path:
    """The project moved into a larger repository, in which another team has not committed."""
    here = clone(worlds, when, tmp_path / "here")
    (here / "team/project").mkdir(parents=True)
    for name in ("study", "data/ballots", "params.yaml", ".gitignore"):
        (here / "team/project" / name).parent.mkdir(exist_ok=True)
        git("mv", name, f"team/project/{name}", cwd=here)
    git("commit", "-qm", "one repository for all", cwd=here)
    (here / "team/other.txt").write_text("another team's work")
    bring(worlds[when], here / "team/project")
    return here / "team/project"


def in_a_worktree(worlds: dict[str, Path], when: str, tmp_path: Path) -> Path:
    git(
        "worktree",
        "add",
        "-q",
        "--detach",
        str(tmp_path / "tree"),
        cwd=clone(worlds, when, tmp_path / "here"),
    )
    bring(worlds[when], tmp_path / "tree")
    return tmp_path / "tree"


def behind_a_link(worlds: dict[str, Path], when: str, tmp_path: Path) -> Path:
    (tmp_path / "link").symlink_to(clone(worlds, when, tmp_path / "here"))
    return tmp_path / "link"


def detached(worlds: dict[str, Path], when: str, tmp_path: Path) -> Path:
    here = clone(worlds, when, tmp_path / "here")
    git("checkout", "-q", "--detach", cwd=here)
    return here


def renamed(worlds: dict[str, Path], when: str, tmp_path: Path) -> Path:
    here = clone(worlds, when, tmp_path / "here")
    folder = here / ballots_folder(str(worlds["id"]))
    git("mv", str(folder / "editor-1.json"), str(folder / "anna.json"), cwd=here)
    git("commit", "-qm", "the editor's name", cwd=here)
    return here


def with_other_permissions(worlds: dict[str, Path], when: str, tmp_path: Path) -> Path:
    old = os.umask(0o077)
    here = clone(worlds, when, tmp_path / "here")
    os.umask(old)
    for path in (here / "study").rglob("*"):
        path.chmod(0o700)
    return here


def put_back(worlds: dict[str, Path], when: str, tmp_path: Path) -> Path:
    """A ballot was damaged, committed by mistake, and restored by a further commit."""
    here = clone(worlds, when, tmp_path / "here")
    path = here / ballots_folder(str(worlds["id"])) / "editor-1.json"
    sound = path.read_bytes()
    for data in (sound[:50], sound):
        path.write_bytes(data)
        git("commit", "-qam", "oh", cwd=here)
    return here


def without_git(worlds: dict[str, Path], when: str, tmp_path: Path) -> Path:
    here = clone(worlds, when, tmp_path / "here")
    shutil.rmtree(here / ".git")
    return here


SURROUNDINGS = {
    "a plain clone": lambda worlds, when, tmp_path: clone(worlds, when, tmp_path / "here"),
    "line ends converted": with_line_ends_converted,
    "a subfolder of a larger repository": in_a_subfolder,
    "a worktree": in_a_worktree,
    "a shallow clone": lambda worlds, when, tmp_path: clone(worlds, when, tmp_path / "here", "--depth=1"),
    "a renamed ballot": renamed,
    "other permissions": with_other_permissions,
    "behind a link": behind_a_link,
    "a detached head": detached,
    "damage that was put back": put_back,
    "an archive without git": without_git,
}
PLACES = {
    "Kiritimati, in Turkish": {"TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8"},
    "nowhere": {"TZ": "", "LC_ALL": "C"},
}
HONEST = [*((what, {}) for what in SURROUNDINGS), *(("a plain clone", place) for place in PLACES.values())]


@pytest.mark.parametrize("when", ["sealed", "revealed"])
@pytest.mark.parametrize(("what", "place"), HONEST, ids=[*SURROUNDINGS, *PLACES])
def test_honest_surroundings_are_no_tampering(
    worlds: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    when: str,
    place: dict[str, str],
) -> None:
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(SURROUNDINGS[what](worlds, when, tmp_path))
    state = state_of(worlds)
    assert state.problems == []
    report = "\n".join(report_lines(state))
    assert ("winrate: 1.0000" in report or "winrate: 0." in report) == (when == "revealed")
    assert ("only the line ends differ" in report) == (what == "line ends converted")
    assert ("shallow" in report) == (what == "a shallow clone")
    assert ("not compared with git" in report) == (what == "an archive without git")
    assert "draws the sealed key" in report or when == "revealed"


def test_attributes_keep_git_from_converting_line_ends(worlds: dict[str, Path], tmp_path: Path) -> None:
    """The project ships them; without them a clone with core.autocrlf has CRLF, as the case above shows."""
    here = clone(worlds, "sealed", tmp_path / "here")
    shutil.copy(Path(__file__).parent.parent.parent / ".gitattributes", here)
    git("add", ".gitattributes", cwd=here)
    git("commit", "-qm", "attributes", cwd=here)
    git("clone", "-q", "-c", "core.autocrlf=true", str(here), str(tmp_path / "there"))
    commitment = study_folder(str(worlds["id"])) / "commitment.json"
    assert (tmp_path / "there" / commitment).read_bytes() == (here / commitment).read_bytes()


def test_there_are_forty_tamperings_and_ten_surroundings() -> None:
    assert len(CASES) >= 40
    assert len(HONEST) >= 10
