"""Devices and cameras: generic events, two AI boxes and Hikvision, each on files that its mapping was not written from."""

# ruff: noqa: E501  # a record stands on as few lines as its sender's would

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from connectors.inbound.mapping import Mapped, Skipped
from domain.signals import Signal
from tests.connectors.senders import as_json, as_ndjson, rejections, signals, taken

IMAGE = base64.b64encode(b"\xff\xd8 a picture " * 50).decode()
IMAGE_HASH = "sha256:" + hashlib.sha256(b"\xff\xd8 a picture " * 50).hexdigest()
EVENT: dict[str, Any] = {
    "device_id": "GAS-0042", "ts": 1773100800, "metrics": {"gas_pct_lel": 12.5, "pressure_kpa": "2.1", "battery": 88}, "alarm_code": "gas_leak",
    "site": "长庆里小区", "region": "610113",
}  # fmt: skip
AIDRIVE: dict[str, Any] = {
    "id": "a-1", "alert_time": 1773100800.25, "device": {"id": "BOX1", "name": "三号工地盒子", "desc": ""},
    "source": {"id": "CAM7", "ipv4": "10.1.1.7", "desc": "塔吊下"}, "alg": {"name": "no_helmet", "ch_name": "未戴安全帽", "type": 1},
    "hazard_level": "中", "image": IMAGE,
    "reserved_data": {"bbox": {"rectangles": [{"xyxy": [1, 2, 3, 4], "label": "head", "conf": 0.7}, {"label": "head", "conf": 0.91}]},
                      "face": [{"image": IMAGE}]},
}  # fmt: skip
JFTECH: dict[str, Any] = {
    "corpId": "c", "bizType": "ai_alarm", "subBizType": "smoke_fire",
    "bizData": {"eventId": "e-9", "eventName": "烟火告警", "eventTime": 1773100800250, "deviceSn": "SN9", "deviceName": "北门仓库", "channelNumber": 2,
                "detailData": [
                    {"image": {"url": "https://img.example/1.jpg", "expires": 60}, "objects": [{"label": "smoke", "confidence": 0.8}]},
                    {"image": {"url": "https://img.example/2.jpg"}, "objects": [{"label": "fire", "confidence": 0.95}, {"label": "smoke", "confidence": 0.5}]},
                ]},
}  # fmt: skip
HIKVISION = """<?xml version="1.0" encoding="{encoding}"?>
<EventNotificationAlert version="2.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">
<ipAddress>10.0.0.8</ipAddress><macAddress>44:19:b6:00:00:01</macAddress><channelID>1</channelID>
<dateTime>2026-03-10T08:00:00+08:00</dateTime><activePostCount>1</activePostCount>
<eventType>{event}</eventType><eventState>{state}</eventState><eventDescription>{event} alarm</eventDescription><channelName>后厨 1 号</channelName>
</EventNotificationAlert>"""


def hikvision(event: str, state: str = "active", encoding: str = "UTF-8") -> bytes:
    """Return one alert."""
    return HIKVISION.format(event=event, state=state, encoding=encoding).encode(encoding)


def test_a_device_event_gives_one_signal_per_metric_and_one_for_its_alarm() -> None:
    """Metrics become readings with their units, the alarm code a signal of its own, the battery is counted and left out."""
    results = taken("iot-json", as_json([EVENT]), "application/json")
    found = [result.signal for result in results if isinstance(result, Mapped)]
    assert [(each.kind, each.value, each.unit, each.severity) for each in found] == [
        ("gas.concentration", 12.5, "%LEL", 0), ("gas.pressure", 2.1, "kPa", 0), ("gas.leak", None, "", 3),
    ]  # fmt: skip
    assert [result.reason for result in results if isinstance(result, Skipped)] == ["device-housekeeping"]
    assert {each.object.code for each in found} == {"GAS-0042"}
    assert len({each.id for each in found}) == 3


def test_device_events_from_other_senders() -> None:
    """GB18030, other key order and names, epoch in milliseconds, null metrics and text readings are all taken."""
    turned = dict(reversed(EVENT.items())) | {"metrics": {"tank_temp_c": "81.5", "h2s_ppm": None}, "alarm_code": ""}
    renamed = {"deviceId": "T-1", "timestamp": "2026-03-10 08:00:00", "metrics": {"temp_c": 20}, "设备名称": "一号储罐"}
    body = as_ndjson([turned | {"ts": 1773100800123}, renamed], "gb18030")
    results = taken("iot-json", body, "x.ndjson")
    found = [result.signal for result in results if isinstance(result, Mapped)]
    assert [(each.object.code, each.kind, each.value) for each in found] == [
        ("GAS-0042", "chemical.temperature", 81.5), ("GAS-0042", "chemical.gas_concentration", None), ("T-1", "chemical.temperature", 20.0),
    ]  # fmt: skip
    assert found[2].object.name == "一号储罐"


def test_a_device_that_says_nothing_is_a_heartbeat() -> None:
    """An event without metrics and alarm is counted as a heartbeat, not rejected."""
    [result] = taken("iot-json", as_json([{"device_id": "G1", "ts": 1773100800, "metrics": {}}]), "a.json")
    assert result == Skipped(1, "heartbeat")


def test_a_reading_that_is_no_number_is_rejected_alone() -> None:
    """One bad metric of an event does not take the others with it."""
    event = EVENT | {"metrics": {"gas_pct_lel": "高", "pressure_kpa": 2}, "alarm_code": None}
    results = taken("iot-json", as_json([event]), "a.json")
    assert [type(result).__name__ for result in results] == ["Rejected", "Mapped"]
    assert rejections(results)[0].reason == "bad_type"
    assert '"高"' in rejections(results)[0].message


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_aidrive_alarm(encoding: str) -> None:
    """The box's alarm is one signal; its picture is a hash, in the signal and in what is kept of the record."""
    [result] = taken("video-aidrive", as_json([AIDRIVE], encoding=encoding), "application/json")
    [signal] = signals([result])
    assert (signal.kind, signal.object.code, signal.severity, signal.value) == ("construction.no_helmet", "CAM7", 2, 0.91)
    assert (signal.attrs["boxes"], signal.text, signal.attrs["image_sha256"]) == (2.0, "未戴安全帽 塔吊下 head、head", IMAGE_HASH)
    assert signal.occurred_at.isoformat() == "2026-03-10T00:00:00.250000+00:00"
    assert IMAGE.encode() not in result.raw  # type: ignore[union-attr]  # every result but a skip has it
    assert "face" not in str(signal)


def test_aidrive_variants() -> None:
    """Another key order, an algorithm known by its Chinese name alone and an empty optional part are taken."""
    turned = dict(reversed(AIDRIVE.items())) | {
        "alg": {"ch_name": "厨房老鼠识别", "name": "alg_9981"},
        "reserved_data": None,
        "hazard_level": "",
    }
    [signal] = signals(taken("video-aidrive", as_json([turned], "alerts"), "a.json"))
    assert (signal.kind, signal.value, signal.severity) == ("food.hygiene", None, 1)


def test_an_alarm_that_nobody_monitors_is_counted() -> None:
    """An algorithm that no kind stands for is skipped with its reason."""
    [result] = taken("video-aidrive", as_json([AIDRIVE | {"alg": {"name": "parking", "ch_name": "违停"}}]), "a.json")
    assert result == Skipped(1, "unlisted-kind")


def test_jftech_alarm_gives_a_signal_per_picture() -> None:
    """Each picture of an event is a signal with its own boxes; links stay, they are no pictures."""
    one, two = signals(taken("video-jftech", as_json([JFTECH]), "a.json"))
    assert (one.kind, one.value, one.attrs["boxes"]) == ("smoke.fire", 0.8, 1.0)
    assert (two.value, two.text, two.attrs["image"]) == (0.95, "烟火告警 北门仓库 fire、smoke", "https://img.example/2.jpg")
    assert (one.id, two.id) == ("e-9/1", "e-9/2")
    assert one.object.code == "SN9"


def test_jftech_variants() -> None:
    """GB18030, a single event as an object, no pictures, embedded pictures and a heartbeat."""
    bare = JFTECH | {"bizData": {key: value for key, value in JFTECH["bizData"].items() if key != "detailData"}}
    [signal] = signals(taken("video-jftech", as_ndjson([bare], "gb18030"), "a.json"))
    assert (signal.id, signal.value) == ("e-9/0", None)
    embedded = JFTECH | {"bizData": JFTECH["bizData"] | {"detailData": [{"imageBase64": IMAGE, "objects": []}]}}
    [signal] = signals(taken("video-jftech", as_json([embedded]), "a.json"))
    assert signal.attrs["image"] == IMAGE_HASH
    beats = taken("video-jftech", as_json([JFTECH | {"bizType": "heartbeat"}]), "a.json")
    assert beats == [Skipped(1, "heartbeat")] * 2


@pytest.mark.parametrize(("encoding", "hint"), [("UTF-8", "application/xml"), ("GB2312", "alarm.xml"), ("GBK", "text/xml")])
def test_hikvision_xml(encoding: str, hint: str) -> None:
    """The declared encoding of the XML is followed, the namespace does not matter."""
    [signal] = signals(taken("hikvision", hikvision("fireDetection", encoding=encoding), hint))
    assert (signal.kind, signal.severity, signal.object.name) == ("smoke.fire", 2, "后厨 1 号")
    assert signal.object.code == "44:19:B6:00:00:01"


def test_hikvision_heartbeats_are_counted() -> None:
    """A lost video that is inactive is a heartbeat; an ended event and one that nobody monitors are counted too."""
    bodies = (hikvision("videoloss", "inactive"), hikvision("fireDetection", "inactive"), hikvision("VMD"))
    results = [result for body in bodies for result in taken("hikvision", body, "a.xml")]
    assert results == [Skipped(1, "heartbeat"), Skipped(1, "event-ended"), Skipped(1, "unlisted-kind")]


def test_hikvision_json_and_multipart() -> None:
    """The JSON variant has the same keys; in a multipart body the picture's hash goes to the alert before it."""
    alert = {"ipAddress": "10.0.0.8", "channelID": 1, "dateTime": "2026-03-10T08:00:00+08:00", "eventType": "safetyHelmetDetection",
             "eventState": "active", "eventDescription": "", "channelName": "塔吊"}  # fmt: skip
    [signal] = signals(taken("hikvision", as_json([alert])[1:-1], "application/json"))
    [wrapped] = signals(taken("hikvision", b'{"EventNotificationAlert": ' + as_json([alert])[1:-1] + b"}", "application/json"))
    assert signal == wrapped
    assert signal.kind == "construction.no_helmet"
    parts = (
        b"--edge\r\nContent-Type: application/xml\r\n\r\n"
        + hikvision("smokeDetection")
        + b"\r\n--edge\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\r\n--edge--\r\n"
    )
    [signal] = signals(taken("hikvision", parts, "multipart/mixed; boundary=edge"))
    assert signal.attrs["image_sha256"] == "sha256:" + hashlib.sha256(b"\xff\xd8").hexdigest()


@dataclass(frozen=True)
class Device:
    """A sender's record; the same under other names; one in other units or times; an optional field; what becomes of each."""

    record: dict[str, Any]
    other: dict[str, Any]
    units: dict[str, Any]
    optional: str  # dotted
    kind: str
    code: str
    measured: tuple[float | None, str] = (None, "")
    of_units: tuple[float | None, str] = (None, "")
    tag: str = ""  # the XML element that holds a record

    def body(self, record: dict[str, Any], encoding: str = "utf-8") -> tuple[bytes, str]:
        """Return a file with one record, and its name."""
        if not self.tag:
            return as_json([record], encoding=encoding), "a.json"
        cells = "".join(f"<{name}>{value}</{name}>" for name, value in record.items())
        return f'<?xml version="1.0" encoding="{encoding}"?><{self.tag}>{cells}</{self.tag}>'.encode(encoding), "a.xml"


DEVICES = {
    "iot-json": Device(
        record={"device_id": "QH-7", "ts": 1773100800, "metrics": {"pressure_kpa": 2.1}, "device_name": "南门调压箱", "address": "南门街1号"},
        other={"设备编号": "QH-7", "采集时间": "2026年03月10日 08:00", "指标": "燃气压力", "数值": "2.1", "单位": "kPa", "设备名称": "南门调压箱"},
        units={"device_id": "QH-7", "ts": 1773100800000, "metric": "pressure", "value": 0.0021, "unit": "MPA", "device_name": "南门调压箱"},
        optional="address", kind="gas.pressure", code="QH-7", measured=(2.1, "kPa"), of_units=(0.0021, "MPa"),
    ),
    "video-aidrive": Device(
        record=AIDRIVE, other=AIDRIVE | {"alg": {"name": "helmet", "ch_name": "安全帽检测"}, "hazard_level": "medium"},
        units=AIDRIVE | {"alert_time": "2026-03-10 08:00:00.250", "hazard_level": 2},
        optional="source.desc", kind="construction.no_helmet", code="CAM7", measured=(0.91, ""), of_units=(0.91, ""),
    ),
    "video-jftech": Device(
        record=JFTECH | {"bizData": JFTECH["bizData"] | {"detailData": JFTECH["bizData"]["detailData"][:1]}},
        other=JFTECH | {"subBizType": "ai_9", "bizData": JFTECH["bizData"] | {"detailData": JFTECH["bizData"]["detailData"][:1]}},
        units=JFTECH | {"bizData": JFTECH["bizData"] | {"eventTime": "2026-03-10T08:00:00.250+08:00", "detailData": JFTECH["bizData"]["detailData"][:1]}},
        optional="bizData.deviceName", kind="smoke.fire", code="SN9", measured=(0.8, ""), of_units=(0.8, ""),
    ),
    "hikvision": Device(
        record={"ipAddress": "10.0.0.8", "macAddress": "44:19:b6:00:00:01", "channelID": 1, "dateTime": "2026-03-10T08:00:00+08:00",
                "eventType": "fireDetection", "eventState": "active", "eventDescription": "烟火告警", "channelName": "后厨 1 号"},
        other={"ipv6Address": "fe80::8", "macAddress": "44:19:B6:00:00:01", "dynChannelID": 1, "dateTime": "2026-03-10T08:00:00+08:00",
               "eventType": "customEvent", "eventState": "ACTIVE", "eventDescription": "烟火告警", "channelName": "后厨 1 号"},
        units={"ipAddress": "10.0.0.8", "macAddress": "44:19:b6:00:00:01", "channelID": 1, "dateTime": "2026-03-10T00:00:00Z",
               "eventType": "FireDetection", "eventState": "active", "channelName": "后厨 1 号"},
        optional="channelName", kind="smoke.fire", code="44:19:B6:00:00:01", tag="EventNotificationAlert",
    ),
}  # fmt: skip
WHEN = "2026-03-10T00:00:00"


def without(record: dict[str, Any], path: str, nothing: Any) -> dict[str, Any]:
    """Return a record in which the field at a dotted path says nothing."""
    head, _, rest = path.partition(".")
    return record | {head: without(record[head], rest, nothing) if rest else nothing}


def reversed_keys(value: Any) -> Any:
    """Return a record with the keys of all its objects in the opposite order."""
    return {key: reversed_keys(held) for key, held in reversed(value.items())} if isinstance(value, dict) else value


def only(feed: str, record: dict[str, Any], encoding: str = "utf-8") -> Signal:
    """Return the one signal of a record and check what all files of the device have in common."""
    device = DEVICES[feed]
    [signal] = signals(taken(feed, *device.body(record, encoding)))
    assert (signal.kind, signal.object.code) == (device.kind, device.code)
    assert signal.occurred_at.isoformat().startswith(WHEN)
    return signal


@pytest.mark.parametrize("feed", DEVICES)
def test_a_device_s_file_in_gb18030(feed: str) -> None:
    """The same facts in either encoding."""
    device = DEVICES[feed]
    signal = only(feed, device.record, "gb18030")
    assert signal == only(feed, device.record)
    assert (signal.value, signal.unit) == device.measured


@pytest.mark.parametrize("feed", DEVICES)
def test_a_device_s_file_in_another_order(feed: str) -> None:
    """The order of keys and elements says nothing."""
    assert only(feed, reversed_keys(DEVICES[feed].record)) == only(feed, DEVICES[feed].record)


@pytest.mark.parametrize("feed", DEVICES)
def test_a_device_s_file_under_other_names(feed: str) -> None:
    """Other field names and codes of the trade are the same event, with the same reading."""
    device = DEVICES[feed]
    signal = only(feed, device.other)
    assert (signal.value, signal.unit) == device.measured
    assert signal.severity == only(feed, device.record).severity or feed == "hikvision"


@pytest.mark.parametrize("feed", DEVICES)
def test_a_device_s_file_in_other_units(feed: str) -> None:
    """MPa instead of kPa keeps its own unit, and a time in another form is the same instant."""
    device = DEVICES[feed]
    signal = only(feed, device.units)
    assert (signal.value, signal.unit) == device.of_units


@pytest.mark.parametrize("feed", DEVICES)
@pytest.mark.parametrize("nothing", ["", "null", "-", "无"])
def test_a_device_s_file_with_an_empty_optional_field(feed: str, nothing: str) -> None:
    """A field that this sender leaves empty is no reason to reject, whatever it writes for nothing."""
    record = without(DEVICES[feed].record, DEVICES[feed].optional, nothing)
    assert only(feed, record).id == only(feed, DEVICES[feed].record).id


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("low_pressure", "gas.pressure_alarm"), ("压力过低", "gas.pressure_alarm"), ("over_temp", "chemical.temperature_alarm"), ("over_temp_high", "chemical.temperature_alarm"),
        ("OVER_TEMPERATURE", "chemical.temperature_alarm"), ("浓度超限", "chemical.gas_alarm"), ("燃气泄漏", "gas.leak"),
    ],
)  # fmt: skip
def test_an_alarm_of_a_reading_is_an_event_of_its_own(code: str, kind: str) -> None:
    """It has no value: no mean of readings takes it for one; and it weighs more than a reading."""
    event = {"device_id": "G1", "ts": 1773100800, "metrics": {}, "alarm_code": code}
    [signal] = signals(taken("iot-json", as_json([event]), "a.json"))
    assert (signal.kind, signal.value) == (kind, None)
    assert signal.severity >= 2
