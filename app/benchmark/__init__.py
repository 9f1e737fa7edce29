"""What a variant costs: everything that is compared takes turns in one process."""
