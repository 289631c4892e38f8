"""Capitalised words that need no evidence, and the long forms of nicknames."""

from __future__ import annotations

from memhost.text.temporal.date_names import MONTHS
from memhost.text.unicode_forms import fold
from memhost.text.words import word_set

_MONTHS = frozenset(name.strip("' ") for line in fold(MONTHS).split("\n") for name in line.split(",") if len(line) > 2)
_WEEKDAYS = word_set(
    """
    monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag
    sonnabend sonntag lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miercoles jueves viernes
    sabado domingo lunedi martedi mercoledi giovedi venerdi sabato domenica segunda terca quarta quinta sexta
    """
)
_PEOPLE = word_set(
    """
    user users nutzer nutzerin benutzer utilisateur utilisatrice usuario usuaria utente usuário пользователь
    assistant assistent asistente assistente agent ai bot model team mom mum mommy mummy dad daddy mama papa
    grandma grandpa granny nana oma opa mami papi mamie papy abuela abuelo nonna nonno vovo мама папа бабушка
    дедушка uncle aunt auntie tante onkel mr mrs ms miss mister sir madam dr doctor prof professor herr herrn
    frau fräulein monsieur madame mademoiselle mme mlle senor senora senorita don dona signor signora signorina
    senhor senhora lord lady saint st king queen president
    """
)
_NATIONS = word_set(
    """
    american british english scottish welsh irish german austrian swiss french belgian dutch flemish spanish
    catalan basque portuguese brazilian italian greek turkish kurdish polish czech slovak hungarian romanian
    bulgarian serbian croatian bosnian slovenian albanian russian ukrainian belarusian lithuanian latvian
    estonian finnish swedish norwegian danish icelandic chinese mandarin cantonese japanese korean vietnamese
    thai indian hindi urdu bengali tamil pakistani persian iranian arabic arab hebrew israeli egyptian moroccan
    african nigerian kenyan ethiopian swahili mexican argentinian chilean colombian peruvian cuban canadian
    australian european asian latin latino western eastern northern southern deutsch deutsche deutscher
    deutschen englisch franzosisch spanisch italienisch portugiesisch russisch chinesisch japanisch turkisch
    polnisch francais francaise anglais anglaise allemand allemande espagnol espagnole italien italienne chinois
    japonais russe portugais espanol espanola ingles inglesa aleman alemana frances francesa italiano italiana
    chino japones ruso
    """
)
_COUNTRIES = word_set(
    """
    germany austria switzerland france belgium netherlands holland spain portugal brazil italy greece turkey
    poland hungary england britain uk usa us america scotland wales ireland russia ukraine finland sweden norway
    denmark iceland china japan korea vietnam thailand india mexico canada australia europe asia africa
    deutschland osterreich schweiz frankreich spanien italien allemagne autriche suisse espagne italie
    angleterre alemania francia espana inglaterra italia germania
    """
)
"""A country may follow from a city, a language or a nationality; alone it says little."""
_THINGS = word_set(
    """
    internet web wifi wi-fi bluetooth ok tv pc cv id pin usb dvd gps api url sql html css json pdf csv xml ceo
    cto cfo hr it phd mba bsc msc vat tax covid god bible christmas xmas easter halloween thanksgiving new year
    years eve weihnachten ostern silvester noel paques navidad natale pasqua natal рождество пасха earth moon
    sun north south east west sms email e-mail app apps online euro euros dollar dollars pound pounds yen usd
    eur gbp chf kg km celsius fahrenheit the a an in on at no yes i my his her their our this that it she he
    they we you der die das ein eine im am le la les el los il lo un une una
    """
)

COMMON = _MONTHS | _WEEKDAYS | frozenset(map(fold, _PEOPLE)) | _NATIONS | _COUNTRIES | frozenset(map(fold, _THINGS))
"""Folded words that are no names of somebody or something that has to be said."""

_NICK = """
robert bob bobby rob; william bill billy will liam; richard dick rick richie; margaret peggy maggie meg rita gretel;
elizabeth liz beth betty lisa eliza bess; katherine kate kathy katie kitty; edward ed ted teddy ned; james jim jimmy
jamie; john jack johnny jon; henry harry hank; charles chuck charlie; anthony tony; theodore ted theo; michael mike
mick mickey; joseph joe joey; david dave; daniel dan danny; thomas tom tommy; alexander alex sasha xander саша;
alexandra sasha саша; susan sue suzie; dorothy dot dolly; mary molly polly mae; ann nancy annie; helen nell nellie
lena; eleanor ellie nora nell; francis frank; franklin frank; lawrence larry; leonard leo len; samuel sam; samantha
sam; stephen steve; nicholas nick klaus; patricia pat trish; patrick pat paddy; andrew andy drew; matthew matt;
christopher chris kit; christina chris tina; jose pepe; francisco paco pancho curro; ignacio nacho; guadalupe lupe;
dolores lola; concepcion concha; enrique quique kike; giuseppe beppe peppe pino; luigi gigi; johannes hans hannes;
josef sepp; friedrich fritz; heinrich heinz; elisabeth lisl sissi; maria mia mitzi; мария маша; дмитрий дима;
евгений женя; владимир вова володя; екатерина катя; иван ваня; николай коля; алексей леша; михаил миша; анна аня;
татьяна таня; наталья наташа; елена лена; павел паша; юрий юра; сергей сережа; ольга оля; геннадий гена; константин
костя; георгий гоша жора; григорий гриша; виктор витя; василий вася; петр петя
"""


def _nicknames() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in fold(_NICK).split(";"):
        names = line.split()
        for name in names:
            found.setdefault(name, set()).update(names)
    return {name: frozenset(others) for name, others in found.items()}


NICKNAMES = _nicknames()
"""Names of one person, by each of them; folded."""
