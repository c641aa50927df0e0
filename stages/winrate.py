"""Stage `winrate`. Reads the items, `study/<id>/` and `data/ballots/<id>/`; writes metrics and plots.

Decides the win rate of the policy over the base, or `pending` while ballots or key are missing,
or `invalid` where a file does not fit the seal. Uses only folders with the current items' id.
"""

from stages.errors import InputError
from stages.files.io import read_jsonl, replacing_folder, write_csv, write_json
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say
from stages.run.shell import run_stage
from stages.study.folder import current_study_id, read_study_if_open
from stages.study.items import BlindItem
from stages.study.seal import REHEARSAL
from stages.study.summary import Tables, summarise


def main() -> None:
    """Summarise the current study and write it; pending and invalid are results, not errors."""
    params = load_params().study
    items = read_items()
    study_id = current_study_id()

    summary = summarise(
        study_id,
        items,
        real=read_study_if_open(study_id),
        rehearsal=read_study_if_open(REHEARSAL + study_id),
        n_editors=len(params.editors),
    )

    write_plots(summary.tables)
    write_json(paths.WINRATE_METRICS, {summary.section: summary.metrics})
    say(f"{summary.section}: {summary.metrics['status']}. {summary.metrics['reason']}")


def read_items() -> list[BlindItem]:
    """What can be judged; InputError where there is nothing."""
    items = read_jsonl(paths.BLIND_ITEMS, BlindItem)
    if not items:
        raise InputError(f"{paths.BLIND_ITEMS}: holds no prompt; run `dvc repro -f blind`")
    return items


def write_plots(tables: Tables) -> None:
    """One CSV per plot; only their headers until the study is complete."""
    with replacing_folder(paths.WINRATE_PLOTS) as folder:
        write_csv(
            folder / "editors.csv", ["editor", "value", "low", "high", "n", "rehearsal"], tables.editors
        )
        header = ["prompt_id", "relative_length", "score", "rehearsal"]
        write_csv(folder / "prompts.csv", header, tables.prompts)
        write_csv(folder / "sides.csv", ["editor", "n_left", "n_tie", "n_right", "rehearsal"], tables.sides)


if __name__ == "__main__":
    run_stage(main)
