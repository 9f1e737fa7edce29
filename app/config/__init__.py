"""Settings as plain values, from YAML files and flags; nothing here builds or knows a trainer's loop."""
