"""What authors write in Chinese for a word of the language: one table, from which every message takes its suggestion."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from domain.kinds import SECTORS
from domain.messages import CATALOGUE

_TITLED: Final = ("level.", "object_type.", "rule_status.", "source.")
_KEYS: Final = {
    "冷却": "cooldown", "冷却期": "cooldown", "条件": "when", "得分": "points", "分数": "points", "分值": "points", "提示": "say",
    "提示语": "say", "依据": "basis", "法律依据": "basis", "预案": "plan", "责任部门": "owner", "状态": "status", "标题": "title",
    "编号": "id", "规则包": "pack", "领域": "sector", "指标": "indicators", "规则": "rules", "参数": "params", "测试": "tests",
    "生效": "effective", "生效日期": "effective", "半衰期": "half_life", "同族": "family", "上限": "cap", "封顶": "cap", "窗口": "window",
    "筛选": "where", "件数": "count", "合计": "sum", "平均": "mean", "最小": "min", "最大": "max", "去重": "distinct", "最近": "last",
    "最早": "first", "单位": "unit", "汇总": "by", "事项": "matter", "最低等级": "at_least", "持续": "for", "对象": "subject",
    "理由": "reason", "原因": "reason", "截止": "until", "有效期": "until", "名称": "name", "给定": "given", "期望": "expect",
}  # fmt: skip
_VALUES: Final = {
    "投诉": "complaint", "举报": "complaint", "热线": "hotline", "12345": "hotline", "处罚": "penalty", "检查": "inspection",
    "许可": "licence", "执照": "licence", "裁判": "ruling", "判决": "ruling", "失信": "dishonesty", "信用": "credit", "交办": "assigned",
    "部门": "department", "传感器": "iot", "物联网": "iot", "视频": "video", "启用": "active", "生效": "active", "试运行": "shadow",
    "草稿": "draft", "停用": "deprecated", "蓝色": "blue", "黄色": "yellow", "橙色": "orange", "红色": "red", "法人": "enterprise",
    "公司": "enterprise", "个体": "individual_business", "自然人": "person", "个人": "person", "是": "true", "否": "false", "块": "元",
    "万": "万元", "亿": "亿元", "分": "m", "时": "h", "日": "d", "周": "w",
}  # fmt: skip


def _words() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    titles = [(pair[0], key.partition(".")[2]) for key, pair in CATALOGUE.items() if key.startswith(_TITLED)]
    titles += [(title, sector) for sector, (title, _) in SECTORS.items()]
    for word, meaning in (*titles, *_KEYS.items(), *_VALUES.items()):
        found.setdefault(word, []).append(meaning)
    return {word: tuple(meanings) for word, meanings in found.items()}


MEANINGS: Final = _words()


def meant(read: str, legal: Collection[str]) -> str:
    """Return which of the legal words a Chinese one stands for, "" where none.

    >>> meant("热线", ["complaint", "hotline"]), meant("较大", ["blue", "orange"]), meant("天气", ["hotline"])
    ('hotline', 'orange', '')
    """
    return next((word for word in MEANINGS.get(read, ()) if word in legal), "")
