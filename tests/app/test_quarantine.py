"""What brought a part of the service down is set aside and shown: on the page of feeds, by the API and on the command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from app.cli import app
from connectors.inbound.edge import Edge, Taken
from tests.app.world import World, penalty


def test_a_record_and_a_file_that_were_set_aside_are_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record by number, feed and id, the file with what happened; exit 1, since somebody has to look."""
    assert world.read("/v1/quarantine") == {"records": [], "files": [], "elsewhere": ""}
    seq = world.post(penalty(1, "0.1"))["results"][0]["seq"]
    world.shut()
    (world.folder / "data" / "stepping").write_text(json.dumps({"quarantined": [seq]}))
    world.open()

    def die(*_: object) -> Taken:
        raise ZeroDivisionError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(Edge, "take", die)
        folder = world.drop("三月.csv", penalty(2, "0.1"))
    found = world.read("/v1/quarantine", "auditor")
    [record], [file] = found["records"], found["files"]
    assert (record["seq"], record["type"], record["feed"]) == (seq, "signal", "penalties")
    assert record["id"].endswith("1号/" + penalty(1)["CF_XDR_SHXYM"])
    assert (file["feed"], file["file"], file["why"]) == ("penalties", str(folder / "failed" / "三月.csv"), "ZeroDivisionError: a defect")

    page = world.call("GET", "/feeds").text
    assert "已搁置" in page
    assert record["id"] in page
    assert "三月.csv" in page
    assert 'fengsui_loop_errors_total{loop="inbox_file"} 1.0' in world.call("GET", "/metrics", "monitor").text
    told = CliRunner().invoke(
        app, ["feeds", "quarantine", "--url", world.app.settings.base_url, "--data", str(world.folder / "data"), "--output", "json"]
    )
    assert [(one["what"], one["which"]) for one in json.loads(told.stdout)] == [("record", seq), ("file", file["file"])]
    assert told.exit_code == 1
    assert world.ask("lead", "GET", "/v1/quarantine").status_code == 403
