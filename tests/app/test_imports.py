"""Imports that come in at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.app.world import World


def test_two_imports_at_once_are_both_found(shared: World) -> None:
    """Each gets a version of its own, and no object of either is lost to the look-up that signals are resolved by."""

    def send(who: int) -> int:
        rows = "id,type,name,code,region\n" + "".join(f"o-{who}-{n},enterprise,第{who}{n}公司,,610113\n" for n in range(1500))
        answer = shared.call("POST", f"/v1/import/objects?name=o{who}.csv", content=rows.encode()).json()
        return int(answer["version"])

    with ThreadPoolExecutor(2) as pool:
        versions = list(pool.map(send, range(2)))
    assert len(set(versions)) == 2
    lookup = shared.app.services.lookup
    assert lookup.version() == max(versions)
    assert all(lookup.by_id(f"o-{who}-{n}") for who in range(2) for n in range(1500))
