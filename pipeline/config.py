"""What a run is: frozen dataclasses, one per concern, that command line, recipes and ``config.json`` share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipeline import validation
from pipeline.cells.record import RunRecord
from pipeline.identity import identifying
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.registry import ModelConfig
from pipeline.own_source import identity_of, is_own

AUTO_WAS_AN_MLP = ("tfd", "affectnet")
"""Data sets for which ``network=auto`` was an MLP before there were convolutions of their sizes: a cell from then is another
one, and convolutions count as the same whether ``auto`` chose them or not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig(RunRecord):
    """One complete run."""

    model: ModelConfig = field(default_factory=CCVAEConfig)


def identity(config: RunConfig, data_digest: str) -> str:
    """Eight hex characters that identify the run: a hash of everything that decides its training (``pipeline.identity``).

    A network of the user's counts by its source, wherever it is.
    """
    config = replace(config, data=replace(config.data, label_seed=_label_seed_of_its_own(config)))
    said, network = identifying(config), network_of(config)
    if is_own(network):
        said["model"]["network"] = identity_of(network)
    elif network == "auto" and config.data.name in AUTO_WAS_AN_MLP:
        said["model"]["network"] = "convolutional"
    text = json.dumps({"config": said, "data": data_digest}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def network_of(config: RunConfig) -> str:
    """The networks that the run names; empty if its system has one of its own."""
    return getattr(config.model, "network", "")


def readable_name(config: RunConfig) -> str:
    """The human-readable name of a run: ``ccvae-fashion_mnist-f0.06-seed0``, with a schedule ``…-f0.9-0.5-0.1-…``.

    A label seed that is not the run's own comes last: ``…-seed1-labels0``.
    """
    data = config.data
    rates = "-".join(f"{rate:g}" for rate in data.supervision_rates)
    rule = "-one_per_class" if data.one_per_class else ""
    label_seed = _label_seed_of_its_own(config)
    labels = "" if label_seed is None else f"-labels{label_seed}"
    return f"{config.model.system}-{data.name}-f{rates}{rule}-seed{config.seed}{labels}"


def _label_seed_of_its_own(config: RunConfig) -> int | None:
    """The label seed if it distinguishes the run from that of the seed alone."""
    return None if config.label_seed == config.seed else config.label_seed


def flat(config: RunConfig) -> dict[str, Any]:
    """Every field under its dotted name, ``{"data.name": ..., "model.system": ...}``; the label seed is the one used."""

    def walk(section: dict[str, Any], prefix: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in section.items():
            found |= (
                walk(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
            )
        return found

    return walk(asdict(config), "") | {"data.label_seed": config.label_seed}


def to_json(config: RunConfig) -> str:
    """The text of ``config.json``."""
    return json.dumps(asdict(config), indent=2) + "\n"


def from_json(text: str | bytes, origin: str = "config.json") -> RunConfig:
    """Read ``config.json`` back; ConfigError names the origin and the unknown or invalid field."""
    return validation.from_json(RunConfig, text, origin)
