"""What docs/interfaces.md tells other systems is what Fengsui sends and takes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from app.answers import Answer
from app.clock import SystemClock
from connectors.inbound.canonical import read_signal
from connectors.outbound.webhook import headers
from dispatch.deliver import SCHEDULE
from dispatch.forms import FORMS
from domain.clock import ManualClock
from domain.policies import ACTS
from storage import outbox
from tests.architecture.tree import TOP
from tests.console.city import City
from tests.docs.fences import fences

PAGE = TOP / "docs" / "interfaces.md"
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def blocks(language: str) -> list[str]:
    """Return the contents of the page's blocks of one language."""
    return [fence.content for fence in fences(PAGE) if fence.language == language]


def code(name: str) -> Any:
    """Return a function that the page shows, run as it stands."""
    namespace: dict[str, Any] = {}
    for block in blocks("python"):
        exec(compile(block, PAGE.name, "exec"), namespace)
    return namespace[name]


def shape(value: Any) -> Any:
    """Return the keys of nested objects; of a list those of its first element."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def example(key: str) -> dict[str, Any]:
    """Return the JSON example that has `key` at its top."""
    (found,) = [one for one in map(json.loads, blocks("json")) if key in one]
    return dict(found)


def test_the_receiver_takes_what_is_sent_once_and_nothing_else() -> None:
    """The code of the page accepts our own headers, sees the repeat, and refuses a foreign or a broken signature."""
    take, known = code("take"), set[str]()
    body = json.dumps(example("timestamp")).encode()
    sent = headers([SECRET], "n1", body, SystemClock().now())
    assert (take(SECRET, sent, body, known), take(SECRET, sent, body, known), known) == (204, 204, {"n1"})
    assert take("whsec_" + "A" * 32, sent, body, known) == 401
    assert take(SECRET, sent | {"webhook-signature": "nonsense"}, body, known) == 401


def test_a_signed_answer_is_what_the_gate_verifies() -> None:
    """The code of the page signs the very bytes that it returns, and they are an answer that names its task."""
    sent, body = code("signed")(SECRET, example("action"), "answer-1")
    assert Webhook(SECRET).verify(body, sent) == example("action")
    assert msgspec.json.decode(body, type=Answer).task
    assert sent["idempotency-key"] == "answer-1"


def test_the_example_of_a_webhook_has_the_keys_of_a_real_one(tmp_path: Path) -> None:
    """Every key of the body is in the example, and no other."""
    city = City(tmp_path, ManualClock(NOW))
    try:
        seq, entry = city.signal("s-1")
        warning = city.warn(level="yellow", evidence=[(seq, entry)])
        with city.database.read() as connection:
            sent = [one for one in outbox.listed(connection, warning_id=warning) if one.event == "task.assigned"]
        assert shape(json.loads(sent[0].body)) == shape(example("timestamp"))
    finally:
        city.close()


def test_the_example_of_a_signal_is_one() -> None:
    """The canonical signal of the page is accepted."""
    assert read_signal(example("object"), NOW).kind == "gas.leak"


def test_all_event_types_are_told_and_no_other() -> None:
    """The table of the page has the types that the obligation engine sends."""
    source = "".join(path.read_text("utf-8") for path in sorted((TOP / "dispatch").glob("*.py")))
    calls = re.findall(r"\b(?:re)?tell\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", source)
    sent = {event for call in calls for event in re.findall(r'"((?:task|case)\.[a-z_]+)"', call.split("text(")[0])}
    assert 'f"task.{act}"' in source
    told = re.findall(r"^\| (`(?:task|case)\.[^|]*)\|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {name for row in told for name in re.findall(r"`([a-z_.]+)`", row)} == sent | {f"task.{act}" for act in ACTS}


def test_the_pauses_between_attempts_are_those_of_the_page() -> None:
    """The sentence on retries has the schedule."""

    def written(pause: timedelta) -> str:
        seconds = int(pause.total_seconds())
        return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"

    pauses = [written(pause) for pause in SCHEDULE[1:]]
    assert f"after {', '.join(pauses[:-1])} and {pauses[-1]}" in PAGE.read_text("utf-8")


@pytest.mark.parametrize(("action", "form"), [("verify", "verify"), ("handle", "handle"), ("feed_back", "feedback")])
def test_the_table_of_forms_names_every_field_and_choice(action: str, form: str) -> None:
    """Whoever fills in a form after the page finds each field and each legal value there."""
    (row,) = re.findall(rf"^\| `{action}` .*$", PAGE.read_text("utf-8"), re.MULTILINE)
    named = set(re.findall(r"`([a-z_]+)`", row))
    fields = FORMS[f"{form}.default"].fields
    assert {field.name for field in fields} | {choice.value for field in fields for choice in field.choices} == named - {action}
