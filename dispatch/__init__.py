"""The obligation engine: route, lifecycle, clocks, escalation, delivery. Pure decisions; `app` carries them out."""
