"""`bluepencil study plan`: what the design can show, and the pre-registration."""

from stages.files.io import read_record, write_json, write_text
from stages.files.record import Record
from stages.pages.html import render_page
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say, waiting
from stages.study.folder import PREREG
from stages.study.opening import name_anchors, read_anchors
from stages.study.plan import Assumptions, Plan, format_plan, make_plan
from stages.study.prereg import Prereg, prereg_from, render_prereg

PLAN = paths.STUDY / "plan.json"
PLOT = paths.STUDY / "plan.svg"

WIDTH, HEIGHT, LEFT, TOP = 640, 360, 56, 24
CURVES = (
    ("literal", "observed above the target", "#1f4e8c", ""),
    ("confirmed", "confirmed", "#1b6e3c", ""),
    ("failed", "fail", "#8a1c1c", ""),
    ("inconclusive", "inconclusive", "#6b6b6b", "6 4"),
)


class PlanFile(Record):
    """`plan.json`: a plan with the design it was made for."""

    prereg: Prereg
    plan: Plan


def plan_study() -> None:
    """Print the table; write pre-registration, numbers and plot. Unchanged inputs are not simulated again."""
    params = load_params()
    prereg = name_anchors(prereg_from(params), read_anchors(params))
    assumptions = Assumptions(**params.study.plan.model_dump())
    made = cached_plan(prereg, assumptions)
    if made is None:
        with waiting("simulating studies"):
            made = make_plan(prereg, assumptions)
    write_json(PLAN, PlanFile(prereg=prereg, plan=made))
    write_text(PLOT, draw_plot(made))
    write_text(paths.STUDY / PREREG, render_prereg(prereg))
    print(format_plan(made))
    say(f"wrote {paths.STUDY / PREREG}, {PLAN}, {PLOT}; next: git add study && git commit, then `study open`")


def cached_plan(prereg: Prereg, assumptions: Assumptions) -> Plan | None:
    """The plan on disk if it was made for these inputs."""
    if not PLAN.exists():
        return None
    record = read_record(PLAN, PlanFile)
    made_for = (record.prereg, record.plan.assumptions, record.plan.n_looks)
    return record.plan if made_for == (prereg, assumptions, prereg.looks) else None


def draw_plot(plan: Plan) -> str:
    """Verdicts against the true rate, as one SVG file."""
    rates = [line.win_rate for line in plan.lines]

    def x(rate: float) -> float:
        return round(LEFT + (rate - rates[0]) / (rates[-1] - rates[0]) * (WIDTH - LEFT - 24), 1)

    def y(share: float) -> float:
        return round(TOP + (1 - share) * (HEIGHT - TOP - 64), 1)

    curves = [
        {
            "label": label,
            "colour": colour,
            "dash": dash,
            "points": " ".join(f"{x(line.win_rate)},{y(getattr(line, name))}" for line in plan.lines),
        }
        for name, label, colour, dash in CURVES
    ]
    return render_page(
        "study/study_plan.svg.j2",
        width=WIDTH,
        height=HEIGHT,
        title=f"What {plan.n_prompts} prompts{plan.a_look} and {plan.n_editors} editors can show",
        curves=curves,
        xs=[(x(rate), f"{rate:.0%}") for rate in rates],
        ys=[(y(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)],
        left=LEFT,
        right=WIDTH - 24,
        bottom=y(0),
        target=x(plan.min_share),
        top=TOP,
    )
