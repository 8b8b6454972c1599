"""Pieces of PromQL that several panels share; `$…` is filled in by Grafana."""

from __future__ import annotations

RATE = "$__rate_interval"  # Grafana's: never shorter than four scrapes, so that a rate always has its two samples
DEPARTMENT = 'department=~"$department"'
LEVEL = 'level=~"$level"'
ALIVE = "0 * max(fengsui_build_info)"  # 0 while Fengsui is scraped, nothing once it is not


def once(gauge: str) -> str:
    """Return a gauge that several processes of a cluster read from their one database, with each value counted once."""
    return f"max without (instance, job) ({gauge})"


def or_zero(expr: str, label: str = "", value: str = "") -> str:
    """Return `expr`, and 0 where it has no series while Fengsui is scraped: silence must not look like "none".

    The 0 bears `label` with `value`, for panels that show a label.
    """
    zero = f'label_replace({ALIVE}, "{label}", "{value}", "", "")' if label else ALIVE
    return f"({expr}) or ({zero})"


def named(expr: str) -> str:
    """Return `expr`, which has a label `department` (id), with the department's name in a label `name`; the id where it has none."""
    names = "max by (department, name) (fengsui_department_info)"
    unknown = f'label_replace({expr}, "name", "$1", "department", "(.*)")'
    return f"({expr}) * on (department) group_left (name) {names} or on (department) {unknown}"


def quantile(share: float, histogram: str, window: str = RATE) -> str:
    """Return the quantile `share` in [0, 1] of a histogram's observations in the window, in seconds; NaN where there were none."""
    return f"histogram_quantile({share}, sum by (le) (rate({histogram}_bucket[{window}])))"
