"""The commands of a cluster: `fengsui topics plan|apply|check`, and its roles."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.output import FINDINGS, USAGE, Output, OutputOption, needs_extra, note, plain_errors, show
from domain.errors import IllegalValue
from domain.instants import spoken
from domain.messages import both

if TYPE_CHECKING:
    from app.cluster.publishing import Published
    from app.settings import Settings
    from connectors.kafka.topics import Topics

topics = typer.Typer(no_args_is_help=True, help="集群的 Kafka 主题 / Kafka topics of a cluster")

ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML 设置文件 / settings file")]
BootstrapOption = Annotated[str | None, typer.Option("--bootstrap", help="Kafka 地址，主机:端口 / addresses of brokers, HOST:PORT,…")]
PrefixOption = Annotated[str | None, typer.Option("--prefix", help="主题名的开头，缺省 fengsui / what topic names begin with")]
PartitionsOption = Annotated[int | None, typer.Option("--partitions", help="分区数，建立后不可改变 / partitions; fixed once made")]
DataOption = Annotated[Path | None, typer.Option("--data", help="本进程的数据目录，缺省 ./data / data folder of this process")]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database-url", help="集群共用的 PostgreSQL：postgresql://用户@主机/库 / PostgreSQL that all roles share"),
]
MetricsPortOption = Annotated[int | None, typer.Option("--metrics-port", help="指标端口，缺省不开放 / port of its metrics, default none")]
HostOption = Annotated[str | None, typer.Option("--host", help="监听地址，缺省 127.0.0.1 / address to listen on")]
PortOption = Annotated[int | None, typer.Option("--port", help="监听端口，缺省 8080 / port to listen on")]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="详细日志 / debug logs")]
ReducedOption = Annotated[
    bool,
    typer.Option(
        "--reduced-durability", help="接受少于 3 个副本：坏一台机器会丢数据 / accept fewer than 3 replicas: one lost machine loses data"
    ),
]


@topics.command()
def plan(
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    prefix: PrefixOption = None,
    partitions: PartitionsOption = None,
    *,
    reduced_durability: ReducedOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """显示 apply 会做什么，不做改动 / Show what `apply` would do; nothing is changed. Exit code 1 where it could not do all of it."""
    settings = _settings(config, bootstrap, prefix, partitions, reduced_durability=reduced_durability)
    with _topics(settings) as found:
        wrong = found.differences()
        show([_row(one.topic, "apply" if one.mendable else "refuse", one.what) for one in wrong], ("topic", "what", "detail"), output)
        if any(not one.mendable for one in wrong):
            raise typer.Exit(FINDINGS)


@topics.command()
def apply(
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    prefix: PrefixOption = None,
    partitions: PartitionsOption = None,
    *,
    reduced_durability: ReducedOption = False,
    same_placement: Annotated[
        bool,
        typer.Option(
            "--same-placement",
            help="确认本版研判各领域的分区与原来相同 / you know that this version judges every sector where it was judged before",
        ),
    ] = False,
) -> None:
    """建立缺少的主题，改正会丢数据的设置；从不删除，从不改变分区数 / Make what is missing, mend settings; nothing is ever deleted."""
    settings = _settings(config, bootstrap, prefix, partitions, reduced_durability=reduced_durability)
    with _topics(settings) as found:
        for done in found.apply(same_placement=same_placement) or [both("topics.fine")]:
            typer.echo(done)


@topics.command()
def check(
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    prefix: PrefixOption = None,
    partitions: PartitionsOption = None,
    *,
    reduced_durability: ReducedOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """检查主题与来源主题能否使用 / Check whether topics and sources can be used; exit code 1 where something is wrong."""
    settings = _settings(config, bootstrap, prefix, partitions, reduced_durability=reduced_durability)
    with _topics(settings) as found:
        from app.cluster.sources import standing

        wrong = found.differences()
        rows = [_row(one.topic, "missing" if one.missing else "wrong", one.what) for one in wrong]
        named = zip(settings.kafka.sources, standing(settings.kafka), strict=True)
        rows += [_row(source.topic, "source", told) for source, (ok, told) in named if not ok]
    if rows:
        show(rows, ("topic", "what", "detail"), output)
        if mendable := sum(one.mendable for one in wrong):
            note(both("topics.mendable", count=mendable))
        raise typer.Exit(FINDINGS)
    show([], ("topic", "what", "detail"), output) if output is Output.JSON else typer.echo(both("topics.fine"))


def _role(**own: Any) -> Callable[[Callable[[Settings], None]], Callable[..., None]]:
    """Make a command of what runs a role with its settings: with the options that all roles have, and those of its `own`."""
    shared: dict[str, Any] = {"data": DataOption, "config": ConfigOption, "bootstrap": BootstrapOption, "prefix": PrefixOption}
    shared |= {"partitions": PartitionsOption, "host": HostOption, **own, "database_url": DatabaseOption}
    flags = {"reduced_durability": ReducedOption, "verbose": VerboseOption}

    def with_options(run: Callable[[Settings], None]) -> Callable[..., None]:
        def command(*, verbose: bool, reduced_durability: bool, **given: Any) -> None:
            of_kafka = [given.pop(name) for name in ("config", "bootstrap", "prefix", "partitions")]
            settings = _settings(*of_kafka, reduced_durability=reduced_durability, **given)
            with _as_service(verbose=verbose):
                run(settings)

        options = [(name, option, None) for name, option in shared.items()] + [(name, option, False) for name, option in flags.items()]
        keyword = Parameter.KEYWORD_ONLY
        command.__signature__ = Signature([Parameter(name, keyword, default=unset, annotation=one) for name, one, unset in options])  # type: ignore[attr-defined]  # what typer reads
        command.__annotations__ = {name: option for name, option, _ in options}
        command.__name__, command.__doc__ = run.__name__, run.__doc__
        return command

    return with_options


@_role(port=PortOption)
def edge(settings: Settings) -> None:
    """集群的接入：与 serve 相同的入口，写入 Kafka / The doors of a cluster: as those of `serve`, with Kafka in the place of the journal."""
    from app.cluster.edge import EdgeRole
    from app.server import TURN, Server

    sys.setswitchinterval(TURN)
    with EdgeRole(settings) as role:
        where = f"http://{role.settings.host}:{role.settings.port}"  # not where links lead: that is the console
        note(f"烽燧 Fengsui edge  {where}/   令牌文件 / token: {settings.data / 'admin-token'}")
        Server(role).run()


@_role(metrics_port=MetricsPortOption)
def worker(settings: Settings) -> None:
    """集群的研判：处理分到的分区；以 70 退出时须由守护程序重启 / Judge the partitions assigned to it; status 70 wants a restart."""
    from app.cluster.worker import WorkerRole

    with WorkerRole(settings) as role:
        note(f"烽燧 Fengsui worker  {settings.kafka.layout().topic('frames')}")
        role.run()


@_role(metrics_port=MetricsPortOption)
def duty(settings: Settings) -> None:
    """集群的督办：计时、升级、送达；可同时运行多个 / Timers, escalation and deliveries of a cluster; several may run at once."""
    from app.cluster.duty import DutyRole

    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with DutyRole(settings) as role:
        note(f"烽燧 Fengsui duty  {role.database.where}")
        status = role.run(over)
    if status:
        raise typer.Exit(status)


@_role(port=PortOption)
def api(settings: Settings) -> None:
    """集群的接口与控制台，读写共用的数据库 / API and console of a cluster, over the database that all roles share."""
    from app.cluster.api import ApiRole
    from app.server import TURN, Server

    sys.setswitchinterval(TURN)
    with ApiRole(settings) as role:
        note(f"烽燧 Fengsui api  {role.settings.base_url}/   令牌文件 / token: {settings.data / 'admin-token'}")
        Server(role).run()
    if role.ended:
        note(role.ended)
        raise typer.Exit(USAGE)


def publish(
    rules: Annotated[Path, typer.Option("--rules", help="规则目录 / folder of rule packs")],
    data: DataOption = None,
    config: ConfigOption = None,
    bootstrap: BootstrapOption = None,
    prefix: PrefixOption = None,
    partitions: PartitionsOption = None,
    database_url: DatabaseOption = None,
    by: Annotated[str, typer.Option("--by", help="由谁启用 / who puts them in force")] = "system",
    *,
    start_empty: Annotated[
        bool, typer.Option("--start-empty", help="新指标自启用起计，不补算 / new indicators count from the activation on")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="看守规则目录，有改动即启用 / go on: what changes there is put in force")] = False,
    reduced_durability: ReducedOption = False,
) -> None:
    """在集群中启用规则：先存入数据库，再发到每个分区 / Put rules in force in a cluster: database first, then every partition."""
    flags = {"data": data, "database_url": database_url}
    settings = _settings(config, bootstrap, prefix, partitions, reduced_durability=reduced_durability, **flags)
    with plain_errors(), needs_extra():
        from app.clock import SystemClock
        from app.cluster.publishing import publish as put_in_force

        if watch:
            _follow(settings, rules, by, count_back=not start_empty)
        else:
            _tell_published(put_in_force(settings, rules, by, SystemClock(), count_back=not start_empty, tell=note))


def _tell_published(done: Published) -> None:
    typer.echo(both("rules.published", version=done.version, rules=done.rules))
    for remark in done.remarks:
        note(remark)
    for failing in done.failing:
        note(both("rules.test_fails", test=failing))
    if done.counted_from is not None:
        note(both("publish.counted_back", indicators=", ".join(done.fresh), since=spoken(done.counted_from)))


def _follow(settings: Settings, rules: Path, by: str, *, count_back: bool) -> None:
    """Publish what changes in a folder until SIGINT or SIGTERM; raises IllegalValue where the settings say never to look."""
    from contextlib import closing

    from app.clock import SystemClock
    from app.cluster.following import Following
    from app.cluster.stores import check_topics
    from app.logs import configure, forward_libraries
    from app.metrics import Metrics
    from app.stores import open_database
    from app.watch import Watch

    if settings.reload_seconds <= 0:
        raise IllegalValue(both("publish.never_looks"))
    configure()
    forward_libraries()
    over, clock = threading.Event(), SystemClock()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    check_topics(settings)  # what is wrong from the beginning is told at once
    with closing(open_database(settings, clock)) as database:
        following = Following(settings, rules, by, clock, database, count_back=count_back, on_published=_tell_published, tell=note)
        note(both("publish.watching", folder=rules))
        Watch("rules", following.look, settings.reload_seconds, Metrics(), over).run()


def _row(topic: str, what: str, detail: str) -> dict[str, Any]:
    return {"topic": topic, "what": what, "detail": detail}


@contextmanager
def _topics(settings: Settings) -> Iterator[Topics]:
    """Give the topics on the brokers; whatever goes wrong is told in a line and ends with exit code 2."""
    with plain_errors(), needs_extra():
        from connectors.kafka.topics import Topics

        with Topics(settings.kafka.access(), settings.kafka.layout()) as found:
            yield found


@contextmanager
def _as_service(*, verbose: bool) -> Iterator[None]:
    """Log as a service does; whatever keeps a role from running is told in a line and ends with exit code 2."""
    from app.logs import configure, forward_libraries

    configure(verbose=verbose)
    forward_libraries()
    with plain_errors(), needs_extra():
        yield


def _settings(
    config: Path | None, bootstrap: str | None, prefix: str | None, partitions: int | None, *, reduced_durability: bool, **flags: object
) -> Settings:
    """Return the settings of a role of the cluster; flags that were not given leave what file and environment say.

    Whoever has a flag for the database shares it with the others: on a file of its own a worker would take partitions from them, and
    what it finds would be seen by nobody.
    """
    from app.settings import load_settings

    given = {"bootstrap": bootstrap, "prefix": prefix, "partitions": partitions, "reduced_durability": reduced_durability or None}
    kafka = {name: value for name, value in given.items() if value is not None}
    with plain_errors():
        found = load_settings(config, kafka=kafka or None, **flags)
        if "database_url" in flags and not found.database_url:
            raise IllegalValue(both("cluster.no_database"))
        return found
