# SPDX-License-Identifier: GPL-2.0
"""What ends the tool."""


class Failure(Exception):
    """A failure at run time; its text is the line that the user sees."""
