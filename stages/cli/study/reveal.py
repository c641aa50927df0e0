"""`bluepencil study reveal`: check the seal, then write the key beside it."""

from stages.errors import StudyError
from stages.files.io import locked_folder
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.study.folder import KEY, current_study_id, study_folder
from stages.study.secret import derive_key, record_reveal, refuse_missing, secret_file
from stages.study.status import read_state


def reveal(*, despite_missing: str, study_id: str = "") -> None:
    """Write `key.json`; StudyError where a file does not fit, a ballot is missing or the secret is wrong.

    `study_id` is that of the current items unless it is given.
    """
    study_id = study_id or current_study_id()
    with locked_folder(study_folder(study_id)):  # no ballot comes in between the check and the key
        is_synthetic = _reveal(load_params(), study_id, despite_missing)
    if not is_synthetic:
        say(
            f"next: git add study && git commit, then `bluepencil repro winrate`; check it any time with "
            f"`bluepencil study verify {study_id}`"
        )


def _reveal(params: Params, study_id: str, despite_missing: str) -> bool:
    """Write the key; returns if the study is a rehearsal."""
    state = read_state(params, study_id)
    commitment = state.study.commitment
    if state.problems or commitment is None:
        lines = "\n  ".join(state.problems)
        raise StudyError(f"{study_folder(study_id)}: files do not fit, so nothing is revealed\n  {lines}")
    if state.files.key is not None:
        raise StudyError(f"{study_folder(study_id) / KEY}: the key is revealed already")
    refuse_missing(state.missing, despite_missing)

    key = derive_key(secret_file(params, study_id), state.files, commitment, state.study.table)
    say(f"revealed {record_reveal(state.files, key, state.missing, despite_missing)}")
    return commitment.synthetic
