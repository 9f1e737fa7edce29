"""What a variant costs, and how fast the whole is: everything that is compared is run in turn, in one process."""
