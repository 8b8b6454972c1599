"""The schema for editors agrees with the loader on the shape of every file, and its settings in the docs name what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from app.cli import app
from app.rule_folder import RULE_FILES
from rules.load import parse
from rules.problems import Problems
from rules.schema import FILES, schema
from tests.architecture.tree import TOP
from tests.docs.fences import fences
from tests.rules.editor import complaints, read
from tests.rules.test_overrides import TUNING, override

BAD = sorted((TOP / "tests/rules/bad").glob("*.yaml"))
SOUND = sorted(
    path
    for pattern in ("rules/packs/*.yaml", "docs/*/packs/*.yaml", "tests/rules/good/*.yaml", "benchmarks/**/*.yaml")
    for path in TOP.glob(pattern)
)
# Of shape, but beyond any schema: an editor's YAML reader tells the second itself.
BEYOND = {
    "place_that_no_item_fills",
    "alias",
    "duplicate_key",
    "impossible_date",
    "nested_too_deep",
    "test_with_impossible_date",
    "times_beyond_all_bounds",
}
# The loader judges these names together with the expressions that use them, the schema at once.
SOONER = {"bad_indicator_name", "bad_param"}


def refused(text: str, of: str = "pack") -> list[str]:
    """Return what an editor would underline."""
    whole = schema(of)
    try:
        return list(complaints(read(text), whole, whole))
    except yaml.YAMLError as error:
        return [str(error)]


@pytest.mark.parametrize("path", SOUND, ids=lambda path: str(path.relative_to(TOP)))
def test_an_editor_accepts_every_sound_pack(path: Path) -> None:
    """What is shipped, what the docs have, and the good examples: nothing is underlined."""
    assert refused(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_an_editor_refuses_what_is_wrong_by_its_shape_and_nothing_else(path: Path) -> None:
    """The loader's reading of the shape and the schema say the same of each bad file."""
    text = path.read_text(encoding="utf-8")
    problems = Problems("en")
    parse(path.name, text, problems)
    of_shape = bool(problems.errors())
    expected = path.stem not in BEYOND if of_shape else path.stem in SOONER
    assert bool(refused(text)) is expected, (refused(text), [str(each) for each in problems.all()])


def test_parameters_of_regions_and_filters_have_schemas_of_their_own() -> None:
    """Each accepts its own file and refuses the others'."""
    texts = {"pack": SOUND[-1].read_text(encoding="utf-8"), "override": override(), "tuning": TUNING}
    assert set(texts) == set(FILES)
    assert {of: [name for name, text in texts.items() if not refused(text, of)] for of in FILES} == {of: [of] for of in FILES}


@pytest.mark.parametrize("of", list(FILES))
def test_the_command_prints_what_the_library_has(of: str) -> None:
    """As JSON, with Chinese as it is."""
    printed = CliRunner().invoke(app, ["rules", "schema", "--of", of]).stdout
    assert json.loads(printed) == schema(of)
    assert "烽燧" in printed


def test_a_keyword_that_the_check_does_not_know_is_not_passed_over() -> None:
    """Else a schema with a new keyword would be tested for nothing."""
    with pytest.raises(KeyError):
        list(complaints({}, {"dependentRequired": {}}, {}))


@pytest.mark.parametrize(("page", "folder"), [("first-rule.md", "packs/"), ("rule-life.md", "")])
def test_the_settings_of_the_docs_fit_the_files(page: str, folder: str) -> None:
    """Each schema that the editor's settings name is written by a command of the page, for files that a rules folder has."""
    found = fences(TOP / "docs" / page)
    [settings] = [json.loads(each.content)["yaml.schemas"] for each in found if each.language == "json"]
    written = set(re.findall(r"rules schema.* >(\S+)", "".join(each.content for each in found if each.language == "sh")))
    assert {name.removeprefix("./") for name in settings} == written
    assert {pattern.removeprefix(folder) for pattern in settings.values()} <= set(RULE_FILES)
