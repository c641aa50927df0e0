"""Training on a tiny model: TRL's numbers, the check before the first step, interruption and resume."""

import fcntl
import gc
import json
import os
import re
import resource
import time
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import yaml
from datasets import Dataset
from peft import get_peft_model
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel
from trl import DPOConfig, DPOTrainer
from trl.trainer import dpo_trainer
from trl.trainer.utils import add_fused_lm_head

from stages.errors import ModelError, ParamsError, RuntimeCheckError
from stages.files.io import write_json
from stages.logprobs.reference import ReferenceRow, reference_sums
from stages.logprobs.scoring import prepare_for_scoring, score_pairs
from stages.model.checkpoint import base_sha256, load_model, load_tokenizer
from stages.model.device import use_threads
from stages.model.rendered import RenderedPair
from stages.run.params import LossType, RuntimeParams, TrainParams, WatchParams, load_params, parse_params
from stages.run.processes import share_threads
from stages.training.checkpoints import (
    COMPLETE,
    checkpoint_folder,
    last_whole_checkpoint,
    run_key,
    seal_checkpoint,
)
from stages.training.dpo import (
    build_trainer,
    check_step_zero,
    log_rows,
    lora_config,
    save_policy,
    train_policy,
)
from stages.training.pair_trainer import PairTrainer
from stages.training.watch import LOGGED
from tests.support.tiny_models import made_up_pairs, tiny_model, tiny_tokenizer, write_tiny_base

ROOT = Path(__file__).parent.parent.parent
PARAMS = load_params(ROOT / "params.yaml")
RUNTIME = PARAMS.runtime.model_copy(update={"n_threads": 1})
WATCH = PARAMS.watch.model_copy(update={"save_steps": 2})


def settings(**changes: Any) -> TrainParams:
    small = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-2,
        "lora_r": 4,
        "num_train_epochs": 2.0,
        "warmup_steps": 0.0,
    }
    return PARAMS.train.model_copy(update=small | changes)


def reference_of(model: PreTrainedModel, pairs: list[RenderedPair]) -> list[ReferenceRow]:
    prepare_for_scoring(model)
    scored = score_pairs(model, pairs, pad_token_id=1, batch_size=4, label="reference")
    return [ReferenceRow(*pair, *scored[pair.pair_id]) for pair in pairs]


@pytest.fixture(scope="module")
def rows() -> list[ReferenceRow]:
    return reference_of(tiny_model(), made_up_pairs(8))


def trainer_in(
    folder: Path, rows: list[ReferenceRow], train: TrainParams, watch: WatchParams = WATCH, **changes: Any
) -> PairTrainer:
    torch.manual_seed(train.seed)
    return build_trainer(
        tiny_model(**changes), tiny_tokenizer(), rows, train=train, runtime=RUNTIME, watch=watch,
        checkpoints=folder,
    )  # fmt: skip


def stock_first_loss(rows: list[ReferenceRow], train: TrainParams, folder: Path) -> float:
    """TRL alone, on the same token ids, computing its own reference."""

    class Stock(DPOTrainer):
        def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
            return dataset

    columns = {
        name: [getattr(row, name) for row in rows] for name in ("prompt_ids", "chosen_ids", "rejected_ids")
    }
    config = DPOConfig(
        output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", loss_type=list(train.loss_type),
        loss_weights=train.loss_weights, beta=train.beta, label_smoothing=train.label_smoothing,
        ld_alpha=train.ld_alpha, f_divergence_type=train.f_divergence_type, max_length=None,
        gradient_checkpointing=False,
    )  # fmt: skip
    stock = Stock(
        model=tiny_model(), args=config, train_dataset=Dataset.from_dict(columns), processing_class=tiny_tokenizer(),
        peft_config=lora_config(train),
    )  # fmt: skip
    disturb(stock.model)
    batch = stock.data_collator([stock.train_dataset[i] for i in range(4)])
    return float(stock.compute_loss(stock.model, batch).detach())


def disturb(model: Any) -> None:
    """Give the adapter something to do, the same every time, so that the loss is not just ln 2."""
    generator = torch.Generator().manual_seed(3)
    for name, weight in sorted(model.named_parameters()):
        if "lora_" in name:
            weight.data.copy_(torch.randn(weight.shape, generator=generator) * 0.05)


LOSSES: list[dict[str, Any]] = [
    *({"loss_type": [name]} for name in get_args(LossType) if name != "exo_pair"),
    {"loss_type": ["exo_pair"], "label_smoothing": 0.001},  # TRL refuses it without
    {"loss_type": ["robust"], "label_smoothing": 0.1},
    {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.3]},
    {"loss_type": ["sigmoid", "bco_pair", "sft"]},
    *({"loss_type": ["sigmoid"], "ld_alpha": alpha} for alpha in (0.0, 0.5, 1.0)),
    {"loss_type": ["sigmoid_norm"], "ld_alpha": 0.5},
    *({"f_divergence_type": name} for name in ("forward_kl", "js_divergence", "alpha_divergence")),
    {"loss_type": ["sigmoid_norm"], "f_divergence_type": "js_divergence"},
]  # fmt: skip


def test_every_loss_of_the_pinned_trl_is_offered() -> None:
    said = DPOConfig.__dataclass_fields__["loss_type"].metadata["help"]
    listed = set(re.findall(r"`'(\w+)'`", said.split("If multiple")[0]))
    assert listed == set(get_args(LossType))


@pytest.mark.parametrize("changes", LOSSES, ids=str)
def test_every_loss_equals_stock_trl_and_trains(
    changes: dict[str, Any], rows: list[ReferenceRow], tmp_path: Path
) -> None:
    train = settings(num_train_epochs=0.5, **changes)
    ours = trainer_in(tmp_path / "ours", rows, train)
    weights = {name: weight.clone() for name, weight in ours.model.named_parameters() if weight.requires_grad}
    disturb(ours.model)
    batch = ours.data_collator([ours.train_dataset[i] for i in range(4)])

    first = float(ours.compute_loss(ours.model, batch).detach())

    assert first == pytest.approx(stock_first_loss(rows, train, tmp_path / "stock"), abs=1e-4, rel=1e-5)
    train_policy(ours, resume_from=None)
    assert ours.state.global_step == 2
    assert any(
        not torch.equal(weights[name], weight)
        for name, weight in ours.model.named_parameters()
        if name in weights
    )


def test_before_the_first_step_the_policy_is_the_base(rows: list[ReferenceRow], tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, rows, settings())
    check_step_zero(trainer, batch_size=4, tolerance=0.0)  # the reference's own batch: not a bit differs
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(0.693147, abs=1e-4)


def test_no_weight_is_hashed_for_a_cache_that_is_not_used(
    rows: list[ReferenceRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_model: torch.nn.Module) -> str:
        raise AssertionError("the weights were hashed")

    monkeypatch.setattr("trl.trainer.dpo_trainer.hash_module", refuse)
    trainer_in(tmp_path, rows, settings())
    assert dpo_trainer.hash_module is refuse  # stock TRL beside it still does


def test_a_reference_of_another_model_stops_the_run(rows: list[ReferenceRow], tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, rows, settings(), seed=5)
    with pytest.raises(RuntimeCheckError, match=r"before the first step pair p\d+ has a margin"):
        check_step_zero(trainer, batch_size=4, tolerance=1e-4)


def test_the_base_is_scored_though_zero_3_has_not_sharded_it_yet(
    rows: list[ReferenceRow],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("transformers.integrations.deepspeed.is_deepspeed_zero3_enabled", lambda: True)
    trainer = trainer_in(tmp_path, rows, settings(method="full"))
    check_step_zero(trainer, batch_size=4, tolerance=1e-4)
    assert "two rows a pair" not in capsys.readouterr().err


def test_full_training_holds_one_model(rows: list[ReferenceRow], tmp_path: Path) -> None:
    def n_models() -> int:
        gc.collect()
        return sum(issubclass(type(one), PreTrainedModel) for one in gc.get_objects())

    before = n_models()
    trainer = trainer_in(tmp_path, rows, settings(method="full"))
    assert trainer.ref_model is None
    assert n_models() == before + 2  # LlamaForCausalLM and the LlamaModel in it


def test_a_loss_that_is_not_finite_names_the_pairs(rows: list[ReferenceRow], tmp_path: Path) -> None:
    broken = [row._replace(chosen_logps=[float("inf")] * len(row.chosen_logps)) for row in rows]
    trainer = trainer_in(tmp_path, broken, settings(loss_type=["ipo"]))
    with pytest.raises(RuntimeCheckError, match=r"the loss is .* on pairs p\d+, p\d+"):
        trainer.train()


def test_a_loss_that_explodes_names_the_pairs(rows: list[ReferenceRow], tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, rows, settings(), WATCH.model_copy(update={"max_loss_growth": 0.5}))
    with pytest.raises(
        RuntimeCheckError, match=r"the loss is 0\.69.*, it began at 0\.69.* on pairs p\d+, p\d+"
    ):
        trainer.train()


def test_a_gradient_that_is_not_finite_stops_before_the_weights_take_it(
    rows: list[ReferenceRow], tmp_path: Path
) -> None:
    trainer = trainer_in(tmp_path, rows, settings())
    name, weight = next((name, one) for name, one in trainer.model.named_parameters() if one.requires_grad)
    before = weight.detach().clone()
    weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(RuntimeCheckError, match=r"the gradient's norm is nan at step 0 on pairs p\d+, p\d+"):
        trainer.train()
    assert torch.equal(dict(trainer.model.named_parameters())[name], before)


def test_a_learning_rate_that_is_no_number_is_refused() -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    for value in (float("nan"), "nan", float("inf"), 0.0):
        raw["train"]["learning_rate"] = value
        with pytest.raises(ParamsError, match=r"train\.learning_rate"):
            parse_params(raw, place="params.yaml")


def test_unlearning_the_chosen_texts_is_warned_of_once_and_logged(
    rows: list[ReferenceRow], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # the reference claims that the base found every chosen token e times likelier than it does
    shifted = [row._replace(chosen_logps=[one + 1.0 for one in row.chosen_logps]) for row in rows]
    trainer = trainer_in(
        tmp_path, shifted, settings(learning_rate=1e-9, chosen_drop_limit=0.9, chosen_drop_window=2)
    )
    trainer.train()
    logged = log_rows(trainer)
    assert [row["chosen_collapsed"] for row in logged][:1] == [0]  # one line is no window yet
    assert sum(row["chosen_collapsed"] for row in logged) > 0
    mean_drop = sum(row["chosen_drop"] for row in logged) / len(logged)
    assert mean_drop == pytest.approx(1.0, abs=0.01)  # two epochs: every pair counts twice
    said = capsys.readouterr().err
    assert said.count("the policy unlearns both texts") == 1
    assert "pairs/s" in said
    assert "tokens/s" in said
    assert "s left" in said


def test_all_weights_can_be_trained(rows: list[ReferenceRow], tmp_path: Path) -> None:
    trainer = trainer_in(
        tmp_path / "run", rows, settings(method="full", learning_rate=1e-3, num_train_epochs=0.5)
    )
    check_step_zero(trainer, batch_size=4, tolerance=1e-4)
    trainer.train()
    save_policy(trainer, tmp_path / "policy", base_name="models/base")
    saved = load_file(tmp_path / "policy/model.safetensors")
    assert any(
        not torch.equal(saved[name], weight)
        for name, weight in tiny_model().state_dict().items()
        if name in saved
    )


def test_targets_that_match_nothing_are_an_error(rows: list[ReferenceRow], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"train\.lora_target_modules: .*nothing_like_it"):
        trainer_in(tmp_path, rows, settings(lora_target_modules=["nothing_like_it"]))
    with pytest.raises(ModelError, match=r"train\.lora_target_modules: .* adapter on the LM head"):
        trainer_in(tmp_path, rows, settings(lora_target_modules=["lm_head", "q_proj"]))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"loss_type": ["exo_pair"]}, "exo_pair needs label_smoothing"),
        (
            {"loss_type": ["nca_pair", "sigmoid"], "f_divergence_type": "forward_kl"},
            r"does not go with .*nca_pair",
        ),
    ],
)
def test_settings_that_a_loss_cannot_take_are_refused_before_anything_is_loaded(
    changes: dict[str, Any], rule: str
) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["train"] |= changes
    with pytest.raises(ParamsError, match=rule):
        parse_params(raw, place="params.yaml")


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    base = write_tiny_base(tmp_path / "base")
    tokenizer = load_tokenizer(base)
    assert tokenizer.pad_token_id is not None
    tokenizer.add_tokens([f"<extra-{number}>" for number in range(400)])
    tokenizer.save_pretrained(base)
    with pytest.raises(
        ModelError, match=r"ids up to \d+, the model embeds 320 ids .* do not belong together"
    ):
        load_tokenizer(base)


def test_a_tokenizer_without_padding_pads_with_its_end_and_without_an_end_is_refused(tmp_path: Path) -> None:
    base = write_tiny_base(tmp_path / "base")
    config = base / "tokenizer_config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps({key: value for key, value in values.items() if key != "pad_token"}))
    tokenizer = load_tokenizer(base)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    gone = ("pad_token", "eos_token")
    config.write_text(json.dumps({key: value for key, value in values.items() if key not in gone}))
    with pytest.raises(ModelError, match="no EOS token"):
        load_tokenizer(base)


def test_a_step_cut_into_smaller_batches_is_the_same_run(rows: list[ReferenceRow], tmp_path: Path) -> None:
    # what the doctor says where memory is short, and what several processes do with one step
    curves = []
    for size, n_batches in ((4, 1), (2, 2), (1, 4)):
        train = settings(per_device_train_batch_size=size, gradient_accumulation_steps=n_batches)
        trainer = trainer_in(tmp_path / str(size), rows, train)
        train_policy(trainer, resume_from=None)
        curves.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])

    assert len(curves[0]) == 4
    assert curves[0][-1] < curves[0][0] - 0.01  # it learns: equal curves of nothing would show nothing
    assert curves[1] == pytest.approx(curves[0], abs=1e-4)
    assert curves[2] == pytest.approx(curves[0], abs=1e-4)


class Killed(Exception):  # noqa: N818 - an event, not a mistake
    pass


def test_a_run_cut_off_and_resumed_gives_the_same_bytes(rows: list[ReferenceRow], tmp_path: Path) -> None:
    train = settings()
    whole = trainer_in(tmp_path / "whole", rows, train)
    train_policy(whole, resume_from=None)
    save_policy(whole, tmp_path / "a", base_name="models/base")

    cut = trainer_in(tmp_path / "cut", rows, train)
    step = cut.training_step

    def cut_at_step_five(*args: Any, **kwargs: Any) -> Any:
        if cut.state.global_step == 5:
            raise Killed
        return step(*args, **kwargs)

    cut.training_step = cut_at_step_five
    with pytest.raises(Killed):
        cut.train()
    (tmp_path / "cut/checkpoint-99").mkdir()  # as if killed while saving

    checkpoint = last_whole_checkpoint(tmp_path / "cut")
    assert checkpoint == tmp_path / "cut/checkpoint-4"
    assert not (tmp_path / "cut/checkpoint-99").exists()
    resumed = trainer_in(tmp_path / "cut", rows, train)
    train_policy(resumed, resume_from=checkpoint)
    save_policy(resumed, tmp_path / "b", base_name="models/base")

    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert [entry["step"] for entry in resumed.state.log_history if "loss" in entry] == list(range(1, 9))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_how_a_run_is_watched_changes_no_byte_that_train_writes(
    rows: list[ReferenceRow], tmp_path: Path
) -> None:
    values = (
        WatchParams(save_steps=2, max_loss_growth=100.0, margin_tolerance=0.001),
        WatchParams(save_steps=5, max_loss_growth=50.0, margin_tolerance=0.002),
    )
    logs = []
    for number, watch in enumerate(values):
        trainer = trainer_in(tmp_path / f"checkpoints-{number}", rows, settings(), watch)
        train_policy(trainer, resume_from=None)
        save_policy(trainer, tmp_path / str(number), base_name="models/base")
        logs.append([[row[name] for name in LOGGED] for row in log_rows(trainer)])
    assert logs[0] == logs[1]
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()


def test_a_damaged_checkpoint_is_removed_and_the_one_before_it_used(
    rows: list[ReferenceRow], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_in(tmp_path, rows, settings())
    trainer.train()
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-6", "checkpoint-8"}
    adapter = tmp_path / "checkpoint-8/adapter_model.safetensors"
    adapter.write_bytes(adapter.read_bytes()[:100])

    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-6"
    assert "checkpoint-8 is damaged (adapter_model.safetensors" in capsys.readouterr().err

    (tmp_path / "checkpoint-6" / COMPLETE).write_text('{"half')
    assert last_whole_checkpoint(tmp_path) is None
    assert "checkpoint-6 has a damaged" in capsys.readouterr().err
    assert not list(tmp_path.glob("checkpoint-*"))


class Mark:
    """A pickle that leaves a mark when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_planted_checkpoint_runs_nothing(rows: list[ReferenceRow], tmp_path: Path) -> None:
    trainer_in(tmp_path, rows, settings()).train()
    planted = last_whole_checkpoint(tmp_path)
    assert planted is not None
    torch.save(Mark(tmp_path / "mark"), planted / "optimizer.pt")
    seal_checkpoint(planted)

    with pytest.raises(RuntimeCheckError, match=r"checkpoint-8 is sealed, yet holds what no training writes"):
        train_policy(trainer_in(tmp_path, rows, settings()), resume_from=last_whole_checkpoint(tmp_path))
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "room", [5_000, 25_000]
)  # bytes a file may have: too few for the adapter, for the optimizer
def test_a_full_disk_is_named_and_loses_nothing(
    room: int, rows: list[ReferenceRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(tmp_path / "checkpoints"))
    train = settings(num_train_epochs=1.0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(RuntimeCheckError, match="the disk is full"), checkpoint_folder("k") as folder:
            train_policy(trainer_in(folder, rows, train), resume_from=None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with checkpoint_folder("k") as folder:
        assert last_whole_checkpoint(folder) is None
        train_policy(trainer_in(folder, rows, train), resume_from=None)


@pytest.mark.parametrize(("n_processes", "n_threads"), [(1, 4), (2, 2), (8, 1)])
def test_processes_on_one_machines_cpus_share_its_threads(
    n_processes: int, n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(n_processes))
    shared = share_threads(RUNTIME.model_copy(update={"n_threads": 4}))
    usual = torch.get_num_threads()
    try:
        use_threads(shared)
        assert torch.get_num_threads() == shared.n_threads == n_threads
    finally:
        torch.set_num_threads(usual)


def test_the_run_key_depends_on_what_determines_the_run(tmp_path: Path) -> None:
    data = tmp_path / "pairs"
    data.write_text("one")

    def key(train: TrainParams = PARAMS.train, runtime: RuntimeParams = RUNTIME, n_train: int = 4) -> str:
        return run_key(train, runtime, PARAMS.rows, n_train=n_train, inputs=[data])

    first = key()
    changed = {
        key(train=settings(beta=0.2)),
        key(runtime=RUNTIME.model_copy(update={"n_threads": 2})),
        key(n_train=5),
    }
    assert key(train=PARAMS.train.model_copy(update={"chosen_drop_window": 99})) == first
    data.write_text("two")
    assert len({first, key(), *changed}) == 5


def test_checkpoints_stay_after_a_failure_and_go_after_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(tmp_path))
    with pytest.raises(Killed), checkpoint_folder("k") as folder:
        (folder / "checkpoint-1").mkdir()
        raise Killed
    assert (tmp_path / "k/checkpoint-1").exists()
    with checkpoint_folder("k") as folder:
        assert (folder / "checkpoint-1").exists()
        with pytest.raises(RuntimeCheckError, match="another process"), checkpoint_folder("k"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_left_a_month_ago_is_removed_aloud_unless_it_is_locked_or_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BLUEPENCIL_CHECKPOINTS", str(tmp_path))
    days_ago = {"0" * 20: 31, "1" * 20: 29, "2" * 20: 31, "3" * 20: 31, "photos": 31, "4" * 20: 31}
    for name, days in days_ago.items():
        (tmp_path / name / "checkpoint-5").mkdir(parents=True)
        (tmp_path / name / "checkpoint-5/optimizer.pt").write_text("moments")
        for path in [*(tmp_path / name).rglob("*"), tmp_path / name]:
            os.utime(path, times=(0, time.time() - days * 86400))
    (tmp_path / ("3" * 20) / "checkpoint-5/optimizer.pt").write_text("saved just now")
    with (tmp_path / f"{'2' * 20}.lock").open("w") as in_use:
        fcntl.flock(in_use, fcntl.LOCK_EX)
        with checkpoint_folder("4" * 20) as folder:
            assert (folder / "checkpoint-5").exists()  # this very run goes on, however old its checkpoint
            kept = {path.name for path in tmp_path.iterdir() if path.is_dir()}

    assert kept == {"1" * 20, "2" * 20, "3" * 20, "4" * 20, "photos"}
    assert "0" * 20 + " is removed: a run left it 31 days ago and never went on" in capsys.readouterr().err


def test_a_saved_adapter_scores_as_the_trained_model_did(rows: list[ReferenceRow], tmp_path: Path) -> None:
    base = write_tiny_base(tmp_path / "base")
    torch.manual_seed(0)
    model = load_model(base, None, RUNTIME)
    rows = reference_of(load_model(base, None, RUNTIME), made_up_pairs(8))
    trainer = build_trainer(
        model, load_tokenizer(base), rows, train=settings(), runtime=RUNTIME, watch=WATCH,
        checkpoints=tmp_path / "run",
    )  # fmt: skip
    trainer.train()
    save_policy(trainer, tmp_path / "policy", base_name="models/base")
    write_json(tmp_path / "policy/manifest.json", {"method": "lora", "base_sha256": base_sha256(base)})
    policy = load_model(base, tmp_path / "policy", RUNTIME)
    after = reference_of(policy, [RenderedPair(*row[:4]) for row in rows])
    gains = [
        (new.chosen - old.chosen) - (new.rejected - old.rejected)
        for new, old in zip(
            (reference_sums(row, ld_alpha=None) for row in after),
            (reference_sums(row, ld_alpha=None) for row in rows),
            strict=True,
        )
    ]
    assert sum(gain > 0 for gain in gains) == 8  # it learned what it was shown, and the file holds it


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    base = write_tiny_base(tmp_path / "base")
    (tmp_path / "policy").mkdir()
    write_json(tmp_path / "policy/manifest.json", {"method": "lora", "base_sha256": "0" * 64})
    write_json(tmp_path / "policy/adapter_config.json", {})
    with pytest.raises(ModelError, match="another base"):
        load_model(base, tmp_path / "policy", RUNTIME)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda weights, name: weights.pop(name), "1 tensors are not those .*missing"),
        (
            lambda weights, name: weights.update({"more\u2028": weights[name].clone()}),
            r"1 tensors .*\('more\\u2028', not asked for",
        ),
    ],
    ids=["one is missing", "one too many"],
)
def test_an_adapter_of_other_tensors_is_refused(change: Any, says: str, tmp_path: Path) -> None:
    """PEFT itself warns at most, and scores with what it drew in place of what is missing."""
    base, policy = write_tiny_base(tmp_path / "base"), tmp_path / "policy"
    model = get_peft_model(load_model(base, None, RUNTIME), lora_config(settings()))
    model.save_pretrained(policy, save_embedding_layers=False)
    write_json(policy / "manifest.json", {"method": "lora", "base_sha256": base_sha256(base)})
    load_model(base, policy, RUNTIME)

    weights = load_file(policy / "adapter_model.safetensors")
    change(weights, sorted(weights)[0])
    save_file(weights, policy / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=says):
        load_model(base, policy, RUNTIME)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
@pytest.mark.parametrize("content", ["", "[1]", "größe"])
def test_an_adapter_that_is_none_is_refused_with_the_way_to_a_new_one(
    name: str, content: str, tmp_path: Path
) -> None:
    base, policy = write_tiny_base(tmp_path / "base"), tmp_path / "policy"
    get_peft_model(load_model(base, None, RUNTIME), lora_config(settings())).save_pretrained(policy)
    write_json(policy / "manifest.json", {"method": "lora", "base_sha256": base_sha256(base)})
    (policy / name).write_text(content)
    with pytest.raises(ModelError, match=r"policy: the adapter cannot be loaded .*; run `dvc repro train`"):
        load_model(base, policy, RUNTIME)


def test_a_base_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder; run `dvc repro base_model`"):
        load_tokenizer(tmp_path / "base")


def test_the_untouched_base_scores_exactly_its_reference() -> None:
    pairs = made_up_pairs(8)
    first, second = reference_of(tiny_model(), pairs), reference_of(tiny_model(), pairs)
    assert first == second


def test_a_log_prob_that_is_not_finite_names_its_pair() -> None:
    model = tiny_model()
    model.get_output_embeddings().weight.data[5] = float("nan")
    add_fused_lm_head(model)
    with pytest.raises(RuntimeCheckError, match=r"pair p\d+: a log-prob is not finite"):
        score_pairs(model, made_up_pairs(2), pad_token_id=1, batch_size=2, label="x")
