"""Writes docs/settings.md from the settings' own model: `python -m tests.docs.settings_page`; a test keeps the file equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from app.settings import ROOT, Settings

PAGE = ROOT / "docs" / "settings.md"
CHINESE = {
    "data": "日志、数据库与密钥所在目录；同一时间只许一个进程使用",
    "rules": "规则包目录（*.yaml），规则的唯一来源",
    "mappings": "自有映射目录；与随附映射同名者取代之",
    "policies": "时限政策目录（*.yaml）",
    "calendars": "逐年工作日历文件的目录（2027.yaml）",
    "host": "监听地址",
    "port": "监听端口；0 表示任取空闲端口",
    "metrics_port": "研判、督办进程的指标端口，不需凭据；0 表示不开放",
    "public_url": "通知中链接的开头；缺省 http://host:port",
    "namespace": "每个预警编号的一部分：本部署的名称",
    "language": "提示语的语言",
    "snapshot_every": "每隔多少条日志存一次研判状态快照",
    "quiet_hours": "低于解除线多少小时后，一个时段结束",
    "reload_seconds": "多久查看一次规则目录；0 表示从不",
    "approve_rules": "规则变更是否须经另一人批准后才启用",
    "inbox_seconds": "多久查看一次 <data>/inbox/<feed>/；0 表示从不",
    "inbox_settle_seconds": "文件静止多久之后才读取",
    "inbox_done_hours": "已接收的文件多少小时后从该数据源的 done/ 中删除",
    "retention_days": "没有映射的数据源，其原始数据保留多少天；有映射的以映射为准",
    "sealing_key": "个人信息和原始数据的加密密钥文件（openssl rand -hex 32）；缺省 <data>/sealing-key",
    "personal_key": "个人信息代号的密钥文件，集群各接入进程须相同；缺省 <data>/personal-key",
    "link_key": "一次性链接的密钥文件，集群各进程须相同；缺省 <data>/link-key",
    "egress.allow": "非公网而允许连接的网段（CIDR）",
    "egress.attempt_seconds": "一次投递多少秒无应答即放弃",
    "limits.body_bytes": "请求正文上限，超过者回答 413",
    "database_url": "PostgreSQL：postgresql://用户@主机/库，不含口令；留空则用数据目录中的 SQLite 文件",
    "database_password_file": "只含 database_url 口令的文件",
    "kafka.bootstrap": "Kafka 地址，主机:端口，以逗号分隔",
    "kafka.tls": "连接是否加密",
    "kafka.ca_file": "签发 Kafka 证书的机构的证书（PEM）",
    "kafka.cert_file": "本方证书（PEM），Kafka 要求时才需要",
    "kafka.key_file": "本方证书的私钥（PEM）",
    "kafka.mechanism": "登录方式：PLAIN、SCRAM-SHA-256 或 SCRAM-SHA-512；留空则不用口令",
    "kafka.user": "登录的用户名",
    "kafka.password_file": "只含口令的文件",
    "kafka.prefix": "本部署的主题名的开头",
    "kafka.partitions": "分区数；建立后不可改变",
    "kafka.replicas": "每条记录存于几台机器",
    "kafka.min_insync": "几台机器写好之后才应答",
    "kafka.retention_days": "主题中的记录保留多少天；0 表示永久",
    "kafka.reduced_durability": "是否接受少于 3 个副本或少于 2 个同步副本",
    "kafka.snapshots": "分区快照目录，须为各工作进程共用的同一目录；不设则存于数据库",
    "kafka.snapshot_seconds": "研判多少秒之后存一次分区快照：接手时至多重新研判这么久",
    "kafka.standby_mb": "研判进程用于预热他人分区的内存上限（MiB）；0 表示不预热",
    "kafka.outputs": "研判结果是否写入预警与事件两个主题",
    "kafka.session_seconds": "研判进程多久无声息后，其分区转交他人；接入进程所读来源的分区亦然",
    "kafka.stuck_seconds": "有积压而停滞多久后，工作进程退出（状态 70）",
    "kafka.sources": "由接入进程读取的其他系统的主题：topic、feed 及 docs/cluster.md 所列各项",
}
HEAD = """# 设置 Settings

本页由程序从 `app/settings.py` 生成（`python -m tests.docs.settings_page`），请勿手改。
This page is generated from `app/settings.py`; do not edit it by hand.

设置由低到高取自四处：缺省值、TOML 文件（`fengsui serve --config FILE`）、环境变量、命令行参数。
名称写错或值不合法，`serve` 不启动，并一次列出全部问题。

A setting comes from four places, the later ones win: default, TOML file (`fengsui serve --config FILE`), environment, flag.
With an illegal value or an unknown name in the file `serve` does not start, and names all of them.

```toml
data = "/var/lib/fengsui"
public_url = "https://fengsui.example.gov.cn"

[egress]
allow = ["10.20.0.0/16"]
```

密钥不在其中：首次启动时生成，存于数据目录；`sealing_key` 只写密钥文件的位置。
Secrets are none of them: they are made at the first start and lie in the data folder; `sealing_key` only says where one lies.

| TOML | 环境变量 Environment | 参数 Flag | 缺省 Default | 含义 Meaning |
|---|---|---|---|---|
"""


class Setting(NamedTuple):
    """One setting: its dotted name in TOML, its default as a reader would write it, and what it means in English."""

    name: str
    default: str
    meaning: str

    @property
    def variable(self) -> str:
        """The environment variable of the setting."""
        return "FENGSUI_" + self.name.upper().replace(".", "__")


def settings(model: type[BaseModel] = Settings, before: str = "") -> Iterator[Setting]:
    """Yield all settings in the order of the model, nested ones in the place of their group."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings(kind, f"{before}{name}.")
        else:
            yield Setting(before + name, _written(field.default), field.description or "")


def _written(value: Any) -> str:
    if isinstance(value, Path) and value.is_relative_to(ROOT):
        return f"随附 shipped ({value.relative_to(ROOT)})"
    if value in (None, ""):
        return "–"
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value}`"


def page(flags: frozenset[str]) -> str:
    """Return the whole page; `flags` are the options of `fengsui serve`."""
    rows = []
    for one in settings():
        flag = f"`--{one.name}`" if f"--{one.name}" in flags else ""
        meaning = f"{CHINESE[one.name]}。{one.meaning[:1].upper()}{one.meaning[1:]}.".replace("<", "&lt;")
        rows.append(f"| `{one.name}` | `{one.variable}` | {flag} | {one.default} | {meaning} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    from tests.docs.command_line import options

    PAGE.write_text(page(options("serve")), encoding="utf-8")
