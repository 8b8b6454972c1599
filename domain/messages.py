"""The one message catalogue: every sentence that a user may read, Chinese first, English second.

A key is dotted, `area.what`; the values are filled in with `str.format`. Sections are in alphabetical order of their area.
"""

from __future__ import annotations

from typing import Final

LANGUAGES: Final = ("zh-CN", "en")

CATALOGUE: Final[dict[str, tuple[str, str]]] = {
    # intake: why the journal keeps a signal as a rejection
    "intake.conflicting_content": (
        "编号 {id} 已有不同内容（记录 {seq}），该来源未声明允许修订；如确为修订，请在映射中声明 revision 后重放",
        "id {id} has other content already (record {seq}) and its feed declares no revisions; declare revision: in the mapping, replay",
    ),
    "intake.unknown_target": (
        "要更正或撤回的记录 {target} 在该来源中不存在；请先报送原记录再重放",
        "record {target}, to be corrected or withdrawn, was never sent by this feed; send it first, then replay",
    ),
    # level: risk levels (风险等级), an internal grade
    "level.": ("无", "none"),
    "level.blue": ("低", "low"),
    "level.orange": ("较大", "major"),
    "level.red": ("重大", "severe"),
    "level.yellow": ("一般", "general"),
    # model: what detectors say about a score
    "model.bad_time": ("时间无法识别，不评分", "time not readable, no score"),
    "model.fast.high": (
        "数值 {value}，同一时段通常约 {expected}，偏高；按其自身历史约{odds}",
        "value {value}, usually about {expected} at this time of day: high; {odds} of its own history",
    ),
    "model.fast.low": (
        "数值 {value}，同一时段通常约 {expected}，偏低；按其自身历史约{odds}",
        "value {value}, usually about {expected} at this time of day: low; {odds} of its own history",
    ),
    "model.fast.usual": ("在其自身历史的常见范围内", "within the usual range of its own history"),
    "model.forest.driver": ("{name} {value}（同类中位数 {peers}）", "{name} {value} (median of peers {peers})"),
    "model.forest.odd": ("指标组合少见：{drivers}；同类中约{odds}", "rare combination of indicators: {drivers}; {odds} of its peers"),
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
    # rules: what is wrong in a rule file
    "rules.always": ("比较 “{read}” 恒为真，没有作用", "“{read}” is always true and does nothing"),
    "rules.bad_param": (
        "参数 “{read}” 的值应为数值（可带单位）、文本，或同类值的列表",
        "parameter “{read}” must be a number (with or without unit), a text, or a list of one kind",
    ),
    "rules.bad_placeholder": (
        "占位 “{read}” 无法识别；写 {{指标名}}、{{object.name}}、{{$参数}}，花括号本身写作 {{{{ 和 }}}}",
        "cannot read placeholder “{read}”; write {{indicator}}, {{object.name}}, {{$param}}; braces themselves are {{{{ and }}}}",
    ),
    "rules.bucketed_period": (
        "依据中写有期限，指标 “{read}” 却按 24 格滑动；请加 exact: true 或用 day / week / month",
        "the basis names a period but indicator “{read}” uses 24 buckets; add exact: true or use day / week / month",
    ),
    "rules.cannot_aggregate": ("{read} 不能用于{type}", "{read} cannot take a {type}"),
    "rules.chained": ("比较不能连写（“{read}”）；写成 a < x and x < b", "comparisons do not chain (“{read}”); write a < x and x < b"),
    "rules.contains_text": (
        "contains 左边应为文本，“{read}” 是{type}；集合写作 '标签' in object.labels",
        "contains needs a text on its left, “{read}” is a {type}; for sets write 'label' in object.labels",
    ),
    "rules.contains_words": (
        "contains 右边应为一个词或词的列表，如 ['煤气', '燃气']；读到 “{read}”",
        "contains needs a word or a list of words on its right, as ['a', 'b']; read “{read}”",
    ),
    "rules.different_types": (
        "不能比较：“{left}” 是{one}，“{right}” 是{other}",
        "cannot compare: “{left}” is a {one}, “{right}” is a {other}",
    ),
    "rules.different_units": (
        "量纲不同：“{left}” 是{one}，“{right}” 是{other}；金额写 5万元，时长写 7d，比例写 80%",
        "different units: “{left}” is a {one}, “{right}” is a {other}; money is written 5万元, durations 7d, ratios 80%",
    ),
    "rules.duplicate_key": ("键 “{read}” 重复，第 {line} 行已有", "duplicate key “{read}”, first on line {line}"),
    "rules.duplicate_pack": ("规则包编号 “{read}” 与 {other} 重复", "pack “{read}” is also the id of {other}"),
    "rules.duplicate_rule": ("规则编号 “{read}” 与 {other} 重复", "rule id “{read}” is already used at {other}"),
    "rules.empty_expression": ("表达式为空", "empty expression"),
    "rules.empty_list": ("列表为空，什么也选不到", "an empty list selects nothing"),
    "rules.empty_value": ("“{field}” 没有值", "“{field}” has no value"),
    "rules.ends_before": ("止日 {read} 早于起日", "ends on {read}, before it begins"),
    "rules.exact_calendar": (
        "exact 只用于时长窗口；自然日、周、月本来就是精确的",
        "exact is for windows with a length; calendar windows are exact anyway",
    ),
    "rules.expected": ("此处应为 “{expected}”，读到 “{read}”", "expected “{expected}”, read “{read}”"),
    "rules.expression_too_long": ("表达式超过 {limit} 个字符", "the expression is longer than {limit} characters"),
    "rules.family_caps": (
        "同族 “{read}” 的规则须写相同的 cap，已有 {cap}",
        "rules of family “{read}” need the same cap, {cap} was given before",
    ),
    "rules.floor_without_points": (
        "points 为 0 的规则只记录命中，at_least 不起作用",
        "a rule with points: 0 only records its hits, so at_least does nothing",
    ),
    "rules.key_is_text": ("键应为文本", "a key must be a text"),
    "rules.later": ("“{read}” 尚不在本版本内；{instead}", "“{read}” is not part of this version; {instead}"),
    "rules.list_member": ("列表中只能写数值、文本、代码、$参数或 前缀.*", "a list holds numbers, texts, codes, $params or prefix.* only"),
    "rules.missing_key": ("缺少 “{field}”", "missing “{field}”"),
    "rules.money_in_yuan": (
        "金额按元汇总，unit 写 元；“{read}” 只用于字面量",
        "money is summed in yuan, write unit: 元; “{read}” is for literals only",
    ),
    "rules.near": ("；是否想写 “{near}”？", "; did you mean “{near}”?"),
    "rules.nested_too_deep": ("嵌套超过 {limit} 层", "nested deeper than {limit} levels"),
    "rules.never": ("比较 “{read}” 永远不会为真", "“{read}” can never be true"),
    "rules.no_aliases": (
        "不支持 YAML 锚点与别名（& 和 *）；以 & 或 * 开头的文本请加引号",
        "YAML anchors and aliases (& and *) are not allowed; quote a text that begins with & or *",
    ),
    "rules.no_basis": ("启用的规则 “{read}” 必须写 basis（法律依据）", "active rule “{read}” needs its basis"),
    "rules.no_overrides": (
        "区域参数覆盖尚不在本版本内；请改规则包的 params",
        "overrides by region are not part of this version; change the pack's params",
    ),
    "rules.no_owner": (
        "启用的规则 “{read}” 必须有责任部门：在规则或规则包写 owner",
        "active rule “{read}” needs an owner, in the rule or its pack",
    ),
    "rules.no_plan": ("启用的规则 “{read}” 没有写 plan（预案）", "active rule “{read}” has no plan"),
    "rules.no_sequences": (
        "先后、缺失与 N 选 M 条件（first / then / then_not / at_least … of）尚不在本版本内；when 写一个表达式",
        "sequences, absence and N-of-M (first, then, then_not, at_least … of) are not part of this version; write one expression",
    ),
    "rules.no_such_unit": ("“{read}” 没有意义：{one}与{other}不能这样计算", "“{read}” has no meaning: a {one} with a {other}"),
    "rules.no_tags": ("不支持 YAML 标签 “{read}”", "YAML tags are not allowed: “{read}”"),
    "rules.no_tests": ("规则 “{read}” 没有 tests", "rule “{read}” has no tests"),
    "rules.no_unit": (
        "指标 “{read}” 汇总 value 却没有写 unit，不同单位会混在一起；金额写 unit: 元",
        "indicator “{read}” adds up value without a unit, so units may mix; for money write unit: 元",
    ),
    "rules.none": ("（无）", "(none)"),
    "rules.not_a_condition": (
        "“{read}” 是{type}，不是条件；请写成比较，如 {read} >= 1",
        "“{read}” is a {type}, no condition; compare it, as {read} >= 1",
    ),
    "rules.not_a_number": ("“{read}” 是{type}，不能计算", "“{read}” is a {type} and cannot be calculated with"),
    "rules.not_a_pack": (
        "文件应是一个规则包：以 pack:、title:、sector:、rules: 为键的映射",
        "the file must be a pack: a mapping with pack:, title:, sector:, rules:",
    ),
    "rules.not_a_set": ("in 右边应为列表、集合或 前缀.*，读到 “{read}”", "in needs a list, a set or prefix.* on its right, read “{read}”"),
    "rules.not_before": ("not 写在整个比较之前：not source in [penalty]", "not goes before the whole comparison: not source in [penalty]"),
    "rules.not_legal": ("“{field}” 不能取 “{read}”；可取：{legal}{near}", "“{field}” cannot be “{read}”; legal: {legal}{near}"),
    "rules.not_ordered": ("“{read}” 是{type}，不能用 {operator} 比大小", "“{read}” is a {type} and has no order for {operator}"),
    "rules.not_shaped": ("“{field}” 的值 “{read}” 不合格式：{shape}", "“{field}” cannot be “{read}”: {shape}"),
    "rules.not_with": (
        "“{read}” 不能与 {other} 同用：异常分沿用被监测指标的",
        "“{read}” does not go with {other}: a score takes over its input's",
    ),
    "rules.object_of_area": (
        "针对区域的规则不能读 “{read}”；区域在提示语中写作 {{area}}",
        "a rule about an area cannot read “{read}”; a message names the area by {{area}}",
    ),
    "rules.one_aggregate": (
        "指标 “{read}” 须恰好写一种汇总，现有 {number} 种；可写：{legal}",
        "indicator “{read}” needs exactly one aggregate, it has {number}; legal: {legal}",
    ),
    "rules.one_document": ("一个文件只能有一个 YAML 文档", "one YAML document per file"),
    "rules.one_sided_tests": (
        "规则 “{read}” 的测试应既有命中的、也有不命中的（差一点的）",
        "the tests of rule “{read}” should have both a hit and a near miss",
    ),
    "rules.only_after_in": ("“{read}” 只能写在 in 的右边", "“{read}” can only stand to the right of in"),
    "rules.only_with": ("“{read}” 只与 {other} 同用", "“{read}” only goes with {other}"),
    "rules.open_text": ("引号没有闭合", "the quotation is not closed"),
    "rules.other_area": ("指标 “{read}” 不是按 {by} 汇总的，不能用于按 {by} 的规则", "indicator “{read}” is not by {by}, as the rule is"),
    "rules.out_of_range": ("“{field}” 的值 {read} 超出范围 {low}–{high}", "“{field}” is {read}, outside {low}-{high}"),
    "rules.prefix_of_text": ("前缀只用于文本，“{read}” 是{type}", "a prefix is for texts, “{read}” is a {type}"),
    "rules.reserved": (
        "指标不能叫 “{read}”：它是字段、函数或关键词",
        "an indicator cannot be named “{read}”: that is a field, a function or a keyword",
    ),
    "rules.set_compared": ("“{read}” 是集合；写成 '值' in {read}", "“{read}” is a set; write 'value' in {read}"),
    "rules.shape.date": ("日期，如 2026-01-01", "a date, as 2026-01-01"),
    "rules.shape.duration": ("时长，如 30m、24h、7d、30天", "a duration, as 30m, 24h, 7d"),
    "rules.shape.kind": ("小写点分类型，如 gas.leak", "a dotted kind in lower case, as gas.leak"),
    "rules.shape.name": (
        "小写字母、数字、下划线或汉字，不以数字开头",
        "lower-case letters, digits, _ or Chinese characters, not beginning with a digit",
    ),
    "rules.shape.offset": ("距测试起点的时间，如 +5h", "time since the start of the test, as +5h"),
    "rules.shape.region": ("2、4、6、9 或 12 位区划代码", "a region code of 2, 4, 6, 9 or 12 digits"),
    "rules.shape.slug": ("小写字母、数字，以连字符相连，如 gas-leak", "lower-case letters and digits joined by hyphens, as gas-leak"),
    "rules.shape.window": ("时长（如 7d）或 day、week、month", "a length, as 7d, or day, week, month"),
    "rules.shorter_than_delay": (
        "窗口短于来源 {source} 申报的时延 {delay}，数据到达时往往已出窗口",
        "the window is shorter than the declared delay {delay} of source {source}",
    ),
    "rules.too_deep": ("嵌套或连写超过 {limit} 层", "nested or chained more than {limit} deep"),
    "rules.too_large": ("文件超过 {limit} 字节", "the file is larger than {limit} bytes"),
    "rules.too_long": ("“{field}” 超过 {limit} 个字符", "“{field}” is longer than {limit} characters"),
    "rules.type.any": ("任意值", "value of any type"),
    "rules.type.bool": ("真假值", "truth value"),
    "rules.type.count": ("计数", "count"),
    "rules.type.duration": ("时长", "duration"),
    "rules.type.money": ("金额", "sum of money"),
    "rules.type.number": ("数值", "number"),
    "rules.type.ratio": ("比例", "ratio"),
    "rules.type.set": ("集合", "set"),
    "rules.type.text": ("文本", "text"),
    "rules.type.time": ("时刻", "time"),
    "rules.unexpected": ("此处不能写 “{read}”", "unexpected “{read}”"),
    "rules.unexpected_end": ("表达式没有写完", "the expression ends too early"),
    "rules.unknown_field": (
        "未知的字段 “{read}”；筛选条件只能用信号与对象的字段{near}",
        "unknown field “{read}”; a filter reads fields of the signal and its object only{near}",
    ),
    "rules.unknown_function": ("未知的函数 “{read}”；可用：{legal}{near}", "unknown function “{read}”; legal: {legal}{near}"),
    "rules.unknown_input": (
        "“{read}” 不是本规则包中数值型的指标；可用：{legal}{near}",
        "“{read}” is no numeric indicator of this pack; legal: {legal}{near}",
    ),
    "rules.unknown_key": ("未知的键 “{read}”；可用：{legal}{near}", "unknown key “{read}”; legal: {legal}{near}"),
    "rules.unknown_kind": (
        "信号类型 “{read}” 不在通用词表中，可能选不到任何信号{near}",
        "signal kind “{read}” is in no shipped mapping and may select nothing{near}",
    ),
    "rules.unknown_name": ("未知的指标或字段 “{read}”{near}", "unknown indicator or field “{read}”{near}"),
    "rules.unknown_param": ("未知的参数 “${read}”；可用：{legal}{near}", "unknown parameter “${read}”; legal: {legal}{near}"),
    "rules.unknown_unit": (
        "未知的单位 “{read}”；可用：{legal}；以数字开头的代码请加引号",
        "unknown unit “{read}”; legal: {legal}; quote a code that begins with a digit",
    ),
    "rules.unreadable": ("无法识别的字符 “{read}”", "cannot read the character “{read}”"),
    "rules.unused": ("指标 “{read}” 没有规则用到", "no rule uses indicator “{read}”"),
    "rules.value_or_values": ("value 与 values 只写其一", "give value or values, not both"),
    "rules.want_integer": ("“{field}” 应为整数，读到 “{read}”", "“{field}” must be a whole number, read “{read}”"),
    "rules.want_list": ("“{field}” 应为列表", "“{field}” must be a list"),
    "rules.want_mapping": ("“{field}” 应为映射（键: 值）", "“{field}” must be a mapping (key: value)"),
    "rules.want_number": ("“{field}” 应为数值，读到 “{read}”", "“{field}” must be a number, read “{read}”"),
    "rules.want_scalar": ("“{field}” 应为单个值，不是列表或映射", "“{field}” must be a single value, not a list or a mapping"),
    "rules.write_instead": ("把 “{read}” 写成 {instead}", "write {instead} instead of “{read}”"),
    "rules.wrong_argument": ("函数 {read} 不接受{type}", "function {read} takes no {type}"),
    "rules.yaml": (
        "不是有效的 YAML：{reason}；含有 [ ] , : 的表达式在花括号内要加引号",
        "not valid YAML: {reason}; inside braces quote an expression that has [ ] , or :",
    ),
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
