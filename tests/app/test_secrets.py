"""Canaries: secrets are planted everywhere a real process handles them, then looked for everywhere it writes."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

import httpx

from tests.app.offices import Message, Office, Offices
from tests.app.world import CATALOGUE, DEPARTMENTS, LEAD, OBJECTS, RULES, eventually, penalty
from tests.campaigns.serving import Serving
from tests.connectors.senders import as_csv

REGISTERS = (("departments", "d.yaml", DEPARTMENTS), ("catalogue", "c.csv", CATALOGUE), ("objects", "o.csv", OBJECTS))
PLACES = (
    "/v1/access", "/v1/outbox", "/v1/feeds", "/v1/rules", "/v1/status", "/metrics", "/", "/inbox", "/feeds", "/v1/objects/o-gas",
    "/openapi.json", "/v1/warnings/{warning}", "/v1/warnings/{warning}/explain", "/warnings/{warning}",
)  # fmt: skip


class Hunt:
    """One process under questioning; every answer is kept but those that hand a secret out, which each do once."""

    def __init__(self, serving: Serving, office: Office) -> None:
        self.serving = serving
        self.office = office
        self.answers: list[str] = []
        self.tokens = {"admin": serving.token(), "guess": secrets.token_urlsafe(24)}
        self.others = {"password": secrets.token_urlsafe(12)}
        self.admin = {"authorization": f"Bearer {self.tokens['admin']}"}

    def send(self, method: str, path: str, headers: dict[str, str], **options: Any) -> httpx.Response:
        """Send a request without remembering cookies."""
        return httpx.request(method, self.serving.url + path, headers=headers, trust_env=False, timeout=120, **options)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx.Response:
        """Send a request, as the administrator unless told otherwise, and keep the answer."""
        response = self.send(method, path, self.admin if headers is None else headers, **options)
        self.answers.append(response.text + str(response.headers))
        return response

    def furnish(self) -> None:
        """Import the registers and let the process hand out its secrets."""
        for what, name, text in REGISTERS:
            assert self.ask("POST", f"/v1/import/{what}?name={name}", content=text.encode()).is_success
        first = self.send("PUT", f"/v1/departments/{LEAD}/endpoint", self.admin, json={"url": self.office.url}).json()["secret"]
        second = self.send("POST", f"/v1/departments/{LEAD}/secret", self.admin).json()["secret"]
        self.others |= {"secret": first, "rotated": second}
        self.office.secrets += [first, second]
        token = self.send("POST", "/v1/access", self.admin, json={"name": "监测", "role": "duty"}).json()["token"]
        signed_in = self.send("POST", "/login", {"origin": self.serving.url}, data={"token": token})
        self.tokens |= {"granted": token, "session": signed_in.cookies["fengsui_session"]}

    def warn(self) -> Message:
        """Raise a warning and return what the department was sent."""
        csv = self.admin | {"content-type": "text/csv"}
        assert self.ask("POST", "/v1/feeds/penalties/records", csv, content=as_csv([penalty(1)])).is_success
        eventually(lambda: bool(self.office.told("task.assigned")), seconds=20)
        message = self.office.told("task.assigned")[0]
        self.tokens["link"] = message.data["links"]["answer"].rsplit("/", 1)[1]
        return message

    def provoke(self, message: Message) -> None:
        """Bring secrets along where they are right, and where they are not."""
        guess = self.tokens["guess"]
        body = json.dumps({"action": "receive", "task": message.data["task"]["id"]}).encode()
        forged = "whsec_" + base64.b64encode(guess.encode() * 2).decode()
        path = f"/v1/warnings/{message.data['warning']['id']}/responses"
        assert self.ask("POST", path, self.office.sign("a-1", body), content=body).is_success
        assert self.ask("POST", path, self.office.sign("a-2", body, secret=forged), content=body).status_code == 401
        for headers in (
            {"authorization": f"Bearer {guess}"},
            {"authorization": f"Basic {guess}"},
            {"cookie": f"fengsui_session={guess}"},
            {"x-token": guess},
        ):
            assert self.ask("GET", f"/v1/warnings?token={guess}", headers).status_code == 401
        assert self.ask("GET", f"/answer/{guess}", {}).status_code == 401
        assert self.ask("POST", "/login", {"origin": self.serving.url}, data={"token": guess}).status_code == 401
        assert self.ask("POST", "/v1/access", content=b'{"name": "' + guess.encode()).status_code == 400
        address = f"https://user:{self.others['password']}@example.org/"
        assert self.ask("PUT", f"/v1/departments/{LEAD}/endpoint", json={"url": address}).status_code == 422

    def look_around(self, warning: str) -> None:
        """Read everything that can be read, as administrator and as the officer on duty."""
        for place in PLACES:
            for headers in (self.admin, {"authorization": f"Bearer {self.tokens['granted']}"}):
                self.ask("GET", place.format(warning=warning), headers)


def test_no_secret_is_written_where_it_can_be_read(tmp_path: Path) -> None:
    """Tokens, signing secrets, links, cookies and passwords are in no log, answer or error; tokens and links not even in the database."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "gas.yaml").write_text(RULES, encoding="utf-8")
    serving = Serving(tmp_path / "data", tmp_path / "rules")
    serving.start()
    with Offices(LEAD) as offices:
        try:
            assert serving.wait_ready()
            hunt = Hunt(serving, offices[LEAD])
            hunt.furnish()
            message = hunt.warn()
            hunt.provoke(message)
            hunt.look_around(message.data["warning"]["id"])
        finally:
            serving.stop()

    log = (tmp_path / "data.log").read_text(encoding="utf-8")
    assert "access.refused" in log, "else there was no log to look into"
    database = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("*.db*"))
    assert LEAD.encode() in database, "else there was no database to look into"
    for name, canary in (hunt.tokens | hunt.others).items():
        assert canary not in log, f"{name} in the log"
        assert [text[:200] for text in hunt.answers if canary in text] == [], f"{name} in an answer"
    for name, canary in hunt.tokens.items():
        assert canary.encode() not in database, f"{name} in the database"
    for private in ("admin-token", "link-key", "personal-key"):
        assert (tmp_path / "data" / private).stat().st_mode & 0o077 == 0, f"{private} is readable by others"
