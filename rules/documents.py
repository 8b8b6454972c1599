"""The shape of a pack file: what a person may write. The JSON Schema and the reference page are made from these structs.

Expressions, durations and windows are texts here; `rules.compile` reads them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from domain.objects import ObjectType
from domain.signals import Source

SLUG: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
NAME: Final = r"^[a-z_\u3400-\u9fff][a-z0-9_\u3400-\u9fff]*$"
DURATION: Final = r"^[0-9]+(\.[0-9]+)?(s|m|h|d|w|秒|分钟|小时|天|周)$"
OFFSET: Final = r"^\+[0-9]+(\.[0-9]+)?(s|m|h|d|w|秒|分钟|小时|天|周)$"
_LENGTH: Final = r"[0-9]+(\.[0-9]+)?(s|m|h|d|w|秒|分钟|小时|天|周)"
WINDOW: Final = rf"^({_LENGTH}|(tumbling|session|daily)\({_LENGTH}\)|day|week|month|quarter|year)$"
DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
REGION: Final = r"^([0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12})$"
KIND: Final = r"^[a-z0-9_]+(\.[a-z0-9_]+)+$"
# What a pattern asks for, in the author's words: keys of the message catalogue.
SHAPES: Final[dict[str, str]] = {
    SLUG: "rules.shape.slug",
    NAME: "rules.shape.name",
    DURATION: "rules.shape.duration",
    OFFSET: "rules.shape.offset",
    WINDOW: "rules.shape.window",
    DATE: "rules.shape.date",
    REGION: "rules.shape.region",
    KIND: "rules.shape.kind",
}

Title = Annotated[str, Meta(min_length=1, max_length=100, description="中文标题")]
Condition = Annotated[str, Meta(min_length=1, description="表达式：指标、字段、参数之间的比较，用 and / or / not 连接")]
Filter = Annotated[str, Meta(min_length=1, description="表达式：选取哪些信号，只能用信号与对象的字段")]
Number = Annotated[str, Meta(min_length=1, description="表达式：取信号的哪个字段，如 value")]
Duration = Annotated[str, Meta(pattern=DURATION, description="时长：30m、24h、7d、30天")]


GroupWord = Literal["object", "parent", "matter", "industry", "region(2)", "region(4)", "region(6)", "region(9)", "region(12)"]


class Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the file; unknown keys are refused."""


class IndicatorDoc(Document, frozen=True, kw_only=True):
    """指标：对选中的信号做一种汇总，或由其他指标算出 (an indicator)."""

    title: Annotated[str, Meta(max_length=100, description="中文名称，缺省为指标名")] = ""
    each: Annotated[tuple[dict[str, Any], ...], Meta(description="模板：每项一个实例，文本中的 <名称> 换成该项的值")] = ()
    count: Annotated[Literal["signals", ""], Meta(description="件数，写作 count: signals")] = ""
    sum: Annotated[str, Meta(description="合计：字段表达式，如 value")] = ""
    mean: Annotated[str, Meta(description="平均：字段表达式")] = ""
    min: Annotated[str, Meta(description="最小：字段表达式")] = ""
    max: Annotated[str, Meta(description="最大：字段表达式")] = ""
    distinct: Annotated[str, Meta(description="不同取值的个数：字段表达式，如 source")] = ""
    last: Annotated[str, Meta(description="最近一次的值：字段表达式")] = ""
    first: Annotated[str, Meta(description="最早一次的值：字段表达式")] = ""
    stddev: Annotated[str, Meta(description="样本标准差：字段表达式")] = ""
    percentile: Annotated[str, Meta(description="百分位数：字段表达式，与 rank 同用")] = ""
    rank: Annotated[float, Meta(gt=0, le=100, description="percentile 的百分位 0–100，如 95")] | None = None
    trend: Annotated[str, Meta(description="趋势（每 per 上升多少）：字段表达式")] = ""
    per: Annotated[Duration | None, Meta(description="trend 的时间单位，缺省 1d")] = None
    since: Annotated[Literal["first", "last", ""], Meta(description="距最早或最近一条信号多久")] = ""
    percentage: Annotated[str, Meta(description="满足条件的信号所占比例：条件表达式")] = ""
    new_value: Annotated[str, Meta(description="最新的值是否从未出现过：字段表达式")] = ""
    change: Annotated[str, Meta(description="最新的值是否与前一个不同：字段表达式")] = ""
    ratio: Annotated[tuple[str, ...], Meta(description="两个同量纲指标之比：[分子, 分母]，除以零为未知")] = ()
    formula: Annotated[str, Meta(description="公式：其他指标、参数与数值的加减乘除")] = ""
    history: Annotated[str, Meta(description="自身历史：填一个指标名，与 periods、take 同用")] = ""
    periods: Annotated[int, Meta(ge=1, le=60, description="history 往前看几个窗口")] | None = None
    take: Annotated[
        Literal["mean", "median", "stddev", "min", "max", "percentile", "first", "last", ""], Meta(description="多个值归为一个数的方法")
    ] = ""
    peers: Annotated[str, Meta(description="同类基线：填一个按对象汇总的指标名，与 by、take 同用")] = ""
    spike: Annotated[str, Meta(description="突增：现值与前一窗口之比，填一个指标名")] = ""
    flatline: Annotated[str, Meta(description="沉寂：现值是否低于 below，填一个指标名")] = ""
    below: Annotated[float, Meta(description="flatline 的界限")] | None = None
    needs: Annotated[int, Meta(ge=0, le=10000, description="至少要有几个值（history 为几个窗口），不足为未知（数据不足）")] = 0
    anomaly: Annotated[str, Meta(description="异常分 0–1：填被监测的指标名")] = ""
    detector: Annotated[Literal["fast", ""], Meta(description="检测器，与 anomaly 同用")] = ""
    where: Annotated[Filter | None, Meta(description="选取哪些信号的表达式")] = None
    window: (
        Annotated[
            str,
            Meta(
                pattern=WINDOW,
                description="窗口：7d 等时长，day / week / month / quarter / year，或 tumbling(6h) / session(30m) / daily(730d)",
            ),
        ]
        | None
    ) = None
    exact: Annotated[bool, Meta(description="true：保留精确时刻；缺省按 24 格滑动")] = False
    as_of: Annotated[Literal["own", "object"], Meta(description="窗口以谁的最新信号为准")] = "own"
    by: Annotated[
        GroupWord | tuple[GroupWord, ...],
        Meta(description="按什么汇总：对象、上级对象、事项、行业、区域，或其中几个的列表，如 [industry, region(6)]"),
    ] = "object"
    unit: Annotated[str, Meta(max_length=20, description="数值单位：金额写 元，其余如 kPa、℃")] = ""


class EffectiveDoc(Document, frozen=True, kw_only=True):
    """生效日期，北京时间，首尾两日都算在内 (when it is in force)."""

    from_: Annotated[str, Meta(pattern=DATE, description="自该日零时起")] | None = field(default=None, name="from")
    to: Annotated[str, Meta(pattern=DATE, description="至该日二十四时止")] | None = None


class LicenceDoc(Document, frozen=True, kw_only=True):
    """测试对象的一张许可 (a licence of an object of a test)."""

    kind: Annotated[str, Meta(min_length=1, description="类别，如 gas")]
    expires: Annotated[str, Meta(pattern=DATE, description="到期日，北京时间当日有效")] | None = None
    state: Annotated[Literal["valid", "suspended", "revoked", "cancelled"], Meta(description="状态")] = "valid"


class CaseObjectDoc(Document, frozen=True, kw_only=True):
    """测试用的监管对象 (an object of a test)."""

    type: Annotated[ObjectType, Meta(description="对象类型")] = "enterprise"
    name: Annotated[str, Meta(description="名称")] = ""
    code: Annotated[str, Meta(description="代码")] = ""
    region: Annotated[str, Meta(pattern=REGION, description="区划代码")] = "610113001000"
    industry: Annotated[str, Meta(description="行业代码")] = ""
    parent: Annotated[str, Meta(description="上级对象的编号")] = ""
    relations: Annotated[dict[str, tuple[str, ...]], Meta(description="关系到有此关系的对象编号，如 uses: [a, b]")] = {}
    licences: Annotated[tuple[LicenceDoc, ...], Meta(description="许可")] = ()
    credit: Annotated[Literal["A", "B", "C", "D", ""], Meta(description="信用等级")] = ""
    labels: Annotated[tuple[str, ...], Meta(description="标签")] = ()
    listed_by: Annotated[tuple[str, ...], Meta(description="列为监管对象的部门")] = ()


class GivenDoc(Document, frozen=True, kw_only=True):
    """测试中的一条或一串信号 (signals of a test)."""

    at: Annotated[str, Meta(pattern=OFFSET, description="距测试起点的时间，如 +5h；起点是星期一零时（北京时间）")]
    source: Annotated[Source, Meta(description="来源类别")]
    kind: Annotated[str, Meta(pattern=KIND, description="信号类型")]
    object: Annotated[str, Meta(min_length=1, description="对象编号，缺省为同一个对象")] = "o"
    matter: Annotated[str, Meta(description="事项或领域")] = ""
    region: Annotated[str, Meta(pattern=REGION, description="区划代码，缺省取对象的")] | None = None
    severity: Annotated[int, Meta(ge=0, le=3, description="严重程度 0–3")] = 0
    value: Annotated[str, Meta(description="数值，如 2.5 或 5万元")] | None = None
    values: Annotated[tuple[str, ...], Meta(max_length=100, description="times 条信号依次循环取的数值")] = ()
    unit: Annotated[str, Meta(description="单位；金额字面量自带 CNY")] = ""
    text: Annotated[str, Meta(description="正文")] = ""
    attrs: Annotated[dict[str, Any], Meta(description="附加字段")] = {}
    times: Annotated[int, Meta(ge=1, le=5000, description="重复几条")] = 1
    every: Annotated[Duration | None, Meta(description="每条间隔，times 大于 1 时必填")] = None
    late: Annotated[Duration | None, Meta(description="晚多久收到")] = None
    id: Annotated[str, Meta(description="信号编号，供 corrects 与 withdraws 引用；times 大于 1 时不写")] = ""
    corrects: Annotated[str, Meta(description="更正同一来源的哪条信号")] = ""
    withdraws: Annotated[str, Meta(description="撤回同一来源的哪条信号")] = ""


class FeedMarkDoc(Document, frozen=True, kw_only=True):
    """测试中一个来源的数据源静默或恢复 (a feed of a test falls silent or comes back)."""

    at: Annotated[str, Meta(pattern=OFFSET, description="距测试起点的时间")]
    silent: Annotated[Source | None, Meta(description="此来源的数据源静默")] = None
    back: Annotated[Source | None, Meta(description="此来源的数据源恢复")] = None


class ExpectDoc(Document, frozen=True, kw_only=True):
    """期望：只写这条规则自己的结果 (what a test expects)."""

    hit_at: Annotated[str, Meta(pattern=OFFSET, description="首次命中的时间，如 +5h")]
    level: Annotated[Literal["blue", "yellow", "orange", "red", ""], Meta(description="命中时的等级")] = ""
    score: Annotated[float, Meta(ge=0, le=100, description="命中时的得分；0 即没有预警")] | None = None
    evidence: Annotated[int, Meta(ge=0, description="命中时的证据条数")] | None = None
    says: Annotated[str, Meta(description="命中时的提示语全文")] = ""


class CaseDoc(Document, frozen=True, kw_only=True):
    """一个测试：给定信号，期望命中或不命中 (a test)."""

    name: Annotated[str, Meta(min_length=1, max_length=100, description="测试名称")]
    given: Annotated[tuple[GivenDoc, ...], Meta(min_length=1, description="按时间给出的信号")]
    expect: Annotated[Literal["none", "blind"] | ExpectDoc, Meta(description="none（不命中）、blind（数据源静默，无法判定）或期望的命中")]
    feeds: Annotated[tuple[FeedMarkDoc, ...], Meta(description="数据源何时静默、何时恢复")] = ()
    objects: Annotated[dict[str, CaseObjectDoc], Meta(description="对象编号到对象")] = {}


class WhenDoc(Document, frozen=True, kw_only=True):
    """条件的两种结构：先后与缺失（first 与 then 或 then_not、within），或 N 选 M（at_least 与 of） (a sequence, or N of M)."""

    first: Annotated[Filter | None, Meta(description="先发生的信号：筛选表达式")] = None
    then: Annotated[Filter | None, Meta(description="其后在 within 之内发生的信号")] = None
    then_not: Annotated[Filter | None, Meta(description="其后在 within 之内没有发生的信号，须写明 source")] = None
    within: Annotated[Duration | None, Meta(description="自 first 起的时限，如 48h")] = None
    at_least: Annotated[int, Meta(ge=1, description="of 中至少几项为真")] | None = None
    of: Annotated[tuple[Annotated[str, Meta(min_length=1)], ...], Meta(description="各项：规则编号，或一个表达式")] = ()


class RecordDoc(Document, frozen=True, kw_only=True):
    """触发规则的真实记录：哪个数据源、映射成哪种信号 (the record that triggers it)."""

    feed: Annotated[str, Meta(pattern=SLUG, description="数据源编号，即映射文件的 feed")]
    kind: Annotated[str, Meta(pattern=KIND, description="映射得出的信号类型")]
    matter: Annotated[str, Meta(pattern=SLUG, description="映射得出的事项，通用类型（处罚、许可、检查、裁判等）才写")] | None = None


class RuleDoc(Document, frozen=True, kw_only=True):
    """规则：条件为真时得分并提示 (a rule)."""

    id: Annotated[str, Meta(pattern=SLUG, max_length=80, description="规则编号，小写字母、数字和连字符，全局唯一")]
    title: Title
    status: Annotated[Literal["draft", "shadow", "active", "deprecated"], Meta(description="状态")]
    when: Annotated[Condition | WhenDoc, Meta(description="条件：一个表达式，或先后与缺失、N 选 M 的结构")]
    points: Annotated[float, Meta(ge=0, le=100, description="得分 0–100；0 表示只记录命中")]
    say: Annotated[str, Meta(min_length=1, max_length=500, description="提示语，{指标} {object.name} 处填入数值")]
    basis: Annotated[tuple[str, ...], Meta(description="法律依据，写到条；启用的规则必填")] = ()
    plan: Annotated[str, Meta(pattern=SLUG, description="预案编号，缺省取规则包的；启用且得分的规则必填")] | None = None
    owner: Annotated[str, Meta(description="责任部门，缺省取规则包的")] = ""
    each: Annotated[tuple[dict[str, Any], ...], Meta(description="模板：每项一个实例，文本中的 <名称> 换成该项的值")] = ()
    renamed_from: Annotated[str, Meta(pattern=SLUG, description="规则的旧编号：改名后沿用其状态与历史")] | None = None
    matter: Annotated[str, Meta(pattern=SLUG, description="事项编号，缺省按规则包的领域")] | None = None
    effective: Annotated[EffectiveDoc | None, Meta(description="生效日期，缺省取规则包的；启用的规则必填")] = None
    record: Annotated[RecordDoc | None, Meta(description="触发本规则的一条真实记录来自哪个数据源、映射成哪种信号")] = None
    at_least: Annotated[Literal["blue", "yellow", "orange", "red", ""], Meta(description="最低等级")] = ""
    for_: Annotated[Duration | None, Meta(description="条件持续为真多久才算命中")] = field(default=None, name="for")
    clear_when: Annotated[Condition | None, Meta(description="一旦为真，直到此表达式为真才解除")] = None
    min_evidence: Annotated[int, Meta(ge=0, le=1000, description="至少几条信号为证，不足不命中")] = 0
    cooldown: Annotated[Duration | None, Meta(description="同一对象两次命中的最短间隔")] = None
    half_life: Annotated[Duration, Meta(description="得分减半的时间")] = "14d"
    family: Annotated[str, Meta(pattern=SLUG, description="同族规则合计不超过 cap 分")] | None = None
    cap: Annotated[float, Meta(gt=0, le=100, description="同族合计上限")] = 100.0
    subject: Annotated[
        Literal["object", "region(2)", "region(4)", "region(6)", "region(9)", "region(12)"], Meta(description="预警针对对象还是区域")
    ] = "object"
    tests: Annotated[tuple[CaseDoc, ...], Meta(description="随文件携带的测试")] = ()


class TransferDoc(Document, frozen=True, kw_only=True):
    """涉嫌犯罪移送线索：只是提示，是否移送由人决定 (a transfer hint)."""

    crime: Annotated[str, Meta(min_length=1, max_length=100, description="涉嫌罪名，如 拒不支付劳动报酬罪")]
    basis: Annotated[tuple[str, ...], Meta(min_length=1, description="刑法条文与移送依据，写到条")]
    to: Annotated[str, Meta(min_length=1, description="移送给谁")] = "公安机关"


class InferenceDoc(Document, frozen=True, kw_only=True):
    """推断：由同一对象的几项发现得出一项结论，可选定预案，可提示移送；不改变得分与等级 (an inference)."""

    id: Annotated[str, Meta(pattern=SLUG, max_length=80, description="推断编号，不能与规则编号相同，全局唯一")]
    title: Title
    status: Annotated[Literal["draft", "shadow", "active", "deprecated"], Meta(description="状态")]
    when: Annotated[str, Meta(min_length=1, description="规则编号、推断编号、level、标签与对象字段，用 and / or / not 连接")]
    say: Annotated[str, Meta(min_length=1, max_length=500, description="结论的说明，原样显示，不填数值")]
    basis: Annotated[tuple[str, ...], Meta(description="法律依据，写到条；启用的推断必填")] = ()
    plan: Annotated[str, Meta(pattern=SLUG, description="选定的预案编号；同一预警取最先写的一条")] | None = None
    transfer: Annotated[TransferDoc | None, Meta(description="涉嫌犯罪移送线索")] = None
    effective: Annotated[EffectiveDoc | None, Meta(description="生效日期，缺省取规则包的；期外不得出结论")] = None
    owner: Annotated[str, Meta(description="责任部门，缺省取规则包的")] = ""
    tests: Annotated[tuple[CaseDoc, ...], Meta(description="随文件携带的测试：hit_at 是首次得出结论的时间")] = ()


class PackDoc(Document, frozen=True, kw_only=True):
    """规则包：一个领域的指标和规则 (a pack)."""

    pack: Annotated[str, Meta(pattern=SLUG, max_length=80, description="规则包编号")]
    title: Title
    sector: Annotated[str, Meta(pattern=SLUG, description="监管领域编号")]
    rules: Annotated[tuple[RuleDoc, ...], Meta(min_length=1, description="规则")]
    owner: Annotated[str, Meta(description="责任部门；启用的规则必填")] = ""
    plan: Annotated[str, Meta(pattern=SLUG, description="各规则缺省的预案编号")] | None = None
    effective: Annotated[EffectiveDoc | None, Meta(description="各规则与推断缺省的生效日期")] = None
    params: Annotated[dict[str, Any], Meta(description="参数：数值（可带单位）、文本或列表，表达式中写作 $名称")] = {}
    indicators: Annotated[dict[str, IndicatorDoc], Meta(description="指标名到指标")] = {}
    inferences: Annotated[tuple[InferenceDoc, ...], Meta(description="推断：由几项发现得出的结论、预案、移送线索")] = ()


class OverrideDoc(Document, frozen=True, kw_only=True):
    """区域参数（`overrides/区划代码.yaml`）：该区域的对象使用另外的参数值 (parameters of a region)."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, description="为什么")]
    owner: Annotated[str, Meta(min_length=1, description="谁决定的")]
    until: Annotated[str, Meta(pattern=DATE, description="有效至该日二十四时（北京时间）")]
    params: Annotated[dict[str, dict[str, Any]], Meta(description="规则包到参数到数值")]


class FilterDoc(Document, frozen=True, kw_only=True):
    """一条调优：满足条件时，所列规则不发声；每一次都记录并计数 (one filter)."""

    id: Annotated[str, Meta(pattern=SLUG, max_length=80, description="编号")]
    rules: Annotated[tuple[str, ...], Meta(min_length=1, description="规则编号，可用 gas-* 这样的前缀")]
    when: Annotated[Filter, Meta(description="表达式：只能用信号与对象的字段")]
    reason: Annotated[str, Meta(min_length=1, max_length=500, description="为什么")]
    owner: Annotated[str, Meta(min_length=1, description="谁决定的")]
    until: Annotated[str, Meta(pattern=DATE, description="有效至该日二十四时（北京时间）")]


class TuningDoc(Document, frozen=True, kw_only=True):
    """调优（`tuning/名称.yaml`） (tuning filters)."""

    filters: Annotated[tuple[FilterDoc, ...], Meta(min_length=1, description="各条调优")]
