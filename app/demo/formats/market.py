"""The national 12315 platform: complaints and reports to the market regulators, as JSON of its table (formats A2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from app.demo.formats.scribe import Row, Scribe, clock, day, person_name, phone, setter
from app.demo.formats.tables import json_bytes
from app.demo.topics import TOPICS
from app.demo.world import Happening

_FAULTS = (
    ("bad_date", setter("recorddate", "controversytime", value="2026-02-30 10:00:00")),
    ("missing_field", setter("caseid", value="")),
    ("missing_field", setter("recorddate", "controversytime", value=None)),
    ("future", setter("recorddate", "controversytime", value="2062-03-01 10:00:00")),
)


def report_row(scribe: Scribe, happening: Happening) -> Row:
    """Return one complaint (投诉) or report (举报)."""
    topic = TOPICS[happening.topic]
    about = scribe.about(happening)
    spoken = happening.details["spoken"]
    known = about is not None and happening.naming == "name" and scribe.rng.random() < 0.5
    row = {
        "caseid": f"6101{day(happening.at)}{scribe.number('12315'):07d}",
        "formtype": "举报" if topic.caller == "举报" else "投诉",
        "recorddate": clock(happening.at),
        "receivemode": scribe.rng.choice(("互联网", "电话", "APP", "小程序")),
        "rqstnumber": phone(happening.person),
        "providername": person_name(happening.person),
        "subjectname": spoken,
        "addr": about.address if about else f"云汀市{scribe.street(happening)}",
        "enttypename": "个体工商户" if about and about.type == "individual_business" else "有限责任公司",
        "industrycategory": about.industry if about else "",
        "socialcode": about.code if about and known else "",
        "objtype": "服务" if topic.code[:2] in {"05", "10"} else "商品",
        "objname": topic.title,
        "monetary": f"{happening.amount:.2f}" if happening.amount else "-",
        "applbasquename": topic.class_12315 or topic.title,
        "keyword": topic.title,
        "reportdeviation": happening.text,
        "controversytime": clock(happening.at),
        "accsce": f"云汀市{scribe.street(happening)}",
        "appealcontent": "退赔费用" if happening.amount else "查处",
        "todealwithtime": clock(happening.at + timedelta(days=60)),
        "updatedate": clock(happening.at),
    }
    return scribe.spoil("complaints-12315", row, _FAULTS)


def reports_json(scribe: Scribe, happenings: Sequence[Happening]) -> bytes:
    """Return a day of reports as a JSON array."""
    return json_bytes([report_row(scribe, happening) for happening in happenings])
