"""What a network of the user's own must keep (``own``), each point with its sentence; checked on a few random rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.networks.own_class import Maker
from pipeline.raised import in_one_sentence

ROWS, OUTPUTS, LATENTS = 3, 6, 5
"""Sizes of a check, all different."""


def check(maker: Maker) -> None:
    """ConfigError if the class does not keep the contract; torch's generator is as before."""
    shape = maker.image_shape
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        _seed(0)
        images = torch.rand(ROWS, *shape)
        _check_one(maker, "encoder", OUTPUTS, images, (OUTPUTS,))
        _check_one(maker, "decoder", LATENTS, torch.randn(ROWS, LATENTS), shape)


def _check_one(maker: Maker, kind: str, size: int, inputs: Tensor, output: tuple[int, ...]) -> None:
    call, example = f"{kind}({size})", inputs[:1]

    def made() -> nn.Module:
        _seed(1)
        return maker.make(kind, size, example)

    network, again = made(), made()
    weights, others = network.state_dict(), again.state_dict()
    if {each.data_ptr() for each in network.parameters()} & {each.data_ptr() for each in again.parameters()}:
        raise maker.refusal(f"{call} returns the same parameters again; each call must make a new network")
    if weights.keys() != others.keys() or not all(
        torch.equal(weights[name], others[name]) for name in weights
    ):
        raise maker.refusal(f"two of {call} after the same torch.manual_seed differ; draw weights with torch")
    buffers = {name: values.clone() for name, values in network.named_buffers()}

    def called(rows: Tensor) -> Tensor:
        _seed(2)  # dropout is allowed
        try:
            found = network(rows)
        except Exception as error:
            raise maker.refusal(
                f"{call} fails for inputs of shape {tuple(rows.shape)}: {in_one_sentence(error)}"
            ) from None
        expected = (len(rows), *output)
        if not isinstance(found, Tensor) or tuple(found.shape) != expected:
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise maker.refusal(
                f"{call} returns {got} for inputs of shape {tuple(rows.shape)}; it must return {expected}"
            )
        return found

    outputs = called(inputs)
    if not outputs.is_floating_point() or not bool(outputs.isfinite().all()):
        raise maker.refusal(f"{call} returns numbers that are not finite")
    changed = torch.cat([inputs[:1], inputs[1:].flip(0) + 1])
    if not torch.allclose(called(changed)[0], outputs[0], rtol=1e-3, atol=1e-4):
        raise maker.refusal(
            f"{call} returns another output for a row if other rows change, as with batch normalisation; rows must not"
            " depend on each other"
        )
    called(inputs[:0])
    for name, values in network.named_buffers():
        if not torch.equal(values, buffers[name]):
            raise maker.refusal(
                f"{call} changes its buffer {name} when called, which a resumed run would repeat"
            )
    if outputs.requires_grad:
        outputs.square().sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            raise maker.refusal(f"{call} does not use its parameter {name}")


def _seed(seed: int) -> None:
    """Not torch.manual_seed, which would also seed the GPUs' generators, and these are not set back."""
    torch.default_generator.manual_seed(seed)
