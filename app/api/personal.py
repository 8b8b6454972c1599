"""Personal values (个人信息): read one by the token on a warning, with a reason; erase one at a person's request."""

from __future__ import annotations

from litestar import post
from litestar.params import JSONBody

from app.api import bodies
from app.api.given import PrincipalGiven, ServicesGiven
from app.api.parameters import WarningPath
from app.api.roles import ADMINS, CONFIDANTS
from app.privacy import Erasure, Reading
from domain.base import Noun
from domain.messages import both


class Question(Noun, frozen=True, kw_only=True):
    """Which token, and why its value is needed: the reason goes into the warning's audit chain."""

    token: str
    reason: str


class Request(Noun, frozen=True, kw_only=True):
    """What to erase: a token, or the value itself; `reason` is kept for good: a file number, no name. `preview` erases nothing."""

    token: str = ""
    value: str = ""
    reason: str = ""
    preview: bool = False


@post(
    "/v1/warnings/{warning_id:str}/personal",
    summary=both("operation.read_personal"),
    operation_class=bodies.READING,
    opt={"roles": CONFIDANTS},
    status_code=200,
    sync_to_thread=True,
)
def read_personal(services: ServicesGiven, principal: PrincipalGiven, warning_id: WarningPath, data: JSONBody[Question]) -> Reading:
    """Return the value behind a token of the warning's evidence, to the duty desk and to departments with an open task on it."""
    return services.privacy.read(principal, warning_id, data.token, data.reason)


@post(
    "/v1/personal/erase",
    summary=both("operation.erase_personal"),
    operation_class=bodies.ERASURE,
    opt={"roles": ADMINS},
    status_code=200,
    sync_to_thread=True,
)
def erase_personal(services: ServicesGiven, principal: PrincipalGiven, data: JSONBody[Request]) -> Erasure:
    """Erase a personal value where it is held (个人信息保护法 第四十七条); its token stays. `notes` say what was not done."""
    return services.privacy.erase(
        principal.name, token=data.token.strip(), value=data.value.strip(), reason=data.reason.strip(), preview=data.preview
    )
