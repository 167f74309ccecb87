"""How long a short message is, and making one fit.

Texts of the GSM alphabet take 160 septets, or 153 in each of several parts; all others 70 or 67 units of
UTF-16. Source: 3GPP TS 23.038 (6.2.1) and TS 23.040 (9.2.3.24.1).
"""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_SEPTETS = (160, 153)
_UNITS = (70, 67)


def parts(text: str) -> int:
    """How many messages a text takes."""
    alone, each = _room(text)
    length = _length(text)
    return 1 if length <= alone else -(-length // each)


def fitted(text: str, link: str, parts_max: int) -> str:
    """The text and its link in so many messages: if need be the text is cut, never the link."""
    tail = f" {link}" if link else ""
    if parts(text + tail) <= parts_max:
        return text + tail
    mark = "..." if _is_gsm(text + tail) else "…"
    kept = len(text)
    while kept and parts(text[:kept].rstrip() + mark + tail) > parts_max:
        kept -= 1
    return text[:kept].rstrip() + mark + tail


def _is_gsm(text: str) -> bool:
    return all(letter in _BASIC or letter in _EXTENDED for letter in text)


def _room(text: str) -> tuple[int, int]:
    """Of one message alone, and of each of several."""
    return _SEPTETS if _is_gsm(text) else _UNITS


def _length(text: str) -> int:
    if _is_gsm(text):
        return len(text) + sum(letter in _EXTENDED for letter in text)
    return len(text.encode("utf-16-le")) // 2
