"""The rules of the prompt check, over plain lower-case text without accents (`disguises.plain`)."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal


class Rule:
    """A rule: id, level, a sentence for the author of the prompt, and patterns of which one must occur.

    A blank in a pattern matches any white space.
    """

    def __init__(self, rule_id: str, level: Literal["refuse", "warn"], message: str, *patterns: str) -> None:
        self.id = rule_id
        self.level = level
        self.message = message
        self.patterns = patterns

    def find(self, text: str) -> re.Match[str] | None:
        """The first place where the rule applies."""
        return self._pattern.search(text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?:{pattern})" for pattern in self.patterns).replace(" ", r"\s"))


_GAP = r" (?:[\w,'’-]+ ){0,3}?"
"""Up to three words in between."""

_ORDERS = r"(?:instruction|rule|guideline|directive|command|prompt|constraint|restriction|policie|direction)s?\b"
_BEFORE = (
    r"(?:previous|prior|preceding|earlier|above|foregoing|existing|original|initial|system|developer|your|hidden"
    r"|pre-?set|default|safety)\b"
)
_DROP = (
    r"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|discard|neglect|overlook"
    r"|set aside|pay no attention to|do not (?:follow|obey|heed)|don'?t (?:follow|obey|heed)|stop (?:following|obeying)"
    r"|throw (?:away|out)|drop|cancel|void|erase|wipe)"
)

OVERRIDE = (
    # English: "ignore all of your previous instructions", "forget everything above", "the rules above no longer apply".
    rf"{_DROP}{_GAP}{_BEFORE} (?:[\w,'’-]+ ){{0,3}}?{_ORDERS}",
    rf"{_DROP} {_BEFORE} {_ORDERS}",
    rf"{_DROP} (?:all|any|every|these|those|the) (?:of )?(?:the |these |those )?{_ORDERS}"
    r"(?! (?:that|which|for|from|about|on|of|in|how|given|to)\b)",
    rf"{_DROP} (?:all|any|every|the)? ?{_ORDERS} (?:you (?:were|have been|got)|above|before|given to you)",
    rf"{_DROP} (?:everything|all|anything|whatever|what) (?:that )?(?:is |was |came |comes "
    r"|you (?:were|have been) told|written |said )?(?:above|before(?: this|\b)|previously|prior|earlier|until now"
    r"|so far)",
    rf"{_DROP} (?:all |everything )?(?:that )?(?:you (?:were|have been) told|you know about (?:your|the) rules)",
    rf"\b(?:{_BEFORE} )?{_ORDERS} (?:above |before )?(?:no longer|do not|don'?t) "
    r"(?:apply|count|matter|hold)(?! to\b)",
    r"\bnew (?:system )?instructions? ?(?:are|is|follow|replace|override)?:? ?\n? ?(?:ignore"
    r"|forget|reveal|you are now)",
    # German, French, Spanish, Italian, Portuguese, Dutch.
    r"\b(?:ignorier|vergiss|vergesse|missachte|uberschreibe)\w* (?:[\w,]+ ){0,4}?"
    r"(?:anweisung|regel|vorgabe|instruktion|anordnung|befehl|prompt)\w*",
    r"\b(?:ignor|oubli|neglig|contourn)\w* (?:[\w,']+ ){0,3}?(?:instruction|consigne|regle|directive)s?"
    r" (?:\w+ )?(?:precedent|anterieur|ci-dessus|systeme|initial|d'origine|donne)\w*",
    r"\b(?:ignor|oubli|neglig)\w* (?:toute?s? |tous )?(?:les |vos |tes |ces )"
    r"(?:\w+ )?(?:instruction|consigne|directive)s?\b(?! (?:de|du|des|pour|que|qui)\b)",
    r"\b(?:ignor|olvid|descart|omit|desobedec)\w* (?:[\w,]+ ){0,3}?"
    r"(?:instruccion|regla|orden|directriz|directrice|indicacion)(?:es|s)? (?:[\w]+ )?"
    r"(?:anterior|previ|precedente|del sistema|de arriba|original|inicial)\w*",
    r"\b(?:ignor|dimentic|trascur)\w* (?:[\w,]+ ){0,3}?(?:istruzion|regol|direttiv)[ei] (?:\w+ )?"
    r"(?:precedent|sopra|del sistema|iniziali|originali)\w*",
    r"\b(?:ignor|esquec|desconsider)\w* (?:[\w,]+ ){0,3}?(?:instruco|regra|orden|diretriz)\w* (?:\w+ )?"
    r"(?:anterior|previ|acima|do sistema|inicia|origina)\w*",
    r"\b(?:negeer|vergeet) (?:[\w,]+ ){0,3}?(?:instructie|regel|opdracht)(?:s|en)?\b",
    # Russian, Polish, Turkish, Chinese, Japanese, Korean, Arabic, Hindi.
    r"(?:игнорируй|игнорируи|проигнорируй|забудь|не следуй)\w{0,20} (?:\w+ ){0,3}?"
    r"(?:инструкци|указани|правил|команд)\w*",
    r"\b(?:zignoruj|ignoruj|zapomnij)\w* (?:\w+ ){0,3}?(?:instrukcj|polecen|zasad|regul)\w*",
    r"(?:onceki|yukaridaki|tum) (?:\w+ ){0,2}?(?:talimat|kural|komut)\w* (?:\w+ ){0,2}?(?:yok say|unut"
    r"|gormezden gel|goz ardi et)",
    r"(?:忽略|忽视|忽視|无视|無視|忘记|忘記|不要遵守)[^。\n]{0,10}(?:指令|指示|规则|規則|提示|命令|说明|說明)",
    r"(?:指示|命令|ルール|指令|プロンプト|规则)[^。\n]{0,6}(?:無視|忘れ|従わない)",
    r"(?:지시|명령|규칙|지침)[^.\n]{0,8}(?:무시|잊어)",
    r"(?:تجاهل|انس|أهمل)[^.\n]{0,20}(?:التعليمات|القواعد|الأوامر|تعليمات)",
    r"(?:निर्देश|नियम)\S{0,20}[^।\n]{0,20}(?:अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल)",
)
"""Words that cancel somebody else's instructions, in several languages."""

RULES: tuple[Rule, ...] = (
    Rule(
        "override-instructions",
        "refuse",
        "The prompt tells the model to drop its instructions; say what to note instead.",
        *OVERRIDE,
    ),
    Rule(
        "disclosure",
        "refuse",
        "The prompt asks for the model's own instructions; they are no part of a conversation.",
        r"\b(?:reveal|print|show|display|repeat|output|disclose|leak|expose|dump|recite|tell me|give me|send|write out"
        rf"|copy|quote|echo|translate|summari[sz]e){_GAP}(?:system|hidden|secret|initial|original|internal|developer)"
        r" (?:[\w-]+ )?(?:prompt|instructions?|message|rules|guidelines)\b(?!s? (?:of|from) the (?:user|customer))",
        r"\b(?:reveal|print|repeat|output|disclose|leak|expose|dump|recite|tell me|give me|copy|echo|store|note|save)"
        r" (?:me )?(?:all )?(?:of )?your (?:own )?(?:[\w-]+ )?(?:prompt|instructions|rules|guidelines|configuration)\b",
        r"\b(?:repeat|print|output|copy|recite|echo) (?:all |the |every )*(?:words?|text|everything|lines?|content)"
        r"(?: that (?:is|are|was|were))? (?:above|before this|preceding)",
        r"\bwhat (?:are|is|were) your (?:exact |initial |original |system |hidden |full )*"
        r"(?:instructions?|(?:system )?prompt|rules)\b",
        r"\b(?:zeig|nenn|gib|verrat|druck|wiederhol)\w* (?:\w+ ){0,3}?(?:system-?prompt|systemanweisung|"
        r"systemnachricht)\w*",
        r"\b(?:revel|montr|affich|repet|muestr|mostr|repit|ensen|imprim)\w* (?:\w+ ){0,3}?"
        r"(?:prompt|message|mensaje|instrucciones|instructions|istruzioni) (?:\w+ )?(?:systeme|sistema|"
        r"interne?s?|ocult[oa]s?|cache)\w*",
        r"(?:显示|输出|告诉我|透露|泄露)[^。\n]{0,8}(?:系统提示|系统指令)",
        r"(?:покажи|выведи|раскрой)\w{0,20} (?:\w+ ){0,3}?(?:системн\w+)",
    ),
    Rule(
        "jailbreak",
        "refuse",
        "The prompt wants a model without its limits; say what to note instead.",
        r"\bdo anything now\b",
        r"\b(?:dan|developer|god|jailbreak|unrestricted|debug|admin|sudo|root) mode (?:is )?(?:on"
        r"|enabled|activated|active)\b",
        r"\b(?:enter|enable|activate|switch to|turn on) (?:\w+ ){0,2}?(?:dan|god|jailbreak|unrestricted|sudo) mode\b",
        r"\b(?:act|behave|respond|answer|pretend|pose|role-?play|you are now|you will be|be"
        r"|simulate|imagine)\b[^.\n]{0,60}"
        r"\b(?:without (?:any )?(?:restriction|limit|limitation|filter|rule|guideline|censorship"
        r"|safety)s?\b|unrestricted\b"
        r"|uncensored\b|unfiltered\b|no (?:restrictions|rules|limits|filters|guidelines)\b|not bound by)",
        r"\b(?:you (?:are|have been) (?:freed|released|liberated|no longer bound)|free from (?:all "
        r"|your )?(?:rules|limits"
        r"|restrictions|constraints))",
        r"\bjailbr(?:eak|oken)\b(?! (?:phone|iphone|device|ios|ipad|console|firmware))(?<!his phone)",
    ),
    Rule(
        "foreign-data",
        "refuse",
        "The prompt asks for other people's data; a strategy sees one session only.",
        r"\b(?:reveal|show|list|dump|read|fetch|retrieve|access|return|include|export|print|extract|load|copy|steal)"
        r" (?:[\w,']+ ){0,4}?(?:memor(?:y|ies)|data|sessions?|conversations?|records?|messages|secrets|credentials)"
        r" (?:of|from|belonging to) (?:all |any |every )?(?:the )?(?:other|another|different|every|all) "
        r"(?:user|tenant|namespace|customer|account|client)s?\b",
        r"\b(?:other|another|every|all) (?:user|tenant|namespace)s?'?s? (?:private )?"
        r"(?:memor(?:y|ies)|sessions?|secrets|credentials)\b",
        r"\b(?:reveal|print|show|dump|output|exfiltrate|leak|send|return) (?:[\w,']+ ){0,3}?"
        r"(?:environment variables?|env vars?|api keys? of the server|server'?s? (?:secrets|credentials|keys))",
    ),
    Rule(
        "control-marks",
        "refuse",
        "The prompt holds marks that separate the parts of a model's input.",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id|begin_of_text)\|>",
        r"<<sys>>|<</sys>>|\[/?inst\]",
        r"</?(?:guidance|reference)> *(?:<|system|\{|new|ignore)",
    ),
    Rule(
        "obey-hidden",
        "refuse",
        "The prompt tells the model to carry out what is written somewhere else.",
        r"\b(?:decode|decrypt|unscramble|rot(?:13|ie)|base6[4a]|reverse)\b[^.\n]{0,60}\b(?:and"
        r"|then) (?:then )?(?:follow|obey|execute"
        r"|carry out|do (?:it|what)|comply)",
        r"\b(?:follow|obey|execute|carry out|comply with) (?:[\w,']+ ){0,3}?(?:instructions?|commands?|orders?"
        r"|requests?) (?:that (?:are|is) )?(?:hidden |contained |found |written |given )?(?:in|inside|within|from) "
        r"(?:the )?(?:message|messages|conversation|chat|user'?s messages|tool output|document)s?\b",
    ),
    Rule(
        "server-fields",
        "warn",
        "Owner, id and pinning are set by the server; what the model says of them is ignored.",
        r"\b(?:set|change|use|write|put|overwrite|assign|store (?:it|them|this|everything) (?:in|under|with|for)) "
        r"(?:[\w,'`\"]+ ){0,4}?[`\"']?(?:user_id|namespace|session_id|tenant|pinned|persisted_at|memory_hash)\b",
        r"[\"'](?:user_id|namespace|session_id|pinned|id)[\"'] ?:",
    ),
    Rule(
        "form",
        "warn",
        "The form of the answer is the server's; the model will be told to keep it.",
        r"\b(?:answer|respond|reply|output|return) (?:only )?(?:in|as|with) (?:plain text|xml|yaml|markdown|csv|html"
        r"|prose)\b",
        r"\b(?:do not|don'?t|never) (?:use|return|output|answer (?:in|with)) json\b",
    ),
    Rule(
        "role-mark",
        "warn",
        "A line that begins with a role is plain text; the whole prompt is advice to the model.",
        r"(?:^|\n) ?#* ?(?:system|assistant|developer)(?: prompt| message)? ?:",
    ),
    Rule(
        "fence",
        "warn",
        "Marks of the server's own blocks are escaped.",
        r"</? ?(?:messages|reference|guidance)\b",
    ),
    Rule(
        "code",
        "warn",
        "Nothing is executed: the model has no tools.",
        r"\b(?:execute|run|eval(?:uate)?) (?:this|the following|that|my) (?:\w+ )?(?:code|script|command|program"
        r"|python|shell)\b",
        r"__(?:import|class|globals|builtins|subclasses)__|\bos\.system ?\(|\bsubprocess\.|\b(?:eval|exec) ?\(",
    ),
)
"""All rules."""
