"""Names from files are text in every figure, whatever signs they hold."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from sparselrp_cli.evaluation import figures as of_evaluation
from sparselrp_cli.report.drawing import Span, draw_maps
from sparselrp_cli.report.figures import Track, as_data, draw_histogram
from sparselrp_cli.report.stretch import Rows, Shape, Signal, draw_stretch

NAMES = ["a$_$b", "$$", "$\\frac$", "price $5 or $6", "x$x$y", "\\alpha", "_hidden", "a_1^2", "%s {0}"]


def texts_of(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text()]


def require_drawn_as_text(figure: Figure, *names: str) -> None:
    found = texts_of(figure)
    for name in names:
        drawn = [text for text in found if text.get_text() == name]
        assert drawn
        assert not any(text.get_parse_math() for text in drawn)
    assert as_data(figure).startswith("data:image/svg+xml;base64,")


@pytest.mark.parametrize("name", NAMES)
def test_names_of_tracks_hits_and_chromosomes_are_text(name):
    # As few letters as there can be, which take longest.
    values = np.random.default_rng(0).normal(size=(4, 4))
    figure, _ = draw_stretch(Rows([Track(name, values)], [Signal(name, values[:, 0])]), name, 0, Shape())
    require_drawn_as_text(figure, name, f"position on {name}")
    drawn = str(draw_maps([(name, values)], 1, f"on {name}", [Span(2, 4, f"{name} +")]))
    assert [unescape(text) for text in re.findall("<text[^>]*>(.*?)</text>", drawn)][:2] == [
        f"{name} +",
        name,
    ]


@pytest.mark.parametrize("share", [0.9, 0.2, 0.003, 1e-7])
def test_shares_of_kept_neurons_are_percentages(share):
    values = np.random.default_rng(0).normal(size=(4, 4))
    tracks = [Track("pruned", values, [share, min(1.0, 1.5 * share)]), Track("whole", values, [])]
    figure, _ = draw_stretch(Rows(tracks), "chr1", 0, Shape())
    figure.draw_without_rendering()
    labels = [tick.label1.get_text() for tick in figure.axes[-1].yaxis.get_major_ticks()]
    assert sum(label.endswith(" %") for label in labels) >= 2
    assert not [text for text in texts_of(figure) if "mathdefault" in text.get_text()]


def test_no_text_of_any_figure_is_mathematics():
    rows = Rows([Track("$_$", np.random.default_rng(0).normal(size=(6, 4)))])
    letters, _ = draw_stretch(rows, "$x$", 0, Shape())
    for figure in (letters, draw_histogram(np.arange(9.0), "$_$")):
        assert as_data(figure)
        assert not any(text.get_parse_math() for text in texts_of(figure))


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures of an evaluation as they are saved."""
    figures: list[Figure] = []
    save = of_evaluation._save

    def saving(figure: Figure, path: Path) -> None:
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(of_evaluation, "_save", saving)
    return figures


def test_names_of_methods_are_text_in_the_figures_of_an_evaluation(tmp_path, drawn):
    rng = np.random.default_rng(0)
    windows = [
        {"method": m, "target": "t", "window": i, "gini": rng.random()} for m in NAMES for i in range(3)
    ]
    per_window = pd.DataFrame(windows).assign(zero_share=1.0)
    shares = [
        {"method": m, "target": "t", "share": s, "deletion": rng.random(), "insertion": rng.random()}
        for m in NAMES
        for s in (0.0, 0.1, 1.0)
    ]
    of_evaluation.plot_metrics(per_window, tmp_path / "m.svg")
    of_evaluation.plot_curves(pd.DataFrame(shares), tmp_path / "c.svg")
    for figure in drawn:
        require_drawn_as_text(figure, *NAMES)
        figure.draw_without_rendering()
        assert not [text for text in texts_of(figure) if "mathdefault" in text.get_text()]
