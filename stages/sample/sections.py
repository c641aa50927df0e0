"""The twelve sections of the invented applications and what each has to say, as bare clauses."""

from typing import Literal, NamedTuple


class Clause(NamedTuple):
    """Who did or will do what. `precise` and `vague` are two tails of about the same length.

    `thing` is a plural noun phrase; the realiser puts a number or a loose quantity before it.
    """

    tense: Literal["past", "future"]
    agent: str
    verb: str
    thing: str
    precise: str
    vague: str


SECTIONS = {
    "Need": (
        Clause("past", "{partner}", "count", "{people} of {place} who {gap}",
               "in the {area} part of town last winter",
               "in {place} over recent times"),
        Clause("past", "{lead}", "ask", "{people}", "at {venue} in {month} what stands in their way",
               "in {place} about all sorts of barriers"),
        Clause("past", "{org}", "find", "{place} homes whose people {gap}",
               "within {miles} miles of {second}'s door",
               "throughout the wider {place} district"),
        Clause("past", "{partner}", "record", "requests for {sessions}", "between {month} and {month_end}",
               "over quite some while"),
    ),
    "People served": (
        Clause("future", "{org}", "reach", "{people} in {place} who {gap}", "on the {area} side by {month}",
               "over time"),
        Clause("future", "{lead}", "invite", "{people}", "in {place} by letter and in person in {month}",
               "in {place} through a variety of channels"),
        Clause("future", "{partner}", "choose", "{people}", "from its own list each {weekday}",
               "by means of appropriate criteria"),
        Clause("past", "{second}", "reach", "{people} of {place} who {gap}", "through {partner} in {year}",
               "in {second}'s earlier activity"),
    ),
    "Activities": (
        Clause("future", "{org}", "run", "{sessions}", "at {venue} every {weekday} from {month}",
               "in suitable venues at regular intervals"),
        Clause("future", "{lead}", "teach", "{people}", "in groups of {small} with {partner}",
               "in an inclusive and flexible format"),
        Clause("future", "{partner}", "lend", "{kit}", "to {venue} for {n_months} months",
               "to the venue as and when required"),
        Clause("future", "{second}", "plan", "{sessions}",
               "with the {people} on the first {weekday} of each month",
               "in close dialogue with all concerned"),
    ),
    "Outcomes": (
        Clause("future", "{lead}", "measure", "{people}", "in the first and last week with {tool}",
               "throughout in a proportionate manner"),
        Clause("future", "{org}", "move", "{people}", "from {venue} to a next step by {month_end}",
               "on their personal journeys of change"),
        Clause("future", "{partner}", "check", "{records}", "every {small} weeks at {venue}",
               "as part of its ongoing processes"),
        Clause("past", "{org}", "reach", "{people} in an earlier trial", "at {venue} in {year}",
               "by {lead}, with encouraging results overall"),
    ),
    "Evaluation": (
        Clause("future", "{second}", "record", "{records}", "after each {unit} and file them by {weekday}",
               "in line with recognised good practice"),
        Clause("future", "{partner}", "review", "{records}", "in {month} and again in {month_end}",
               "at key points in the life cycle"),
        Clause("future", "{lead}", "ask", "{people}", "the same {small} questions at the start and the end",
               "for reflections on the whole experience"),
        Clause("future", "{org}", "publish", "copies of {org}'s findings",
               "for {partner} and everyone at {venue} in {month_end}",
               "for stakeholders at every level"),
    ),
    "Budget": (
        Clause("future", "{org}", "buy", "{kit}", "from a {place} supplier in {month}",
               "from a range of reputable sources"),
        Clause("future", "the grant to {place}", "pay", "hours for a {role}", "at {venue} until {month_end}",
               "across the initiative"),
        Clause("past", "{lead}", "raise", "gifts from {place} shops",
               "at a fair on {street} Street in {month}",
               "by way of general fundraising activity"),
        Clause("future", "{second}", "check", "{place} invoices",
               "against {org}'s plan on the last {weekday}",
               "under our existing financial framework"),
    ),
    "Staffing": (
        Clause("future", "{org}", "hire", "people as {role}s", "by {month}, through a notice at {venue}",
               "following the usual recruitment cycle"),
        Clause("future", "{lead}", "train", "{place} volunteers", "over {small} {weekday}s at {venue}",
               "to the required level of competence"),
        Clause("past", "{lead}", "lead", "{sessions}", "for {partner} in {place} since {year}",
               "across a long and varied career"),
        Clause("future", "{second}", "keep", "volunteers", "by ringing each one on {weekday} evenings",
               "thanks to an emphasis on wellbeing"),
    ),
    "Partnership": (
        Clause("future", "{partner}", "offer", "free hours at {venue}", "each {weekday} until {month_end}",
               "in kind wherever capacity allows"),
        Clause("past", "{partner}", "share", "{records}", "with {org} from {month} on",
               "in the spirit of joint working"),
        Clause("future", "{org} and {partner}", "choose", "{people}",
               "together at {venue} on the first {weekday} in {month}",
               "in a collaborative fashion going forward"),
        Clause("past", "{lead}", "finish", "smaller projects with {partner}",
               "on {street} Street before {year}",
               "in this field on other occasions"),
    ),
    "Risk": (
        Clause("past", "{lead}", "record", "risks", "for {place} in {month}, the first that {worry}",
               "for {place} in a live document"),
        Clause("future", "{org}", "lower", "the dangers", "before {month}: {answer}",
               "through robust contingency measures"),
        Clause("future", "{second}", "review", "warning signs at {org}",
               "with {partner} on the first {weekday} of the month",
               "as circumstances may dictate"),
        Clause("future", "{partner}", "lend", "helpers for {place}", "at {small} days' notice when {worry}",
               "if challenges arise"),
    ),
    "Timetable": (
        Clause("future", "{org}", "start", "{sessions}", "in the second week of {month} at {venue}",
               "once the set-up phase is complete"),
        Clause("future", "{lead}", "finish", "jobs such as fetching the {kit}", "by the end of {month}",
               "at an early stage in the process"),
        Clause("future", "{second}", "plan", "visits by {partner}",
               "for each {weekday} between {month} and {month_end}",
               "at intervals to be confirmed"),
        Clause("future", "{org}", "review", "milestones in {place}", "with the trustees every {small} weeks",
               "in keeping with the agreed roadmap"),
    ),
    "After the grant": (
        Clause("future", "{partner}", "pay", "{sessions}", "at {venue} from {month_end} on",
               "in the longer term, funds permitting"),
        Clause("future", "{lead}", "train", "past visitors of {org} as leaders",
               "before {month_end}, on {weekday} evenings",
               "with legacy in mind"),
        Clause("future", "{org}", "keep", "{kit}", "in use at {venue} for {small} more years",
               "for the benefit of future cohorts"),
        Clause("future", "{second}", "raise", "regular gifts",
               "from members on {street} Street and a yearly fair",
               "via diversified income streams"),
    ),
    "Track record": (
        Clause("past", "{org}", "run", "{sessions}", "at {venue} between {year} and last {month}",
               "for a considerable period"),
        Clause("past", "{lead}", "teach", "{people}", "with {partner} in {place}",
               "in comparable settings"),
        Clause("past", "{partner}", "review", "{records}", "in {month}, and {second} has the letter",
               "with favourable feedback"),
        Clause("past", "{second}", "train", "{place} volunteers", "on {street} Street in {year}",
               "to a consistently high standard"),
    ),
}  # fmt: skip
