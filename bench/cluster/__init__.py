"""Suite, Plan -> a full store, over more than one process or machine: `python -m bench score`."""
