"""Where a study's files lie, and how all of them are read at once. Used by `winrate` and the CLI.

study/<study_id>/            commitment.json, prereg.yaml, items.jsonl, ballot-<editor>.html;
                             after the reveal key.json and reveal.json
data/ballots/<study_id>/     one JSON file per editor, receipts.json
<secret_path>/<study_id>     the custodian's secret, mode 0600, in neither git nor DVC
"""

from pathlib import Path

from stages.errors import StudyError
from stages.files.io import read_json
from stages.files.json_text import parse_json
from stages.run import paths
from stages.study.check import StudyFiles
from stages.study.prereg import parse_prereg
from stages.study.seal import REHEARSAL, STUDY_ID, study_id_of

COMMITMENT = "commitment.json"
PREREG = "prereg.yaml"
TABLE = "items.jsonl"
KEY = "key.json"
REVEAL = "reveal.json"
RECEIPTS = "receipts.json"


def page_file(editor: str) -> str:
    """The name of an editor's page inside the study's folder."""
    return f"ballot-{editor}.html"


def study_folder(study_id: str) -> Path:
    """Where the study's public files are."""
    return paths.STUDY / study_id


def ballots_folder(study_id: str) -> Path:
    """Where the study's ballots are."""
    return paths.BALLOTS / study_id


def refuse_no_id(study_id: str) -> None:
    """StudyError for what names no study: it would be looked up as a path."""
    if not STUDY_ID.fullmatch(study_id):
        raise StudyError(
            f"{study_id!r} is no study's id: 12 hex digits, `{REHEARSAL}` before a rehearsal's; "
            f"the folders in {paths.STUDY}/ are named by them"
        )


def current_study_id() -> str:
    """The id of the study of the current items; StudyError where there are no items yet."""
    items = read_bytes(paths.BLIND_ITEMS)
    if items is None:
        raise StudyError(f"{paths.BLIND_ITEMS}: no such file; run `bluepencil repro blind` first")
    return study_id_of(items)


def read_study(study_id: str) -> StudyFiles:
    """Every file of the study as bytes; a file that is not there is None, which only a check may judge."""
    files = _read_one(study_id)
    first = _continued(files.commitment)
    return files._replace(first_look=_read_one(first)) if first and study_folder(first).is_dir() else files


def _continued(commitment: bytes | None) -> str:
    """The id of the study that this commitment continues, "" where it continues none or is unreadable."""
    try:
        value = parse_json((commitment or b"{}").decode())
    except ValueError:
        return ""
    first = value.get("continues", "") if isinstance(value, dict) else ""
    return first if isinstance(first, str) and STUDY_ID.fullmatch(first) else ""


def _read_one(study_id: str) -> StudyFiles:
    folder, crlf = study_folder(study_id), list[str]()

    def read(path: Path) -> bytes | None:
        """The bytes as they were sealed: git may have written CRLF; no such file has a CR itself."""
        data = read_bytes(path)
        if data is not None and b"\r\n" in data:
            crlf.append(path.as_posix())
            data = data.replace(b"\r\n", b"\n")
        return data

    prereg = read(folder / PREREG)
    models = {model: read_bytes(paths.generations(model)) for model in ("base", "policy")}
    is_current = study_id.removeprefix(REHEARSAL) == _items_id()
    return StudyFiles(
        study_id=study_id,
        commitment=read(folder / COMMITMENT),
        prereg=prereg,
        table=read(folder / TABLE),
        pages={path.name: read(path) or b"" for path in sorted(folder.glob("*.html"))},
        key=read(folder / KEY),
        reveal=read(folder / REVEAL),
        ballots={path.name: read(path) or b"" for path in ballot_files(study_id)},
        receipts=read_receipts(study_id),
        items=read_bytes(paths.BLIND_ITEMS) if is_current else None,
        generations={model: data for model, data in models.items() if data is not None} if is_current else {},
        parsed_prereg=parse_prereg(prereg),
        crlf=tuple(crlf),
    )


def read_study_if_open(study_id: str) -> StudyFiles | None:
    """`read_study`, or None where no study of this id was opened."""
    return read_study(study_id) if study_folder(study_id).is_dir() else None


def ballot_files(study_id: str) -> list[Path]:
    """Whatever lies in the ballots folder, but receipts and hidden files: a stray file must be noticed."""
    folder = ballots_folder(study_id)
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.name != RECEIPTS and not path.name.startswith(".")
    )


def read_receipts(study_id: str) -> dict[str, str]:
    """File name -> SHA-256 that its editor reported."""
    path = ballots_folder(study_id) / RECEIPTS
    return {name: str(value) for name, value in read_json(path).items()} if path.exists() else {}


def read_bytes(path: Path) -> bytes | None:
    """A file's bytes, or None where there is none: a folder or a pipe is none."""
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _items_id() -> str | None:
    items = read_bytes(paths.BLIND_ITEMS)
    return study_id_of(items) if items is not None else None
