"""Neutral texts, written for the probe: plain prose and code that no editor's taste has touched.

A model that learned taste alone is as surprised by them as before. None of them is about grants.
Their licence is CC0-1.0.
"""

from typing import Literal, NamedTuple

Genre = Literal["news", "recipe", "letter", "code", "dialogue", "science", "other language"]


class ProbeText(NamedTuple):
    """One text of about eighty words."""

    text_id: str
    genre: Genre
    text: str


def _plain(text: str) -> str:
    """The lines of a source file as one paragraph."""
    return " ".join(text.split())


PROSE: dict[str, tuple[Genre, str]] = {
    "news-ferry": (
        "news",
        """The evening ferry to the island was cancelled on Tuesday after a crack was found in the ramp
        at the northern pier. About ninety passengers were taken across by fishing boats, while cars had
        to wait until the next morning. The harbour office said that a crew would weld the ramp overnight
        and that an engineer from the mainland would inspect it before the first crossing. Shops on the
        island reported that bread and milk had sold out by noon on Wednesday.""",
    ),
    "news-bridge": (
        "news",
        """Work on the old railway bridge will begin in March, two months later than planned. The town
        council voted seven to four to pay for new wooden sleepers and a handrail on both sides. Until the
        work is finished, walkers must use the road below, where the speed limit has been lowered to thirty.
        A group of cyclists asked for a wider path, but the mayor replied that the pillars could not carry
        more weight. The bridge should open again in August.""",
    ),
    "news-storm": (
        "news",
        """Strong winds brought down trees across the valley on Sunday night and left four villages without
        electricity. Firefighters cleared the main road by five in the morning, and buses ran again from
        seven. Nobody was hurt, although a falling branch damaged the roof of the primary school, which
        stayed closed on Monday. The weather service had warned of gusts of up to ninety kilometres an hour.
        More rain is expected on Thursday, but the wind should be weaker.""",
    ),
    "recipe-soup": (
        "recipe",
        """Peel two onions and three carrots and cut them into small pieces. Heat a spoonful of oil in a
        large pot, add the vegetables and stir for five minutes. Wash a cup of red lentils and add them with
        one litre of water, a bay leaf and half a teaspoon of salt. Cover the pot and let the soup cook on
        low heat for twenty-five minutes. Take out the bay leaf, season with lemon juice and pepper, and
        serve it with toasted bread.""",
    ),
    "recipe-cake": (
        "recipe",
        """Warm the oven to 180 degrees and butter a round tin. Beat four eggs with 150 grams of sugar until
        the mixture is pale and thick. Fold in 120 grams of ground almonds, 60 grams of flour and the grated
        peel of one orange. Pour the batter into the tin and bake it for thirty-five minutes. A thin knife
        should come out clean. Let the cake cool for ten minutes before you turn it out, and dust it with
        sugar when it is cold.""",
    ),
    "letter-landlord": (
        "letter",
        """Dear Mr Hale, I am writing about the heating in flat 3B. Since last Friday the radiator in the
        bedroom has stayed cold, although the one in the kitchen works. I have bled it twice without success.
        Could you please send somebody to look at it before the weekend? I am at home every day after four,
        and my neighbour in 3A has a spare key. If the pump must be replaced, please let me know how long the
        water will be off. Kind regards, Martha Linden""",
    ),
    "letter-aunt": (
        "letter",
        """Dear Aunt Rosa, thank you for the parcel, which arrived in one piece on Saturday. The scarf is so
        warm that I have worn it every day since, even indoors. The children opened the biscuits before I
        could stop them, so I can only report that they were gone in an hour. We are all well, apart from
        Peter, who fell off the ladder and now walks with a stick. Will you come to us at Easter? The spare
        room has a new bed. Love, Ida""",
    ),
    "letter-library": (
        "letter",
        """To the library team: I returned three books on the ninth of May, but my account still shows one of
        them as overdue. It is the guide to garden birds with the torn yellow cover. I put it through the
        slot beside the front door at about eight in the evening. Would you be so kind as to look on the
        shelf and correct the entry? I should be happy to come by in person and show you the receipt for the
        other two. Yours sincerely, Tom Abara""",
    ),
    "dialogue-station": (
        "dialogue",
        """"Does this train stop at Millbrook?" she asked. "Not on Sundays," said the guard. "You have to
        change at the junction and take the bus." "How long do I wait there?" "Twenty minutes, if the bus is
        on time. It seldom is." She looked at the board again. "And the next train?" "That one stops, but it
        leaves at six." "Then I shall have a coffee and wait for it," she said, and put her bag down. "Best
        thing to do," he answered and closed the door.""",
    ),
    "dialogue-market": (
        "dialogue",
        """Anna: How much are the pears? Seller: Three for two euros, or ten for six. Anna: Are they ripe?
        Seller: The yellow ones are. The green ones need two days on a window sill. Anna: Then I will take
        five of each. Seller: That makes ten, so six euros. Do you want a bag? Anna: No, I have brought a
        basket. Can you change a fifty? Seller: So early in the day? Let me ask my brother. Anna: Never mind,
        I have found some coins.""",
    ),
    "dialogue-doctor": (
        "dialogue",
        """"When did the pain start?" the doctor asked. "Two weeks ago, after I moved the piano." "Does it
        hurt when you bend?" "Only when I stand up again." The doctor pressed her thumb beside the spine.
        "Here?" "A little lower. Yes, there." "That is a muscle, not the bone. You need warmth and gentle
        walks, and no pianos for a month." "My wife has already bought a wardrobe," the man said. "Then your
        wife may carry it," said the doctor and smiled.""",
    ),
    "science-tides": (
        "science",
        """The tides follow the moon because its pull is stronger on the side of the Earth that faces it and
        weaker on the far side. Water therefore rises in two bulges, and as the Earth turns, most coasts pass
        through both of them each day. The sun has an effect as well, about half as large. When sun and moon
        stand in one line, at new moon and full moon, the two effects add up and the tide is high. When they
        stand at a right angle, it is low.""",
    ),
    "science-bread": (
        "science",
        """Bread rises because yeast, a single-celled fungus, turns sugar into carbon dioxide and alcohol.
        The gas collects in small bubbles that are held by gluten, a net of proteins which forms when flour
        and water are kneaded. In a warm room the yeast works quickly, while in a cold one it needs many hours
        and leaves more flavour. In the oven the bubbles grow until the starch sets at about seventy degrees.
        The alcohol evaporates, and the crust turns brown.""",
    ),
    "science-bats": (
        "science",
        """Bats find their way in the dark by listening to echoes. They send out short calls, most of them too
        high for human ears, and measure how long each echo takes to come back. From the difference between
        the two ears they learn the direction, and from the change in pitch whether an insect is moving away.
        A bat that is closing in on a moth calls up to two hundred times in a second. Some moths can hear this
        and drop to the ground.""",
    ),
    "french-garden": (
        "other language",
        """Au printemps, ma grand-mère sème des haricots et des radis derrière la maison. Elle se lève tôt,
        met son vieux chapeau de paille et arrose les rangs avant que le soleil ne soit trop fort. Après midi,
        elle s'assoit sous le cerisier et regarde passer les voisins. En juillet, nous venons tous l'aider
        à la récolte. Les enfants mangent plus de fraises qu'ils n'en mettent dans le panier, mais elle ne dit
        jamais rien.""",
    ),
    "german-train": (
        "other language",
        """Der Zug nach Norden hatte wie so oft Verspätung. Auf dem Bahnsteig standen zwei Schulklassen, ein
        Mann mit einem Cello und eine alte Frau, die in einer Zeitung las. Als die Ansage endlich kam, war sie
        kaum zu verstehen. Wir stiegen in den letzten Wagen, weil dort noch Plätze frei waren. Hinter der
        Brücke begann es zu regnen, und bald sah man durch die Fenster nur noch graue Felder und einzelne
        Lichter.""",
    ),
    "spanish-market": (
        "other language",
        """Los sábados hay mercado en la plaza del pueblo. Los puestos abren a las ocho, pero la gente llega
        más tarde, cuando el pan ya está caliente y el café servido. Mi padre compra siempre lo mismo: queso,
        aceitunas y un kilo de tomates. Después habla una hora con el pescadero, aunque nunca compra pescado.
        A mediodía recogen las mesas, barren el suelo y la plaza queda en silencio hasta la tarde.""",
    ),
    "italian-boat": (
        "other language",
        """Il pescatore uscì prima dell'alba, quando il porto era ancora buio e silenzioso. Il motore della
        barca tossì due volte e poi prese a girare con un rumore regolare. Al largo il mare era calmo, e le
        reti scesero in acqua senza fatica. Verso le nove il sole era già alto. Tornò con due cassette di
        acciughe e un polpo, che sua figlia vendette subito al ristorante sotto il campanile.""",
    ),
    "portuguese-house": (
        "other language",
        """A casa fica no fim de uma rua estreita, ao lado de uma padaria. Tem duas janelas verdes e uma porta
        que só fecha com um empurrão. No inverno acendemos a lareira e ficamos na cozinha, porque é o único
        quarto quente. O meu avô construiu-a com as próprias mãos, depois de voltar da guerra, e plantou a
        laranjeira que ainda hoje dá fruta. Nunca pensámos em vendê-la.""",
    ),
    "dutch-bicycle": (
        "other language",
        """Elke ochtend fietst Joost langs het kanaal naar zijn werk. Als de brug open staat, moet hij wachten
        tot de boten voorbij zijn, en dan praat hij met de brugwachter over het weer. In de winter is het nog
        donker wanneer hij vertrekt, en zijn handen zijn koud ondanks de dikke wanten. Toch zou hij nooit met
        de auto gaan. Op de fiets, zegt hij, krijgt hij de beste ideeën van de hele dag.""",
    ),
}  # fmt: skip

CODE: dict[str, str] = {
    "code-median": '''def median(values):
    """Return the middle value, or the mean of the two middle ones."""
    if not values:
        raise ValueError("the median of nothing is not defined")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


for sample in ([3, 1, 2], [4, 1, 3, 2]):
    print(sample, "has the median", median(sample))
''',
    "code-shell": """#!/bin/sh
# Keep the last seven copies of the database and remove older ones.
set -eu
folder=/var/backups/shop
today=$(date +%Y-%m-%d)

mkdir -p "$folder"
pg_dump shop | gzip > "$folder/shop-$today.sql.gz"

ls -1 "$folder"/shop-*.sql.gz | sort -r | tail -n +8 | while read -r old; do
    echo "removing $old"
    rm -- "$old"
done
""",
    "code-page": """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Opening hours</title>
  <style>
    table { border-collapse: collapse; }
    td { padding: 0.3em 1em; border: 1px solid #ccc; }
  </style>
</head>
<body>
  <h1>Opening hours</h1>
  <table>
    <tr><td>Monday to Friday</td><td>9 am to 6 pm</td></tr>
    <tr><td>Saturday</td><td>10 am to 2 pm</td></tr>
    <tr><td>Sunday</td><td>closed</td></tr>
  </table>
</body>
</html>
""",
    "code-query": """SELECT customers.name,
       COUNT(orders.id) AS n_orders,
       SUM(orders.total) AS spent
FROM customers
LEFT JOIN orders
  ON orders.customer_id = customers.id
 AND orders.placed_on >= DATE '2024-01-01'
WHERE customers.country IN ('DK', 'NO', 'SE')
GROUP BY customers.id, customers.name
HAVING COUNT(orders.id) > 2
ORDER BY spent DESC, customers.name
LIMIT 20;
""",
}

TEXTS: tuple[ProbeText, ...] = (
    *(ProbeText(text_id, genre, _plain(text)) for text_id, (genre, text) in PROSE.items()),
    *(ProbeText(text_id, "code", text) for text_id, text in CODE.items()),
)
