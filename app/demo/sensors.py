"""What the city's sensors read: half-hourly courses with days, nights and weather, moved by what happens at their objects."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.demo.city import Device
from app.demo.world import Disturbance, World

STEP = timedelta(minutes=30)
_STEP_SECONDS = 1800
_OWN_LIMITS = {
    "gas_pct_lel": ((50.0, "gas_leak_high"), (20.0, "gas_leak")),
    "temp_c": ((55.0, "over_temp_high"),),
}  # set in the device by its maker
_DIGITS = {"gas_pct_lel": 1, "pressure_mpa": 3, "temp_c": 1, "voc_ppm": 1, "pm10_ugm3": 0, "runs": 0}

Series = NDArray[np.float64]


class Reading(msgspec.Struct, frozen=True):
    """One report of one device: a reading, or (`value` is None) an alarm of its firmware, which is sent at once and with the next batch."""

    device_id: str
    metric: str
    at: datetime
    value: float | None
    alarm_code: str
    battery: int


def readings(world: World) -> list[Reading]:
    """Return all readings of the month: by device, then by time."""
    moved: dict[str, list[Disturbance]] = {}
    for disturbance in world.disturbances:
        moved.setdefault(disturbance.device_id, []).append(disturbance)
    taken: list[Reading] = []
    for number, device in enumerate(world.city.devices):
        taken.extend(_of_device(world, number, device, moved.get(device.id, [])))
    return taken


def _of_device(world: World, number: int, device: Device, moved: list[Disturbance]) -> list[Reading]:
    rng = np.random.default_rng([world.city.seed, number])
    count = int(world.days * timedelta(days=1) / STEP)
    first = world.start + timedelta(seconds=int(rng.integers(0, _STEP_SECONDS)))
    hours: Series = (first - world.start) / timedelta(hours=1) + np.arange(count, dtype=np.float64) * 0.5
    values = _usual(device.metric, hours, rng)
    battery = int(rng.integers(55, 100))
    alarms = {}
    for disturbance in moved:
        _move(values, hours, disturbance, world.start)
        if disturbance.code:
            alarms[disturbance.start] = disturbance.code
    values = np.round(np.maximum(values, 0.0), _DIGITS[device.metric]).astype(np.float64)
    taken, last = [], ""
    for place, value in enumerate(values.tolist()):
        at = first + place * STEP
        taken.append(Reading(device.id, device.metric, at, value, "", battery))
        code = _own_code(device.metric, value)
        if code and code != last:
            alarms[at + timedelta(seconds=1)] = code
        last = code
    taken.extend(Reading(device.id, device.metric, at, None, code, battery) for at, code in alarms.items())
    return sorted(taken, key=lambda reading: reading.at)


def _own_code(metric: str, value: float) -> str:
    return next((code for limit, code in _OWN_LIMITS.get(metric, ()) if value >= limit), "")


def _usual(metric: str, hours: Series, rng: np.random.Generator) -> Series:
    """Return the usual course over `hours` since midnight of the first day."""
    count = len(hours)
    day = np.cos((hours % 24 - 15) / 24 * 2 * np.pi)  # 1 at 15:00, -1 at 03:00
    slow = _autoregressive(rng, count, 0.92)
    if metric == "gas_pct_lel":
        filling = (rng.random(count) < 0.01) * rng.exponential(2.0, count) * (hours % 24 > 7) * (hours % 24 < 20)
        return np.asarray(0.9 + 0.3 * day + 0.25 * slow + rng.normal(0, 0.15, count) + filling)
    if metric == "pressure_mpa":
        meals = np.exp(-(((hours % 24) - 12) ** 2) / 3) + np.exp(-(((hours % 24) - 18.5) ** 2) / 4)
        return np.asarray(0.265 - 0.012 * meals + 0.003 * slow + rng.normal(0, 0.0015, count))
    if metric == "temp_c":
        return np.asarray(rng.uniform(10, 14) + 0.12 * hours / 24 + 2.2 * day + 0.8 * slow + rng.normal(0, 0.15, count))
    if metric == "voc_ppm":
        return np.asarray(rng.uniform(2, 6) * np.exp(0.15 * day + 0.25 * slow + rng.normal(0, 0.08, count)))
    if metric == "pm10_ugm3":
        working = (hours % 24 > 7) & (hours % 24 < 19)
        return np.asarray(70 * np.exp(0.35 * slow + 0.3 * working + rng.normal(0, 0.12, count)))
    busy: Series = 2 + 14 * np.exp(-(((hours % 24) - 8) ** 2) / 4) + 14 * np.exp(-(((hours % 24) - 18.5) ** 2) / 6)
    return np.asarray(rng.poisson(busy), dtype=np.float64)


def _autoregressive(rng: np.random.Generator, count: int, keep: float) -> Series:
    """Return slow chance of unit variance: each value keeps the share `keep` of the one before."""
    kicks = rng.normal(0, (1 - keep * keep) ** 0.5, count)
    course, value = np.empty(count), float(rng.normal())
    for place in range(count):
        value = keep * value + kicks[place]
        course[place] = value
    return course


def _inside(hours: Series, disturbance: Disturbance, start: datetime) -> NDArray[np.bool_]:
    begin, end = ((moment - start) / timedelta(hours=1) for moment in (disturbance.start, disturbance.end))
    return (hours >= begin) & (hours < end)


def _move(values: Series, hours: Series, disturbance: Disturbance, start: datetime) -> None:
    inside = _inside(hours, disturbance, start)
    begin, end = ((moment - start) / timedelta(hours=1) for moment in (disturbance.start, disturbance.end))
    progress = (hours[inside] - begin) / (end - begin)
    if disturbance.shape == "climb":
        values[inside] += disturbance.size * (np.exp(3 * progress) - 1) / (np.e**3 - 1)
    elif disturbance.shape == "step":
        values[inside] += disturbance.size
    elif disturbance.shape == "nights":
        night = (hours[inside] % 24 >= 20) | (hours[inside] % 24 < 6)
        values[inside] += disturbance.size * (0.25 + 0.75 * progress) * night
    else:
        values[inside] *= disturbance.size
