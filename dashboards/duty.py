"""Duty overview (值班总览): what is open, who is late, what could not be delivered, and whether the clocks run."""

from __future__ import annotations

from dashboards.alerts import ALERTS
from dashboards.board import Board, LabelVariable, Row
from dashboards.engine import ACTIVATED
from dashboards.panels import BAD_FROM_ONE, Column, Link, Panel, Query, figure, level_columns, titles
from dashboards.promql import DEPARTMENT, LEVEL, RATE, named, once, or_zero, quantile
from domain.messages import text
from domain.policies import ACTS
from domain.tasks import OPEN_STAGES

DELIVERY_OUTCOMES = {"sent": "已送达", "failed": "失败待重试", "dead": "死信"}
ANSWER_OUTCOMES = {"applied": "已采纳", "refused": "未采纳"}
TIMER_KINDS = {
    "reminder": "提醒",
    "due": "到期",
    "rung": "升级",
    "answer": "督办答复到期",
    "pause_end": "中止到期",
    "revisit": "回访",
    "unrouted": "待指定",
}
TO_LEVEL = Link(title="查看该等级预警", path="/warnings?level=${__field.labels.level}")
TO_DEPARTMENT = Link(title="查看该单位预警", path="/warnings?department=${__data.fields.department}")
TO_UNROUTED = Link(title="查看待指定预警", path="/warnings?status=unrouted")
TO_LIST = Link(title="查看预警列表", path="/warnings")

OPEN = once(f"fengsui_warnings_open{{{LEVEL}}}")
OPEN_OF = once(f"fengsui_warnings_open_by_department{{{DEPARTMENT}, {LEVEL}}}")
OVERDUE = once(f"fengsui_tasks_overdue{{{DEPARTMENT}}}")
TASKS = once(f"fengsui_tasks_open{{{DEPARTMENT}}}")
DEAD = once(f"fengsui_outbox_dead{{{DEPARTMENT}}}")
UNIT = Column(title="单位", link=TO_DEPARTMENT)
BY_NAME = "{{name}}"
ALERT_LABELS = ("severity", "alertname", "alertstate", "job", "feed", "department", "loop")
NONE = "none"  # stands where a label would, beside the 0 of "there is none"
DEAD_BY_NAME = or_zero(named(f"sum by (department) ({DEAD})"), "name", "无")

NOW = Row(
    title="当前 Now",
    panels=(
        Panel(
            kind="stat",
            title="未办结预警",
            about=("各等级未办结预警数，含待指定的。点击进入列表。", "Open warnings by level, unrouted ones included. Click for the list."),
            queries=(Query(expr=or_zero(f"sum by (level) ({OPEN})", "level", NONE), legend="{{level}}"),),
            width=9,
            height=5,
            columns=level_columns() | {NONE: Column(title="无", colour="green")},
            link=TO_LEVEL,
        ),
        figure(
            "待指定预警",
            ("没有主管单位、等值班员指定的预警。", "Warnings without a competent department: the duty desk has to name one."),
            "max(fengsui_warnings_unrouted)",
            width=3,
            steps=BAD_FROM_ONE,
            link=TO_UNROUTED,
        ),
        figure(
            "待指定最长等待",
            ("最早一条待指定预警已等待多久。", "How long the oldest unrouted warning has been waiting."),
            "max(fengsui_warnings_unrouted_wait_seconds)",
            width=3,
            unit="s",
            steps=((1, "yellow"), (1800, "red")),
            link=TO_UNROUTED,
        ),
        figure(
            "超期任务",
            ("有一项时限已过、仍在办理的任务。", "Open tasks one of whose limits has passed."),
            or_zero(f"sum({OVERDUE})"),
            width=3,
            steps=BAD_FROM_ONE,
            link=TO_LIST,
        ),
        figure(
            "死信",
            (
                "重试用尽、收件单位没有收到的通知。须换渠道告知后重发。",
                "Deliveries given up: tell the department by phone, then resend.",
            ),
            or_zero(f"sum({DEAD})"),
            width=3,
            steps=BAD_FROM_ONE,
        ),
        figure(
            "计时器滞后",
            (
                "到期未触发的计时器最长滞后。应接近 0；变大时催办、升级不会发出。",
                "How late the oldest due timer is; while it grows, nothing escalates.",
            ),
            "max(fengsui_timers_late_seconds)",
            width=3,
            unit="s",
            steps=((10, "yellow"), (60, "red")),
        ),
    ),
)

DEPARTMENTS = Row(
    title="单位 Departments",
    panels=(
        Panel(
            kind="table",
            title="各单位在办情况",
            about=(
                "每个单位牵头的未办结预警、在办任务、超期任务、近 30 天按时率和死信。",
                "Per department: warnings led, open and overdue tasks, on-time rate, dead letters.",
            ),
            queries=(
                Query(expr=named(f"sum by (department) ({OPEN_OF})"), instant=True),
                Query(expr=named(f"sum by (department) ({TASKS})"), instant=True),
                Query(expr=named(f"sum by (department) ({OVERDUE})"), instant=True),
                Query(expr=named(f"max by (department) (fengsui_tasks_on_time_ratio{{{DEPARTMENT}}})"), instant=True),
                Query(expr=named(f"sum by (department) ({DEAD})"), instant=True),
            ),
            width=14,
            height=10,
            order=("name", "department", "Value #A", "Value #B", "Value #C", "Value #D", "Value #E"),
            columns={
                "name": UNIT,
                "department": Column(hidden=True),
                "Value #A": Column(title="牵头预警"),
                "Value #B": Column(title="在办任务"),
                "Value #C": Column(title="超期任务", steps=BAD_FROM_ONE),
                "Value #D": Column(title="按时率", unit="percentunit", steps=((0.0, "red"), (0.8, "orange"), (0.95, "green"))),
                "Value #E": Column(title="死信", steps=BAD_FROM_ONE),
            },
        ),
        Panel(
            kind="table",
            title="单位与等级",
            about=("各单位牵头的未办结预警，按等级分列。", "Open warnings by lead department and level."),
            queries=(Query(expr=f"sum by (name, level) ({named(f'sum by (department, level) ({OPEN_OF})')})", instant=True),),
            width=10,
            height=10,
            matrix=("name", "level"),
            columns={"name\\level": Column(title="单位"), **level_columns()},
        ),
        Panel(
            kind="bargauge",
            title="按时率",
            about=("近 30 天已结束的阶段中按时完成的占比。", "Share of the stages closed in the last 30 days that met their limit."),
            queries=(
                Query(
                    expr=f"sort({named(f'max by (department) (fengsui_tasks_on_time_ratio{{{DEPARTMENT}}})')})",
                    legend=BY_NAME,
                    instant=True,
                ),
            ),
            unit="percentunit",
            largest=1,
            low="red",
            steps=((0.8, "orange"), (0.95, "green")),
        ),
        Panel(
            kind="timeseries",
            title="超期任务走势",
            about=("各单位超期任务数随时间的变化。", "Overdue tasks by department over time."),
            queries=(Query(expr=named(f"sum by (department) ({OVERDUE})"), legend=BY_NAME),),
        ),
        Panel(
            kind="timeseries",
            title="任务所处阶段",
            about=("在办任务各处于哪个阶段。某阶段持续增多即堵在该处。", "Open tasks by stage: where one grows, work is stuck."),
            queries=(Query(expr=f"sum by (stage) ({TASKS})", legend="{{stage}}"),),
            stacked=True,
            columns=titles({stage.value: text(f"stage.{stage.value}") for stage in OPEN_STAGES}),
        ),
    ),
)

FLOW = Row(
    title="流转 Flow",
    panels=(
        Panel(
            kind="timeseries",
            title="未办结预警走势",
            about=("各等级未办结预警数随时间的变化。", "Open warnings by level over time."),
            queries=(Query(expr=f"sum by (level) ({OPEN})", legend="{{level}}"),),
            stacked=True,
            columns=level_columns(),
            link=TO_LEVEL,
        ),
        Panel(
            kind="timeseries",
            title="新生成预警",
            about=(
                "按等级统计的新预警；突然增多时先看是不是一条规则或一路数据引起的。",
                "Warnings raised by level; on a jump, look for one rule or one feed first.",
            ),
            queries=(Query(expr=f"sum by (level) (increase(fengsui_warnings_raised_total{{{LEVEL}}}[{RATE}]))", legend="{{level}}"),),
            stacked=True,
            bars=True,
            columns=level_columns(),
        ),
        Panel(
            kind="timeseries",
            title="催办、督办与报送",
            about=("升级阶梯上发生的动作：催办、督办、报送。", "Rungs of the escalation ladder reached, by act."),
            queries=(Query(expr=f"sum by (act) (increase(fengsui_escalations_total[{RATE}]))", legend="{{act}}"),),
            stacked=True,
            bars=True,
            columns=titles({act: text(f"act.{act}") for act in ACTS}),
        ),
        Panel(
            kind="timeseries",
            title="部门答复",
            about=(
                "部门的签收、核查、处置、反馈等答复；未采纳的多，说明对方接口或权限有误。",
                "Answers of departments; many refused ones mean a wrong integration or role.",
            ),
            queries=(Query(expr=f"sum by (outcome) (increase(fengsui_answers_total[{RATE}]))", legend="{{outcome}}"),),
            stacked=True,
            bars=True,
            columns=titles(ANSWER_OUTCOMES),
        ),
        Panel(
            kind="timeseries",
            title="触发的计时器",
            about=("按种类统计的已触发计时器。", "Timers fired by kind."),
            queries=(Query(expr=f"sum by (kind) (increase(fengsui_timers_fired_total[{RATE}]))", legend="{{kind}}"),),
            stacked=True,
            bars=True,
            columns=titles(TIMER_KINDS),
        ),
        Panel(
            kind="timeseries",
            title="计时器待触发与滞后",
            about=("待触发的计时器数，以及最长滞后秒数。", "Timers that have not fired, and how many seconds the oldest due one is late."),
            queries=(
                Query(expr="max(fengsui_timers_pending)", legend="待触发"),
                Query(expr="max(fengsui_timers_late_seconds)", legend="最长滞后"),
            ),
            columns={"最长滞后": Column(unit="s", colour="red")},
        ),
    ),
)

DELIVERIES = Row(
    title="送达 Deliveries",
    panels=(
        Panel(
            kind="timeseries",
            title="通知送达",
            about=("每次投递的结果：已送达、失败待重试、死信。", "Delivery attempts by outcome: sent, failed (tried again), dead."),
            queries=(Query(expr=f"sum by (outcome) (increase(fengsui_deliveries_total[{RATE}]))", legend="{{outcome}}"),),
            stacked=True,
            bars=True,
            columns={
                "sent": Column(title=DELIVERY_OUTCOMES["sent"], colour="green"),
                "failed": Column(title=DELIVERY_OUTCOMES["failed"], colour="orange"),
                "dead": Column(title=DELIVERY_OUTCOMES["dead"], colour="red"),
            },
        ),
        Panel(
            kind="timeseries",
            title="待投递",
            about=(
                "还没有送出的通知；持续增多说明对方接口不通。",
                "Deliveries still to be made; growing means that receivers do not answer.",
            ),
            queries=(Query(expr="max(fengsui_outbox_waiting)", legend="待投递"),),
            width=4,
        ),
        Panel(
            kind="bargauge",
            title="各单位死信",
            about=("哪些单位有通知没有收到。", "Which departments were not reached."),
            queries=(Query(expr=DEAD_BY_NAME, legend=BY_NAME, instant=True),),
            width=4,
            steps=BAD_FROM_ONE,
        ),
        Panel(
            kind="timeseries",
            title="单次投递用时",
            about=("一次投递从发出到得到答复的用时：中位数与 95 分位。", "Duration of one attempt: median and 95th percentile."),
            queries=(
                Query(expr=quantile(0.5, "fengsui_delivery_seconds"), legend="50%"),
                Query(expr=quantile(0.95, "fengsui_delivery_seconds"), legend="95%"),
            ),
            unit="s",
        ),
        Panel(
            kind="table",
            title="系统告警",
            about=("烽燧自身的告警，处理办法见 docs/dashboards.md。", "Alerts about Fengsui itself; docs/dashboards.md says what to do."),
            queries=(Query(expr=f'max by ({", ".join(ALERT_LABELS)}) (ALERTS{{alertname=~"Fengsui.+"}})', instant=True),),
            width=24,
            height=7,
            nothing="无告警",
            order=(*ALERT_LABELS, "Value"),
            columns={
                "severity": Column(title="程度", texts={"critical": "严重", "warning": "一般", "info": "提示"}),
                "alertname": Column(title="告警", texts={alert.name: alert.title[0] for alert in ALERTS}),
                "alertstate": Column(title="状态", texts={"firing": "已触发", "pending": "观察中"}),
                "job": Column(title="进程"),
                "feed": Column(title="数据源"),
                "department": Column(title="单位"),
                "loop": Column(title="循环"),
                "Value": Column(hidden=True),
            },
        ),
    ),
)

DUTY = Board(
    uid="fengsui-duty",
    title="值班总览",
    about=(
        "值班员看的总览：有什么没办完，谁超期了，什么没送到，计时器是否在走。",
        "Duty overview: what is open, who is late, what was not delivered, whether clocks run.",
    ),
    variables=(
        LabelVariable(name="department", title="单位", metric="fengsui_department_info", label="department"),
        LabelVariable(name="level", title="等级", metric="fengsui_warnings_open", label="level"),
    ),
    marks=(ACTIVATED,),
    rows=(NOW, DEPARTMENTS, FLOW, DELIVERIES),
)
