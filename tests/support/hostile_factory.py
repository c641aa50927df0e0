"""A repository after a whole cheap run, and the ways in which any of its files can be damaged."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import accuracy, capability, gate, probe_summary, report, winrate, writing
from stages.cli.study.plan import plan_study
from stages.cli.study.reveal import reveal
from stages.files.io import write_json, write_jsonl
from stages.files.pairs import SplitPair, split_sha256
from stages.logprobs.reference import ReferenceRow
from stages.logprobs.reference_table import write_reference
from stages.run import paths
from stages.study.opening import open_study
from tests.support.decision_factory import REVIEWED, ROOT
from tests.support.margin_factory import make_row
from tests.support.mmlu_factory import make_answer
from tests.support.pair_factory import make_pair
from tests.support.probe_factory import make_rows
from tests.support.study_factory import hand_in, make_world, prefers

EDITORS = ("editor-1", "editor-2", "editor-3")
N_HOLDOUT, N_TRAIN = 8, 16
SHAPE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 320,
}  # fmt: skip


def build_world(folder: Path) -> str:
    """Everything that the stages without a model read and write, sound; returns the study's id."""
    with pytest.MonkeyPatch.context() as patch:
        study_id = make_world(folder, patch, n_prompts=12, identical=(3,), void=(5,))
        params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
        params["size"] = {
            "n_train": N_TRAIN,
            "n_selection_scored": 2,
            "n_holdout_scored": N_HOLDOUT,
            "n_questions": 8,
        }
        params["split"] |= {"n_holdout": N_HOLDOUT, "n_selection": 2}
        params["study"] |= {
            "secret_path": "secrets",
            "plan": params["study"]["plan"] | {"n_simulations": 100},
        }
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        write_data()
        write_measured()
        write_extras()
        open_study(continues="")
        hand_in(study_id, dict.fromkeys(EDITORS, prefers("POLICYTEXT")))
        write_json(paths.BALLOTS / study_id / "receipts.json", {})
        reveal(despite_missing="")
        for stage in (accuracy, capability, winrate, probe_summary, writing, gate, report):
            stage.main()
        shutil.copyfile(paths.BALLOTS / study_id / "editor-1.json", "sent.json")
        plan_study()
    return study_id


def write_data() -> None:
    """What `validate`, `split` and `base_model` would have written."""
    pairs = [make_pair(number) for number in range(N_TRAIN + N_HOLDOUT + 2)]
    write_jsonl(paths.VALIDATED_PAIRS, pairs)
    prompts = [{"prompt_id": f"p{n:03d}", "prompt": f"Prompt {n}.", "synthetic": False} for n in range(12)]
    write_jsonl(paths.VALIDATED_PROMPTS, prompts)
    write_json(
        paths.VALIDATE_METRICS,
        {
            "validate": {
                "ok": True,
                "broken": "",
                "is_synthetic": False,
                "n_rows": len(pairs),
                "audit": REVIEWED,
            }
        },
    )
    rows = [SplitPair(component_id=pair.pair_id, **pair.model_dump()) for pair in pairs]
    write_jsonl(paths.HOLDOUT_PAIRS, rows[:N_HOLDOUT])
    write_jsonl(paths.SELECTION_PAIRS, rows[N_HOLDOUT : N_HOLDOUT + 2])
    write_jsonl(paths.TRAIN_PAIRS, rows[N_HOLDOUT + 2 :])
    split = {
        "n_train": N_TRAIN,
        "n_selection": 2,
        "n_holdout": N_HOLDOUT,
        "n_overlaps": 0,
        "is_synthetic": False,
    }
    write_json(paths.SPLIT_METRICS, {"split": {**split, "split_sha256": split_sha256(rows[:N_HOLDOUT])}})
    manifest = {"source": "package", "name": "tiny", "revision": "1", "licence": "apache-2.0"}
    write_json(paths.BASE_MODEL / "manifest.json", {**manifest, "n_parameters": 10, "files": {"a": "0" * 64}})


def write_measured() -> None:
    """What the stages with a model would have written."""
    holdout = [json.loads(line) for line in paths.HOLDOUT_PAIRS.read_text(encoding="utf-8").splitlines()]
    selection = [json.loads(line) for line in paths.SELECTION_PAIRS.read_text(encoding="utf-8").splitlines()]
    sha256 = split_sha256([SplitPair(**row) for row in holdout])
    margins = [
        make_row(row["pair_id"], 0.5 if number % 3 else -0.2, part=part, split_sha256=sha256)
        for part, rows in (("holdout", holdout), ("selection", selection))
        for number, row in enumerate(rows)
    ]
    write_jsonl(paths.MARGINS, margins)
    for model in ("base", "policy"):
        answers = [make_answer(f"q{n}", correct=n % 3 > 0 or model == "base") for n in range(8)]
        write_jsonl(paths.mmlu_answers(model), answers)
        write_jsonl(paths.probe_rows(model), make_rows())


MD5 = "0" * 32
LOCKED = {
    "cmd": "x",
    "outs": [
        {"path": path, "md5": MD5}
        for path in ("data/split/train.jsonl", "data/validate/prompts.jsonl", "data/split/holdout.jsonl")
    ],
}
JUDGEMENTS = [(f"p{prompt}", f"e{editor}") for prompt in range(6) for editor in range(2)]


def _tasks(**data: str) -> str:
    result = [{"type": "pairwise", "value": {"selected": "left"}}]
    marks = [{"completed_by": editor, "result": result} for editor in (1, 2)]
    tasks = [{"id": n, "data": {"prompt_id": f"p{n}", **data}, "annotations": marks} for n in range(6)]
    return json.dumps(tasks)


# Files that people or other tools bring.
EXTRAS = {
    "data/raw/mmlu/test/anatomy_test.csv": 'Which?,red,"a, b",c,d,A\nWhat?,1,2,3,4,B\n',
    "data/raw/mmlu/dev/anatomy_dev.csv": 'Whose?,red,"a, b",c,d,A\n',
    "judged.csv": "prompt_id,editor,left,choice\n" + "".join(f"{p},{e},policy,left\n" for p, e in JUDGEMENTS),
    "label_studio.json": _tasks(left="policy"),
    "sideless.json": _tasks(),
    "sides.csv": "prompt_id,left\n" + "".join(f"p{n},policy\n" for n in range(6)),
    "dvc.lock": yaml.safe_dump({"schema": "2.0", "stages": {"made_up": LOCKED}}),
    "accelerate.yaml": "distributed_type: MULTI_GPU\nnum_processes: 2\nuse_cpu: true\n",
    "config.json": json.dumps(SHAPE | {"model_type": "llama"}),
}  # fmt: skip


def write_extras() -> None:
    """EXTRAS, the sizes and a reference table."""
    shutil.copytree(ROOT / "sizes", "sizes")
    for name, text in EXTRAS.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    write_reference(paths.REFERENCE_LOGPS, [ReferenceRow("p1", [1, 2], [3, 4], [5], [-0.1, -0.2], [-0.3])])


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every plain file below `folder`, so that one can see what a command wrote."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def replace_with(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


def change(edit: Callable[[bytes], bytes]) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(edit(path.read_bytes()))


def into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def into_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def into_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


# What can happen to any file at all, whatever is in it.
DAMAGES: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: path.unlink(),
    "empty": replace_with(b""),
    "blank lines": replace_with(b"\n \n\n"),
    "nul bytes": replace_with(b"\0" * 4096),
    "not utf-8": change(lambda data: data[: len(data) // 2] + b"\xff\xfe\xfa" + data[len(data) // 2 :]),
    "utf-16": change(lambda data: data.decode().encode("utf-16")),
    "cut in half": change(lambda data: data[: len(data) // 2]),
    "gzip": change(gzip.compress),
    "an html page": replace_with(b"<!doctype html><html><body>No such file</body></html>\n"),
    "a merge conflict": change(
        lambda data: b"<<<<<<< HEAD\n" + data + b"=======\n" + data + b">>>>>>> theirs\n"
    ),
    "json null": replace_with(b"null\n"),
    "a number": replace_with(b"17\n"),
    "a list": replace_with(b"[1, 2]\n"),
    "an empty object": replace_with(b"{}\n"),
    "deep nesting": replace_with(b"[" * 20_000 + b"\n"),
    "a number of 5,000 digits": replace_with(b'{"a": ' + b"9" * 5000 + b"}\n"),
    "half a surrogate": replace_with(b'{"a": "\\ud83d"}\n'),
    "a folder": into_folder,
    "a pipe": into_pipe,
    "a link to itself": into_loop,
}


def copy_world(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)
