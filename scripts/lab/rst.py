# SPDX-License-Identifier: GPL-2.0
"""Simple tables of reStructuredText, which read well on a terminal, too."""

import textwrap

WIDTH = 100             # of a table in Documentation; scripts/test/docs.py checks it
GAP = 2

# A blank where a cell is not broken into lines.
TOGETHER = "\u00a0"


def _widths(rows):
    """The widths of the columns: the widest give way until the table fits.

    The first column keeps its width: in a simple table a line that begins with
    blanks continues the row above."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    least = [max(len(word) for cell in column for word in cell.split(" "))
             for column in zip(*rows)]
    least[0] = widths[0]
    while sum(widths) + GAP * (len(widths) - 1) > WIDTH:
        can = [number for number, width in enumerate(widths) if width > least[number]]
        if not can:
            break
        widths[max(can, key=lambda number: widths[number])] -= 1
    return widths


def _broken(row, widths):
    """The lines of a row, each a list of cells. The lines of a cell are as long as
    its longest one, since one that is indented more than others is a quotation."""
    cells = [textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False) or [""]
             for cell, width in zip(row, widths)]
    return [[cell[line].ljust(max(map(len, cell))) if line < len(cell) else "" for cell in cells]
            for line in range(max(map(len, cells)))]


def simple(rows, numbers=False):
    """A table whose first row is the head; with numbers, all columns but the
    first are aligned to the right."""
    wanted = _widths(rows)
    broken = [_broken(row, wanted) for row in rows]
    widths = [max(map(len, column)) for column in zip(*(line for row in broken for line in row))]

    def text(line):
        return (" " * GAP).join(
            cell.rjust(width) if numbers and number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths))).rstrip()

    rule = (" " * GAP).join("=" * width for width in widths)
    head, *body = (list(map(text, row)) for row in broken)
    lines = [rule, *head, rule, *(line for row in body for line in row), rule]
    return "\n".join(lines).replace(TOGETHER, " ")
