"""More sentences with and without the date of an event, in nine languages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memhost.extraction.temporal.dating import date_draft
from memhost.models import MemoryType
from memhost.ports import Draft
from tests.support.conversations import context, said

AT = "2026-03-04T10:00:00+00:00"


def dated(text: str) -> Draft:
    draft = Draft(text=text, memory_type=MemoryType.EPISODIC, source_ids=["m1"])
    return date_draft(draft, said(text, at=AT), context())


UNDATED = """
User's favourite song is Yesterday.
User loves Tomorrow from Annie.
User's boat is called Tomorrow.
User's favourite show is Tonight with Jay.
User watches the Tonight Show.
User watches The Late Late Show tonight reruns daily.
User listens to the podcast Today, Explained.
User's horse is named Yesterday.
User follows the band Tomorrow X Together.
User reads Christianity Today and Physics Today.
User saw This Week in Tech live.
User's favourite game is Last Day on Earth.
User's favourite album is Next Week.
User reads This American Life's Next Year.
User's book is named next year in Havana.
User loves the film 28 Weeks Later and 28 Days Later.
User works at Next Week Media.
User likes the song Friday I'm in Love.
User earns 100 EUR in one day.
User publishes once every two weeks.
User sees the dentist twice in a year.
User replies within a day.
User always replies in a day.
User's shift lasts three days.
User can read a book in a day.
User delivers in two days on average.
User's parcel takes two weeks from now on.
User says "see you tomorrow" a lot.
User's motto is 'today is a gift'.
User's motto: never put off until tomorrow what can be done today.
User lives for today.
User saves for tomorrow.
User thinks the kids of today are lazy.
User finds today's music dull.
User likes morning walks.
User works this evening shift weekly.
User prefers yesterday's bread.
User plans next week on Fridays.
User works from home the last week of each month.
User is better off than a year ago.
User has been vegan since a year ago.
User has lived here for three years now.
User has a two-week-old kitten.
User's subscription renews every next month.
User will be here until next year.
User's passport is valid through next month.
User's deadline is no later than tomorrow.
User wants it by tomorrow night.
User's habit today is as it was ten years ago.
User's phone is ten years ago's model.
User starts each day with tea, today or tomorrow.
User's favourite restaurant is Gestern.
Nutzer hört den Song Gestern.
Nutzer liest Heute jeden Tag.
Nutzer schaut heute-show gern.
Nutzer schaut Heute Show gern.
Nutzer mag den Film Gestern Nacht im Kino.
Nutzer wohnt in Morgenröthe.
Nutzer heißt Thomas Morgen.
Nutzerin heißt Eva Heute.
Nutzer pflügt fünf Morgen Acker.
Nutzer kauft einen Morgen Land.
Nutzer steht morgens früh auf.
Nutzer frühstückt am frühen Morgen.
Nutzer joggt eines Morgens im Park.
Nutzer verdient 100 Euro in einem Monat.
Nutzer isst das Brot von gestern.
Nutzer liebt die Musik von heute.
Nutzer denkt an morgen.
Nutzer lebt im Hier und Heute.
Nutzer ist heute so müde wie gestern.
Nutzers Motto lautet: Was du heute kannst besorgen, das verschiebe nicht auf morgen.
Nutzer sagt oft „bis morgen“.
Nutzer geht jede Woche zweimal zum Sport.
Nutzer arbeitet bis nächste Woche in Wien.
Nutzer ist seit letzter Woche krank.
Nutzer kennt Anna seit vor zwei Jahren.
Die Serie Gestern Heute Morgen gefällt dem Nutzer.
L'utilisateur regarde Demain nous appartient chaque soir.
L'utilisateur chante Hier de Johnny.
L'utilisateur aime le film Hier encore.
L'utilisateur lit Le Monde d'aujourd'hui.
L'utilisateur lit le journal Aujourd'hui.
L'utilisateur vit au jour le jour.
L'utilisateur habite à Demain-la-Ville.
L'utilisateur gagne 100 euros en un mois.
L'utilisateur pense à demain.
L'utilisateur dit souvent « à demain ».
L'utilisateur est en vacances jusqu'à la semaine prochaine.
L'utilisateur court deux fois en une semaine.
L'utilisateur préfère le pain d'hier.
L'utilisateur fume comme il y a dix ans.
L'utilisateur a lu le livre dans deux jours de repos.
El usuario escucha Ayer de Gloria Estefan.
El usuario lee Hoy en la Tarde.
El usuario ve Hoy por Hoy en la radio.
El usuario escucha la radio por la mañana.
El usuario vive en Mañana, Texas.
El usuario siempre dice "mañana".
El usuario corre todas las mañanas.
El usuario se levanta muy de mañana.
El usuario trabaja hasta mañana por la noche.
El usuario gana 100 euros en un mes.
El usuario piensa en el mañana.
El usuario está de baja desde la semana pasada.
El usuario es más feliz que hace un año.
El usuario come el pan de ayer.
El usuario prefiere la música de hoy.
El usuario es amigo de Ana desde hace dos años.
All'utente piace la canzone Domani.
L'utente guarda Oggi è un altro giorno.
L'utente legge la rivista Oggi ogni settimana.
L'utente ama il film Ieri, oggi, domani.
L'utente mangia il pane di ieri.
L'utente guadagna 100 euro in un mese.
L'utente pensa a domani.
L'utente vive alla giornata oggi come ieri.
L'utente lavora fino a domani.
L'utente è in ferie dalla settimana scorsa.
L'utente dice sempre «a domani».
O usuário ouve a música Amanhã.
O usuário vê o programa Hoje em Dia.
O usuário lê o jornal Hoje todos os dias.
O usuário mora na rua Amanhã.
O usuário come o pão de ontem.
O usuário ganha 100 euros em um mês.
O usuário pensa no amanhã.
O usuário corre toda manhã.
O usuário trabalha até amanhã.
O usuário está doente desde a semana passada.
O usuário é mais feliz do que há um ano atrás.
Пользователь смотрит передачу Сегодня вечером.
Пользователь любит песню Вчера группы Битлз.
Пользователь читает «Вчера, сегодня, завтра».
Пользователь ест вчерашний хлеб.
Пользователь работает до завтра.
Пользователь болеет с прошлой недели.
Пользователь счастливее, чем год назад.
Пользователь зарабатывает 100 евро в месяц.
Пользователь думает о завтра.
Пользователь завтракает в семь.
Пользователь любит завтрак.
Пользователь живёт сегодняшним днём.
用户喜欢歌曲《昨天》。
用户喜欢电影明天我要嫁给你了。
用户看今天头条。
用户看《今日说法》。
用户喜欢看明天周刊。
用户每月去年夜饭。
用户两周跑步三次。
用户到明天为止在北京。
用户从上周开始生病。
用户的公司叫明天科技。
用户的女儿叫明天。
用户用今日头条看新闻。
用户喜欢吃昨天剩下的饭。
ユーザーは「昨日」という曲が好き。
ユーザーは明日まで大阪にいる。
ユーザーは昨日より元気だ。
ユーザーの犬の名前は明日だ。
ユーザーの娘の名前は今日子だ。
ユーザーは明日花キララが好き。
ユーザーは先週から病気だ。
ユーザーは毎週日曜に走る。
ユーザーは『明日、ママがいない』を見る。
ユーザーは昨日のパンが好き。
ユーザーは今日まで喫煙していた。
ユーザーは明日への手紙が好き。
De gebruiker kijkt naar Vandaag de dag.
De gebruiker houdt van het lied Gisteren.
Użytkownik lubi piosenkę Wczoraj.
Kullanıcı Yarın adlı filmi seviyor.
사용자는 영화 어제를 좋아한다.
User's playlist is titled Tomorrow's Hits.
User follows the newsletter Next Week in Politics.
User goes running three times in a week.
User charges 80 EUR in a day.
User gets a haircut once in two months.
User talks about yesterday all the time.
User dreams of next year.
User is saving up for next year.
User hosts the show Good Morning Today.
User's company is called Last Year Ltd.
User compares this year with last year.
User reads the column 'A Week Ago'.
User has been sober from last month on.
User needs the report no later than next week.
User's milk expires within two days.
User doubled revenue compared with last year.
Nutzer mag das Buch Übermorgen.
Nutzer schaut Morgenmagazin.
Nutzer ist größer als letztes Jahr.
Nutzer zahlt in zwei Tagen 50 Euro ab.
Nutzer träumt von übermorgen.
Nutzer plant immer heute schon für morgen.
Nutzer heißt mit Nachnamen Gestern.
L'utilisateur lit le livre Hier.
L'utilisateur rêve de demain.
L'utilisateur est plus grand que l'année dernière.
L'utilisateur paie chaque mois prochain son loyer.
L'utilisateur écoute la chanson Demain c'est loin.
El usuario sueña con mañana.
El usuario lee la novela Ayer no más.
El usuario es más alto que el año pasado.
El usuario paga cada mes pasado tarde.
L'utente sogna il domani.
L'utente legge il libro Domani nella battaglia pensa a me.
L'utente è più alto dell'anno scorso.
O usuário sonha com amanhã.
O usuário lê o livro Ontem não te vi em Babilónia.
O usuário é mais alto que no ano passado.
Пользователь мечтает о завтрашнем дне.
Пользователь выше, чем в прошлом году.
Пользователь всегда завтра начинает худеть.
用户比去年高。
用户梦想着明天。
用户总是明天再说。
用户读《昨天的世界》。
用户喜欢昨天那首歌。
用户订阅今日经济。
ユーザーは去年より背が高い。
ユーザーは明日を夢見る。
ユーザーはいつも明日やると言う。
ユーザーは来年までに痩せたい。
ユーザーは雑誌「今日の料理」を読む。
ユーザーはバンド昨日を聴く。
""".strip().split("\n")


@pytest.mark.parametrize("text", UNDATED)
def test_titles_habits_bounds_and_comparisons_give_no_date(text: str) -> None:
    draft = dated(text)
    assert (draft.text, draft.event_date) == (text, None)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("User met Bob yesterday.", "2026-03-03"),
        ("User flies to Oslo tomorrow.", "2026-03-05"),
        ("User had a crash last night.", "2026-03-03"),
        ("User visited Rome last month.", "2026-02-01"),
        ("User moved two years ago.", "2024-03-04"),
        ("User sees the vet this afternoon.", "2026-03-04"),
        ("Yesterday User met Bob at the cinema.", "2026-03-03"),
        ("User saw the film Dune yesterday.", "2026-03-03"),
        ("User quit smoking a year ago.", "2025-03-04"),
        ("User started at Acme last Monday.", "2026-03-02"),
        ("Nutzer war gestern beim Zahnarzt.", "2026-03-03"),
        ("Nutzer fliegt übermorgen nach Rom.", "2026-03-06"),
        ("Nutzer zog vor zwei Jahren um.", "2024-03-04"),
        ("Nutzer fährt morgen nach Köln.", "2026-03-05"),
        ("Gestern war Nutzer krank.", "2026-03-03"),
        ("Nutzer hat letzte Woche geheiratet.", "2026-02-23"),
        ("L'utilisateur a vu Bob hier.", "2026-03-03"),
        ("L'utilisateur part demain à Rome.", "2026-03-05"),
        ("L'utilisateur a déménagé il y a deux ans.", "2024-03-04"),
        ("Hier, l'utilisateur a mangé chez Anna.", "2026-03-03"),
        ("El usuario vio a Ana ayer.", "2026-03-03"),
        ("El usuario viaja mañana a Roma.", "2026-03-05"),
        ("El usuario se mudó hace dos años.", "2024-03-04"),
        ("Anoche el usuario cenó con Ana.", "2026-03-03"),
        ("L'utente ha visto Anna ieri.", "2026-03-03"),
        ("L'utente parte domani.", "2026-03-05"),
        ("L'utente si è trasferito due anni fa.", "2024-03-04"),
        ("O usuário viu a Ana ontem.", "2026-03-03"),
        ("O usuário viaja amanhã.", "2026-03-05"),
        ("Пользователь вчера ходил к врачу.", "2026-03-03"),
        ("Пользователь завтра едет в Рим.", "2026-03-05"),
        ("Пользователь переехал два года назад.", "2024-03-04"),
        ("用户昨天去看牙医了。", "2026-03-03"),
        ("用户明天飞往东京。", "2026-03-05"),
        ("用户两年前搬家了。", "2024-03-04"),
        ("用户上周结婚了。", "2026-02-23"),
        ("ユーザーは昨日歯医者に行った。", "2026-03-03"),
        ("ユーザーは明日大阪に行く。", "2026-03-05"),
        ("ユーザーは二年前に引っ越した。", "2024-03-04"),
        ("ユーザーは先週結婚した。", "2026-02-23"),
        ("User ate every cookie in the jar yesterday.", "2026-03-03"),
        ("User spoke with Anna about Rome yesterday.", "2026-03-03"),
        ("Every day is the same, and yesterday User fell.", "2026-03-03"),
        ("User bought a weekly pass yesterday.", "2026-03-03"),
        ("User met the band called Queen yesterday.", "2026-03-03"),
        ("User bought a daily planner for Anna last week.", "2026-02-23"),
        ("User loved the party yesterday.", "2026-03-03"),
        ("User ate with Anna yesterday.", "2026-03-03"),
        ("El usuario comió con Ana ayer.", "2026-03-03"),
        ("O usuário jantou com a Ana ontem.", "2026-03-03"),
        ("L'utente è uscito dall'ospedale ieri.", "2026-03-03"),
        ("L'utente vede il medico domani.", "2026-03-05"),
        ("用户昨天看着孩子学会走路。", "2026-03-03"),
        ("ユーザーは昨日本を買った。", "2026-03-03"),
        ("ユーザーは昨日が誕生日だった。", "2026-03-03"),
        ("User called Anna yesterday.", "2026-03-03"),
        ("Nutzer war gestern an der Nordsee.", "2026-03-03"),
        ("Nutzer hat gestern alle Blumen gegossen.", "2026-03-03"),
        ("Nutzer sprach gestern über Rom.", "2026-03-03"),
        ("Nutzer ging vorgestern an den See.", "2026-03-02"),
        ("L'utilisateur est allé à Rome hier.", "2026-03-03"),
        ("L'utilisateur a vu chaque salle du musée, hier.", "2026-03-03"),
        ("L'utilisateur part demain à Nice.", "2026-03-05"),
        ("El usuario comió en casa ayer.", "2026-03-03"),
        ("El usuario nadó en el mar ayer.", "2026-03-03"),
        ("L'utente ha cenato a Roma ieri.", "2026-03-03"),
        ("O usuário jantou em Lisboa ontem.", "2026-03-03"),
        ("O usuário nadou no mar ontem.", "2026-03-03"),
        ("Пользователь вчера говорил о Риме.", "2026-03-03"),
        ("Пользователь был в Риме вчера.", "2026-03-03"),
        ("用户昨天看了电影。", "2026-03-03"),
        ("用户昨天开始学钢琴。", "2026-03-03"),
        ("用户明天看牙医。", "2026-03-05"),
        ("用户昨天起床很晚。", "2026-03-03"),
        ("用户昨天和安娜吃饭。", "2026-03-03"),
        ("用户去年结婚了。", "2025-01-01"),
        ("ユーザーは昨日大阪から帰った。", "2026-03-03"),
        ("ユーザーは昨日駅まで歩いた。", "2026-03-03"),
        ("ユーザーは明日映画を見る。", "2026-03-05"),
        ("ユーザーは昨日、花を買った。", "2026-03-03"),
    ],
)
def test_what_happened_or_will_is_dated(text: str, day: str) -> None:
    draft = dated(text)
    assert (draft.text, draft.event_date) == (text, datetime.fromisoformat(day).replace(tzinfo=UTC))


PARTS = """
User moved half a year ago.
User moved half of a year ago.
User moved 2.5 years ago.
User moved 2½ years ago.
User moved twenty two years ago.
User moved a hundred and two years ago.
User moved two years and three months ago.
Nutzer zog vor zwei Jahren und drei Monaten um.
Nutzer zog vor einem halben Jahr um.
L'utilisateur a déménagé il y a un an et demi.
L'utilisateur a déménagé il y a deux ans et trois mois.
El usuario se mudó hace un año y medio.
El usuario se mudó hace dos años y tres meses.
L'utente si è trasferito 2,5 anni fa.
L'utente si è trasferito due anni e tre mesi fa.
O usuário mudou-se trinta e dois anos atrás.
Пользователь переехал полтора года назад.
Пользователь переехал двадцать лет назад.
Пользователь переехал много лет назад.
Пользователь переехал двадцать один год назад.
Пользователь переехал 2,5 года назад.
用户两年零三个月前搬家了。
用户一百二十年前搬家了。
用户半年前搬家了。
ユーザーは二年三か月前に引っ越した。
ユーザーは1.5か月前に引っ越した。
""".strip().split("\n")


@pytest.mark.parametrize("text", PARTS)
def test_the_end_of_a_longer_amount_is_no_amount(text: str) -> None:
    draft = dated(text)
    assert (draft.text, draft.event_date) == (text, None)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("User met Ann and moved two years ago.", "2024-03-04"),
        ("User had twenty guests two years ago.", "2024-03-04"),
        ("Nutzer zog vor zwei Jahren um und heiratete.", "2024-03-04"),
        ("L'utilisateur a déménagé il y a deux ans et demande un prêt.", "2024-03-04"),
        ("El usuario se mudó hace dos años y meditó.", "2024-03-04"),
        ("L'utente si è trasferito due anni fa e mezza città lo sa.", "2024-03-04"),
        ("Пользователь переехал год назад.", "2025-03-04"),
        ("Пользователь и Анна переехали два года назад.", "2024-03-04"),
        ("用户十二年前搬家了。", "2014-03-04"),
        ("用户三十二天前搬家了。", "2026-01-31"),
        ("ユーザーは二十年前に引っ越した。", "2006-03-04"),
        ("ユーザーは15日前に引っ越した。", "2026-02-17"),
    ],
)
def test_whole_amounts_are_read(text: str, day: str) -> None:
    date = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert dated(text).event_date == date
