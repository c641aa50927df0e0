"""The command tree: `bluepencil study open` is `cli/study/open.py`."""
