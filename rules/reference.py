"""The reference page of the rule language (docs/rules-reference.md), made from the vocabulary and the document structs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from domain.kinds import KINDS, SECTORS
from rules import examples
from rules.documents import (
    CaseDoc,
    CaseObjectDoc,
    Document,
    EffectiveDoc,
    ExpectDoc,
    FeedMarkDoc,
    FilterDoc,
    GivenDoc,
    IndicatorDoc,
    InferenceDoc,
    LicenceDoc,
    OverrideDoc,
    PackDoc,
    RecordDoc,
    RuleDoc,
    TransferDoc,
    TuningDoc,
    WhenDoc,
)
from rules.schema import PLACE, schema
from rules.vocabulary import (
    AGGREGATES,
    ALIASES,
    ANOMALY,
    ANOMALY_TITLE,
    AS_OF,
    ATTRS_TITLE,
    BASELINES,
    CALENDAR_WINDOWS,
    DERIVED,
    DETECTORS,
    FAMILIES,
    FIELDS,
    FUNCTIONS,
    GROUPS,
    LATER,
    LEVELS,
    OPERATORS,
    STATUSES,
    TAKES,
    TYPE_TITLES,
    UNITS,
    WINDOWS,
    Text2,
)

_SECTIONS: Final[tuple[tuple[type[Document], str], ...]] = (
    (PackDoc, "规则包 Pack"),
    (IndicatorDoc, "指标 Indicator（`indicators` 下，以指标名为键）"),
    (RuleDoc, "规则 Rule（`rules` 的每一项）"),
    (WhenDoc, "条件结构 When（`when` 不是一个表达式时）"),
    (InferenceDoc, "推断 Inference（`inferences` 的每一项）"),
    (TransferDoc, "移送线索 Transfer（推断的 `transfer`）"),
    (EffectiveDoc, "生效日期 Effective（`effective`）"),
    (OverrideDoc, "区域参数 Override（`overrides/区划代码.yaml`）"),
    (TuningDoc, "调优 Tuning（`tuning/名称.yaml`）"),
    (FilterDoc, "一条调优 Filter（`filters` 的每一项）"),
    (RecordDoc, "触发记录 Record（`record`）"),
    (CaseDoc, "测试 Test（`tests` 的每一项）"),
    (GivenDoc, "给定信号 Given（`given` 的每一项）"),
    (FeedMarkDoc, "数据源标记 Feed mark（测试的 `feeds` 的每一项）"),
    (CaseObjectDoc, "测试对象 Object（`objects` 下，以编号为键）"),
    (LicenceDoc, "测试对象的许可 Licence（`licences` 的每一项）"),
    (ExpectDoc, "期望 Expect（`expect`）"),
)

_INTRODUCTION: Final = """# 规则语言参考 Rule language reference

本页由程序生成：`rules/reference.py` 取自检查器所用的同一组词表，请勿手改。
This page is generated from the tables that the checker uses; do not edit it by hand.

一个文件是一个规则包：指标把信号汇总成数，规则把指标、字段和参数比较成条件。编辑器可加 `fengsui rules schema` 输出的 JSON Schema。
初次写规则，先看[写第一条规则](first-rule.zh-CN.md) / to begin with: [write your first rule](first-rule.md)。
只用 YAML 的一个子集：一个文件一个文档，没有锚点、别名和标签，键不重复，文件不超过 1 MB。
标量按字段类型读取，`title: 2026` 是文本，`no` 不是假。
花括号内的表达式若含 `[ ] , :`，要加引号。

## 含义 Meaning

- **未知**：从未收到、没有填写、空文本、除以零，都是未知（null）。
  与未知比较得未知；`and` 有一边为假即为假，`or` 有一边为真即为真，`not` 未知仍是未知。
  规则只在条件为真时命中；`has(x)` 问有没有值。
- **量纲**：计数、金额、时长、比例不能混比；不带单位的数可与计数、比例、数值相比。金额按元计，`5万元` 等于 `50000元`；一天按 24 小时计。
- **比较文本**：`==` `!=` `in` 右边不是字段也不是指标的词就是代码，
  `source == penalty`、`kind in [gas.leak, gas.pressure]`、`kind in gas.*`、`region == 610113`；
  其他文本加引号。空格分开的 `-` 才是减号。
- **窗口**：以事件时间计。时长窗口缺省切成 24 格滑动（7d 即 7 小时一格），`exact: true` 保留精确时刻；
  `day` `week` `month` `quarter` `year` 是北京时间的自然日、周、月、季、年。除 `last` 和 `since` 外都要写窗口；
  它们不写时每个对象至多保留 1000 条信号（`since: first` 留最早的，其余留最近的），撤回超过此数才会变为未知。
  `tumbling(6h)` 是首尾相接的固定时段，`session(30m)` 是间隔不满 30 分钟的最近一串。
- **一至三年的窗口**：`daily(730d)` 以自然日计，精度为一天；近 100 天的信号逐条保留，可以更正和撤回，
  更早的只留每日汇总，不能再撤回，落在那里的更正也不再计入。`rules check` 会说明哪些汇总不能这样保留。
- **按什么汇总**：`by` 可写对象、上级对象、事项、行业、区域，或几项的列表，如 `[industry, region(6)]`；
  信号或对象没有其中一项的，不计入任何组。对象以后换了行业或区域，已计入的留在原组。
- **由其他指标算出**：`ratio: [a, b]` 与 `formula: a - b * 2` 在读取时计算，不占状态；量纲随之推出。
- **与自身历史相比**：一个窗口的“前一窗口”在它开始之前一刻结束。首条信号之后开始的窗口才算历史；
  没有信号的窗口，件数与合计为 0，平均等为未知。历史不足即为未知。
- **与同类相比**：`peers` 每日 3 时（北京时间）按登记对象更新，两次之间不变，重放与多分区的集群结果相同。
- **数据不足**：写了 `needs` 的指标，值不够时是未知，不是零；测试失败时和 `rules why-not` 都会说明各值的由来。
- **命中**：条件在一条信号上由不真变真即命中；`cooldown` 限制同一对象重复命中；
  `points` 计分并按 `half_life` 减半，同 `family` 合计不超过 `cap`；`at_least` 是等级下限；`points: 0` 只记录命中。
- **先后与缺失**：`when: {first: …, then_not: …, within: 48h}`，两处都是筛选表达式，说的是同一对象（或区域）的信号。
  自 first 的发生时刻起满 within 即为过时；then_not 要等到 within 加该来源允许的迟到时长过后才判定，
  届时来源的数据源静默则为“无法判定”（blind），不是命中，也不是没事。
  判定之后才收到、却在时限内发生的信号会撤回判定；更晚的信号解除规则，不撤回预警。
- **N 选 M**：`when: {at_least: 2, of: [规则编号, "表达式", …]}`；引用的规则为真即算一项，证据一并计入；
  不得成环，启用的规则不能引用试运行或草稿的规则。
- **持续与回差**：`for: 30m` 要求条件持续为真 30 分钟才命中；
  `clear_when` 使规则一旦为真就保持到它为真，更正和撤回也只能由它解除；`min_evidence` 要求至少几条信号为证。
- **名单**：`lists/名称.txt` 一行一项，`#` 后为备注；表达式写 `object.code in @名称`。名单是规则集的一部分，改动即新版本。
- **区域参数**：`overrides/610113.yaml` 给出该区域对象所用的参数值，须写 reason、owner、until；区划代码长的优先，到期自动失效。
- **文件内的测试**：按规则包自己的参数运行，区域参数与调优都不影响测试。
- **调优**：`tuning/名称.yaml` 的每条 filter 在条件满足时让所列规则不发声：不得分、不预警，每次命中照记并计数，须写 reason、owner、until。
- **被调优留住的命中**：一直留住，同一对象的其他线索不会使它发声；规则由不成立再变为成立、且不在调优之内，或调优到期，才重新计分。
- **模板**：规则或指标写 `each: [{name: a, limit: 5}, …]`，其余文本中的 `<name>` `<limit>` 逐项替换，写出一条条普通规则。
- **元数据**：启用的规则必须有 basis、owner、生效日期 effective.from，得分的还要有 plan；
  owner、plan、effective 可写在规则包。改编号时写 `renamed_from`，状态与历史随之沿用。
- **区域规则**：`subject: region(9)` 的规则针对街道，只能用同样 `by: region(9)` 的指标，不能读 `object.*`，提示语中用 `{area}`。
- **提示语**：`{指标}` `{object.name}` `{value}` `{$参数}`；金额和时长自带单位；未知显示为“未知”；花括号写作 `{{` `}}`。
- **推断**：`inferences` 由同一对象的几项发现得出一项结论：
  `when: gas-leak-with-sensor and not gas-failed-check and (level >= orange or '学校' in object.labels)`。
  可写规则编号（其得分尚未衰减到零即为成立）、推断编号（已得出）、本规则包领域的 `level`、
  对象的标签、类型、信用等级、行业；没有的即为不成立。
  推断不比较数值，所以没有参数：区域参数改的是它所依据的规则
  (inferences compare no numbers: what a region's parameters change are the rules they rest on)。
  `plan` 选定预案：同一预警取最先写的一条，没有则取得分最高的规则的预案；`transfer` 提示涉嫌犯罪移送，是否移送由人决定。
  结论只显示在它所依据的发现所在的预警上，写明依据哪些发现；不改变得分与等级。不得成环。
- **测试**：只跑本条规则；时间从星期一零时（北京时间）起算；没有写 `object` 的信号属于同一个对象。
"""


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _words(title: str, words: dict[str, Text2]) -> str:
    return f"## {title}\n\n" + _table(("写法", "中文", "English"), ((f"`{word}`", zh, en) for word, (zh, en) in words.items()))


def _legal(schema: dict[str, Any]) -> str:
    parts = [f"`{word}`" for word in schema.get("enum", ())]
    if "minimum" in schema or "exclusiveMinimum" in schema:
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = f"–{schema['maximum']:g}" if "maximum" in schema else " 以上"
        parts.append(f"{'>' if 'exclusiveMinimum' in schema else ''}{low:g}{high}")
    return " ".join(parts)


def _keys(struct: type[Document], definitions: dict[str, Any]) -> str:
    properties = definitions[struct.__name__]["properties"]
    required = definitions[struct.__name__].get("required", [])
    rows = (
        (f"`{field.encode_name}`", "是" if field.encode_name in required else "", _describe(properties[field.encode_name]))
        for field in msgspec.structs.fields(struct)
    )
    return _table(("键", "必填", "说明"), rows)


def _describe(schema: dict[str, Any]) -> str:
    choices = schema.get("anyOf", [])
    legal = _legal(choices[0] if choices[1:] == [PLACE] else schema)  # that a template may have a place there goes without saying
    default = schema.get("default")
    said = str(schema.get("description", ""))
    if legal:
        said += f"：{legal}"
    if isinstance(default, bool):
        return said + f"；缺省 `{str(default).lower()}`"
    return said + f"；缺省 `{default}`" if isinstance(default, str | int | float) else said


def reference() -> str:
    """Return the page as Markdown; `fengsui rules reference` prints it, and docs/rules-reference.md holds it."""
    definitions = schema()["$defs"]
    aggregates = {name: word.title for name, word in AGGREGATES.items()} | {ANOMALY: ANOMALY_TITLE}
    functions = {f"{name}(x)": function.title for name, function in FUNCTIONS.items()}
    units = {f"5{name}": unit.title for name, unit in UNITS.items()}
    fields = [(f"`{name}`", TYPE_TITLES[known.type][0], known.title[0], _values(known.legal)) for name, known in FIELDS.items()]
    fields += [(f"`{name}名称`", TYPE_TITLES[known.type][0], known.title[0], _values(known.legal)) for name, known in FAMILIES.items()]
    aliases = [(f"`{chinese}`", f"`{name}`") for chinese, name in ALIASES.items()]
    fields.append(("`attrs.名称`", TYPE_TITLES["any"][0], ATTRS_TITLE[0], ""))
    parts = [_INTRODUCTION]
    parts += [f"## {title}\n\n{_keys(struct, definitions)}" for struct, title in _SECTIONS]
    parts += [
        _words("汇总 Aggregates", aggregates),
        _words("检测器 Detectors", DETECTORS),
        _words("自然窗口 Calendar windows", CALENDAR_WINDOWS),
        _words("其他窗口 Other windows", {f"{word}(…)": title for word, title in WINDOWS.items()}),
        _words("窗口基准 as_of", AS_OF),
        _words("与自身历史相比 Baselines", BASELINES),
        _words("归为一个数 take", TAKES),
        _words("由其他指标算出 Made of other indicators", DERIVED),
        _words("按什么汇总 by（subject 只能写对象和区域）", GROUPS),
        _words("运算 Operators", OPERATORS),
        _words("函数 Functions", functions),
        _words("单位 Units", units),
        "## 字段 Fields\n\n" + _table(("字段", "类型", "含义", "可取值"), fields),
        "## 字段的中文名 Chinese names of fields\n\n" + _table(("中文名", "字段"), aliases),
        _words("信号类型 Kinds（随附映射所产生的；自有映射可以另写）", KINDS),
        _words("监管领域 Sectors（随附的；事项清单可以另有）", SECTORS),
        _words("状态 Statuses", STATUSES),
        _words("等级 Levels", LEVELS),
        _words("别处的写法，这里怎么写 Words of other tools (ElastAlert 2 and others)", LATER),
        examples.page(),
    ]
    return "\n".join(parts)


def _values(legal: tuple[str, ...]) -> str:
    return " ".join(f"`{word}`" for word in legal)
