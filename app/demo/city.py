"""The city: its streets, its regulated objects (监管对象), and the sensors and cameras that stand at some of them.

Everything follows from the seed: chance comes from `random.Random` seeded with text, which does not depend on the hash seed
of the process.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from app.demo import kinds, places
from app.demo.chance import chance
from app.demo.codes import credit_code, elevator_code, project_code
from app.demo.places import Street

CameraShape = Literal["aidrive", "jftech", "hikvision"]


class CityObject(msgspec.Struct, frozen=True, kw_only=True):
    """A regulated object as the registers of the city have it.

    `kind` is what it is in daily life (restaurant, elevator); the registers do not carry it. `weight` is how often people
    meet it, relative to others of its kind (heavy-tailed, mean near 1).
    """

    id: str
    kind: str
    type: str
    name: str
    code: str
    region: str  # nine digits
    address: str
    industry: str = ""
    aliases: tuple[str, ...] = ()
    credit: str = ""
    labels: tuple[str, ...] = ()
    relations: tuple[tuple[str, str], ...] = ()  # kind, object id
    listed_by: tuple[str, ...] = ()
    weight: float = 1.0

    def related(self, kind: str) -> str:
        """Return the id of the object it has the relation `kind` to, "" for none."""
        return next((other for name, other in self.relations if name == kind), "")


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor; `metric` is what it measures. The registers list its number under its object's aliases."""

    id: str
    object_id: str
    metric: str  # gas_pct_lel, pressure_mpa, temp_c, voc_ppm, pm10_ugm3 or runs


class Camera(msgspec.Struct, frozen=True, kw_only=True):
    """A camera with the box or recorder that judges its pictures."""

    id: str
    object_id: str
    shape: CameraShape
    box: str  # number of the AI box or recorder
    channel: str  # name of the view, unique in the city
    ip: str
    mac: str


class City(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All of it; objects are in the order of their ids."""

    seed: int
    streets: tuple[Street, ...]
    objects: tuple[CityObject, ...]
    devices: tuple[Device, ...]
    cameras: tuple[Camera, ...]

    @cached_property
    def by_id(self) -> dict[str, CityObject]:
        """Return the objects by id."""
        return {found.id: found for found in self.objects}

    @cached_property
    def by_kind(self) -> dict[str, list[CityObject]]:
        """Return the objects of each kind, in the order of their ids."""
        groups: dict[str, list[CityObject]] = {}
        for found in self.objects:
            groups.setdefault(found.kind, []).append(found)
        return groups

    @cached_property
    def street_names(self) -> dict[str, str]:
        """Return the names of streets by nine-digit code."""
        return {street.code: street.name for street in self.streets}

    @cached_property
    def devices_of(self) -> dict[str, list[Device]]:
        """Return the sensors of each object that has any."""
        groups: dict[str, list[Device]] = {}
        for device in self.devices:
            groups.setdefault(device.object_id, []).append(device)
        return groups

    @cached_property
    def cameras_of(self) -> dict[str, list[Camera]]:
        """Return the cameras of each object that has any."""
        groups: dict[str, list[Camera]] = {}
        for camera in self.cameras:
            groups.setdefault(camera.object_id, []).append(camera)
        return groups


class _Builder:
    """Collects objects with names and codes that are used once."""

    def __init__(self, seed: int) -> None:
        self.rng = chance(seed, "city")
        self.streets = places.make_streets(self.rng)
        self.objects: list[CityObject] = []
        self.codes: set[str] = set()
        self.names: set[str] = set()
        self.groups: dict[str, list[CityObject]] = {}

    def add(self, **fields: object) -> CityObject:
        made = msgspec.convert({"id": f"obj-{len(self.objects) + 1:06d}", **fields}, CityObject)
        self.objects.append(made)
        self.names.add(made.name)
        self.codes.add(made.code)
        self.groups.setdefault(made.kind, []).append(made)
        return made

    def brand(self) -> str:
        rng = self.rng
        return rng.choice(kinds.FIRST) + rng.choice(kinds.SECOND) + (rng.choice(kinds.THIRD) if rng.random() < 0.85 else "")

    def name(self, kind: kinds.Kind, street: Street) -> tuple[str, str]:
        """Return an unused name and its shop sign."""
        while True:
            brand, pattern = self.brand(), self.rng.choice(kind.names)
            district = places.DISTRICTS[street.district]
            name = pattern.format(brand=brand, district=district, street=street.name)
            if name not in self.names:
                word = name.removeprefix(district + brand)
                return name, kind.sign.format(brand=brand, word=word, district=district)

    def weight(self) -> float:
        """Return a heavy-tailed popularity: most objects are met seldom, a few a hundred times as often."""
        return round(min(0.25 * self.rng.paretovariate(1.4), 40.0), 4)


def build_city(seed: int) -> City:
    """Return the city of `seed`: at least 20,000 objects."""
    builder = _Builder(seed)
    for kind in kinds.KINDS:
        _add_businesses(builder, kind)
    _add_homes(builder)
    _add_projects(builder)
    _add_pipes(builder)
    devices = _place_devices(builder)
    cameras = _place_cameras(builder)
    return City(
        seed=seed, streets=builder.streets, objects=_with_aliases(builder.objects, devices, cameras), devices=devices, cameras=cameras
    )


def _add_businesses(builder: _Builder, kind: kinds.Kind) -> None:
    rng = builder.rng
    for number in range(kind.count):
        street = rng.choice(builder.streets)
        name, sign = builder.name(kind, street)
        twin = builder.groups[kind.name][-1] if number % 40 == 39 else None
        if twin is not None and "服务有限公司" in twin.name:  # two firms that a caller easily takes for one another
            name = twin.name.replace("服务有限公司", "管理有限公司")
            sign = ""
        branch = f"{sign}（{street.name.removesuffix('街道').removesuffix('镇')}店）" if sign else ""
        builder.add(
            kind=kind.name,
            type=kind.type,
            name=name,
            code=credit_code(rng, kind.registrar, street.district, builder.codes),
            region=street.code,
            address=places.address(rng, street),
            industry=kind.industry,
            aliases=(branch,) if branch else (),
            credit=rng.choices("ABCD", weights=(30, 52, 15, 3))[0],
            labels=kind.labels,
            listed_by=kind.listed_by,
            weight=builder.weight(),
        )


def _add_homes(builder: _Builder) -> None:
    """Add residential compounds and their elevators, each operated by a property company."""
    rng = builder.rng
    streets = {street.code: street for street in builder.streets}
    for _ in range(kinds.COMPOUNDS):
        keeper = rng.choice(builder.groups["property"])
        street = rng.choice(builder.streets)
        name = ""
        while not name or name in builder.names:
            name = f"{builder.brand()}{rng.choice(('花园', '小区', '家园', '苑', '公馆'))}"
        builder.add(
            kind="compound", type="site", name=name, code="", region=street.code, address=places.address(rng, street),
            relations=(("managed_by", keeper.id),), listed_by=("zhujian",), weight=builder.weight(),
        )  # fmt: skip
    compounds = builder.groups["compound"]
    for serial in range(1, kinds.ELEVATORS + 1):
        home = compounds[(serial - 1) % len(compounds)]
        year = rng.randint(2004, 2025)
        lift = (serial - 1) // len(compounds)
        builder.add(
            kind="elevator", type="equipment", name=f"{home.name}{lift // 2 + 1}号楼{lift % 2 + 1}单元电梯",
            code=elevator_code(home.region[:6], year, serial), region=streets[home.region].code, address=home.address,
            relations=(("located_in", home.id), ("operated_by", home.related("managed_by"))),
            labels=("曳引驱动乘客电梯", *(("老旧电梯",) if year < 2011 else ())), listed_by=("shichang-jianguan",), weight=builder.weight(),
        )  # fmt: skip


def _add_projects(builder: _Builder) -> None:
    rng = builder.rng
    for serial in range(1, kinds.PROJECTS + 1):
        street = rng.choice(builder.streets)
        name = ""
        while not name or name in builder.names:
            name = (
                f"{builder.brand()}{rng.choice(('雅苑', '广场', '产业园', '安置房', '人才公寓'))}{rng.choice(('一期', '二期', '三期'))}项目"
            )
        year = rng.choice((2024, 2025))
        builder.add(
            kind="project", type="project", name=name, code=project_code(street.district, year, rng.randint(1, 12), serial),
            region=street.code, address=places.address(rng, street), labels=("房屋建筑工程",),
            aliases=(f"{name.removesuffix('项目')}工地",),
            relations=(("built_by", rng.choice(builder.groups["builder"]).id), ("labour_by", rng.choice(builder.groups["labour"]).id)),
            listed_by=("zhujian", "renshe", "shengtai"), weight=builder.weight(),
        )  # fmt: skip


def _add_pipes(builder: _Builder) -> None:
    rng = builder.rng
    streets = rng.sample(builder.streets, kinds.PIPE_SECTIONS)
    for serial, street in enumerate(streets, start=1):
        number = f"GX-{street.district}-{serial:04d}"
        owner = builder.groups["gas_network"][int(street.district[-1]) - 1]
        builder.add(
            kind="pipe", type="equipment", name=f"{street.name}中压燃气管段{serial:04d}", code=number, region=street.code,
            address=places.address(rng, street), labels=("中压燃气管道",), relations=(("operated_by", owner.id),), listed_by=("zhujian",),
        )  # fmt: skip


_DEVICE_PLAN = (
    ("lpg_dealer", 44, "gas_pct_lel", "RQ"),
    ("gas_station", 12, "gas_pct_lel", "RQ"),
    ("pipe", 30, "pressure_mpa", "YL"),
    ("chem_warehouse", 34, "temp_c", "WD"),
    ("chem_warehouse", 10, "voc_ppm", "VC"),
    ("project", 12, "pm10_ugm3", "YC"),
    ("elevator", 18, "runs", "DT"),
)


def _place_devices(builder: _Builder) -> tuple[Device, ...]:
    """Put up the sensors; objects of one kind and metric get one each, the busiest first."""
    devices: list[Device] = []
    for kind, count, metric, prefix in _DEVICE_PLAN:
        chosen = sorted(builder.groups[kind], key=lambda found: (-found.weight, found.id))[:count]
        for found in chosen:
            devices.append(Device(id=f"{prefix}{found.region[:6]}{len(devices) + 1:05d}", object_id=found.id, metric=metric))
    return tuple(devices)


_CAMERA_PLAN: tuple[tuple[str, int, CameraShape, str], ...] = (
    ("project", 60, "aidrive", "东大门"),
    ("chem_warehouse", 30, "jftech", "库区"),
    ("lpg_dealer", 16, "jftech", "瓶库"),
    ("canteen", 30, "aidrive", "后厨"),
    ("chem_maker", 24, "hikvision", "围墙"),
    ("gas_station", 20, "hikvision", "卸油区"),
    ("project", 24, "hikvision", "塔吊"),
)


def _place_cameras(builder: _Builder) -> tuple[Camera, ...]:
    cameras: list[Camera] = []
    for kind, count, shape, view in _CAMERA_PLAN:
        chosen = sorted(builder.groups[kind], key=lambda found: (-found.weight, found.id))[:count]
        for found in chosen:
            serial = len(cameras) + 1
            cameras.append(
                Camera(
                    id=f"CAM{serial:06d}",
                    object_id=found.id,
                    shape=shape,
                    box=f"{ {'aidrive': 'AIB', 'jftech': 'JFS', 'hikvision': 'DS'}[shape] }{found.region[:6]}{serial:05d}",
                    channel=f"{found.name}-{view}",
                    ip=f"10.61.{serial // 250}.{serial % 250 + 2}",
                    mac=f"02:61:00:00:{serial // 256:02x}:{serial % 256:02x}",
                )
            )
    return tuple(cameras)


def _with_aliases(objects: list[CityObject], devices: tuple[Device, ...], cameras: tuple[Camera, ...]) -> tuple[CityObject, ...]:
    """List the numbers of sensors and cameras under their objects: that is how a record of a device finds its object."""
    extra: dict[str, list[str]] = {}
    for device in devices:
        extra.setdefault(device.object_id, []).append(device.id)
    for camera in cameras:
        extra.setdefault(camera.object_id, []).extend((camera.box, camera.id, camera.channel, camera.mac))
    return tuple(
        msgspec.structs.replace(found, aliases=(*found.aliases, *extra[found.id])) if found.id in extra else found for found in objects
    )
