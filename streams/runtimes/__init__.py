"""Ways to run the pipeline: embedded in `serve`, and replay. Only these touch threads, files or time."""
