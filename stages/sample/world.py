"""The invented applicants: who asks whom for what, with all figures of the brief."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from stages.files.hashing import uniform
from stages.sample import phrases
from stages.sample.themes import THEMES, Theme

Item = TypeVar("Item")


def pick(items: Sequence[Item], *name: str) -> Item:
    """The item that `name` draws."""
    return items[int(uniform("sample", *name) * len(items))]


def whole(low: int, high: int, *name: str) -> int:
    """A whole number from `low` to `high` that `name` draws."""
    return low + int(uniform("sample", *name) * (high - low + 1))


class Application(NamedTuple):
    """One application; its facts are the same in every paragraph."""

    application_id: str
    theme: Theme
    place: str
    organisation: str
    funder: str
    aim: str
    people: str
    venue: str
    partner: str
    lead: str
    second: str
    area: str
    street: str
    founded: int
    n_people: int
    n_months: int
    n_units: int
    price: int

    def word(self, name: str, choose: Callable[[Sequence[str]], str]) -> str:
        """What stands for a name in braces; `choose` draws where there are several."""
        if name in _CHOICES:
            return choose(_CHOICES[name])
        if name in _FROM_THEME:
            return choose(getattr(self.theme, _FROM_THEME[name]))
        if name in ("partner", "venue"):
            known = getattr(self, name)
            return choose([known, known, f"the {self.place} {known.removeprefix('the ')}"])
        return {
            "org": self.organisation,
            "unit": self.theme.unit,
            "n_out": str(max(2, self.n_people * 2 // 3)),
            "n_old": str(self.n_people * 3 + self.n_units),
        }.get(name) or str(getattr(self, name))


_FROM_THEME = {
    "sessions": "sessions", "kit": "kit", "gap": "gaps", "skill": "skills", "tool": "tools", "feeling": "feelings",
    "worry": "worries", "answer": "answers", "records": "records", "role": "roles",
}  # fmt: skip
_CHOICES: dict[str, tuple[str, ...]] = {
    "weekday": phrases.WEEKDAYS,
    "month": phrases.MONTHS[:6],
    "month_end": phrases.MONTHS[6:],
    "year": tuple(str(year) for year in range(2017, 2024)),
    "small": ("two", "three", "four", "five", "six", "eight"),
    "miles": ("two", "three", "four", "five"),
}


def invent_applications(n: int) -> list[Application]:
    """`n` applications, each from a place of its own."""
    places = [start + end for start in phrases.PLACE_STARTS for end in phrases.PLACE_ENDS]
    places.sort(key=lambda place: uniform("sample", "place", place))
    if n > len(places):
        raise ValueError(f"{len(places)} places can be named, {n} were asked for")
    return [_invent(f"app-{number:03d}", place) for number, place in enumerate(places[:n], start=1)]


def _invent(application_id: str, place: str) -> Application:
    def one(items: Sequence[Item], what: str) -> Item:
        return pick(items, application_id, what)

    def number(low: int, high: int, what: str) -> int:
        return whole(low, high, application_id, what)

    theme = one(THEMES, "theme")
    funder = one(sorted(phrases.FUNDERS), "funder")
    first = one(phrases.FIRST_NAMES, "first")
    return Application(
        application_id=application_id,
        theme=theme,
        place=place,
        organisation=f"{place} {theme.organisation}",
        funder=funder,
        aim=one(phrases.FUNDERS[funder], "aim"),
        people=one(theme.people, "people"),
        venue=one(theme.venues, "venue"),
        partner=one(theme.partners, "partner"),
        lead=f"{first} {one(phrases.LAST_NAMES, 'last')}",
        second=one([name for name in phrases.FIRST_NAMES if name != first], "second")
        + f" {one(phrases.LAST_NAMES, 'second last')}",
        area=one(phrases.AREAS, "area"),
        street=one(phrases.STREETS, "street"),
        founded=number(1994, 2014, "founded"),
        n_people=number(14, 96, "n_people"),
        n_months=number(6, 24, "n_months"),
        n_units=number(12, 80, "n_units"),
        price=number(19, 240, "price"),
    )
