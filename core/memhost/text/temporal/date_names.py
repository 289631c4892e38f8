"""Names of months and relative words by language. Written by `python -m tools.date_words`; do not edit.

Source: dateparser 1.5.0 (BSD-3-Clause), which takes them from Unicode's CLDR and adds to them.
"""

from __future__ import annotations

MONTHS = """
en
jan, january
feb, february
mar, march
apr, april
may
jun, june
jul, july
aug, august
sep, september, sept
oct, october
nov, november
dec, december
de
jan, januar, jänner
feb, februar, feber
mär, märz, mrz
apr, april
mai
jun, juni
jul, juli
aug, august
sep, sept, september
okt, oktober
nov, november
dez, dezember
fr
janv, janvier, jan
févr, février, fév
mars
avr, avril
mai
juin, jun
juil, juillet, jul
août, aoû
sept, septembre, sep
oct, octobre
nov, novembre
déc, décembre
es
ene, enero
feb, febrero
mar, marzo
abr, abril
may, mayo
jun, junio
jul, julio
ago, agosto
sept, septiembre, setiembre, sep, set
oct, octubre
nov, noviembre
dic, diciembre
it
gen, gennaio
feb, febbraio
mar, marzo
apr, aprile
mag, maggio
giu, giugno
lug, luglio
ago, agosto
set, settembre
ott, ottobre
nov, novembre
dic, dicembre
pt
jan, janeiro
fev, fevereiro
mar, março
abr, abril
mai, maio
jun, junho
jul, julho
ago, agosto
set, setembro, septembro
out, outubro
nov, novembro
dez, dezembro
nl
jan, januari
feb, februari
maart, mrt
apr, april
mei
jun, juni
jul, juli
aug, augustus
sep, september
okt, oktober
nov, november
dec, december
ru
янв, январь, января
февр, февраль, февраля, фев
мар, март, марта
апр, апрель, апреля
май, мая
июн, июнь, июня
июл, июль, июля
авг, август, августа
сент, сентябрь, сентября, сен
окт, октябрь, октября
нояб, ноябрь, ноября, ноя
дек, декабрь, декабря
tr
oca, ocak
şub, şubat
mar, mart
nis, nisan
may, mayıs
haz, haziran
tem, temmuz
ağu, ağustos
eyl, eylül
eki, ekim
kas, kasım
ara, aralık
ar
يناير
فبراير
مارس
أبريل
مايو
يونيو, يونيه, يونية
يوليو, يوليه, يولية
أغسطس
سبتمبر
أكتوبر
نوفمبر
ديسمبر
pl
sty, styczeń, stycznia, styczen, styczniu
lut, lutego, luty, lutym
mar, marca, marzec, marcu
kwi, kwiecień, kwietnia, kwiecien, kwietniu, kwie
maj, maja, maju
cze, czerwca, czerwiec, czerwcu
lip, lipca, lipiec, lipcu
sie, sierpień, sierpnia, sierpien, sierpniu
wrz, wrzesień, września, wrzesien, wrzesnia, wrześniu, wrzesniu
paź, październik, października, pazdziernik, pazdziernika, październiku, pazdzierniku, paz
lis, listopad, listopada, listopadzie
gru, grudnia, grudzień, grudzien, grudniu
ro
ian, ianuarie
feb, februarie, febr
mar, martie, mart
apr, aprilie
mai
iun, iunie
iul, iulie
aug, august
sept, septembrie, sep
oct, octombrie
noiembrie, nov, noiem
dec, decembrie
el
ιαν, ιανουάριος, ιανουαρίου
φεβ, φεβρουάριος, φεβρουαρίου
μάρ, μάρτιος, μαρ, μαρτίου
απρ, απρίλιος, απριλίου
μάι, μάιος, μαΐ, μαΐου
ιουν, ιουνίου, ιούν, ιούνιος
ιουλ, ιουλίου, ιούλ, ιούλιος
αυγ, αυγούστου, αύγ, αύγουστος
σεπ, σεπτέμβριος, σεπτεμβρίου
οκτ, οκτωβρίου, οκτώβριος
νοέ, νοέμβριος, νοε, νοεμβρίου
δεκ, δεκέμβριος, δεκεμβρίου
hi
जनवरी, जन॰
फ़रवरी, फ़र॰
मार्च
अप्रैल

जून
जुलाई, जुल॰
अगस्त, अग॰
सितंबर, सित॰, सितम्बर
अक्तूबर, अक्तू॰, अक्टूबर
नवंबर, नव॰, नवम्बर
दिसंबर, दिस॰, दिसम्बर
sv
jan, januari
feb, februari
mars
apr, april
maj
juni, jun
juli, jul
aug, augusti
sep, september, sept
okt, oktober
nov, november
dec, december
da
jan, januar
feb, februar
mar, marts
apr, april
maj
jun, juni
jul, juli
aug, august
sep, september
okt, oktober
nov, november
dec, december
nb
jan, januar
feb, februar
mar, mars
apr, april
mai
jun, juni
jul, juli
aug, august
sep, september
okt, oktober
nov, november
des, desember
fi
tammi, tammik, tammikuu, tammikuuta, tammikuussa
helmi, helmik, helmikuu, helmikuuta, helmikuussa
maalis, maalisk, maaliskuu, maaliskuuta, maaliskuussa
huhti, huhtik, huhtikuu, huhtikuuta, huhtikuussa
touko, toukok, toukokuu, toukokuuta, toukokuussa
kesä, kesäk, kesäkuu, kesäkuuta, kesäkuussa
heinä, heinäk, heinäkuu, heinäkuuta, heinäkuussa
elo, elok, elokuu, elokuuta, elokuussa
syys, syysk, syyskuu, syyskuuta, syyskuussa
loka, lokak, lokakuu, lokakuuta, lokakuussa
marras, marrask, marraskuu, marraskuuta, marraskuussa
joulu, jouluk, joulukuu, joulukuuta, joulukuussa
cs
led, leden, ledna, lednu
úno, únor, února, únr, únoru
bře, březen, března, březnu
dub, duben, dubna, dubnu
kvě, květen, května, květnu
červen, června, čvn, čer, červnu
července, červenec, čvc, črc, červenci, črv
srp, srpen, srpna, srpnu
zář, září
říj, říjen, října, říjnu
lis, listopad, listopadu
pro, prosince, prosinec, prosinci
uk
січ, січень, січня
лют, лютий, лютого
бер, березень, березня, берез
квіт, квітень, квітня, кві
трав, травень, травня, тра
черв, червень, червня, чер
лип, липень, липня
серп, серпень, серпня, сер
вер, вересень, вересня, верес
жовт, жовтень, жовтня, жов
лист, листопад, листопада, листоп, лис
груд, грудень, грудня, гру
bg
яну, януари
фев, февруари
март
апр, април
май
юни
юли
авг, август
сеп, септември, септ, септм
окт, октомври
ное, ноември
дек, декември
hu
jan, január
febr, február, feb
márc, március, már
ápr, április
máj, május
jún, június
júl, július
aug, augusztus
szept, szeptember
okt, október
nov, november
dec, december
he
ינואר, ינו׳, לינואר, בינואר, ינו
פברואר, פבר׳, בפברואר, לפברואר, פבר
מרץ, במרץ, למרץ, מרס, במרס, למרס, מארס, במארס, למארס
אפריל, אפר׳, באפריל, לאפריל, אפר
מאי, במאי, למאי
יוני, ביוני, ליוני, יונ
יולי, ביולי, ליולי, יול
אוגוסט, אוג׳, באוגוסט, לאוגוסט, אוג
ספטמבר, ספט׳, בספטמבר, לספטמבר, ספט
אוקטובר, אוק׳, באוקטובר, לאוקטובר, אוק
נובמבר, נוב׳, בנובמבר, לנובמבר, נוב
דצמבר, דצמ׳, בדצמבר, לדצמבר, דצמ
id
jan, januari, djan, djanuari
feb, februari, peb, pebruari
mar, maret, mrt
apr, april
mei, mai
jun, juni, djuni
jul, juli, djuli
agu, agustus, agt
sep, september, sept
okt, oktober
nov, november, nop, nopember
des, desember
"""
"""A language and, in the lines below it, the names of each month."""

RELATIVE = """
nl
day 0: vandaag
month 0: deze maand
week 0: deze week
year 0: dit jaar
day -1: gisteren
month -1: vorige maand
week -1: vorige week
year -1: vorig jaar, vorige jaar
day 1: morgen
month 1: volgende maand
week 1: volgende week
year 1: volgend jaar
day -2: eergisteren
day 2: overmorgen
day -#: # dag geleden, # dagen geleden, # dgn geleden
month -#: # maand geleden, # maanden geleden
week -#: # week geleden, # weken geleden
year -#: # jaar geleden
day #: over # dag, over # dagen, over # dgn
month #: over # maand, over # maanden
week #: over # week, over # weken
year #: over # jaar
tr
day 0: bugün
month 0: bu ay
week 0: bu hafta, bu hf
year 0: bu yıl
day -1: dün, geçen gün
month -1: geçen ay
week -1: geçen hafta, geçen hf
year -1: geçen yıl
day 1: yarın, önümüzdeki gün
month 1: gelecek ay, önümüzdeki ay
week 1: gelecek hafta, gelecek hf, haftaya, önümüzdeki hafta
year 1: gelecek yıl, önümüzdeki yıl
day -#: # gün önce
month -#: # ay önce
week -#: # hafta önce, # hf önce
year -#: # yıl önce
day #: # gün sonra
month #: # ay sonra
week #: # hafta sonra, # hf sonra
year #: # yıl sonra
ar
day 0: اليوم
month 0: هذا الشهر
week 0: هذا الأسبوع
year 0: السنة الحالية
day -1: أمس, اليوم السابق, الأمس
month -1: الشهر الماضي
week -1: الأسبوع الماضي
year -1: السنة الماضية
day 1: غدًا
month 1: الشهر القادم
week 1: الأسبوع القادم
year 1: السنة القادمة
day -2: قبل يومين
week -2: قبل أسبوعين
month -2: قبل شهرين
year -2: قبل سنتين, قبل عامين
day -#: قبل # يوم, قبل # أيام, قبل # يوما
month -#: قبل # شهر, قبل # أشهر, قبل # شهور, قبل # شهرا
week -#: قبل # أسبوع, قبل # أسابيع, قبل # أسبوعا
year -#: قبل # سنة, قبل # سنوات, قبل # عام, قبل # أعوام, قبل # عاما
day #: خلال # يوم
month #: خلال # شهر
week #: خلال # أسبوع
year #: خلال # سنة
ko
day 0: 오늘, 금일
month 0: 이번 달
week 0: 이번 주
year 0: 올해
day -1: 어제, 작일
month -1: 지난달
week -1: 지난주
year -1: 작년
day 1: 내일, 명일
month 1: 다음 달
week 1: 다음 주
year 1: 내년
day -#: #일 전
month -#: #개월 전, #달 전
week -#: #주 전
year -#: #년 전
day #: #일 후
month #: #개월 후, #달 후
week #: #주 후
year #: #년 후
pl
day 0: dzisiaj, dziś
month 0: w tym mies, w tym miesiącu
week 0: w tym tyg, w tym tygodniu
year 0: w tym roku
day -1: wcz, wczoraj
month -1: w zeszłym mies, w zeszłym miesiącu
week -1: w zeszłym tyg, w zeszłym tygodniu
year -1: w zeszłym roku
day 1: jutro
month 1: w przyszłym mies, w przyszłym miesiącu
week 1: w przyszłym tyg, w przyszłym tygodniu
year 1: w przyszłym roku
day -#: # dnia temu, # dzień temu
month -#: # mies temu, # miesiąc temu, # miesiąca temu, –# mies
week -#: # tydz temu, # tydzień temu, # tyg temu, # tygodnia temu
year -#: # rok temu, # roku temu
day #: za # dnia, za # dzień
month #: za # mies, za # miesiąc, za # miesiąca
week #: za # tydz, za # tydzień, za # tyg, za # tygodnia
year #: za # rok, za # roku
ro
day 0: azi
month 0: luna aceasta
week 0: săpt aceasta, săptămâna aceasta
year 0: anul acesta
day -1: ieri
month -1: luna trecută
week -1: săpt trecută, săptămâna trecută
year -1: anul trecut
day 1: mâine
month 1: luna viitoare
week 1: săpt viitoare, săptămâna viitoare
year 1: anul viitor
day -#: acum # de zile, acum # zi, acum # zile
month -#: acum # de luni, acum # luni, acum # lună
week -#: acum # de săptămâni, acum # săpt, acum # săptămână
year -#: acum # an, acum # de ani
day #: peste # de zile, peste # zi, peste # zile
month #: peste # de luni, peste # luni, peste # lună
week #: peste # de săptămâni, peste # săpt, peste # săptămână
year #: peste # an, peste # de ani, peste # ani
el
day 0: σήμερα
month 0: τρέχ μήνας, τρέχων μήνας
week 0: τρέχ εβδ, τρέχ εβδομάδα, τρέχουσα εβδομάδα, αυτήν την εβδομάδα
year 0: φέτος
day -1: χθες
month -1: προηγ μήνας, προηγούμενος μήνας
week -1: προηγ εβδ, προηγ εβδομάδα, προηγούμενη εβδομάδα
year -1: πέρσι
day 1: αύριο
month 1: επόμ μήνας, επόμενος μήνας
week 1: επόμ εβδ, επόμ εβδομάδα, επόμενη εβδομάδα
year 1: επόμενο έτος
day -#: # ημ πριν, πριν από # ημ, πριν από # ημέρα, πριν από # ημέρες
month -#: # μ πριν, πριν από # μήνα, πριν από # μήνες
week -#: # εβδ πριν, πριν από # εβδ, πριν από # εβδομάδα, πριν από # εβδομάδες
year -#: # έτη πριν, # έτος πριν, πριν από # έτη, πριν από # έτος
day #: σε # ημ, σε # ημέρα, σε # ημέρες
month #: σε # μ, σε # μήνα, σε # μήνες
week #: σε # εβδ, σε # εβδομάδα, σε # εβδομάδες
year #: σε # έτη, σε # έτος
hi
day 0: आज
month 0: इस माह
week 0: इस सप्ताह
year 0: इस वर्ष, इस साल
day -1: कल, बीता कल
month -1: पिछला माह
week -1: पिछला सप्ताह
year -1: पिछला वर्ष, पिछले साल
day 1: आने वाला कल, कल
month 1: अगला माह
week 1: अगला सप्ताह
year 1: अगला वर्ष, अगले साल
day -2: परसों
day -#: # दिन पहले
month -#: # माह पहले
week -#: # सप्ताह पहले
year -#: # वर्ष पहले
day #: # दिन में
month #: # माह में
week #: # सप्ताह में
year #: # वर्ष में
"""
"""A language and, below it, a unit, how many of it lie ahead (`#`: as said), phrases."""
