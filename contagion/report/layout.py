"""Places for a network of hubs with many members: discs around each hub, pressed together."""

from __future__ import annotations

import numpy as np

GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))
_FILL = 0.55  # share of a disc that its members cover
_LARGE = 0.004  # share of the areas of a disc from which a circle is in the way of others
_SMALLEST = 0.05  # of the mean area, so that the poorest members have a place too


def around_hubs(
    hubs: list[str], hub_of: list[str], worth: np.ndarray, names: list[str]
) -> tuple[np.ndarray, np.ndarray, float, tuple[float, float, float, float]]:
    """Members on sunflower spirals (Vogel 1979) around their hubs, the largest inside.

    Parameters
    ----------
    hubs : list of str
        Names of the hubs.
    hub_of : list of str of length n
        Hub of each node; a name that is no hub's puts it with the first hub. Hubs themselves stand in the middle.
    worth : ndarray of shape (n,)
        Areas of the circles are proportional to it.
    names : list of str of length n

    Returns
    -------
    x, y : ndarray of shape (n,)
    scale : float
        Radius of a circle over the square root of its worth.
    room : tuple of float
        Left, right, bottom and top of everything.
    """
    n, place = len(names), {name: row for row, name in enumerate(hubs)}
    member = np.array([names[row] not in place for row in range(n)])
    group = np.array([place.get(names[row], place.get(hub_of[row], 0)) for row in range(n)])
    total = float(worth[member].sum())
    scale = np.sqrt(1.0 / (np.pi * total)) if total > 0.0 else 1.0
    largest = float(worth[member].max(initial=0.0))
    if largest > 0.0:  # few nodes must not fill the sheet with one circle
        scale = min(scale, np.sqrt(0.06 / (np.pi * largest)))
    area = np.maximum(np.pi * worth * scale**2, _SMALLEST / max(member.sum(), 1))
    x, y = np.zeros(n), np.zeros(n)
    core = 0.02 / _FILL
    radii = np.full(max(len(hubs), 1), 0.13)
    for row in range(max(len(hubs), 1)):
        inside = np.flatnonzero(member & (group == row))
        inside = inside[np.argsort(-area[inside], kind="stable")]
        x[inside], y[inside] = _disc(area[inside], core)
        if len(inside):
            radii[row] = (np.hypot(x[inside], y[inside]) + np.sqrt(area[inside] / np.pi)).max()
    cx, cy = _pressed(radii)
    x, y = x + cx[group], y + cy[group]
    if np.ptp(np.stack([cy - radii, cy + radii])) > np.ptp(np.stack([cx - radii, cx + radii])):
        x, y, cx, cy = y, x, cy, cx  # sheets are wide rather than tall
    reach = np.maximum(radii, 0.06) + 0.02
    room = (cx - reach).min(), (cx + reach).max(), (cy - reach).min(), (cy + reach).max()
    return x, y, float(scale), tuple(float(edge) for edge in room)


def _disc(area: np.ndarray, core: float) -> tuple[np.ndarray, np.ndarray]:
    """Places of circles around a core, the largest first: on a spiral, turned on where a large one is in the way."""
    radius = np.sqrt(area / np.pi)
    reach = np.sqrt((core + (np.cumsum(area) - area / 2.0) / _FILL) / np.pi)
    angle = np.arange(len(area)) * GOLDEN_ANGLE
    large = min(int((area > _LARGE * area.sum()).sum()), 60)
    for row in range(large):
        for turn in range(400):
            distance = reach[row] * (1.0 + 0.05 * (turn // 20))
            reach_, angle_ = distance, angle[row] + turn * GOLDEN_ANGLE
            if (
                distance > radius[row] + np.sqrt(core / np.pi)
                and not _hits(
                    np.array([reach_]),
                    np.array([angle_]),
                    radius[row : row + 1],
                    reach[:row],
                    angle[:row],
                    radius[:row],
                ).any()
            ):
                reach[row], angle[row] = reach_, angle_
                break
    for _ in range(60):
        struck = large + np.flatnonzero(_hits(
            reach[large:], angle[large:], radius[large:], reach[:large], angle[:large], radius[:large]))  # fmt: skip
        if not len(struck):
            break
        angle[struck] += GOLDEN_ANGLE
        reach[struck] *= 1.005
    return reach * np.cos(angle), reach * np.sin(angle)


def _hits(reach, angle, radius, others_reach, others_angle, others_radius) -> np.ndarray:
    """Whether each circle overlaps one of the others."""
    gap = np.hypot(
        (reach * np.cos(angle))[:, None] - others_reach * np.cos(others_angle),
        (reach * np.sin(angle))[:, None] - others_reach * np.sin(others_angle),
    )
    return (gap < radius[:, None] + others_radius).any(axis=1)


def _pressed(radii: np.ndarray, passes: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Centres of discs that don't overlap, near the origin: pushed apart where they do, drawn together else."""
    order = np.arange(len(radii))
    x = np.cos(order * GOLDEN_ANGLE) * np.sqrt(order) * radii.mean() * 1.5
    y = np.sin(order * GOLDEN_ANGLE) * np.sqrt(order) * radii.mean() * 1.5
    wanted = (radii[:, None] + radii[None, :]) * 1.06
    for turn in range(passes):
        pull = 0.03 * (1.0 - turn / passes)
        x, y = x * (1.0 - pull), y * (1.0 - pull)
        dx, dy = x[:, None] - x[None, :], y[:, None] - y[None, :]
        gap = np.hypot(dx, dy)
        np.fill_diagonal(gap, np.inf)
        push = np.maximum(wanted - gap, 0.0) / np.maximum(gap, 1e-9) * 0.5
        x, y = x + (push * dx).sum(axis=1), y + (push * dy).sum(axis=1)
    return x, y
