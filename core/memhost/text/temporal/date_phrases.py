"""Words around dates, by language, as `fold` leaves them: without capitals and without the accents of Latin letters.

What `date_names` has from CLDR lacks plurals and everyday forms; they are here.
"""

from __future__ import annotations

from memhost.text.temporal.calendar_words import Unit

MORE_RELATIVE = """
nl
week -1: afgelopen week
month -1: afgelopen maand
year -1: afgelopen jaar
day -#: # dagen terug
week -#: # weken terug
month -#: # maanden terug
year -#: # jaar terug
week -1~: een week geleden
month -1~: een maand geleden
year -1~: een jaar geleden
tr
week -1: geçtiğimiz hafta
month -1: geçtiğimiz ay
year -1: geçen sene, geçtiğimiz yıl
day -2: evvelsi gün, önceki gün
year -#: # sene önce
ar
day -1: البارحة, امس
month -1: الشهر الفائت
year -1: العام الماضي
day -#: منذ # أيام, منذ # يوم
week -#: منذ # أسابيع
month -#: منذ # أشهر, منذ # شهور
year -#: منذ # سنوات
week -1~: قبل أسبوع, منذ أسبوع
month -1~: قبل شهر, منذ شهر
year -1~: قبل سنة, منذ سنة, قبل عام
ko
day -2: 그저께, 그제
day 2: 모레
week -1: 지난 주, 저번 주, 저번주
month -1: 지난 달, 저번 달
year -1: 지난해
week -1~: 일주일 전
pl
day -2: przedwczoraj
day 2: pojutrze
week -1: zeszły tydzień, w ubiegłym tygodniu
month -1: zeszły miesiąc, w ubiegłym miesiącu
year -1: zeszły rok, w ubiegłym roku
day -#: # dni temu
week -#: # tygodnie temu, # tygodni temu
month -#: # miesiące temu, # miesięcy temu
year -#: # lata temu, # lat temu
week -1~: tydzień temu
month -1~: miesiąc temu
year -1~: rok temu
ro
day -2: alaltăieri
day 2: poimâine
week -#: acum # săptămâni
year -#: acum # ani
week -1~: acum o săptămână
month -1~: acum o lună
year -1~: acum un an
el
day -1: χτες
day -2: προχθές, προχτές
day 2: μεθαύριο
week -1: προηγούμενη εβδομάδα, περασμένη εβδομάδα
month -1: προηγούμενο μήνα, περασμένο μήνα
year -1: πέρυσι
day -#: πριν # μέρες, πριν από # μέρες, πριν # ημέρες
week -#: πριν # εβδομάδες
month -#: πριν # μήνες
year -#: πριν # χρόνια, πριν από # χρόνια
week -1~: πριν μια εβδομάδα, πριν από μια εβδομάδα
month -1~: πριν έναν μήνα, πριν από έναν μήνα
year -1~: πριν έναν χρόνο, πριν από έναν χρόνο
hi
week -1: पिछले हफ्ते, पिछले हफ़्ते, पिछले सप्ताह
month -1: पिछले महीने, पिछले माह
week -#: # हफ्ते पहले, # हफ़्ते पहले
month -#: # महीने पहले
year -#: # साल पहले
vi
day -2: hôm kia
day -1: hôm qua
day 0: hôm nay
day 1: ngày mai
week -1: tuần trước, tuần rồi, tuần vừa qua
week 0: tuần này
month -1: tháng trước, tháng rồi, tháng vừa qua
month 0: tháng này
year -1: năm ngoái, năm trước
year 0: năm nay
day -#: # ngày trước, cách đây # ngày
week -#: # tuần trước, cách đây # tuần
month -#: # tháng trước, cách đây # tháng
year -#: # năm trước, cách đây # năm
"""
"""As `date_names.RELATIVE`; `~` marks one unit counted from today, `a week ago`, instead of a calendar's."""

MORE_MONTHS = (
    ("ru", "январе феврале марте апреле мае июне июле августе сентябре октябре ноябре декабре"),
    ("ru", "январем февралем мартом апрелем маем июнем июлем августом сентябрем октябрем ноябрем декабрем"),
    ("uk", "січні лютому березні квітні травні червні липні серпні вересні жовтні листопаді грудні"),
    ("pl", "styczniu lutym marcu kwietniu maju czerwcu lipcu sierpniu wrześniu październiku listopadzie grudniu"),
    (
        "pl",
        "styczniem lutym marcem kwietniem majem czerwcem lipcem sierpniem wrześniem październikiem listopadem grudniem",
    ),
    ("el", "ιανουάριο φεβρουάριο μάρτιο απρίλιο μάιο ιούνιο ιούλιο αύγουστο σεπτέμβριο οκτώβριο νοέμβριο δεκέμβριο"),
    ("cs", "lednu únoru březnu dubnu květnu červnu červenci srpnu září říjnu listopadu prosinci"),
)
"""A language and twelve months in the case of `in March` or `between March and May`."""

NUMBERS = {
    "nl": "een twee drie vier vijf zes zeven acht negen tien",
    "tr": "bir iki uc dort bes altı yedi sekiz dokuz on",
    "ar": "واحد اثنين ثلاثة|ثلاث أربعة|أربع خمسة|خمس ستة|ست سبعة|سبع ثمانية|ثماني تسعة|تسع عشرة|عشر",
    "ko": "한 두 세 네 다섯 여섯 일곱 여덟 아홉 열",
    "pl": "jeden dwa|dwie trzy cztery piec szesc siedem osiem dziewiec dziesiec",
    "ro": "un|o doi|doua trei patru cinci sase sapte opt noua zece",
    "el": "ενα|μια δυο|δυο τρεις|τρια τεσσερις|τεσσερα πεντε εξι επτα|εφτα οκτω|οχτω εννεα|εννια δεκα",
    "vi": "mot hai ba bon nam sau bay tam chin muoi",
    "hi": "एक दो तीन चार पाँच|पांच छह|छः सात आठ नौ दस",
}
"""Number words from one on, in the languages whose words `calendar_words` does not have."""

TENS = (
    "on yirmi otuz kırk elli altmış yetmiş seksen doksan yüz dwadzieścia trzydzieści czterdzieści pięćdziesiąt"
    " sześćdziesiąt είκοσι τριάντα σαράντα πενήντα εξήντα εβδομήντα ογδόντα ενενήντα εκατό și"
)
"""Words of tens that stand in front of the words of ones in a number."""

LAST = {
    "en": "last|past|previous",
    "de": "letzten|vergangenen",
    "es": "ultimos|ultimas",
    "it": "ultimi|ultime",
    "pt": "ultimos|ultimas",
    "nl": "afgelopen|laatste",
    "ru": "последние|последних",
    "tr": "son",
    "ar": "آخر|اخر",
    "pl": "ostatnie|ostatnich",
    "ro": "ultimele|ultimii",
    "el": "τελευταιες|τελευταιους|τελευταια",
    "hi": "पिछले",
    "zh": "最近|过去|過去|近",
    "ja": "過去|ここ|直近",
    "ko": "지난|최근|과거",
}
"""Words before `5 days` where a span up to now is meant: `in the last 5 days`. French has its word elsewhere."""

UNITS: dict[Unit, str] = {
    "day": "day|days|tag|tage|tagen|jours|dias|giorni|dag|dagen|день|дня|дней|gun|أيام|يوم|يوما|dni|zile|μερες|ημερες"
    "|दिन|दिनों|天|日間|日|일",
    "week": "week|weeks|woche|wochen|semaines|semanas|settimane|weken|неделю|недели|недель|hafta|أسابيع|أسبوع|tygodnie"
    "|tygodni|saptamani|εβδομαδες|हफ्ते|हफ्तों|सप्ताह|周|个星期|週間|주",
    "weekend": "weekend|weekends|wochenende|wochenenden|week-end",
    "month": "month|months|monat|monate|monaten|mois|meses|mesi|maand|maanden|месяц|месяца|месяцев|ay|أشهر|شهور|شهرا"
    "|miesiace|miesiecy|luni|μηνες|महीने|महीनों|个月|個月|ヶ月|か月|カ月|ヵ月|개월|달",
    "year": "year|years|jahr|jahre|jahren|ans|annees|anos|anni|jaar|год|года|лет|yıl|سنوات|سنة|lata|lat|ani|χρονια|ετη"
    "|साल|सालों|वर्ष|वर्षों|年|年間|년",
}
"""Words of units, of all languages together."""

BEFORE = {
    "en": "before|prior to|earlier than",
    "de": "vor|vor dem",
    "fr": "avant|avant le",
    "es": "antes de|antes del",
    "it": "prima del|prima di|prima dell'",
    "pt": "antes de|antes do",
    "nl": "voor",
    "ru": "раньше|перед|до",
    "ar": "قبل",
    "pl": "przed",
    "ro": "inainte de",
    "vi": "truoc|truoc ngay",
    "el": "πριν|πριν απο|πριν το|πριν απο το",
}
"""Words before a date that bounds a time on its later side, itself left out."""

UNTIL = {
    "en": "until|till|up to|through",
    "de": "bis|bis zum",
    "fr": "jusqu'en|jusqu'au|jusqu'a|jusque",
    "es": "hasta|hasta el",
    "it": "fino a|fino al|entro",
    "pt": "ate|ate o",
    "nl": "tot|tot en met",
    "ar": "حتى",
    "pl": "do",
    "ro": "pana in|pana la",
    "vi": "đen|cho đen|toi",
    "el": "μεχρι|μεχρι το|εως|ως",
}
"""The same, itself included; of a year or a month in Polish it may be left out as well."""

AFTER = {
    "en": "after|later than",
    "de": "nach|nach dem",
    "fr": "apres|apres le",
    "es": "despues de|despues del",
    "it": "dopo|dopo il",
    "pt": "depois de|depois do|apos",
    "nl": "na",
    "ru": "после",
    "ar": "بعد",
    "pl": "po",
    "ro": "dupa",
    "vi": "sau|sau ngay",
    "el": "μετα|μετα το|μετα απο",
}
"""Words before a date that bounds a time on its earlier side, itself left out."""

SINCE = {
    "en": "since|starting",
    "de": "seit|seit dem|ab|ab dem",
    "fr": "depuis|depuis le|des|a partir de|a partir du",
    "es": "desde|desde el",
    "it": "dal|da|dall'|a partire da|a partire dal",
    "pt": "desde|a partir de",
    "nl": "sinds|vanaf",
    "ru": "с|со|начиная с",
    "ar": "منذ",
    "pl": "od",
    "ro": "incepand cu",
    "vi": "tu|tu ngay|ke tu",
    "el": "απο|απο το",
}
"""The same, itself included."""

BEHIND = {
    "before": "之前|以前|(?<!年)前(?![天年月])|より前|の前に|이전|전에|dan once|den once|tan once|ten once"
    "|'?[dt][ae]n once|से पहले",
    "until": "为止|為止|まで|까지|'?[ydt]?[ae] kadar|तक",
    "after": "之后|之後|以后|より後|の後|이후|후에|'?[dt][ae]n sonra|के बाद",
    "since": "以来|以降|起|から|부터|'?[dt][ae]n beri|'?[dt][ae]n itibaren|onwards?|on(?=[ ]?[?!.,;]|$)",
}
"""The same behind a date, in languages that put it there."""

ALONE = {
    "en": "in|during|of|since|by|until|early|late|mid|last|this|next|end|before|after|till|through",
    "de": "im|seit|bis|ab|vor|nach|letzten|nachsten|diesen|anfang|mitte|ende",
    "fr": "en|depuis|avant|apres|des|jusqu'en|fin|debut|mi|mois de|mois d'",
    "es": "en|desde|hasta|de|antes de|despues de",
    "it": "a|in|da|di|fino a|dopo|nel",
    "pt": "em|desde|ate|de|depois de|antes de",
    "nl": "in|sinds|tot|vanaf|voor|na",
    "ru": "в|с|до|по|к|после|начале|конце|середине",
    "ar": "في|منذ|قبل|بعد|شهر|حتى",
    "pl": "w|we|od|do|po|przed",
    "ro": "in|din|pana in|dupa",
    "el": "τον|απο|μεχρι|πριν|μετα",
    "sv": "i|sedan|fore|efter",
    "da": "i|siden|for|efter",
    "nb": "i|siden|for|etter",
    "cs": "v|od|do|po",
    "uk": "у|в|з|до|після",
    "bg": "през|от|до",
    "id": "bulan|sejak",
}
"""Words before a month that is named alone."""

ALONE_BEHIND = {"hi": "में|से|तक|के", "tr": "ayında|ayı|ayından", "hu": "", "fi": ""}
"""Words behind one."""

OPENERS = (
    "between|from|zwischen|vom|von|entre|du|de|del|desde|tra|fra|dal|da|tussen|van|между|с|od|miedzy|pomiedzy|intre"
    "|de la|din|μεταξυ|απο|بين|من|从|從|在|自|mellan|mellem|mellom"
)
"""Words that open a span of two dates: between, from."""

JOINERS = (
    "and|to|until|till|through|thru|bis|und|et|a|au|al|y|e|hasta|ate|en|tot|en met|и|по|до|i|do|a|si|pana in|pana la"
    "|και|μεχρι|εως|إلى|و|حتى|到|至|和|与|與|から|と|부터|och|og|se"
)
"""Words between them; a dash needs no opener."""

COMMON = {
    "nl": "de het een en van ik je mijn wat waar wanneer wie hoe heb heeft had was zijn is in op naar met voor niet te",
    "tr": "bir ve bu ne nerede kim nasıl benim ben sen mi mı mu icin ile var yok neydi yaptım gittim olan gun",
    "pl": "i w na z do nie sie co gdzie kiedy kto jak jest mam moj moja bylo byl byla czy ja to po robilem robilam",
    "ro": "si in la de pe cu nu ce unde cand cine cum este am ai a meu mea fost eu din sau facut",
    "sv": "och i att det som en ett jag du vad var nar vem hur har hade min mitt pa med inte",
}
"""Common words of languages that `languages` does not tell apart."""
