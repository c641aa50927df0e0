"""Words of the sample corpus that belong to no theme: verbs, funders, sections, phrases good and bad."""

from typing import NamedTuple


class Verb(NamedTuple):
    """Base, past and participle, in plain words and in jargon."""

    base: str
    past: str
    participle: str
    jargon_base: str
    jargon_past: str
    jargon_participle: str


VERBS = {
    "run": Verb("run", "ran", "run", "operationalise", "operationalised", "operationalised"),
    "teach": Verb("teach", "taught", "taught", "upskill", "upskilled", "upskilled"),
    "ask": Verb("ask", "asked", "asked", "consult", "consulted", "consulted"),
    "buy": Verb("buy", "bought", "bought", "procure", "procured", "procured"),
    "start": Verb("start", "started", "started", "commence", "commenced", "commenced"),
    "share": Verb("share", "shared", "shared", "disseminate", "disseminated", "disseminated"),
    "check": Verb("check", "checked", "checked", "quality-assure", "quality-assured", "quality-assured"),
    "find": Verb("find", "found", "found", "identify", "identified", "identified"),
    "keep": Verb("keep", "kept", "kept", "retain", "retained", "retained"),
    "count": Verb("count", "counted", "counted", "quantify", "quantified", "quantified"),
    "hire": Verb("hire", "hired", "hired", "onboard", "onboarded", "onboarded"),
    "train": Verb("train", "trained", "trained", "capacity-build", "capacity-built", "capacity-built"),
    "offer": Verb("offer", "offered", "offered", "make available", "made available", "made available"),
    "record": Verb("write down", "wrote down", "written down", "document", "documented", "documented"),
    "plan": Verb("plan", "planned", "planned", "strategise", "strategised", "strategised"),
    "lead": Verb("lead", "led", "led", "spearhead", "spearheaded", "spearheaded"),
    "review": Verb("look over", "looked over", "looked over", "evaluate", "evaluated", "evaluated"),
    "lower": Verb("lower", "lowered", "lowered", "mitigate", "mitigated", "mitigated"),
    "reach": Verb("reach", "reached", "reached", "engage", "engaged", "engaged"),
    "raise": Verb("raise", "raised", "raised", "leverage", "leveraged", "leveraged"),
    "choose": Verb("choose", "chose", "chosen", "prioritise", "prioritised", "prioritised"),
    "pay": Verb("pay for", "paid for", "paid for", "resource", "resourced", "resourced"),
    "lend": Verb("lend", "lent", "lent", "allocate", "allocated", "allocated"),
    "finish": Verb("finish", "finished", "finished", "finalise", "finalised", "finalised"),
    "invite": Verb("invite", "invited", "invited", "outreach to", "outreached to", "outreached to"),
    "measure": Verb("measure", "measured", "measured", "benchmark", "benchmarked", "benchmarked"),
    "move": Verb("move", "moved", "moved", "transition", "transitioned", "transitioned"),
    "publish": Verb("print", "printed", "printed", "cascade", "cascaded", "cascaded"),
}

FUNDERS = {
    "a community foundation": (
        "letting residents decide what changes on their own streets",
        "residents taking charge of their neighbourhood",
        "small groups run by the people they serve",
    ),
    "a national lottery fund": (
        "people of different backgrounds coming together",
        "bringing strangers into the same room",
        "stronger ties between communities",
    ),
    "a health charity": (
        "keeping people well and out of hospital",
        "better health for those who are ill most often",
        "preventing illness rather than treating it",
    ),
    "an arts council": (
        "letting everybody make and enjoy art",
        "new work by artists and amateurs alike",
        "culture in places that have had little of it",
    ),
    "an environment fund": (
        "clean water, healthy soil and less carbon",
        "more wildlife near people's homes",
        "cutting waste and caring for nature",
    ),
    "an education trust": (
        "closing the gap in attainment between poor pupils and others",
        "children leaving school with good results",
        "better learning for pupils who have fallen behind",
    ),
    "a company's giving programme": (
        "skills that lead to paid work",
        "staff volunteering close to our client's sites",
        "helping people into lasting jobs",
    ),
    "a city council": (
        "easing the load on public services",
        "fewer people in crisis at the council's door",
        "services joined up around each household",
    ),
}

FIT = (
    "The project serves the fund's purpose in {place}: {aim}.",
    "The funder asks for what {place} lacks, {aim}.",
    "To {org}, {aim} matters most.",
    "At {venue} in {place}, {lead} works towards {aim}.",
    "The gain for {place} is plain: {aim}.",
    "In {place} we want {aim}.",
    "The work of {lead} means {aim}.",
    "Like your programme, {org} stands for {aim}.",
)

NAMED_OUTCOMES = (
    "By {month_end}, {n_out} of the {people} in {place} will {skill}, and {lead} will show it with {tool}.",
    "{Org} will call it a success when {n_out} {people} {skill}, which {second} will measure by {tool}.",
    "At the end, in {month_end}, {n_out} {place} people will {skill}; {lead} will prove it with {tool}.",
    "The test for {org}: by {month_end} {n_out} of its {people} {skill}, in the judgement of {lead} and {tool}.",
    "{Lead} will report in {month_end} that {n_out} in {place} {skill}, going by what {second} finds in {tool}.",
)

VAGUE_OUTCOMES = (
    "By the end, the {people} of {place} will feel {feeling}, and {org} as a whole will be better for it.",
    "{People} who feel {feeling} are what {org} calls success, and {second} trusts that others notice.",
    "As time goes on, {place}'s {people} will become {feeling}, with lasting benefits for {org} and far beyond.",
    "At {org} we hope that {people} feel {feeling} and {place} sees good things follow.",
    "{Lead} will see to it that {place}'s {people} go home {feeling}, and that {second} spreads a sense of belonging.",
)

BUDGETS = (
    "A {unit} costs £{price}, so {n_units} of them come to £{total}.",
    "We ask for £{total}: {n_units} at £{price} for each {unit}.",
    "The £{total} pays for {n_units} at £{price} a {unit}, and nothing else.",
    "At £{price} a {unit} and {n_units} in the year, the grant of £{total} is spent in full.",
    "Each {unit} takes £{price} from the grant; {n_units} take £{total}.",
    "{Lead} has priced one {unit} at £{price}, which makes £{total} for all {n_units}.",
)

FACTS = (
    "In all, {n_people} {people} from {place} will take part over {n_months} months.",
    "Over {n_months} months, {org} will work with {n_people} {people}.",
    "{Org} has room for {n_people} {people}, and the work lasts {n_months} months.",
    "The plan of {lead} is for {n_people} {people} and {n_months} months.",
    "{n_people} {people} can join {org} during the {n_months} months of the project.",
)

CLICHES = (
    "Now more than ever, {place} must think outside the box.",
    "At the end of the day, {place} deserves a brighter tomorrow.",
    "{Org} is passionate about making a real difference.",
    "Together, {place} and {org} can turn dreams into reality.",
    "In today's fast-paced world, nobody in {place} should be left behind.",
    "This project is a true game changer for {place}.",
    "{Org} goes above and beyond, day in and day out.",
    "It takes a village, and {place} is that village.",
    "{Place} is on a journey, and {org} will take it to the next level.",
    "{Lead} leaves no stone unturned to unlock potential.",
    "The work of {lead} shines a light where {place} needs it most.",
    "The time is now for {org} to move the needle.",
    "{Second} gives one hundred and ten per cent, and {place} is worth it.",
    "For {org}, the sky is the limit.",
    "{Place} is a hidden gem, and {lead} wants the world to know.",
)

NEUTRAL = (
    "{Lead} has worked in {place} since {founded}.",
    "{Org} has met at {venue} since {founded}.",
    "Buses from {place}'s {area} estate stop at {venue}.",
    "The trustees of {org} meet on the first {weekday} of the month.",
    "{Second} answers for safeguarding at {org}.",
    "{Lead} signs every payment, and {second} countersigns.",
    "{Org} has {n_old} members and publishes its accounts each {month}.",
    "{Partner} wrote in support of {org} in {month}.",
    "{Org} and {partner} signed an agreement in {year}.",
    "There is step-free access from {place}'s {street} Street.",
    "{Org} is insured for its work at {venue}.",
    "Neighbours on {place}'s {street} Street lend chairs when {venue} is full.",
    "A notice about the {sessions} hangs in {org}'s window on {street} Street.",
    "{Second} keeps the register, and {lead} reads it every {weekday}.",
    "The office in {place} opens on {weekday}s, and {second} is in.",
    "{Lead} and {second} share the work between them.",
    "Most of {org}'s {people} come from the {area} side of {place}.",
    "{Second} came to {org} as a volunteer in {year}.",
    "{Place}'s own people sit on the committee, {second} among them.",
    "{Lead} reports to the trustees of {org}; {second} stands in.",
    "{Org} keeps its records on {street} Street, under {second}'s lock.",
    "From {place}'s station it is a short walk to {venue}.",
    "In {founded} {lead} set up the first {sessions} with {partner}.",
    "{Org} began in {founded} on {street} Street with {small} volunteers.",
)

HEDGED_FUTURE = ("would hope to", "may be able to", "would aim to", "might seek to", "would endeavour to")
HEDGED_PASSIVE = (
    "it is hoped that {} could be",
    "it is felt that {} might be",
    "subject to review, {} may be",
)
HEDGED_PAST = ("to some extent,", "it could be said that", "broadly speaking,", "in a sense,")
MANY = ("a significant number of", "numerous", "a wide range of", "many different", "a growing number of")

ONES = (
    "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
FIRST_NAMES = (
    "Amina", "Ruth", "Tomasz", "Grace", "Callum", "Priya", "Joan", "Derek", "Leila", "Owen", "Marta",
    "Samuel",
    "Nadia", "Colin", "Fatou", "Bethan", "Hugh", "Irene", "Kwame", "Linnea", "Rosa", "Viktor", "Winifred",
    "Yusuf",
)  # fmt: skip
LAST_NAMES = (
    "Adeyemi", "Barlow", "Castellan", "Dunmore", "Eastwick", "Farrow", "Gossage", "Hallam", "Ibbotson",
    "Jessop",
    "Kowal", "Lockett", "Mistry", "Norbury", "Okafor", "Pemberley", "Quayle", "Rudge", "Sandhu", "Tranter",
    "Usher", "Varley", "Whitlock", "Yardley",
)  # fmt: skip
PLACE_STARTS = (
    "Bracken", "Mill", "Thorn", "Ash", "Elder", "Hawks", "Stan", "Wether", "Larks", "Copper", "Fern", "Heron",
    "Oaken", "Raven", "Salter", "Winter", "Alder", "Cold", "Drift", "Fox", "Gorse", "Har", "Kestrel", "Marl",
)  # fmt: skip
PLACE_ENDS = (
    "ford", "bury", "combe", "wick", "ley", "stead", "thorpe", "mere", "well", "den", "hithe", "moor", "ham",
    "bridge", "cote", "garth", "holme", "ridge", "stow", "worth",
)  # fmt: skip
AREAS = ("north", "south", "east", "west", "harbour", "hill", "station", "canal", "mill", "market")
STREETS = (
    "Albert", "Baker", "Chapel", "Dock", "Engine", "Foundry", "Garden", "Hope", "Ivy", "Jubilee", "Kiln",
    "Lime",
    "Mason", "Nelson", "Orchard", "Paradise", "Quarry", "Rope", "Silver", "Tanner", "Union", "Vine", "Weaver",
)  # fmt: skip
