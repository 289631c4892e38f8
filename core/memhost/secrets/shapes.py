"""Shapes of secrets that tell themselves: tokens of providers, private keys, signed tokens."""

from __future__ import annotations

import re
from typing import NamedTuple


class Shape(NamedTuple):
    """A kind of secret.

    Attributes:
        kind: Its name, in reports.
        hints: Every secret of the shape holds one of these, letter by letter.
        pattern: Finds it, not behind a letter or digit of ASCII; group 1 is the secret, if there is one, else the whole
            match. (A look-behind in front would make the search four times slower.)
    """

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


_GAP = r"(?:\\[rn]|[\s>|#*])*+"
_LINE_ENDS = r"(?=[ \t]*+(?:\r?\n|\\[rn]|-----END|[\"'`]|\Z))"
_BEHIND = r"(?![A-Za-z0-9])"


def _shape(kind: str, hints: str, pattern: str) -> Shape:
    return Shape(kind, tuple(hints.split()), re.compile(pattern))


SHAPES = (
    Shape(
        "private key",
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
            rf"(?:{_GAP}(?:[A-Za-z0-9+/=]{{40,}}+|(?:MI|b3B)[A-Za-z0-9+/=]{{2,}}+|(?=[A-Z0-9+/])[A-Za-z0-9+/=]{{1,}}+{_LINE_ENDS}"
            rf"|[A-Za-z0-9+/=]{{1,}}+(?={_GAP}-----END)|[A-Za-z-]{{1,20}}: [^\n\"\\]{{1,200}}{_LINE_ENDS}))+"
            rf"(?:{_GAP}-----END [A-Z0-9 ]{{0,30}}PRIVATE KEY(?: BLOCK)?-----)?"
        ),
    ),
    Shape("private key", ("PuTTY-User-Key",), re.compile(r"Private-Lines: \d{1,4}\s(?:[A-Za-z0-9+/=]{1,80}\s){1,200}")),
    _shape("private key", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{40,}"),
    _shape("private key", "AGE-PLUGIN-", r"AGE-PLUGIN-[A-Z0-9-]{1,30}1[A-Z0-9]{30,}"),
    _shape(
        "json web token",
        "eyJ",
        r"eyJ(?<![\w-]eyJ)[\w-]{8,}\.[\w-]*\.[\w-]{8,}(?:\.[\w-]{8,}\.[\w-]{8,})?",
    ),
    _shape("aws key", "AKIA ASIA AROA ABIA ACCA", rf"(?:AKIA|ASIA|AROA|ABIA|ACCA)[A-Z0-9]{{16}}{_BEHIND}"),
    _shape(
        "aws key", "ABSK bedrock-api-key-", r"(?:ABSK(?<![+/=]ABSK)[A-Za-z0-9+/=]{100,}|bedrock-api-key-[\w+/=]{40,})"
    ),
    _shape("google key", "AIza", r"AIza(?<![+/=]AIza)[\w-]{30,}"),
    _shape("google token", "ya29. GOCSPX-", r"(?:ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,})"),
    _shape("azure key", "8Q~ 7Q~", rf"[\w~.-]{{3}}[78]Q~[\w~.-]{{31,34}}{_BEHIND}"),
    _shape("azure key", "AccountKey= SharedAccessKey=", r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{30,}={0,2})"),
    _shape("azure signature", "sig=", r"sig=((?:[A-Za-z0-9+/]|%[0-9A-Fa-f]{2}){40,}={0,2})"),
    _shape("github token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{30,}"),
    _shape("github token", "github_pat_", r"github_pat_\w{30,}"),
    _shape("gitlab token", "gl", r"gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct|wt)-[\w.-]{18,}"),
    _shape("slack token", "xox", r"xox[abceoprs]-(?:\d-)?[A-Za-z0-9]{8,}[\w-]*"),
    _shape("slack token", "xapp-", r"xapp-\d-[A-Z0-9]{6,}-\d{6,}-[a-f0-9]{20,}"),
    _shape("webhook address", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/]{20,})"),
    _shape("webhook address", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/(\d{8,}/[\w-]{20,})"),
    _shape("webhook address", "webhook.office.com", r"webhook\.office\.com/webhookb2/([\w@/-]{40,})"),
    _shape("stripe key", "_live_ _test_", r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"),
    _shape("stripe key", "whsec_", r"whsec_[A-Za-z0-9+/]{16,}={0,2}"),
    _shape("model key", "sk-", r"sk-(?:ant|proj|or|svcacct|admin|live|lf|None)-[\w-]{20,}"),
    _shape("model key", "sk-", r"sk-(?:[A-Za-z0-9]{1,12}-){0,4}[A-Za-z0-9_]{20,}[\w-]*"),
    _shape("model key", "sk_", rf"sk_[a-f0-9]{{40,}}{_BEHIND}"),
    _shape("model key", "hf_ gsk_ xai- pplx- r8_", r"(?:hf_|gsk_|xai-|pplx-|r8_)[A-Za-z0-9]{30,}"),
    _shape("model key", "pcsk_ nvapi- lsv2_ tgp_v1_", r"(?:pcsk_|nvapi-|lsv2_(?:pt|sk)_|tgp_v1_)[\w-]{30,}"),
    _shape("package token", "npm_ pypi-", r"(?:npm_[A-Za-z0-9]{30,}|pypi-(?:AgE[\w-]{30,}|[A-Za-z0-9_]{40,}))"),
    _shape(
        "package token",
        "rubygems_ dckr_pat_ dckr_oat_ oy2",
        r"(?:rubygems_[a-f0-9]{40,}|dckr_[po]at_[\w-]{20,}|oy2[a-z0-9]{43})",
    ),
    _shape("mail key", "SG.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    _shape(
        "mail key",
        "xkeysib- xsmtpsib- key- -us",
        r"(?:x(?:key|smtp)sib-[a-f0-9]{40,}[\w-]*|key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2})(?![\w-])",
    ),
    _shape("mail key", "re_", r"re_[A-Za-z0-9]{6,10}_[A-Za-z0-9]{20,}"),
    _shape("twilio key", "SK", rf"SK[0-9a-f]{{32}}{_BEHIND}"),
    _shape("cloud token", "_v1_", r"do[opr]_v1_[a-f0-9]{40,}"),
    _shape("cloud token", "hvs. hvb. hvr. .atlasv1.", r"(?:hv[sbr]\.[\w-]{20,}|\w{14}\.atlasv1\.[\w-]{50,})"),
    _shape(
        "cloud token",
        "pul- HRKU- FlyV1 fo1_ dapi",
        r"(?:pul-[a-f0-9]{40}|HRKU-[\w-]{30,}|FlyV1 [\w,=+/-]{40,}|fo1_[\w-]{40,}|dapi[a-f0-9]{32}(?:-\d)?)",
    ),
    _shape(
        "cloud token",
        "tskey- dp. dt0c01. NRAK- sntry",
        r"(?:tskey-[\w-]{20,}|dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{30,}|dt0c01\.[A-Z0-9]{24}\.[A-Z0-9]{60,}|NRAK-[A-Z0-9]{27}|sntry[su]_[\w=+/.-]{30,})",
    ),
    _shape(
        "cloud token",
        "glsa_ glc_ sbp_ sb_secret_ pscale_",
        r"(?:glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}={0,2}|sbp_[a-f0-9]{40}|sb_secret_[\w-]{20,}|pscale_(?:tkn|pw|oauth)_[\w.-]{30,})",
    ),
    _shape("shop token", "shp sq0", r"(?:shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|sq0(?:atp|csp)-[\w-]{22,})"),
    _shape(
        "app token",
        "lin_api_ ntn_ secret_ figd_ PMAK- ATATT3 ATBB ATCTT3",
        r"(?:lin_(?:api|oauth)_[A-Za-z0-9]{32,}|ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}|figd_[\w-]{38,}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}|AT(?:ATT|CTT)3[\w=.-]{40,}|ATBB[A-Za-z0-9]{28,})",
    ),
    _shape("app token", "pat", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    _shape("bot token", ":AA", rf"\d{{8,10}}:AA[\w-]{{33}}{_BEHIND}"),
    _shape(
        "bot token", "MT MD Mj Mz ND NT Nj Nz OD OT", rf"[MNO][A-Za-z\d]{{23,25}}\.[\w-]{{6}}\.[\w-]{{27,38}}{_BEHIND}"
    ),
    _shape(
        "social token",
        "EAA AAAAAAAAAAAAAAAAAAAA",
        r"(?<![+/=])(?:EAA[A-Za-z0-9]{100,}|A{20,24}[A-Za-z0-9]{4,40}%[0-9A-F]{2}[\w%]{20,})",
    ),
    _shape(
        "build token",
        "bkua_ CCIPAT_ CCIPRJ_ CFPAT- pnu_ pnb_ tfp_",
        r"(?:bkua_[a-f0-9]{40}|CCIP(?:AT|RJ)_\w{20,}|CFPAT-[\w-]{40,}|pn[ub]_[A-Za-z0-9]{36}|tfp_[\w.-]{40,})",
    ),
    _shape(
        "password manager token", "ops_eyJ A3-", r"(?:ops_eyJ[\w-]{40,}|A3-[A-Z0-9]{6}-[A-Z0-9]{6}(?:-[A-Z0-9]{5}){4})"
    ),
    _shape("yandex token", "AQVN y0_ t1.", r"(?:AQVN[\w-]{35,38}|y0_[\w-]{50,}|t1\.[A-Z0-9a-z_-]{20,}\.[\w-]{80,})"),
    _shape("plaid token", "access-", r"access-(?:sandbox|development|production)-[0-9a-f-]{36}"),
    _shape("private key", "IBAAKC IBADANBg", r"MII[A-Za-z0-9+/]{3}IBA(?:AKC|DANBg)[A-Za-z0-9+/=\\\s]{60,}"),
    _shape("wallet key", "xprv yprv zprv", rf"[xyz]prv[1-9A-HJ-NP-Za-km-z]{{100,112}}{_BEHIND}"),
    _shape("wallet key", "5H 5J 5K", rf"5[HJK][1-9A-HJ-NP-Za-km-z]{{49}}{_BEHIND}"),
    _shape(
        "model key",
        "tvly- sess- fc-",
        rf"(?:tvly-(?:dev-)?[A-Za-z0-9]{{30,}}|sess-[A-Za-z0-9]{{40}}|fc-[a-f0-9]{{32}}){_BEHIND}",
    ),
    _shape("cloud token", "nfp_ rnd_", rf"(?:nfp_[A-Za-z0-9]{{36,}}|rnd_[A-Za-z0-9]{{32}}){_BEHIND}"),
    _shape("cloud key", "LTAI AKID", rf"(?:LTAI[A-Za-z0-9]{{16,24}}|AKID[A-Za-z0-9]{{32}}){_BEHIND}"),
    _shape(
        "app token",
        "pat- squ_ sqp_ sqa_ ATTA",
        rf"(?:pat-[a-z]{{2}}\d-[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}|sq[upa]_[a-f0-9]{{40}}|ATTA[a-f0-9]{{60,}}){_BEHIND}",
    ),
    _shape("map key", "sk.eyJ", r"sk\.eyJ[\w-]{20,}\.[\w-]{16,}"),
    _shape("package token", "AKCp", rf"AKCp[A-Za-z0-9]{{60,}}{_BEHIND}"),
    _shape("google token", "1//0", r"1//0[\w-]{40,}"),
    _shape("github token", "ghs_ ghu_", r"gh[su]_\w{8,40}_eyJ[\w.-]{40,}"),
    _shape("token", "mht_ mh_", r"mht?_[\w-]{20,}"),
)
"""Secrets that are told by their beginning, wherever they stand."""

BY_HINT = {
    hint: tuple((shape.kind, shape.pattern) for shape in SHAPES if hint in shape.hints)
    for hint in sorted({hint for shape in SHAPES for hint in shape.hints})
}
"""Kinds and patterns of the shapes by their hints."""

PREFIXED = re.compile(
    r"(?<![A-Za-z0-9])(?:[a-z][a-z0-9]{1,11}[_-])?(?:live|prod|secret|token|tok|key|sk|pat|api|apikey|auth|access|priv|private|rk|pk)"
    r"(?:[_-][a-z0-9]{1,6})?[_-]([A-Za-z0-9]{20,})(?![A-Za-z0-9_-])"
)
"""A token of a provider that is not in the table: short names, one of which says so, and random letters, which group 1
holds. (Ids look alike but for that name: `resp_`, `file-`, `batch_`.)"""

BREAKABLE = (
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "_live_",
    "sk-",
    "hf_",
    "npm_",
    "pypi-",
    "SG.",
    "dop_v1_",
    "eyJ",
    "gsk_",
    "AGE-SECRET-KEY-",
)
BROKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AIza|ya29\.|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|[sr]k_live_|sk-|hf_|npm_|pypi-|SG\.|dop_v1_|eyJ|gsk_"
    r"|AGE-SECRET-KEY-)[A-Za-z0-9_.-]{0,100}(?:\\?\r?\n[ \t>]{0,8}|[\u00ad\u200b-\u200d\u2060\ufeff])[A-Za-z0-9_-]"
)
"""The beginning of a token up to a line end that may break it."""
