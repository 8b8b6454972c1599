"""The one way to make the engine's pipeline, so that a question about the past is answered by the engine that judged it."""

from __future__ import annotations

from collections.abc import Callable

from app.settings import Settings
from domain.catalogue import Catalogue
from domain.levels import DEFAULT_LEVELS
from domain.ports import History
from models.registry import REGISTRY, VECTOR_REGISTRY
from rules.ruleset import RuleSet
from streams.pipeline import Pipeline, PipelineSettings


def make_pipeline(settings: Settings, load: Callable[[str], RuleSet], history: History) -> Pipeline:
    """Return a pipeline that has taken in nothing; `load` finds a rule set by its version, `history` what was before it."""
    own = PipelineSettings(namespace=settings.namespace, quiet=settings.quiet)
    return Pipeline(DEFAULT_LEVELS, Catalogue(), load, REGISTRY, own, object_detector=VECTOR_REGISTRY["forest"], history=history)
