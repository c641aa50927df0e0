"""The command tree: `bluepencil study plan` is `cli/study/plan.py`."""
