"""Names and codes of regulated objects in the form in which they are compared.

Complaints, penalties and the registry write one company in many ways: full-width brackets or none, 有限公司 or 有限责任公司, a blank
after the city. What remains here is what tells two companies apart; what is equal here is still only a candidate.
"""

from __future__ import annotations

import re
import unicodedata

# 公司法 art. 7: a limited company writes 有限责任公司 or 有限公司, a company limited by shares 股份有限公司 or 股份公司.
# Bracketed forms follow 企业名称登记管理规定实施办法: （有限合伙）, （个体工商户） and the like.
_LEGAL_FORM = re.compile(
    r"股份有限责任公司|股份有限公司|股份公司|有限责任公司|有限公司|\((?:特殊普通合伙|普通合伙|有限合伙|个人独资|个体工商户|集团)\)"
)
_UNSEEN = frozenset("PZC")  # first letters of the Unicode categories of punctuation, blanks and control characters


def normalise_name(name: str) -> str:
    """Return `name` without width, case, punctuation and legal form; idempotent; never empty unless `name` holds no letter or digit.

    Traditional characters stay as they are. The legal form goes wherever it stands, so that a branch loses that of its parent.

    >>> normalise_name("西安　某某燃气（集团）有限责任公司") == normalise_name("西安某某燃气有限公司")
    True
    >>> normalise_name("某某（西安）燃气股份有限公司")
    '某某西安燃气'
    >>> normalise_name("某某燃气有限公司雁塔分公司")
    '某某燃气雁塔分公司'
    >>> normalise_name("７-Eleven 便利店（个体工商户）")
    '7eleven便利店'
    >>> normalise_name("有限公司")
    '有限公司'
    """
    plain = _fold(name)
    while True:
        shorter = _fold(_visible(_LEGAL_FORM.sub("", plain)) or _visible(plain))
        if shorter == plain:
            return plain
        plain = shorter


def masked_name(name: str) -> str:
    """Return the name of a person as those read it who need not know it: the first character, then asterisks.

    >>> masked_name("张三丰"), masked_name("张"), masked_name("")
    ('张**', '*', '')
    """
    return name[:1] + "*" * (len(name) - 1) if len(name) > 1 else "*" * len(name)


def normalise_code(code: str) -> str:
    """Return a code in upper case without blanks and hyphens, half-width.

    >>> normalise_code(" ９１６１０１３２ma6u0-xxxx5")
    '91610132MA6U0XXXX5'
    """
    while True:  # taking out what stands between two characters can join them into one
        plain = unicodedata.normalize("NFKC", _visible(unicodedata.normalize("NFKC", code)).upper())
        if plain == code:
            return plain
        code = plain


def looks_like_code(text: str) -> bool:
    """Tell whether an alias is a former code rather than a name: eight or more ASCII letters and digits, at least six digits.

    >>> looks_like_code("610132100012345"), looks_like_code("某某燃气"), looks_like_code("Starbucks")
    (True, False, False)
    """
    code = normalise_code(text)
    return len(code) >= 8 and code.isascii() and code.isalnum() and sum(char.isdigit() for char in code) >= 6


def _fold(text: str) -> str:
    """Return NFKC of the case fold, repeated until it is stable: folding can denormalise and the other way round."""
    while True:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        if folded == text:
            return text
        text = folded


def _visible(text: str) -> str:
    """Return `text` without punctuation, blanks and control characters."""
    return "".join(char for char in text if unicodedata.category(char)[0] not in _UNSEEN)
