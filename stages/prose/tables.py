"""Tables of words by which English texts are read; nothing here decides."""


def words(text: str) -> list[str]:
    """The words of a table, parted by white space."""
    return text.split()


def numbered(text: str, *, start: int, step: int = 1) -> dict[str, int]:
    """The words of a table with their numbers from `start` on; a comma parts the spellings of one."""
    return {
        one: start + step * place
        for place, entry in enumerate(words(text))
        for one in entry.replace("_", " ").split(",")
    }


UNITS = numbered(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
        sixteen seventeen eighteen nineteen""",
    start=0,
)
TENS = numbered("twenty thirty forty fifty sixty seventy eighty ninety", start=20, step=10)
SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
SHORT_SCALES = {"k": 10**3, "m": 10**6, "mn": 10**6, "bn": 10**9}
FRACTIONS = numbered("half,halve third quarter,fourth fifth sixth seventh eighth ninth tenth", start=2)
ORDINALS = numbered(
    """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
        fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first
        twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth twenty-seventh
        twenty-eighth twenty-ninth thirtieth thirty-first""",
    start=1,
)
CURRENCIES = {
    "£": "GBP", "$": "USD", "€": "EUR", "¥": "JPY", "₹": "INR", "gbp": "GBP", "usd": "USD", "us$": "USD",
    "eur": "EUR", "chf": "CHF", "cad": "CAD", "aud": "AUD", "pound": "GBP", "pounds": "GBP", "quid": "GBP",
    "dollar": "USD", "dollars": "USD", "euro": "EUR", "euros": "EUR",
}  # fmt: skip
COINS = {"p": "GBP", "pence": "GBP", "cent": "USD", "cents": "USD"}  # a hundredth each
MONTHS = numbered(
    """january,jan february,feb march,mar april,apr may june,jun july,jul august,aug september,sept,sep
        october,oct november,nov december,dec""",
    start=1,
)
WEEKDAYS = numbered("monday tuesday wednesday thursday friday saturday sunday", start=1)
# A number behind one of these names a place in a text, not a fact.
REFERENCES = words(
    "section sentence paragraph figure table step option question chapter appendix draft version part"
)
# What a number of four digits counts, though the word ends in no s.
COUNTED_NOUNS = frozenset(words("people men women children square sheep"))

TITLES = frozenset(
    words(
        """mr mrs ms miss mx dr prof professor sir dame lord lady rev reverend cllr councillor maestro captain
        chair chairman chairwoman president"""
    )
)
ABBREVIATIONS = frozenset(words("mr mrs ms dr prof st rev cllr jr sr no vs e.g i.e etc"))
LINKS = frozenset(words("of de la le du da van von der den del di upon"))  # may stand inside a name
# Words that may open a sentence before a name: never the name's own first word.
OPENERS = frozenset(
    words(
        """a about above according across actually additionally
        after afterwards again against all almost along
        already also although always among an and another any anyone around as at because before
        behind below beneath beside besides between beyond both but by can clearly consequently
        could dear despite do does during each either even eventually every everyone except few
        finally first following for former formerly from further furthermore give had has have he
        hence her here his how however i if imagine in indeed inside instead into is it its just
        last lastly lately later led let like likewise many maybe meanwhile meet moreover most much
        my near nearby neither never nevertheless next no nobody none nor nothing notably now of off
        often on once one only or other others our outside over overall past perhaps please
        previously rather read recently ring same second see several she should similarly since so
        some someone soon still such support surely tell thank that the their then there therefore
        these they third this those though through throughout thus to today together tomorrow too
        towards under unless unlike until up upon visit was we were what when where whereas wherever
        whether which while who whoever whose why will with within without would write yes yesterday
        yet you your working partner partners"""
    )
)
# Capitalised in the middle of a sentence, and yet no proper name: roles, parts of an application.
NOT_NAMES = frozenset(
    words(
        """i ok applicant applicants application brief funder funders grant grants project projects programme
        program board trustee trustees committee chairperson director manager coordinator officer
        executive ceo treasurer secretary volunteer volunteers staff team paragraph need outcomes
        evaluation budget staffing risk timetable partnership activities title summary introduction
        conclusion background objective objectives goal goals mission vision impact christmas easter
        ramadan eid diwali internet web email pdf tv cv faq diy gcse gcses god bible covid"""
    )
) | {*MONTHS, *WEEKDAYS, *REFERENCES}

# No name alone, and yet the first word of some: the British Library.
ADJECTIVES = frozenset(
    words(
        """english british welsh scottish irish american french german spanish italian european african asian
        indian chinese dutch polish spring summer autumn winter north south east west"""
    )
)
HEDGES = frozenset(
    words(
        """may might could perhaps possibly probably arguably potentially likely somewhat seem seems appear
        appears hoped generally relatively"""
    )
)
HEDGING_PHRASES = (
    "tends? to", "hopes? to", "aims? to", "seeks? to", "endeavou?r to", "try to", "would like to",
    "to some extent", "in a sense", "broadly speaking", "it could be said", "it is felt", "subject to",
    "as far as possible", "where possible", "in many ways", "we believe", "we feel", "expected to", "able to",
)  # fmt: skip
FIRST_PERSON = frozenset(words("i we our ours us my mine me ourselves myself"))
SUPERLATIVES = frozenset(
    words(
        """best greatest largest biggest finest strongest highest worst poorest unique uniquely unparalleled
        unrivalled unprecedented world-class leading outstanding exceptional incredible incredibly
        extraordinary groundbreaking transformative truly perfect ideal vital crucial invaluable"""
    )
)
# The commonest words of English: a text in which hardly any stand is in another language.
COMMON = frozenset(
    words(
        """the of and to a in is it that for was on are with as be this have from or by at not but we they an
        which their has were you will can our all there one had"""
    )
)
IRREGULAR_PARTICIPLES = words(
    """bought brought built chosen done drawn found given held kept known led left lent made met paid put
        run seen sent set shown sold spent spoken spread taken taught told understood won written"""
)
