"""RiskBench's input: canonical signals, one JSON object a line, the same bytes for the same number on every machine.

    python -m benchmarks.riskbench.generate OUT [SIGNALS=1000000] [--objects 100000]

30 days from 2026-03-01T08:00+08:00 in rising time, one signal in twenty up to ten minutes late. Objects differ in popularity by Zipf's law
with exponent 1.1 (the first of 100,000 has one signal in seven); their ids are credit codes with a right check digit (GB 32100).
"""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.riskbench.semantics import DAY, MATTERS

OBJECTS: Final = 100_000
SEED: Final = 20260301
START: Final = datetime(2026, 3, 1, 8, tzinfo=timezone(timedelta(hours=8)))
DAYS: Final = 30
LATE_SHARE: Final = 0.05
LATEST: Final = 600_000  # ms
SHARES: Final = {"iot": 0.52, "hotline": 0.20, "complaint": 0.20, "video": 0.05, "penalty": 0.02, "ruling": 0.01}
KINDS: Final = {
    "iot": ("pressure", "leak", "temp", "smoke"),
    "hotline": ("12345", "12315", "96119"),
    "complaint": ("web", "app", "letter"),
    "video": ("smoke_det", "crowd", "blocked_exit"),
    "penalty": ("fine", "suspend"),
    "ruling": ("civil", "admin"),
}
TEXTS: Final = (
    "燃气压力读数上报,设备运行情况如附",
    "市民来电反映商铺后厨有异味,请派员核查",
    "网络投诉:消防通道被杂物长期占用",
    "视频识别到明火或烟雾,置信度较高",
    "因违反安全生产规定被处以罚款",
    "法院判决书:合同纠纷,被告承担责任",
    "电梯困人,维保单位未按时到场",
    "施工现场扬尘未采取有效措施",
)
REGIONS: Final = tuple(f"6101{number:02d}" for number in range(2, 15))
CODE_DIGITS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100: no I, O, S, V, Z


def credit_code(number: int) -> str:
    """Return the unified social credit code of object `number`, different for numbers below ten million.

    >>> credit_code(0)
    '91610100MA0000013L'
    """
    body = f"91610100MA{(number * 79 + 13) % 10_000_000:07d}"
    weighed = sum(CODE_DIGITS.index(digit) * pow(3, place, 31) for place, digit in enumerate(body))
    return body + CODE_DIGITS[-weighed % 31]


def write(path: Path, count: int, objects: int = OBJECTS) -> None:
    """Write `count` signals. The order of the draws is part of the benchmark."""
    rng = np.random.default_rng(SEED)
    codes = [credit_code(number) for number in range(objects)]
    weights = 1.0 / np.arange(1, objects + 1) ** 1.1
    weights /= weights.sum()
    about = rng.permutation(objects)[rng.choice(objects, size=count, p=weights)].tolist()
    sources = list(SHARES)
    source_of = rng.choice(len(sources), size=count, p=list(SHARES.values())).tolist()
    times = np.sort(rng.integers(0, DAYS * DAY, size=count)) + int(START.timestamp() * 1000)
    late = rng.random(count) < LATE_SHARE
    times = (times - np.where(late, rng.integers(1, LATEST, size=count), 0)).tolist()
    severities = rng.choice(4, size=count, p=[0.5, 0.3, 0.15, 0.05]).tolist()
    readings = np.round(rng.normal(55, 18, size=count), 2).tolist()
    fines = np.round(rng.lognormal(8.5, 1.0, size=count), 2).tolist()
    chance = rng.integers(0, 1 << 30, size=count).tolist()
    text_of = rng.integers(0, len(TEXTS), size=count).tolist()
    matter_of = rng.integers(0, len(MATTERS), size=objects).tolist()
    region_of = rng.integers(0, len(REGIONS), size=objects).tolist()
    with path.open("w", encoding="utf-8") as lines:
        for number in range(count):
            source, thing = sources[source_of[number]], about[number]
            value = {"iot": readings, "penalty": fines}.get(source)
            amount = round((chance[number] % 1000) / 10.0, 1) if value is None else value[number]
            seconds, ms = divmod(times[number], 1000)
            at = datetime.fromtimestamp(seconds, START.tzinfo).strftime("%Y-%m-%dT%H:%M:%S")
            kinds = KINDS[source]
            lines.write(
                f'{{"id":"S{number:010d}","source":"{source}","kind":"{kinds[chance[number] % len(kinds)]}","object_id":"{codes[thing]}",'
                f'"matter":"{MATTERS[matter_of[thing]]}","region":"{REGIONS[region_of[thing]]}","occurred_at":"{at}.{ms:03d}+08:00",'
                f'"severity":{severities[number]},"value":{amount!r},"text":"{TEXTS[text_of[number]]}"}}\n'
            )


def main() -> None:
    """Write what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="generate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("signals", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--objects", type=int, default=OBJECTS)
    given = parser.parse_args()
    write(given.out, given.signals, given.objects)


if __name__ == "__main__":
    main()
