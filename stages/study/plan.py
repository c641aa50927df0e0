"""What a planned study can and cannot show, before anyone judges."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from stages.files.numbers import percent
from stages.files.record import Record
from stages.study.prereg import Z_ONE_LOOK, Z_TWO_LOOKS, Prereg
from stages.study.simulation import Rates, Truth, simulate_points, verdict_rates

TRUE_RATES = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
N_PROMPTS_TRIED = (50, 75, 100, 150, 200, 300, 400, 600, 800, 1200, 1600)
POWER_WANTED = 0.8
whole = partial(percent, places=0)


class Assumptions(Record):
    """What the plan rests on beside the design."""

    tie_rate: float
    agreement: float
    n_simulations: int
    minutes_per_screen: float


class PlanLine(Record):
    """How often each verdict falls if the true win rate is `win_rate`; shares of simulated studies."""

    win_rate: float
    literal: float
    failed: float
    inconclusive: float
    passed: float
    confirmed: float
    covered: float
    width: float


class Settling(Record):
    """Prompts a look that show a true rate to be above `min_share` 8 times in 10; 0: more than were tried."""

    win_rate: float
    n_prompts: int


class Plan(Record):
    """The operating characteristics of a design, and what it costs."""

    n_prompts: int  # a look
    n_editors: int
    n_looks: int = 1
    min_share: float
    assumptions: Assumptions
    lines: list[PlanLine]
    settling: list[Settling]
    n_screens: int
    hours_per_editor: float

    @property
    def a_look(self) -> str:
        """What a number of one look is followed by, where there are two."""
        return " a look" if self.n_looks == 2 else ""


class Setting(NamedTuple):
    """A design with its assumptions; what a simulation needs besides the true rate."""

    prereg: Prereg
    assumptions: Assumptions


def make_plan(prereg: Prereg, assumptions: Assumptions) -> Plan:
    """Simulate the design at each true rate. The same inputs give the same plan."""
    setting = Setting(prereg, assumptions)
    possible = [rate for rate in TRUE_RATES if _is_possible(rate, assumptions.tie_rate)]
    n_screens = prereg.n_prompts + prereg.n_repeats + prereg.n_anchors
    return Plan(
        n_prompts=prereg.n_prompts,
        n_editors=len(prereg.editors),
        n_looks=prereg.looks,
        min_share=prereg.min_share,
        assumptions=assumptions,
        lines=[
            PlanLine(win_rate=rate, **rates_at(setting, rate, prereg.n_prompts)._asdict())
            for rate in possible
        ],
        settling=[_settle(setting, rate) for rate in possible if rate > prereg.min_share],
        n_screens=n_screens,
        hours_per_editor=n_screens * assumptions.minutes_per_screen / 60,
    )


def rates_at(setting: Setting, win_rate: float, n_prompts: int) -> Rates:
    """Verdict rates of this design with `n_prompts` a look, were the true rate `win_rate`."""
    prereg, assumptions = setting
    truth = Truth(win_rate, assumptions.tie_rate, assumptions.agreement)
    n_editors = len(prereg.editors)
    points = simulate_points(
        truth, n_studies=assumptions.n_simulations, n_prompts=prereg.looks * n_prompts,
        n_editors=n_editors, salt="plan",
    )  # fmt: skip
    return verdict_rates(
        points,
        truth,
        n_editors=n_editors,
        looks=Z_TWO_LOOKS if prereg.looks == 2 else (Z_ONE_LOOK,),
        min_share=prereg.min_share,
        chance=prereg.chance,
    )


def _settle(setting: Setting, win_rate: float) -> Settling:
    for n_prompts in N_PROMPTS_TRIED:
        if rates_at(setting, win_rate, n_prompts).confirmed >= POWER_WANTED:
            return Settling(win_rate=win_rate, n_prompts=n_prompts)
    return Settling(win_rate=win_rate, n_prompts=0)


def _is_possible(win_rate: float, tie_rate: float) -> bool:
    return tie_rate / 2 < win_rate < 1 - tie_rate / 2


def format_plan(plan: Plan) -> str:
    """The plan as a table for a terminal, and in words."""
    names = (f"{'> ' + whole(plan.min_share):>7}", f"{'fail':>7}", f"{'inconclusive':>12}", f"{'pass':>7}",
             f"{'confirmed':>9}", "range, points")  # fmt: skip
    lines = [
        f"{whole(line.win_rate):>9}  {percent(line.literal):>7}  {percent(line.failed):>7}  "
        f"{percent(line.inconclusive):>12}  {percent(line.passed):>7}  "
        f"{percent(line.confirmed):>9}  {100 * line.width:>13.0f}"
        for line in plan.lines
    ]
    return "\n".join([*_title(plan), "", "  ".join(["true rate", *names]), *lines, "", *_words(plan)])


def _title(plan: Plan) -> Iterator[str]:
    assumed = plan.assumptions
    yield (
        f"{plan.n_prompts} prompts{plan.a_look} x {plan.n_editors} editors, {whole(assumed.tie_rate)} ties, "
        f"agreement {assumed.agreement:.2f} ({assumed.n_simulations:,} simulated studies a line)"
    )
    if plan.n_looks == 2:
        yield "Two looks: a second study of as many prompts where the first neither fails nor confirms."


def _words(plan: Plan) -> Iterator[str]:
    below = [line for line in plan.lines if line.win_rate < plan.min_share]
    above = [line for line in plan.lines if line.win_rate > plan.min_share]
    if below and above:
        yield (
            f"The bare rule '> {whole(plan.min_share)} observed' lets {whole(below[-1].literal)} of "
            f"models through whose true rate is {whole(below[-1].win_rate)}, and stops "
            f"{whole(1 - above[0].literal)} whose true rate is {whole(above[0].win_rate)}."
        )
    for row in plan.settling:
        needed = f"{row.n_prompts}" if row.n_prompts else f"more than {N_PROMPTS_TRIED[-1]}"
        yield f"To confirm a true rate of {whole(row.win_rate)} 8 times in 10: {needed} prompts{plan.a_look}."
    screens = f"{plan.n_screens} screens{plan.a_look}"
    yield f"Each editor judges {screens}, about {plan.hours_per_editor:.1f} hours."
