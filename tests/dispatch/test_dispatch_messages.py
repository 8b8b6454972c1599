"""Every sentence that the obligation engine says is in the catalogue, in both languages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import dispatch
from dispatch.forms import VERDICTS
from domain.messages import CATALOGUE
from domain.policies import ACTS, ClockKind
from domain.tasks import Action, Stage

FOLDER = Path(dispatch.__file__).parent


def test_every_key_that_the_code_names_has_both_sentences() -> None:
    """Literal keys, and those made of a stage, an action, a clock, an act or a verdict."""
    made = {f"stage.{stage.value}" for stage in Stage} | {"stage.open", "stage.unrouted"}
    made |= {f"action.{action.value}" for action in Action} | {f"act.{act}" for act in ACTS}
    made |= {f"clock.{kind}" for kind in get_args(ClockKind)} | {f"verdict.{choice.value}" for choice in VERDICTS}
    said = {key for file in FOLDER.glob("*.py") for key in re.findall(r'text\(\s*"([a-z_.]+)"', file.read_text("utf-8"))}
    assert len(said) > 50
    made |= {"task.return_cap", "task.designated_stays"}
    assert sorted((said | made) - set(CATALOGUE)) == []
    assert all(all(CATALOGUE[key]) for key in said | made)
