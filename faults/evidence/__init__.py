"""What a run is judged by: reads the record, Redis and metrics of processes, and writes the journal."""
