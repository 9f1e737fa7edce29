"""What runs that differ by chance say: pure functions of numbers, without torch."""
