"""`fengsui topics` on real brokers: what it makes, what it refuses, and what it says when it cannot."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, KafkaAdminClient, NewTopic
from typer.testing import CliRunner, Result

from app.cli import app
from app.cluster.api import ApiRole
from app.cluster.duty import DutyRole
from app.cluster.edge import EdgeRole
from app.cluster.worker import WorkerRole
from app.doctor import _cluster, examine
from app.settings import Kafka, Settings
from connectors.kafka.access import Access
from connectors.kafka.diagnosis import unreachable
from connectors.kafka.topics import MARK_KEY
from deploy.kafka.local import LocalKafka, free_port
from domain.errors import StoreUnavailable
from domain.messages import both
from domain.partitions import PLACEMENT
from tests.cluster.tls import USER, Secrets
from tests.cluster.world import PATIENCE, start_role

pytestmark = pytest.mark.service("kafka")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on a broker that does not answer sooner than an operator would."""
    monkeypatch.setattr("connectors.kafka.topics.BOOTSTRAP_MS", 1000)


def _topics(command: str, kafka: LocalKafka, prefix: str, *arguments: str, partitions: int = 4) -> Result:
    """Run `fengsui topics COMMAND` for one broker; what it says of errors is in `stderr`."""
    environment = {"FENGSUI_KAFKA__REPLICAS": "1", "FENGSUI_KAFKA__MIN_INSYNC": "1"}
    given = ["topics", command, "--bootstrap", kafka.bootstrap, "--prefix", prefix, "--partitions", str(partitions)]
    return CliRunner().invoke(app, [*given, "--reduced-durability", *arguments], env=environment)


def test_plan_apply_check(kafka: LocalKafka, prefix: str) -> None:
    """An empty cluster: the plan names five topics, apply makes them, and check has nothing to say; apply again does nothing."""
    planned = _topics("plan", kafka, prefix, "--output", "json")
    assert (planned.exit_code, [row["what"] for row in json.loads(planned.stdout)]) == (0, ["apply"] * 5)
    assert _topics("check", kafka, prefix).exit_code == 1
    made = _topics("apply", kafka, prefix)
    assert (made.exit_code, made.stdout.count(prefix)) == (0, 6)  # five topics, one mark
    checked = _topics("check", kafka, prefix)
    assert (checked.exit_code, checked.stdout) == (0, "主题齐全，符合要求 / all topics are there and as they have to be\n")
    assert _topics("apply", kafka, prefix).stdout == checked.stdout


def test_another_number_of_partitions_is_refused(kafka: LocalKafka, prefix: str) -> None:
    """Settings with another number than the topics were made with: plan, check and apply refuse, and nothing is changed."""
    assert _topics("apply", kafka, prefix).exit_code == 0
    for command, code in (("plan", 1), ("check", 1), ("apply", 2)):
        refused = _topics(command, kafka, prefix, partitions=5)
        assert refused.exit_code == code, command
        assert "made with 4/crc32" in refused.stdout + refused.stderr
    assert _topics("check", kafka, prefix).exit_code == 0


def test_partitions_added_by_somebody_else_are_noticed(kafka: LocalKafka, prefix: str) -> None:
    """Whoever adds partitions with Kafka's own tools and raises the setting to match is told by the mark."""
    assert _topics("apply", kafka, prefix).exit_code == 0
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.create_partitions({f"{prefix}.{name}": 6 for name in ("frames", "groups", "warnings", "events")})
    assert "has 6 partitions, 4 are wanted" in _topics("check", kafka, prefix).stdout
    matching = _topics("check", kafka, prefix, partitions=6)
    assert (matching.exit_code, "made with 4/crc32" in matching.stdout) == (1, True)


def test_retention_and_compaction_are_mended(kafka: LocalKafka, prefix: str) -> None:
    """A topic that somebody made with Kafka's defaults would forget after a week: check says so, apply mends it."""
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        admin.create_topics([NewTopic(f"{prefix}.frames", 4, 1, topic_configs={"cleanup.policy": "compact", "retention.ms": "604800000"})])
        checked = _topics("check", kafka, prefix)
        told = ("cleanup.policy=compact" in checked.stdout, "retention.ms=604800000" in checked.stdout)
        assert (checked.exit_code, *told, "fengsui topics apply mends" in checked.stderr) == (1, True, True, True)
        assert _topics("apply", kafka, prefix).exit_code == 0
        assert _topics("check", kafka, prefix).exit_code == 0
        found = admin.describe_configs([ConfigResource("topic", f"{prefix}.frames")], config_filter="all")["topic"][f"{prefix}.frames"]
    assert (found["cleanup.policy"]["value"], found["retention.ms"]["value"]) == ("delete", "-1")


def test_fewer_replicas_need_the_operators_word(kafka: LocalKafka, prefix: str) -> None:
    """Without --reduced-durability one broker is not enough; with three replicas asked of one broker Kafka's own words are shown."""
    given = ["topics", "apply", "--bootstrap", kafka.bootstrap, "--prefix", prefix, "--partitions", "4"]
    few = CliRunner().invoke(app, given, env={"FENGSUI_KAFKA__REPLICAS": "1", "FENGSUI_KAFKA__MIN_INSYNC": "1"})
    assert (few.exit_code, "--reduced-durability" in few.stderr) == (2, True)
    three = CliRunner().invoke(app, given)
    assert (three.exit_code, "only 1 broker(s) are registered" in three.stderr) == (2, True)


def test_an_address_where_nobody_listens_is_named() -> None:
    """The message has the address, the cause and the setting."""
    address = f"127.0.0.1:{free_port()}"
    said = CliRunner().invoke(app, ["topics", "check", "--bootstrap", address])
    assert said.exit_code == 2
    assert f"Kafka at {address} cannot be reached: Connection refused; start it, or mend kafka.bootstrap" in said.stderr


def test_doctor_looks_at_the_topics_where_the_database_is_away(kafka: LocalKafka, prefix: str, tmp_path: Path) -> None:
    """Each of the two is told of by itself, whatever the other one does; a folder of `serve` with its journal is no part of it."""
    assert _topics("apply", kafka, prefix).exit_code == 0
    own = Kafka(bootstrap=kafka.bootstrap, prefix=prefix, partitions=4, replicas=1, min_insync=1, reduced_durability=True)
    away = Settings(data=tmp_path / "data", database_url=f"postgresql://watch@127.0.0.1:{free_port()}/beacons", kafka=own)
    found = {one.what: one for one in examine(away.data, away.rules, settings=away)}
    assert not found["database"].ok
    assert "user and password" in found["database"].detail
    assert (found["cluster"].ok, found["cluster"].detail) == (True, both("topics.fine"))
    assert not {"data folder", "journal"} & found.keys()
    both_away = away.model_copy(update={"kafka": own.model_copy(update={"bootstrap": f"127.0.0.1:{free_port()}"})})
    found = {one.what: one for one in examine(away.data, away.rules, settings=both_away)}
    assert not found["database"].ok
    assert "cannot be reached" in found["cluster"].detail


def test_a_role_without_brokers_says_so_in_one_line(tmp_path: Path) -> None:
    """What the client of the brokers logs while it tries says nothing more: an operator reads one sentence, not twenty."""
    address = f"127.0.0.1:{free_port()}"
    variables = {"FENGSUI_DATABASE_URL": "postgresql://nobody@/none", "FENGSUI_KAFKA__BOOTSTRAP": address, "FENGSUI_DATA": str(tmp_path)}
    assert start_role("worker", variables, tmp_path / "log").wait(PATIENCE) == 2
    [said] = (tmp_path / "log").read_text().splitlines()
    assert f"Kafka at {address} cannot be reached" in said


def test_brokers_that_are_away_are_told_at_once() -> None:
    """Where nobody listens nobody is waited for; one address of several that answers is enough not to say so."""
    address = f"127.0.0.1:{free_port()}"
    begun = time.monotonic()
    done = CliRunner().invoke(app, ["topics", "check", "--bootstrap", address])
    assert (done.exit_code, time.monotonic() - begun < 1.0) == (2, True), "without the limit of this file: a second"
    assert f"Kafka at {address} cannot be reached: Connection refused" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as listening:
        there = f"127.0.0.1:{listening.getsockname()[1]}"
        assert unreachable(Access(f"{address},{there}")) == ""
    assert "is not HOST:PORT" in unreachable(Access("kafka"))


def test_tls_and_password(kafka: LocalKafka, prefix: str, secrets: Secrets, tmp_path: Path) -> None:
    """With authority, user and password file the secured listener works; each thing that lacks is named with its setting."""
    wrong = tmp_path / "wrong"
    wrong.write_text("not-it")
    environment = {
        "FENGSUI_KAFKA__REPLICAS": "1",
        "FENGSUI_KAFKA__MIN_INSYNC": "1",
        "FENGSUI_KAFKA__REDUCED_DURABILITY": "true",
        "FENGSUI_KAFKA__TLS": "true",
        "FENGSUI_KAFKA__CA_FILE": str(secrets.authority),
        "FENGSUI_KAFKA__MECHANISM": "PLAIN",
        "FENGSUI_KAFKA__USER": USER,
        "FENGSUI_KAFKA__PASSWORD_FILE": str(secrets.password),
    }

    def said(bootstrap: str, **changes: str) -> tuple[int, str]:
        changed = environment | {f"FENGSUI_KAFKA__{name}": value for name, value in changes.items()}
        done = CliRunner().invoke(app, ["topics", "apply", "--bootstrap", bootstrap, "--prefix", prefix], env=changed)
        return done.exit_code, done.stderr

    assert said(kafka.secured) == (0, "")
    assert "speaks TLS; set kafka.tls=true" in said(kafka.secured, TLS="false", MECHANISM="")[1]
    assert "wants a user and a password; set kafka.mechanism (PLAIN)" in said(kafka.secured, MECHANISM="")[1]
    assert f"refuses user {USER}" in said(kafka.secured, PASSWORD_FILE=str(wrong))[1]
    assert "does not know kafka.mechanism=SCRAM-SHA-256; legal: PLAIN" in said(kafka.secured, MECHANISM="SCRAM-SHA-256")[1]
    assert "takes no passwords" in said(kafka.bootstrap, TLS="false")[1]
    assert "no TLS with Kafka" in said(kafka.bootstrap)[1]
    assert "password_file" in said(kafka.secured, PASSWORD_FILE=str(tmp_path / "none"))[1]
    assert "there is no password" in said(kafka.secured, PASSWORD_FILE="/dev/null")[1]
    assert "have to be PEM" in said(kafka.secured, CA_FILE=str(wrong))[1]
    assert "is not trusted" in said(kafka.secured.replace("127.0.0.1", "localhost"))[1]


def _mark_as(kafka: LocalKafka, prefix: str, **mark: object) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    producer.send(f"{prefix}.control", key=MARK_KEY, value=json.dumps({"partitions": 4, "hash": "crc32"} | mark).encode()).get(PATIENCE)
    producer.close()


def test_a_deployment_whose_sectors_would_move_is_refused(kafka: LocalKafka, prefix: str, tmp_path: Path) -> None:
    """Check, doctor and every role say so and what to do; before the first message, or at the operator's word, it is written down."""
    assert _topics("apply", kafka, prefix).exit_code == 0
    _mark_as(kafka, prefix)  # by a version that did not write it down
    assert _topics("apply", kafka, prefix).exit_code == 0
    assert _topics("check", kafka, prefix).exit_code == 0
    _mark_as(kafka, prefix, placement=1)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    producer.send(f"{prefix}.frames", value=b"a frame", partition=1).get(PATIENCE)
    producer.close()
    for command, code in (("plan", 1), ("check", 1), ("apply", 2)):
        refused = _topics(command, kafka, prefix)
        assert refused.exit_code == code, command
        assert f"set up with placement 1, this version has {PLACEMENT}" in refused.stdout + refused.stderr
    own = Kafka(bootstrap=kafka.bootstrap, prefix=prefix, partitions=4, replicas=1, min_insync=1, reduced_durability=True)
    settings = Settings(data=tmp_path / "data", kafka=own)
    for role in (WorkerRole, EdgeRole, DutyRole, ApiRole):
        with pytest.raises(StoreUnavailable, match="--same-placement"):
            role(settings)
    assert "--same-placement" in _cluster(settings, []).detail
    assert _topics("apply", kafka, prefix, "--same-placement").exit_code == 0
    assert _topics("check", kafka, prefix).exit_code == 0
    assert _cluster(settings, []).ok
