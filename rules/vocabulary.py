# Long because: every word of the language stands in one literal table, and the reference page is made from them.
"""The words of the rule language, one literal table per kind.

The checker, the evaluator, the JSON Schema and the reference page are made from these tables; tests hold them equal.
Texts are (Chinese, English).
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from domain.objects import OBJECT_TYPES
from domain.signals import SOURCES

Text2 = tuple[str, str]
# What an expression can be. The first five are numbers with a dimension; a bare "number" goes with counts and ratios.
Type = Literal["number", "count", "ratio", "money", "duration", "text", "bool", "set", "time", "any"]
NUMERIC: Final[frozenset[Type]] = frozenset({"number", "count", "ratio", "money", "duration"})

TYPE_TITLES: Final[dict[Type, Text2]] = {
    "number": ("数值", "number"),
    "count": ("计数", "count"),
    "ratio": ("比例", "ratio"),
    "money": ("金额", "money"),
    "duration": ("时长", "duration"),
    "text": ("文本", "text"),
    "bool": ("真假", "truth value"),
    "set": ("集合", "set"),
    "time": ("时刻", "time"),
    "any": ("任意", "any"),
}


class Unit(NamedTuple):
    """A literal's unit: `5万元` is 5 x 10000 of dimension money (yuan); durations are in seconds."""

    dimension: Type
    scale: str  # exact decimal text: floats would make 0.07万元 700.0000000000001
    title: Text2


UNITS: Final[dict[str, Unit]] = {
    "元": Unit("money", "1", ("元", "yuan")),
    "CNY": Unit("money", "1", ("元", "yuan")),
    "万元": Unit("money", "10000", ("万元", "10,000 yuan")),
    "亿元": Unit("money", "100000000", ("亿元", "100,000,000 yuan")),
    "s": Unit("duration", "1", ("秒", "seconds")),
    "秒": Unit("duration", "1", ("秒", "seconds")),
    "m": Unit("duration", "60", ("分钟", "minutes")),
    "分钟": Unit("duration", "60", ("分钟", "minutes")),
    "h": Unit("duration", "3600", ("小时", "hours")),
    "小时": Unit("duration", "3600", ("小时", "hours")),
    "d": Unit("duration", "86400", ("天（24 小时）", "days of 24 hours")),
    "天": Unit("duration", "86400", ("天（24 小时）", "days of 24 hours")),
    "w": Unit("duration", "604800", ("周（7 天）", "weeks of 7 days")),
    "周": Unit("duration", "604800", ("周（7 天）", "weeks of 7 days")),
    "%": Unit("ratio", "0.01", ("百分之一", "per cent")),
    "件": Unit("count", "1", ("件", "cases")),
    "次": Unit("count", "1", ("次", "times")),
    "户": Unit("count", "1", ("户", "households")),
    "人": Unit("count", "1", ("人", "persons")),
}


class Field(NamedTuple):
    """A field that an expression may read; `legal` are its only values where there is such a list, `bounds` its range."""

    type: Type
    title: Text2
    legal: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None


FIELDS: dict[str, Field] = {
    "source": Field("text", ("信号来源类别", "category of the source"), SOURCES),
    "kind": Field("text", ("信号类型，如 gas.leak", "kind of signal, as gas.leak")),
    "matter": Field("text", ("事项或领域代号", "slug of the matter or sector")),
    "region": Field("text", ("信号的区划代码，6、9 或 12 位", "region code of the signal, 6, 9 or 12 digits")),
    "severity": Field("number", ("严重程度 0–3，3 最重", "severity 0-3, 3 worst"), bounds=(0.0, 3.0)),
    "value": Field("any", ("信号的数值，量纲由 unit 决定", "the signal's number, in its unit")),
    "unit": Field("text", ("数值的单位，金额为 CNY", "unit of the value, CNY for money")),
    "text": Field("text", ("信号正文", "text of the signal")),
    "feed": Field("text", ("数据源编号", "id of the feed")),
    "occurred_at": Field("time", ("发生时刻", "when it happened")),
    "object": Field("text", ("监管对象编号", "id of the regulated object")),
    "object.type": Field("text", ("对象类型", "type of the object"), OBJECT_TYPES),
    "object.name": Field("text", ("对象名称", "name of the object")),
    "object.code": Field("text", ("统一社会信用代码或设备、项目编号", "credit code, device or project number")),
    "object.region": Field("text", ("对象所在区划代码", "region code of the object")),
    "object.address": Field("text", ("对象地址", "address of the object")),
    "object.industry": Field("text", ("行业代码（GB/T 4754）", "industry, GB/T 4754")),
    "object.credit": Field("text", ("信用等级 A–D", "credit grade A-D"), ("A", "B", "C", "D")),
    "object.labels": Field("set", ("对象标签", "labels of the object")),
    "object.listed_by": Field("set", ("将其列为监管对象的部门", "departments that list the object")),
    "object.code_valid": Field("bool", ("代码校验位正确", "check digit of the code is right")),
}
PARENT: Final = "object.parent."
# The object's parent (上级对象, registry relation `parent`): what of it may be read, as of the object itself.
FIELDS |= {
    PARENT + name: Field(FIELDS["object." + name].type, (f"上级对象的{zh}", f"{name} of the parent"), FIELDS["object." + name].legal)
    for name, zh in {
        "type": "类型",
        "name": "名称",
        "code": "代码",
        "region": "区划代码",
        "industry": "行业代码",
        "credit": "信用等级",
        "labels": "标签",
        "listed_by": "列入部门",
    }.items()
}


class Family(NamedTuple):
    """Fields that differ in their last word, which the registry chooses: `object.relations.uses`."""

    type: Type
    title: Text2
    legal: tuple[str, ...] = ()


LICENCE_STATES: Final = ("valid", "expired", "suspended", "revoked", "cancelled", "none")
FAMILIES: Final[dict[str, Family]] = {
    "object.relations.": Family("set", ("有此关系的对象的编号，如 object.relations.uses", "ids of the objects in a relation")),
    "object.licence.": Family(
        "text", ("此类许可在信号发生时的状态，如 object.licence.gas", "state of a licence at the signal's time"), LICENCE_STATES
    ),
    "object.licence_left.": Family("duration", ("此类许可距到期还有多久，已到期为负", "time until a licence ends, negative once it has")),
}
ATTRS: Final = "attrs."  # any field beneath it, whatever the sender put there: type any
ATTRS_TITLE: Final[Text2] = ("信号附加字段 attrs.*，类型不限", "the sender's own fields, of any type")


# Chinese names of the fields; the tree of an expression holds the field itself.
ALIASES: Final[dict[str, str]] = {
    "来源": "source",
    "类型": "kind",
    "事项": "matter",
    "区划": "region",
    "严重程度": "severity",
    "数值": "value",
    "单位": "unit",
    "正文": "text",
    "数据源": "feed",
    "发生时刻": "occurred_at",
    "对象": "object",
    "对象.类型": "object.type",
    "对象.名称": "object.name",
    "对象.代码": "object.code",
    "对象.区划": "object.region",
    "对象.地址": "object.address",
    "对象.行业": "object.industry",
    "对象.信用等级": "object.credit",
    "对象.标签": "object.labels",
    "对象.列入部门": "object.listed_by",
    "上级.名称": "object.parent.name",
    "上级.信用等级": "object.parent.credit",
    "上级.标签": "object.parent.labels",
}


class Function(NamedTuple):
    """A function of one argument: what it takes, what it gives, and its range."""

    takes: frozenset[Type]
    gives: Type | Literal[""]  # "": the type of its argument
    title: Text2
    bounds: tuple[float, float]


_EVERY: Final[frozenset[Type]] = frozenset(TYPE_TITLES)
FUNCTIONS: Final[dict[str, Function]] = {
    "has": Function(_EVERY, "bool", ("是否有值（不是未知）", "true where the value is known"), (0.0, 1.0)),
    "abs": Function(NUMERIC | {"any"}, "", ("绝对值", "absolute value"), (0.0, float("inf"))),
    "size": Function(frozenset({"set", "any"}), "count", ("集合的个数", "number of members of a set"), (0.0, float("inf"))),
    "hour": Function(frozenset({"time"}), "number", ("北京时间的小时 0–23", "hour in Asia/Shanghai, 0-23"), (0.0, 23.0)),
    "weekday": Function(frozenset({"time"}), "number", ("星期 1–7，周一为 1", "day of the week 1-7, Monday is 1"), (1.0, 7.0)),
}

OPERATORS: Final[dict[str, Text2]] = {
    "and": ("并且：两边都为真", "both are true"),
    "or": ("或者：至少一边为真", "at least one is true"),
    "not": ("非", "the opposite"),
    "==": ("等于", "equal"),
    "!=": ("不等于", "not equal"),
    "<": ("小于", "less"),
    "<=": ("小于等于", "less or equal"),
    ">": ("大于", "greater"),
    ">=": ("大于等于", "greater or equal"),
    "in": ("在列表、集合、前缀（gas.*）或名单（@名单）之中", "one of a list, a set, a prefix (gas.*) or a list file (@list)"),
    "contains": ("文本包含某词，或列表中任一词", "the text contains a word, or one of a list"),
    "matches": ("文本中有一处符合正则表达式（RE2 语法，线性时间）", "the text has a match of a regular expression (RE2, linear time)"),
    "+": ("加", "plus"),
    "-": ("减（两侧留空格）", "minus (with spaces around it)"),
    "*": ("乘", "times"),
    "/": ("除，除以零为未知", "divided by; by zero is unknown"),
}


class AggregateWord(NamedTuple):
    """An aggregate: what its value may be (nothing but `fixed` words for some) and what type it gives ("" : its value's).

    `daily` ones can be kept as one sum for each day, `boundless` ones need no window.
    """

    title: Text2
    takes: frozenset[Type]
    gives: Type | Literal[""]
    fixed: tuple[str, ...] = ()
    daily: bool = False
    boundless: bool = False


_NUMBERS: Final[frozenset[Type]] = NUMERIC | {"any"}
_VALUES: Final[frozenset[Type]] = NUMERIC | {"text", "bool", "any"}
AGGREGATES: Final[dict[str, AggregateWord]] = {
    "count": AggregateWord(
        ("信号件数，写作 count: signals", "number of signals, written count: signals"), frozenset(), "count", ("signals",), daily=True
    ),
    "sum": AggregateWord(("合计", "sum"), _NUMBERS, "", daily=True),
    "mean": AggregateWord(("平均", "arithmetic mean"), _NUMBERS, "", daily=True),
    "min": AggregateWord(("最小", "smallest"), _NUMBERS, "", daily=True),
    "max": AggregateWord(("最大", "largest"), _NUMBERS, "", daily=True),
    "distinct": AggregateWord(("不同取值的个数", "number of different values"), frozenset({"text", "number", "any"}), "count", daily=True),
    "last": AggregateWord(("最近一次的值", "the newest value"), _VALUES, "", daily=True, boundless=True),
    "first": AggregateWord(("最早一次的值", "the oldest value"), _VALUES, "", daily=True),
    "stddev": AggregateWord(
        ("样本标准差（除以 n-1），少于两个数为未知", "sample standard deviation (n - 1), unknown for fewer than two"),
        _NUMBERS,
        "",
        daily=True,
    ),
    "percentile": AggregateWord(
        (
            "百分位数：至少 rank% 的数不大于它的最小的数（最近秩），一定是真实出现过的数",
            "the smallest value that at least rank % of the values are not greater than (nearest rank)",
        ),
        _NUMBERS,
        "",
    ),
    "trend": AggregateWord(
        (
            "趋势：对时间的最小二乘斜率，每 per（缺省 1d）上升多少，只有一个时刻为未知",
            "slope over time by least squares, per `per` (1d), unknown for a single instant",
        ),
        _NUMBERS,
        "",
    ),
    "since": AggregateWord(
        (
            "距最早（first）或最近（last）一条信号的时长，算到该对象最新信号的时刻",
            "time since the first or the last signal, up to the object's newest signal",
        ),
        frozenset(),
        "duration",
        ("first", "last"),
        boundless=True,
    ),
    "percentage": AggregateWord(
        (
            "满足条件的信号所占比例 0–1，条件未知的不计入",
            "share of signals for which a condition is true, among those for which it is known",
        ),
        frozenset({"bool", "any"}),
        "ratio",
    ),
    "new_value": AggregateWord(
        ("最新的值在窗口内从未出现过（真假），此前没有值为未知", "whether the newest value was not seen before, unknown where none was"),
        _VALUES,
        "bool",
        daily=True,
    ),
    "change": AggregateWord(
        (
            "最新的值与前一个不同（真假），不足两个值为未知",
            "whether the newest value differs from the one before, unknown for fewer than two",
        ),
        _VALUES,
        "bool",
    ),
}
_WITH_VALUES: Final = tuple(name for name, word in AGGREGATES.items() if not word.fixed)
# Keys that only mean something beside certain aggregates.
ONLY_WITH: Final[dict[str, tuple[str, ...]]] = {
    "detector": ("anomaly",),
    "rank": ("percentile", "history", "peers"),
    "periods": ("history",),
    "take": ("history", "peers"),
    "below": ("flatline",),
    "per": ("trend",),
    "needs": (*_WITH_VALUES, "history", "spike", "peers"),
}
BASELINES: Final[dict[str, Text2]] = {
    "history": (
        "自身历史：另一指标此前 periods 个同样窗口的值，按 take 归为一个数；历史不足为未知",
        "own history: what another indicator came to in the `periods` windows before the present one, by `take`; too little is unknown",
    ),
    "spike": (
        "突增或骤降：另一指标的现值除以前一窗口的值，1 为不变；前一窗口不足 needs 条（至少 1 条）为未知",
        "the present value of another indicator divided by that of the window before; unknown where that had fewer than `needs` signals",
    ),
    "flatline": (
        "沉寂：另一指标的现值低于 below（真假）；首条信号之后满一个窗口才判断",
        "whether another indicator is less than `below`, once a whole window has passed since the first signal",
    ),
    "peers": (
        "同类基线：另一指标在同组（by）登记对象中的值，按 take 归为一个数；每日 3 时（北京时间）更新，不足 needs 户（缺省 5）为未知",
        "what another indicator comes to among the registered objects of a group (by), worked out each day at 03:00 in Shanghai",
    ),
}
PEER_TAKES: Final = frozenset({"mean", "median", "stddev", "min", "max", "percentile"})  # objects have no order in time
TAKES: Final[dict[str, Text2]] = {
    "mean": ("平均", "mean"),
    "median": ("中位数，偶数个时取中间两个的平均", "median, the mean of the two in the middle for an even number"),
    "stddev": ("样本标准差", "sample standard deviation"),
    "min": ("最小", "smallest"),
    "max": ("最大", "largest"),
    "percentile": ("百分位数，与 rank 同用", "percentile, with rank"),
    "first": ("最早的一个窗口，如 periods: 12 的去年同月", "the oldest window, as the same month of last year with periods: 12"),
    "last": ("紧邻的前一个窗口", "the window just before"),
}
DERIVED: Final[dict[str, Text2]] = {
    "ratio": (
        "两个同量纲指标之比，写作 ratio: [分子, 分母]；除以零为未知",
        "one indicator divided by another of the same unit, written ratio: [above, below]; by zero is unknown",
    ),
    "formula": (
        "公式：其他指标、参数与数值的加减乘除；量纲随之推出，循环引用会被拒绝",
        "arithmetic over other indicators, parameters and numbers; units follow, cycles are refused",
    ),
}
ANOMALY: Final = "anomaly"
ANOMALY_TITLE: Final[Text2] = ("异常分 0–1：检测器对另一指标的打分", "a detector's score in [0, 1] of another indicator")
DETECTORS: Final[dict[str, Text2]] = {
    "fast": ("流式检测：分时段残差，尾概率校准", "streaming: time-of-day residual with a calibrated tail"),
}

CALENDAR_WINDOWS: Final[dict[str, Text2]] = {
    "day": ("自然日（北京时间）", "calendar day in Asia/Shanghai"),
    "week": ("自然周，周一起", "calendar week from Monday"),
    "month": ("自然月", "calendar month"),
    "quarter": ("自然季度", "calendar quarter"),
    "year": ("自然年", "calendar year"),
}
WINDOWS: Final[dict[str, Text2]] = {
    "tumbling": (
        "固定时段，首尾相接，如 tumbling(6h) 是 0、6、12、18 时起的四段（北京时间）",
        "periods end to end, as tumbling(6h) from 0, 6, 12 and 18 o'clock in Asia/Shanghai",
    ),
    "session": (
        "会话：相邻两条间隔都小于该时长的最近一串，如 session(30m)；间隔满该时长即为空，最长追溯 100 个间隔",
        "the latest run of signals less than this apart, as session(30m); empty once so much time has passed, at most 100 gaps long",
    ),
    "daily": (
        "整日滚动，如 daily(730d)：当日及此前的自然日；100 天以前的只留日汇总，不能再撤回，用于 1–3 年",
        "the calendar day and those before it, as daily(730d); beyond 100 days only sums per day are kept and cannot be taken back",
    ),
}
AS_OF: Final[dict[str, Text2]] = {
    "own": ("按本指标最新信号的时刻（默认）", "the newest signal that this indicator selects (default)"),
    "object": ("按该对象最新信号的时刻", "the object's newest signal"),
}
STATUSES: Final[dict[str, Text2]] = {
    "draft": ("草稿：只检查，不运行", "draft: checked, not run"),
    "shadow": ("试运行：只记录，不推送", "shadow: recorded, not pushed"),
    "active": ("启用", "active"),
    "deprecated": ("停用待删", "deprecated: no longer run"),
}
LEVELS: Final[dict[str, Text2]] = {
    "blue": ("低", "low"),
    "yellow": ("一般", "general"),
    "orange": ("较大", "major"),
    "red": ("重大", "severe"),
}
REGION_DIGITS: Final[dict[int, Text2]] = {
    2: ("省", "province"),
    4: ("市", "city"),
    6: ("区县", "county"),
    9: ("街道（镇）", "street or township"),
    12: ("社区（村）", "community or village"),
}
REGION_BY: Final[dict[str, int | Literal["object"]]] = {"object": "object", **{f"region({digits})": digits for digits in REGION_DIGITS}}

GROUPS: Final[dict[str, Text2]] = {
    "object": ("对象（缺省）", "the object (default)"),
    "parent": ("上级对象（登记关系 parent），没有上级的为其自身", "its parent in the registry, itself where it has none"),
    "matter": ("信号的事项", "the matter of the signal"),
    "industry": ("对象的行业代码", "the industry of the object"),
    **{f"region({digits})": title for digits, title in REGION_DIGITS.items()},
}
# Words that are known but not part of this version: refused by name, never half-accepted. The value names what to use instead.
LATER: Final[dict[str, Text2]] = {
    "median": ("改用 percentile 与 rank: 50", "use percentile with rank: 50"),
    "baseline": ("改用 history", "use history"),
    "previous": ("改用 history 与 periods: 1, take: last", "use history with periods: 1, take: last"),
    "cardinality": ("改用 distinct", "use distinct"),
    "frequency": ("改用 count", "use count"),
    "new_term": ("改用 new_value", "use new_value"),
    "percentage_match": ("改用 percentage", "use percentage"),
    "metric_aggregation": ("改用 sum、mean、min、max 等", "use sum, mean, min, max, …"),
    "spike_aggregation": ("改用 spike，填一个 sum 或 mean 指标", "use spike of an indicator that is a sum or a mean"),
    "blacklist": ("在条件中写 in [..]", "write in [..] in the condition"),
    "whitelist": ("在条件中写 not … in [..]", "write not … in [..] in the condition"),
    "avg": ("改用 mean", "use mean"),
    "infer": ("改用 inferences 一节", "use the section inferences"),
}
KEYWORDS: Final = frozenset({"and", "or", "not", "in", "contains", "matches", "true", "false"})
# Names that an indicator may not take, since an expression would read something else.
RESERVED: Final = KEYWORDS | frozenset(FIELDS) | frozenset(ALIASES) | frozenset(FUNCTIONS) | {"attrs", "area", "signals", ANOMALY}
