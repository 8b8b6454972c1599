"""Feeds and engine (数据源与引擎): what comes in, what becomes of it, how far behind the engine is, and which rules run."""

from __future__ import annotations

from dashboards.board import Board, LabelVariable, Marks, Row
from dashboards.panels import BAD_FROM_ONE, Column, Panel, Query, figure, quantiles, titles
from dashboards.promql import RATE, or_zero
from dashboards.requests import REQUESTS

FEED = 'feed=~"$feed"'
RECORD_OUTCOMES = {"accepted": "已接收", "revision": "更正", "duplicate": "重复", "rejected": "拒收"}
COMPARED = {"agreed": "一致", "differed": "不一致", "died": "没有答复", "alone": "无复核", "passed_over": "略过"}
RELOAD_OUTCOMES = {"activated": "已启用", "refused": "被拒绝"}
AILMENTS = {
    "never_fires": "从未命中",
    "noisy": "过于频繁",
    "slow": "过慢",
    "overlapping": "重叠",
    "blind": "数据源无声",
    "warming": "窗口未满",
    "late": "信号到得太晚",
    "starved": "没有数据",
}
RULE_STATES = {"draft": "草稿", "shadow": "影子运行", "active": "启用", "deprecated": "停用"}
LOOPS = {
    "duty": "值班循环",
    "timer": "计时器",
    "delivery": "投递循环",
    "routing": "派单",
    "silence": "静默判断",
    "inference": "推断",
    "quarantine": "隔离",
    "rules": "规则目录",
    "registry": "对象库",
    "heard": "数据源心跳",
    "inbox": "收件目录",
    "inbox_file": "收件文件",
    "retention": "留存期限",
    "schema": "数据库版本",
}
LAG = "fengsui_journal_head - fengsui_journal_applied"
ACTIVATED = Marks(
    title="规则集启用",
    expr='sum(changes(fengsui_ruleset_reloads_total{outcome="activated"}[2m])) > 0',
    text="新的规则集已启用 / rule set activated",
)
MOST_HITS = or_zero("topk(15, sum by (rule) (increase(fengsui_rule_hits_total[$__range])))", "rule", "无")
SILENT = {"0": "正常", "1": "静默"}


def _by_outcome(outcome: str) -> str:
    return f'sum by (feed) (increase(fengsui_records_total{{outcome="{outcome}", {FEED}}}[$__range]))'


FEEDS = Row(
    title="数据源 Feeds",
    panels=(
        Panel(
            kind="table",
            title="数据源状态",
            about=(
                "每路数据多久没来、最新事件有多旧、是否静默，以及所选时段内的接收、拒收、重复和更正。",
                "Per feed: time since the last record, age of the newest event, silence, and what became of its records.",
            ),
            queries=(
                Query(expr=f"time() - max by (feed) (fengsui_feed_last_received_timestamp_seconds{{{FEED}}})", instant=True),
                Query(expr=f"time() - max by (feed) (fengsui_feed_last_event_timestamp_seconds{{{FEED}}})", instant=True),
                Query(expr=f"max by (feed) (fengsui_feed_silent{{{FEED}}})", instant=True),
                Query(expr=_by_outcome("accepted"), instant=True),
                Query(expr=_by_outcome("rejected"), instant=True),
                Query(expr=_by_outcome("duplicate"), instant=True),
                Query(expr=_by_outcome("revision"), instant=True),
                Query(expr=f"max by (feed) (fengsui_rejections_open{{{FEED}}})", instant=True),
            ),
            width=24,
            height=9,
            decimals=0,
            order=("feed", *(f"Value #{letter}" for letter in "ABCDEFGH")),
            columns={
                "feed": Column(title="数据源"),
                "Value #A": Column(title="距上次接收", unit="s"),
                "Value #B": Column(title="最新事件距今", unit="s"),
                "Value #C": Column(title="静默", steps=BAD_FROM_ONE, texts=SILENT),
                "Value #D": Column(title="接收"),
                "Value #E": Column(title="拒收", steps=BAD_FROM_ONE),
                "Value #F": Column(title="重复"),
                "Value #G": Column(title="更正"),
                "Value #H": Column(title="拒收待处理", steps=BAD_FROM_ONE),
            },
        ),
        Panel(
            kind="timeseries",
            title="记录处理结果",
            about=("每秒记录数，按结果分：已接收、更正、重复、拒收。", "Records per second by what became of them."),
            queries=(Query(expr=f"sum by (outcome) (rate(fengsui_records_total{{{FEED}}}[{RATE}]))", legend="{{outcome}}"),),
            unit="cps",
            stacked=True,
            columns=titles(RECORD_OUTCOMES),
        ),
        Panel(
            kind="timeseries",
            title="各数据源接收",
            about=("每路数据每秒的记录数，不论结果。", "Records per second by feed, whatever became of them."),
            queries=(Query(expr=f"sum by (feed) (rate(fengsui_records_total{{{FEED}}}[{RATE}]))", legend="{{feed}}"),),
            unit="cps",
        ),
        Panel(
            kind="timeseries",
            title="拒收比例",
            about=(
                "每路数据被拒收的占比；突然升高多半是来源改了列名或格式。",
                "Share of rejected records by feed; a jump mostly means that the source changed its columns.",
            ),
            queries=(
                Query(
                    expr=(
                        f'sum by (feed) (rate(fengsui_records_total{{outcome="rejected", {FEED}}}[{RATE}]))'
                        f" / sum by (feed) (rate(fengsui_records_total{{{FEED}}}[{RATE}]))"
                    ),
                    legend="{{feed}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            kind="timeseries",
            title="重复记录",
            about=("每秒重复的记录，按数据源。重复不会重复计数。", "Duplicates per second by feed; they are counted once."),
            queries=(Query(expr=f'sum by (feed) (rate(fengsui_records_total{{outcome="duplicate", {FEED}}}[{RATE}]))', legend="{{feed}}"),),
            unit="cps",
        ),
        Panel(
            kind="bargauge",
            title="拒收待处理",
            about=(
                "还没有重放或放弃的拒收记录。修好映射后重放。",
                "Rejected records that nobody has replayed or dismissed: mend the mapping, then replay.",
            ),
            queries=(Query(expr=f"max by (feed) (fengsui_rejections_open{{{FEED}}})", legend="{{feed}}", instant=True),),
            steps=BAD_FROM_ONE,
        ),
        Panel(
            kind="timeseries",
            title="待确认对象的信号",
            about=(
                "没有对上对象、或对上多个的信号；确认后才计入。",
                "Signals with no object or several candidates; they count once confirmed.",
            ),
            queries=(Query(expr="max(fengsui_signals_unresolved)", legend="待确认"),),
        ),
    ),
)

PIPELINE = Row(
    title="引擎 Engine",
    panels=(
        figure(
            "处理滞后",
            ("已落盘但还没有处理完的记录数。", "Records on disk whose outcomes are not committed yet."),
            LAG,
            steps=((5_000, "yellow"), (50_000, "red")),
        ),
        figure(
            "快照之后的记录",
            ("最近一次快照之后的记录数，即重启时要重放的数量。", "Records after the newest snapshot: what a restart has to replay."),
            "fengsui_journal_head - fengsui_snapshot_position",
            steps=((100_000, "yellow"), (250_000, "red")),
        ),
        figure(
            "快照位置",
            ("最近一次快照所在的日志序号。", "Journal position of the newest snapshot."),
            "fengsui_snapshot_position",
            unit="none",
        ),
        figure(
            "循环错误",
            ("所选时段内后台循环遇到并扛过的错误。", "Errors that background loops survived in the chosen range."),
            or_zero("sum(increase(fengsui_loop_errors_total[$__range]))"),
            decimals=0,
            steps=BAD_FROM_ONE,
        ),
        Panel(
            kind="stat",
            title="监管对象",
            about=("对象库中的监管对象，按类型。", "Regulated objects in the registry by type."),
            queries=(Query(expr="max by (type) (fengsui_objects)", legend="{{type}}"),),
            width=8,
            height=5,
        ),
        Panel(
            kind="timeseries",
            title="写入与处理速度",
            about=(
                "每秒写入日志的记录与处理完的记录；两条线应重合。",
                "Records per second written to the journal and applied; the lines should meet.",
            ),
            queries=(
                Query(expr=f"rate(fengsui_journal_head[{RATE}])", legend="写入"),
                Query(expr=f"rate(fengsui_journal_applied[{RATE}])", legend="处理"),
            ),
            unit="cps",
        ),
        Panel(
            kind="timeseries",
            title="处理滞后走势",
            about=(
                "滞后的记录数随时间的变化；持续上升说明处理跟不上或停了。",
                "Lag over time; a steady rise means that the engine is too slow or stands still.",
            ),
            queries=(Query(expr=LAG, legend="滞后"),),
        ),
        Panel(
            kind="timeseries",
            title="循环错误走势",
            about=("按循环统计的错误。", "Errors by background loop."),
            queries=(Query(expr=f"sum by (loop) (increase(fengsui_loop_errors_total[{RATE}]))", legend="{{loop}}"),),
            bars=True,
            columns=titles(LOOPS),
        ),
        Panel(
            kind="timeseries",
            title="一批处理用时",
            about=("一批记录走完流水线并提交的用时分位数。", "Quantiles of one batch through pipeline and commit."),
            queries=quantiles("fengsui_pipeline_step_seconds"),
            unit="s",
        ),
    ),
)

RULES = Row(
    title="规则 Rules",
    panels=(
        figure(
            "规则集",
            (
                "规则文件有误时沿用上一个正确的规则集，这里变红。",
                "Red where the folder holds a set that was refused; the last good one runs.",
            ),
            "fengsui_ruleset_broken",
            steps=BAD_FROM_ONE,
            texts={"0": "正常", "1": "有误，沿用旧集"},
        ),
        Panel(
            kind="stat",
            title="规则数",
            about=("当前规则集中的规则，按状态。", "Rules of the active set by status."),
            queries=(Query(expr="max by (status) (fengsui_rules_active)", legend="{{status}}"),),
            width=8,
            height=5,
            columns=titles(RULE_STATES),
        ),
        figure(
            "推断",
            (
                "结论总是一样；任一进程的 durable-rules 未安装或已停用、没有复核时，这里变红。",
                "Conclusions are always the same; red where a process has no durable-rules, or retired it: nobody checks them there.",
            ),
            "max(fengsui_inference_stand_in)",
            steps=BAD_FROM_ONE,
            texts={"0": "有复核", "1": "无复核"},
        ),
        figure(
            "引擎",
            (
                "各进程都以编译后的引擎研判，还是有进程由源码研判（慢一半，结果相同；make engine）。",
                "Whether all processes judge in machine code, or some by the sources: the same answers, half as fast; see `make engine`.",
            ),
            "min(fengsui_engine_compiled)",
            texts={"0": "源码", "1": "已编译"},
        ),
        Panel(
            kind="table",
            title="版本",
            about=("运行中的软件版本和规则集版本。", "Versions of the software and of the active rule set."),
            queries=(
                Query(expr="max by (version) (fengsui_build_info)", instant=True),
                Query(expr="max by (version) (fengsui_ruleset_info)", instant=True),
            ),
            width=8,
            height=5,
            order=("version", "Value #A", "Value #B"),
            columns={
                "version": Column(title="版本"),
                "Value #A": Column(title="软件", texts={"1": "运行中"}),
                "Value #B": Column(title="规则集", texts={"1": "启用中"}),
            },
        ),
        Panel(
            kind="stat",
            title="规则健康",
            about=(
                "有问题的规则数，按问题；一条规则可计入几项，详见控制台的规则页。",
                "Rules by what is wrong with them, one under several where that is so; the console's rules page names them.",
            ),
            queries=(Query(expr="max by (ailment) (fengsui_rules_ailing)", legend="{{ailment}}"),),
            width=24,
            height=5,
            columns=titles(AILMENTS),
        ),
        Panel(
            kind="bargauge",
            title="命中最多的规则",
            about=(
                "所选时段内命中最多的 15 条规则；一条远超其他时检查其阈值。",
                "The 15 rules that hit most in the chosen range; check the thresholds of one far ahead.",
            ),
            queries=(Query(expr=MOST_HITS, legend="{{rule}}", instant=True),),
            width=12,
            height=10,
            decimals=0,
            low="blue",
        ),
        Panel(
            kind="timeseries",
            title="规则命中走势",
            about=(
                "规则命中次数，因数据源静默而无法判断的次数，以及被调优条件压下的次数。",
                "Rule hits over time, the times that silent feeds kept a rule from being decided, and hits that tuning kept back.",
            ),
            queries=(
                Query(expr=f"sum(increase(fengsui_rule_hits_total[{RATE}]))", legend="命中"),
                Query(expr=f"sum(increase(fengsui_rule_blind_total[{RATE}]))", legend="无法判断"),
                Query(expr=f"sum(increase(fengsui_rule_suppressed_total[{RATE}]))", legend="调优压下"),
            ),
            width=6,
            height=10,
            bars=True,
        ),
        Panel(
            kind="timeseries",
            title="规则集加载",
            about=("规则集的加载尝试：已启用、被拒绝。", "Attempts to load a rule set by outcome."),
            queries=(Query(expr=f"sum by (outcome) (increase(fengsui_ruleset_reloads_total[{RATE}]))", legend="{{outcome}}"),),
            width=6,
            height=10,
            bars=True,
            stacked=True,
            columns=titles(RELOAD_OUTCOMES),
        ),
        Panel(
            kind="timeseries",
            title="推断复核",
            about=(
                "durable-rules 对内置匹配器各条结论的复核：一致、不一致、没有答复；等候复核的过多时略过。",
                "What checking the matcher's conclusions by durable-rules came to; they are passed over where too many wait.",
            ),
            queries=(Query(expr=f"sum by (outcome) (increase(fengsui_inference_compared_total[{RATE}]))", legend="{{outcome}}"),),
            width=24,
            height=6,
            bars=True,
            stacked=True,
            columns=titles(COMPARED),
        ),
    ),
)

ENGINE = Board(
    uid="fengsui-engine",
    title="数据源与引擎",
    about=(
        "数据来得全不全、处理跟不跟得上、规则对不对。",
        "Feeds and engine: is data complete, does the engine keep up, are the rules sound.",
    ),
    variables=(LabelVariable(name="feed", title="数据源", metric="fengsui_feed_last_received_timestamp_seconds", label="feed"),),
    marks=(
        ACTIVATED,
        Marks(
            title="规则集被拒绝",
            expr='sum(changes(fengsui_ruleset_reloads_total{outcome="refused"}[2m])) > 0',
            text="规则文件有误，沿用旧集 / rule set refused",
            colour="red",
        ),
    ),
    rows=(FEEDS, PIPELINE, REQUESTS, RULES),
    since="now-6h",
)
