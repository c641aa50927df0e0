"""How `validate` and `split` grow: writes N invented pairs, runs both stages, prints time and memory.

Run in the repository: python -m benchmarks.data_scale 1000 10000 100000
"""

import json
import random
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.processes import run_measured

REPOSITORY = Path(__file__).parent.parent
WORDS = [
    f"{start}{end}"
    for start in ("ba", "de", "fi", "go", "lu", "ma", "ne", "po", "ri", "su", "ta", "vo")
    for end in range(1700)
]
WEIGHTS = [1 / rank for rank in range(1, len(WORDS) + 1)]  # Zipf, as words are


def write_pairs(path: Path, n: int) -> None:
    """Pairs of 40 to 120 words in groups of about three, 2 % edited copies and 1 % reversed ones."""
    draw = random.Random(n)  # noqa: S311 invented words, no secret
    words = iter(draw.choices(WORDS, WEIGHTS, k=200 * n + 10_000))

    def text() -> str:
        return " ".join(next(words) for _ in range(draw.randint(40, 120))) + "."

    last = {"chosen": text(), "rejected": text()}
    with path.open("w", encoding="utf-8") as file:
        for number in range(n):
            kind = draw.random()
            chosen, rejected = text(), text()
            if kind < 0.01:
                chosen, rejected = last["rejected"], last["chosen"]
            elif kind < 0.03:
                chosen = last["chosen"].replace(" ", " so ", 1)
            last = {"chosen": chosen, "rejected": rejected}
            row = {
                "pair_id": f"p{number}",
                "prompt": f"Write about matter {number}.",
                "group_id": f"g{number // 3}",
            }
            file.write(json.dumps({**row, "editor": f"e{number % 7}", **last}) + "\n")


def main() -> None:
    """One line per size."""
    for n in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "stages").symlink_to(REPOSITORY / "stages")
            write_pairs(folder / "pairs.jsonl", n)
            prompts = [{"prompt_id": f"f{k}", "prompt": f"Tell of thing {k}."} for k in range(50)]
            (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in prompts))
            params = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
            params["data"] |= {"pairs": "pairs.jsonl", "prompts": "prompts.jsonl"}
            (folder / "params.yaml").write_text(yaml.safe_dump(params))
            for stage in ("validate", "split"):
                taken = run_measured([sys.executable, "-m", f"stages.{stage}"], cwd=folder)
                print(f"{n:>9} {stage:9} {taken}", flush=True)


if __name__ == "__main__":
    main()
