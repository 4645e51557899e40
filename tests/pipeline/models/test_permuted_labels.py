"""Labels in another order, their parameters likewise: the same results, for every system whose labels are alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.data.batch import Batch
from pipeline.models.capabilities import Classifies, Intervenes
from pipeline.models.diva_original import DivaOriginal
from pipeline.models.interface import DataSpec
from pipeline.models.m3 import CANDIDATES
from pipeline.models.parts.characteristic_vae import CharacteristicVAE
from tests.pipeline.models.every_system import CASES, Case, batch_of, narrow, ready, take_noise_out
from tests.pipeline.models.injected_draws import noise

ORDERS = {"radiographs": [3, 0, 4, 1, 2], "mixed": [2, 0, 1]}
"""Label j of the data in another order is label ORDERS[j]."""
AROUND_THE_DOMAIN = {"radiographs": [3, 1, 4, 0, 2], "mixed": [2, 1, 0]}
"""The same for ``diva_original``, whose label 1 is the domain."""
NOT_HERE = {
    "m2": "tests/pipeline/models/test_m2_labels.py permutes them",
    **dict.fromkeys(("vae", "beta_vae", "beta_tcvae", "dip_vae_i", "dip_vae_ii"), "it sees no labels"),
    **dict.fromkeys(("rb_vae", "srb_vae", "svae", "mathieu"), "it sees no labels"),
}
OF_ATTRIBUTES: dict[str, dict[str, tuple[str, int, int]]] = {
    "cond_vae": {
        "decoder.0.weight": ("attributes", 1, 1),
        "conditioned_encoder.weight": ("attributes", 1, 1),
    },
    "cond_vae_info": {
        "decoder.0.weight": ("attributes", 1, 1),
        "adversary.network.4.weight": ("values", 0, 1),
        "adversary.network.4.bias": ("values", 0, 1),
    },
    "mvae": {
        "label_encoder.0.weight": ("values", 1, 1),
        "label_decoder.4.weight": ("values", 0, 1),
        "label_decoder.4.bias": ("values", 0, 1),
    },
    "label_reader": {"head.weight": ("values", 0, 1), "head.bias": ("values", 0, 1)},
    "csvae": {
        "decoder.0.weight": ("subspaces", 1, 1),
        "subspace_encoder.weight": ("attributes", 1, 1),
        "subspace_encoder.rest.1.0.weight": ("subspaces", 0, 2),
        "subspace_encoder.rest.1.0.bias": ("subspaces", 0, 2),
        "adversary.network.4.weight": ("values", 0, 1),
        "adversary.network.4.bias": ("values", 0, 1),
    },
}
"""Of systems without latents of a label: what an axis of a parameter holds at its end label by label, which axis that
is, and how many such rows it holds."""
PERMUTED = [case for case in CASES if case.data in ORDERS and case.system not in NOT_HERE]


def in_order(data: DataSpec, order: list[int]) -> DataSpec:
    return DataSpec(
        image_shape=data.image_shape,
        cardinalities=tuple(data.cardinalities[label] for label in order),
        label_frequencies=tuple(data.label_frequencies[label] for label in order),
        partly_observed=data.partly_observed,
        neutral_values=tuple(data.neutral_values[label] for label in order) if data.neutral_values else (),
    )


def in_blocks(sizes: list[int], order: list[int]) -> list[int]:
    """Old places of what labels own, side by side, in the new order."""
    starts = [sum(sizes[:label]) for label in range(len(sizes))]
    return [
        start + place for start, size in ((starts[old], sizes[old]) for old in order) for place in range(size)
    ]


def permuted_attributes(case: Case, model: nn.Module, order: list[int]) -> dict[str, Tensor]:
    """The parameters of a model that knows labels as attributes for one whose labels are in another order."""
    values = list(case.shape.cardinalities)
    attributes = [count - (case.shape.absent_value(label) is not None) for label, count in enumerate(values)]
    places = {
        "values": in_blocks(values, order),
        "attributes": in_blocks(attributes, order),
        "subspaces": in_blocks([2 * count for count in attributes], order),
    }
    found: dict[str, Tensor] = dict(model.named_parameters())
    for name, (what, axis, rows) in OF_ATTRIBUTES[case.system].items():
        own, size = torch.tensor(places[what]), found[name].shape[axis] // rows
        one_row = torch.cat([torch.arange(size - len(own)), size - len(own) + own])
        index = torch.cat([row * size + one_row for row in range(rows)])
        found[name] = found[name].index_select(axis, index)
    return found


def permuted_latents(
    model: CharacteristicVAE, other: CharacteristicVAE, order: list[int]
) -> dict[str, Tensor]:
    """The parameters of a model whose labels have latents for one whose labels are in another order."""
    latents = model.layout.latents
    places = list(range(model.decoder[0].in_features))  # type: ignore[index]
    for label, old in enumerate(order):
        of_old = model.layout.latents_of(old)
        places[other.layout.latents_of(label)] = range(of_old.start, of_old.stop)
    assert sorted(places) == list(range(len(places)))
    assert places[latents:] == list(range(latents, len(places)))
    found: dict[str, Tensor] = dict(model.named_parameters())
    for number, block in enumerate(other.layout.blocks):
        old_numbers, old_places = zip(
            *(model.layout.block_of(order[label]) for label in block.labels), strict=True
        )
        for part in ("classifier", "conditional_prior"):
            for name, value in model.named_parameters():
                prefix = f"{part}.blocks.{old_numbers[0]}."
                if name.startswith(prefix):
                    own = name.removeprefix(prefix)
                    found[f"{part}.blocks.{number}.{own}"] = (
                        value[list(old_places)] if block.is_diagonal else value
                    )
    encoder, own_places = "encoder", places
    if isinstance(model, DivaOriginal):
        # Another encoder has the domain, whose latents follow those of all other labels here.
        encoder, own_places = "encoder.of_labels", places[: model.domain.start]
    last = max(int(name.split(".")[-2]) for name in found if name.startswith(f"{encoder}."))
    both = torch.tensor([*own_places, *(len(own_places) + place for place in own_places)])
    for name in (f"{encoder}.{last}.weight", f"{encoder}.{last}.bias"):
        found[name] = found[name][both]
    found["decoder.0.weight"] = found["decoder.0.weight"][:, places]
    return found


@pytest.mark.parametrize("case", PERMUTED, ids=str)
@torch.no_grad()
def test_permuted_labels_permute_objective_and_results(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    take_noise_out(monkeypatch.setattr)
    monkeypatch.setattr(torch, "randn", zeros_but_for_candidates)
    order = (AROUND_THE_DOMAIN if case.system == "diva_original" else ORDERS)[case.data]
    # Which label is changed for consistency is drawn by its place: all are, to those of another row.
    options: dict[str, Any] = {"network": "mlp", "hidden_width": 32, "consistency_change": "another_row"}
    model: Any = case.build(**options)
    spread(model)
    other: Any = ready(narrow(case.preset, **options).build(in_order(case.shape, order)), case.shape)
    has_latents = isinstance(model, CharacteristicVAE)
    weights = (
        permuted_latents(model, other, order) if has_latents else permuted_attributes(case, model, order)
    )
    assert not other.load_state_dict(weights, strict=False).unexpected_keys
    batch = batch_of(case.shape, 2)
    reordered = Batch(
        image=batch.image,
        labels=batch.labels[:, order],
        observed=batch.observed[:, order],
        labelled=batch.labelled,
    )
    expected, found = model(batch), other(reordered)
    torch.testing.assert_close(found.objective, expected.objective, rtol=1e-5, atol=1e-4)
    for label, old in enumerate(order):
        if isinstance(model, Classifies):
            torch.testing.assert_close(other.classify(batch.image)[label], model.classify(batch.image)[old])
        if isinstance(model, Intervenes):
            values = batch.labels[:, old]
            pictures = model.intervene(batch.image, old, values)
            torch.testing.assert_close(other.intervene(batch.image, label, values), pictures)
            others = (values + 1) % case.shape.cardinalities[old]
            assert (model.intervene(batch.image, old, others) - pictures).abs().amax() > 1e-4
    assert (other(batch_with_wrong_labels(reordered)).objective - expected.objective)[:2].abs().max() > 1e-4


def zeros_but_for_candidates(*shape: int, **_: Any) -> Tensor:
    """No noise, except that what M3 chooses from is the same spread for every label of a size."""
    return noise(*shape, seed=0).float() if shape[0] == CANDIDATES else torch.zeros(*shape)


def spread(model: nn.Module) -> None:
    """Make labels differ: at the start all classifiers and tables of priors are alike."""
    for index, (name, parameter) in enumerate(model.named_parameters()):
        if "blocks" in name:
            parameter.add_(0.5 * noise(*parameter.shape, seed=index))


def batch_with_wrong_labels(batch: Batch) -> Batch:
    """The same with each label's values reversed, so that tests fail if they are ignored."""
    return Batch(
        image=batch.image,
        labels=(batch.labels == 0).to(torch.uint8),
        observed=batch.observed,
        labelled=batch.labelled,
    )
