"""The city of each test, and browsers of its people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient

from tests.console.city import City, gas_company
from tests.factories import make_object

Browser = Callable[[str], httpx.Client]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """A city with one gas company and its station."""
    made = City(tmp_path)
    made.register(gas_company(), make_object(id="o-2", name="科技路调压站", type="site"), make_object(id="o-3", name="好味餐馆"))
    yield made
    made.close()


@pytest.fixture
def browser(city: City) -> Iterator[Browser]:
    """Return `browser(token)`: a client that accepts HTML; "" is somebody without a credential."""
    opened: list[TestClient] = []

    def of(token: str) -> httpx.Client:
        client = TestClient(city.asgi(), base_url="http://city.test")
        client.headers["accept"] = "text/html"
        client.follow_redirects = False
        if token:
            client.headers["authorization"] = f"Bearer {token}"
        opened.append(client.__enter__())
        return client

    yield of
    for client in opened:
        client.__exit__(None, None, None)
