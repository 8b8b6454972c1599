"""Codes as readers read them: titles in the reader's language, times in Asia/Shanghai, spans of time, amounts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from domain.findings import Contribution
from domain.instants import SHANGHAI, parse_rfc3339, to_ms
from domain.kinds import KINDS, SECTORS
from domain.levels import DEFAULT_LEVELS
from domain.messages import CATALOGUE, text
from rules.ruleset import Indicator

ENGLISH = "en"
CHINESE = "zh-CN"


class Words:
    """The words of one page in one language."""

    def __init__(self, language: str) -> None:
        """Take `zh-CN` or `en`."""
        self.language = language

    def t(self, key: str, /, **values: object) -> str:
        """Return a message of the catalogue."""
        return text(key, self.language, **values)

    def title(self, area: str, code: object) -> str:
        """Return the title of a code of an area (level, stage, action …); an unknown code stands for itself."""
        key = f"{area}.{code}"
        return self.t(key) if key in CATALOGUE else str(code)

    def deed(self, what: str) -> str:
        """Return the title of what an audit entry says was done."""
        return self.title("audit", what) if f"audit.{what}" in CATALOGUE else self.title("action", what)

    def kind(self, kind: str) -> str:
        """Return the title of a kind of signal."""
        return self._pair(KINDS.get(kind), kind)

    def sector(self, sector: str) -> str:
        """Return the title of a sector."""
        return self._pair(SECTORS.get(sector), sector)

    def _pair(self, pair: tuple[str, str] | None, code: str) -> str:
        if pair is None:
            return code
        return pair[1] if self.language == ENGLISH else pair[0]

    def moment(self, moment: datetime | None, *, seconds: bool = False) -> str:
        """Return an instant as it is read in Asia/Shanghai, "" for none."""
        if moment is None:
            return ""
        return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")

    def instant(self, written: str) -> str:
        """Return an instant in RFC 3339 as it is read in Asia/Shanghai, and any other text as it is."""
        try:
            return self.moment(parse_rfc3339(written))
        except ValueError:
            return written

    def ailment(self, kind: str, detail: str) -> str:
        """Return what is said of an ailment of a rule: instants as they are read here, sources of signals by their titles."""
        if kind in {"blind", "starved"}:
            return self.sources(detail.split(", "))
        return self.instant(detail)

    def sources(self, sources: Iterable[str]) -> str:
        """Return sources of signals by their titles."""
        return self.t("console.and").join(self.title("source", one) for one in sources)

    def rules(self, rules: Iterable[str], contributions: Iterable[Contribution]) -> str:
        """Return rules by the titles that they have among the parts of a score, by their ids where they have none there."""
        titles = {one.name: one.title for one in contributions}
        return self.t("console.and").join(titles.get(one) or one for one in rules)

    def span(self, seconds: float) -> str:
        """Return a span of time in its two largest units, without its sign.

        >>> Words("zh-CN").span(-93_780), Words("en").span(59)
        ('1天2小时', '0 min')
        """
        minutes = int(abs(seconds)) // 60
        days, hours = minutes // 1440, minutes // 60 % 24
        if days:
            return self.t("console.span_days", days=days, hours=hours)
        return self.t("console.span_hours", hours=hours, minutes=minutes % 60) if hours else self.t("console.span_minutes", minutes=minutes)

    def amount(self, value: float, unit: str) -> str:
        """Return a reading with its unit; yuan are written as the reader's language writes them."""
        shown = f"{value:,.2f}".removesuffix(".00") if unit == "CNY" else f"{value:.6g}"
        return f"{shown} {self.t('console.yuan') if unit == 'CNY' else unit}".strip()

    def of_indicator(self, indicator: Indicator | None, name: str, value: Any) -> str:
        """Return a value of an indicator behind its title and with its unit; an unknown one stands by its name."""
        return f"{(indicator.title if indicator is not None else '') or name} = {self.measured(indicator, value)}"

    def measured(self, indicator: Indicator | None, value: Any) -> str:
        """Return a value in the unit of an indicator, where that is known."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return self.amount(value, indicator.unit) if number and indicator is not None else self.value(value)

    def value(self, value: Any) -> str:
        """Return a value of an indicator or a form as text."""
        if isinstance(value, bool):
            return self.t("console.yes") if value else self.t("console.no")
        if isinstance(value, float):
            return f"{value:.6g}"
        if isinstance(value, list | tuple):
            return "、".join(self.value(one) for one in value)
        return "—" if value is None else str(value)


def machine(moment: datetime) -> str:
    """Return an instant for a `datetime` attribute."""
    return moment.astimezone(SHANGHAI).isoformat()


def milliseconds(moment: datetime) -> int:
    """Return an instant for a script."""
    return to_ms(moment)


LEVEL_MARKS = tuple((level.name, level.at) for level in DEFAULT_LEVELS.levels)
