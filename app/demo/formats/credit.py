"""双公示 penalties and licences (new codes, Chinese headers, legacy codes), and the list of dishonest debtors (formats A3, A5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from app.demo.formats.scribe import Row, Scribe, chinese_date, day, setter
from app.demo.formats.tables import csv_bytes, json_bytes, xlsx_bytes
from app.demo.offices import BY_ID, ENFORCER
from app.demo.world import Happening

PENALTY_CODES = (
    "CF_XDR_MC", "CF_XDR_LB", "CF_XDR_SHXYM", "CF_FRDB", "CF_WSH", "CF_WFXW", "CF_SY", "CF_YJ", "CF_CFLB", "CF_NR", "CF_NR_FK",
    "CF_NR_WFFF",
    "CF_NR_ZKDX", "CF_JDRQ", "CF_YXQ", "CF_GSJZQ", "CF_CFJG", "CF_CFJGDM", "CF_SJLY", "CF_SJLYDM", "BZ",
)  # fmt: skip
PENALTY_CHINESE = (
    "行政相对人名称", "行政相对人类别", "行政相对人代码_1(统一社会信用代码)", "法定代表人", "行政处罚决定书文号", "违法行为类型",
    "违法事实",
    "处罚依据", "处罚类别", "处罚内容", "罚款金额（万元）", "没收违法所得、没收非法财物的金额（万元）", "暂扣或吊销证照名称及编号",
    "处罚决定日期", "处罚有效期", "公示截止期", "处罚机关", "处罚机关统一社会信用代码", "数据来源单位", "数据来源单位统一社会信用代码",
    "备注",
)  # fmt: skip
PENALTY_LEGACY = (
    "CF_WSH", "CF_CFMC", "CF_CFLB1", "CF_CFLB2", "CF_SY", "CF_YJ", "CF_XDR_MC", "CF_XDR_SHXYM", "CF_XDR_ZDM", "CF_XDR_GSDJ", "CF_XDR_SWDJ",
    "CF_XDR_SFZ", "CF_FR", "CF_JG", "CF_JDRQ", "CF_XZJG", "CF_ZT", "DFBM", "SJC", "BZ",
)  # fmt: skip
LICENCE_CODES = (
    "XK_XDR_MC", "XK_XDR_LB", "XK_XDR_SHXYM", "XK_FRDB", "XK_XKWS", "XK_WSH", "XK_XKLB", "XK_XKZS", "XK_XKBH", "XK_NR", "XK_JDRQ",
    "XK_YXQZ",
    "XK_YXQZI", "XK_XKJG", "XK_XKJGDM", "XK_ZT", "XK_LYDW", "XK_LYDWDM", "BZ",
)  # fmt: skip
LICENCE_CHINESE = (
    "行政相对人名称", "行政相对人类别", "行政相对人代码_1(统一社会信用代码)", "法定代表人", "行政许可决定文书名称", "行政许可决定文书号",
    "许可类别",
    "许可证书名称", "许可编号", "许可内容", "许可决定日期", "有效期自", "有效期至", "许可机关", "许可机关统一社会信用代码", "当前状态",
    "数据来源单位", "数据来源单位统一社会信用代码", "备注",
)  # fmt: skip
_CATEGORY = {"individual_business": "个体工商户"}
_MARKS = {
    "gas": "云建", "food": "云市监", "special-equipment": "云市监", "hazardous-chemicals": "云应急", "construction": "云建",
    "prepaid": "云商",
    "other": "云城管",
}  # fmt: skip
_PENALTY_FAULTS = (
    ("bad_date", setter("CF_JDRQ", value="2026/02/30")),
    ("missing_field", setter("CF_WSH", value="")),
    ("missing_field", setter("CF_JDRQ", value="")),
    ("future", setter("CF_JDRQ", value="2206/03/05")),
)
_LICENCE_FAULTS = (
    ("bad_date", setter("XK_JDRQ", value="2026-02-31")),
    ("missing_field", setter("XK_WSH", "XK_XKBH", value="")),
)
_DISHONEST_FAULTS = (
    ("bad_date", setter("regDate", "publishDate", value="20261340")),
    ("missing_field", setter("caseCode", value="")),
)


def penalty_row(scribe: Scribe, happening: Happening) -> Row:
    """Return a penalty under the codes of the 2021 template; amounts in 万元."""
    about = scribe.about(happening)
    assert about is not None, "offices fine somebody they know"
    office = BY_ID[ENFORCER[happening.topic]]
    fine = happening.amount
    row = {
        "CF_XDR_MC": happening.details["spoken"],
        "CF_XDR_LB": _CATEGORY.get(about.type, "法人及非法人组织"),
        "CF_XDR_SHXYM": scribe.code(happening),
        "CF_FRDB": "",
        "CF_WSH": f"{_MARKS[happening.topic]}罚〔{happening.at.year}〕{scribe.number('penalty')}号",
        "CF_WFXW": happening.details["offence"],
        "CF_SY": f"当事人{happening.details['offence']}，情况属实。",
        "CF_YJ": happening.details["basis"],
        "CF_CFLB": "罚款" if fine else "警告",
        "CF_NR": f"罚款人民币{fine:.0f}元" if fine else "警告",
        "CF_NR_FK": f"{fine / 10_000:g}" if fine else "",
        "CF_NR_WFFF": "",
        "CF_NR_ZKDX": "",
        "CF_JDRQ": happening.at.strftime("%Y/%m/%d"),
        "CF_YXQ": "2099/12/31",
        "CF_GSJZQ": (happening.at + timedelta(days=365)).strftime("%Y/%m/%d"),
        "CF_CFJG": office.name,
        "CF_CFJGDM": office.code,
        "CF_SJLY": office.name,
        "CF_SJLYDM": office.code,
        "BZ": "",
    }
    return scribe.spoil("penalties", row, _PENALTY_FAULTS)


def penalties_csv(rows: Sequence[Row]) -> bytes:
    """Return penalties under code headers in UTF-8."""
    return csv_bytes(rows, PENALTY_CODES)


def penalties_chinese(rows: Sequence[Row]) -> bytes:
    """Return penalties under Chinese headers in GB18030, dates as 2026年03月01日."""
    names = dict(zip(PENALTY_CODES, PENALTY_CHINESE, strict=True))
    renamed = []
    for row in rows:
        written = {names[key]: value for key, value in row.items()}
        if row["CF_JDRQ"].startswith("2026") and row["CF_JDRQ"] != "2026/02/30":
            year, month, date = row["CF_JDRQ"].split("/")
            written["处罚决定日期"] = f"{year}年{month}月{date}日"
        renamed.append(written)
    return csv_bytes(renamed, PENALTY_CHINESE, "gb18030")


def penalties_legacy(rows: Sequence[Row]) -> bytes:
    """Return penalties under the codes of 2015, as a county's old export still has them."""
    renamed = []
    for row in rows:
        written = dict.fromkeys(PENALTY_LEGACY, "")
        written |= {name: row[name] for name in ("CF_WSH", "CF_SY", "CF_YJ", "CF_XDR_MC", "CF_XDR_SHXYM", "CF_JDRQ")}
        written |= {
            "CF_CFMC": row["CF_WFXW"], "CF_CFLB1": row["CF_CFLB"], "CF_JG": row["CF_NR"], "CF_XZJG": row["CF_CFJG"], "CF_ZT": "0",
            "DFBM": "610197", "SJC": row["CF_JDRQ"],
        }  # fmt: skip
        renamed.append(written)
    return csv_bytes(renamed, PENALTY_LEGACY, "gb18030")


def licence_row(scribe: Scribe, happening: Happening) -> Row:
    """Return a licence under code headers."""
    about = scribe.about(happening)
    assert about is not None, "offices license somebody they know"
    office = BY_ID[about.listed_by[0]] if about.listed_by else BY_ID["shichang-jianguan"]
    number = scribe.number("licence")
    ends = happening.at.replace(year=happening.at.year + happening.details["years"])
    row = {
        "XK_XDR_MC": happening.details["spoken"],
        "XK_XDR_LB": _CATEGORY.get(about.type, "法人及非法人组织"),
        "XK_XDR_SHXYM": scribe.code(happening),
        "XK_FRDB": "",
        "XK_XKWS": f"{happening.details['licence']}准予许可决定书",
        "XK_WSH": f"云许〔{happening.at.year}〕{number}号",
        "XK_XKLB": "01",
        "XK_XKZS": happening.details["licence"],
        "XK_XKBH": f"JY6101{number:08d}",
        "XK_NR": happening.details["licence"],
        "XK_JDRQ": happening.at.strftime("%Y-%m-%d"),
        "XK_YXQZ": happening.at.strftime("%Y-%m-%d"),
        "XK_YXQZI": ends.strftime("%Y-%m-%d"),
        "XK_XKJG": office.name,
        "XK_XKJGDM": office.code,
        "XK_ZT": happening.details["state"],
        "XK_LYDW": office.name,
        "XK_LYDWDM": office.code,
        "BZ": "",
    }
    return scribe.spoil("licences", row, _LICENCE_FAULTS)


def licences_csv(rows: Sequence[Row]) -> bytes:
    """Return licences under code headers in UTF-8."""
    return csv_bytes(rows, LICENCE_CODES)


def licences_xlsx(rows: Sequence[Row]) -> bytes:
    """Return licences as a workbook under Chinese headers."""
    return xlsx_bytes([LICENCE_CHINESE, *([row[name] for name in LICENCE_CODES] for row in rows)], title="行政许可")


def dishonest_json(scribe: Scribe, happenings: Sequence[Happening]) -> bytes:
    """Return a day of the list of dishonest debtors (失信被执行人) as a JSON array; card numbers are masked, as published."""
    rows = []
    for happening in happenings:
        about = scribe.about(happening)
        assert about is not None, "a court lists a party"
        number = scribe.number("dishonest")
        row = {
            "iname": happening.details["spoken"],
            "cardNum": f"{about.code[:10]}****{about.code[-4:]}",
            "caseCode": f"（{happening.at.year}）云0191执{number}号",
            "businessEntity": "",
            "courtName": "云汀市汀南区人民法院",
            "areaName": "云汀",
            "gistId": f"（{happening.at.year - 1}）云0191民初{1000 + number}号",
            "gistUnit": "云汀市汀南区人民法院",
            "regDate": day(happening.at),
            "publishDate": chinese_date(happening.at),
            "duty": f"支付{happening.amount:.2f}元",
            "performance": "全部未履行",
            "disruptTypeName": happening.topic,
            "partyTypeName": "1",
            "type": "1",
        }
        rows.append(scribe.spoil("dishonest", row, _DISHONEST_FAULTS))
    return json_bytes(rows)
