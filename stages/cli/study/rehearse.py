"""`bluepencil study rehearse`: the whole study with simulated editors, through the real files.

It has its own id, folders and secret, is synthetic in every file, and can be cleared without a trace.
"""

import shutil
import sys
from pathlib import Path

from stages.cli.pipeline import call_dvc
from stages.cli.study.reveal import reveal
from stages.errors import StudyError
from stages.files.hashing import digest, hex_digest, sha256_hex
from stages.files.io import read_jsonl, sha256_file, write_text
from stages.run import paths
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.study.ballots import write_ballot
from stages.study.folder import ballots_folder, current_study_id, read_bytes, study_folder
from stages.study.items import BlindItem
from stages.study.opening import draw_key, establish, name_anchors, read_anchors, refuse_void
from stages.study.prereg import prereg_from
from stages.study.seal import REHEARSAL, Opening, key_bytes, page_id
from stages.study.secret import refuse_secret_in_git, secret_file
from stages.study.simulation import Habits, judge_page
from stages.study.status import read_state, result_lines

MEASURE = ["repro", "--single-item", "winrate", "gate", "report"]
LEFT = "left-by-the-rehearsal"
RESULTS = (
    Path("dvc.lock"),
    paths.WINRATE_METRICS,
    paths.WINRATE_PLOTS,
    paths.GATE_METRICS,
    paths.FOUNDER_PAGE,
    paths.MODEL_CARD,
)  # all that `measure` writes


def rehearse_study(habits: Habits, *, seed: int) -> None:
    """Clear an older rehearsal, open, judge, reveal, run the stages that read it, and print its win rate."""
    params = load_params()
    study_id = REHEARSAL + current_study_id()
    refuse_secret_in_git(Path(params.study.secret_path))
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    refuse_void(items, max_void_prompts=params.study.max_void_prompts)
    if study_folder(study_id).exists():
        undo(params, study_id)
    anchors = read_anchors(params)
    prereg = name_anchors(prereg_from(params), anchors)
    drawn = digest("rehearsal", study_id, str(seed))
    project = params.project
    opening = Opening(
        study_id, items, prereg, drawn, synthetic=True, anchors=anchors,
        texts=project.texts, language=project.language,
        minutes=params.study.plan.minutes_per_screen,
    )  # fmt: skip
    establish(params, opening)
    hand_in(opening, habits, seed=seed)
    reveal(despite_missing="", study_id=study_id)
    copy_results(Path(), kept_results(params, study_id))
    say(f"rehearsed {study_folder(study_id)}; `bluepencil study rehearse --clear` removes it")
    measure()
    write_text(kept_results(params, study_id) / LEFT, hash_results())
    state = read_state(params, study_id)
    print(f"study {study_id}, with simulated editors:")
    print("\n".join(result_lines(state.files, state.study)))


def clear_rehearsal() -> None:
    """Remove the rehearsal of the current items, and put back what the stages had written before it."""
    params = load_params()
    study_id = REHEARSAL + current_study_id()
    if not study_folder(study_id).exists():
        raise StudyError(f"{study_folder(study_id)}: there is no rehearsal to clear")
    if not undo(params, study_id):
        measure()  # results have changed since the rehearsal, so the older ones are no longer right
    say(f"cleared {study_id}")


def undo(params: Params, study_id: str) -> bool:
    """Delete all files of a rehearsal; were results put back as they were before it?"""
    if not study_id.startswith(REHEARSAL):
        raise AssertionError("only a rehearsal is ever removed")
    kept, secret = kept_results(params, study_id), secret_file(params, study_id)
    is_last = read_bytes(kept / LEFT) == hash_results().encode()
    if is_last:
        copy_results(kept, Path())
    for folder in (study_folder(study_id), ballots_folder(study_id), kept):
        shutil.rmtree(folder, ignore_errors=True)
    secret.unlink(missing_ok=True)
    for folder in (secret.parent, Path(".bluepencil")):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return is_last


def kept_results(params: Params, study_id: str) -> Path:
    """Where results are kept for `--clear`: beside the rehearsal's secret, outside of git and DVC."""
    return Path(f"{secret_file(params, study_id)}.before")


def copy_results(source: Path, target: Path) -> None:
    """Make the results below `target` what they are below `source`; what is absent there goes."""
    for path in RESULTS:
        old, new = target / path, source / path
        if old.is_dir():
            shutil.rmtree(old)
        old.unlink(missing_ok=True)
        if new.exists():
            old.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if new.is_dir() else shutil.copyfile)(new, old)


def hash_results() -> str:
    """One hash of all results as they are now."""
    files = [file for path in RESULTS for file in ([path] if path.is_file() else sorted(path.glob("*")))]
    return hex_digest(*(part for file in files for part in (file.as_posix(), sha256_file(file))))


def hand_in(opening: Opening, habits: Habits, *, seed: int) -> None:
    """One ballot per editor, in the bytes that a page exports, marked synthetic."""
    key = draw_key(opening)
    for editor, slots in key.pages.items():
        answers = judge_page(slots, habits, editor=editor, salt=f"{opening.study_id} {seed}")
        data = write_ballot(
            study_id=opening.study_id,
            page_id=page_id(opening.secret, editor),
            editor=editor,
            key_sha256=sha256_hex(key_bytes(key)),
            synthetic=True,
            answers=answers,
        )
        (ballots_folder(opening.study_id) / f"{editor}.json").write_bytes(data)


def measure() -> None:
    """Run winrate, gate and report, and nothing before them, where there is a pipeline to run."""
    if Path("dvc.yaml").exists() and (code := call_dvc(MEASURE)):
        sys.exit(code)
