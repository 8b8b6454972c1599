"""Prometheus alert rules about Fengsui itself: what would keep a warning from reaching somebody who has to act on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dashboards.panels import Json

RUNBOOK = "docs/dashboards.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule. All texts are (Chinese, English); `wait` is how long `expr` has to hold (a Prometheus duration)."""

    name: str
    expr: str
    wait: str
    severity: Literal["critical", "warning", "info"]
    title: tuple[str, str]
    summary: tuple[str, str]
    action: tuple[str, str]

    def json(self) -> Json:
        """Return Prometheus' form."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.wait,
            "labels": {"severity": self.severity},
            "annotations": {
                "title": self.title[0],
                "title_en": self.title[1],
                "summary": self.summary[0],
                "summary_en": self.summary[1],
                "description": self.action[0],
                "description_en": self.action[1],
                "runbook": f"{RUNBOOK}#{self.name.lower()}",
            },
        }


ALERTS = (
    Alert(
        name="FengsuiDown",
        expr="absent(fengsui_build_info)",
        wait="2m",
        severity="critical",
        title=("烽燧停运或无法抓取指标", "Fengsui is down or cannot be scraped"),
        summary=("两分钟没有取到烽燧的指标", "no metrics of Fengsui for two minutes"),
        action=(
            "检查进程、端口和监控令牌；停运期间计时器不触发、通知不发出。",
            "Check the process, its port and the monitor token; meanwhile no timer fires and nothing is delivered.",
        ),
    ),
    Alert(
        name="FengsuiTimersLate",
        expr="max(fengsui_timers_late_seconds) > 60",
        wait="2m",
        severity="critical",
        title=("计时器滞后", "timers are late"),
        summary=("到期计时器已滞后 {{ $value | humanizeDuration }}", "the oldest due timer is {{ $value | humanizeDuration }} late"),
        action=(
            "提醒、催办、升级都没有发出。查看值班循环的日志和数据库所在磁盘；必要时由值班员电话催办。",
            "No reminder and no escalation goes out. Look at the duty loop's log and the database's disk; meanwhile the duty desk phones.",
        ),
    ),
    Alert(
        name="FengsuiNoDutyLoop",
        expr="absent(fengsui_duty_leases) and on () max(fengsui_build_info)",
        wait="2m",
        severity="critical",
        title=("没有督办循环在运行", "no duty loop runs"),
        summary=("两分钟没有任何督办循环", "no duty loop for two minutes"),
        action=(
            "时限到了不提醒、不升级，通知不发出。启动 fengsui duty（单机为 serve），查看其退出前的日志；确认 Prometheus 在抓取它。",
            "Nobody is reminded, nothing escalates or is sent. Start `fengsui duty` (or `serve`), read its log; see that it is scraped.",
        ),
    ),
    Alert(
        name="FengsuiStoreAway",
        expr="max by (job) (fengsui_store_away) > 0",
        wait="2m",
        severity="critical",
        title=("数据库不可用", "the database is away"),
        summary=(
            "进程 {{ $labels.job }} 两分钟问不到数据库",
            "{{ $labels.job }} has had no answer of the database for two minutes",
        ),
        action=(
            "计时器不触发，通知不发出，滞后的数值这时也看不到。恢复数据库；日志中有原话。",
            "No timer fires and nothing is sent, and how late they are cannot be seen. Bring the database back; the log has its words.",
        ),
    ),
    Alert(
        name="FengsuiPipelineStuck",
        expr="(fengsui_journal_head - fengsui_journal_applied > 0) and changes(fengsui_journal_applied[5m]) == 0",
        wait="5m",
        severity="critical",
        title=("流水线停住", "the pipeline stands still"),
        summary=(
            "{{ $value | humanize }} 条记录在等，五分钟没有处理任何一条",
            "{{ $value | humanize }} records wait and none was applied for five minutes",
        ),
        action=(
            "新信号照收，但不会产生预警。查看日志中的错误后重启。",
            "Signals are taken in but raise no warning. Read the log for the error, then restart.",
        ),
    ),
    Alert(
        name="FengsuiJournalLag",
        expr="fengsui_journal_head - fengsui_journal_applied > 50000",
        wait="10m",
        severity="warning",
        title=("处理滞后", "the engine lags behind"),
        summary=("{{ $value | humanize }} 条记录还没有处理", "{{ $value | humanize }} records are not applied yet"),
        action=(
            "预警会晚到。大批历史数据导入时属正常，应逐渐回落；否则查看一批处理用时。",
            "Warnings come late. Expected while history is imported; else look at the step latency.",
        ),
    ),
    Alert(
        name="FengsuiFeedSilent",
        expr="max by (feed) (fengsui_feed_silent) == 1",
        wait="5m",
        severity="warning",
        title=("数据源静默", "a feed is silent"),
        summary=(
            "数据源 {{ $labels.feed }} 超过约定时间没有数据",
            "feed {{ $labels.feed }} has said nothing for longer than its contract allows",
        ),
        action=(
            "联系数据提供单位。静默期间依赖它的规则看不见风险，没有预警不等于没有风险。",
            "Call the source. Rules that need it are blind: no warning does not mean no risk.",
        ),
    ),
    Alert(
        name="FengsuiRejectionsHigh",
        expr=(
            'sum by (feed) (increase(fengsui_records_total{outcome="rejected"}[1h]))'
            " / sum by (feed) (increase(fengsui_records_total[1h])) > 0.2"
        ),
        wait="10m",
        severity="warning",
        title=("拒收比例过高", "many records are rejected"),
        summary=(
            "数据源 {{ $labels.feed }} 近一小时 {{ $value | humanizePercentage }} 的记录被拒收",
            "{{ $value | humanizePercentage }} of the last hour's records of feed {{ $labels.feed }} were rejected",
        ),
        action=(
            "多半是来源改了列名、编码或格式。查看拒收原因，修改映射后重放。",
            "The source has probably changed columns, encoding or format. Read the reasons, mend the mapping, replay.",
        ),
    ),
    Alert(
        name="FengsuiUnroutedWaiting",
        expr="max(fengsui_warnings_unrouted_wait_seconds) > 1800",
        wait="1m",
        severity="warning",
        title=("预警等待指定", "a warning waits for a department"),
        summary=(
            "待指定预警最长已等待 {{ $value | humanizeDuration }}",
            "the oldest unrouted warning has waited for {{ $value | humanizeDuration }}",
        ),
        action=(
            "请值班员在控制台指定主管单位，并补全事项清单。重大、较大预警的指定时限是 1 小时。",
            "Name a competent department in the console and mend the catalogue; red and orange ones have to be named within an hour.",
        ),
    ),
    Alert(
        name="FengsuiOutboxDead",
        expr="max by (department) (fengsui_outbox_dead) > 0",
        wait="0m",
        severity="warning",
        title=("通知成为死信", "deliveries are dead letters"),
        summary=(
            "单位 {{ $labels.department }} 有 {{ $value | humanize }} 条通知没有收到",
            "{{ $value | humanize }} deliveries to {{ $labels.department }} were given up",
        ),
        action=(
            "先电话告知，再排除对方接口的故障，然后在控制台重发。",
            "Phone the department first, have its receiver mended, then resend from the console.",
        ),
    ),
    Alert(
        name="FengsuiDeliveriesFailing",
        expr='sum(increase(fengsui_deliveries_total{outcome=~"failed|dead"}[15m])) / sum(increase(fengsui_deliveries_total[15m])) > 0.5',
        wait="15m",
        severity="warning",
        title=("多数通知投递失败", "most deliveries fail"),
        summary=(
            "近 15 分钟 {{ $value | humanizePercentage }} 的投递失败",
            "{{ $value | humanizePercentage }} of the last 15 minutes' attempts failed",
        ),
        action=(
            "多个单位同时失败，先查本方网络、代理和出口白名单。",
            "If many departments fail at once, check our own network, proxy and egress allow-list first.",
        ),
    ),
    Alert(
        name="FengsuiDeliveriesLate",
        expr="max(fengsui_outbox_late_seconds) > 600",
        wait="5m",
        severity="warning",
        title=("通知迟迟未送出", "deliveries are late"),
        summary=(
            "有通知到了投递时间已 {{ $value | humanizeDuration }} 仍未送出",
            "a delivery has been due for {{ $value | humanizeDuration }} and its attempt is not over",
        ),
        action=(
            "单位没有收到任务，时限却在走。督办循环没有运行，或某单位接口过慢：控制台的投递页说明是谁，先电话告知。",
            "A department is not told and its time runs. No duty loop runs, or a receiver is slow: see the console, and phone it first.",
        ),
    ),
    Alert(
        name="FengsuiRulesetBroken",
        expr="fengsui_ruleset_broken == 1",
        wait="1m",
        severity="warning",
        title=("规则文件有误", "the rules folder is broken"),
        summary=("规则文件夹中的规则集被拒绝，仍用上一个正确的规则集", "the set in the rules folder was refused; the last good one runs"),
        action=(
            "运行 fengsui rules check 查看文件、行、列，改正后自动加载。",
            "Run `fengsui rules check` for file, line and column; a mended set is loaded by itself.",
        ),
    ),
    Alert(
        name="FengsuiLoopErrors",
        expr="sum by (loop) (increase(fengsui_loop_errors_total[10m])) > 0",
        wait="0m",
        severity="warning",
        title=("后台循环出错", "a background loop has errors"),
        summary=("循环 {{ $labels.loop }} 近十分钟出错", "loop {{ $labels.loop }} had errors in the last ten minutes"),
        action=(
            "查看同一时刻的日志；磁盘满、数据库被锁是常见原因。",
            "Read the log of that time; a full disk or a locked database are the usual causes.",
        ),
    ),
    Alert(
        name="FengsuiSnapshotOld",
        expr="fengsui_journal_head - fengsui_snapshot_position > 250000",
        wait="15m",
        severity="info",
        title=("快照过旧", "the snapshot is old"),
        summary=("最近一次快照之后已有 {{ $value | humanize }} 条记录", "{{ $value | humanize }} records since the newest snapshot"),
        action=(
            "重启要重放这些记录，会变慢。检查数据目录的剩余空间和日志。",
            "A restart has to replay them. Check the data folder's free space and the log.",
        ),
    ),
    Alert(
        name="FengsuiPartitionsUnheld",
        expr="max(fengsui_partitions) - count(count by (partition) (fengsui_partition_offset_done)) > 0",
        wait="3m",
        severity="critical",
        title=("有分区无人处理", "partitions that no worker holds"),
        summary=("{{ $value }} 个分区三分钟没有研判进程", "{{ $value }} partitions have had no worker for three minutes"),
        action=(
            "这些分区里的对象不会产生预警，数据仍在 Kafka 中。查看研判进程是否在运行，以及退出前的日志。",
            "Nothing is raised about their objects; their data waits in Kafka. See whether workers run, and the logs of those that ended.",
        ),
    ),
    Alert(
        name="FengsuiSourceUnread",
        expr="max by (feed, topic) (fengsui_source_trouble) == 1",
        wait="10m",
        severity="warning",
        title=("来源主题读不了", "a source cannot be read"),
        summary=(
            "来源主题 {{ $labels.topic }}（数据源 {{ $labels.feed }}）十分钟读不了",
            "topic {{ $labels.topic }} (feed {{ $labels.feed }}) has not been read for ten minutes",
        ),
        action=(
            "运行 fengsui topics check 看原因。对方的保留期限内恢复，不会丢数据。",
            "`fengsui topics check` says why. Nothing is lost if it is mended within the topic's retention.",
        ),
    ),
    Alert(
        name="FengsuiSourceLost",
        expr='sum by (feed, topic) (increase(fengsui_source_messages_total{outcome="lost"}[1h])) > 0',
        wait="0m",
        severity="critical",
        title=("来源消息未读即被删除", "a source deleted unread messages"),
        summary=(
            "来源主题 {{ $labels.topic }} 有 {{ $value | humanize }} 条消息未读即被对方删除",
            "{{ $value | humanize }} messages of {{ $labels.topic }} were deleted by its retention before they were read",
        ),
        action=(
            "请对方补报；日志中 source.lost 写明分区与位置。接入停得太久，或对方保留期限太短。",
            "Ask for them to be sent again; `source.lost` in the edge's log has partition and offsets. The edges were away too long.",
        ),
    ),
    Alert(
        name="FengsuiWorkersBehind",
        expr="sum(max by (partition) (fengsui_partition_lag_frames)) > 10000",
        wait="10m",
        severity="warning",
        title=("集群处理积压", "the workers are behind"),
        summary=("{{ $value | humanize }} 帧十分钟未处理完", "{{ $value | humanize }} frames wait for ten minutes"),
        action=(
            "预警会晚到。看板“集群”说明是哪些分区：全部上升则增加研判进程，只有一个则数据集中于少数对象。",
            "Warnings are late. The board shows which partitions: where all grow add a worker; where one does, data is about few objects.",
        ),
    ),
    Alert(
        name="FengsuiWorkerWaits",
        expr="max by (store) (fengsui_partition_waiting) > 0",
        wait="2m",
        severity="critical",
        title=("研判等待存储", "workers wait for a store"),
        summary=("研判进程两分钟没有等到 {{ $labels.store }}", "workers have waited for the {{ $labels.store }} for two minutes"),
        action=(
            "没有丢失，也没有预警产生。恢复数据库或磁盘后自动继续；worker.json 中有原话。",
            "Nothing is lost, and nothing is raised. They go on by themselves once the store is back; worker.json has its words.",
        ),
    ),
    Alert(
        name="FengsuiRoleUnreachable",
        expr='min by (job, instance) (up{job=~"fengsui.*"}) == 0',
        wait="2m",
        severity="warning",
        title=("有进程抓取不到指标", "a process cannot be scraped"),
        summary=(
            "{{ $labels.job }} 的 {{ $labels.instance }} 两分钟没有指标",
            "{{ $labels.instance }} of {{ $labels.job }} has given no metrics for two minutes",
        ),
        action=(
            "检查该进程、端口和监控令牌（edge、api 需要令牌，worker、duty 不需要）。",
            "Check that process, its port and the monitor token (edge and api ask for it, worker and duty do not).",
        ),
    ),
    Alert(
        name="FengsuiRequestsFailing",
        expr=('sum by (job) (rate(fengsui_requests_total{answer="5xx"}[10m])) / sum by (job) (rate(fengsui_requests_total[10m])) > 0.05'),
        wait="5m",
        severity="warning",
        title=("请求出错", "requests fail"),
        summary=(
            "{{ $labels.job }} 近十分钟 {{ $value | humanizePercentage }} 的请求出错",
            "{{ $value | humanizePercentage }} of the last ten minutes' requests to {{ $labels.job }} failed with an error of ours",
        ),
        action=(
            "503 是数据库或 Kafka 不可用，发送方会重试；500 是程序出错，日志中有原因。",
            "503 means that database or Kafka is away, and senders try again; 500 is a fault of the program, and the log says which.",
        ),
    ),
    Alert(
        name="FengsuiSignInsRefused",
        expr='sum(increase(fengsui_sign_ins_total{outcome="refused"}[15m])) > 5',
        wait="0m",
        severity="warning",
        title=("多次登录被拒", "sign-ins are refused"),
        summary=("近 15 分钟 {{ $value | humanize }} 次令牌无效", "{{ $value | humanize }} tokens were refused in the last 15 minutes"),
        action=(
            "有人令牌过期或抄错，也可能有人在试。问值班员；不是自己人就查反向代理的访问日志。",
            "Somebody's token is old or mistyped, or somebody tries. Ask the duty desk; else look at the proxy's access log.",
        ),
    ),
)


def rule_file() -> Json:
    """Return the content of the Prometheus rule file."""
    return {"groups": [{"name": "fengsui", "rules": [alert.json() for alert in ALERTS]}]}
