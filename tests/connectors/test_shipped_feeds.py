"""Every shipped mapping, on five files that it was not written from: GB18030, other order, other codes, 万元, an empty optional column."""

# ruff: noqa: E501  # a record stands on as few lines as its sender's would

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from domain.kinds import KINDS, SECTORS
from domain.signals import Signal
from tests.connectors.senders import FEEDS, as_csv, as_json, as_ndjson, as_xlsx, rejections, signals, taken, uscc

FIRM = uscc(11)
OFFICE = uscc(7, "610100").replace("91", "11", 1)


@dataclass(frozen=True)
class Table:
    """One record under Chinese headers, the same under other codes, and what becomes of it."""

    chinese: dict[str, Any]
    codes: dict[str, Any]
    money: tuple[str, str]  # a header and an amount with its unit
    optional: str
    expect: dict[str, Any]
    expect_money: float | None = None
    attrs: dict[str, Any] = field(default_factory=dict)


_LEAK = "小区3号楼楼道燃气味很大，怀疑管道漏气，请尽快处理。"
TABLES = {
    "hotline-12345": Table(
        chinese={
            "工单编号": "XA2026030100017", "工单标题": "燃气异味", "主要内容": _LEAK, "来电时间": "2026/3/1 8:05:09", "受理渠道": "电话",
            "来电类别": "投诉", "姓名": "王小明", "来电号码": "13800138000", "被投诉人": "长庆里燃气有限公司", "统一社会信用代码": FIRM,
            "详细地址": "雁塔区长庆路1号", "地图坐标": "108.94,34.22", "承办单位": "市城管局", "办理截止": "2026-03-04 18:00", "备注": "无",
        },
        codes={
            "orderId": "XA2026030100017", "title": "燃气异味", "majorContent": _LEAK, "callTime": 1772323509000, "sourceType": "电话",
            "callerType": "投诉", "callerName": "王小明", "callerPhone": "13800138000", "reflectName": "长庆里燃气有限公司", "socialCode": FIRM,
            "addressItem": "雁塔区长庆路1号", "addressPoints": "108.94,34.22", "organizationName": "市城管局", "deadlineDate": "20260304180000",
        },
        money=("主要内容", "燃气灶漏气，商家只退0.2万元。"), optional="地图坐标",
        expect={"id": "XA2026030100017", "kind": "gas.leak", "matter": "gas", "severity": 2, "source": "hotline",
                "occurred_at": "2026-03-01T00:05:09+00:00", "object.code": FIRM, "object.name": "长庆里燃气有限公司"},
    ),
    "letters-mayor": Table(
        chinese={
            "信件编号": "SZXX-2026-0042", "群众姓名": "李大力", "手机号": "13900139000", "身份证号": "11010519491231002X", "来信时间": "2026年03月02日 09:30",
            "来信渠道": "网站", "信件一级分类": "城乡建设", "信件标题": "工地欠薪", "诉求内容": "曲江某工地拖欠工资三个月，联系电话13900139000。",
            "当前信件处理单位": "市住建局", "当前信件状态": "办理中", "被反映单位": "西岭建筑有限公司",
        },
        codes={
            "letterNo": "SZXX-2026-0042", "写信人": "李大力", "手机号码": "13900139000", "证件号码": "11010519491231002X", "提交时间": "2026-03-02 09:30:00",
            "来信标题": "工地欠薪", "信件内容": "曲江某工地拖欠工资三个月，联系电话13900139000。", "承办单位": "市住建局", "信件状态": "办理中",
            "涉及单位": "西岭建筑有限公司",
        },
        money=("诉求内容", "工地拖欠工资共12.5万元。"), optional="当前信件状态",
        expect={"id": "SZXX-2026-0042", "kind": "wages.unpaid", "matter": "construction", "occurred_at": "2026-03-02T01:30:00+00:00",
                "object.name": "西岭建筑有限公司"},
    ),
    "portal-tickets": Table(
        chinese={
            "诉求编号": "ZS-778", "诉求类型": "投诉", "处理状态": "已办结", "诉求标题": "健身房跑路", "递交时间": "2026-02-27", "所属部门": "市监局",
            "事发地点": "中山路88号", "诉求内容": "办卡充值五千，健身卡老板跑路失联。", "回复意见": "已立案。",
        },
        codes={
            "appealNo": "ZS-778", "类型": "投诉", "状态": "已办结", "标题": "健身房跑路", "提交时间": "2026/02/27", "办理部门": "市监局",
            "发生地点": "中山路88号", "内容": "办卡充值五千，健身卡老板跑路失联。", "答复意见": "已立案。",
        },
        money=("诉求内容", "充值1.2万元办卡，店家跑路失联。"), optional="回复意见",
        expect={"id": "ZS-778", "kind": "prepaid.runaway", "matter": "prepaid", "severity": 2, "occurred_at": "2026-02-26T16:00:00+00:00",
                "confidential": "public", "object.address": "中山路88号"},
    ),
    "netizen-messages": Table(
        chinese={
            "留言编号": "300123", "留言用户": "A00012345", "留言主题": "电梯困人", "留言时间": "2026/1/6 12:09:38",
            "留言详情": "\n\t\t我们小区电梯昨晚困人半小时，物业不管。", "点赞数": 3, "反对数": 0,
        },
        codes={
            "messageId": "300123", "userName": "A00012345", "subject": "电梯困人", "postTime": "20260106120938",
            "content": "我们小区电梯昨晚困人半小时，物业不管。", "likes": 3, "dislikes": 0,
        },
        money=("留言详情", "电梯困人，业主自费0.3万元请人维修。"), optional="反对数",
        expect={"id": "300123", "kind": "equipment.trapped", "matter": "special-equipment", "occurred_at": "2026-01-06T04:09:38+00:00"},
        attrs={"likes": 3.0},
    ),
    "complaints-12315": Table(
        chinese={
            "登记编号": "161010020260301123", "记录类型": "举报", "登记日期": "2026-03-01 10:00:00", "接收方式": "网络", "提供方名称": "赵一",
            "提供方电话": "13700137000", "被举报对象名称": "长安路小食餐饮店", "社会信用代码": FIRM, "地址": "长安路5号", "行业分类": "餐饮业",
            "商品/服务名称": "牛肉饭", "消费金额(元)": "38.00", "举报问题类别": "食品安全", "举报内容": "食堂饭菜里有蟑螂，后厨脏乱。",
            "初查反馈期限": "2026-03-22", "更新时间": "2026-03-01 10:05:00",
        },
        codes={
            "CASEID": "161010020260301123", "formtype": "举报", "recorddate": "2026-03-01T10:00:00+08:00", "receivemode": "网络",
            "providername": "赵一", "providertel": "13700137000", "subjectname": "长安路小食餐饮店", "socialcode": FIRM, "addr": "长安路5号",
            "industrycategory": "餐饮业", "objname": "牛肉饭", "monetary": 38, "applbasquename": "食品安全",
            "reportdeviation": "食堂饭菜里有蟑螂，后厨脏乱。", "feedbacktime": "2026-03-22", "updatedate": "2026-03-01 10:05:00",
        },
        money=("消费金额(元)", "0.2万元"), optional="初查反馈期限", expect_money=2000.0,
        expect={"id": "161010020260301123", "kind": "food.hygiene", "matter": "food", "value": 38.0, "unit": "CNY", "source": "complaint",
                "occurred_at": "2026-03-01T02:00:00+00:00", "object.code": FIRM},
    ),
    "penalties": Table(
        chinese={
            "行政相对人名称*": "曲江香满楼餐饮有限公司", "行政相对人类别": "法人及非法人组织", "行政相对人代码_1（统一社会信用代码）": FIRM, "法定代表人": "孙七",
            "行政处罚决定书文号": "西市监罚〔2026〕12号", "违法行为类型": "经营超过保质期的食品", "违法事实": "当事人使用超过保质期的食品原料。",
            "处罚依据": "食品安全法第一百二十四条", "处罚类别": "罚款；没收非法财物", "处罚内容": "罚款2000元", "罚款金额（万元）": "0.2",
            "处罚决定日期": "2026年02月26日", "公示截止期": "2029-02-26", "处罚机关": "西安市市场监督管理局", "处罚机关统一社会信用代码": OFFICE,
        },
        codes={
            "CF_WSH": "西市监罚〔2026〕12号", "CF_CFMC": "经营超过保质期的食品", "CF_CFLB1": "罚款", "CF_SY": "使用超过保质期的食品原料", "CF_YJ": "食品安全法第一百二十四条",
            "CF_XDR_MC": "曲江香满楼餐饮有限公司", "CF_XDR_SHXYM": FIRM, "CF_XDR_GSDJ": "", "CF_FR": "孙七", "CF_JG": "罚款2000元",
            "CF_JDRQ": "2026/2/26", "CF_XZJG": "西安市市场监督管理局", "CF_ZT": "0", "DFBM": "610100", "SJC": "2026/3/1", "BZ": "",
        },
        money=("罚款金额（万元）", "0.2"), optional="公示截止期", expect_money=2000.0,
        expect={"kind": "penalty.decided", "matter": "food", "source": "penalty", "object.code": FIRM, "object.name": "曲江香满楼餐饮有限公司",
                "occurred_at": "2026-02-25T16:00:00+00:00", "severity": 1, "confidential": "public"},
    ),
    "licences": Table(
        chinese={
            "行政相对人名称": "北郊安吉燃气有限公司", "行政相对人类别": "法人及非法人组织", "统一社会信用代码": FIRM, "法定代表人": "周八",
            "行政许可决定文书名称": "燃气经营许可", "行政许可决定文书号": "陕燃许〔2026〕3号", "许可类别": "普通", "许可证书名称": "燃气经营许可证",
            "许可编号": "陕2026-003", "许可内容": "瓶装燃气经营", "许可决定日期": "20260220", "有效期自": "2026/2/20", "有效期至": "2029/2/19",
            "许可机关": "市城管局", "当前状态": "吊销",
        },
        codes={
            "xkXdrMc": "北郊安吉燃气有限公司", "xkXdrLb": "法人及非法人组织", "xkXdrShxym": FIRM, "xkFrdb": "周八", "xkXkws": "燃气经营许可",
            "xkWsh": "陕燃许〔2026〕3号", "xkXklb": "01", "xkXkzs": "燃气经营许可证", "xkXkbh": "陕2026-003", "xkNr": "瓶装燃气经营",
            "xkJdrq": "2026-02-20", "xkYxqz": "2026-02-20", "xkYxqzi": "2029-02-19", "xkXkjg": "市城管局", "xkZt": "吊销",
        },
        money=("许可内容", "瓶装燃气经营，注册资本500万元"), optional="许可编号",
        expect={"kind": "licence.revoked", "matter": "gas", "source": "licence", "object.code": FIRM, "severity": 2,
                "occurred_at": "2026-02-19T16:00:00+00:00", "id": "市城管局/陕燃许〔2026〕3号/" + FIRM},
        attrs={"licence_kind": "普通"},
    ),
    "rulings": Table(
        chinese={
            "文书ID": "d-5511", "案号": "（2026）陕0113民初123号", "案件名称": "追索劳动报酬纠纷一审民事判决书", "法院名称": "雁塔区人民法院", "案由": "追索劳动报酬纠纷",
            "当事人": "张某、西岭建筑有限公司", "判决结果": "被告支付原告劳动报酬", "裁判日期": "2026-02-10", "发布日期": "2026-03-01", "关键字": "劳动报酬",
        },
        codes={
            "s5": "d-5511", "s7": "（2026）陕0113民初123号", "s1": "追索劳动报酬纠纷一审民事判决书", "s2": "雁塔区人民法院", "s11": ["追索劳动报酬纠纷"],
            "s17": ["张某", "西岭建筑有限公司"], "s27": "被告支付原告劳动报酬", "s31": "2026-02-10", "s41": "2026-03-01", "s45": ["劳动报酬"],
        },
        money=("判决结果", "被告支付原告劳动报酬3.6万元"), optional="关键字",
        expect={"kind": "wages.ruling", "matter": "construction", "source": "ruling", "object.name": "西岭建筑有限公司",
                "occurred_at": "2026-02-09T16:00:00+00:00", "id": "(2026)陕0113民初123号/d-5511"},
    ),
    "dishonest": Table(
        chinese={
            "被执行人姓名/名称": "南门健身有限公司", "被执行人类型": "法人或其他组织", "统一社会信用代码": FIRM, "案号": "（2026）陕0102执55号", "法定代表人或负责人姓名": "吴九",
            "执行法院": "新城区人民法院", "省份": "陕西", "执行依据文号": "（2025）陕0102民初9号", "立案时间": "20260115", "发布时间": "2026年02月20日",
            "生效法律文书确定的义务": "退还预付卡余额", "被执行人的履行情况": "全部未履行", "失信被执行人行为具体情形": "有履行能力而拒不履行",
        },
        codes={
            "iname": "南门健身有限公司", "partyTypeName": "1", "cardNum": FIRM, "caseCode": "（2026）陕0102执55号", "businessEntity": "吴九",
            "courtName": "新城区人民法院", "areaName": "陕西", "gistId": "（2025）陕0102民初9号", "regDate": "20260115", "publishDate": "2026年02月20日",
            "duty": "退还预付卡余额", "performance": "全部未履行", "disruptTypeName": "有履行能力而拒不履行", "age": 0, "sexy": "",
        },
        money=("生效法律文书确定的义务", "退还预付卡余额0.8万元"), optional="省份",
        expect={"kind": "court.dishonest", "matter": "prepaid", "source": "dishonesty", "severity": 2, "object.code": FIRM, "object.type": "enterprise",
                "occurred_at": "2026-02-19T16:00:00+00:00"},
    ),
    "inspections": Table(
        chinese={
            "监管事项目录编码": "01310101001000", "检查行为名称": "电梯使用单位检查", "检查行为编号": "JC-2026-9", "实施机构": "雁塔区市场监管局",
            "监管对象": "电梯", "行政相对人": "南湖物业管理有限公司", "行政相对人性质": "法人", "行政相对人编码": FIRM, "经营地址": "南湖路1号",
            "行政区划代码": "610113000000", "检查结果": "发现问题已责令改正", "检查时间": "2026-03-05 15:00", "检查人员": "钱二、郑三", "报送时间": "2026-03-06",
        },
        codes={
            "itemCode": "01310101001000", "checkActionName": "电梯使用单位检查", "checkActionCode": "JC-2026-9", "检查机构": "雁塔区市场监管局", "检查对象": "电梯",
            "行政相对人名称": "南湖物业管理有限公司", "行政相对人类别": "法人", "统一社会信用代码": FIRM, "经营地址": "南湖路1号", "行政区划": "610113000000",
            "检查结果": "发现问题已责令改正", "检查日期": "2026/3/5 15:00", "检查人员": "钱二、郑三",
        },
        money=("检查行为名称", "电梯使用单位检查（涉及资金1万元）"), optional="报送时间",
        expect={"kind": "inspection.failed", "matter": "special-equipment", "source": "inspection", "region": "610113", "severity": 1,
                "occurred_at": "2026-03-05T07:00:00+00:00", "object.code": FIRM},
    ),
}  # fmt: skip


def read(signal: Signal, path: str) -> Any:
    """Return a dotted part of a signal, times as ISO text."""
    value: Any = signal
    for name in path.split("."):
        value = getattr(value, name)
    return value.isoformat() if path == "occurred_at" else value


def check(signal: Signal, case: Table, *, but: tuple[str, ...] = ()) -> None:
    """Compare a signal with what the case expects."""
    found = {path: read(signal, path) for path in case.expect if path not in but}
    assert found == {path: value for path, value in case.expect.items() if path not in but}


@pytest.mark.parametrize("feed", TABLES)
def test_gb18030_with_chinese_headers(feed: str) -> None:
    """A GB18030 CSV with the headings of the form gives the signal."""
    case = TABLES[feed]
    [signal] = signals(taken(feed, as_csv([case.chinese], "gb18030"), "export.csv"))
    check(signal, case)
    assert {name: signal.attrs[name] for name in case.attrs} == case.attrs


@pytest.mark.parametrize("feed", TABLES)
def test_other_column_order_in_a_workbook_with_a_title(feed: str) -> None:
    """Columns in reverse order under a merged title row of a workbook give the same signal."""
    case = TABLES[feed]
    turned = dict(reversed(case.chinese.items()))
    [signal] = signals(taken(feed, as_xlsx([turned], title="二〇二六年三月报送表"), "export.xlsx"))
    [other] = signals(taken(feed, as_csv([case.chinese]), "export.csv"))
    assert signal == other


@pytest.mark.parametrize("feed", TABLES)
def test_legacy_and_field_codes(feed: str) -> None:
    """The same record under codes, in other date styles, gives the same facts."""
    case = TABLES[feed]
    [signal] = signals(taken(feed, as_json([case.codes], "data"), "application/json"))
    check(signal, case, but=("id", "severity") if feed == "penalties" else ())


@pytest.mark.parametrize("feed", TABLES)
def test_amounts_in_wan_yuan(feed: str) -> None:
    """An amount in 万元 becomes yuan exactly; in free text it is left alone."""
    case = TABLES[feed]
    header, text = case.money
    [signal] = signals(taken(feed, as_csv([case.chinese | {header: text}], "gb18030"), "export.csv"))
    if case.expect_money is not None:
        assert (signal.value, signal.unit) == (case.expect_money, "CNY")
    else:
        assert "万元" in signal.text + str(signal.attrs)


@pytest.mark.parametrize("feed", TABLES)
@pytest.mark.parametrize("nothing", ["", "null", "-", "无", "暂无", "　"])
def test_an_empty_optional_column(feed: str, nothing: str) -> None:
    """A column that this sender leaves empty is no reason to reject, whatever it writes for nothing."""
    case = TABLES[feed]
    [signal] = signals(taken(feed, as_ndjson([case.chinese | {case.optional: nothing}]), "export.ndjson"))
    check(signal, case)


@pytest.mark.parametrize("feed", TABLES)
def test_nobody_is_named(feed: str) -> None:
    """No personal value of the record stands anywhere in the signal."""
    case = TABLES[feed]
    text = str(signals(taken(feed, as_csv([case.chinese]), "export.csv")))
    names = (
        "王小明",
        "李大力",
        "赵一",
        "孙七",
        "周八",
        "吴九",
        "钱二",
        "13800138000",
        "13900139000",
        "13700137000",
        "11010519491231002X",
        "A00012345",
    )
    assert [name for name in names if name in text] == []


def test_penalty_amount_unit_of_the_header_wins() -> None:
    """A fine column that says 元 is in yuan although the form's unit is 万元; an unknown unit is refused."""
    case = TABLES["penalties"]
    plain = {header: value for header, value in case.chinese.items() if not header.startswith("罚款金额")}
    [yuan] = signals(taken("penalties", as_csv([plain | {"罚款金额（元）": "2,000"}]), "a.csv"))
    assert yuan.value == 2000.0
    [rejected] = rejections(taken("penalties", as_csv([plain | {"罚款金额": "2000美元"}]), "a.csv"))
    assert rejected.reason == "unit_mismatch"
    assert "万元" in rejected.message


def test_penalty_key_tells_subjects_of_one_document_apart() -> None:
    """One document number for two subjects is two records; the same subject again is the same id."""
    base = TABLES["penalties"].chinese
    column = "行政相对人代码_1（统一社会信用代码）"
    one, two = signals(taken("penalties", as_csv([base, base | {column: uscc(12)}]), "a.csv"))
    assert one.id != two.id
    assert one.id == f"{OFFICE}/西市监罚〔2026〕12号/{FIRM}"


def test_penalty_on_a_natural_person_keeps_no_name() -> None:
    """The name of a person who was fined is a token, the object's type says person."""
    case = TABLES["penalties"].chinese | {
        "行政相对人名称*": "冯十一",
        "行政相对人类别": "自然人",
        "行政相对人代码_1（统一社会信用代码）": "-",
        "违法事实": "冯十一无证经营。",
    }
    [signal] = signals(taken("penalties", as_csv([case]), "a.csv"))
    assert signal.object.type == "person"
    assert signal.object.name.startswith("p:")
    assert "冯十一" not in str(signal)


def test_masked_identity_of_a_dishonest_person_is_no_code() -> None:
    """A masked number identifies nobody; it is not offered as a code."""
    case = TABLES["dishonest"].codes | {"iname": "陈十二", "partyTypeName": "0", "cardNum": "3423011964****3224"}
    [signal] = signals(taken("dishonest", as_json([case]), "a.json"))
    assert (signal.object.code[:2], signal.object.type) == ("p:", "person")
    assert "陈十二" not in str(signal)
    assert "3423011964" not in str(signal)


def test_shipped_mappings_speak_the_shared_vocabulary() -> None:
    """Every kind and sector that a shipped mapping can give is in the common list, and no mapping has a warning."""
    for feed, mapping in FEEDS.items():
        kinds = {rule.give for rule in mapping.kind.rules} | {give for _, codes in mapping.kind.codes for give in codes.values()}
        sectors = {rule.give for rule in mapping.matter.rules}
        assert kinds | {mapping.kind.default or "other.request"} <= set(KINDS), feed
        assert sectors <= set(SECTORS), feed
        assert mapping.warnings == (), feed


LICENCE = {"XK_XDR_MC": "北郊安吉燃气有限公司", "XK_XDR_SHXYM": FIRM, "XK_WSH": "陕燃许〔2016〕3号", "XK_JDRQ": "2026-02-20"}
OLD_FORM = {"XK_XMMC": "燃气经营许可", "XK_SPLB": "普通", "XK_XZJG": "市城管局"}
NEW_FORM = {"XK_XKWS": "燃气经营许可", "XK_XKLB": "01", "XK_XKJG": "市城管局"}


@pytest.mark.parametrize(
    ("form", "state", "kind"),
    [
        (OLD_FORM, "0", "licence.granted"), (OLD_FORM, "1", "licence.revoked"), (OLD_FORM, "2", "licence.granted"),
        (NEW_FORM, "1", "licence.granted"), (NEW_FORM, "2", "licence.expired"), (NEW_FORM, "吊销", "licence.revoked"),
        (OLD_FORM | NEW_FORM, "撤销", "licence.revoked"), (OLD_FORM | dict.fromkeys(NEW_FORM, ""), "1", "licence.revoked"),
    ],
)  # fmt: skip
def test_a_licence_s_state_is_read_by_the_form_s_edition(form: dict[str, str], state: str, kind: str) -> None:
    """A "1" is 撤销 in the form of 2015/16 and 有效 in that of 2018/2021; which one it is, the columns of the record say."""
    [signal] = signals(taken("licences", as_csv([LICENCE | form | {"XK_ZT": state}]), "a.csv"))
    assert signal.kind == kind


@pytest.mark.parametrize("state", ["0", "1", "2"])
def test_a_licence_s_state_of_no_clear_edition_is_refused(state: str) -> None:
    """A record that fills columns of both forms: nobody can know what its code means, and the refusal says what to write."""
    [rejected] = rejections(taken("licences", as_csv([LICENCE | OLD_FORM | NEW_FORM | {"XK_ZT": state}]), "a.csv"))
    assert (rejected.reason, rejected.field) == ("bad_value", "XK_ZT")
    assert "旧版 1 撤销，新版 1 有效" in rejected.message
