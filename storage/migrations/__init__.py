"""Migrations of the tables, run by `storage.migrate` at every start; forward only."""
