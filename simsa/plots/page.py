"""How a figure is called, sized, titled and given its legend: the same for all figures."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, overload

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.lines import Line2D

from simsa.errors import SimsaError
from simsa.plots.style import NARROW, STYLE, WIDE, Summary

LETTER = 0.058
"""Inches that a letter of a legend takes, on average: 7 points of DejaVu Sans."""

SAMPLE = 0.5
"""Inches that the sample of a look takes in a legend, with the room around it."""

LINE = 0.15
"""Inches that a line of a legend takes."""


class NothingToShow(SimsaError):
    """A run has nothing to show in a figure; the message says why."""


class Page:
    """The figure that is drawn on: a new one, which grows with its legend and title, or one that was given.

    figure: the matplotlib Figure or SubFigure. width: in inches. wide: whether there is room for axes side by side.
    """

    def __init__(self, figure: Figure | SubFigure | None, width: float) -> None:
        """Begin a figure of that width, or take the one given, whose width counts then."""
        self.own: Figure | None = Figure(figsize=(width, width), layout="constrained") if figure is None else None
        self.figure: Figure | SubFigure = self.own or figure  # type: ignore[assignment]
        box = self.figure.bbox
        self.width = width if self.own else float(box.width / self.figure.dpi)
        self.wide = self.width > NARROW

    def grid(self, rows: int, columns: int, height: float, count: int | None = None, **options: Any) -> list[Axes]:
        """Return the axes of a grid, row by row.

        rows, columns: of the grid. height: of the figure, in inches, without its legend and its title. count: of the
        axes that are wanted; the others at the end are left out. options: those of matplotlib's `subplots`.
        """
        if self.own:
            self.own.set_figheight(height)
        axes: list[Axes] = self.figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
        wanted = rows * columns if count is None else count
        for unused in axes[wanted:]:
            unused.remove()
        for ax in axes[max(0, wanted - columns) : wanted]:
            ax.tick_params(labelbottom=True)  # shared axes label the lowest row only, which may have gaps
        return axes[:wanted]

    def heading(self, ax: Axes, text: str, columns: int = 1) -> None:
        """Set the title of axes, broken into as many lines as it needs.

        ax: the axes. text: the title. columns: of the grid in which the axes take one.
        """
        ax.set_title(textwrap.fill(text, max(12, int((self.width / columns - 0.45) / (1.15 * LETTER)))))

    def label(self, axes: Sequence[Axes], columns: int, x: str, y: str) -> None:
        """Say what the axes of a grid mean, below the lowest of each column, and once at the left of all rows.

        columns: of the grid. x, y: what is on the horizontal and on the vertical axes.
        """
        for ax in axes[-columns:]:
            ax.set_xlabel(x)
        if len(axes) > columns:
            self.figure.supylabel(y, fontsize=STYLE["axes.labelsize"])
        else:
            axes[0].set_ylabel(y)

    def legend(self, entries: Sequence[Artist], notes: Sequence[str] = ()) -> None:
        """Put a legend below the axes, in as many columns as there is room for.

        entries: artists with labels. notes: sentences that follow them.
        """
        said = [Line2D([], [], linestyle="none", label=note) for note in notes]
        every: list[Any] = [*entries, *said]
        if not every:
            return
        for entry in every:
            entry.set_label(textwrap.fill(str(entry.get_label()), int((self.width - SAMPLE) / LETTER)))
        lines = [str(entry.get_label()).split("\n") for entry in every]
        longest = max(len(line) for label in lines for line in label)
        columns = max(1, min(4, len(every), int(self.width / (SAMPLE + LETTER * longest))))
        self.figure.legend(handles=every, loc="outside lower left", ncols=columns)
        each = -(-len(every) // columns)
        self._grow(LINE * max(sum(map(len, lines[i : i + each])) for i in range(0, len(lines), each)) + 0.1)

    def title(self, text: str) -> None:
        """Say above the figure which run it shows; nothing if the text is empty."""
        if text:
            lines = textwrap.wrap(text, int(13.5 * self.width))
            self.figure.suptitle("\n".join(lines), x=0.01, ha="left")
            self._grow(0.16 * len(lines))

    def _grow(self, inches: float) -> None:
        """Make a new figure higher, so that its axes stay as high as they are."""
        if self.own:
            self.own.set_figheight(self.own.get_figheight() + inches)


@contextmanager
def page(figure: Figure | SubFigure | None, width: float, title: str) -> Iterator[Page]:
    """Yield the page to draw on, within the style of simsa, and give it its title after that.

    figure: to draw on, or None for a new one. width: of a new one, in inches. title: empty for none.
    """
    with mpl.rc_context(STYLE):
        one = Page(figure, width)
        yield one
        one.title(title)


def _place(ax: Axes) -> SubFigure:
    """Return a new subfigure in the place of axes, which are removed."""
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError("ax: expected axes of a grid of subplots, as `subplots` returns them")
    figure = ax.get_figure()
    assert figure is not None
    ax.remove()
    place: SubFigure = figure.add_subfigure(spec)
    return place


Draw = Callable[[Summary, Page], None]
Nothing = Callable[[Summary], str]


class Plot:
    """A figure of a run: all that is known of it in one place.

    name: of its files. caption: what it shows, in sentences. nothing: from the summary to why the run has nothing to
    show in it; empty if it has. draw: draws it on a page.
    """

    def __init__(self, draw: Draw, caption: str, nothing: Nothing) -> None:
        self.name, self.__doc__ = draw.__name__, draw.__doc__
        self.caption, self.nothing, self.draw = caption, nothing, draw

    @overload
    def __call__(
        self, summary: Summary, *, figure: None = None, ax: None = None, width: float = WIDE, title: bool = True
    ) -> Figure: ...

    @overload
    def __call__(
        self,
        summary: Summary,
        *,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
        width: float = WIDE,
        title: bool = True,
    ) -> FigureBase: ...

    def __call__(
        self,
        summary: Summary,
        *,
        figure: Figure | SubFigure | None = None,
        ax: Axes | None = None,
        width: float = WIDE,
        title: bool | Literal[False] = True,
    ) -> FigureBase:
        """Draw the figure, and return it.

        summary: of a run, as `simsa.analysis.summarise` returns it. figure: an empty Figure or SubFigure of matplotlib
        to draw on, best one with the layout "constrained"; None for a new one. ax: axes of a grid of
        subplots, whose place the figure takes: it has axes and a legend of its own. width: of a new one, in inches;
        up to 3.4 is a column. title: whether the title of the run stands above. Raises NothingToShow, with the reason,
        if the run has nothing to show.
        """
        why = self.nothing(summary)
        if why:
            raise NothingToShow(f"{self.name}: {why}")
        if ax is not None:
            figure = _place(ax)
        said = str(summary.get("title") or summary.get("scenario") or "") if title else ""
        with page(figure, width, said) as one:
            self.draw(summary, one)
        return one.figure


def plot(caption: str, nothing: Nothing) -> Callable[[Draw], Plot]:
    """Make a function that draws on a page a figure of a run, with that caption and that test for nothing to show."""
    return lambda draw: Plot(draw, caption, nothing)
