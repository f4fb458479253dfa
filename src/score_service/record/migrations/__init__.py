"""The schema of the record, step by step. Each revision runs the `.sql` file that bears its name."""
