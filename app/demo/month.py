"""One month of the city: everyday life, the planted incidents and the near misses, played one after the other."""

from __future__ import annotations

from datetime import datetime

from app.demo import incidents_market, incidents_safety
from app.demo.city import City, build_city
from app.demo.near_misses import NEAR_MISSES
from app.demo.noise import everyday
from app.demo.places import LOCAL
from app.demo.world import Stage, World

START = datetime(2026, 3, 1, tzinfo=LOCAL)
DAYS = 31

INCIDENTS = (
    incidents_safety.lpg_leak,
    incidents_safety.pipe_damage,
    incidents_safety.illegal_cylinders,
    incidents_safety.canteen_poisoning,
    incidents_safety.expired_chain,
    incidents_safety.lift_entrapments,
    incidents_safety.lift_faults,
    incidents_safety.warehouse_runaway,
    incidents_safety.illegal_storage,
    incidents_market.unsafe_site,
    incidents_market.unpaid_wages,
    incidents_market.gym_runaway,
    incidents_market.training_refunds,
    incidents_market.barber_closed,
)


def build_world(seed: int, *, start: datetime = START, days: int = DAYS, city: City | None = None) -> World:
    """Return the month of `seed` that begins at `start`.

    What lies outside the month is left out, so a shorter month has fewer or cut incidents: every incident needs up to 28 days.
    """
    city = city or build_city(seed)
    taken: set[str] = set()

    def stage(name: str) -> Stage:
        return Stage(city, name, start, days, taken)

    happenings, disturbances, incidents, near_misses = [], [], [], []
    stages = []
    for play in INCIDENTS:
        stages.append(stage(play.__name__))
        incidents.append(play(stages[-1]))
        taken.update(incidents[-1].also)
    for miss in NEAR_MISSES:
        stages.append(stage(miss.__name__))
        near_misses.append(miss(stages[-1]))
    stages.append(stage("everyday"))
    everyday(stages[-1])
    for played in stages:
        happenings.extend(played.happenings)
        disturbances.extend(played.disturbances)
    happenings.sort(key=lambda happening: happening.at)
    return World(
        city=city,
        start=start.astimezone(LOCAL),
        days=days,
        happenings=tuple(happenings),
        disturbances=tuple(disturbances),
        incidents=tuple(incidents),
        near_misses=tuple(near_misses),
    )
