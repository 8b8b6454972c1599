"""The REST API under `/v1` and the probes; each route declares which roles may call it."""
