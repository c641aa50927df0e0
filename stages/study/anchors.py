"""Anchors: screens on which one paragraph is plainly worse, to see that judging is awake.

They are our own words, so no completion of the study is seen twice because of them. The worse
text is off the subject, repeats itself or falls apart; it never has a model's side.
"""

from typing import NamedTuple


class Anchor(NamedTuple):
    """A prompt with a sound and a plainly worse paragraph."""

    name: str
    prompt: str
    better: str
    worse: str


ANCHORS = (
    Anchor(
        "garden",
        "Write the paragraph of a grant application that explains why a neighbourhood garden is needed.",
        "Our quarter has 4,200 residents and no public green space within a kilometre. In a survey last "
        "spring, two thirds of the households said they had nowhere to meet outdoors. The empty lot behind "
        "the library would give 40 families a plot, and the school next door an outdoor classroom.",
        "The garden is needed because a garden is needed. Gardens are good and a good garden is good for "
        "the good of all. We need it because it is needed, and needed things are good things to need.",
    ),
    Anchor(
        "archive",
        "Write the paragraph of a grant application that describes how a town's photographs will be saved.",
        "We will scan all 6,000 glass plates at archive quality within eighteen months, oldest first. Two "
        "trained volunteers work each Saturday under the archivist's guidance, and every tenth scan is "
        "checked against its plate. The pictures go online with place and year, free for anyone to use.",
        "Bicycles have two wheels and some have three. Plates is for to scan then the archive of them was "
        "maybe Saturday. My uncle likes soup.",
    ),
    Anchor(
        "clinic",
        "Write the paragraph of a grant application that states what a mobile dental clinic will achieve.",
        "In its first year the van will visit eleven villages, each once a month, and treat about 900 "
        "patients who now travel more than an hour to a dentist. We will count visits, untreated decay and "
        "emergency referrals, and publish the figures every quarter.",
        "The van will do very many things, and then more things, and the things will be done. It will visit. "
        "The results will be results. We will count the count of the counts.",
    ),
    Anchor(
        "choir",
        "Write the paragraph of a grant application that explains the budget of a children's choir.",
        "We ask for 8,400 euros: 5,000 for the conductor's two weekly rehearsals, 1,900 for the hall, 900 "
        "for sheet music and 600 for the concert. Parents contribute another 2,000, and the parish lends "
        "the piano without charge.",
        "Money is for the choir and the choir is for money. Please also note the weather, which was windy. "
        "The sum is a number. Singing, budget, euros, hall, singing.",
    ),
    Anchor(
        "river",
        "Write the paragraph of a grant application that presents the team of a river restoration project.",
        "The project is led by Ines Faber, a hydrologist who has restored three streams in the region. She "
        "is joined by two field biologists from the university and by the anglers' club, whose members have "
        "measured the water here every month since 2009.",
        "The team is a team of people who are persons. They is good at the river of it, very. In conclusion, "
        "tomatoes should be kept out of the fridge.",
    ),
    Anchor(
        "reading",
        "Write the paragraph of a grant application that says how a reading programme will go on afterwards.",
        "After the two funded years the programme will cost 3,100 euros a year, mostly for books. The town "
        "library has promised half of it in writing, and the bookshop gives us a fixed share of its spring "
        "sale. The forty reading mentors are unpaid and are trained by last year's mentors.",
        "Afterwards is after. It will go on because going on is what it will do when it goes. Books books "
        "books, and the the library. That is that.",
    ),
)
