"""Settings: flags over environment (`FENGSUI_…`, nested with `__`) over a TOML file over defaults.

Secrets never stand here: they are made at first start or given, and live hashed or as files in the data folder or where a setting says.
"""

from __future__ import annotations

from datetime import timedelta
from errno import ENOENT
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from connectors.kafka.access import Access, Mechanism, addresses
from connectors.kafka.layout import NAMES, Layout
from connectors.outbound.egress import networks
from connectors.outbound.webhook import TIMEOUT
from domain.errors import FileProblems, Problem, StoreUnavailable
from domain.messages import both
from domain.partitions import MOST_PARTITIONS
from rules.problems import nearest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_PACKS = ROOT / "rules" / "packs"
SHIPPED_MAPPINGS = ROOT / "connectors" / "mappings"
SHIPPED_POLICIES = ROOT / "dispatch" / "policies"


class Egress(BaseModel):
    """Outbound requests."""

    model_config = ConfigDict(extra="forbid")
    allow: tuple[str, ...] = Field(default=(), description="networks (CIDR) that are not public and may be connected to")
    attempt_seconds: float = Field(default=TIMEOUT, gt=0, le=30, description="after which an attempt to deliver is given up")

    @field_validator("allow")
    @classmethod
    def _are_networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        networks(texts)
        return texts


class Limits(BaseModel):
    """What one request may weigh; the intake queue bounds itself and answers 503 when it is full."""

    model_config = ConfigDict(extra="forbid")
    body_bytes: int = Field(default=16 * 2**20, gt=0, description="largest request body; more is refused with 413")


class Connection(BaseModel):
    """How brokers are reached: addresses, TLS, login."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bootstrap: str = Field(default="", description="addresses HOST:PORT of brokers, comma-separated")
    tls: bool = Field(default=False, description="whether connections are encrypted")
    ca_file: Path | None = Field(default=None, description="PEM file of the authority that signed the brokers' certificates")
    cert_file: Path | None = Field(default=None, description="PEM file of our own certificate, where the brokers want one")
    key_file: Path | None = Field(default=None, description="PEM file of its key")
    mechanism: Mechanism = Field(default="", description="how we log in: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for no password")
    user: str = Field(default="", description="user name of the login")
    password_file: Path | None = Field(default=None, description="file with the password, and nothing else")

    def access(self) -> Access:
        """Return how the brokers are reached, with the password.

        Raises:
            StoreUnavailable: there is a mechanism and no readable password file.
        """
        password = ""
        if self.mechanism:
            try:
                password = self.password_file.read_text(encoding="utf-8").strip() if self.password_file is not None else ""
            except OSError as error:
                raise StoreUnavailable(both("kafka.password_file", file=self.password_file, error=error.strerror or error)) from error
            if not password:
                raise StoreUnavailable(both("kafka.no_password", mechanism=self.mechanism))
        return Access(
            bootstrap=self.bootstrap,
            tls=self.tls,
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
            mechanism=self.mechanism,
            user=self.user,
            password=password,
        )


class Source(Connection):
    """A topic of another system whose messages the edges take; without a `bootstrap` of its own it is on the cluster's brokers."""

    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$", description="name of the topic")
    feed: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="feed whose records its messages are")
    canonical: bool = Field(
        default=False, description="whether messages are canonical signals or CloudEvents of such, not raw records of the feed's mapping"
    )
    content_type: str = Field(default="application/json", description="what a message is that has no header content-type")
    group: str = Field(default="", description="consumer group; by default PREFIX.FEED.TOPIC")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        """Refuse what would be ignored: how brokers are reached that are not named."""
        ignored = sorted(self.model_fields_set & Connection.model_fields.keys() - {"bootstrap"})
        if not self.bootstrap and ignored:
            raise ValueError(both("settings.source_bootstrap", names=", ".join(ignored)))
        return self


class Kafka(Connection):
    """The brokers and topics of a cluster; `serve` needs none."""

    bootstrap: str = Field(default="127.0.0.1:9092", description="addresses HOST:PORT of brokers, comma-separated")
    prefix: str = Field(
        default="fengsui", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="what the names of the deployment's topics begin with"
    )
    partitions: int = Field(default=24, ge=1, le=MOST_PARTITIONS, description="of the topic of frames; fixed once it is made")
    replicas: int = Field(default=3, ge=1, description="machines that have each record")
    min_insync: int = Field(default=2, ge=1, description="machines that must have a record before it is acknowledged")
    retention_days: float = Field(default=0, ge=0, description="days that the log is kept; 0 for good")
    reduced_durability: bool = Field(default=False, description="whether fewer than 3 replicas or 2 in sync are accepted")
    snapshots: Path | None = Field(
        default=None, description="folder of partition snapshots, the same one for all workers; without it they stand in the database"
    )
    snapshot_seconds: float = Field(
        default=15.0, gt=0, description="seconds of judging between two snapshots of a partition: what a takeover judges again at most"
    )
    standby_mb: int = Field(
        default=1024, ge=0, description="MiB of memory a worker may spend on warm standbys of others' partitions; 0 for none"
    )
    outputs: bool = Field(default=True, description="whether what is found is written to the topics of warnings and events")
    session_seconds: float = Field(
        default=15.0, ge=6, description="silence after which a worker's partitions, or those of an edge's sources, go to others"
    )
    stuck_seconds: float = Field(default=60.0, gt=0, description="standstill in spite of work after which a worker ends (status 70)")
    sources: tuple[Source, ...] = Field(
        default=(), description="topics of other systems that the edges take in: topic, feed, and what docs/cluster.md names"
    )

    @model_validator(mode="after")
    def _is_no_loop(self) -> Self:
        """Refuse a source that is one of our own topics, and the same one twice."""
        own = {self.layout().topic(name) for name in NAMES}
        seen: set[tuple[str, str, str]] = set()
        for source in self.sources:
            if source.topic in own and self.same_brokers(source):
                raise ValueError(both("settings.source_loop", topic=source.topic))
            key = (source.bootstrap, source.topic, source.feed)
            if key in seen:
                raise ValueError(both("settings.source_twice", topic=source.topic, feed=source.feed))
            seen.add(key)
        return self

    def same_brokers(self, source: Source) -> bool:
        """Tell whether a source names brokers of ours, as far as the addresses say."""
        return not source.bootstrap or not addresses(source.bootstrap).isdisjoint(addresses(self.bootstrap))

    def access_of(self, source: Source) -> Access:
        """Return how the brokers of a source are reached; raises as `access`."""
        return source.access() if source.bootstrap else self.access()

    def group_of(self, source: Source) -> str:
        """Return the consumer group that all edges read a source with."""
        return source.group or f"{self.prefix}.{source.feed}.{source.topic}"

    def layout(self) -> Layout:
        """Return what the topics have to be."""
        return Layout(
            prefix=self.prefix,
            partitions=self.partitions,
            replicas=self.replicas,
            min_insync=self.min_insync,
            retention_days=self.retention_days,
            reduced_durability=self.reduced_durability,
        )


class Settings(BaseSettings):
    """Everything that Fengsui's processes can be told."""

    model_config = SettingsConfigDict(env_prefix="FENGSUI_", env_nested_delimiter="__", extra="forbid", frozen=True)

    data: Path = Field(default=Path("data"), description="folder of journal, database and secrets; one process at a time")
    rules: Path = Field(default=SHIPPED_PACKS, description="folder of rule packs (*.yaml), the only source of rules")
    mappings: Path | None = Field(default=None, description="folder of further feed mappings; a name shipped too is replaced")
    policies: Path = Field(default=SHIPPED_POLICIES, description="folder of policies (*.yaml)")
    calendars: Path | None = Field(default=None, description="folder of yearly calendar files (2027.yaml)")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="port of the metrics of a worker or a duty loop, without a credential; 0 for none"
    )
    public_url: str = Field(default="", description="address that links in messages begin with; default http://host:port")
    namespace: str = Field(default="live", description="part of every warning id: this deployment's name")
    language: str = Field(default="zh-CN", pattern="^(zh-CN|en)$", description="language of messages")
    snapshot_every: int = Field(default=50_000, gt=0, description="records between two snapshots of the risk state")
    quiet_hours: float = Field(default=72.0, gt=0, description="hours below the clear level after which an episode ends")
    reload_seconds: float = Field(default=1.0, ge=0, description="how often the rules folder is looked at; 0 never")
    approve_rules: bool = Field(default=False, description="whether a changed rule set waits until a second person approves it")
    inbox_seconds: float = Field(default=1.0, ge=0, description="how often <data>/inbox/<feed>/ is looked at; 0 never")
    inbox_settle_seconds: float = Field(default=2.0, ge=0, description="how long a file must stand still before it is taken")
    inbox_done_hours: float = Field(default=24.0, ge=0, description="hours after which a taken file is deleted from its feed's done/")
    retention_days: float = Field(
        default=180.0, gt=0, description="days that input of a feed without a mapping is kept; a mapping says its own"
    )
    sealing_key: Path | None = Field(
        default=None, description="file with the key of personal values and raw input (openssl rand -hex 32); default <data>/sealing-key"
    )
    personal_key: Path | None = Field(
        default=None, description="file with the key of personal tokens, the same for all edges of a cluster; default <data>/personal-key"
    )
    link_key: Path | None = Field(
        default=None, description="file with the key of one-time links, the same for all roles of a cluster; default <data>/link-key"
    )
    egress: Egress = Egress()
    limits: Limits = Limits()
    database_url: str = Field(
        default="", description="PostgreSQL, postgresql://user@host/name without a password; empty for the SQLite file in the data folder"
    )
    database_password_file: Path | None = Field(default=None, description="file with the password of database_url, and nothing else")
    kafka: Kafka = Kafka()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the TOML file below the environment."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def quiet(self) -> timedelta:
        """The quiet period as a duration."""
        return timedelta(hours=self.quiet_hours)

    @property
    def base_url(self) -> str:
        """The address that links begin with, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def load_settings(config: Path | None = None, **flags: object) -> Settings:
    """Return the settings of a TOML file, the environment and the flags that are not None.

    Raises:
        FileProblems: the file is no TOML, or values are illegal and names unknown, in it or in the environment: all of them.
        FileNotFoundError: `config` names no file.
    """
    if config is not None and not config.is_file():
        raise FileNotFoundError(ENOENT, "no settings file", str(config))

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return FromFile(**given)  # type: ignore[arg-type]  # pydantic checks the values
    except TOMLDecodeError as error:
        raise FileProblems([_problem(config, both("settings.no_toml", reason=error))]) from error
    except ValidationError as error:
        raise FileProblems([_problem(config, _wrong(each)) for each in error.errors()]) from error


def _problem(config: Path | None, message: str) -> Problem:
    return Problem(file=str(config) if config is not None else "FENGSUI_*", line=0, column=0, message=message)


def _wrong(found: ErrorDetails) -> str:
    """Return what is wrong with a setting, with the nearest name for one that is none."""
    name = ".".join(map(str, found["loc"]))
    if found["type"] != "extra_forbidden":
        return both("settings.illegal", name=name, reason=found["msg"])  # not the value: it may be a secret
    near = nearest(name, list(Settings.model_fields))
    return both("settings.unknown_near" if near else "settings.unknown", name=name, near=near)
