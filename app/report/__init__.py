"""From a study's folder to tables, figures and a page. Nothing here trains, and nothing imports torch."""
