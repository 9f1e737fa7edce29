"""One run: built, trained and saved in its folder, resumed, evaluated."""
