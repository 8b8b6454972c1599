"""Video alarms: two AI-box JSON shapes and Hikvision's XML (formats A8)."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from xml.sax.saxutils import escape

from app.demo.city import Camera
from app.demo.formats.scribe import Row, Scribe, setter
from app.demo.world import Happening

NAMES = {
    "no_helmet": "未戴安全帽", "no_harness": "未系安全带", "no_mask": "未戴口罩", "vehicle_stay": "车辆滞留",
    "person_gathering": "人员聚集",
    "cylinder_loading": "气瓶装卸", "fire_passage": "消防通道堵塞", "smoke": "烟雾", "rodent": "鼠患",
}  # fmt: skip
_PICTURE = base64.b64encode(bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")).decode()  # an empty JPEG
_AIDRIVE_FAULTS = (
    ("bad_date", setter("alert_time", value="2026-02-30 10:00:00")),
    ("missing_field", setter("id", value="")),
)


def _camera(scribe: Scribe, happening: Happening) -> Camera:
    found = scribe.city.cameras_of[happening.object_id]
    return next(camera for camera in found if camera.id == happening.details["camera"])


def aidrive(scribe: Scribe, happening: Happening) -> bytes:
    """Return one alarm of the first AI box; `alert_time` is in seconds since the epoch with a fraction."""
    camera = _camera(scribe, happening)
    number = scribe.number("aidrive")
    row: Row = {
        "id": f"{camera.box}-{number:07d}",
        "alert_time": round(happening.at.timestamp() + (happening.person % 1000) / 1000, 3),
        "device": {"id": camera.box, "name": f"{camera.box}盒子", "desc": camera.channel.split("-")[0]},
        "source": {"id": camera.id, "ipv4": camera.ip, "desc": camera.channel},
        "alg": {"name": happening.topic, "ch_name": NAMES[happening.topic], "type": "detect"},
        "hazard_level": happening.details["level"],
        "image": _PICTURE,
        "reserved_data": {
            "bbox": {
                "rectangles": [
                    {"xyxy": [412, 230, 518, 466], "color": [255, 0, 0], "label": happening.topic, "conf": happening.details["confidence"]}
                ],
                "polygons": {},
                "lines": {},
            },
            "custom": {},
        },
    }
    return json.dumps(scribe.spoil("video-aidrive", row, _AIDRIVE_FAULTS), ensure_ascii=False).encode()


def _lose_event(row: Row) -> None:
    row["bizData"]["eventId"] = ""


def _break_time(row: Row) -> None:
    row["bizData"]["eventTime"] = "三月一日"


_JFTECH_FAULTS = (("missing_field", _lose_event), ("bad_date", _break_time))


def jftech(scribe: Scribe, happening: Happening) -> bytes:
    """Return one alarm of the second AI box; `eventTime` is in milliseconds since the epoch."""
    camera = _camera(scribe, happening)
    number = scribe.number("jftech")
    row: Row = {
        "corpId": "yunting",
        "bizType": "ai_alarm",
        "subBizType": happening.topic,
        "bizData": {
            "eventId": f"{camera.box}{number:08d}",
            "eventName": NAMES[happening.topic],
            "eventTime": int(happening.at.timestamp() * 1000) + happening.person % 1000,
            "deviceSn": camera.box,
            "deviceName": camera.channel,
            "channelNumber": 1,
            "detailData": [
                {
                    "image": {"url": f"https://{camera.ip}/pic/{number}.jpg", "expires": 604_800},
                    "objects": [
                        {
                            "label": happening.topic,
                            "confidence": happening.details["confidence"],
                            "bbox": {"xmin": 100, "ymin": 80, "xmax": 210, "ymax": 300},
                        }
                    ],
                }
            ],
        },
    }
    return json.dumps(scribe.spoil("video-jftech", row, _JFTECH_FAULTS), ensure_ascii=False).encode()


def hikvision(scribe: Scribe, happening: Happening) -> bytes:
    """Return one alarm of a Hikvision recorder."""
    times = {"dateTime": happening.at.isoformat()}
    scribe.spoil("hikvision", times, _HIKVISION_FAULTS)
    return _alert(_camera(scribe, happening), times["dateTime"], happening.topic, "active", f"{happening.topic} alarm")


def heartbeat(camera: Camera, at: datetime) -> bytes:
    """Return the sign of life of a recorder: the loss of video that is not active."""
    return _alert(camera, at.isoformat(), "videoloss", "inactive", "videoloss alarm")


_HIKVISION_FAULTS = (
    ("bad_date", setter("dateTime", value="2026-02-30T10:00:00+08:00")),
    ("missing_field", setter("dateTime", value="")),
)


def _alert(camera: Camera, at: str, event: str, state: str, description: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<EventNotificationAlert version="2.0" xmlns="http://www.hikvision.com/ver20/XMLSchema">\n'
        f"<ipAddress>{camera.ip}</ipAddress>\n<portNo>80</portNo>\n<protocol>HTTP</protocol>\n<macAddress>{camera.mac}</macAddress>\n"
        f"<channelID>1</channelID>\n<dateTime>{at}</dateTime>\n<activePostCount>1</activePostCount>\n<eventType>{event}</eventType>\n"
        f"<eventState>{state}</eventState>\n<eventDescription>{description}</eventDescription>\n"
        f"<channelName>{escape(camera.channel)}</channelName>\n</EventNotificationAlert>\n"
    ).encode()
