"""Blue Pencil: from editors' preference pairs to a release decision you can defend.

One stage of `dvc.yaml` is one module of this package: it reads, computes and writes. The folders are
rooms, one a domain; docs/architecture.md has the plan.
"""

import importlib.util
import sys

# The light ones: data-quality checks run where torch and what stands on it are not installed.
NEEDED = ("great_expectations", "pydantic", "typer", "yaml")

if sys.version_info < (3, 11) or any(importlib.util.find_spec(name) is None for name in NEEDED):
    # DVC runs `python` from PATH, not the interpreter it was installed for.
    sys.exit(
        f"bluepencil: {sys.executable} lacks Blue Pencil's packages (Python 3.11 or newer is needed).\n"
        "Run `source .venv/bin/activate` first (`make venv` builds it), "
        "or use `make repro` or `.venv/bin/bluepencil repro`."
    )
