"""How a run that was interrupted goes on: to the bit as if it had not been."""
