"""The one message catalogue: every sentence that a user may read, Chinese first, English second.

A key is dotted, `area.what`; the values are filled in with `str.format`. Sections are in alphabetical order of their area.
"""

from __future__ import annotations

from typing import Final

LANGUAGES: Final = ("zh-CN", "en")

CATALOGUE: Final[dict[str, tuple[str, str]]] = {
    # act: rungs of the ladder
    "act.report": ("报送", "report"),
    "act.supervise": ("督办", "supervise"),
    "act.urge": ("催办", "urge"),
    # action: what may be done to a task
    "action.accept": ("审核通过", "accept"),
    "action.approve_extension": ("同意延期", "approve the extension"),
    "action.assess": ("综合研判", "joint assessment"),
    "action.close": ("办结", "close"),
    "action.deliver": ("送达", "deliver"),
    "action.designate": ("指定办理", "designate"),
    "action.feed_back": ("反馈", "feed back"),
    "action.handle": ("处置", "handle"),
    "action.pause": ("中止计时", "pause"),
    "action.receive": ("签收", "receive"),
    "action.refuse_extension": ("不同意延期", "refuse the extension"),
    "action.reopen": ("重新办理", "reopen"),
    "action.report": ("报告进展", "report progress"),
    "action.request_extension": ("申请延期", "request an extension"),
    "action.resume": ("恢复计时", "resume"),
    "action.return": ("退回", "return"),
    "action.send_back": ("退回重办", "send back"),
    "action.supervise": ("督办", "supervise"),
    "action.transfer": ("转办", "transfer"),
    "action.verify": ("核查", "verify"),
    "action.waive": ("免予反馈", "waive"),
    "action.withdraw": ("撤回", "withdraw"),
    # case: what everybody who was told of a warning is told
    "case.closed": ("预警已办结：{verdict}", "the warning is closed: {verdict}"),
    "case.level_raised": (
        "风险等级由{before}升为{level}，未到阶段按新等级执行，在办时限只缩短不延长",
        "risk level raised from {before} to {level}; limits only get shorter",
    ),
    "case.no_quorum": (
        "会商未达法定人数：须有牵头单位 {lead} 和至少 {needed} 个配合单位到会，实到 {there} 个",
        "no quorum: the lead {lead} and at least {needed} cooperating units have to attend, {there} did",
    ),
    "case.recomputed": ("节假日安排已公布，{clock}时限改为 {due}", "holidays announced: {clock} is now due {due}"),
    "case.reopen_too_late": (
        "自动重新办理的期限已过（{last}），应由值班员或审计员发起",
        "too late to reopen by itself ({last}); a duty officer or auditor may",
    ),
    # clock: limits by stage
    "clock.accept": ("审核", "review"),
    "clock.designate": ("指定办理", "designation"),
    "clock.feedback": ("反馈", "feedback"),
    "clock.first_report": ("初报", "first report"),
    "clock.handle": ("处置", "handling"),
    "clock.joint": ("综合研判", "joint assessment"),
    "clock.pause": ("中止", "pause"),
    "clock.push": ("推送", "push"),
    "clock.receive": ("签收", "reception"),
    "clock.total": ("全程", "total"),
    "clock.verify": ("核查", "verification"),
    # form: what is wrong with an answer
    "form.bad_choice": ("{title}（{field}）不在可选范围", "{field} is not one of the choices"),
    "form.bad_list": ("{title}（{field}）应为文字列表", "{field} must be a list of texts"),
    "form.bad_number": ("{title}（{field}）应为数字", "{field} must be a number"),
    "form.bad_text": ("{title}（{field}）应为文字", "{field} must be a text"),
    "form.missing": ("缺少{title}（{field}）", "{field} is missing"),
    "form.too_long": ("{title}（{field}）超过{limit}字", "{field} is longer than {limit} characters"),
    "form.unknown": ("表单没有 {field} 这一项；可填：{legal}", "the form has no field {field}; legal: {legal}"),
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
    # policy: which one holds and why
    "policy.any": ("通用", "general"),
    "policy.chosen": ("适用时限政策 {policy}（{named}）", "policy {policy} applies ({named})"),
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
    # route: who got a warning and why
    "route.cooperating": ("配合单位：{unit} → {department}", "cooperating unit {unit}: {department}"),
    "route.item": ("事项 {item} {title}（清单第{version}版）", "item {item} {title} (catalogue version {version})"),
    "route.lead": ("牵头单位：{unit} → {department}（依据：{basis}）", "lead unit {unit}: {department} (basis: {basis})"),
    "route.no_cooperating": (
        "通讯录中没有覆盖 {region} 的配合单位“{unit}”，请值班员补充",
        "no unit {unit!r} covers {region} in the directory",
    ),
    "route.no_department": (
        "通讯录中没有唯一对应“{unit}”（层级 {tier}、区域 {region}）的部门，转值班台",
        "no single department of the directory is {unit!r} (tier {tier}, region {region}); to the duty desk",
    ),
    "route.no_item": (
        "事项清单中没有对应的事项（事项 {matter}、领域 {sector}、区域 {region}），转值班台",
        "the catalogue has no item for matter {matter!r}, sector {sector!r}, region {region!r}; to the duty desk",
    ),
    "route.no_policy": ("没有适用于等级 {level} 的时限政策", "no policy fits level {level!r}"),
    "route.no_unrouted_policy": (
        "没有适用于未分派预警（等级 {level}）的时限政策；请在政策文件中加一条 match: {{unrouted: true}}",
        "no policy for unrouted warnings (level {level!r}); add one with match: {{unrouted: true}}",
    ),
    "route.precedent": ("按改派裁定先例：{department}（{by}，{day}）", "by precedent: {department} ({by}, {day})"),
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
    # stage: where a task or a case stands
    "stage.accepted": ("已审核", "accepted"),
    "stage.closed": ("已办结", "closed"),
    "stage.fed_back": ("已反馈", "fed back"),
    "stage.generated": ("已生成", "generated"),
    "stage.handled": ("已处置", "handled"),
    "stage.open": ("办理中", "open"),
    "stage.paused": ("中止计时", "paused"),
    "stage.pushed": ("已推送", "pushed"),
    "stage.received": ("已签收", "received"),
    "stage.returned": ("已退回", "returned"),
    "stage.transferred": ("已转办", "transferred"),
    "stage.unrouted": ("待指定", "unrouted"),
    "stage.verified": ("已核查", "verified"),
    "stage.withdrawn": ("已撤回", "withdrawn"),
    # task: what a department is told, and why an action was refused
    "task.accepted": ("反馈已审核通过", "the feedback is accepted"),
    "task.bad_pause_reason": ("中止事由 {reason!r} 不在允许范围；可用：{legal}", "no pause for {reason!r}; legal: {legal}"),
    "task.bad_return_reason": ("退回理由 {reason!r} 不在允许范围；可用：{legal}", "no return for {reason!r}; legal: {legal}"),
    "task.by_precedent": ("退回后按改派裁定先例分派（{by}）", "assigned by precedent after a return ({by})"),
    "task.changed": (
        "{id} 已被他人更新（您读到第{expected}版，现为第{current}版），请重新查看后再办",
        "{id} changed: you read version {expected}, it is {current}; read again",
    ),
    "task.cooperating": ("作为配合单位核查：{title}", "as a cooperating unit: {title}"),
    "task.cooperating_open": ("配合单位尚未办结，不能审核牵头任务：{waiting}", "cooperating tasks are open: {waiting}"),
    "task.designated": ("已指定 {department} 办理：{reason}", "{department} was designated: {reason}"),
    "task.designated_stays": ("该任务经指定办理，不得再退回；可办：{legal}", "a designated task cannot be returned; legal: {legal}"),
    "task.extended": ("同意延期，时限改为 {due}。{reason}", "extended to {due}. {reason}"),
    "task.extension_lapsed": ("申请延期的阶段已过，无需审批", "the stage that the extension was asked for is over"),
    "task.extension_too_late": ("延期须在到期前申请，该时限已于 {due} 到期", "an extension is asked before the due time, which was {due}"),
    "task.joint": ("需组织跨部门综合研判（到会要求：{quorum}）", "a joint assessment is to be held (quorum: {quorum})"),
    "task.key_reused": ("幂等键 {key} 已用于另一内容，请换一个键", "the key {key} was used with other content; take a new one"),
    "task.lead": ("作为牵头单位办理：{title}", "as the lead unit: {title}"),
    "task.merged": ("改为牵头单位，配合任务并入", "became the lead; its cooperating task is merged"),
    "task.no_basis": ("退回须写明依据（basis）", "a return cites its basis (basis)"),
    "task.no_signature": ("{level}预警办结须有负责人签字（{field}）", "closing a {level} warning needs a leader's signature ({field})"),
    "task.not_found": ("没有编号为 {id} 的任务", "no task {id}"),
    "task.not_in_stage": ("{stage}的任务不能执行 {action}；可办：{legal}", "{action} is not possible at this stage; legal: {legal}"),
    "task.not_same_line": (
        "{unit} 不是 {department} 的下级或同级单位，不能转办；职责不符请退回",
        "{unit} is no lower or sibling unit of {department}; return the task instead",
    ),
    "task.not_your_role": (
        "{action} 须由 {needed} 办理，您是 {role}；可办：{legal}",
        "{action} is for {needed}, you are {role}; legal: {legal}",
    ),
    "task.nothing_legal": ("无", "none"),
    "task.own_review": ("审核人不能是承办人（{actor}）", "whoever handled it cannot review it ({actor})"),
    "task.pause_over": ("中止期限届满，自动恢复计时", "the longest pause is over"),
    "task.paused": ("中止计时：{reason}", "paused: {reason}"),
    "task.resumed": ("恢复计时，时限为 {due}", "resumed, due {due}"),
    "task.return_too_late": (
        "退回须在 {limit} 内提出，已于 {last} 截止；请先处置",
        "a return is due within {limit}, which ended {last}; act first",
    ),
    "task.returned": ("{department} 退回（{reason}）：{basis}", "{department} returned it ({reason}): {basis}"),
    "task.to_review": ("{department} 的结果待审核", "the result of {department} is to be reviewed"),
    "task.transferred": ("由 {department} 转办", "transferred from {department}"),
    "task.unknown_department": ("通讯录中没有部门 {unit!r}", "no department {unit!r} in the directory"),
    # timer: what a due timer says
    "timer.due": ("{clock}超过时限 {due}", "{clock} passed its limit {due}"),
    "timer.early": ("计时器 {id} 到 {due} 才到期，现在是 {now}", "timer {id} is due {due}, now is {now}"),
    "timer.late": ("（因系统中断迟发）", " (late after an outage)"),
    "timer.no_answer": ("督办 {act} 至 {due} 未答复", "no answer to {act} by {due}"),
    "timer.no_ladder": ("政策 {policy} 未设催办督办阶梯，请值班员处理", "policy {policy} has no ladder; the duty officer decides"),
    "timer.reminder": ("{clock}时限已过{share}%，到期 {due}", "{share} % of the {clock} limit has passed, due {due}"),
    "timer.revisit": ("到期回访：{department}", "revisit: {department}"),
    "timer.rung": ("{department} {clock}逾期，时限为 {due}", "{department} missed {clock}, due {due}"),
    # verdict: how a warning ended
    "verdict.": ("未注明", "not stated"),
    "verdict.duplicate": ("重复", "duplicate"),
    "verdict.handled": ("属实已处置", "confirmed and handled"),
    "verdict.in_procedure": ("属实已立案或移送", "confirmed, in a statutory procedure"),
    "verdict.partly": ("部分属实", "partly confirmed"),
    "verdict.tracking": ("属实整改中", "confirmed, being mended"),
    "verdict.unfounded": ("不属实", "unfounded"),
    "verdict.unverifiable": ("无法核实", "unverifiable"),
    "verdict.withdrawn": ("已撤回", "withdrawn"),
}


def text(key: str, /, language: str = "zh-CN", **values: object) -> str:
    """Return the message of `key` in `language` with `values` filled in.

    >>> text("level.red"), text("level.red", "en")
    ('重大', 'severe')

    Raises:
        KeyError: the key is not in the catalogue; a test keeps all keys that the code names in it.
    """
    chinese, english = CATALOGUE[key]
    return (english if language == "en" else chinese).format(**values)
