"""The YAML rule language: schema, load, lint, compile; `packs/` are the shipped rules.

Pure: texts in, a `RuleSet` out. Reading files and watching the folder is done by `app`.
"""
