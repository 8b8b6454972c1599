"""Cluster (集群): how far the workers are behind, which partition waits and for what, and how long commits take."""

from __future__ import annotations

from dashboards.board import Board, LabelVariable, Row
from dashboards.panels import BAD_FROM_ONE, Column, Panel, Query
from dashboards.promql import RATE, quantile

PARTITION = 'partition=~"$partition"'
STORES = {"database": "数据库", "disk": "磁盘"}
HELD = "count(count by (partition) (fengsui_partition_offset_done))"
UNHELD = f"max(fengsui_partitions) - {HELD}"


def _by_partition(metric: str) -> Query:
    return Query(expr=f"max by (partition) ({metric}{{{PARTITION}}})", instant=True)


NOW = Row(
    title="当前 Now",
    panels=(
        Panel(
            kind="stat",
            title="未处理帧",
            about=("所有分区中尚未提交的帧数。", "Frames of all partitions that are not committed yet."),
            queries=(Query(expr="sum(max by (partition) (fengsui_partition_lag_frames))"),),
            width=4,
            height=5,
            decimals=0,
            steps=((1_000, "yellow"), (10_000, "red")),
        ),
        Panel(
            kind="stat",
            title="无人处理的分区",
            about=("没有任何研判进程持有的分区数。应为 0。", "Partitions that no worker holds; should be 0."),
            queries=(Query(expr=UNHELD),),
            width=4,
            height=5,
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        Panel(
            kind="stat",
            title="等待存储的分区",
            about=("数据库或磁盘不可用而停下等待的分区数。", "Partitions that wait for a database or a disk that is away."),
            queries=(Query(expr="sum(max by (partition, store) (fengsui_partition_waiting))"),),
            width=4,
            height=5,
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        Panel(
            kind="stat",
            title="隔离的记录",
            about=("使引擎两次崩溃而不再处理的记录数。", "Records that brought the engine down twice and are left out."),
            queries=(Query(expr="sum(max by (partition) (fengsui_partition_quarantined_records))"),),
            width=4,
            height=5,
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        Panel(
            kind="stat",
            title="接入受阻",
            about=(
                "停止接收数据的接入进程数：Kafka 不确认，或其内部循环已停。",
                "Edges that take nothing: the brokers do not acknowledge.",
            ),
            queries=(Query(expr="sum(fengsui_edge_trouble)"),),
            width=4,
            height=5,
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        Panel(
            kind="stat",
            title="提交时间（95%）",
            about=("一帧的位置与结果写入数据库的时间，95% 分位。", "Time of a frame's transaction, 95th percentile."),
            queries=(Query(expr=quantile(0.95, "fengsui_commit_seconds")),),
            width=4,
            height=5,
            unit="s",
            steps=((0.5, "yellow"), (2.5, "red")),
        ),
    ),
)

WORK = Row(
    title="处理 Work",
    panels=(
        Panel(
            kind="timeseries",
            title="每秒处理信号",
            about=("已提交的信号与帧，每秒。", "Signals and frames committed per second."),
            queries=(
                Query(expr=f"sum(rate(fengsui_worker_signals_total[{RATE}]))", legend="信号"),
                Query(expr=f"sum(rate(fengsui_worker_frames_total[{RATE}]))", legend="帧"),
            ),
            unit="cps",
        ),
        Panel(
            kind="timeseries",
            title="各分区积压",
            about=(
                "各分区未提交的帧数；只有一个上升，多半是一个对象的数据集中在该分区。",
                "Frames not committed by partition; where a single one grows, much of the data is about few objects.",
            ),
            queries=(Query(expr=f"max by (partition) (fengsui_partition_lag_frames{{{PARTITION}}})", legend="{{partition}}"),),
        ),
        Panel(
            kind="timeseries",
            title="提交时间",
            about=("一帧的提交时间，50%、95%、99% 分位。", "Time of a frame's transaction: median, 95th and 99th percentile."),
            queries=tuple(Query(expr=quantile(share, "fengsui_commit_seconds"), legend=f"{share:.0%}") for share in (0.5, 0.95, 0.99)),
            unit="s",
        ),
        Panel(
            kind="timeseries",
            title="分区易手",
            about=(
                "每段时间内分区重新分配的次数；频繁易手说明研判进程反复重启。",
                "Assignments of partitions; many mean that workers restart.",
            ),
            queries=(Query(expr=f"sum(changes(fengsui_partition_epoch[{RATE}]))", legend="易手"),),
            bars=True,
        ),
        Panel(
            kind="timeseries",
            title="搁置的消息",
            about=("不是数据帧而被搁置的消息，以及隔离的记录。", "Messages that are no frame, and records that were left out."),
            queries=(Query(expr=f"sum by (partition) (increase(fengsui_partition_set_aside_total[{RATE}]))", legend="{{partition}}"),),
            bars=True,
        ),
        Panel(
            kind="timeseries",
            title="等待何种存储",
            about=("因存储不可用而等待的分区数，按存储分。", "Partitions that wait, by the store that is away."),
            queries=(Query(expr="sum by (store) (max by (partition, store) (fengsui_partition_waiting))", legend="{{store}}"),),
            columns={name: Column(title=title) for name, title in STORES.items()},
        ),
        Panel(
            kind="table",
            title="分区状态",
            about=("每个分区的位置、积压、任期和隔离记录。", "Per partition: offset, lag, epoch and records left out."),
            queries=(
                _by_partition("fengsui_partition_offset_done"),
                _by_partition("fengsui_partition_lag_frames"),
                _by_partition("fengsui_partition_epoch"),
                _by_partition("fengsui_partition_quarantined_records"),
            ),
            width=24,
            height=9,
            decimals=0,
            order=("partition", *(f"Value #{letter}" for letter in "ABCD")),
            columns={
                "partition": Column(title="分区"),
                "Value #A": Column(title="已提交位置", unit="none"),
                "Value #B": Column(title="积压帧"),
                "Value #C": Column(title="任期", unit="none"),
                "Value #D": Column(title="隔离记录", steps=BAD_FROM_ONE),
            },
        ),
    ),
)

CLUSTER = Board(
    uid="fengsui-cluster",
    title="集群",
    about=(
        "研判进程跟不跟得上，分区有没有人处理，数据库和磁盘在不在。",
        "Cluster: do the workers keep up, is every partition held, are database and disks there.",
    ),
    variables=(LabelVariable(name="partition", title="分区", metric="fengsui_partition_offset_done", label="partition"),),
    rows=(NOW, WORK),
    since="now-1h",
)
