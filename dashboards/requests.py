"""Requests (请求): how many, how quickly, how often with an error; a row of the board of feeds and engine."""

from __future__ import annotations

from dashboards.board import Row
from dashboards.panels import Panel, Query, quantiles, titles
from dashboards.promql import RATE

ANSWERS = ("2xx", "3xx", "4xx", "5xx")
SIGN_INS = {"begun": "已登录", "refused": "令牌无效"}

REQUESTS = Row(
    title="请求 Requests",
    panels=(
        Panel(
            kind="timeseries",
            title="每秒请求",
            about=(
                "每秒回答的请求，按进程与结果；5xx 是我方出错。",
                "Requests answered per second by process; 5xx are our errors.",
            ),
            queries=(Query(expr=f"sum by (job, answer) (rate(fengsui_requests_total[{RATE}]))", legend="{{job}} {{answer}}"),),
            unit="reqps",
            stacked=True,
        ),
        Panel(
            kind="timeseries",
            title="请求用时",
            about=("从收到请求到答完的用时分位数。", "Quantiles from a request's arrival to the end of its answer."),
            queries=quantiles("fengsui_request_seconds"),
            unit="s",
        ),
        Panel(
            kind="timeseries",
            title="接收应答用时",
            about=("从收到请求到落盘后应答的用时分位数。", "Quantiles from a request's arrival to its answer, synced to disk."),
            queries=quantiles("fengsui_intake_answer_seconds"),
            unit="s",
        ),
        Panel(
            kind="timeseries",
            title="被拒绝的请求",
            about=("按原因统计的被拒绝请求。", "Refused requests by reason."),
            queries=(Query(expr=f"sum by (reason) (increase(fengsui_requests_refused_total[{RATE}]))", legend="{{reason}}"),),
            bars=True,
            stacked=True,
        ),
        Panel(
            kind="timeseries",
            title="控制台登录",
            about=(
                "控制台登录次数：已登录、令牌无效。无效的突然增多，可能有人在试。",
                "Tokens brought to the console; many refused ones may mean that somebody tries.",
            ),
            queries=(Query(expr=f"sum by (outcome) (increase(fengsui_sign_ins_total[{RATE}]))", legend="{{outcome}}"),),
            bars=True,
            stacked=True,
            columns=titles(SIGN_INS),
        ),
    ),
)
