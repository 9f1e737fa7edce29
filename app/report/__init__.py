"""From a study's folder to tables, figures and a page; nothing here trains, and only two figures import torch."""
