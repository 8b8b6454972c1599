"""JSON Schema (2020-12) of the rule files for editors, made from the same structs that the loader reads.

It helps while typing; `fengsui rules check` decides, since expressions, units and names are beyond a schema.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from rules.documents import NAME, OverrideDoc, PackDoc, TuningDoc

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FILES: Final = {"pack": (PackDoc, "规则包"), "override": (OverrideDoc, "区域参数"), "tuning": (TuningDoc, "调优")}
# Texts that YAML shows as numbers where they are not quoted; the loader takes the characters as written.
PLACE: Final = {"type": "string", "pattern": "<[^<>]+>"}
_WRITTEN_OUT: Final = ("IndicatorDoc", "RuleDoc", "RecordDoc", "EffectiveDoc", "WhenDoc", "CaseDoc", "GivenDoc", "ExpectDoc")
_DIGITS: Final = frozenset({"value", "values", "region", "code", "industry"})


def _mend(given: Any, name: str = "") -> Any:
    """Return `given` with what the loader really takes: no null, no empty word, digits without quotes."""
    if isinstance(given, list):
        return [_mend(each, name) for each in given]
    if not isinstance(given, dict):
        return given
    mended = {key: _mend(value, key if key not in {"items", "anyOf"} else name) for key, value in given.items()}
    if "properties" in mended:
        mended["properties"] = {key: _mend(value, key) for key, value in given["properties"].items()}
    if isinstance(mended.get("enum"), list):
        mended["enum"] = [word for word in mended["enum"] if word != ""]
    choices = [each for each in mended.pop("anyOf", []) if each != {"type": "null"}]
    if len(choices) == 1:
        mended = choices[0] | mended
    elif choices:
        mended["anyOf"] = choices
    if mended.get("type") == "string" and name in _DIGITS:
        mended["type"] = ["string", "number"]
    if "default" in mended and not isinstance(mended["default"], bool | int | float) and not mended["default"]:
        del mended["default"]
    return mended


def _fillable(given: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a key of a template, in which `<name>` may stand for what an item of `each` fills in."""
    if "pattern" in given:
        return given | {"pattern": f"{given['pattern']}|<"}
    if given.get("type") in ("number", "integer", "boolean") or "enum" in given:
        beside: dict[str, Any] = {key: given[key] for key in ("description", "default") if key in given}
        return {"anyOf": [{key: each for key, each in given.items() if key not in beside}, PLACE], **beside}
    return given


def schema(of: str = "pack") -> dict[str, Any]:
    """Return the schema of a kind of `FILES` as plain data; the same version of the code gives the same schema."""
    roots, definitions = msgspec.json.schema_components([doc for doc, _ in FILES.values()], ref_template="#/$defs/{name}")
    mended = _mend(dict(definitions))
    for key in ("indicators", "params"):
        mended["PackDoc"]["properties"][key]["propertyNames"] = {"pattern": f"{NAME}|<"}  # a template's name has places
    for name in _WRITTEN_OUT:
        properties = mended[name]["properties"]
        mended[name]["properties"] = {key: _fillable(each) for key, each in properties.items()}
    place = list(FILES).index(of)
    return {"$schema": DIALECT, "title": f"烽燧{FILES[of][1]}", **roots[place], "$defs": mended}
