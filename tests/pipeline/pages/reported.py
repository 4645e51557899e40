"""Reports of sweeps that never were."""

from __future__ import annotations

import io
import math
from pathlib import Path

from PIL import Image

from pipeline.pages.report_page import (
    Column,
    DataPart,
    PaperLine,
    PaperPart,
    RateMetric,
    RateRow,
    RateValue,
    SweepReport,
    Table,
)
from pipeline.pages.small_pictures import ROOM_FOR_LARGE, ROOM_FOR_THUMBNAILS, FigureFile, SmallPictures
from pipeline.pages.thinned import Curve
from tests.pipeline.pages.explored import EVIL

RATES = (0.004, 0.06, 0.2, 1.0)


def webp(size: int = 0) -> bytes:
    """A picture, as large as so many bytes."""
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(content, format="WEBP")
    return content.getvalue().ljust(size, b"\0")


def cell_names(count: int) -> list[str]:
    """The third one, if there is one, would be code if it were markup."""
    names = [f"{('ccvae', 'm2')[i % 2]}-digits-f{RATES[i % 4]:g}-seed{i // 8}-{i:08x}" for i in range(count)]
    return [f"{name}{EVIL}" if i == 2 else name for i, name in enumerate(names)]


def figures_of(names: list[str], each: int) -> SmallPictures:
    """Figures of cells, in the page as far as there is room."""
    files = [
        FigureFile(file=Path("none"), cell=name, name=f"figure {i}", href=f"./cell/figures/{i}.png", rank=i)
        for name in names
        for i in range(each)
    ]
    thumbnail, large = webp(4000), webp(90_000)
    thumbnails = [thumbnail if i < ROOM_FOR_THUMBNAILS // len(thumbnail) else None for i in range(len(files))]
    return SmallPictures(
        files, thumbnails, [large if i < ROOM_FOR_LARGE // len(large) else None for i in range(len(files))]
    )


def reported(
    count: int, *, metrics: int = 2, terms: int = 2, points: int = 40, figures: int = 2
) -> SweepReport:
    """A report of so many cells, each with so many numbers, curves and figures."""
    names = cell_names(count)
    columns = [Column(name="cell"), Column(name="state", kind="phase"), Column(name="why", kind="long")]
    columns += [
        Column(name="time", kind="seconds"),
        Column(name="explorer", kind="link"),
        *(Column(name=f"metric {i}", kind="number", first=i < 2) for i in range(metrics)),
    ]
    rows = [
        [name, "failed" if i == 1 else "done", "out of memory, 3 times" if i == 1 else "", 3600.0 * i]
        + ["./cell/explorer.html" if i == 0 else None]
        + [None if i == 1 else math.sin(i + j) for j in range(metrics)]
        for i, name in enumerate(names)
    ]
    epochs = [float(i) for i in range(1, points + 1)]
    curves = [
        Curve(
            cell=name,
            group=i % 2,
            epochs=epochs,
            terms={
                f"term {j}": [math.nan if x == 3 else -1000 / x + i + j for x in epochs] for j in range(terms)
            },
        )
        for i, name in enumerate(names)
    ]
    lines = [
        RateRow(data="digits", line=f"system {system}", number=system, rate=rate, epochs="3")
        for system in range(max(2, count // 40))
        for rate in RATES
    ]
    papers = [PaperLine(data="digits", name="ccvae, Joy et al. 2021", number=0, points=[(0.06, 0.9, 0.01)])]
    values = [
        RateValue(row=i, mean=0.5 + i / 100, sd=0.01, n=3, paper=0.9, difference=i / 100 - 0.4, source=EVIL)
        for i in range(len(lines))
    ]
    return SweepReport(
        title=EVIL,
        facts=[("cells", f"{count}")],
        notes=[EVIL],
        started=[("recipe", EVIL)],
        cells=Table(name="The table of cells", columns=columns, rows=rows),
        failures=Table(
            name="The table of failures", columns=columns[:3], rows=[row[:3] for row in rows[1:2]]
        ),
        rate_rows=lines,
        metrics=[
            RateMetric(name=f"metric {i}", about="share", values=values, papers=papers)
            for i in range(metrics)
        ],
        rate_notes=["a note"],
        papers=[
            PaperPart(
                title="Joy et al. 2021, table 6",
                tables=[Table(name="accuracy", columns=[Column(name="system")], rows=[["ccvae"]])],
                figures=[],
                href="./reports/report.md",
            )
        ],
        groups=["ccvae digits", f"m2 digits {EVIL}"],
        curves=curves,
        pictures=figures_of(names, figures),
        data=[
            DataPart(
                title="digits",
                facts=[("folder", EVIL)],
                sheet=webp(),
                labels=Table(name="The table of labels", columns=[Column(name="label")], rows=[[EVIL]]),
            )
        ],
        commands=[("all of it", "python launch/sweep.py --recipe fashion-mnist")],
    )
