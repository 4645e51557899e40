"""Small raw trees in the layouts of CelebA and CheXpert: a few drawn pictures, and lists that say what each shows."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.celeba_names import ATTRIBUTES

CELEBA_SIZE = (218, 178)
CHEXPERT_HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)


def jpeg(height: int, width: int, seed: int, mode: str = "RGB") -> bytes:
    """A JPEG file of some smooth colours."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
    file = BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()


def picture_name(number: int) -> str:
    return f"{number + 1:06d}.jpg"


def shown_attributes(rows: int, seed: int = 0) -> NDArray[np.bool_]:
    """Attributes (rows, 40), each shown by some and not by most."""
    return np.random.default_rng(seed).random((rows, len(ATTRIBUTES))) < 0.3


def partition_of(rows: int) -> NDArray[np.int64]:
    """Splits (rows,): seven tenths train, then valid and test."""
    return np.searchsorted([0.7, 0.85], np.arange(rows) / rows, side="right")


def attributes_text(shown: NDArray[np.bool_]) -> str:
    """The official form: the count, the names, then a row per picture, with two blanks before a 1."""
    rows = [
        f"{picture_name(i)} {' '.join(f'{1 if value else -1:2d}' for value in row)}"
        for i, row in enumerate(shown)
    ]
    return "\n".join([str(len(rows)), " ".join(ATTRIBUTES) + " ", *rows]) + "\n"


def attributes_csv(shown: NDArray[np.bool_]) -> str:
    rows = [
        f"{picture_name(i)},{','.join('1' if value else '-1' for value in row)}"
        for i, row in enumerate(shown)
    ]
    return "\n".join([",".join(["image_id", *ATTRIBUTES]), *rows]) + "\n"


def partition_text(partition: Sequence[int] | NDArray[np.int64]) -> str:
    return "".join(f"{picture_name(i)} {split}\n" for i, split in enumerate(partition))


def partition_csv(partition: Sequence[int] | NDArray[np.int64]) -> str:
    rows = "".join(f"{picture_name(i)},{split}\n" for i, split in enumerate(partition))
    return f"image_id,partition\n{rows}"


def write_celeba(
    folder: Path, rows: int = 40, *, archive: bool = False, csv: bool = False, nested: bool = False,
    size: tuple[int, int] = CELEBA_SIZE,
) -> Path:  # fmt: skip
    """CelebA's raw layout in a few pictures; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shown, partition, ending = shown_attributes(rows), partition_of(rows), "csv" if csv else "txt"
    attributes = attributes_csv(shown) if csv else attributes_text(shown)
    (folder / f"list_attr_celeba.{ending}").write_text(attributes)
    (folder / f"list_eval_partition.{ending}").write_text(
        (partition_csv if csv else partition_text)(partition)
    )
    contents = {picture_name(i): jpeg(*size, seed=i) for i in range(rows)}
    if archive:
        write_zip(folder / "img_align_celeba.zip", {f"img_align_celeba/{n}": c for n, c in contents.items()})
        return folder
    pictures = folder / "img_align_celeba" / ("img_align_celeba" if nested else "")
    pictures.mkdir(parents=True)
    for name, content in contents.items():
        (pictures / name).write_bytes(content)
    return folder


def write_kaggle_archive(path: Path, rows: int = 40) -> Path:
    """CelebA as one archive, as Kaggle distributes it: the pictures two folders deep and the lists as CSV."""
    shown = shown_attributes(rows)
    contents = {
        f"img_align_celeba/img_align_celeba/{picture_name(i)}": jpeg(*CELEBA_SIZE, seed=i)
        for i in range(rows)
    }
    contents |= {
        "list_attr_celeba.csv": attributes_csv(shown).encode(),
        "list_bbox_celeba.csv": b"image_id,x_1,y_1,width,height\n",
        "list_eval_partition.csv": partition_csv(partition_of(rows)).encode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_zip(path, contents, zipfile.ZIP_DEFLATED)
    return path


def write_zip(path: Path, contents: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def chexpert_row(name: str, values: Sequence[str], view: str = "Frontal") -> str:
    """A line of CheXpert's list; ``values`` are those of the five labels."""
    cardiomegaly, edema, consolidation, atelectasis, effusion = values
    found = ["", "", cardiomegaly, "", "", edema, consolidation, "", atelectasis, "", effusion, "", "", "1.0"]
    return ",".join(
        [f"CheXpert-v1.0-small/{name}", "Female", "68", view, "AP" if view == "Frontal" else "", *found]
    )


def write_chexpert(folder: Path, patients: int = 40, *, inside: str = "CheXpert-v1.0-small") -> Path:
    """CheXpert's raw layout in a few pictures: each patient has a frontal one, every third a lateral one too."""
    root, generator = folder / inside, np.random.default_rng(0)
    for part, first, count in (("train", 1, patients), ("valid", 60001, 5)):
        lines = [CHEXPERT_HEADER]
        for patient in range(first, first + count):
            for number, view in enumerate(("Frontal", "Lateral") if patient % 3 == 0 else ("Frontal",), 1):
                name = f"{part}/patient{patient:05d}/study1/view{number}_{view.lower()}.jpg"
                possible = ("1.0", "0.0", "-1.0", "") if part == "train" else ("1.0", "0.0")
                lines.append(chexpert_row(name, [str(v) for v in generator.choice(possible, 5)], view))
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(jpeg(80, 70, seed=patient * 2 + number, mode="L"))
        (root / f"{part}.csv").write_text("\n".join(lines) + "\n")
    return folder
