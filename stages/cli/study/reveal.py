"""`bluepencil study reveal`: check the seal, then write the key beside it."""

from stages.errors import StudyError
from stages.files.hashing import sha256_hex
from stages.files.io import read_jsonl, write_json, write_text
from stages.run import paths
from stages.run.params import Params, load_params
from stages.run.progress import say
from stages.study.check import Study, StudyFiles, check_study
from stages.study.folder import KEY, REVEAL, current_study_id, read_bytes, read_study, study_folder
from stages.study.items import BlindItem
from stages.study.lots import SECRET_BYTES
from stages.study.opening import secret_file
from stages.study.seal import Commitment, Key, Reveal, design_of, key_bytes, make_key


def reveal(*, despite_missing: str, study_id: str = "") -> None:
    """Write `key.json`; StudyError where a file does not fit, a ballot is missing or the secret is wrong.

    `study_id` is that of the current items unless it is given.
    """
    params = load_params()
    study_id = study_id or current_study_id()
    files = read_study(study_id)
    if not study_folder(study_id).exists():
        raise StudyError(f"{study_folder(study_id)}: no such study; run `bluepencil study open` first")
    study = check_study(files._replace(key=None, reveal=None))
    commitment = sound_commitment(study, study_id)
    if files.key is not None:
        raise StudyError(f"{study_folder(study_id) / KEY}: the key is revealed already")
    missing = sorted(set(commitment.pages) - set(study.ballots))
    refuse_missing(missing, despite_missing)

    key = derive_key(params, files, commitment)
    record_reveal(files, key, missing, despite_missing)
    say(f"revealed {study_folder(study_id) / KEY}")
    if not commitment.synthetic:
        say("next: git add study && git commit, then `bluepencil repro winrate`")


def sound_commitment(study: Study, study_id: str) -> Commitment:
    """The commitment of a study in which nothing was changed; StudyError lists what was."""
    if study.problems or study.commitment is None:
        lines = "\n  ".join(study.problems)
        raise StudyError(
            f"{study_folder(study_id)}: files do not fit the seal, so nothing is revealed\n  {lines}"
        )
    return study.commitment


def refuse_missing(missing: list[str], reason: str) -> None:
    """Missing ballots stop the reveal unless a reason is given; with the key out, nobody judges blind."""
    if missing and not reason.strip():
        raise StudyError(
            f"ballots are missing: {', '.join(missing)}; after the reveal nobody judges blind\n"
            '  wait for them, or say why not: --despite-missing "..."'
        )


def derive_key(params: Params, files: StudyFiles, commitment: Commitment) -> Key:
    """Draw the key again from the secret; StudyError where it is not the one that was sealed."""
    path = secret_file(params, files.study_id)
    data = read_bytes(path)
    if data is None:
        raise StudyError(
            f"{path}: the secret is not there; restore it from the custodian's copy "
            "(study.secret_path names the folder)\n"
            "  without it nobody can tell the sides, and a new study has to be opened"
        )
    try:
        secret = bytes.fromhex(data.decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES or files.parsed_prereg is None:
        raise StudyError(
            f"{path}: is not the secret that was written ({SECRET_BYTES} bytes in hex); restore the copy"
        )
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    key = make_key(secret, items, design_of(files.parsed_prereg), study_id=files.study_id)
    if sha256_hex(key_bytes(key)) != commitment.key_sha256:
        raise StudyError(
            f"{path}: this secret is not the one the study was sealed with; restore the right copy"
        )
    return key


def record_reveal(files: StudyFiles, key: Key, missing: list[str], reason: str) -> None:
    """Write what was there first, then the key: with the key there, the record is, too."""
    folder = study_folder(files.study_id)
    record = Reveal(
        study_id=files.study_id,
        ballots_sha256={name: sha256_hex(data) for name, data in files.ballots.items()},
        missing_editors=missing,
        reason=reason.strip(),
    )
    write_json(folder / REVEAL, record)
    write_text(folder / KEY, key_bytes(key).decode())
