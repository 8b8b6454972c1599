"""The one way to make the engine's pipeline, so that a question about the past is answered by the engine that judged it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from app.settings import SHIPPED_MAPPINGS, Settings
from connectors.inbound.mapping_load import load_folder
from connectors.inbound.mapping_model import Mapping as FeedMapping
from domain.catalogue import Catalogue
from domain.levels import DEFAULT_LEVELS
from domain.ports import History, Inference, PeerComparison
from models.registry import REGISTRY, VECTOR_REGISTRY
from rules.ruleset import RuleSet
from streams.pipeline import Pipeline, PipelineSettings


def load_mappings(extra: Path | None) -> Mapping[str, FeedMapping]:
    """Return the shipped mappings, those of `extra` in their place where they name the same feed.

    Raises:
        FileProblems: all problems of all files.
    """
    return load_folder(SHIPPED_MAPPINGS) | (load_folder(extra) if extra is not None else {})


def lateness(extra: Path | None) -> dict[str, timedelta]:
    """Return how late the data of each feed may be, as its mapping says; `extra` is a folder of own mappings.

    Raises:
        FileProblems: all problems of all mappings.
    """
    return {feed: mapping.delay for feed, mapping in load_mappings(extra).items() if mapping.delay}


def feed_delays(mappings: Mapping[str, FeedMapping]) -> dict[str, timedelta]:
    """Return how late the data of each source may be: as that of the quickest of its feeds."""
    found: dict[str, timedelta] = {}
    for mapping in mappings.values():
        found[mapping.source] = min(found.get(mapping.source, mapping.delay), mapping.delay)
    return found


def make_pipeline(
    settings: Settings,
    load: Callable[[str], RuleSet],
    history: History | None,
    inference: Inference | None = None,
    comparison: Callable[[], PeerComparison] = VECTOR_REGISTRY["forest"],
    *,
    passed_on: bool = False,
) -> Pipeline:
    """Return a pipeline that has taken in nothing; `load` finds a rule set by its version, `history` what was before it.

    `inference` answers what follows from findings, without it the matcher: the outcomes are the same. `comparison` makes what compares
    objects at night. With `passed_on` it takes in what other partitions pass on: nothing waits there for its object but what is being
    confirmed.
    """
    own = PipelineSettings(namespace=settings.namespace, quiet=settings.quiet, lateness=lateness(settings.mappings))
    if passed_on:
        own = msgspec.structs.replace(own, waiting_limit=1, waiting_before=own.waiting_limit)  # what is confirmed waits for a moment
    return Pipeline(DEFAULT_LEVELS, Catalogue(), load, REGISTRY, own, object_detector=comparison, history=history, inference=inference)
