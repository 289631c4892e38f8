"""Short general word lists of English, used by :mod:`memhost.text.analysis` and :mod:`memhost.ranking`."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of a text, which blanks part."""
    return frozenset(text.split())


STOP_WORDS = word_set(
    """
    a about above after again against all also am an and any anybody anyone anything are arent as at be because
    been before being below between both but by can cannot cant could couldnt did didnt do does doesnt doing
    dont down during each either else ever every few for from further get gets getting give given go goes going
    gone got had hadnt has hasnt have havent having he hed hell her here heres hers herself hes him himself his
    how however hows i id if ill im in into is isnt it its itself ive just kind let lets like many may me might
    mightnt more most much must mustnt my myself neither no nor not of off often on once one ones only or other
    others our ours ourselves out over own particular per please shall shant she shed shes should shouldnt so
    some somebody someone something such tell than that thats the their theirs them themselves then there theres
    these they theyd theyll theyre theyve thing things this those though through to too under until up upon us
    very was wasnt we wed well were werent weve what whats when whens where wheres whether which while who whom
    whos whose why whys will with within without wont would wouldnt yes yet you youd youll your youre yours
    yourself yourselves youve
    """
)
"""Words that carry no topic of a question, folded, without apostrophes as ``analysis.tokenize`` gives them.

After the Snowball English list (https://snowballstem.org/algorithms/english/stop.txt), with question words and common
auxiliaries added.
"""

SPEAKER_LABELS = word_set(
    """
    a action actions address agenda also answer attention author background bcc bonus breaking btw caution cc
    chapter code conclusion cons context data date day decision decisions definition directions disclaimer edit
    email error errors example examples fact facts file finally first fixme friday from ftp fw fwd fyi goal
    goals hint how http https idea ideas important info ingredients input instructions item items key keys last
    link links list location mailto meaning monday name nb news next note notes option options output part path
    phone plan plans price problem problems pros ps q question quote re reason reasons recap reference
    references remember reminder result results rule rules saturday second section see solution solutions source
    sources spoiler status step steps subject summary sunday task tasks third thought thoughts thursday time tip
    tips title tldr to today todo tomorrow topic total translation tuesday update url usage version warning
    wednesday week what when where which who why yesterday

    accepted acknowledged added advice after answered approach bug caption changed closed command comment
    completed confirmed correct correction created deadline decided deleted done draft evidence expected explanation
    failed finding fix fixed follow-up headline implemented incorrect informed issue log merged message noted notice
    observation observations okay opened outcome passed password perfect plan prompt proposal query received refused
    rejected remark reply request requirement resolved response review score script sent started stdout stderr stored
    suggestion task test testing text then todos understood updated verdict wrong
    breakfast dinner exercise lunch meals mood sleep snack weather weight workout
    abendessen essen fruhstuck gewicht mittagessen schlaf stimmung wetter
    cena colazione comida dejeuner desayuno diner humeur humor jantar meteo pranzo poids sommeil sueno
    завтрак обед погода настроение сон ужин

    abgelehnt achtung anfrage anmerkung antwort aufgabe beispiel bemerkung beschluss betreff danach danke datum eingabe
    entwurf entscheidung ergebnis erledigt erklarung fehler fertig fragen frage geandert gespeichert grund hinweis idee
    info korrektur losung meldung nachtrag notiert notiz ort passwort problem quelle rat rezept termin thema titel tipp
    verstanden vorschlag vorher wichtig ziel zitat zusammenfassung

    attention avis brouillon citation commentaire compris conseil consigne corrige demande erreur etape exemple
    fait idee merci note objet origine probleme question rappel reponse resume resultat solution sujet tache termine
    titre

    pendiente asunto aviso borrador consejo correccion cita ejemplo entendido entrada error fecha gracias hecho listo
    lugar nota objetivo paso pregunta problema recordatorio respuesta resultado resumen salida solucion tarea
    tema titulo

    aggiunto appunto attenzione avviso bozza capito compito consiglio corretto data domanda errore esempio fatto grazie
    istruzioni motivo obiettivo oggetto passo problema risposta risultato soluzione titolo

    aviso anotado assunto correcao dica duvida entendido erro exemplo feito lembrete nota objetivo obrigada obrigado
    pergunta pronto rascunho resposta resumo solucao tarefa titulo

    antwoord bedankt begrepen bron doel gedaan genoteerd herinnering idee klaar let onderwerp oplossing opdracht
    opmerking probleem resultaat samenvatting taak vraag voorbeeld voorstel

    blad cel gotowe notatka odpowiedz podsumowanie pomysl problem przyklad pytanie rozwiazanie temat uwaga wynik zadanie
    zrozumiano

    cevap cozum dikkat gorev hata konu not notlar ornek ozet sonuc soru sorun tamam taslak tesekkurler yanit

    внимание вопрос вывод готово заметка замечание задача идея исправлено итог комментарии напоминание ответ ошибка
    план понял поняла понятно пример причина проблема решение результат спасибо тема черновик цель шаг

    إجابة الجواب جواب سؤال السؤال ملاحظة مثال خطأ تم شكرا الحل المشكلة النتيجة ملخص
    उत्तर जवाब टिप्पणी धन्यवाद प्रश्न सवाल समस्या
    例 例子 回答 回复 问 问题 答 答案 提示 注意 备注 完成 总结 结果 解决方案 谢谢 错误 草稿 任务 建议 原因 目标
    質問 問題 注 注意点 メモ 例えば 結果 原因 要約 了解 完了 草案 案 提案 感想 理由 目的
    エラー ポイント 課題 解決策 訂正 答え
    질문 답변 대답 메모 참고 예 예시 결과 문제 해결 요약 감사 완료 오류 주의 초안
    """
)
"""Labels that open a note, a header or a list: by form they cannot be told from a speaker's name."""

SELF_WORDS = word_set(
    """
    i im ive id ill my me mine myself we our us were weve ours
    """
)
"""Words of the first person."""

TIME_WORDS = word_set(
    """
    yesterday today tonight tomorrow last next ago recently just weekend morning evening night since week weeks
    month months year years day days monday tuesday wednesday thursday friday saturday sunday january february
    march april june july august september october november december spring summer autumn fall winter christmas
    birthday
    """
)
"""Words that say when. ``may`` is left out: it is mostly the verb."""

NUMBER_WORDS = word_set(
    """
    one two three four five six seven eight nine ten eleven twelve dozen hundred thousand million couple once
    twice several first second third half few many
    """
)
"""Words that say how many."""

GREETING_WORDS = word_set(
    """
    hey hi hello thank thanks wow yeah bye yo oh congrats congratulations cool great nice awesome good
    """
)
"""Words in front of the name of the one spoken to."""

SPACELESS_FUNCTION_WORDS = {
    language: tuple(sorted(words.split(), key=len, reverse=True))
    for language, words in {
        "zh": """
            什么 什麼 甚麼 多少 哪个 哪個 哪些 在哪里 在哪裡 在哪儿 哪里 哪裡 哪儿
            哪一 哪种 为什么 為什麼 为何
            怎么 怎麼 怎样 怎樣 如何 何时 何時 谁的 誰的 谁 誰 是否 有没有 有沒有 是不是 请问 請問 的 了 吗 嗎 呢 吧 是
            """,
        "ja": """
            何ですか ですか ますか でしたか ましたか どこ どの だれ 誰 いつ なぜ どう どのように どんな
            いくつ いくら 何 ください
            """,
        "ko": "무엇 누구 어디 언제 얼마나 얼마 몇 어떤 어느 어떻게 왜 입니까 인가요 습니까 나요",
        "th": "อะไร ใคร ที่ไหน เมื่อไร เมื่อไหร่ เท่าไร เท่าไหร่ อย่างไร ทำไม กี่ ใด หรือไม่ ไหน",
    }.items()
}
"""Question words and particles of languages without spaces, longest first: queries leave them out."""
