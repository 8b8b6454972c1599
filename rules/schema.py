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


def schema(of: str = "pack") -> dict[str, Any]:
    """Return the schema of a kind of `FILES` as plain data; the same version of the code gives the same schema."""
    roots, definitions = msgspec.json.schema_components([doc for doc, _ in FILES.values()], ref_template="#/$defs/{name}")
    mended = _mend(dict(definitions))
    for key in ("indicators", "params"):
        mended["PackDoc"]["properties"][key]["propertyNames"] = {"pattern": f"{NAME}|<"}  # a template's name has places
    mended["RuleDoc"]["properties"]["id"]["pattern"] += "|<"
    place = list(FILES).index(of)
    return {"$schema": DIALECT, "title": f"烽燧{FILES[of][1]}", **roots[place], "$defs": mended}
