"""Why a record was rejected: one table of codes; titles are in the message catalogue under `rejection.<code>`."""

from __future__ import annotations

RAW_LIMIT = 64 * 1024  # bytes of a rejected record that are kept with it; the whole input is kept by hash

REASONS: tuple[str, ...] = (
    "bad_encoding",  # bytes are none of the declared encodings
    "bad_structure",  # not parseable as the declared format, or cut short
    "bad_header",  # a required column is missing
    "bad_type",  # a field is of the wrong type
    "bad_date",  # a date that does not exist or has an undeclared format
    "bad_value",  # outside its range or code list
    "missing_field",  # a required field is empty
    "unknown_field",  # an unknown top-level key of a canonical signal
    "unit_mismatch",  # an amount in a unit that the mapping does not declare
    "future",  # later than received_at + the feed's tolerance: quarantined, moves no clock (decision 2)
    "conflicting_content",  # same key, other content, and the mapping declares no revision (decision 1)
    "unknown_target",  # corrects or withdraws a signal that is not there
    "too_large",  # one record over its limit
    "foreign_message",  # a message in the topic of frames that is none
    "cut_message",  # a frame in the topic that is cut short or damaged
    "input_too_large",  # a whole input over a limit: nothing of it is taken, it has to be split
)
