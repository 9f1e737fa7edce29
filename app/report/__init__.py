"""From a study's folder to tables, figures and a page.

Nothing here trains, and nothing imports torch at once: two figures do, when they are drawn, since their curves and
their way of drawing belong to layers and callbacks.
"""
