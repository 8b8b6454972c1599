"""Cluster (集群): how far the workers are behind, whether duty loops keep the time, and which store is away."""

from __future__ import annotations

from dashboards.board import Board, LabelVariable, Row
from dashboards.panels import BAD_FROM_ONE, Column, Panel, Query, figure, quantiles
from dashboards.promql import RATE, once, or_zero, quantile

PARTITION = 'partition=~"$partition"'
STANDBYS = {
    "taken": "接手时用上",
    "behind": "落后于快照",
    "busy": "正在研判",
    "overtaken": "与数据库不符",
    "failed": "出错",
    "no_room": "内存不够",
}
STORES = {"database": "数据库"}
HELD = "count(count by (partition) (fengsui_partition_offset_done))"
UNHELD = f"max(fengsui_partitions) - {HELD}"


def _by_partition(metric: str) -> Query:
    return Query(expr=f"max by (partition) ({metric}{{{PARTITION}}})", instant=True)


NOW = Row(
    title="当前 Now",
    panels=(
        figure(
            "未处理帧",
            ("所有分区中尚未提交的帧数。", "Frames of all partitions that are not committed yet."),
            "sum(max by (partition) (fengsui_partition_lag_frames))",
            decimals=0,
            steps=((1_000, "yellow"), (10_000, "red")),
        ),
        figure(
            "无人处理的分区",
            ("没有任何研判进程持有的分区数。应为 0。", "Partitions that no worker holds; should be 0."),
            UNHELD,
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        figure(
            "等待存储的分区",
            ("数据库不可用而停下等待的分区数。", "Partitions that wait for a database that is away."),
            "sum(max by (partition, store) (fengsui_partition_waiting))",
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        figure(
            "隔离的记录",
            ("使引擎两次崩溃而不再处理的记录数。", "Records that brought the engine down twice and are left out."),
            "sum(max by (partition) (fengsui_partition_quarantined_records))",
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        figure(
            "接入受阻",
            (
                "停止接收数据的接入进程数：Kafka 不确认，或其内部循环已停。",
                "Edges that take nothing: the brokers do not acknowledge.",
            ),
            "sum(fengsui_edge_trouble)",
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        figure(
            "提交时间（95%）",
            ("一帧的位置与结果写入数据库的时间，95% 分位。", "Time of a frame's transaction, 95th percentile."),
            quantile(0.95, "fengsui_commit_seconds"),
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
            queries=quantiles("fengsui_commit_seconds"),
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
            title="热备",
            about=(
                "各研判进程已预热与应预热的他人分区数；预热的少于应有的，说明内存上限不够或快照尚未存下。",
                "Partitions that workers stand by for, and those of them in memory: fewer where there is no room, or no snapshot yet.",
            ),
            queries=(
                Query(expr="sum(fengsui_standbys_warm)", legend="已预热"),
                Query(expr="sum(fengsui_standbys_wanted)", legend="应预热"),
            ),
        ),
        Panel(
            kind="timeseries",
            title="热备落后",
            about=("落后最久的热备距上次追平的秒数。", "Seconds since the standby that is the furthest behind was level."),
            queries=(Query(expr="max(fengsui_standby_age_seconds)", legend="最久"),),
            unit="s",
        ),
        Panel(
            kind="timeseries",
            title="热备的去向",
            about=(
                "接手时用上的热备，以及弃用的及其原因。",
                "Standbys that were gone on with at a takeover, and those that were passed over, with the reason.",
            ),
            queries=(Query(expr=f"sum by (outcome) (increase(fengsui_standbys_total[{RATE}]))", legend="{{outcome}}"),),
            bars=True,
            columns={name: Column(title=title) for name, title in STANDBYS.items()},
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

SOURCES = Row(
    title="来源主题 Sources",
    panels=(
        figure(
            "读不了的来源",
            ("此刻读不了，或读来的数据存不下的来源主题数。", "Topics of other systems that cannot be read, or not kept, just now."),
            or_zero("count(max by (feed, topic) (fengsui_source_trouble) > 0)"),
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        Panel(
            kind="timeseries",
            title="来源积压",
            about=("各来源主题中尚未接收的消息数。", "Messages of each source that are not taken yet."),
            queries=(Query(expr="sum by (feed, topic) (fengsui_source_lag_messages)", legend="{{feed}} {{topic}}"),),
        ),
        Panel(
            kind="timeseries",
            title="来源消息",
            about=(
                "各来源每秒的消息：已接收；空值跳过；未读即被对方删除的为丢失。",
                "Messages a second: taken, skipped (null values), and lost, which the source deleted before they were read.",
            ),
            queries=(
                Query(
                    expr=f"sum by (topic, outcome) (rate(fengsui_source_messages_total[{RATE}]))",
                    legend="{{topic}} {{outcome}}",
                ),
            ),
            unit="cps",
        ),
    ),
)

OBLIGATIONS = Row(
    title="督办 Duty",
    panels=(
        figure(
            "督办进程",
            ("正在运行的督办循环数。为 0 时没有提醒、催办和通知。", "Duty loops that run; with none nobody is reminded or told."),
            or_zero("count(fengsui_duty_leases)"),
            decimals=0,
            low="red",
            steps=((1, "green"),),
        ),
        figure(
            "到期未触发",
            ("已到期而尚未触发的计时器数。应接近 0。", "Timers whose time has come and that have not fired; should be near 0."),
            "max(fengsui_timers_due)",
            decimals=0,
            steps=((50, "yellow"), (500, "red")),
        ),
        figure(
            "最久未触发",
            (
                "最早到期的计时器已滞后多久：时限、升级都晚了这么久。",
                "How late the oldest due timer is, and so is what it would bring about.",
            ),
            "max(fengsui_timers_late_seconds)",
            unit="s",
            steps=((10, "yellow"), (60, "red")),
        ),
        figure(
            "最久未送出",
            ("到了投递时间而仍未投完的通知，最长等了多久。", "How long the delivery that is due longest has waited."),
            "max(fengsui_outbox_late_seconds)",
            unit="s",
            steps=((60, "yellow"), (600, "red")),
        ),
        figure(
            "死信合计",
            ("重试用尽、没有送到的通知。", "Deliveries given up after all attempts."),
            or_zero(f"sum({once('fengsui_outbox_dead')})"),
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        figure(
            "数据库不可用",
            ("此刻问不到数据库的进程数。", "Processes that cannot ask their database just now."),
            "sum(fengsui_store_away)",
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        Panel(
            kind="timeseries",
            title="触发晚了多少",
            about=("从到期到触发的用时，50%、95%、99% 分位。", "From a timer's due time to its firing: median, 95th and 99th percentile."),
            queries=quantiles("fengsui_timer_delay_seconds"),
            unit="s",
        ),
        Panel(
            kind="timeseries",
            title="触发与投递",
            about=("每秒触发的计时器与投递的通知。", "Timers fired and deliveries attempted per second."),
            queries=(
                Query(expr=f"sum(rate(fengsui_timers_fired_total[{RATE}]))", legend="触发"),
                Query(expr=f"sum(rate(fengsui_deliveries_total[{RATE}]))", legend="投递"),
            ),
            unit="cps",
        ),
        Panel(
            kind="timeseries",
            title="各进程手中",
            about=(
                "各督办循环正持有的投递与待写入日志的记录。",
                "Deliveries and owed journal entries that each duty loop holds on lease.",
            ),
            queries=(Query(expr="fengsui_duty_leases", legend="{{instance}}"),),
        ),
    ),
)

CLUSTER = Board(
    uid="fengsui-cluster",
    title="集群",
    about=(
        "研判进程跟不跟得上，分区有没有人处理，时限到了有没有触发，数据库和磁盘在不在。",
        "Cluster: do the workers keep up, is every partition held, do timers fire in time, are database and disks there.",
    ),
    variables=(LabelVariable(name="partition", title="分区", metric="fengsui_partition_offset_done", label="partition"),),
    rows=(NOW, OBLIGATIONS, WORK, SOURCES),
    since="now-1h",
)
