"""What is said while training runs, and what saying it costs."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.logprobs.reference import ReferenceRow
from stages.run.params import load_params
from stages.training.watch import Watch

TRAIN = load_params(Path(__file__).parent.parent.parent / "params.yaml").train
PAIR = ReferenceRow("p0", [3, 4], [5, 6], [7], [-1.0, -1.0], [-1.0])


class Log(list[dict[str, float]]):
    """A log of which the end may be cut off, and which may not be read from its beginning."""

    def __iter__(self) -> None:  # type: ignore[override]
        raise AssertionError("the whole log was read")


def test_a_line_is_judged_by_the_last_window_alone(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(
        [PAIR], TRAIN.model_copy(update={"beta": 0.1, "chosen_drop_window": 2, "chosen_drop_limit": 0.5})
    )
    # reward -0.2 = 0.1 x (-2 nats) over 2 tokens: one nat a token less likely
    for rewards, n_warnings in (([-0.2], 0), ([0.0, -0.1], 0), ([0.0, 0.0, -0.2, -0.2], 1)):
        history = Log([{"loss": 0.7, "rewards/chosen": reward} for reward in rewards])
        state = SimpleNamespace(log_history=history, global_step=len(rewards), max_steps=99)
        watch.on_log(None, state, None, logs={})
        assert capsys.readouterr().err.count("unlearns both texts") == n_warnings
