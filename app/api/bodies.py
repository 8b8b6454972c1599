"""The bodies of requests as `/openapi.json` tells them: meaning, media types, an example of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema

from domain.messages import both

SIGNAL: Mapping[str, Any] = {
    "id": "GD-2026-0302-017",
    "source": "hotline",
    "kind": "gas.leak",
    "object": {"code": "91610191MA7TUT1R10", "name": "某某燃气"},
    "occurred_at": "2026-03-01T08:00:00+08:00",
    "severity": 2,
    "text": "小区燃气异味",
}
PENALTIES = """\
行政相对人名称,统一社会信用代码,行政处罚决定书文号,违法事实,罚款金额（万元）,处罚决定日期,处罚机关
某某燃气,91610191MA7TUT1R10,城管罚〔2026〕1号,未按规定入户安检,2,2026-03-01,市城管局
"""
OBJECTS = """\
id,type,name,code,region,address
o-1,enterprise,某某燃气有限公司,91610191MA7TUT1R10,610191,春和路 88 号
"""
CATALOGUE = """\
监管事项,牵头单位,配合单位,设定依据,监管层级,sector,slug
燃气经营安全监管,市住建局,市市场监管局,城镇燃气管理条例,市级,gas,gas-operation
"""
DEPARTMENTS = """\
departments:
  - {id: zhujian, name: 市住房和城乡建设局, aliases: [市住建局]}
"""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def told(name: str, media: Mapping[str, Any]) -> type[Operation]:
    """Return the class of an operation whose body is told by the message `body.<name>`; `media` maps content types to an example or None.

    A handler that reads the bytes itself has no body as far as the framework knows; then this is all that is told of it.
    """

    @dataclass
    class Told(Operation):
        """An operation with a body that says what it holds."""

        def __post_init__(self) -> None:
            known = self.request_body.content if isinstance(self.request_body, RequestBody) else {}
            content = {kind: known.get(kind, OpenAPIMediaType(schema=Schema())) for kind in media}
            for kind, example in media.items():
                content[kind].example = example
            self.request_body = RequestBody(description=both(f"body.{name}"), content=content, required=True)

    return Told


SIGNALS = told(
    "signals",
    {
        "application/json": dict(SIGNAL),
        "application/x-ndjson": None,
        "application/cloudevents+json": {
            "specversion": "1.0", "id": "e-1", "source": "/hotline", "type": "cn.gov.signal", "data": dict(SIGNAL),
        },
        "application/cloudevents-batch+json": None,
    },
)  # fmt: skip
RECORDS = told(
    "records", {"text/csv": PENALTIES, "application/json": None, "application/x-ndjson": None, "application/xml": None, XLSX: None}
)
OBJECTS_FILE = told("objects", {"text/csv": OBJECTS, XLSX: None})
CATALOGUE_FILE = told("catalogue", {"text/csv": CATALOGUE, XLSX: None})
DEPARTMENTS_FILE = told("departments", {"application/yaml": DEPARTMENTS, "text/csv": None, XLSX: None})
CONFIRMATION = told("confirmation", {"application/json": {"object_id": "o-1", "reason": "现场核对"}})
ANSWER = told("answer", {"application/json": {"action": "receive", "operator": "张三"}})
RULE_FILES = told("rule_files", {"application/json": {"gas.yaml": "pack: gas\ntitle: 燃气安全\n"}})
CREDENTIAL = told("credential", {"application/json": {"name": "12345 平台", "role": "feed", "feed": "hotline-12345"}})
ROLLBACK = told("rollback", {"application/json": {"version": "3f0c1a9e", "reason": "新规则误报过多"}})
DECISION = told("decision", {"application/json": {"reason": "已核对依据与测试"}})
ENDPOINT = told("endpoint", {"application/json": {"url": "https://zhujian.example.gov.cn/hook"}})
COMPLETENESS = told("completeness", {"application/json": {"until": "2026-03-02T00:00:00+08:00"}})
READING = told("reading", {"application/json": {"token": "p:0123456789abcdef01234567", "reason": "核实来电人"}})
ERASURE = told("erasure", {"application/json": {"token": "p:0123456789abcdef01234567", "reason": "本人申请"}})
