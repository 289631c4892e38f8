"""What a memory says must occur in what the model was shown: what is made up is found, what is honest is not."""

from __future__ import annotations

from datetime import date

import pytest

from memhost.extraction.screening.evidence import Evidence, Said
from memhost.extraction.screening.spoken_numbers import numbers_in
from memhost.text.unicode_forms import fold

MONDAY = date(2026, 3, 2)


def missing(said: str, text: str, *entities: str, known: tuple[str, ...] = ()) -> list[str]:
    lines = [Said(line, MONDAY) for line in said.split(" / ")]
    return Evidence(lines, known, MONDAY).missing(text, entities)


HONEST: tuple[tuple[str, ...], ...] = (
    # English: paraphrase, units, currency, words for numbers, counted dates
    ("I bought the blue one for two hundred bucks.", "User bought the blue one for $200."),
    ("We're thirty-four people at work.", "User's company has 34 employees."),
    ("I run 5k every morning.", "User runs 5 kilometres every morning."),
    ("It takes me an hour and a half to get to work.", "User's commute takes 90 minutes."),
    ("A dozen eggs a week, that's us.", "User's household eats 12 eggs a week."),
    ("My rent is 1.2k.", "User pays 1,200 a month in rent."),
    ("Yesterday I met Karen at the gym.", "User met Karen at the gym on 2026-03-01."),
    ("The dentist is on Friday.", "User has a dentist appointment on 2026-03-06."),
    ("We moved here last June.", "User moved in June 2025."),
    ("I turned forty last year.", "User was born in 1985."),
    ("I was born in '88.", "User was born in 1988."),
    ("I was born in 1991.", "User is 34 years old."),
    ("I'm 29.", "User was born in about 1996."),
    ("My kids are Tom, Lea and Finn.", "User has three children: Tom, Lea and Finn."),
    ("I have two boys and three girls.", "User has five children."),
    ("I work for the BBC.", "User works for the BBC.", "BBC"),
    ("New York City wears me out.", "User finds NYC exhausting.", "NYC"),
    ("Robert from sales called again.", "Bob from sales called User again.", "Bob"),
    ("Kate and I are getting married on the 12th.", "User and Katherine marry on 2026-03-12.", "Katherine"),
    ("she's from germany originally", "User's partner is German."),
    ("I speak French at home.", "User's home language is French."),
    ("we use postgres 16 and python 3.11", "User's team uses PostgreSQL 16 and Python 3.11.", "PostgreSQL", "Python"),
    ("typescript all the way", "User prefers TypeScript.", "TypeScript"),
    (
        "my email is anna.schmidt@acme.com",
        "User's name is Anna Schmidt and User works at Acme.",
        "Anna Schmidt",
        "Acme",
    ),
    ("The Smiths are coming over at half past seven.", "The Smiths visit User at 19:30."),
    ("Call me at 3pm.", "User wants a call at 15:00."),
    ("I got my third vaccination.", "User has had 3 vaccinations."),
    ("My flat in Paris is tiny.", "User lives in a small flat in Paris, France.", "Paris", "France"),
    ("got an iphone", "User has an Apple iPhone.", "iPhone"),
    ("the bill was 1,299.50", "User's bill came to 1299.50 dollars."),
    ("I'll be in Rome next week", "User will be in Rome from 2026-03-09 to 2026-03-15.", "Rome"),
    ("Michael's birthday is May 4th", "Micheal's birthday is on 2026-05-04.", "Micheal"),
    ("I started at Siemens three years ago", "User has worked at Siemens since 2023.", "Siemens"),
    ("We got married in two thousand eleven.", "User married in 2011."),
    ("about fifty-fifty, I guess", "User thinks the chance is 50%."),
    ("Can you recommend a laptop?", "User looks for a laptop."),
    ("It costs half a million.", "It costs 500,000."),
    ("at the end of April we are in Wales", "User is in Wales until 2026-04-30.", "Wales"),
    ("The trip is off, Wiebke broke her leg.", "User's trip in June 2026 is cancelled because Wiebke broke a leg."),
    # German
    ("Ich wohne seit drei Jahren in München.", "User wohnt seit 2023 in München.", "München"),
    ("Meine Miete ist achthundertfünfzig Euro.", "User zahlt 850 Euro Miete."),
    ("Am Freitag hab ich Zahnarzt.", "User hat am 2026-03-06 einen Termin in der Praxis.", "Praxis"),
    ("Ich hab einen Kater, den Felix.", "User hat eine Katze namens Felix.", "Katze", "Felix"),
    ("Wir sind zu fünft.", "Users Haushalt hat fünf Personen."),
    ("Gestern war ich bei Annas Mutter.", "User besuchte am 2026-03-01 die Mutter von Anna.", "Anna"),
    ("Mein Chef heißt Dr. Kühn.", "Users Vorgesetzter heißt Kühn.", "Kühn"),
    ("Halb acht am Bahnhof!", "User trifft sich um 19:30 Uhr am Bahnhof."),
    ("Ich arbeite als Lehrerin in Köln.", "User ist Lehrerin an einer Schule in Köln.", "Schule", "Köln"),
    ("anderthalb Stunden Fahrt", "User fährt 90 Minuten."),
    ("Übermorgen kommt die Schwiegermutter.", "Die Schwiegermutter von User kommt am 2026-03-04."),
    # French
    ("J'ai soixante-quinze ans.", "User a 75 ans."),
    ("Ma sœur Élodie habite à Lyon.", "La sœur de User, Elodie, vit à Lyon.", "Elodie", "Lyon"),
    ("On part dans quinze jours.", "User part le 2026-03-17."),
    ("Je bosse chez Airbus depuis dix ans.", "User travaille chez Airbus depuis 2016.", "Airbus"),
    ("Le loyer est de neuf cent quatre-vingts euros.", "User paie 980 € de loyer."),
    ("Rendez-vous demain à 14h.", "User a un rendez-vous le 2026-03-03 à 14 h."),
    ("Mon mari est espagnol.", "Le mari de User vient d'Espagne.", "Espagne"),
    # Spanish
    ("Tengo treinta y cuatro años.", "User tiene 34 años."),
    ("Mi hermano Paco vive en Sevilla.", "El hermano de User, Francisco, vive en Sevilla.", "Francisco", "Sevilla"),
    ("Pagué quinientos euros.", "User pagó 500 euros."),
    ("El viernes voy al médico.", "User va al médico el 2026-03-06."),
    ("Nací en el 85.", "User nació en 1985."),
    ("Llevo una docena de pasteles.", "User lleva 12 pasteles."),
    # Italian and Portuguese
    ("Ho quarantadue anni.", "User ha 42 anni."),
    ("Mia moglie si chiama Giulia, siamo di Torino.", "La moglie di User è Giulia, di Torino.", "Giulia", "Torino"),
    ("Domani parto per Bari.", "User parte per Bari il 2026-03-03.", "Bari"),
    ("Tenho vinte e sete anos.", "User tem 27 anos."),
    ("Moro no Porto com o Tiago.", "User mora no Porto com Tiago.", "Porto", "Tiago"),
    ("Na quinta vou ao médico.", "User vai ao médico em 2026-03-05."),
    # Russian
    ("Мне сорок два года.", "Пользователю 42 года."),
    ("Вчера я виделась с Катей.", "Пользователь встретилась с Екатериной 2026-03-01.", "Екатерина"),
    ("Мы живём в Казани впятером.", "Семья пользователя из 5 человек живёт в Казани.", "Казань"),
    ("Купил машину за полтора миллиона.", "Пользователь купил машину за 1 500 000."),
    ("Работаю в Яндексе.", "Пользователь работает в компании Яндекс.", "Яндекс"),
    # Chinese and Japanese
    ("我今年三十四岁。", "用户34岁。"),
    ("我在上海工作。", "用户在上海上班。", "上海"),
    ("房租三千五。", "用户的房租是3500元。"),
    ("明天去北京。", "用户2026-03-03去北京。", "北京"),
    ("家族は五人です。", "Userの家族は5人である。"),
    ("昨日大阪に行きました。", "Userは2026-03-01に大阪へ行った。", "大阪"),
    ("妻は美咲です。", "Userの妻の名前は美咲である。", "美咲"),
    ("お医者さんに行った。", "Userは医師に会った。", "医師"),
    ("毎朝六時に起きます。", "Userは毎朝6時に起きる。"),
    # translated, or in another script
    ("Ich wohne in Köln und arbeite bei der Bahn.", "User lives in Cologne and works for the railway.", "Cologne"),
    ("Моя сестра живёт в Москве.", "User's sister lives in Moscow.", "Moscow"),
    ("东京很好。", "User likes Tokyo.", "Tokyo"),
    ("J'habite à Londres avec mes deux chats.", "User lives in London with two cats.", "London"),
    ("グーグルで働いています。", "UserはGoogleで働いている。", "Google"),
    # languages whose words nobody knows here
    ("Mam trzydzieści cztery lata i mieszkam w Krakowie.", "Użytkownik ma 34 lata i mieszka w Krakowie.", "Kraków"),
    ("Ik ben vierendertig en woon in Utrecht.", "Gebruiker is 34 en woont in Utrecht.", "Utrecht"),
    ("저는 서른네 살이고 부산에 살아요.", "사용자는 34세이고 부산에 산다.", "부산"),
)


@pytest.mark.parametrize("row", HONEST, ids=lambda row: row[1])
def test_what_follows_from_what_was_said_is_not_marked(row: tuple[str, ...]) -> None:
    said, text, *entities = row
    assert missing(said, text, *entities) == []


MADE_UP: tuple[tuple[str, ...], ...] = (
    (
        "Can you recommend a laptop?",
        "User is a 34-year-old teacher from Ohio named John Doe.",
        "34",
        "Ohio",
        "John Doe",
    ),
    ("Can you recommend a laptop?", "User has three children and lives in Paris.", "three", "Paris"),
    ("Can you recommend a laptop?", "User owns a ThinkPad T480.", "ThinkPad T480"),
    ("My back hurts.", "User had surgery on 2021-06-14.", "2021-06-14"),
    ("My back hurts.", "User sees Dr. Patel in Leeds.", "Dr. Patel", "Leeds"),
    ("I like jazz.", "User plays the saxophone in a band called Blue Orbit.", "Blue Orbit"),
    ("I like jazz.", "User saw Norah Jones in 2014.", "Norah Jones", "2014"),
    ("We need milk.", "User's budget is 4,500 dollars.", "4,500"),
    ("We need milk.", "User's wife Sarah buys 7 litres of milk.", "Sarah", "7"),
    ("The build fails.", "User works at Initech with Milton.", "Initech", "Milton"),
    ("Wie wird das Wetter?", "User heißt Harald Meier.", "Harald Meier"),
    ("Wie wird das Wetter?", "User ist 47 Jahre alt.", "47"),
    ("Wie wird das Wetter?", "User wurde am 1979-05-03 geboren.", "1979-05-03"),
    ("Was koche ich heute?", "User hat siebzehn Kochbücher.", "siebzehn"),
    ("Quel temps fait-il ?", "User habite à Toulouse avec Mathieu.", "Toulouse", "Mathieu"),
    ("Quel temps fait-il ?", "User a soixante-deux ans.", "soixante-deux"),
    ("Je cherche un vélo.", "User a acheté un vélo chez Decathlon pour 349 euros.", "Decathlon", "349"),
    ("¿Qué tiempo hace?", "User vive en Valencia con Lucía.", "Valencia", "Lucía"),
    ("¿Qué tiempo hace?", "User tiene cuarenta y un años.", "cuarenta y un"),
    ("Busco un piso.", "User paga 780 euros de alquiler.", "780"),
    ("Che tempo fa?", "User abita a Verona con Chiara.", "Verona", "Chiara"),
    ("Che tempo fa?", "User ha cinquantatre anni.", "cinquantatre"),
    ("Como está o tempo?", "User mora em Coimbra com a Inês.", "Coimbra", "Inês"),
    ("Какая погода?", "Пользователь живёт в Самаре с Ириной.", "Самаре", "Ириной"),
    ("Какая погода?", "Пользователю тридцать семь лет.", "тридцать семь"),
    ("Посоветуй книгу.", "Пользователь купил дом за 8 400 000 рублей.", "8 400 000"),
    ("I want to learn to swim.", "User has a meeting with Priya on 2026-07-21.", "Priya", "2026-07-21"),
    ("I want to learn to swim.", "User has been swimming for nineteen years.", "nineteen"),
    (
        "Draft a mail to my landlord.",
        "User's landlord is Mr. Okonkwo of Baker Street 221.",
        "Mr. Okonkwo of Baker Street",
        "221",
    ),
    ("Can you explain recursion to me?", "User studies computer science at Stanford.", "Stanford"),
    ("Can you explain recursion to me?", "User scored 98 points in an exam in 2019.", "98", "2019"),
)


@pytest.mark.parametrize("row", MADE_UP, ids=lambda row: row[1])
def test_what_nobody_said_is_named(row: tuple[str, ...]) -> None:
    said, text, *words = row
    found = missing(said, text)
    assert sorted(found) == sorted(fold(word) if word[0].isdigit() or word.islower() else word for word in words)


SIGNS: tuple[tuple[str, str, str], ...] = (
    ("天气怎么样？", "用户的孩子叫子轩。", "子轩"),
    ("天气怎么样？", "用户在高雄当老师。", "高雄"),
    ("天気はどうですか。", "Userの妻の名前は美咲である。", "美咲"),
    ("天気はどうですか。", "Userは名古屋に住んでいる。", "名古屋"),
)


@pytest.mark.parametrize(("said", "text", "name"), SIGNS)
def test_names_in_scripts_without_capitals_are_those_that_the_model_lists(said: str, text: str, name: str) -> None:
    assert missing(said, text, name) == [name]
    assert missing(said, text) == []


def test_what_else_the_model_was_shown_is_evidence() -> None:
    text = "User is John Doe from Ohio and is 34."
    assert missing("Hi!", text)
    assert missing("Hi!", text, known=("John Doe, Ohio", "User is 34.")) == []
    assert missing("Hi! / assistant: John Doe from Ohio, thirty-four?", text) == []


def test_a_flood_of_text_marks_nothing() -> None:
    assert missing("words " * 50_000, "User is John Doe from Ohio.") == []


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("thirty-four", {34}),
        ("twelve hundred", {1200}),
        ("vierunddreißig", {34}),
        ("zweitausendsechsundzwanzig", {2026}),
        ("dreihundertfünfzig", {350}),
        ("quatre-vingt-dix-sept", {97}),
        ("deux mille onze", {2011}),
        ("treinta y cuatro", {34}),
        ("cuatrocientas", {400}),
        ("duecentocinquanta", {250}),
        ("ventuno", {21}),
        ("vinte e sete", {27}),
        ("сорок два", {42}),
        ("двадцати пяти", {25}),
        ("三万五千", {35_000}),
        ("一百二十", {120}),
        ("1.200", {1200, 1.2}),
        ("35,000", {35_000, 35}),
        ("1 500 000", {1_500_000}),
        ("100k", {100, 100_000}),
    ],
)
def test_numbers_are_read(said: str, values: set[float]) -> None:
    assert any(number.values == values for number in numbers_in(fold(said))), numbers_in(fold(said))
