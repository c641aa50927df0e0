"""Products by oneDNN against PyTorch's own, and freed memory that is kept."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stages.model import cpu
from stages.model.cpu import is_plain_product, multiply, use_onednn
from stages.model.private_operations import ONEDNN_LINEAR, private_operation
from stages.model.processor import is_intels
from stages.run.shell import ENVIRONMENT
from tests.support.tiny_models import CONFIGS, tiny_model

TOKENS = torch.arange(2, 26).view(2, 12)
pytestmark = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"} or not torch.backends.mkldnn.is_available(),
    reason="this processor or PyTorch has no oneDNN for it",
)


@pytest.fixture(autouse=True)
def _whatever_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "onednn_linear", lambda: private_operation(ONEDNN_LINEAR))


def refuse(*_: object) -> None:
    raise AssertionError("oneDNN was asked")


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(
    "rows",
    [
        draw(2, 7, 24),
        draw(1, 24),
        draw(24),
        draw(0, 24),
        draw(24, 9).T,
        draw(2, 24, 9).transpose(1, 2),
        torch.ones(()).expand(3, 24),
    ],
    ids=["3 dimensions", "one row", "a vector", "none", "transposed", "transposed in 3", "expanded"],
)
@pytest.mark.parametrize(
    "weight", [draw(5, 24), draw(24, 5).T, draw(9, 24)[2:7]], ids=["plain", "view", "part"]
)
@pytest.mark.parametrize("bias", [None, draw(5)], ids=["no bias", "bias"])
def test_a_product_is_pytorchs(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    came = multiply(rows, weight, bias)
    torch.testing.assert_close(came, torch.nn.functional.linear(rows, weight, bias), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "learned", [frozenset("xwb"), frozenset("x"), frozenset("wb"), frozenset("b")], ids=sorted
)
def test_gradients_are_pytorchs_for_what_is_learned_and_none_for_the_rest(learned: frozenset[str]) -> None:
    def gradients(layer: torch.nn.Linear) -> list[torch.Tensor | None]:
        x = draw(2, 7, 24).requires_grad_("x" in learned)
        layer.weight.requires_grad_("w" in learned)
        layer.bias.requires_grad_("b" in learned)
        layer(x).square().sum().backward()
        return [x.grad, layer.weight.grad, layer.bias.grad]

    torch.manual_seed(0)
    plain, patched = torch.nn.Linear(24, 5), torch.nn.Linear(24, 5)
    patched.load_state_dict(plain.state_dict())
    assert use_onednn(patched) == 1
    for name, expected, came in zip("xwb", gradients(plain), gradients(patched), strict=True):
        assert (came is not None) == (expected is not None) == (name in learned)
        if came is not None:
            torch.testing.assert_close(came, expected)


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_and_gradients_of_a_model_are_pytorchs(name: str) -> None:
    plain, patched = tiny_model(name), tiny_model(name)
    assert use_onednn(patched) == 15  # seven in each of two layers, and the head
    expected, came = plain(TOKENS).logits, patched(TOKENS).logits
    torch.testing.assert_close(came, expected, atol=1e-5, rtol=1e-5)
    expected.square().mean().backward()
    came.square().mean().backward()
    for (label, one), (_, other) in zip(plain.named_parameters(), patched.named_parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, atol=1e-6, rtol=1e-3, msg=label)


def test_of_a_frozen_layer_no_rows_are_kept() -> None:
    layer = torch.nn.Linear(24, 5, bias=False).requires_grad_(False)
    use_onednn(layer)
    x = draw(3, 24).requires_grad_()
    kept = [array for array in layer(x).grad_fn.saved_tensors if array is not None]
    assert [array.shape for array in kept] == [layer.weight.shape]


def test_a_product_can_be_added_to_in_place() -> None:
    """As LoRA's is: autograd forbids that of a view that a function returned."""
    layer = torch.nn.Linear(24, 5)
    use_onednn(layer)
    layer(draw(2, 7, 24)).add_(1).sum().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize(
    "compute",
    [
        lambda layer, x: layer.bfloat16()(x.bfloat16()),
        lambda layer, x: layer.double()(x.double()),
    ],
    ids=["16 bits", "64 bits"],
)
def test_other_types_are_left_to_pytorch(
    compute: Callable[[torch.nn.Linear, torch.Tensor], torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "onednn_linear", lambda: refuse)
    layer = torch.nn.Linear(24, 5)
    use_onednn(layer)
    assert compute(layer, draw(3, 24)).shape == (3, 5)


def test_autocast_is_left_to_pytorch() -> None:
    layer = torch.nn.Linear(24, 5)
    use_onednn(layer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(draw(3, 24)).dtype == torch.bfloat16


def test_where_mkl_is_faster_nothing_is_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "onednn_linear", lambda: None)
    assert use_onednn(tiny_model()) == 0
    rows, weight = draw(3, 24), draw(5, 24)
    assert torch.equal(multiply(rows, weight), rows @ weight.T)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("vendor_id\t: GenuineIntel\n", True), ("vendor_id\t: AuthenticAMD\n", False), (None, False)],
    ids=["Intel", "AMD", "another system"],
)
def test_whose_processor_it_is(tmp_path: Path, words: str | None, expected: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if words is not None:
        cpuinfo.write_text(words)
    assert is_intels(cpuinfo) is expected


@pytest.mark.parametrize("is_patched", [False, True])
def test_only_a_dense_layer_as_pytorch_or_we_wrote_it_is_a_plain_product(is_patched: bool) -> None:
    layer, x = torch.nn.Linear(24, 5), draw(3, 24)
    if is_patched:
        use_onednn(layer)
    assert is_plain_product(layer, x)
    assert not is_plain_product(layer, x.bfloat16())
    assert not is_plain_product(type("Other", (torch.nn.Linear,), {})(24, 5), x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not is_plain_product(layer, x)
    layer.forward = lambda rows: rows  # as a library that wraps layers does
    assert not is_plain_product(layer, x)


GROWTH = """
import torch
from stages.model import cpu
from stages.model.private_operations import ONEDNN_LINEAR, private_operation

cpu.onednn_linear = lambda: private_operation(ONEDNN_LINEAR)
weight = torch.ones(512, 256)
for length in range(100, 500):
    cpu.multiply(torch.ones(length, 256), weight)
    if length in {199, 499}:
        lines = open("/proc/self/status")
        print(next(line for line in lines if line.startswith("VmRSS")).split()[1])
"""


def growth_mib(environment: dict[str, str]) -> float:
    """Resident memory that 300 more lengths of a batch cost, after 100 others: more than a cache of ours has room for."""
    names = {name for name in ENVIRONMENT if "CACHE_CAPACITY" in name}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    ran = subprocess.run(
        [sys.executable, "-c", GROWTH], env=kept | environment, capture_output=True, text=True, check=True
    )
    first, last = map(int, ran.stdout.split())
    return (last - first) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_grows_less_with_each_new_length_than_by_default() -> None:
    assert growth_mib(ENVIRONMENT) < growth_mib({}) / 2


PROBE = """
import resource, sys
from stages.model.cpu import keep_freed_memory

if sys.argv[1:] == ["keep"]:
    assert keep_freed_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    array = bytearray(b"x") * (100 * 2**20)
    del array
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*words: str) -> list[int]:
    """Of two arrays of 100 MiB, one after the other."""
    ran = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=True)
    return [int(line) for line in ran.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's allocator")
def test_an_array_gets_the_pages_of_the_one_before_it() -> None:
    first, second = page_faults("keep")
    assert second < first / 10
    usual_first, usual_second = page_faults()
    assert usual_second > usual_first / 2  # mapped anew by default: else this test shows nothing
