"""Private operations of PyTorch: one file names them, and a build that lacks one runs the plain way."""

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from trl.trainer.utils import add_fused_lm_head

from stages.logprobs.fast.make_fast import make_fast
from stages.model import cpu, private_operations
from stages.model.private_operations import USED_FOR, private_operation
from tests.logprobs.test_shared_prefix import OUTPUTS, run
from tests.support.tiny_models import draw_norms, tiny_model

STAGES = Path(private_operations.__file__).parent.parent
ALLOWED = {"model/private_operations.py"}


def chain(node: ast.expr) -> list[str]:
    """`torch.ops.aten` as its names; empty where it does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else []


def private_uses(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        names = chain(node) if isinstance(node, ast.Attribute) else []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            names = [*str(node.module).split("."), *(one.name for one in node.names)]
        is_private = any(name.startswith("_") and not name.startswith("__") for name in names)
        if names[:1] == ["torch"] and ("ops" in names or is_private):
            yield f"{file.relative_to(STAGES)}: {'.'.join(names)}"


def test_one_file_names_them_all() -> None:
    files = [file for file in STAGES.rglob("*.py") if str(file.relative_to(STAGES)) not in ALLOWED]
    assert [use for file in files for use in private_uses(file)] == []


def test_the_pinned_pytorch_has_them_all() -> None:
    assert None not in [private_operation(name) for name in USED_FOR]


class Without:
    """A namespace of operations in which some are missing."""

    def __init__(self, namespace: object, missing: set[str]) -> None:
        self.namespace, self.missing = namespace, missing

    def __getattr__(self, name: str) -> object:
        if name in self.missing:
            raise AttributeError(name)
        return getattr(self.namespace, name)


@pytest.fixture
def _fresh_look() -> Iterator[None]:
    private_operation.cache_clear()
    cpu.onednn_linear.cache_clear()
    yield
    private_operation.cache_clear()
    cpu.onednn_linear.cache_clear()


@pytest.mark.usefixtures("_fresh_look")
@pytest.mark.parametrize("name", sorted(USED_FOR))
def test_without_one_a_model_runs_the_plain_way_and_says_so_once(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = {name.split(".")[1]}
    namespaces = {one: Without(getattr(torch.ops, one), missing) for one in ("aten", "mkldnn")}
    hidden = SimpleNamespace(ops=SimpleNamespace(**namespaces), __version__=torch.__version__)
    monkeypatch.setattr(private_operations, "torch", hidden)
    monkeypatch.setattr(cpu, "is_intels", lambda: False)
    dtype = torch.bfloat16 if name == private_operations.FUSED_NORM else torch.float32
    stock = tiny_model().to(dtype)
    draw_norms(stock)
    add_fused_lm_head(stock, outputs=OUTPUTS)
    for _ in range(2):
        model = tiny_model().to(dtype)
        draw_norms(model)
        cpu.use_onednn(model)
        add_fused_lm_head(model, outputs=OUTPUTS)
        make_fast(model, outputs=OUTPUTS)
        expected, came = run(stock)["log_probs"], run(model)["log_probs"]
        tolerance = 2e-5 if dtype == torch.float32 else 0.3
        torch.testing.assert_close(came, expected, atol=tolerance, rtol=1e-5)
        came.float().square().sum().backward()
        assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)
    assert capsys.readouterr().err.count(f"has no {name}: {USED_FOR[name]} run the plain way") == 1


@pytest.mark.usefixtures("_fresh_look")
def test_a_build_without_any_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_operations, "torch", SimpleNamespace(ops=SimpleNamespace(), __version__="0"))
    assert {private_operation(name) for name in USED_FOR} == {None}
