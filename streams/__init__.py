"""The risk engine: records in, outcomes out. `pipeline` is the visible list of stages, `runtimes` are the ways to run it."""
