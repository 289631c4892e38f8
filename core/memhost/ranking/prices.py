"""Amounts of money in a text, by their form: a number beside a sign, code or name of a currency."""

from __future__ import annotations

import re

_MULTIPLE = r"(?:k|m|mio\.?|mil|million(?:en|s)?|thousand|тыс\.?|млн|万|萬|億|亿)"
_SIGNS = r"[$€£¥₹₽₩₺₴₪₫₦฿¢]"
# ISO 4217 codes stand in capitals; names are those of the twenty currencies that are traded most, in their languages.
_CODES = (
    r"(?-i:USD|EUR|GBP|JPY|CNY|RMB|CHF|CAD|AUD|NZD|INR|RUB|TRY|BRL|MXN|ZAR|SEK|NOK|DKK|PLN|CZK|HUF|KRW|AED|SAR|ILS|UAH)"
)
_NAMES = (
    r"(?:(?:dollar|euro|pound|franc|franken|peso|rupee|ruble|rouble|lira|krona|krone|crown|złoty|zloty|bucks?|cent"
    r"|dólar|dólare|reai|pfund|livre|libra|sterlin|rand|shekel|dirham|forint|hryvnia)s?\b"
    r"|(?:kronor|kroner|kr|real|yen|yuan|won|quid|lire|sterline|dollari|dolar|chf|eur|usd|gbp)\b"
    r"|доллар\w*|рубл\w*|евро|гривен\w*|гривн\w*|руб\b|元|块|塊|円|人民币|美元|欧元|歐元|ユーロ|ドル|원|달러|유로"
    r"|يورو|دولار|درهم|ريال|جنيه|شيكل|שקל\w*|רופ\w*)"
)
_PRICE = re.compile(
    rf"{_SIGNS}\s?\d|\b{_CODES}\s?\d|\d\s?(?:{_MULTIPLE}\s?)?(?:{_SIGNS}|\b{_CODES}\b|{_NAMES})", re.IGNORECASE
)


def names_price(text: str) -> bool:
    """Tell whether a text names an amount of money in figures."""
    return _PRICE.search(text) is not None
