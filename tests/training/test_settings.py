"""Settings with TRL's and PEFT's names: each reaches the library, and two steps are stock TRL's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from datasets import Dataset
from transformers import TrainerCallback
from trl import DPOConfig, DPOTrainer

from stages.errors import ModelError, ParamsError
from stages.logprobs.fast import lora
from stages.logprobs.reference import ReferenceRow
from stages.run.params import UNWEIGHED_LOSSES, parse_params
from stages.training import dpo
from stages.training.dpo import lora_config, train_policy
from stages.training.pair_trainer import PairTrainer
from tests.support.tiny_models import made_up_pairs, tiny_model, tiny_tokenizer
from tests.training.test_dpo import reference_of, settings, trainer_in

ROOT = Path(__file__).parent.parent.parent
# one epoch of two steps of four pairs, unless a case says otherwise
USUAL = {"per_device_train_batch_size": 4, "num_train_epochs": 1.0}
CASES: list[dict[str, Any]] = [
    {"lora_dropout": 0.3},
    {"use_rslora": True},
    {"use_dora": True},
    {"use_dora": True, "lora_dropout": 0.3},
    {"use_weighting": True},
    {"use_weighting": True, "loss_type": ["ipo", "bco_pair"]},
    {"f_divergence_type": "alpha_divergence", "f_alpha_divergence_coef": 0.3},
    {"loss_type": ["discopop"], "discopop_tau": 0.5},
    {"max_steps": 2, "num_train_epochs": None},
    *({"optim": name} for name in ("adamw_torch", "adafactor", "sgd", "rmsprop", "adagrad")),
]


@pytest.fixture(scope="module")
def rows() -> list[ReferenceRow]:
    return reference_of(tiny_model(), made_up_pairs(8))


@pytest.fixture
def _same_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout that drops the same features of every token: ours and TRL's rows hold tokens in other places."""

    def forward(self: torch.nn.Dropout, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        drawn = torch.rand(x.shape[-1], generator=torch.Generator().manual_seed(x.shape[-1]))
        return x * (drawn >= self.p) / (1 - self.p)

    monkeypatch.setattr(torch.nn.Dropout, "forward", forward)


class Recorder(TrainerCallback):
    """The loss of every batch and the gradients of every step."""

    def __init__(self, trainer: DPOTrainer) -> None:
        self.trainer = trainer
        self.losses: list[float] = []
        self.gradients: list[dict[str, torch.Tensor]] = []
        compute: Callable[..., Any] = trainer.compute_loss

        def compute_and_record(*args: Any, **kwargs: Any) -> Any:
            loss = compute(*args, **kwargs)
            self.losses.append(float(loss.detach()))
            return loss

        trainer.compute_loss = compute_and_record
        trainer.add_callback(self)

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        named = self.trainer.model.named_parameters()
        self.gradients.append(
            {name: weight.grad.clone() for name, weight in named if weight.grad is not None}
        )


def disturb(model: Any) -> None:
    """An adapter that changes the model, the same every time."""
    generator = torch.Generator().manual_seed(3)
    for name, weight in sorted(model.named_parameters()):
        if "lora_A" in name or "lora_B" in name:
            weight.data.copy_(torch.randn(weight.shape, generator=generator) * 0.05)


def stock_trainer(ours: PairTrainer, train: Any, folder: Path) -> DPOTrainer:
    """TRL's own trainer over the pairs in the order in which ours reads them; it scores the reference itself."""

    class Stock(DPOTrainer):
        def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
            return dataset

    in_order = [ours.pairs[number] for number in ours._get_train_sampler()]
    names = ("prompt_ids", "chosen_ids", "rejected_ids")
    config = DPOConfig(
        output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", max_length=None,
        gradient_checkpointing=False, train_sampling_strategy="sequential", save_strategy="no",
        disable_dropout=False, disable_tqdm=True, warmup_steps=0.0, max_grad_norm=train.max_grad_norm,
        per_device_train_batch_size=4, learning_rate=train.learning_rate, lr_scheduler_type=train.lr_scheduler_type,
        loss_type=list(train.loss_type), beta=train.beta, f_divergence_type=train.f_divergence_type,
        f_alpha_divergence_coef=train.f_alpha_divergence_coef, discopop_tau=train.discopop_tau,
        use_weighting=train.use_weighting, optim=train.optim, max_steps=2, weight_decay=train.weight_decay,
    )  # fmt: skip
    torch.manual_seed(train.seed)
    return Stock(
        model=tiny_model(), args=config, processing_class=tiny_tokenizer(), peft_config=lora_config(train),
        train_dataset=Dataset.from_dict({name: [getattr(row, name) for row in in_order] for name in names}),
    )  # fmt: skip


@pytest.mark.usefixtures("_same_masks")
@pytest.mark.parametrize("changes", CASES, ids=str)
def test_two_steps_have_the_losses_and_gradients_of_stock_trl(
    changes: dict[str, Any], rows: list[ReferenceRow], tmp_path: Path
) -> None:
    train = settings(**(USUAL | changes))
    ours = trainer_in(tmp_path / "ours", rows, train)
    stock = stock_trainer(ours, train, tmp_path / "stock")
    recorders = []
    for trainer in (ours, stock):
        disturb(trainer.model)
        recorders.append(Recorder(trainer))
    train_policy(ours, resume_from=None)
    stock.train()

    came, expected = recorders
    assert ours.state.max_steps == len(came.losses) == len(expected.losses) == 2
    assert came.losses == pytest.approx(expected.losses, rel=2e-4)
    assert came.losses[0] != pytest.approx(came.losses[1], rel=2e-3)
    for ours_step, stock_step in zip(came.gradients, expected.gradients, strict=True):
        assert ours_step.keys() == stock_step.keys()
        for name, gradient in ours_step.items():
            close = 1e-3 * stock_step[name].abs().max().item()
            torch.testing.assert_close(gradient, stock_step[name], atol=close, rtol=1e-3, msg=name)


def test_each_setting_reaches_the_library(rows: list[ReferenceRow], tmp_path: Path) -> None:
    train = settings(
        lora_dropout=0.25, use_rslora=True, use_dora=True, optim="adagrad", max_steps=1, num_train_epochs=None,
        use_weighting=True, f_alpha_divergence_coef=0.3, discopop_tau=0.7,
    )  # fmt: skip
    trainer = trainer_in(tmp_path, rows, train)
    layers = [layer for layer in trainer.model.modules() if hasattr(layer, "lora_A")]
    assert len(layers) == 14
    for layer in layers:
        assert layer.lora_dropout["default"].p == 0.25  # TRL's disable_dropout would have made it 0
        assert layer.scaling["default"] == train.lora_alpha / train.lora_r**0.5
        assert layer.use_dora["default"]
    args = trainer.args
    assert (args.use_weighting, args.f_alpha_divergence_coef, args.discopop_tau) == (True, 0.3, 0.7)
    train_policy(trainer, resume_from=None)
    assert trainer.state.global_step == 1
    assert isinstance(trainer.optimizer.optimizer, torch.optim.Adagrad)


@pytest.mark.parametrize(
    ("changes", "n_fused"), [({}, 14), ({"use_rslora": True}, 14), ({"lora_dropout": 0.1}, 0), ({"use_dora": True}, 0)]
)  # fmt: skip
def test_what_fuses_loras_products_stands_aside_for_dropout_and_dora(
    changes: dict[str, Any], n_fused: int, rows: list[ReferenceRow], tmp_path: Path
) -> None:
    trainer = trainer_in(tmp_path, rows, settings(**changes))
    forwards = [getattr(layer.forward, "__func__", None) for layer in trainer.model.modules()]
    assert forwards.count(lora._forward) == n_fused


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"optim": "adamw_of_mine"}, r"breaks a rule\n  train\.optim: .*adamw_torch_fused"),
        ({"optim": "paged_adamw_8bit"}, "train.optim paged_adamw_8bit needs runtime.device cuda"),
        ({"max_steps": 100}, r"num_train_epochs 1\.0 and max_steps 100: one says how long"),
        ({"num_train_epochs": None}, "num_train_epochs None and max_steps None: one says how long"),
        ({"use_weighting": True, "loss_type": ["aot", "ipo"]}, r"use_weighting does not go with \['aot'\]"),
        ({"lora_dropout": 1.0}, r"train\.lora_dropout"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_refused_with_the_way_out(changes: dict[str, Any], rule: str) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["train"] |= changes
    with pytest.raises(ParamsError, match=f"(?s){rule}"):
        parse_params(raw, place="params.yaml")


@pytest.mark.parametrize("name", sorted(UNWEIGHED_LOSSES))
def test_a_loss_that_may_not_be_weighed_is_one_that_trl_cannot_weigh(
    name: str, rows: list[ReferenceRow], tmp_path: Path
) -> None:
    with pytest.raises((NotImplementedError, RuntimeError)):
        trainer_in(tmp_path, rows, settings(use_weighting=True, loss_type=[name])).train()


def test_an_optimizer_whose_package_is_missing_is_named(
    rows: list[ReferenceRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dpo.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ModelError, match=r"train\.optim adamw_bnb_8bit needs the package bitsandbytes"):
        trainer_in(tmp_path, rows, settings(optim="adamw_bnb_8bit"))
