"""A small raw tree in AffectNet's layout: dark pictures with a bright spot at each landmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)
PER_EXPRESSION, REFERENCES = 8, 6


def template() -> NDArray[np.float64]:
    """68 points (x, y) like those of a face 100 wide: jaw, brows, nose, eyes, mouth, in the usual order."""
    jaw = np.linspace(np.pi, 0, 17)
    parts = [np.stack([50 + 50 * np.cos(jaw), 35 + 65 * np.sin(jaw)], axis=1)]
    parts += [np.stack([np.linspace(left, left + 30, 5), [10.0, 6, 5, 6, 10]], axis=1) for left in (12, 58)]
    parts.append(np.stack([np.full(4, 50.0), np.linspace(22, 46, 4)], axis=1))
    parts.append(np.stack([np.linspace(40, 60, 5), [50.0, 52, 53, 52, 50]], axis=1))
    for centre in (28, 72):
        turn = np.linspace(np.pi, 3 * np.pi, 7)[:-1]
        parts.append(np.stack([centre + 9 * np.cos(turn), 24 + 4 * np.sin(turn)], axis=1))
    for width, height, count in ((20, 9, 12), (14, 3, 8)):
        turn = np.linspace(np.pi, 3 * np.pi, count + 1)[:-1]
        parts.append(np.stack([50 + width * np.cos(turn), 72 + height * np.sin(turn)], axis=1))
    return np.concatenate(parts)


def posed(seed: int) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Landmarks (68, 2) of a face of some size, angle and place, and (width, height) of a picture around it."""
    generator = np.random.default_rng(seed)
    angle, scale = generator.normal(0, 0.2), generator.uniform(0.8, 3)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (template() - 50) @ turn.T + generator.normal(0, 0.4 * scale, (68, 2))
    points += generator.uniform(10, 60, 2) - points.min(axis=0)
    width, height = (int(v) for v in points.max(axis=0) + generator.uniform(10, 60, 2))
    return points.round(2), (width, height)


def picture(points: NDArray[np.float64], size: tuple[int, int]) -> Image.Image:
    """A grey picture with a bright spot at each landmark."""
    image = Image.new("RGB", size, (40, 40, 20))
    draw, radius = ImageDraw.Draw(image), np.ptp(points[:, 0]) / 60
    for x, y in points:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(250, 250, 125))
    return image


def line(name: str, points: NDArray[np.float64], expression: int) -> str:
    return f"{name},10,10,80,80,{';'.join(f'{v:.2f}' for v in points.reshape(-1))},{expression},-0.1,0.2"


def write_affectnet(folder: Path) -> Path:
    """Eight faces of each expression, some rows without one, and six reference faces; returns ``folder``."""
    rows = [HEADER]
    for number in range(8 * PER_EXPRESSION):
        points, size = posed(number)
        suffix = (".jpg", ".png", ".bmp", ".JPG")[number % 4]
        name = f"{number % 3}/face{number:03d}{suffix}"
        path = folder / "Manually_Annotated_Images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(points, size).save(path)
        rows.append(line(name, points, number % 8))
    rows += [f"4/none{number}.jpg,NULL,NULL,NULL,NULL,NULL,{8 + number % 3},-2,-2" for number in range(5)]
    (folder / "Manually_Annotated_file_lists").mkdir()
    (folder / "Manually_Annotated_file_lists" / "training.csv").write_text("\n".join(rows) + "\n")
    references = ["subDirectory_filePath,facial_landmarks"]
    (folder / "neutral").mkdir()
    for number in range(REFERENCES):
        points, size = posed(1000 + number)
        picture(points, size).save(folder / "neutral" / f"{number}.jpg")
        references.append(f"{number}.jpg,{';'.join(f'{v:.2f}' for v in points.reshape(-1))}")
    (folder / "neutral" / "landmarks.csv").write_text("\r\n".join(references))
    return folder
