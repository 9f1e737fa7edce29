"""What is drawn: counts, names, captions, pixels."""

import io

import matplotlib
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dropout_lab.callbacks.figures import confusion_figure, panel_figure, plain


def texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in figure.axes[0].texts]


def test_confusion_shows_counts_and_the_share_that_is_right() -> None:
    figure = confusion_figure(torch.tensor([[30, 10], [0, 1000]]), ["cat", "dog"])
    assert texts(figure) == ["30", "10", "1,000"]
    axes = figure.axes[0]
    assert axes.get_title() == "99.0% of 1,040 images right"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), [[0.75, 0.25], [0.0, 1.0]])


def test_confusion_of_many_classes_is_a_picture_alone() -> None:
    figure = confusion_figure(torch.eye(200, dtype=torch.long), [f"n{label}" for label in range(200)])
    assert texts(figure) == []
    assert len(figure.axes[0].get_yticklabels()) < 200


def test_confusion_without_images_of_a_class() -> None:
    figure = confusion_figure(torch.zeros(2, 2, dtype=torch.long), ["a", "b"])
    assert texts(figure) == []
    assert figure.axes[0].get_title() == "0.0% of 0 images right"


def test_names_are_no_mathematics() -> None:
    names = ["5$ ^_ 6$", r"$\frac$"]
    figure = confusion_figure(torch.eye(2, dtype=torch.long), names)
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == names
    images = torch.zeros(2, 3, 4, 4)
    assert set(names) < set(texts(panel_figure([("as stored", images)], names, names, "wrong")))


def test_a_matplotlibrc_changes_nothing() -> None:
    def pixels() -> bytes:
        figure = confusion_figure(torch.eye(2, dtype=torch.long), ["cat", "dog"])
        with plain():
            canvas = FigureCanvasAgg(figure)
            canvas.draw()  # type: ignore[no-untyped-call]
        return bytes(canvas.buffer_rgba())  # type: ignore[no-untyped-call]

    before = pixels()
    # TeX, which is not installed everywhere; a size that would show.
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30, "axes.titlesize": 40}):
        assert pixels() == before


def test_panel_puts_truth_above_and_prediction_below() -> None:
    images = torch.stack([torch.zeros(3, 4, 6), torch.full((3, 4, 6), 0.5)])
    figure = panel_figure(
        [("as stored", images), ("normalized", 1 - images)], ["cat", "dog"], ["dog", "cat"], "wrong"
    )
    assert texts(figure) == ["cat", "dog", "dog", "cat", "true", "predicted"]
    axes = figure.axes[0]
    (above, *_), (below, *_) = (
        [text.get_position()[1] for text in axes.texts if text.get_text() == name] for name in ("cat", "dog")
    )
    assert above < 0 < below, "y grows downwards"
    canvas = np.asarray(axes.images[0].get_array())
    # Two rows of two images with a pixel between them.
    assert canvas.shape == (10, 14, 3)
    np.testing.assert_allclose(canvas[:4, 7:13], 0.5)
    np.testing.assert_allclose(canvas[5:9, :6], 1)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["as stored", "normalized"]


def test_very_long_names_leave_room_for_the_figure() -> None:
    names = ["l" * 255, "k" * 200, "b"]
    matrix = confusion_figure(torch.eye(3, dtype=torch.long), names)
    panel = panel_figure(
        [("stored", torch.zeros(2, 3, 8, 8))], names[:2], [f"{name}\n50%" for name in names[:2]], ""
    )
    # A layout that has no room warns, and warnings are errors.
    for figure in (matrix, panel):
        figure.savefig(io.BytesIO(), dpi=20)
    assert matrix.axes[0].get_window_extent().width > 40
