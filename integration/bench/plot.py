"""Draws grouped bars as SVG, without any library; readable on light and dark screens."""

import math
from dataclasses import dataclass
from html import escape
from statistics import median

# Distinguishable for the colour-blind (after Okabe and Ito), on both backgrounds.
COLOURS = ("#8a8f98", "#e69f00", "#a6761d", "#cc79a7", "#0072d6", "#56b4e9", "#009e73", "#b8a800",
           "#d55e00", "#7a68ee")
STYLE = """
  .paper { fill: #ffffff } .text { fill: #1f2328 } .faint { stroke: #d5d9de } .whisker { stroke: #1f2328 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .text { fill: #e6edf3 } .faint { stroke: #30363d } .whisker { stroke: #e6edf3 }
  }
  text { font: 12px system-ui, sans-serif } .title { font-size: 15px; font-weight: 600 }
  .small { font-size: 10px }
"""
BAR, GAP, LEFT, RIGHT, TOP, HEIGHT = 18, 26, 64, 16, 72, 260


@dataclass(frozen=True)
class Bar:
    """A median with its spread, by the name of whose it is."""

    name: str
    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, name: str, values: list[float]) -> "Bar":
        return cls(name, min(values), median(values), max(values))


def steps(highest: float) -> list[float]:
    """Round numbers from 0 to above the highest, about five of them."""
    rough = max(highest, 1e-9) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    return [step * n for n in range(math.ceil(highest / step) + 1)]


def text(x: float, y: float, words: str, style: str = "text", **more: str) -> str:
    rest = "".join(f' {name}="{value}"' for name, value in more.items())
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}"{rest}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def upright(x: float, y: float, words: str, style: str, anchor: str) -> str:
    more = {"text-anchor": anchor, "transform": f"rotate(-90 {x:.1f} {y:.1f})"}
    return text(x, y, words, style, **more)


def draw_bar(x: float, scale: float, bar: Bar, colour: str, unit: str, digits: int) -> list[str]:
    base, middle = TOP + HEIGHT, max(bar.middle, 0) * scale
    top = base - max(bar.high, bar.middle, 0) * scale
    tip = f"{bar.name}: {bar.middle:.{digits}f} {unit} ({bar.low:.{digits}f}–{bar.high:.{digits}f})"
    return [
        f'<rect x="{x:.1f}" y="{base - middle:.1f}" width="{BAR - 3}" height="{middle:.1f}" '
        f'fill="{colour}"><title>{escape(tip)}</title></rect>',
        line(x + BAR / 2 - 1.5, base - max(bar.low, 0) * scale, x + BAR / 2 - 1.5, top, "whisker"),
        upright(x + BAR / 2 + 2, top - 4, f"{bar.middle:.{digits}f}", "text small", "start"),
    ]


def legend(names: list[str], colours: dict[str, str]) -> list[str]:
    parts, x = [], LEFT
    for name in names:
        parts.append(f'<rect x="{x}" y="38" width="11" height="11" fill="{colours[name]}"/>')
        parts.append(text(x + 15, 48, name))
        x += 32 + 7 * len(name)
    return parts


def grouped_bars(title: str, unit: str, groups: list[tuple[str, list[Bar]]], names: list[str],
                 digits: int) -> str:
    """One group of bars for each label; `names` gives everybody a colour, used or not."""
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(names)}
    used = [name for name in names if any(bar.name == name for _, bars in groups for bar in bars)]
    ticks = steps(max(bar.high for _, bars in groups for bar in bars))
    # Room above the highest bar for its figure.
    scale = (HEIGHT - 40) / ticks[-1]
    widths = [max(len(bars) * BAR, 7 * len(label)) + GAP for label, bars in groups]
    legend_width = sum(32 + 7 * len(name) for name in used)
    width = LEFT + max(sum(widths), legend_width, 9 * len(title)) + RIGHT
    height = TOP + HEIGHT + 34

    parts = [text(LEFT, 22, title, "text title"), *legend(used, colours),
             upright(14, TOP + HEIGHT / 2, unit, "text", "middle")]
    # Whole numbers on the axis where they are whole.
    tick_digits = max(0, -math.floor(math.log10(ticks[1]) + 1e-9)) if len(ticks) > 1 else 0
    tick_digits += ticks[1] * 10 ** tick_digits % 1 > 1e-6
    for tick in ticks:
        y = TOP + HEIGHT - tick * scale
        parts.append(line(LEFT, y, width - RIGHT, y, "faint"))
        parts.append(text(LEFT - 6, y + 4, f"{tick:,.{tick_digits}f}", **{"text-anchor": "end"}))
    x = LEFT + GAP / 2
    for (label, bars), room in zip(groups, widths):
        start = x + (room - GAP - len(bars) * BAR) / 2
        for n, bar in enumerate(bars):
            parts += draw_bar(start + n * BAR, scale, bar, colours[bar.name], unit, digits)
        parts.append(text(x + (room - GAP) / 2, TOP + HEIGHT + 18, label,
                          **{"text-anchor": "middle"}))
        x += room
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
            f'viewBox="0 0 {width:.0f} {height}" role="img" aria-label="{escape(title)}">\n'
            f'<style>{STYLE}</style>\n<rect class="paper" width="100%" height="100%"/>\n'
            + "\n".join(parts) + "\n</svg>\n")
