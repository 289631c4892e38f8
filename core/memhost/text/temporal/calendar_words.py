"""Words and patterns of languages for times relative to the day of speaking."""

from __future__ import annotations

from typing import Literal

import msgspec

from memhost.text.temporal.languages import Language

Unit = Literal["day", "week", "weekend", "month", "year"]


class CalendarWords(msgspec.Struct, frozen=True, kw_only=True):
    """The words of one language.

    Patterns are regular expressions in which `{n}`, `{unit}` and `{weekday}` are replaced by those words.

    Attributes:
        days: Words for days, with how many days they lie ahead.
        weekdays: From Monday on, the spellings of each.
        numbers: Number words.
        units: Words for units.
        ago, ahead: So many units before or after today.
        last_unit, this_unit, next_unit: The week, weekend, month, year before, around and after today.
        last_weekday: The latest day of that name before today.
        coming_weekday: The first after today.
        this_weekday: Today or a later one of this week; no date if it has passed.
        next_weekday: The first after today where it lies in the next week; else nobody can tell.
        vague: Expressions that no date can be told for.
        bounds: Words in front that make a limit, a comparison or a purpose of a date: since, until, than.
        lasting: Words in front, in the same clause, after which `in two days` is a rate or a duration.
        to_the_day: So many units before today, to the day.
        habits: Words in the same clause that tell of what recurs.
        behind: Words right behind a date that bound or compare it, in languages that put them there.
        spaced: Whether blanks separate words.
    """

    days: dict[str, int]
    weekdays: tuple[str, ...]
    numbers: dict[str, int]
    units: dict[str, Unit]
    ago: tuple[str, ...]
    ahead: tuple[str, ...]
    last_unit: tuple[str, ...]
    this_unit: tuple[str, ...]
    next_unit: tuple[str, ...]
    last_weekday: tuple[str, ...]
    coming_weekday: tuple[str, ...]
    this_weekday: tuple[str, ...]
    next_weekday: tuple[str, ...]
    vague: tuple[str, ...]
    bounds: frozenset[str]
    lasting: str = ""
    to_the_day: tuple[str, ...] = ()
    habits: str = ""
    behind: str = ""
    spaced: bool = True


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _numbers(words: str) -> dict[str, int]:
    return {word: number for number, group in enumerate(words.split(), 1) for word in group.split("|")}


def _han_numbers() -> dict[str, int]:
    """Numbers below a hundred in Han signs."""
    digits = ["", *"一二三四五六七八九"]
    tens = ["", "十", *(f"{digit}十" for digit in digits[2:])]
    return {ten + one: 10 * high + low for high, ten in enumerate(tens) for low, one in enumerate(digits) if ten or one}


ENGLISH = CalendarWords(
    days={
        "(?:the )?day before yesterday": -2,
        "yesterday (?:morning|afternoon|evening|night)": -1,
        "yesterday": -1,
        "last night": -1,
        "(?:earlier|later) today": 0,
        "today": 0,
        "tonight": 0,
        "this (?:morning|afternoon|evening)": 0,
        "(?:the )?day after tomorrow": 2,
        "tomorrow (?:morning|afternoon|evening|night)": 1,
        "tomorrow": 1,
    },
    weekdays=(
        "monday|mon",
        "tuesday|tues?",
        "wednesday|wed",
        "thursday|thurs?",
        "friday|fri",
        "saturday|sat",
        "sunday|sun",
    ),
    numbers={
        **_numbers("one|a|an two three four five six seven eight nine ten eleven twelve"),
        "a couple of": 2,
        "a couple": 2,
    },
    units={"days?": "day", "weeks?": "week", "weekends?": "weekend", "months?": "month", "years?": "year"},
    ago=("{n} {unit} ago",),
    ahead=("in {n} {unit}(?:'s?|’s?)?(?: time)?", "{n} {unit} from (?:now|today)(?! on)"),
    last_unit=("(?:last|this past|the past|the previous) {unit}",),
    this_unit=("this {unit}",),
    next_unit=("next {unit}", "the coming {unit}"),
    last_weekday=("(?:on )?last {weekday}", "(?:this )?past {weekday}"),
    coming_weekday=("(?:on )?(?:this |the )?(?:coming|upcoming) {weekday}",),
    this_weekday=("this {weekday}",),
    next_weekday=("(?:on )?next {weekday}",),
    vague=(
        "a few (?:days|weeks|months|years) ago",
        "(?:some|many|several) (?:days|weeks|months|years) ago",
        "in a few (?:days|weeks|months|years)",
        "the other day",
        "recently",
        "(?:just|right) now",
    ),
    bounds=_set(
        "since until till by from for before after of through to than like as unlike versus vs about named called"
        " titled with"
    ),
    habits=(
        r"(?:every|each) (?:other )?(?:day|week|month|year|morning|evening|night|\w+day)|on average|"
        r"(?:daily|weekly|monthly)(?=\s*$)|(?:mon|tues|wednes|thurs|fri|satur|sun)days|(?:usually|always|never|often)"
    ),
    lasting=(
        r"\w{2,}ed|did|does|took|takes?|taken|needs?|done|made|built|wrote|written|lost|won|ran|read|saw|sold|spent|had|has"
        r"|have|was|were|got|came|went|ate|drank|slept|drove|flew|swam|can|could|able|often|times?|twice|once|thrice"
        r"|each|per|every|most|best|only|all|usually|always|\d[\d.,]*|hundreds|dozens?|thousands?"
        r"|(?:two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|fifty|hundred|thousand) \w+"
    ),
    to_the_day=("{n} {unit} ago today", "today {n} {unit} ago"),
)

GERMAN = CalendarWords(
    days={
        "vorgestern": -2,
        "gestern (?:morgen|früh|vormittag|nachmittag|abend|nacht)": -1,
        "gestern": -1,
        "heute (?:morgen|früh|vormittag|nachmittag|abend|nacht)": 0,
        "heute": 0,
        "übermorgen": 2,
        "morgen (?:früh|vormittag|nachmittag|abend)": 1,
        "(?<!guten )(?<!am )(?<!jeden )(?<!diesen )(?<!heute )(?<!gestern )morgen": 1,
    },
    weekdays=("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag|sonnabend", "sonntag"),
    numbers=_numbers("ein|eine|einer|einem|einen zwei drei vier fünf sechs sieben acht neun zehn elf zwölf"),
    units={
        "tag(?:en|e)?": "day",
        "wochenenden?": "weekend",
        "wochen?": "week",
        "monat(?:en|e|s)?": "month",
        "jahr(?:en|e|es|s)?": "year",
    },
    ago=("vor {n} {unit}",),
    ahead=("in {n} {unit}",),
    last_unit=("(?:am |im )?(?:letzte|vergangene|vorige)[nmrs]? {unit}",),
    this_unit=("(?:an |in )?diese[nmrs]? {unit}",),
    next_unit=("(?:am |im )?(?:nächste|kommende)[nmrs]? {unit}",),
    last_weekday=("(?:am )?(?:letzten|vergangenen|vorigen) {weekday}",),
    coming_weekday=("(?:am )?kommenden {weekday}",),
    this_weekday=("(?:an )?diesen {weekday}", "diesem {weekday}"),
    next_weekday=("(?:am )?nächsten {weekday}",),
    vague=(
        "vor (?:ein paar|einigen|wenigen) (?:tagen|wochen|monaten|jahren)",
        "in (?:ein paar|einigen|wenigen) (?:tagen|wochen|monaten|jahren)",
        "neulich",
        "kürzlich",
        "vor kurzem",
    ),
    bounds=_set("seit bis ab vor nach für von zum als wie zu an über namens heißt"),
    habits=(
        r"(?:jede[nrs]?|alle) (?:tage?|wochen?|monate?|jahre?|morgen|abend|\w+tag)|täglich|wöchentlich"
        r"|(?:mon|diens|donners|frei|sams|sonn)tags|immer|meistens|normalerweise"
    ),
    lasting=(
        r"hat|habe|haben|hast|hatten?|wurden?|worden|ge\w{2,}t|ge\w{2,}en|kann|können|schaff\w*|brauch\w*|dauert?e?"
        r"|mal|einmal|zweimal|dreimal|pro|jede[rsn]?|immer|oft|\d[\d.,]*|drei|fünf|zehn|zwanzig|fünfzig|hundert"
    ),
    to_the_day=("heute vor {n} {unit}",),
)

FRENCH = CalendarWords(
    days={
        "avant-hier": -2,
        "hier (?:matin|soir|après-midi)": -1,
        "hier": -1,
        "aujourd['’]hui": 0,
        "ce (?:matin|soir)": 0,
        "cet après-midi": 0,
        "après-demain": 2,
        "demain (?:matin|soir|après-midi)": 1,
        "demain": 1,
    },
    weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    numbers=_numbers("un|une deux trois quatre cinq six sept huit neuf dix onze douze"),
    units={"jours?": "day", "semaines?": "week", "week-ends?": "weekend", "mois": "month", "ans?|années?": "year"},
    ago=("il y a {n} {unit}(?! que)",),
    ahead=("dans {n} {unit}",),
    last_unit=("(?:la |le |l['’]|au )?{unit} (?:derni(?:er|ère)|passée?)",),
    this_unit=("ce(?:tte|t)? {unit}",),
    next_unit=("(?:la |le |l['’]|au )?{unit} prochaine?",),
    last_weekday=("{weekday} (?:dernier|passé)",),
    coming_weekday=("ce {weekday} à venir",),
    this_weekday=("ce {weekday}",),
    next_weekday=("{weekday} prochain",),
    vague=(
        "il y a quelques (?:jours|semaines|mois|ans|années)",
        "dans quelques (?:jours|semaines|mois|ans)",
        "récemment",
    ),
    bounds=_set("depuis jusqu'à dès avant après pour d'ici que comme de d' à appelé appelée"),
    habits=r"(?:chaque|tous les|toutes les) \w+|toujours|d'habitude|en moyenne",
    lasting=r"\d+ \w+|fois",
    to_the_day=("il y a {n} {unit} aujourd['’]hui",),
)

SPANISH = CalendarWords(
    days={
        "anteayer|antes de ayer": -2,
        "ayer por la (?:mañana|tarde|noche)": -1,
        "ayer": -1,
        "anoche": -1,
        "hoy": 0,
        "esta (?:mañana|tarde|noche)": 0,
        "pasado mañana": 2,
        "mañana por la (?:mañana|tarde|noche)": 1,
        "(?<!la )(?<!el )(?<!esta )(?<!cada )(?<!pasado )mañana": 1,
    },
    weekdays=("lunes", "martes", "miércoles|miercoles", "jueves", "viernes", "sábado|sabado", "domingo"),
    numbers=_numbers("un|una dos tres cuatro cinco seis siete ocho nueve diez once doce"),
    units={
        "días?|dias?": "day",
        "semanas?": "week",
        "fin de semana": "weekend",
        "mes(?:es)?": "month",
        "años?": "year",
    },
    ago=("hace {n} {unit}(?! que)",),
    ahead=("dentro de {n} {unit}",),
    last_unit=("(?:la |el )?{unit} pasad[oa]", "(?:la |el )(?:últim|pasad)[oa] {unit}"),
    this_unit=("est[ea] {unit}",),
    next_unit=("(?:la |el )?{unit} que viene", "(?:la |el )?próxim[oa] {unit}", "(?:la |el )?{unit} próxim[oa]"),
    last_weekday=("(?:el )?{weekday} pasado", "(?:el )?pasado {weekday}"),
    coming_weekday=("(?:el )?{weekday} que viene",),
    this_weekday=("este {weekday}",),
    next_weekday=("(?:el )?próximo {weekday}",),
    vague=("hace (?:unos|unas|algunos|algunas) (?:días|semanas|meses|años)", "recientemente", "hace poco"),
    bounds=_set("desde hasta para antes después de que como con en llamado llamada"),
    habits=r"cada \w+|tod[oa]s l[oa]s \w+|siempre|normalmente",
    lasting=r"\d+ \w+|veces|vez",
    to_the_day=("hoy hace {n} {unit}",),
)

ITALIAN = CalendarWords(
    days={
        "l['’]altro ieri|altroieri|avantieri": -2,
        "ieri (?:mattina|pomeriggio|sera|notte)": -1,
        "ieri": -1,
        "oggi pomeriggio": 0,
        "oggi": 0,
        "stamattina|stamane|stasera": 0,
        "quest[ao] (?:mattina|pomeriggio|sera)": 0,
        "dopodomani": 2,
        "domani (?:mattina|pomeriggio|sera|notte)": 1,
        "(?<!il )domani": 1,
    },
    weekdays=(
        "lunedì|lunedi",
        "martedì|martedi",
        "mercoledì|mercoledi",
        "giovedì|giovedi",
        "venerdì|venerdi",
        "sabato",
        "domenica",
    ),
    numbers=_numbers("un|una|uno due tre quattro cinque sei sette otto nove dieci undici dodici"),
    units={
        "giorn[oi]": "day",
        "fine settimana|weekend": "weekend",
        "settiman[ae]": "week",
        "mes[ei]": "month",
        "ann[oi]": "year",
    },
    ago=("{n} {unit} fa",),
    ahead=("(?:fra|tra) {n} {unit}",),
    last_unit=("(?:la |lo |il |l['’])?{unit} (?:scors|passat)[oa]", "(?:la |lo )?scors[oa] {unit}"),
    this_unit=("quest[oa] {unit}", "quest['’]{unit}"),
    next_unit=("(?:la |il |l['’])?{unit} prossim[oa]", "(?:la |il )?prossim[oa] {unit}"),
    last_weekday=("{weekday} (?:scors|passat)[oa]", "(?:lo )?scors[oa] {weekday}"),
    coming_weekday=(),
    this_weekday=("quest[oa] {weekday}",),
    next_weekday=("{weekday} prossim[oa]", "(?:il |la )?prossim[oa] {weekday}"),
    vague=(
        "(?:qualche|alcuni|alcune|pochi|poche) (?:giorn[oi]|settiman[ae]|mes[ei]|ann[oi]) fa",
        "recentemente",
        "di recente",
    ),
    bounds=_set("da dal dalla fino a prima dopo per di entro che come con dell' dall' all' chiamato chiamata"),
    habits=r"ogni \w+|tutt[ie] (?:i|le) \w+|sempre|di solito",
    lasting=r"\d+ \w+|volte|volta",
)

PORTUGUESE = CalendarWords(
    days={
        "anteontem": -2,
        "ontem (?:de manhã|à tarde|à noite)": -1,
        "ontem": -1,
        "hoje (?:de manhã|à tarde|à noite)": 0,
        "hoje": 0,
        "est[ae] (?:manhã|tarde|noite)": 0,
        "depois de amanhã": 2,
        "amanhã (?:de manhã|à tarde|à noite|cedo)": 1,
        "amanhã": 1,
    },
    weekdays=("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
    numbers=_numbers("um|uma dois|duas três quatro cinco seis sete oito nove dez onze doze"),
    units={"dias?": "day", "fim de semana": "weekend", "semanas?": "week", "m[êe]s(?:es)?": "month", "anos?": "year"},
    ago=("(?:há )?{n} {unit} atrás",),
    ahead=("(?:daqui a|dentro de) {n} {unit}",),
    last_unit=("(?:n?[ao] )?{unit} passad[oa]",),
    this_unit=("n?est[ea] {unit}",),
    next_unit=("(?:n?[ao] )?próxim[oa] {unit}", "(?:n?[ao] )?{unit} que vem"),
    last_weekday=("(?:n?[ao] )?{weekday} passad[oa]",),
    coming_weekday=("(?:n?[ao] )?{weekday} que vem",),
    this_weekday=("n?est[ea] {weekday}",),
    next_weekday=("(?:n?[ao] )?próxim[oa] {weekday}",),
    vague=("há (?:alguns|algumas|poucos|poucas) (?:dias|semanas|meses|anos)", "recentemente"),
    bounds=_set("desde até para antes depois de do da que como com no em chamado chamada"),
    habits=r"cada \w+|tod[oa]s [oa]s \w+|sempre|normalmente",
    lasting=r"\d+ \w+|vezes|vez",
)

RUSSIAN = CalendarWords(
    days={
        "позавчера": -2,
        "вчера (?:утром|днём|днем|вечером|ночью)": -1,
        "вчера": -1,
        "сегодня (?:утром|днём|днем|вечером|ночью)": 0,
        "сегодня": 0,
        "послезавтра": 2,
        "завтра (?:утром|днём|днем|вечером|ночью)": 1,
        "завтра": 1,
    },
    weekdays=("понедельник", "вторник", "сред[ау]", "четверг", "пятниц[ау]", "суббот[ау]", "воскресенье"),
    numbers=_numbers("один|одну|одна два|две три четыре пять шесть семь восемь девять десять"),
    units={
        "день|дня|дней": "day",
        "выходны[ех]": "weekend",
        "недел[яюеиь]": "week",
        "месяц(?:а|ев|е)?": "month",
        "год(?:а|у)?|лет": "year",
    },
    ago=("{n} {unit} назад", "(?P<n>)(?P<unit>день|неделю|месяц|год) назад"),
    ahead=("через (?:{n} )?{unit}",),
    last_unit=("(?:на |в )?прошл(?:ой|ую|ом|ый|ая|ые|ых) {unit}",),
    this_unit=("(?:на |в )?эт(?:ой|у|ом|от|а|и|их) {unit}",),
    next_unit=("(?:на |в )?(?:следующ|будущ)(?:ей|ую|ем|ий|ая|ие|их) {unit}",),
    last_weekday=("в прошл(?:ый|ую|ое) {weekday}",),
    coming_weekday=(),
    this_weekday=("в эт(?:от|у|о) {weekday}",),
    next_weekday=("в следующ(?:ий|ую|ее) {weekday}",),
    vague=("недавно", "на днях", "несколько (?:дней|недель|месяцев|лет) назад"),
    bounds=_set("с со до после перед для чем как к по от о об про"),
    habits=r"кажд(?:ый|ую|ое|ые) \w+|всегда|обычно",
    lasting=r"\d+|раза?|каждые|каждую|каждый",
)

CHINESE = CalendarWords(
    days={
        "大前天": -3,
        "(?<!大)前天": -2,
        "昨天(?:早上|上午|中午|下午|晚上|夜里)?|昨晚|昨夜": -1,
        "今天(?:早上|上午|中午|下午|晚上|夜里)?|今晚|今早|今夜": 0,
        "明天(?:早上|上午|中午|下午|晚上|夜里)?|明早|明晚": 1,
        "(?<!大)后天(?!性|免疫|失调|形成)": 2,
        "大后天": 3,
    },
    weekdays=("一", "二", "三", "四", "五", "六", "日|天"),
    numbers=_han_numbers() | {"两": 2},
    units={"天": "day", "周末": "weekend", "周|星期|礼拜": "week", "月": "month", "年": "year"},
    ago=("{n}(?P<unit>天|周|年)(?:之|以)?前(?!端|台|后|沿)", "{n}个(?P<unit>星期|礼拜|月)(?:之|以)?前(?!端|台|后|沿)"),
    ahead=(),
    last_unit=(
        "(?<![以向])上个?(?P<unit>周末|周(?!围|边|年|五|六|日|一|二|三|四|天)|星期|礼拜|月)",
        "去(?P<unit>年)(?![会夜货])",
    ),
    this_unit=("(?:这|(?<!日)本)个?(?P<unit>周末|周(?!围|边|年)|星期|礼拜|月)", "今(?P<unit>年)"),
    next_unit=("(?<![以向])下个?(?P<unit>周末|周(?!围|边|年)|星期|礼拜|月)", "明(?P<unit>年)"),
    last_weekday=(),
    coming_weekday=(),
    this_weekday=(),
    next_weekday=(),
    vague=("最近", "前几天", "几(?:天|周|年|个月)前"),
    bounds=_set("从 自 到 比 像 跟 看 听 读 叫 名为 吃 喝 爱 喜欢 讨厌 订阅 着 电影 歌曲 杂志 报纸 节目"),
    behind=r"以来|为止",
    habits=r"[每毎]|经常|总是|通常",
    spaced=False,
)

JAPANESE = CalendarWords(
    days={
        "一昨日|おととい": -2,
        "(?<!一)昨日|きのう|昨夜|昨晩|ゆうべ": -1,
        "今日(?!子|から俺)|今朝|今夜|今晩": 0,
        "明日(?!香|菜|美|海|葉|奈|佳|花)|あした(?!ば)": 1,
        "明後日|あさって": 2,
    },
    weekdays=("月", "火", "水", "木", "金", "土", "日"),
    numbers=_han_numbers(),
    units={"日": "day", "週末": "weekend", "週間?": "week", "(?:ヶ|か|カ|ヵ|ケ)?月": "month", "年": "year"},
    ago=("{n}(?P<unit>日|週間|(?:ヶ|か|カ|ヵ|ケ)月|年)前(?!後)",),
    ahead=(),
    last_unit=("(?:先|前の)(?P<unit>週末|週|月)", "(?:昨|去)(?P<unit>年)"),
    this_unit=("今(?P<unit>週末|週|月(?!号)|年)",),
    next_unit=("来(?P<unit>週末|週|月(?!号)|年)",),
    last_weekday=(),
    coming_weekday=(),
    this_weekday=(),
    next_weekday=(),
    vague=("最近", "先日", "数(?:日|週間|年)前"),
    bounds=_set("名前は 名は 曲は 映画は 番組は"),
    behind=r"まで|より|から|以来|以降|への|を",
    habits=r"[毎每]|いつも|たいてい",
    spaced=False,
)

WORDS: dict[Language, CalendarWords] = {
    "en": ENGLISH,
    "de": GERMAN,
    "fr": FRENCH,
    "es": SPANISH,
    "it": ITALIAN,
    "pt": PORTUGUESE,
    "ru": RUSSIAN,
    "zh": CHINESE,
    "ja": JAPANESE,
}
