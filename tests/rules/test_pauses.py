"""Rule sets read beside other work: at every small step their reader may have it rest."""

from __future__ import annotations

import gc

from rules.load import MOST_KEPT, load_rules
from rules.pauses import let_go, paced
from rules.ruleset import Rule
from tests.campaigns.rule_turns import many, packs

STEPS = 8  # at which a rule that is one condition asks: three kinds of reading it, of compiling and of judging it


def test_a_set_is_read_with_pauses_at_every_rule_of_it() -> None:
    """So many more rules are so many more places to rest at, and what is read is the same."""
    texts = packs(1, 3)
    few: list[int] = []
    with paced(lambda: few.append(1)):
        load_rules(texts)
    large: dict[str, str] = {}
    many(large)
    texts |= {"many-0.yaml": large["many-0.yaml"]}
    more: list[int] = []
    with paced(lambda: more.append(1)):
        found = load_rules(texts)
    again = load_rules(texts)
    assert len(more) - len(few) >= STEPS * 2_500
    assert [rule.id for rule in found.rules] == [rule.id for rule in again.rules]
    assert found.version == again.version


def test_a_file_that_was_read_before_is_not_read_again_for_the_pauses() -> None:
    """Files from memory bring none but those of compiling and judging."""
    texts = packs(2, 3)
    counts = []
    for _ in range(2):
        asked: list[int] = []
        with paced(lambda asked=asked: asked.append(1)):  # type: ignore[misc]  # a default binds the list of this round
            load_rules(texts)
        counts.append(len(asked))
    assert counts[1] < counts[0]


def test_what_is_let_go_of_goes_one_by_one() -> None:
    """At each pause one part less is left; outside of the block nobody is asked."""
    parts = [object() for _ in range(5)]
    left: list[int] = []
    with paced(lambda: left.append(len(parts))):
        let_go(parts)
    let_go([object()])
    assert left == [4, 3, 2, 1, 0]


def test_a_set_that_nobody_holds_is_gone_without_the_garbage_collector() -> None:
    """Nothing in it holds itself: a full collection would stop every thread, and comes late."""
    text = "pack: short-lived\ntitle: 暂\nsector: gas\nowner: 某局\nindicators:\n  n: {count: signals, window: 1d}\nrules:\n" + "".join(
        f"  - {{id: short-{number}, title: 暂, status: draft, when: {when}, points: 1, say: '{{n}}'}}\n"
        for number, when in enumerate(("n >= 2", "{at_least: 1, of: [short-0, n >= 3]}"))
    )
    gc.collect()
    gc.disable()
    try:
        large = load_rules({"short.yaml": text + "#" * MOST_KEPT})  # not kept in memory as a text that may come again
        assert len(large.rules) == 2
        del large
        left = [each for each in gc.get_objects() if isinstance(each, Rule) and each.pack == "short-lived"]
        loaders = [each for each in gc.get_objects() if type(each).__name__ == "XLoader"]
    finally:
        gc.enable()
    assert left == []
    assert loaders == []
