"""Keeps freed memory for the next step, where glibc would give it back to the system."""

import ctypes

# Of glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER = -1


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
