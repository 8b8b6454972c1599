"""What happens in the city in one month: happenings that somebody records, and readings that sensors take.

The world knows how people behave, how machines fail and what offices do; it knows nothing of how anybody judges that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from typing import Any, Literal

import msgspec

from app.demo.chance import chance
from app.demo.city import City, CityObject
from app.demo.places import LOCAL
from app.demo.topics import TOPICS

FEEDS = (
    "hotline-12345", "letters-mayor", "portal-tickets", "netizen-messages", "complaints-12315", "penalties", "licences", "rulings",
    "dishonest", "iot-json", "video-aidrive", "video-jftech", "hikvision", "inspections",
)  # fmt: skip

# How a record names its object: its registered name, a shop sign, the name with other brackets and blanks, name and code, the
# name with a mistyped code, a name that no register has, or not at all.
Naming = Literal["name", "sign", "brackets", "code", "bad_code", "unknown", "none"]

_HOURS_OF_CALLS = (1, 1, 1, 1, 1, 2, 4, 9, 16, 20, 20, 18, 12, 13, 18, 19, 18, 17, 14, 12, 11, 9, 6, 3)
_HOURS_OF_OFFICES = (0, 0, 0, 0, 0, 0, 0, 0, 4, 18, 20, 14, 1, 2, 16, 18, 14, 6, 0, 0, 0, 0, 0, 0)


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody recorded.

    `at` is when it happened, local time. `object_id` is what it is truly about, "" where that is no registered object; `naming`
    says how the record names it. `topic` is a slug of `topics.TOPICS` for what people say, else the feed's own word (see
    `details`). `amount` is in yuan. `person` identifies who says it within the feed.
    """

    at: datetime
    feed: str
    region: str
    topic: str
    text: str
    object_id: str = ""
    naming: Naming = "none"
    amount: float = 0.0
    person: int = 0
    details: dict[str, Any] = {}  # msgspec copies an empty default for each instance


class Disturbance(msgspec.Struct, frozen=True, kw_only=True):
    """Something that moves the readings of one sensor away from its usual course between two instants.

    `shape`: `climb` grows slowly, then fast, up to `size`; `step` adds `size` all the time; `nights` adds up to `size` between
    20:00 and 06:00, more every night; `count` puts `size` times the usual number. `code` is what the device's own firmware
    writes as its alarm code while it lasts, "" where it notices nothing.
    """

    device_id: str
    start: datetime
    end: datetime
    shape: Literal["climb", "step", "nights", "count"]
    size: float
    code: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """A planted incident: what truly went wrong at which object, and when.

    `also` are other objects that share the blame truthfully (the operator of an elevator). `story` says who observes what.
    """

    id: str
    sector: str
    title: str
    object_id: str
    region: str
    start: datetime
    peak: datetime
    end: datetime
    story: str
    also: tuple[str, ...] = ()


class NearMiss(msgspec.Struct, frozen=True, kw_only=True):
    """Something that looks like trouble and is none; `reason` says why not."""

    id: str
    title: str
    object_id: str
    region: str
    reason: str


class World(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One month of the city; happenings are in the order of time."""

    city: City
    start: datetime
    days: int
    happenings: tuple[Happening, ...]
    disturbances: tuple[Disturbance, ...]
    incidents: tuple[Incident, ...]
    near_misses: tuple[NearMiss, ...]

    @cached_property
    def end(self) -> datetime:
        """Return the first instant after the month."""
        return self.start + timedelta(days=self.days)

    @cached_property
    def really_wrong(self) -> dict[str, list[str]]:
        """Return the sectors in which something is truly wrong, by object: what an inspector finds who goes and looks."""
        found: dict[str, list[str]] = {}
        for incident in self.incidents:
            for object_id in (incident.object_id, *incident.also):
                found.setdefault(object_id, []).append(incident.sector)
        return found


class Stage:
    """Where incidents, near misses and everyday life are played: it writes down happenings and disturbances."""

    def __init__(self, city: City, name: str, start: datetime, days: int, taken: set[str]) -> None:
        """`name` separates the chance of this stage from all others; objects in `taken` already have a part elsewhere."""
        self.city = city
        self.rng = chance(city.seed, name)
        self.start = start.astimezone(LOCAL)
        self.days = days
        self.taken = taken
        self.happenings: list[Happening] = []
        self.disturbances: list[Disturbance] = []

    def pick(self, kind: str, *, devices: bool = False, cameras: bool = False, metric: str = "") -> CityObject:
        """Return an object of `kind` that has no part yet, with sensors or cameras where asked, and take it."""
        fitting = [
            found
            for found in self.city.by_kind[kind]
            if found.id not in self.taken
            and (not devices or found.id in self.city.devices_of)
            and (not cameras or found.id in self.city.cameras_of)
            and (not metric or any(device.metric == metric for device in self.city.devices_of.get(found.id, ())))
        ]
        chosen = self.rng.choice(fitting)
        self.taken.add(chosen.id)
        return chosen

    def day(self, number: int, hour: int = 0, minute: int = 0) -> datetime:
        """Return an instant on day `number` of the month, counted from 0."""
        return self.start + timedelta(days=number, hours=hour, minutes=minute)

    def around(self, moment: datetime, hours: float) -> datetime:
        """Return an instant up to `hours` after `moment`, to the second."""
        return moment + timedelta(seconds=self.rng.randrange(int(hours * 3600)))

    def awake(self, number: int) -> datetime:
        """Return an instant on day `number` when people call."""
        hour = self.rng.choices(range(24), weights=_HOURS_OF_CALLS)[0]
        return self.around(self.day(number, hour), 1)

    def in_office(self, number: int) -> datetime:
        """Return an instant on day `number` in office hours."""
        hour = self.rng.choices(range(24), weights=_HOURS_OF_OFFICES)[0]
        return self.around(self.day(number, hour), 1)

    def write(self, happening: Happening) -> None:
        """Write down a happening; what would lie outside the month is left out."""
        if self.start <= happening.at < self.start + timedelta(days=self.days):
            self.happenings.append(happening)

    def say(  # one sentence of a citizen has this many parts
        self,
        at: datetime,
        feed: str,
        topic: str,
        about: CityObject | None = None,
        *,
        region: str = "",
        naming: Naming | None = None,
        amount: float = 0.0,
        person: int = 0,
    ) -> None:
        """Let a citizen say something through `feed` about an object or, without one, about a street."""
        rng = self.rng
        region = region or (about.region if about else rng.choice(self.city.streets).code)
        street = self.city.street_names[region]
        if naming is None:
            naming = self.how_named(about) if about else "none"
        spoken = f"{street}那边" if about is None or naming == "none" else written_name(about, naming, rng)
        text = rng.choice(TOPICS[topic].texts).format(name=spoken, street=street, n=rng.randint(2, 9))
        self.write(
            Happening(
                at=at, feed=feed, region=region, topic=topic, text=text, object_id=about.id if about else "", naming=naming,
                amount=amount, person=person or rng.randrange(1, 9_000_000), details={"spoken": "" if naming == "none" else spoken},
            )
        )  # fmt: skip

    def how_named(self, about: CityObject) -> Naming:
        """Return how somebody from the street names `about`: mostly by its name, sometimes by its sign."""
        options: Sequence[Naming] = ("name", "sign", "brackets")
        return self.rng.choices(options, weights=(66, 26 if about.aliases else 0, 8))[0]

    def act(
        self, at: datetime, feed: str, topic: str, about: CityObject, *, naming: Naming = "code", amount: float = 0.0, **details: Any
    ) -> None:
        """Let an office, a court or a machine write something down about `about`."""
        spoken = written_name(about, naming, self.rng)
        self.write(
            Happening(
                at=at, feed=feed, region=about.region, topic=topic, text=details.pop("text", ""), object_id=about.id, naming=naming,
                amount=amount, person=self.rng.randrange(1, 9_000_000), details={"spoken": spoken, **details},
            )
        )  # fmt: skip

    def disturb(self, device_id: str, start: datetime, end: datetime, shape: Any, size: float, code: str = "") -> None:
        """Move the readings of a sensor."""
        self.disturbances.append(Disturbance(device_id=device_id, start=start, end=end, shape=shape, size=size, code=code))


def written_name(about: CityObject, naming: Naming, rng: Random) -> str:
    """Return the name as somebody writes it who names an object in the way `naming`."""
    if naming == "sign" and about.aliases:
        return about.aliases[0]
    if naming == "brackets":
        sign = about.aliases[0] if about.aliases and "（" in about.aliases[0] else about.name
        return sign.replace("（", "(").replace("）", ")") if "（" in sign else f" {about.name[:4]} {about.name[4:]}"
    if naming == "unknown":
        return f"{about.name[2:4]}{rng.choice(('那个店', '老店', '二分店', '旁边的铺子'))}"
    return about.name
