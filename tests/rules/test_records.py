"""Each shipped rule names a record that triggers it: a real row of that feed, through the real mapping, is what its tests feed it."""

from __future__ import annotations

import pytest

from connectors.inbound.mapping import Mapped
from rules.cases import Case
from rules.ruleset import Rule
from tests.connectors.senders import FEEDS, signals, taken
from tests.rules.records import row
from tests.rules.test_packs import CASES, RULESET


def own(rule: Rule) -> list[Case]:
    """Return the cases of a rule."""
    return [case for case in CASES if case.rule == rule.id]


@pytest.mark.parametrize("rule", RULESET.rules, ids=lambda rule: rule.id)
def test_the_named_record_is_what_the_tests_of_the_rule_feed(rule: Rule) -> None:
    """Source, kind and, for general kinds, matter of the mapped row are those of a signal in a test that expects a hit."""
    record = rule.record
    assert record is not None
    assert record.feed in FEEDS
    body, name = row(record)
    found = [each for each in signals(taken(record.feed, body, name)) if each.kind == record.kind]
    assert len(found) == 1, [each.signal.kind for each in taken(record.feed, body, name) if isinstance(each, Mapped)]
    [signal] = found
    assert record.matter in {"", signal.matter}
    fed = [given for case in own(rule) if case.expect.hits for _, given in case.signals]
    same = [given for given in fed if (given.source, given.kind) == (signal.source, signal.kind)]
    assert same, (signal.source, signal.kind, signal.matter, sorted({(each.source, each.kind, each.matter) for each in fed}))
    assert not record.matter or record.matter in {given.matter for given in same}, {given.matter for given in same}
    if signal.source == "iot" and signal.unit:
        assert {given.unit.replace("μ", "u").replace("³", "3") for given in same} & {signal.unit}
