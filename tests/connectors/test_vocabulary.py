"""What citizens' words are taken for: the shipped vocabulary on sentences near the border between two kinds."""

from __future__ import annotations

import pytest

from tests.connectors.senders import as_csv, signals, taken


def kind_of(text: str, category: str = "") -> str:
    """Return the kind of a hotline ticket with this text and class."""
    ticket = {"工单编号": "T1", "主要内容": text, "来电时间": "2026-03-01 08:05:09", "问题分类名称": category}
    [signal] = signals(taken("hotline-12345", as_csv([ticket]), "tickets.csv"))
    return signal.kind


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("锦绣花园二期工地扬尘很大", ""),
        ("渣土车不洒水，带泥上路", ""),
        ("楼下夜间施工，粉尘飘进家里", ""),
        ("隔壁裸土没盖，风一吹全是灰", "施工扬尘"),
        ("拆迁现场未覆盖，路面都是土", ""),
    ],
)
def test_dust_of_a_site_is_dust(text: str, category: str) -> None:
    """A building site, a demolition or its lorries are what the word dust is about."""
    assert kind_of(text, category) == "construction.dust"


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("解放路挖路灰尘大、噪声大", "道路破损与占道施工"),
        ("修路施工没有围挡，灰尘大，出行不便", ""),
        ("门前道路施工扬尘，希望早日完工", ""),
        ("路面有个大坑，车过尘土飞扬", "道路破损与占道施工"),
    ],
)
def test_dust_of_roadworks_is_no_dust_of_a_site(text: str, category: str) -> None:
    """A road that is dug up is the road office's business, not a building site's."""
    assert kind_of(text, category) != "construction.dust"
