"""The model hub, which is reached only where a parameter or an option names it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def hub_allowed() -> Iterator[None]:
    """Lift the offline switches, which the shell sets for every process, while the block runs."""
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    before = {name: os.environ.pop(name, None) for name in names}
    import huggingface_hub.constants  # noqa: F401 - read below, with whatever else copied the switch

    copies: list[Any] = [sys.modules.get(name) for name in ("huggingface_hub.constants", "datasets.config")]
    was_offline = [(module, module.HF_HUB_OFFLINE) for module in copies if module is not None]
    try:
        for module, _ in was_offline:
            module.HF_HUB_OFFLINE = False
        yield
    finally:
        os.environ.update({name: value for name, value in before.items() if value is not None})
        for module, value in was_offline:
            module.HF_HUB_OFFLINE = value
