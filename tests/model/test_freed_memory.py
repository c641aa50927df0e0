"""What is freed is there for the next array, without a page fault for each of its pages."""

import platform
import subprocess
import sys

import pytest
import torch

from stages.model.freed_memory import empty_with_room

PROBE = """
import resource, sys
from stages.model.freed_memory import keep_freed_memory

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


REUSE = """
import os, sys
os.environ["THP_MEM_ALLOC_ENABLE"] = "1"
import torch
from stages.model.freed_memory import empty_with_room, keep_freed_memory

keep_freed_memory()
make = empty_with_room if sys.argv[1:] == ["room"] else torch.empty_like
kept = [torch.empty(1_000_000)]
for _ in range(10):
    passing = make(kept[0])
    kept.append(torch.empty_like(kept[0]))  # behind it in the heap
    place = passing.data_ptr()
    del passing
    kept.append(torch.empty_like(kept[0]))
    print(int(abs(kept[-1].data_ptr() - place) < 3 * 4096))
"""


def times_reused(*words: str) -> int:
    """How many of ten arrays lie where one of their size was freed before."""
    ran = subprocess.run([sys.executable, "-c", REUSE, *words], capture_output=True, text=True, check=True)
    return sum(int(line) for line in ran.stdout.split())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's allocator")
def test_where_an_array_with_room_was_another_finds_its_place() -> None:
    assert times_reused("room") == 10
    assert times_reused() < 5  # by default: else this test shows nothing


@pytest.mark.parametrize("shape", [(2, 3, 5), (4, 1000, 300)])  # few, and more than the 2 MiB of a large one
def test_an_array_with_room_is_as_its_pattern_is(shape: tuple[int, ...]) -> None:
    pattern = torch.zeros(shape, dtype=torch.float64)
    array = empty_with_room(pattern)
    assert (array.shape, array.dtype, array.is_contiguous()) == (shape, torch.float64, True)
