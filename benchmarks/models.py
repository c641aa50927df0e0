"""`make models`: tiny, random models of families in use, each through every stage that runs a model.

Writes the table of docs/models.md; benchmarks/families.py makes its rows.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.families import FAMILIES, Row

TABLE = Path("docs/models.md")
START = "<!-- make models -->\n"
HEADER = "| family | verdict | rows of a pair | attention | LoRA adapts | MMLU |\n|---|---|---|---|---|---|"


def try_families(families: Sequence[str]) -> Iterator[Row]:
    """Their rows, out of another process; CalledProcessError where one fails."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.families", *families]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("{"):
                yield Row(**json.loads(line))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command[-3])


def format_row(row: Row) -> str:
    """One line of the table."""
    return f"| `{row.family}` | {' | '.join(row[1:])} |"


def main() -> None:
    """Write the table below its mark, unless a family fails."""
    lines = []
    for row in try_families(list(FAMILIES)):
        lines.append(format_row(row))
        print(lines[-1], flush=True)
    before, mark, _ = TABLE.read_text(encoding="utf-8").partition(START)
    TABLE.write_text(before + mark + "\n" + HEADER + "\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
