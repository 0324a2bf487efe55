"""Who does the work of a run: the threads of one machine, or a Ray cluster."""
