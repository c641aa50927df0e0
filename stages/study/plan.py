"""What a planned study can and cannot show, before anyone judges."""

from collections.abc import Sequence
from typing import NamedTuple

from stages.files.record import Record
from stages.study.prereg import Prereg, z_of_look
from stages.study.simulation import Rates, Truth, simulate_points, verdict_rates

TRUE_RATES = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
N_PROMPTS_TRIED = (50, 75, 100, 150, 200, 300, 400, 600, 800, 1200, 1600)
POWER_WANTED = 0.8


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
    """Prompts that show a true rate to be above `min_share` 8 times in 10; 0: more than were tried."""

    win_rate: float
    n_prompts: int


class Plan(Record):
    """The operating characteristics of a design, and what it costs."""

    n_prompts: int
    n_editors: int
    min_share: float
    assumptions: Assumptions
    lines: list[PlanLine]
    settling: list[Settling]
    n_screens: int
    hours_per_editor: float


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
    """Verdict rates of this design with `n_prompts`, were the true rate `win_rate`."""
    prereg, assumptions = setting
    truth = Truth(win_rate, assumptions.tie_rate, assumptions.agreement)
    n_editors = len(prereg.editors)
    points = simulate_points(
        truth, n_studies=assumptions.n_simulations, n_prompts=n_prompts, n_editors=n_editors, salt="plan"
    )
    return verdict_rates(
        points,
        truth,
        n_editors=n_editors,
        z=z_of_look(prereg.looks, 1),
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
    wanted = f"{plan.min_share:.0%}"
    names = (f"{'> ' + wanted:>7}", f"{'fail':>6}", f"{'unclear':>7}", f"{'pass':>6}", f"{'confirmed':>9}")
    header = "  ".join(["true rate", *names, f"{'width':>6}"])
    lines = [
        f"{line.win_rate:>9.0%}  {line.literal:>7.1%}  {line.failed:>6.1%}  {line.inconclusive:>7.1%}  "
        f"{line.passed:>6.1%}  {line.confirmed:>9.1%}  {line.width:>6.2f}"
        for line in plan.lines
    ]
    return "\n".join([_title(plan), "", header, *lines, "", *_words(plan)])


def _title(plan: Plan) -> str:
    assumed = plan.assumptions
    return (
        f"{plan.n_prompts} prompts x {plan.n_editors} editors, {assumed.tie_rate:.0%} ties, agreement "
        f"{assumed.agreement:.2f} ({assumed.n_simulations:,} simulated studies a line)"
    )


def _words(plan: Plan) -> Sequence[str]:
    by_rate = {line.win_rate: line for line in plan.lines}
    words = []
    below = [line for rate, line in by_rate.items() if rate < plan.min_share]
    above = [line for rate, line in by_rate.items() if rate > plan.min_share]
    if below and above:
        words.append(
            f"The bare rule '> {plan.min_share:.0%} observed' lets {below[-1].literal:.0%} of models through "
            f"whose true rate is {below[-1].win_rate:.0%}, and stops {1 - above[0].literal:.0%} whose "
            f"true rate is {above[0].win_rate:.0%}."
        )
    for row in plan.settling:
        needed = f"{row.n_prompts} prompts" if row.n_prompts else f"more than {N_PROMPTS_TRIED[-1]} prompts"
        words.append(f"To confirm a true rate of {row.win_rate:.0%} 8 times in 10: {needed}.")
    words.append(f"Each editor judges {plan.n_screens} screens, about {plan.hours_per_editor:.1f} hours.")
    return words
