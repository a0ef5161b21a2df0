# SPDX-License-Identifier: GPL-2.0
"""Values, as people read them."""


def safe(text):
    """@text with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else
                   f"\\x{ord(c):02x}" if ord(c) < 0x100 else f"\\u{ord(c):04x}"
                   for c in str(text))


def clip(text, width):
    """@text cut to @width; a + at the end says that it was."""
    return text if len(text) <= width else text[:width - 1] + "+"


def scaled(number, base, units):
    """@number in the biggest unit that leaves something before the point."""
    value, unit = float(number), 0
    while value >= base - 0.5 and unit < len(units) - 1:
        value, unit = value / base, unit + 1
    return value, units[unit]


def show_size(kb):
    """KiB as 512K, 1.5M, 4.0G: powers of 1024."""
    value, unit = scaled(kb, 1024, "KMGTPE")
    return f"{value:.{int(unit != 'K' and value < 99.95)}f}{unit}" if kb else "0"


def show_count(number):
    """A count as 999, 1.23k, 45.6M: powers of 1000."""
    value, unit = scaled(number, 1000, ["", "k", "M", "G", "T", "P", "E"])
    digits = 0 if not unit else (value < 9.995) + (value < 99.95)
    return f"{value:.{digits}f}{unit}"


def show_rate(rate):
    """A rate; only a true zero is printed as 0."""
    if 0 < rate < 0.05:
        return "<0.1"
    return f"{rate:.1f}" if 0 < rate < 99.95 else show_count(rate)


def show_percent(share):
    """A share; only the very ends are printed as 0% and 100%."""
    return "<1%" if 0 < share < 0.005 else ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def show_age(ms):
    """Milliseconds, in one unit."""
    units = (("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000))
    return next((f"{ms // length}{unit}" for unit, length in units if ms >= length), f"{ms}ms")


def show_time(us):
    """Microseconds, in the biggest unit that leaves something before the point."""
    for unit, length in (("d", 86400e6), ("h", 3600e6), ("m", 60e6), ("s", 1e6), ("ms", 1e3)):
        if us >= length:
            return f"{us / length:.{int(us < 9.95 * length)}f}{unit}"
    return f"{us:.0f}us" if us >= 1 else f"{us * 1000:.0f}ns" if us else "0"


def show_lost(share):
    """A share of which small ones matter, too."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{share * 100:.{int(0 < share < 0.0995)}f}%"


def show_size_rate(kb):
    """KiB a second; only a true zero is printed as 0."""
    return "<1K" if 0 < kb < 1 else show_size(kb)


def show_exact(value):
    """A number as it is, for those who compute with it."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


FORMS = {"text": safe, "plain": str, "size": show_size, "count": show_count,
         "number": show_count,
         "rate": show_rate, "percent": show_percent, "age": show_age, "busy": show_time,
         "grown": show_size, "lost": show_lost, "size rate": show_size_rate,
         "exact": show_exact}
# How what grows is shown as so much a second; all other forms show what is now.
RATES = {"count": "rate", "busy": "lost", "grown": "size rate"}


def show(form, value):
    """@value in @form; what is unknown stays a dash, never 0."""
    return "-" if value is None else FORMS[form](value)
