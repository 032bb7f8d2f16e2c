"""The demo's own pictures, drawn with Pillow, so that the repository holds no image."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from math import sin

from PIL import Image, ImageDraw

_SMOOTHING = 2  # drawn larger and scaled down, since ImageDraw has no smooth edges


class Canvas:
    """A picture on a gradient. Coordinates are those of the finished one."""

    def __init__(self, width: int, height: int, top: str, bottom: str) -> None:
        self._size = width, height
        self._image = Image.linear_gradient("L").resize((width * _SMOOTHING, height * _SMOOTHING))
        ends = (Image.new("RGB", self._image.size, colour) for colour in (bottom, top))
        self._image = Image.composite(*ends, self._image)
        self._draw = ImageDraw.Draw(self._image)

    def shape(self, colour: str, *points: tuple[float, float]) -> None:
        self._draw.polygon([(x * _SMOOTHING, y * _SMOOTHING) for x, y in points], fill=colour)

    def box(self, colour: str, left: float, top: float, right: float, bottom: float) -> None:
        self.shape(colour, (left, top), (right, top), (right, bottom), (left, bottom))

    def disc(self, colour: str, x: float, y: float, radius: float) -> None:
        corners = (x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse([value * _SMOOTHING for value in corners], fill=colour)

    def ground(self, colour: str, edge: Callable[[float], float]) -> None:
        """Fill what is below the edge."""
        width, height = self._size
        self.shape(colour, *((x, edge(x)) for x in range(0, width + 4, 4)), (width, height), (0, height))

    def encoded(self, format: str) -> bytes:
        target = BytesIO()
        self._image.resize(self._size, Image.Resampling.LANCZOS).save(target, format, quality=88)
        return target.getvalue()


def lighthouse() -> bytes:
    """Return a lighthouse at sunset, as JPEG."""
    canvas = Canvas(1200, 800, "#35507f", "#ffb27a")
    canvas.disc("#ffc998", 800, 530, 150)
    canvas.disc("#ffe9c4", 800, 530, 105)
    canvas.ground("#3f6d8e", lambda x: 548 + 5 * sin(x / 45))
    canvas.shape("#fbf3e6", (560, 530), (645, 530), (604, 395))
    canvas.shape("#e8d5bd", (597, 395), (597, 530), (545, 530))
    canvas.shape("#24384f", (530, 538), (665, 538), (640, 566), (552, 566))
    canvas.ground("#2f5a7c", lambda x: 592 + 8 * sin(x / 60 + 2))
    canvas.ground("#234a6b", lambda x: 652 + 11 * sin(x / 85 + 4))
    canvas.shape("#ffdfa3", (284, 255), (0, 150), (0, 300))
    canvas.shape("#f6eee3", (236, 300), (314, 300), (334, 600), (216, 600))
    for top in (340, 440, 540):
        canvas.shape(
            "#c8443a",
            (236 - (top - 300) / 15, top),
            (314 + (top - 300) / 15, top),
            (314 + (top - 250) / 15, top + 50),
            (236 - (top - 250) / 15, top + 50),
        )
    canvas.box("#1b2b40", 222, 288, 328, 302)
    canvas.box("#ffe9a8", 248, 236, 302, 288)
    canvas.shape("#c8443a", (238, 238), (312, 238), (275, 196))
    canvas.ground("#1b2b40", lambda x: 546 + x * x / 2600 + 6 * sin(x / 22) if x < 700 else 800)
    canvas.ground("#173653", lambda x: 722 + 14 * sin(x / 110 + 1))
    return canvas.encoded("JPEG")


def apple_trees() -> bytes:
    """Return an orchard in the morning, as JPEG."""
    canvas = Canvas(1200, 800, "#7fbfe0", "#fdf3cf")
    canvas.disc("#fff6d6", 920, 210, 95)
    canvas.ground("#a9c9a0", lambda x: 420 + 45 * sin(x / 190 + 1))
    canvas.ground("#86b277", lambda x: 480 + 40 * sin(x / 230 + 4))
    canvas.ground("#66994f", lambda x: 560 + 25 * sin(x / 260 + 2.2))
    for x, y, size in ((190, 610, 0.75), (480, 590, 0.7), (800, 575, 0.7), (1080, 600, 0.75)):
        _tree(canvas, x, y, size)
    canvas.ground("#4f8240", lambda x: 660 + 16 * sin(x / 300))
    for x, y, size in ((60, 740, 1.25), (390, 745, 1.2), (700, 750, 1.25), (1020, 745, 1.3)):
        _tree(canvas, x, y, size)
    canvas.ground("#3f6d35", lambda x: 752 + 9 * sin(x / 140 + 3))
    return canvas.encoded("JPEG")


def _tree(canvas: Canvas, x: float, y: float, size: float) -> None:
    canvas.box("#6b4a32", x - 9 * size, y - 90 * size, x + 9 * size, y + 20 * size)
    for colour, dx, dy, radius in (
        ("#35602d", -42, -118, 52), ("#35602d", 42, -118, 52), ("#3f7034", 0, -160, 62),
        ("#4b803d", -14, -172, 40),
    ):  # fmt: skip
        canvas.disc(colour, x + dx * size, y + dy * size, radius * size)
    for dx, dy in ((-60, -110), (-25, -150), (20, -112), (58, -125), (28, -180), (-20, -98)):
        canvas.disc("#d64534", x + dx * size, y + dy * size, 8 * size)


def sail() -> bytes:
    """Return a harbour's emblem, as PNG."""
    canvas = Canvas(144, 144, "#2f6b94", "#1c4767")
    canvas.shape("#ffffff", (76, 24), (76, 92), (122, 92))
    canvas.shape("#f2b179", (66, 40), (66, 92), (30, 92))
    canvas.shape("#ffffff", (24, 102), (120, 102), (102, 122), (42, 122))
    return canvas.encoded("PNG")


def apple() -> bytes:
    """Return an orchard's emblem, as PNG."""
    canvas = Canvas(144, 144, "#6f9f3f", "#456f24")
    canvas.disc("#ffffff", 56, 84, 32)
    canvas.disc("#ffffff", 88, 84, 32)
    canvas.disc("#ffffff", 63, 96, 27)
    canvas.disc("#ffffff", 81, 96, 27)
    canvas.shape("#e9f3c8", (72, 54), (78, 30), (104, 22), (98, 46))
    return canvas.encoded("PNG")
