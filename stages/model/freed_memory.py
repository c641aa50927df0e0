"""Keeps freed memory for the next step, where glibc would give it back to the system."""

import ctypes

import torch

# Of glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER = -1
# Of PyTorch, with THP_MEM_ALLOC_ENABLE: arrays from here on begin with a page.
LARGE_BYTES, PAGE_BYTES = 2 * 2**20, 4096


def keep_freed_memory() -> bool:
    """Have this process reuse the large arrays that it frees; True where the allocator is one that can.

    A training step frees gigabytes, and the next one asks for them again. By default glibc gives them back
    in between, and the system has to find, clear and map every page anew: a tenth of a step's time, with the
    built-in model on a virtual machine. What a process has used at its peak it then keeps to its end.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as macOS's
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 2**30) and mallopt(M_TRIM_THRESHOLD, NEVER))


def empty_with_room(like: torch.Tensor) -> torch.Tensor:
    """An array as `like` is, unfilled, whose place can hold another of its size once it is freed.

    To find the beginning of a page glibc looks for a page more than a large array takes. Where one lay
    between two that stay, no second one of its size would ever lie: each layer would leave such gaps.
    """
    if like.nbytes < LARGE_BYTES:
        return torch.empty_like(like)
    n_more = 2 * PAGE_BYTES // like.element_size()  # a page, and what glibc writes in front of an array
    return like.new_empty(like.numel() + n_more)[: like.numel()].view(like.shape)
