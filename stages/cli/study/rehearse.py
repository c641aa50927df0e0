"""`bluepencil study rehearse`: the whole study with simulated editors, through the real files.

It has its own id, folders and secret, is synthetic in every file, and can be cleared without a trace.
"""

import shutil
from pathlib import Path

from stages.cli.pipeline import run_dvc
from stages.cli.study.reveal import reveal
from stages.errors import StudyError
from stages.files.hashing import digest, sha256_hex
from stages.files.io import read_jsonl
from stages.run import paths
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.study.ballots import write_ballot
from stages.study.folder import ballots_folder, current_study_id, study_folder
from stages.study.items import BlindItem
from stages.study.opening import draw_key, establish, refuse_void
from stages.study.prereg import prereg_from
from stages.study.seal import REHEARSAL, Opening, key_bytes, page_id
from stages.study.secret import refuse_secret_in_git, secret_file
from stages.study.simulation import Habits, judge_page

MEASURE = ["repro", "--single-item", "winrate", "gate", "report"]


def rehearse_study(habits: Habits, *, seed: int) -> None:
    """Clear an older rehearsal, open, judge, reveal, and run the stages that read it."""
    params = load_params()
    study_id = REHEARSAL + current_study_id()
    refuse_secret_in_git(Path(params.study.secret_path))
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    refuse_void(items, max_void_prompts=params.study.max_void_prompts)
    remove_files(params, study_id)
    opening = Opening(
        study_id, items, prereg_from(params), digest("rehearsal", study_id, str(seed)), synthetic=True
    )
    establish(params, opening)
    hand_in(opening, habits, seed=seed)
    reveal(despite_missing="", study_id=study_id)
    say(f"rehearsed {study_folder(study_id)}; `bluepencil study rehearse --clear` removes it")
    measure()


def clear_rehearsal() -> None:
    """Remove the rehearsal of the current items and run the stages that read it again."""
    params = load_params()
    study_id = REHEARSAL + current_study_id()
    if not remove_files(params, study_id):
        raise StudyError(f"{study_folder(study_id)}: there is no rehearsal to clear")
    say(f"cleared {study_id}")
    measure()


def remove_files(params: Params, study_id: str) -> bool:
    """Delete folders and secret of a rehearsal; was there anything?"""
    if not study_id.startswith(REHEARSAL):
        raise AssertionError("only a rehearsal is ever removed")
    there = [path for path in (study_folder(study_id), ballots_folder(study_id)) if path.exists()]
    for path in there:
        shutil.rmtree(path)
    secret = secret_file(params, study_id)
    secret.unlink(missing_ok=True)
    if secret.parent.is_dir() and not any(secret.parent.iterdir()):
        secret.parent.rmdir()
    return bool(there)


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
    if Path("dvc.yaml").exists():
        run_dvc(MEASURE)
