"""dropout-lab: which dropout variant works for a network and a data set, and why."""
