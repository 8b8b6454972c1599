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
    # model: what detectors say about a score
    "model.bad_time": ("时间无法识别，不评分", "time not readable, no score"),
    "model.fast.high": (
        "数值 {value}，同一时段通常约 {expected}，偏高；按其自身历史约 {odds}",
        "value {value}, usually about {expected} at this time of day: high; {odds} of its own history",
    ),
    "model.fast.low": (
        "数值 {value}，同一时段通常约 {expected}，偏低；按其自身历史约 {odds}",
        "value {value}, usually about {expected} at this time of day: low; {odds} of its own history",
    ),
    "model.fast.usual": ("在其自身历史的常见范围内", "within the usual range of its own history"),
    "model.forest.driver": ("{name} {value}（同类中位数 {peers}）", "{name} {value} (median of peers {peers})"),
    "model.forest.odd": ("指标组合少见：{drivers}；同类中约 {odds}", "rare combination of indicators: {drivers}; {odds} of its peers"),
    "model.forest.too_few": ("同类对象仅 {count} 个，不足 {least} 个，不评分", "not enough peers: {count}, {least} are needed; no score"),
    "model.forest.usual": ("指标组合在同类常见范围内", "indicators within the usual range of its peers"),
    "model.missing": ("无有效数值", "no valid value"),
    "model.odds": ("每 {count} 次出现一次", "one in {count}"),
    "model.share": ("每 {count} 个对象出现一个", "one in {count}"),
    "model.since": ("；自 {since} 起", "; since {since}"),
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
