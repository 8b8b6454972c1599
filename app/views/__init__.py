"""Read models: what the console and the REST API show, read through the asker's scope and nowhere else."""
