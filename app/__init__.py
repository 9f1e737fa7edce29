"""The application: commands, run folders, what is printed."""
