"""Citizens' words: the 12345 hotline (two shapes), the mayor's mailbox, the public portal and a message board."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.demo.formats.scribe import Row, Scribe, clock, day, person_name, phone, setter, slashed
from app.demo.formats.tables import csv_bytes, xlsx_bytes
from app.demo.places import position
from app.demo.topics import TOPICS
from app.demo.world import Happening

HOTLINE_CHINESE = (
    "工单编号", "工单标题", "主要内容", "来电时间", "受理渠道", "来电类别", "问题分类编码", "问题分类名称", "紧急程度", "姓名", "来电号码",
    "公司名称", "事发地", "行政区划代码", "地图坐标", "承办单位", "办理截止", "工单状态", "办结时间", "是否满意",
)  # fmt: skip
HOTLINE_CODES = (
    "orderNum", "title", "majorContent", "callTime", "sourceType", "callerType", "questionCode", "questionName", "pilotLight", "callerName",
    "callerPhone", "companyName", "address", "regionCode", "addressPoints", "organizationName", "deadlineDate", "orderState",
    "completeTime",
    "visitIsSatisfaction",
)  # fmt: skip
LETTERS = (
    "信件编号", "群众姓名", "手机号", "身份证号", "来信时间", "来信渠道", "信件一级分类", "信件二级分类", "信件三级分类", "诉求内容",
    "专项关注标签", "当前信件处理单位", "当前信件状态",
)  # fmt: skip
PORTAL = ("诉求编号", "诉求类型", "处理状态", "诉求标题", "递交时间", "所属部门", "事发地点", "诉求内容", "回复意见")
NETIZEN = ("留言编号", "留言用户", "留言主题", "留言时间", "留言详情", "反对数", "点赞数")

_CLASSES = {
    "03": "城镇燃气", "05": "食品安全", "06": "特种设备", "07": "安全生产", "08": "建设工程", "09": "劳动保障", "10": "预付消费",
    "20": "城市生活",
    "21": "市场监管",
}  # fmt: skip
_HOTLINE_FAULTS = (
    ("bad_date", setter("来电时间", value="2026-02-30 25:61:00")),
    ("missing_field", setter("工单编号", value="")),
    ("missing_field", setter("来电时间", value="")),
    ("future", setter("来电时间", value="2036-03-01 08:00:00")),
)


def hotline_row(scribe: Scribe, happening: Happening) -> Row:
    """Return a ticket under Chinese headers; `code_headers` renames them."""
    topic = TOPICS[happening.topic]
    spoken = happening.details["spoken"]
    lng, lat = position(happening.region, scribe.rng)
    row = {
        "工单编号": f"YT{day(happening.at)}{scribe.number('hotline'):06d}",
        "工单标题": f"{topic.title}：{spoken or scribe.street(happening)}",
        "主要内容": happening.text,
        "来电时间": clock(happening.at),
        "受理渠道": scribe.rng.choice(("电话", "电话", "电话", "微信", "APP")),
        "来电类别": topic.caller,
        "问题分类编码": topic.code,
        "问题分类名称": topic.title,
        "紧急程度": topic.urgency,
        "姓名": person_name(happening.person),
        "来电号码": phone(happening.person),
        "公司名称": spoken,
        "事发地": f"云汀市{scribe.street(happening)}",
        "行政区划代码": happening.region,
        "地图坐标": f"{lng},{lat}",
        "承办单位": "",
        "办理截止": clock(happening.at + timedelta(days=7)),
        "工单状态": "待分派",
        "办结时间": "",
        "是否满意": "",
    }
    return scribe.spoil("hotline-12345", row, _HOTLINE_FAULTS)


def finished(row: Row, at: datetime) -> Row:
    """Return the ticket as it stands once its office has answered: the same number, another state."""
    return row | {"工单状态": "已办结", "承办单位": f"{row['事发地'][3:6]}人民政府", "办结时间": clock(at), "是否满意": "满意"}


def hotline_csv(rows: Sequence[Row]) -> bytes:
    """Return tickets as the city's hotline exports them: Chinese headers, GB18030."""
    return csv_bytes(rows, HOTLINE_CHINESE, "gb18030")


def county_csv(rows: Sequence[Row]) -> bytes:
    """Return tickets as the counties' system does: code headers, other order of columns, UTF-8."""
    names = dict(zip(HOTLINE_CHINESE, HOTLINE_CODES, strict=True))
    renamed = [{names[key]: value for key, value in row.items()} for row in rows]
    return csv_bytes(renamed, (HOTLINE_CODES[0], *HOTLINE_CODES[3:], *HOTLINE_CODES[1:3]))


def letters_xlsx(scribe: Scribe, happenings: Sequence[Happening]) -> bytes:
    """Return a day of the mayor's mailbox as a workbook."""
    rows = []
    for happening in happenings:
        topic = TOPICS[happening.topic]
        row = {
            "信件编号": f"XJ{day(happening.at)}{scribe.number('letters'):05d}",
            "群众姓名": person_name(happening.person),
            "手机号": f"1990***{happening.person % 10_000:04d}",
            "身份证号": f"610191********{happening.person % 10_000:04d}",
            "来信时间": slashed(happening.at),
            "来信渠道": "市长信箱",
            "信件一级分类": _CLASSES[topic.code[:2]],
            "信件二级分类": topic.title,
            "信件三级分类": topic.code,
            "诉求内容": happening.text,
            "专项关注标签": "",
            "当前信件处理单位": "市信访局",
            "当前信件状态": "办理中",
        }
        rows.append(scribe.spoil("letters-mayor", row, _LETTER_FAULTS))
    return xlsx_bytes([LETTERS, *([row[name] for name in LETTERS] for row in rows)], title="市长信箱")


def portal_csv(scribe: Scribe, happenings: Sequence[Happening]) -> bytes:
    """Return a day of the public portal as CSV with a byte order mark."""
    rows = []
    for happening in happenings:
        topic = TOPICS[happening.topic]
        row = {
            "诉求编号": f"SQ{scribe.number('portal') + 400_000}",
            "诉求类型": topic.caller,
            "处理状态": "处理中",
            "诉求标题": topic.title,
            "递交时间": happening.at.strftime("%Y-%m-%d %H:%M"),
            "所属部门": "",
            "事发地点": f"云汀市{scribe.street(happening)}",
            "诉求内容": happening.text,
            "回复意见": "",
        }
        rows.append(scribe.spoil("portal-tickets", row, _PORTAL_FAULTS))
    return csv_bytes(rows, PORTAL, "utf-8-sig")


def netizen_xlsx(scribe: Scribe, happenings: Sequence[Happening]) -> bytes:
    """Return a day of the message board as a workbook with two styles of dates."""
    rows = []
    for happening in happenings:
        number = scribe.number("netizen")
        row = {
            "留言编号": str(300_000 + number),
            "留言用户": f"A{happening.person:08d}",
            "留言主题": f"{TOPICS[happening.topic].title}（{scribe.street(happening)}）",
            "留言时间": slashed(happening.at) if number % 3 else clock(happening.at),
            "留言详情": f"\n\t\t\t\t{happening.text}\n\t\t\t",
            "反对数": 0,
            "点赞数": happening.person % 7,
        }
        rows.append(scribe.spoil("netizen-messages", row, _NETIZEN_FAULTS))
    return xlsx_bytes([NETIZEN, *([row[name] for name in NETIZEN] for row in rows)], title="留言")


_LETTER_FAULTS = (
    ("bad_date", setter("来信时间", value="2026/13/45 9:00:00")),
    ("missing_field", setter("信件编号", value="")),
)
_PORTAL_FAULTS = (
    ("bad_date", setter("递交时间", value="昨天下午")),
    ("missing_field", setter("诉求编号", value="")),
)
_NETIZEN_FAULTS = (
    ("bad_date", setter("留言时间", value="2026/2/30 11:25:05")),
    ("missing_field", setter("留言编号", value="")),
)
