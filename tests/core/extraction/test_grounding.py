"""Recognises words that refer to something outside the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.extraction import unresolved


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("He likes tea.", ["He"]),
        ("User met her at the station.", ["her"]),
        ("User said she is vegetarian.", ["she"]),
        ("I like my tea hot.", ["I", "my"]),
        ("User will go there next week.", ["there", "next week"]),
        ("User liked the café over there.", ["over there", "there"]),
        ("User ate at that restaurant.", ["at that restaurant"]),
        ("User moved recently.", ["recently"]),
        ("User meets Ana next Friday.", ["next Friday"]),
        ("Er mag Tee.", ["Er"]),
        ("User wohnt dort.", ["dort"]),
        ("User hat gestern gekündigt.", ["gestern"]),
        ("Ich mag Tee.", ["Ich"]),
        ("Elle habite à Lyon.", ["Elle"]),
        ("User habite là-bas.", ["là-bas"]),
        ("Hier User est allé chez Paul.", ["Hier"]),
        ("User vive allí.", ["allí"]),
        ("User viajó a Lima ayer.", ["ayer"]),
    ],
)
def test_pointing_words_are_found(text: str, words: list[str]) -> None:
    assert unresolved(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "User likes tea.",
        "User sold his car.",
        "User's brother said he will come.",
        "User's colleague Anna told him that he should rest.",
        "Bob met Ana and likes her.",
        "User moved to Lyon and works there.",
        "There is a cat in User's flat.",
        "User met Bob on 2026-03-01.",
        "User's parents said they will visit.",
        'User\'s favourite song is "I will survive yesterday".',
        "User hat seinen Bruder besucht.",
        "Anna sagt, dass er kommt.",
        "Marie habite à Lyon et elle aime le thé.",
        "User a vendu sa voiture.",
        "Ana dijo que ella viene.",
        "User vendió su coche.",
        "ユーザーは昨日会った。",
        "",
        "42",
    ],
)
def test_what_stands_alone_passes(text: str) -> None:
    assert unresolved(text) == []


CLEAR = (
    # names of several words, quoted speech, acronyms
    "User's company moved its office; everyone works there now.",
    "User's motto is: I can do it.",
    "My Little Pony is the favourite show of User's daughter.",
    "User lives in Here, Belgium.",
    "User works for US Steel.",
    "User has a cat called Mine.",
    "User's band is called We Are Scientists.",
    "Our Lady of Peace is the school of User's son.",
    "User hat ihm (Emil) ein Buch geschenkt.",
    "User ist hier geboren: Potsdam.",
    "My Chemical Romance is User's favourite band.",
    "User reads Our Mutual Friend.",
    "User's sign says: We are closed on Mondays.",
    "User holds a US passport.",
    "User gave her (Zoë) the keys.",
    "User rents a studio and paints there.",
    "User's stepfather sold the boat he had built.",
    "User's flatmate says she will move out.",
    "User's boat is named Ours.",
    "User a grandi ici, à Rennes.",
    "User vive aquí en Bilbao.",
    "User wohnt hier in Graz.",
    "User a visité le musée et y travaille là-bas.",
    # the thing is named, or the word means something else
    "The plan for the trip to Porto was approved.",
    "The project Atlas starts on 2026-05-04.",
    "The project management course starts soon.",
    "The meeting of the school board was cancelled.",
    "User likes it when the windows are open.",
    "User finds it hard to get up early.",
    "User thinks it is important to vote.",
    "User made it to the final.",
    "User likes this song by Adele.",
    "User wants that job at the bakery.",
    "User bought these shoes in Lisbon.",
    "User met the guy from Acme.",
    "User prefers the first seat by the door.",
    "User took the second train to Leeds.",
    "User prefers the last week of August.",
    "User took the other way home.",
    "User agreed to the proposal of the landlord to raise the rent.",
    "User will finish the thesis by Friday.",
    "User likes the idea of living in Wales.",
    "User started the project Atlas.",
    "User lives above the bakery.",
    "User asked them: the neighbours on the third floor.",
    "User's parents visit, and User calls them every day.",
    "User compared two laptops and bought the one with the bigger screen.",
    "The plan costs 12 euros a month.",
    "Der Plan für den Umbau wurde angenommen.",
    "Das Projekt Nordlicht beginnt bald.",
    "User findet das Buch gut.",
    "User mag das neue Fahrrad.",
    "User findet es gut, dass Anna kommt.",
    "User hat das Haus verkauft.",
    "User nimmt die zweite Option des Tarifs Komfort.",
    "Le projet de jardin commence bientôt.",
    "User aime ce livre.",
    "La réunion de l'association est annulée.",
    "El plan de pensiones fue aprobado.",
    "A User le gusta eso de cocinar.",
    "User quiere esto: dormir.",
    "Il piano di studi è stato approvato.",
    "O plano de saúde foi aprovado.",
    "Проект «Весна» скоро начнётся.",
    "План ремонта утвердили.",
    "Userの兄は、彼の会社を売った。",
    "Userは彼女と東京に住んでいる。",
    "Userは京都が好きで、そこに住みたい。",
    "田中さんは、彼が作った店を閉じた。",
    "Userには彼氏がいる。",
    "それからUserは京都へ引っ越した。",
    "用户的哥哥说他会来。",
    "用户喜欢其他的茶。",
    "他乡是用户最喜欢的歌。",
)


@pytest.mark.parametrize("text", CLEAR)
def test_clear_texts_pass(text: str) -> None:
    assert unresolved(text) == []


UNCLEAR = (
    ("The plan was approved.", "The plan"),
    ("The project starts soon.", "The project"),
    ("This issue was solved.", "This issue"),
    ("User likes it very much.", "it"),
    ("User wants to do that again.", "that"),
    ("User finally did it.", "it"),
    ("User met the guy from the party.", "the guy"),
    ("User bought the one with the bigger screen.", "the one"),
    ("User prefers the second option.", "the second option"),
    ("User agreed with the proposal.", "the proposal"),
    ("User accepted the offer.", "the offer"),
    ("User thinks this is better than the other one.", "this"),
    ("User will call them back.", "them"),
    ("User wants the same setup as before.", "the same setup"),
    ("User changed the above setting.", "the above"),
    ("Der Plan wurde angenommen.", "Der Plan"),
    ("Das Treffen beginnt bald.", "Das Treffen"),
    ("User findet das gut.", "das"),
    ("User will die zweite Option.", "die zweite Option"),
    ("Le projet commence bientôt.", "Le projet"),
    ("User aime ça beaucoup.", "ça"),
    ("El plan fue aprobado.", "El plan"),
    ("A User le gusta eso.", "eso"),
    ("Il progetto inizia presto.", "Il progetto"),
    ("O plano foi aprovado.", "O plano"),
    ("План утвердили.", "План"),
    ("Userは彼に会った。", "彼"),
    ("Userはそこに行きたい。", "そこ"),
    ("彼は電車が大好き。", "彼"),
    ("彼女は医者だ。", "彼女"),
    ("他喜欢茶。", "他"),
    ("用户昨天见了他。", "他"),
)


@pytest.mark.parametrize(("text", "word"), UNCLEAR)
def test_things_that_nothing_names_are_found(text: str, word: str) -> None:
    assert any(word in found for found in unresolved(text))


@given(st.text())
def test_any_text(text: str) -> None:
    for word in unresolved(text):
        assert word in text
