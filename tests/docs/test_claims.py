"""What the documentation names exists: commands and their options, routes, settings, metrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.di import Provide
from litestar.routes import HTTPRoute

from app.api.application import ROUTES
from app.api.roles import OPEN, OVERSEERS, READERS
from app.console.pages import console_router
from app.engine import VARIABLE as VARIABLE_OF_ENGINE
from app.metrics import Metrics
from rules.schema import schema
from rules.vocabulary import LATER
from storage.walls import DEPARTMENT, READER, SERVICE
from tests.architecture.tree import TOP, tracked_files
from tests.docs import packs_page
from tests.docs.command_line import options, tree, variables, wrong_with
from tests.docs.fences import fences
from tests.docs.packs_page import shipped
from tests.docs.settings_page import CHINESE, PAGE, page, settings

MARKDOWN = [path for path in tracked_files() if path.suffix == ".md"]
each_page = pytest.mark.parametrize("markdown", MARKDOWN, ids=lambda path: str(path.relative_to(TOP)))
ROUTE = re.compile(
    r"(?:\b(GET|POST|PUT|DELETE)\s+)?(?<![\w.$}])(/(?:v1/[\w/{}$.-]+|healthz|readyz|metrics|openapi\.json|inbox|login|answer/[\w{}]+))"
)
VARIABLE = re.compile(r"\bFENGSUI_[A-Z0-9_]+\b")
METRIC = re.compile(r"\bfengsui_[a-z_]+\b")
GROUPS = {"readers": READERS, "overseers": OVERSEERS, "–": OPEN}
TESTING = frozenset({"FENGSUI_CRASH", "FENGSUI_PLANT"})  # of the campaigns, for no user


def code(markdown: Path) -> Iterator[str]:
    """Yield the code of a page: fenced blocks that are no output, and spans."""
    text = markdown.read_text(encoding="utf-8")
    yield from (fence.content for fence in fences(markdown) if fence.language != "text")
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


@cache
def routes() -> dict[tuple[str, str], frozenset[str]]:
    """Return method and path of every route, each parameter as `{}`, with the roles that may call it."""
    given = {"services": Provide(lambda: None, sync_to_thread=False), "principal": Provide(lambda: None, sync_to_thread=False)}
    walked = Litestar(route_handlers=[*ROUTES, console_router()], dependencies=given, openapi_config=None, logging_config=None).routes
    return {
        (method, re.sub(r"\{[^}]*\}", "{}", one.path)): handler.opt["roles"]
        for one in walked
        if isinstance(one, HTTPRoute)
        for handler in one.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS"
    }


def matches(method: str, path: str, known: Iterable[tuple[str, str]]) -> bool:
    """Say whether a documented path is a route; `{id}`, `$W` and one written-out value stand for a parameter."""
    given = path.rstrip("/.").split("/")
    for legal_method, legal in known:
        parts = legal.split("/")
        fits = len(parts) == len(given) and all(part in ("{}", one) for part, one in zip(parts, given, strict=True))
        if fits and method in ("", legal_method):
            return True
    return False


@each_page
def test_every_command_exists_with_its_options(markdown: Path) -> None:
    """No page names a command or an option that `fengsui` does not have."""
    assert [wrong for piece in code(markdown) for wrong in wrong_with(piece)] == []


@each_page
def test_every_route_exists(markdown: Path) -> None:
    """No page names an address that answers 404 by its shape."""
    known = routes()
    named = [found for piece in code(markdown) for found in ROUTE.findall(piece)]
    assert [" ".join(one).strip() for one in named if not matches(*one, known)] == []


@each_page
def test_every_variable_is_a_setting(markdown: Path) -> None:
    """No page names an environment variable that nothing reads."""
    known = {one.variable for one in settings()} | variables() | TESTING | {VARIABLE_OF_ENGINE}
    named = {name for piece in code(markdown) for name in VARIABLE.findall(piece)}
    assert sorted(name for name in named if name not in known and name != "FENGSUI_") == []


@each_page
def test_every_metric_is_exposed(markdown: Path) -> None:
    """No page names a metric that `/metrics` does not have, but for the database's roles, which begin alike."""
    exposition = Metrics().exposition().decode()
    known = set(re.findall(r"^# TYPE (\w+)", exposition, re.MULTILINE)) | {SERVICE, DEPARTMENT, READER}
    named = {name for piece in code(markdown) for name in METRIC.findall(piece)}
    assert sorted(name for name in named if re.sub(r"_(bucket|sum|count)$", "", name) not in known and name not in known) == []


@each_page
def test_every_target_exists(markdown: Path) -> None:
    """No page names a target that `make` does not have."""
    targets = set(re.findall(r"^\.PHONY: (\S+)$", (TOP / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {name for piece in code(markdown) for name in re.findall(r"(?:^|[;&] *)make ([a-z-]+)", piece, re.MULTILINE)}
    assert sorted(named - targets) == []


@each_page
def test_every_module_that_is_run_exists(markdown: Path) -> None:
    """What a page runs with `python -m` is there."""
    named = {name for piece in code(markdown) for name in re.findall(r"python -m ([\w.]+)", piece)}
    paths = [TOP / name.replace(".", "/") for name in sorted(named)]
    assert [str(path) for path in paths if not path.with_suffix(".py").is_file() and not (path / "__main__.py").is_file()] == []


def test_the_readmes_count_what_is_shipped() -> None:
    """As many feeds and rule packs are there as both READMEs say."""
    feeds, packs = (len(list((TOP / folder).glob("*.yaml"))) for folder in ("connectors/mappings", "rules/packs"))
    english, chinese = ((TOP / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md"))
    assert f"{feeds} are shipped" in english
    assert f"随附 {feeds} 个" in chinese
    rules = len(shipped().rules)
    assert f"{packs} packs with {rules} rules are shipped" in english
    assert f"随附 {packs} 个规则包、{rules} 条规则" in chinese


def test_the_page_of_packs_is_that_of_the_packs() -> None:
    """Docs/packs.md lists every shipped rule as it is; `python -m tests.docs.packs_page` writes it anew."""
    assert packs_page.page(shipped()) == packs_page.PAGE.read_text(encoding="utf-8")


def _section(name: str, after: str, before: str) -> str:
    return (TOP / name).read_text("utf-8").partition(after)[2].partition(before)[0]


def _is_there(pattern: str) -> bool:
    return any(TOP.glob(pattern))


# What the READMEs say is not there yet, in both languages, and whether it is there after all.
ABSENT: list[tuple[str, str, Callable[[], bool]]] = [
    ("Kafka", "Kafka", lambda: _is_there("streams/runtimes/*kafka*") or _is_there("streams/runtimes/*faust*")),
    ("PostgreSQL", "PostgreSQL", lambda: _is_there("storage/*postgres*")),
    ("MQTT", "MQTT", lambda: _is_there("connectors/**/*mqtt*")),
    ("HJ 212", "HJ 212", lambda: _is_there("connectors/**/*hj*212*")),
    ("GB 26875", "GB 26875", lambda: _is_there("connectors/**/*26875*")),
    ("chat robots", "群机器人", lambda: _is_there("connectors/outbound/*robot*") or _is_there("connectors/outbound/*dingtalk*")),
    ("short messages", "短信", lambda: _is_there("connectors/outbound/*sms*")),
    ("OIDC", "OIDC", lambda: _is_there("app/**/*oidc*")),
    ("back-up command", "备份命令", lambda: "backup" in tree().commands),
    ("back-test", "回测", lambda: "backtest" in tree().commands["rules"].commands),
]
# What they say that rules can do, in both languages, and the words of the language that do it.
FINDS = [
    ("sequences and absence", "先后与缺失", {"first", "then", "then_not", "within"}),
    ("N of M", "N 选 M", {"at_least", "of"}),
    ("own history", "自身历史", {"history", "periods"}),
    ("peers", "同类", {"peers"}),
    ("per region", "分区域参数", {"reason", "until", "params"}),
    ("conclusions from several findings", "由几项发现得出的结论", {"inferences", "transfer"}),
]


@pytest.mark.parametrize(("english", "chinese", "there"), ABSENT, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_not_there_yet_is_on_the_list_and_nothing_else_is(english: str, chinese: str, there: Callable[[], bool]) -> None:
    """Both READMEs name what is missing, and no longer once it is there."""
    told = (english in _section("README.md", "Not yet:", "[CHANGELOG"), chinese in _section("README.zh-CN.md", "尚未包含：", "[CHANGELOG"))
    assert told == (not there(), not there())


@pytest.mark.parametrize(("english", "chinese", "words"), FINDS, ids=[english for english, *_ in FINDS])
def test_what_rules_find_is_in_the_language(english: str, chinese: str, words: set[str]) -> None:
    """Each is claimed in the row of both READMEs, stands in the schema, is refused nowhere as a word for later, and is not "not yet"."""
    known = {key for doc in schema()["$defs"].values() for key in doc["properties"]}
    assert words <= known - set(LATER)
    for name, row, absent, phrase in (
        ("README.md", "| **Finds** |", "Not yet:", english),
        ("README.zh-CN.md", "| **发现** |", "尚未包含：", chinese),
    ):
        assert phrase in _section(name, row, "\n")
        assert phrase not in _section(name, absent, "[CHANGELOG")


def test_the_page_of_settings_is_that_of_the_model() -> None:
    """Docs/settings.md has every setting as it is; `python -m tests.docs.settings_page` writes it anew."""
    assert page(options("serve")) == PAGE.read_text(encoding="utf-8")
    assert [one.name for one in settings()] == list(CHINESE)
    assert all(one.meaning for one in settings())


def test_the_page_on_http_has_every_route_with_its_roles() -> None:
    """Each route under `/v1` has a row in docs/api.md, and each row names exactly the roles that the route declares."""
    told = {}
    for method, path, who in re.findall(r"^\| `(\w+) (/\S+)` \| ([^|]*) \|", (TOP / "docs/api.md").read_text("utf-8"), re.MULTILINE):
        named = re.findall(r"[\w–]+", who)
        told[method, re.sub(r"\{[^}]*\}", "{}", path)] = {role for name in named for role in GROUPS.get(name, {name})}
    known = {route: set(roles) for route, roles in routes().items() if route in told or route[1].startswith("/v1/")}
    assert told == known


@pytest.mark.parametrize(
    ("piece", "wrong"),
    [
        ("fengsui serve --data ./data", []),
        (".venv/bin/fengsui --help", []),
        ("fengsui rules check|test", []),
        ("fengsui rules check|tset", ["fengsui rules tset"]),
        ("fengsui backup", ["fengsui backup"]),
        ("fengsui --version", []),
        ("fengsui --vresion", ["fengsui --vresion"]),
        ("W=$(fengsui warnings list --output json | python -c 'x')", []),
        ("/opt/fengsui/bin/fengsui serve", []),
        ("/var/lib/fengsui data", []),
    ],
)
def test_a_wrong_command_is_seen(piece: str, wrong: list[str]) -> None:
    """The check finds unknown groups, commands and options, and nothing else."""
    assert wrong_with(piece) == wrong


@pytest.mark.parametrize(
    ("method", "path", "fits"),
    [
        ("GET", "/v1/warnings/{id}", True),
        ("", "/v1/warnings/$W/responses", True),
        ("GET", "/v1/warnings/{id}/responses", False),
        ("", "/v1/warning", False),
        ("POST", "/v1/feeds/penalties/records", True),
        ("", "/healthz", True),
    ],
)
def test_a_wrong_route_is_seen(method: str, path: str, fits: bool) -> None:
    """Paths are compared part by part, methods where they are named."""
    assert matches(method, path, routes()) is fits
