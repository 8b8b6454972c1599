"""What is imported before the first record: objects, catalogue, departments."""

from __future__ import annotations

import csv
import io

import openpyxl
from ruamel.yaml import YAML

from app.demo import registers
from app.demo.offices import BY_ID, ENFORCER, OFFICES
from app.demo.schedule import Plan
from app.rule_folder import read_folder
from app.settings import SHIPPED_PACKS
from connectors.inbound.catalogue import read_catalogue
from domain.objects import OBJECT_TYPES
from rules.load import load_rules


def test_both_files_of_objects_say_the_same_and_relations_lead_somewhere(plan: Plan) -> None:
    """CSV and workbook hold the same rows; ids are unique, types are known, each relation names an object."""
    city = plan.world.city
    rows = list(csv.DictReader(io.StringIO(registers.objects_csv(city).decode())))
    sheet = openpyxl.load_workbook(io.BytesIO(registers.objects_xlsx(city)), read_only=True).active
    book = [[cell or "" for cell in row] for row in sheet.iter_rows(values_only=True)]
    assert book[0] == list(registers.OBJECT_HEADERS)
    assert book[1:] == [list(row.values()) for row in rows]
    ids = {row["id"] for row in rows}
    assert len(ids) == len(rows) == len(city.objects)
    assert {row["type"] for row in rows} <= set(OBJECT_TYPES)
    assert all(part.partition(":")[2] in ids for row in rows for part in row["relations"].split(";") if part)
    assert {part for row in rows for part in row["listed_by"].split(";") if part} <= set(BY_ID)


def test_numbers_of_sensors_and_cameras_are_aliases_of_one_object(plan: Plan) -> None:
    """A record that names a device finds its object, and no other."""
    city = plan.world.city
    owners: dict[str, set[str]] = {}
    for found in city.objects:
        for alias in found.aliases:
            owners.setdefault(alias, set()).add(found.id)
    assert all(owners[device.id] == {device.object_id} for device in city.devices)
    assert all(
        owners[name] == {camera.object_id} for camera in city.cameras for name in (camera.id, camera.box, camera.channel, camera.mac)
    )


def test_the_catalogue_is_a_filled_in_form_with_merged_cells() -> None:
    """Each item has one lead and two or three cooperating units that exist, at city or county level, and a slug of its own."""
    sheet = openpyxl.load_workbook(io.BytesIO(registers.catalogue_xlsx())).active
    merged = {str(area) for area in sheet.merged_cells.ranges}
    assert {"A1:P1", "C2:F2", "A2:A3", "G2:G3", "B4:B5"} <= merged
    assert [cell.value for cell in sheet[3]][2:6] == ["牵头单位", "配合单位", "配合单位", "配合单位"]
    known = {name for office in OFFICES for name in (office.name, *office.aliases)}
    items = list(sheet.iter_rows(min_row=4, values_only=True))
    assert len(items) == 15
    for item in items:
        units = [unit for unit in item[2:6] if unit]
        assert 3 <= len(units) <= 4
        assert set(units) <= known
    assert {item[12] for item in items} >= set(ENFORCER) - {"other"}
    assert {item[11] for item in items} == {"市级", "县级"}
    assert len({item[14] for item in items}) == 15


def test_every_matter_that_a_shipped_rule_speaks_of_has_a_row_in_the_catalogue() -> None:
    """No warning of a pack goes to the duty desk as nobody's in the demo: its sector has an item, and so does each named matter."""
    items = read_catalogue(registers.catalogue_xlsx(), "catalogue.xlsx").catalogue.items
    known = {item.sector for item in items} | {item.slug for item in items}
    shipped = load_rules(read_folder(SHIPPED_PACKS))
    assert {rule.sector for rule in (*shipped.rules, *shipped.inferences)} - known == set()


def test_the_directory_has_departments_a_duty_desk_a_task_force_and_a_deputy_mayor() -> None:
    """Twelve departments and three above them, as YAML that any reader takes."""
    read = YAML(typ="safe").load(registers.departments_yaml())["departments"]
    kinds = [unit["kind"] for unit in read]
    assert kinds.count("department") == 12
    assert kinds[12:] == ["duty_desk", "task_force", "deputy_mayor"]
    assert all(unit["region"] == "6101" for unit in read)
