"""What systems compute of a picture and of a code as lists of layers: to encode, to decode, and to read labels.

Which programs belong to a system is decided by the methods that it has, exactly: one that overrides ``encode`` with a
function that is not listed here has no page, instead of a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pipeline.models.cond_vae import AttributeDecoderVAE, CondVAE
from pipeline.models.csvae import CSVAE
from pipeline.models.diva_original import SeparateEncoders
from pipeline.models.m2 import M2
from pipeline.models.mathieu import Mathieu
from pipeline.models.mvae import MVAE
from pipeline.models.parts.characteristic_vae import CharacteristicVAE
from pipeline.models.parts.image_vae import ImageVAE
from pipeline.models.parts.label_classifier import DiagonalClassifier
from pipeline.models.rb_vae import ReferenceVAE
from pipeline.networks.layers import SMALLEST_SCALE
from pipeline.pages.networks_as_layers import NotInPages, add_conditioned, add_network, weights_of
from pipeline.pages.program import Program, Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """What a page computes with a system."""

    encode: Program
    """``pixels`` in [0, 1], and ``condition`` if known labels are part of it, to the code."""
    decode: Program
    """``code`` to pixels in [0, 1]."""
    read: Program | None
    """``code``, or ``pixels`` if labels are read in the picture, to ``log q(y_i)`` of all values, label by label."""
    label_posterior: Program | None
    """``condition`` to mean and scale of the code given labels alone, of a system whose labels have no place in it."""


def programs_of(model: nn.Module, pixels: int, cardinalities: tuple[int, ...]) -> Programs:
    """The programs of a model in evaluation mode, for images of so many values.

    Raises:
        NotInPages: a page cannot run the system, or a layer of its networks.
    """
    with torch.no_grad():
        encode, decode, read = Program(), Program(), Program()
        _chosen(ENCODED, model)(model, encode, pixels)
        assert encode.output is not None
        code = encode.output.size
        _chosen(DECODED, model)(model, decode, code)
        reads = [translate for methods, translate in READ if _has(model, methods)]
        for translate in reads[:1]:
            translate(model, read, pixels, code, list(cardinalities))
        label_posterior = _label_posterior(model) if isinstance(model, MVAE) else None
        return Programs(
            encode=encode, decode=decode, read=read if reads else None, label_posterior=label_posterior
        )


Methods = tuple[tuple[type, str], ...]


def _has(model: nn.Module, methods: Methods) -> bool:
    """Whether the methods of a model are these, and not overridden ones."""
    return all(getattr(type(model), name, None) is getattr(owner, name) for owner, name in methods)


def _chosen(table: tuple[tuple[Methods, Callable[..., None]], ...], model: nn.Module) -> Callable[..., None]:
    for methods, translate in table:
        if _has(model, methods):
            return translate
    raise NotInPages(f"a page cannot run the system {type(model).__name__}")


# encode


def _mean(program: Program, parameters: Value) -> Value:
    """The first half of means and scales."""
    return program.part(parameters, 0, parameters.size // 2)


def _encode_posterior(model: Any, program: Program, pixels: int) -> None:
    image = program.takes("pixels", pixels)
    if not isinstance(model.encoder, SeparateEncoders):
        _mean(program, add_network(program, model.encoder, image))
        return
    encoders, domain = model.encoder, model.encoder.domain
    of_labels = _mean(program, add_network(program, encoders.of_labels, image))
    of_domain = _mean(program, add_network(program, encoders.of_domain, image))
    before = program.part(of_labels, 0, domain.start)
    after = program.part(of_labels, domain.start, of_labels.size)
    style = (
        [] if encoders.of_style is None else [_mean(program, add_network(program, encoders.of_style, image))]
    )
    program.concatenate(before, of_domain, after, *style)


def _encode_targets(model: Any, program: Program, pixels: int) -> None:
    image = program.takes("pixels", pixels)
    target = _mean(program, add_network(program, model.target_encoder, image))
    program.concatenate(target, _mean(program, add_network(program, model.encoder, image)))


def _encode_mathieu(model: Any, program: Program, pixels: int) -> None:
    image = program.takes("pixels", pixels)
    target = add_network(program, model.target_encoder, image)
    program.concatenate(target, _mean(program, add_network(program, model.encoder, image)))


def _encode_m2(model: Any, program: Program, pixels: int) -> None:
    image = program.takes("pixels", pixels)
    logits = add_network(program, model.classifier, image)
    label = program.add(
        "most_probable", [logits], (model.codes.width,), sizes=list(model.codes.cardinalities)
    )
    features = add_network(program, model.features, image)
    program.concatenate(label, _mean(program, add_conditioned(program, model.encoder, features, label)))


def _encode_mvae(model: Any, program: Program, pixels: int) -> None:
    image, condition = program.takes("pixels", pixels), program.takes("condition", model.codes.width)
    parameters = add_network(program, model.encoder, image)
    size = (parameters.size // 2,)
    raw_scale = program.part(parameters, size[0], parameters.size)
    scale = program.add("softplus", [raw_scale], size, least=SMALLEST_SCALE)
    precision = program.add("power", [scale], size, exponent=-2.0)
    weighted = program.add("multiply", [precision, program.part(parameters, 0, size[0])], size)
    of_labels, weighted_of_labels = _label_experts(model, program, condition)
    precision = program.add("add", [precision, of_labels], size)
    weighted = program.add("add", [weighted, weighted_of_labels], size)
    with_prior = program.add("affine", [precision], size, scale=1.0, shift=1.0)
    program.add("multiply", [weighted, program.add("power", [with_prior], size, exponent=-1.0)], size)


def _label_experts(model: MVAE, program: Program, condition: Value) -> tuple[Value, Value]:
    """Precision and precision times mean of the product of the labels' experts."""
    every = torch.eye(model.codes.width, device=next(model.parameters()).device)
    table = model.label_experts(every)
    size = (table.precision.shape[1],)
    precision, weighted = (
        program.add("linear", [condition], size, weights_of(weight=of.T))
        for of in (table.precision, table.weighted_mean)
    )
    return precision, weighted


def _label_posterior(model: MVAE) -> Program:
    program = Program()
    precision, weighted = _label_experts(model, program, program.takes("condition", model.codes.width))
    size = precision.shape
    with_prior = program.add("affine", [precision], size, scale=1.0, shift=1.0)
    variance = program.add("power", [with_prior], size, exponent=-1.0)
    mean = program.add("multiply", [weighted, variance], size)
    program.concatenate(mean, program.add("power", [variance], size, exponent=0.5))
    return program


def _encode_csvae(model: Any, program: Program, pixels: int) -> None:
    image, attributes = program.takes("pixels", pixels), program.takes("condition", model.attributes.count)
    both = add_network(program, model.encoder, image)
    latents = model.config.latent_size
    z = program.part(both, 0, latents)
    features = program.part(both, 2 * latents, both.size)
    features = program.add("relu", [features], features.shape)
    w = _mean(program, add_conditioned(program, model.subspace_encoder, features, attributes))
    program.concatenate(w, z)


def _encode_cond_vae(model: Any, program: Program, pixels: int) -> None:
    image, attributes = program.takes("pixels", pixels), program.takes("condition", model.attributes.count)
    features = add_network(program, model.encoder, image)
    features = program.add("relu", [features], features.shape)
    z = _mean(program, add_conditioned(program, model.conditioned_encoder, features, attributes))
    program.concatenate(attributes, z)


def _encode_attributes(model: Any, program: Program, pixels: int) -> None:
    image, attributes = program.takes("pixels", pixels), program.takes("condition", model.attributes.count)
    program.concatenate(attributes, _mean(program, add_network(program, model.encoder, image)))


ENCODED: tuple[tuple[Methods, Callable[..., None]], ...] = (
    (((ImageVAE, "encode"), (ImageVAE, "posterior")), _encode_posterior),
    (((ImageVAE, "encode"), (ReferenceVAE, "posterior")), _encode_targets),
    (((Mathieu, "encode"),), _encode_mathieu),
    (((M2, "encode"), (M2, "log_q")), _encode_m2),
    (((MVAE, "encode"), (MVAE, "image_expert"), (MVAE, "label_experts")), _encode_mvae),
    (((CSVAE, "encode"), (CSVAE, "posteriors"), (CSVAE, "encoded")), _encode_csvae),
    (((AttributeDecoderVAE, "encode"), (CondVAE, "encoded")), _encode_cond_vae),
    (
        (
            (AttributeDecoderVAE, "encode"),
            (AttributeDecoderVAE, "encoded"),
            (ImageVAE, "posterior"),
        ),
        _encode_attributes,
    ),
)


# decode


def _to_pixels(program: Program, logits: Value) -> None:
    program.add("sigmoid", [logits], (logits.size,))


def _decode(model: Any, program: Program, size: int) -> None:
    _to_pixels(program, add_network(program, model.decoder, program.takes("code", size)))


def _decode_m2(model: Any, program: Program, size: int) -> None:
    code, width = program.takes("code", size), model.codes.width
    labels, z = program.part(code, 0, width), program.part(code, width, size)
    _to_pixels(program, add_conditioned(program, model.decoder, z, labels))


def _decode_style_first(model: Any, program: Program, size: int) -> None:
    """The code has the labels' part first, the decoder takes ``z`` first."""
    code, front = program.takes("code", size), size - model.config.latent_size
    labels, z = program.part(code, 0, front), program.part(code, front, size)
    _to_pixels(program, add_network(program, model.decoder, program.concatenate(z, labels)))


DECODED: tuple[tuple[Methods, Callable[..., None]], ...] = (
    (((ImageVAE, "decode"),), _decode),
    (((M2, "decode"),), _decode_m2),
    (((AttributeDecoderVAE, "decode"),), _decode_style_first),
    (((CSVAE, "decode"),), _decode_style_first),
)


# what the classifier reads


def _read_characteristics(
    model: Any, program: Program, pixels: int, size: int, cardinalities: list[int]
) -> None:
    """``log q(y_i | z_i)`` at one point, while ``classify`` takes the mean over the posterior."""
    code = program.takes("code", size)
    found: dict[int, Value] = {}
    start = 0
    for block, classifier in zip(model.layout.blocks, model.classifier.blocks, strict=True):
        z = program.part(code, start, start + block.latents)
        start += block.latents
        if isinstance(classifier, DiagonalClassifier):
            # log_softmax of (0, logit) is (log sigmoid(-logit), log sigmoid(logit)).
            labels = len(block.labels)
            weight, bias = torch.zeros(2 * labels, labels), torch.zeros(2 * labels)
            weight[torch.arange(labels) * 2 + 1, torch.arange(labels)] = classifier.slope.cpu()
            bias[1::2] = classifier.intercept.cpu()
            both = program.add("linear", [z], (2 * labels,), weights_of(weight=weight, bias=bias))
            for place, label in enumerate(block.labels):
                found[label] = program.part(both, 2 * place, 2 * place + 2)
        else:
            found[block.labels[0]] = add_network(program, classifier.network, z)
    logits = program.concatenate(*(found[label] for label in range(len(cardinalities))))
    program.add("log_softmax", [logits], logits.shape, sizes=cardinalities)


def _read_m2(model: Any, program: Program, pixels: int, size: int, cardinalities: list[int]) -> None:
    logits = add_network(program, model.classifier, program.takes("pixels", pixels))
    program.add("log_softmax", [logits], logits.shape, sizes=cardinalities)


def _read_mvae(model: Any, program: Program, pixels: int, size: int, cardinalities: list[int]) -> None:
    code = program.takes("code", size)
    logits = add_network(program, model.label_decoder, code)
    program.add("log_softmax", [logits], logits.shape, sizes=cardinalities)


READ: tuple[tuple[Methods, Callable[..., None]], ...] = (
    (((CharacteristicVAE, "classify"),), _read_characteristics),
    (((M2, "classify"), (M2, "log_q")), _read_m2),
    (((MVAE, "classify"), (MVAE, "log_p")), _read_mvae),
)
