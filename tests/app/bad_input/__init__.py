"""The table of what a user can get wrong: rows by what they are about."""
