"""What is freed is there for the next array, without a page fault for each of its pages."""

import platform
import subprocess
import sys

import pytest

PROBE = """
import resource, sys
from stages.adapters.freed_memory import keep_freed_memory

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
