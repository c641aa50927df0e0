"""Shares as people write them, on a page, in a terminal and in a message alike."""


def percent(share: float, *, places: int = 1) -> str:
    """A share with its decimals: 0.583 is `58.3 %`."""
    return f"{100 * share:.{places}f} %"
