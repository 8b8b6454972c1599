"""The one message catalogue: every sentence that a user may read, Chinese first, English second.

A key is dotted, `area.what`; the values are filled in with `str.format`. Sections are in alphabetical order of their area.
"""

from __future__ import annotations

from typing import Final

LANGUAGES: Final = ("zh-CN", "en")

CATALOGUE: Final[dict[str, tuple[str, str]]] = {
    # level: risk levels (风险等级), an internal grade
    "level.": ("无", "none"),
    "level.blue": ("低", "low"),
    "level.orange": ("较大", "major"),
    "level.red": ("重大", "severe"),
    "level.yellow": ("一般", "general"),
    # rejection: why a record was not taken
    "rejection.bad_date": ("日期无法识别", "not a date"),
    "rejection.bad_encoding": ("编码无法识别", "unknown encoding"),
    "rejection.bad_header": ("缺少必需的列", "a required column is missing"),
    "rejection.bad_structure": ("格式损坏或不完整", "broken or cut short"),
    "rejection.bad_type": ("字段类型不符", "field of the wrong type"),
    "rejection.bad_value": ("取值不在允许范围", "value out of range"),
    "rejection.conflicting_content": ("同一编号内容不一致", "same key with other content"),
    "rejection.future": ("发生时间在未来，已隔离", "occurs in the future, quarantined"),
    "rejection.missing_field": ("必填项为空", "a required field is empty"),
    "rejection.too_large": ("单条记录过大", "record too large"),
    "rejection.unit_mismatch": ("计量单位不符", "unit does not match"),
    "rejection.unknown_field": ("未知字段", "unknown field"),
    "rejection.unknown_target": ("更正或撤回的原记录不存在", "nothing to correct or withdraw"),
}


def text(key: str, language: str = "zh-CN", **values: object) -> str:
    """Return the message of `key` in `language` with `values` filled in.

    >>> text("level.red"), text("level.red", "en")
    ('重大', 'severe')

    Raises:
        KeyError: the key is not in the catalogue; a test keeps all keys that the code names in it.
    """
    chinese, english = CATALOGUE[key]
    return (english if language == "en" else chinese).format(**values)
