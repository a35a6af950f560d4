"""A plot of the rates, as SVG by hand: a group of bars for each workload, scaled within the group."""

from __future__ import annotations

from .plan import WORKLOADS
from .report import Results

GROUPS = ["echo", "ack", "bcast", "bcast-4", "rcast", "echo-4k", "connect"]
SERVERS = [
    "direct", "http", "socketioxide", "bun", "node", "python-socketio", "flask-socketio",
]  # fmt: skip
COLOURS = {"direct": "#b7410e", "http": "#dc7a45"}
OTHER = "#8a94a3"

WIDTH, LABELS, FIGURES = 860, 150, 100
BAR, GAP, HEAD = 16, 5, 34


def svg(results: Results) -> str:
    """Draws what there is."""
    parts: list[str] = []
    y = 16
    for group in GROUPS:
        rates = [(server, results.mid(group, server, "per_second")) for server in SERVERS]
        known = [(server, rate) for server, rate in rates if rate]
        if known:
            y = _group(parts, y, WORKLOADS[group].says, known)
    height = y + 12
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _group(parts: list[str], y: int, title: str, rates: list[tuple[str, float]]) -> int:
    most = max(rate for _, rate in rates)
    y += 18
    parts.append(
        f'<text x="16" y="{y}" font-weight="600" fill="#1b1f24">{title}, per second</text>'
    )
    y += HEAD - 24
    for server, rate in rates:
        length = max(1.0, (WIDTH - LABELS - FIGURES - 16) * rate / most)
        middle = y + BAR - 4
        colour = COLOURS.get(server, OTHER)
        parts += [
            f'<text x="{LABELS - 8}" y="{middle}" text-anchor="end" fill="#3a424d">{server}</text>',
            f'<rect x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{middle}" fill="#3a424d">{rate:,.0f}</text>',
        ]
        y += BAR + GAP
    return y + 10
