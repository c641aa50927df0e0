"""The parent's side of `benchmarks.dpo`: starts arms and lets them take turns."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from stages.errors import RuntimeCheckError
from stages.files.io import write_json
from stages.model.rendered import RenderedPair
from stages.run.params import Params
from stages.run.progress import say


class Block(NamedTuple):
    """Work between two words of the parent."""

    phase: str
    n_pairs: int
    seconds: float
    cpu_seconds: float


class Arm:
    """One process that trains one way; it works only while it is asked to."""

    def __init__(
        self,
        name: str,
        kind: Literal["reference", "ours", "trl"],
        pairs: Sequence[RenderedPair],
        *,
        base: Path,
        work: Path,
        params: Params,
        flags: Mapping[str, Any] | None = None,
        keeps_memory: bool = False,
    ) -> None:
        self.name = name
        self.blocks: list[Block] = []
        self.losses: list[float] = []
        self.imported_bytes = self.peak_bytes = 0
        self.folder = work / name.replace(" ", "-").replace(",", "")
        spec = {
            "kind": kind,
            "base": str(base),
            "folder": str(self.folder / "run"),
            "pairs": [list(pair) for pair in pairs],
            "params": params.model_dump(by_alias=True),
            "flags": dict(flags or {}),
            "keeps_memory": keeps_memory,
        }
        write_json(self.folder / "spec.json", spec)

    def start(self) -> None:
        """Start the process; it loads by itself and then waits."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.dpo_arm", str(self.folder / "spec.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeCheckError("benchmarks.dpo: the arm has no pipes")
        self.mouth, self.ear = self.process.stdin, self.process.stdout
        self._listen()

    def advance(self) -> bool:
        """Have one block done; False once the arm has reported its end."""
        self.mouth.write("go\n")
        self.mouth.flush()
        came = self._listen()
        if came["phase"] == "end":
            self.losses = came["losses"]
            self.imported_bytes, self.peak_bytes = came["imported_bytes"], came["peak_bytes"]
            self.mouth.close()
            self.ear.close()
            self.process.wait()
            return False
        self.blocks.append(Block(**came))
        say(f"  {self.name}: {came['phase']}, {came['n_pairs']} pairs, {came['seconds']:.2f} s")
        return True

    def _listen(self) -> dict[str, Any]:
        line = self.ear.readline()
        if not line:
            raise RuntimeCheckError(
                f"benchmarks.dpo: {self.name} ended with {self.process.wait()}; see above"
            )
        came: dict[str, Any] = json.loads(line)
        return came


def alternate(arms: Sequence[Arm]) -> None:
    """Start all arms, then run them to their end, a block each in turn."""
    for arm in arms:
        arm.start()
    at_work = list(arms)
    while at_work:
        at_work = [arm for arm in at_work if arm.advance()]


def total_seconds(arm: Arm, *phases: str) -> float:
    """Seconds of all blocks of these phases."""
    return sum(block.seconds for block in arm.blocks if block.phase in phases)


def seconds_per_pair(arm: Arm, phase: str) -> float:
    """Median over the phase's blocks."""
    return statistics.median(block.seconds / block.n_pairs for block in arm.blocks if block.phase == phase)
