"""The one call that makes a model fast, and the table of what it does."""

import re
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from trl.trainer.utils import add_fused_lm_head

from stages.logprobs.fast.make_fast import make_fast
from tests.logprobs.test_shared_prefix import OUTPUTS, run
from tests.support.tiny_models import tiny_model

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.mark.parametrize("has_adapter", [False, True])
def test_a_base_and_an_adapter_keep_trls_log_probs_and_gradients(has_adapter: bool) -> None:
    models = []
    for is_fast in (False, True):
        model = tiny_model()
        add_fused_lm_head(model, outputs=OUTPUTS)
        if has_adapter:
            model = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
            generator = torch.Generator().manual_seed(3)
            for name, weight in sorted(model.named_parameters()):
                if "lora_" in name:
                    weight.data.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
        if is_fast:
            make_fast(model, outputs=OUTPUTS)
        models.append(model)
    expected, came = (run(model) for model in models)
    for name in OUTPUTS:
        torch.testing.assert_close(came[name], expected[name], atol=5e-5, rtol=1e-5)
    for one in (expected, came):
        one["log_probs"].square().sum().backward()
    for (name, one), (_, other) in zip(*(model.named_parameters() for model in models), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, atol=5e-3, rtol=1e-3, msg=name)


def test_the_table_lists_every_fast_path_with_its_lines() -> None:
    text = (ROOT / "docs/training.md").read_text().split("## Fast paths")[1].split("\n## ")[0]
    listed = {
        path: int(lines) for path, lines in re.findall(r"^\|[^|]*\| `([\w/.]+)` \| (\d+) \|", text, re.M)
    }
    fast = {
        file.relative_to(ROOT / "stages").as_posix()
        for file in (ROOT / "stages/logprobs/fast").glob("*.py")
        if file.name not in {"__init__.py", "make_fast.py"}
    }
    assert fast < listed.keys()
    for path, lines in listed.items():
        assert abs(len((ROOT / "stages" / path).read_text().splitlines()) - lines) <= 10, path
