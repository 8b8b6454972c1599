"""The stages of the pipeline: pure, each with its own state; none reads a clock."""
