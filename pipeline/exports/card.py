"""The model card of an export, ``README.md``: what the model is, of what data, how good it is, and what it is not for."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from data_prep.counted import counted
from data_prep.files import atomic_write
from data_prep.sources.passing_on import OPEN, not_for
from pipeline.config import flat
from pipeline.exports.record import CODE_FOLDER, DataRecord, ExportRecord, NumberRecord
from pipeline.models.nearest_preset import nearest_preset
from pipeline.models.registry import PRESETS

CARD_FILE = "README.md"
FIGURES_FOLDER = "figures"
WITHOUT_PICTURES = (
    "conditional_generations", "latent_histogram", "latent_separation", "log_probability_changes", "probability_changes",
    "swap_differences",
)  # fmt: skip
"""Beginnings of the names of figures in which no picture of the data set is shown or redrawn."""


def copy_figures(source: Path, folder: Path, record: ExportRecord, *, all_of_them: bool) -> list[Path]:
    """Copy a cell's figures into an export; returns those copied.

    Without ``all_of_them`` those that show pictures of the data are left out if the data may not be passed on freely.
    """
    found = sorted(source.glob("*.png"))
    chosen = [
        figure
        for figure in found
        if all_of_them or record.data.name in OPEN or figure.name.startswith(WITHOUT_PICTURES)
    ]
    if chosen:
        (folder / FIGURES_FOLDER).mkdir()
    return [Path(shutil.copyfile(figure, folder / FIGURES_FOLDER / figure.name)) for figure in chosen]


def write_card(folder: Path, record: ExportRecord, figures: Sequence[Path], left_out: int) -> None:
    """Write the card next to the model; ``left_out``: number of figures that are not shown for the data's licence."""
    with atomic_write(folder / CARD_FILE) as file:
        file.write(card(record, [figure.name for figure in figures], left_out).encode())


def card(record: ExportRecord, figures: Sequence[str], left_out: int) -> str:
    """The text of the card, Markdown."""
    parts = [
        f"# {record.name}",
        _about(record),
        "## Opening it",
        _opening(record),
        "## Data",
        _data(record.data),
        "## Training",
        _training(record),
        "## Measures",
        _measures(record.measured),
        "## What it must not be used for",
        "\n".join(f"- Not {use}." for use in not_for(record.data.name)),
    ]
    if figures or left_out:
        parts += ["## Figures", *(f"![{Path(name).stem}]({FIGURES_FOLDER}/{name})" for name in figures)]
    if left_out:
        parts.append(
            f"Left out: {counted(left_out, 'figure')} with pictures of the data, which their licence may forbid to pass on."
        )
    return "\n\n".join(parts) + "\n"


def _about(record: ExportRecord) -> str:
    preset = nearest_preset(flat(record.run))
    said = record.run.model.system if preset is None else PRESETS[preset.name].describes
    images = " x ".join(map(str, record.spec.image_shape))
    return (
        f"{said[0].upper()}{said[1:]}. Trained with traitvae on {record.data.title}; images are {images} (channels, height,"
        " width)."
    )


def _opening(record: ExportRecord) -> str:
    trusted = ", trust_code=True" if any(name.startswith(CODE_FOLDER) for name in record.files) else ""
    code = (
        f"\n\nThe network is somebody's own: its code is in `{CODE_FOLDER}/` and is run, so read it first."
        if trusted
        else ""
    )
    shape = ", ".join(map(str, record.spec.image_shape))
    return (
        "```python\nimport traitvae\n\n"
        f'model = traitvae.load("."{trusted})  # this folder\n'
        f"pictures = model.reconstruct(images)  # uint8, (images, {shape})\n```{code}"
    )


def _data(data: DataRecord) -> str:
    home = f" ({data.home})" if data.home else ""
    rows = ", ".join(f"{name} {count:,}" for name, count in data.rows.items())
    options = ", ".join(f"{name}={value}" for name, value in data.options.items()) or "none"
    labels = "\n".join(f"| {label.name} | {', '.join(label.values)} |" for label in data.labels)
    return (
        f"{data.title}{home}.\n\n- Licence of the data: {data.licence}.\n- Rows: {rows}.\n- Options: {options}.\n"
        f"- Digest of the prepared data set: `{data.digest}`.\n\n| label | values |\n| --- | --- |\n{labels}"
    )


def _training(record: ExportRecord) -> str:
    run = record.run
    rates = ", then ".join(f"{rate:g}" for rate in run.data.supervision_rates)
    one = " and one example of each class" if run.data.one_per_class else ""
    made = ", ".join(f"{name} {number}" for name, number in record.versions.items())
    return (
        f"- System `{run.model.system}`; all settings are in `model.json`.\n"
        f"- Labels were used of {rates} of the training examples (share){one}.\n"
        f"- {counted(run.training.epochs, 'epoch')}, {counted(record.steps, 'step')}, seed {run.seed}.\n"
        f"- Made with {made}."
    )


def _measures(measured: Sequence[NumberRecord]) -> str:
    if not measured:
        return "It was not measured before it was exported."
    rows = [
        f"| {each.split} | {_named(each)} | {_number(each.value)} | {each.unit} | {each.better} | {_count(each.count)} |"
        for each in measured
    ]
    head = "| split | metric | value | unit | better | n |\n| --- | --- | --: | --- | --- | --: |"
    return "\n".join([head, *rows])


def _named(measured: NumberRecord) -> str:
    """The metric, with those settings of its measure that are not the defaults."""
    settings = (f", {name}={value}" for name, value in sorted(measured.settings.items()))
    return measured.metric + "".join(settings)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
