"""What of a model's answer is the summary, and what is none."""

from __future__ import annotations

import json

import pytest

from memhost.extraction.replies import final_part, summary_of

FENCE = "The user plans a garden fence."


@pytest.mark.parametrize(
    "answer",
    [
        FENCE,
        f"  {FENCE}\n",
        # thoughts
        f"Let me see. The user wants a summary.\n</think>\n{FENCE}",
        f"<think>Let me see.</think>\n\n{FENCE}",
        f"<thinking>\nLet me see.\n</thinking>\n{FENCE}",
        f"<think>\n\n</think>\n\n{FENCE}",
        f"Let me see.</think>{FENCE}",
        f"[THINK]Let me see.[/THINK]{FENCE}",
        f"◁think▷Let me see.◁/think▷{FENCE}",
        f"<|begin_of_thought|>Let me see.<|end_of_thought|>\n<|begin_of_solution|>{FENCE}<|end_of_solution|>",
        f"<think>One.</think>\nNo.\n<think>Two.</think>\n{FENCE}",
        # channels
        f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{FENCE}<|return|>",
        f"<|start|>assistant<|channel|>final<|message|>{FENCE}",
        f"<|channel|>final <|constrain|>json<|message|>{json.dumps({'summary': FENCE})}<|end|>",
        f"analysisLet me see. I should sum up.assistantfinal{FENCE}",
        f"{FENCE}<|im_end|>",
        f"{FENCE}</s>",
        # fences
        f"```\n{FENCE}\n```",
        f"```markdown\n{FENCE}\n```",
        f"~~~\n{FENCE}\n~~~",
        f"```json\n{json.dumps({'summary': FENCE})}\n```",
        f"Here is the summary:\n\n```text\n{FENCE}\n```",
        # JSON
        json.dumps({"summary": FENCE}),
        json.dumps({"Summary": FENCE, "tokens": 12}),
        json.dumps({"result": {"summary": FENCE}}),
        json.dumps({"updated_summary": FENCE}),
        json.dumps([{"text": FENCE}]),
        json.dumps({"memories": [{"text": FENCE}]}),
        json.dumps({"summary": FENCE}) + "\nHope this helps!",
        f"{{'summary': '{FENCE}'}}",
        f'{{"summary": "{FENCE}",}}',
        json.dumps(FENCE),
        # prefaces
        f"Here is the summary of the conversation:\n\n{FENCE}",
        f"Here's an updated summary of the conversation so far:\n{FENCE}",
        f"Sure! Here is a concise summary:\n\n{FENCE}",
        f"**Summary:** {FENCE}",
        f"Summary: {FENCE}",
        f"## Summary\n{FENCE}",
        f"# Updated summary\n\n{FENCE}",
        f"Hier ist die aktualisierte Zusammenfassung des Gesprächs:\n\n{FENCE}",
        f"Zusammenfassung:\n{FENCE}",
        f"Voici le résumé de la conversation :\n\n{FENCE}",
        f"Aquí está el resumen de la conversación:\n\n{FENCE}",
        f"Claro, aquí tienes el resumen:\n{FENCE}",
        f"Ecco il riassunto della conversazione:\n\n{FENCE}",
        f"Aqui está o resumo da conversa:\n{FENCE}",
        f"Вот краткое резюме разговора:\n{FENCE}",
        f"以下是对话的摘要：\n{FENCE}",
        f"好的，这是更新后的摘要：\n\n{FENCE}",
        f"以下が会話の要約です：\n{FENCE}",
    ],
)
def test_what_surrounds_a_summary_is_left_out(answer: str) -> None:
    assert summary_of(answer) == FENCE


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "  \n",
        "...",
        "<think>Let me see.</think>",
        "Let me see.\n</think>\n",
        "<|channel|>analysis<|message|>Let me see, the user wants",
        "```\n```",
        "{}",
        "[]",
        '{"summary": ""}',
        '{"summary": null}',
        '{"summary": "The user plans',
        '{"error": "context too long"}',
        '{"a": "The user plans.", "b": "Ann does not."}',
        "Here is the summary of the conversation:",
        "Sure, here is the updated summary:\n\n",
        "Zusammenfassung:",
        "以下是对话的摘要：",
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I cannot summarise this conversation.",
        "I cannot assist with this request.",
        "I can't summarize that.",
        "I am unable to process this content.",
        "I'm not able to help with this.",
        "Unfortunately, I cannot provide a summary of this content.",
        "As an AI language model, I cannot do this.",
        "Sorry, I won't do that.",
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "Leider kann ich das nicht zusammenfassen; ich kann das nicht.",
        "Ich kann diese Anfrage nicht bearbeiten.",
        "Je suis désolé, mais je ne peux pas répondre à cette demande.",
        "Je ne peux pas vous aider.",
        "Lo siento, no puedo ayudar con eso.",
        "Mi dispiace, ma non posso aiutarti.",
        "Desculpe, não posso ajudar com isso.",
        "Извините, но я не могу помочь с этим.",
        "抱歉，我无法协助处理这个请求。",
        "我无法回答这个问题。",
        "申し訳ありませんが、その依頼にはお応えできません。",
        "Please provide the conversation you would like me to summarize.",
        "There are no messages to summarize.",
        "It seems that no messages were provided.",
        "```\nI'm sorry, but I can't help with that.\n```",
        json.dumps({"summary": "I'm sorry, but I can't help with that."}),
    ],
)
def test_what_is_no_summary_is_none(answer: str) -> None:
    assert summary_of(answer) is None


@pytest.mark.parametrize(
    "text",
    [
        "Here the user explained the plan: a fence of oak.",
        "Here is where the user lives: Ghent. The fence comes in May.",
        "Here are the decisions: oak, green, May.",
        "Sure of the colour, the user orders green paint.",
        "The user asked for a summary of the conversation with Bob:\n- Bob wants oak.\n- The user wants pine.",
        "Summary of the budget talk with Anna: 300 EUR for paint.\nThe rest is open.",
        "The summary of the book that Ana wrote:\nit is about fences.",
        "The user thinks that oak is best. I think, said Bob, that pine is.",
        "The user's model prints <think> tags; Bob strips </think> with a pattern.",
        "The user asked why `</think>` stands alone in the log.",
        'The user\'s parser breaks at "</think>" without an opening tag.',
        "The user runs\n```\nmake fence\n```\nand it fails.",
        "```\nmake fence\n```\nThe user runs this and it fails.\n```\nmake paint\n```",
        "```sh\nmake fence\n``` fails for the user.",
        "{name} is a placeholder in the user's template.",
        "{ and } confuse the user's parser.",
        '{"a": 1} is what the user\'s server answers, where Bob expects {"b": 1}.',
        "[Bob] wants oak, [Ana] wants [pine]",
        "[1] Bob wants oak. [2] Ana wants pine. [3]",
        '"Oak" is what Bob said, and Ana said "pine"',
        "The user apologised: I'm sorry, I can't come on Friday.",
        "Sorry is a band that the user likes.",
        "Bob said that he cannot help with the fence.",
        "I can see that Bob and Ana agree on oak.",
        "Please is what Ana's son forgets to say.",
        "Please note: the user's number has changed; the fence is in the garden.",
        "There are no fences in Ana's garden.",
        "There is no agreement yet about the colour that Bob gave.",
        "It seems that Bob wants oak.",
        "Unfortunately the fence fell; Bob cannot mend it before May.",
        "Leider ist der Zaun umgefallen. Bob kann nicht kommen.",
        "Je suis désolé, a dit Bob ; la clôture sera verte.",
        "Lo siento fue lo que dijo Bob; la valla es verde.",
        "抱歉的是，围栏倒了，用户打算五月修好。",
        "用户想要一份项目摘要：预算三百欧元。",
        "申し訳ないと言って、ボブは五月にフェンスを直すと約束した。",
        "Analysis of the soil is done; the final colour is green.",
        "Think of oak first: that is Bob's advice.",
        "Final: oak.",
        "Result: 3:1 for Ghent, and the user was there.",
        "Text of the letter: the fence must go.",
        "## Fence\nOak, green.\n## Paint\nOpen.",
        "- Oak\n- Green\n- May",
        "Le résumé du livre de Marie : une clôture tombe.",
        "Der Nutzer will eine Zusammenfassung: kurz, auf Deutsch.",
        "Ghent: the user lives there.",
        "No fence. No paint. Ana is content.",
        "The user wrote <|im_start|> by hand once.",
        "Bob: oak. Ana: pine.",
        "None of them wants pine.",
        "I cannot say it better than the user: " + "the fence is old, and Bob wants oak. " * 19 + "It is green.",
    ],
)
def test_real_summaries_stay_as_they_are(text: str) -> None:
    assert summary_of(text) == text


def test_thoughts_that_never_end_are_read_as_they_stand() -> None:
    assert final_part("<think>oak") == "<think>oak"
