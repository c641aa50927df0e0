"""Whose processor this is: it decides by which library float32 is multiplied (model/cpu.py)."""

from pathlib import Path


def is_intels(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Is the processor one of Intel's, as Linux reports it? False where that file does not exist."""
    return cpuinfo.is_file() and "GenuineIntel" in cpuinfo.read_text(encoding="utf-8", errors="replace")
