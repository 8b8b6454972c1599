"""Court rulings as the public list gives them: JSON with the codes s1 to s53 (formats A5)."""

from __future__ import annotations

from collections.abc import Sequence

from app.demo.formats.scribe import Row, Scribe, setter
from app.demo.formats.tables import json_bytes
from app.demo.places import DISTRICTS
from app.demo.world import Happening

_SURNAMES = "丁于卫毛方石叶白"
_FAULTS = (
    ("bad_date", setter("s31", value="2026-02-30")),
    ("missing_field", setter("s7", "s5", value="")),
)


def rulings_json(scribe: Scribe, happenings: Sequence[Happening]) -> bytes:
    """Return a day of rulings as a JSON array."""
    rows: list[Row] = []
    for happening in happenings:
        district = DISTRICTS[happening.region[:6]]
        court = f"云汀市{district}人民法院"
        plaintiff = f"{_SURNAMES[happening.person % len(_SURNAMES)]}某"
        firm = happening.details["spoken"]
        number = scribe.number("ruling")
        case = f"（{happening.at.year}）云0{happening.region[3:6]}民初{number}号"
        lost = happening.details.get("lost", happening.person % 3 != 0)
        row = {
            "s1": f"{plaintiff}与{firm}{happening.topic}一审民事判决书",
            "s2": court,
            "s3": court,
            "s4": "基层法院",
            "s5": f"YT{happening.at.year}{number:08d}",
            "s6": "判决书",
            "s7": case,
            "s8": "民事案件",
            "s9": "民事一审",
            "s11": [happening.topic],
            "s17": [plaintiff, firm],
            "s25": f"原告{plaintiff}诉称被告{firm}欠付款项{happening.amount:.2f}元。",
            "s27": f"被告{firm}于判决生效之日起十日内支付原告{plaintiff}{happening.amount:.2f}元。" if lost else "驳回原告的诉讼请求。",
            "s31": happening.at.strftime("%Y-%m-%d"),
            "s33": "云省",
            "s34": "云汀市",
            "s35": district,
            "s41": happening.at.strftime("%Y-%m-%d"),
            "s43": "01",
            "s45": ["合同", happening.topic],
            "s46": "判决",
            "s47": ["《中华人民共和国民法典》第五百七十七条"],
        }
        rows.append(scribe.spoil("rulings", row, _FAULTS))
    return json_bytes(rows)
