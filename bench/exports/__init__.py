"""What other tools read. In: a run, or the task itself. Out: rows, logs and tasks in their formats."""
