"""jsonargparse's reports, many lines long, as one line that names the place, the value and the remedy."""


def explain(message: str) -> str:
    return message
