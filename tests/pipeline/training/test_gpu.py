"""Training on a GPU: what a CPU cannot show. Each test is the same function for both, so that it is known to work.

``python -m tests.benchmarks gpu`` runs those marked ``gpu``, then measures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.data.loaders import make_loader
from pipeline.models.parts.class_draws import ClassDistribution
from pipeline.models.registry import PRESETS
from pipeline.training import step as steps
from pipeline.training.loop import train
from pipeline.training.progress import Objectives
from pipeline.training.settings import TrainingConfig
from pipeline.training.step import Step
from pipeline.world import BACKENDS, World
from tests.pipeline.models.every_system import CASES, Case, batch_of, moved, narrow, ready
from tests.pipeline.runs import assert_bitwise_equal, final_parameters, small_run, with_loader
from tests.pipeline.training import tape
from tests.pipeline.training.compiled_distance import GRADIENT, OBJECTIVE
from tests.pipeline.training.test_resume import Killed, Recorder, die

# CUDA's libraries warn of what is new in them, which no test here is about.
pytestmark = pytest.mark.filterwarnings("default")

ROWS = 8
GPU = pytest.param("cuda", marks=pytest.mark.gpu)
ONE_OF_EACH = [next(case for case in CASES if case.preset == preset) for preset in PRESETS]
ON_FACES = {case.preset: case for case in CASES if case.data in ("digits", "faces")}  # the last counts
ON_GPU = [
    *ON_FACES.values(),
    *(Case(preset, "mixed") for preset in ("ccvae", "m2", "csvae", "diva_original")),
]
FEW = [Case("ccvae", "digits"), Case("m2", "mixed"), Case("csvae", "digits")]
on_both = pytest.mark.parametrize("device", ["cpu", GPU], indirect=True)


PRECISIONS = ("float32", "bfloat16", "float16")


def places(
    names: str, on_cpu: Iterable[tuple[object, ...]], on_gpu: Iterable[tuple[object, ...]]
) -> pytest.MarkDecorator:
    """Values of these parameters on the CPU, which needs few, and on a GPU."""
    here = [(*values, "cpu") for values in on_cpu]
    there = [pytest.param(*values, "cuda", marks=pytest.mark.gpu) for values in on_gpu]
    return pytest.mark.parametrize(f"{names}, device", [*here, *there], indirect=["device"], ids=str)


def cases(on_cpu: list[Case]) -> pytest.MarkDecorator:
    """Every system on a GPU, and these cases on the CPU."""
    return places("case", product(on_cpu), product(ON_GPU))


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no GPU here")
    return torch.device(request.param, *([0] if request.param == "cuda" else []))


@pytest.fixture
def graphs(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU, a tape in place of CUDA's graphs."""
    if device.type == "cpu":
        monkeypatch.setattr(steps, "uses_graphs", lambda training, world: training.cuda_graphs)
        monkeypatch.setattr(steps, "recorder", lambda: tape.record)


@contextmanager
def no_waiting(device: torch.device) -> Iterator[None]:
    """Within it, whatever makes the host wait for the GPU is an error."""
    watch(device, "error")
    try:
        yield
    finally:
        watch(device, "default")


def watch(device: torch.device, mode: str) -> None:
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode(mode)


def start(case: Case, device: torch.device, precision: str = "float32", **training: Any) -> Step:
    """A step after its warm-up."""
    settings: dict[str, Any] = {"precision": precision, "batch_size": ROWS} | training
    config = RunConfig(model=narrow(case.preset), training=TrainingConfig(**settings))
    step = Step(config, case.shape, World(rank=0, size=1, device=device))
    ready(step.model, case.shape)
    step.warm_up(moved(batch_of(case.shape, 3, ROWS), device))
    return step


def some_steps(case: Case, step: Step, device: torch.device, first: int = 0, number: int = 4) -> Tensor:
    """Terms of steps on batches of two shapes."""
    batches = [moved(batch_of(case.shape, labelled, ROWS), device) for labelled in (3, 5)]
    step.begin_epoch(0)
    return torch.stack([step(batches[n % 2], n, ROWS) for n in range(first, first + number)])


def parameters(step: Step) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in step.model.named_parameters()}


@places("case, precision", product(ONE_OF_EACH, ["bfloat16"]), product(ON_GPU, PRECISIONS))
def test_every_system_trains_in_every_precision(case: Case, device: torch.device, precision: str) -> None:
    step = start(case, device, precision)
    before = parameters(step)
    terms = some_steps(case, step, device)
    assert terms.isfinite().all()
    assert step.is_finite()
    assert terms.device.type == device.type
    for name, value in parameters(step).items():
        assert value.dtype == torch.float32, name
    # With float16, the scaler skips steps until its scale fits.
    assert precision == "float16" or any(
        not torch.equal(before[name], new) for name, new in parameters(step).items()
    )
    assert step.scaler.is_enabled() == (precision == "float16")


@pytest.mark.gpu
@pytest.mark.parametrize("device", ["cuda"], indirect=True)
def test_float16_finds_its_scale_and_trains(device: torch.device) -> None:
    for case in ONE_OF_EACH:
        step = start(case, device, "float16")
        before, terms = parameters(step), some_steps(case, step, device, number=20)
        assert terms.isfinite().all(), case
        assert any(not torch.equal(before[name], new) for name, new in parameters(step).items()), case
        assert step.scaler.get_scale() > 1, case


def noise_of_the_host(assign: Any) -> None:
    """Random numbers that are the same on every device."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int, device: Any = None, **_: Any) -> Tensor:
        return torch.empty(shape).normal_(generator=generator).to(device or "cpu")

    assign(torch, "randn", normal)
    assign(torch, "randn_like", lambda values: normal(*values.shape, device=values.device))
    assign(torch, "rand", lambda *shape, device=None, **_: torch.full(shape, 0.5, device=device))
    assign(ClassDistribution, "sample", lambda self: self.probs.argmax(-1))


@cases(FEW)
def test_objectives_and_gradients_are_those_of_the_cpu(
    case: Case, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32, relative to the objective and to the gradient's norm; TF32 would round the convolutions' inputs."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    found = []
    for place in (torch.device("cpu"), device):
        with monkeypatch.context() as patch:
            noise_of_the_host(patch.setattr)
            model = case.build().to(place)
            losses = model(moved(batch_of(case.shape), place))
            losses.total_objective.sum().backward()
        gradient = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
        found.append((losses.total_objective.detach().cpu().double(), gradient.cpu().double()))
    (objective, gradient), (on_device, gradient_there) = found
    assert ((on_device - objective).abs() / (1 + objective.abs())).max() < OBJECTIVE
    assert (gradient_there - gradient).norm() / gradient.norm() < GRADIENT


@places("case, precision", product(FEW, ["float32"]), product(ON_GPU, PRECISIONS))
@pytest.mark.usefixtures("graphs")
def test_captured_steps_are_the_steps_bit_for_bit_and_both_repeat(
    case: Case, device: torch.device, precision: str
) -> None:
    """The same random numbers, kernels that repeat their bits, and moments that begin at zero."""
    found = []
    for captured in (False, True, False):
        step = start(case, device, precision, cuda_graphs=captured)
        terms = some_steps(case, step, device, number=6)
        found.append({"terms": terms} | parameters(step))
    assert_bitwise_equal(found[0], found[2])
    assert_bitwise_equal(found[0], found[1])


@places(
    "system, captured, precision",
    product(["csvae"], [False, True], ["auto"]),  # others are in test_resume.py and test_graphs.py
    product(["ccvae", "m2", "csvae"], [False, True], ["auto", "float16"]),
)
@pytest.mark.usefixtures("graphs")
def test_a_run_resumes_bit_for_bit(
    tiny_data_set: Path, tmp_path: Path, device: torch.device, system: str, captured: bool, precision: str
) -> None:
    config = small_run(tiny_data_set, system=system, epochs=3, cuda_graphs=captured, precision=precision)
    config = replace(config, training=replace(config.training, checkpoint_every_minutes=1e-9))
    data, world = DataSet(tiny_data_set), World(rank=0, size=1, device=device)
    whole, first, second = Recorder(), Recorder(20, die), Recorder()
    train(config, tmp_path / "whole", data, world, whole)
    with pytest.raises(Killed):
        train(config, tmp_path / "resumed", data, world, first)
    train(config, tmp_path / "resumed", data, world, second)
    assert_bitwise_equal(final_parameters(tmp_path / "whole"), final_parameters(tmp_path / "resumed"))
    assert first.points | second.points == whole.points


@on_both
@pytest.mark.parametrize("loader", ["resident", "arrow", pytest.param("ffcv", marks=pytest.mark.ffcv)])
def test_batches_on_the_device_are_those_of_the_cpu(
    request: pytest.FixtureRequest, device: torch.device, loader: str
) -> None:
    folder: Path = request.getfixturevalue("tiny_ffcv_data_set" if loader == "ffcv" else "tiny_data_set")
    data, config = DataSet(folder), with_loader(small_run(folder), loader)
    there, here = (
        list(TrainingExamples(config, data, World(rank=0, size=1, device=place)).epoch(1))
        for place in (device, torch.device("cpu"))
    )
    assert len(there) == len(here) > 1
    for (batch, size), (expected, expected_size) in zip(there, here, strict=True):
        assert (
            batch.image.device.type == batch.labels.device.type == batch.observed.device.type == device.type
        )
        assert torch.equal(batch.image.cpu(), expected.image)
        assert torch.equal(batch.labels.cpu(), expected.labels)
        assert torch.equal(batch.observed.cpu(), expected.observed)
        assert (batch.labelled, size) == (expected.labelled, expected_size)


@on_both
def test_what_fits_is_resident_on_the_device(tiny_data_set: Path, device: torch.device) -> None:
    loader: Any = make_loader("auto", DataSet(tiny_data_set), "train", device)
    assert loader._images.device.type == device.type


@places("case, captured", product(FEW, [False]), product(ON_GPU, [False, True]))
@pytest.mark.usefixtures("graphs")
def test_no_step_of_any_system_waits_for_the_device(case: Case, device: torch.device, captured: bool) -> None:
    for precision in ("float32", *(["float16"] if device.type == "cuda" else [])):
        step = start(case, device, precision, cuda_graphs=captured)
        some_steps(case, step, device)  # captures
        batches = [moved(batch_of(case.shape, labelled, ROWS), device) for labelled in (3, 5)]
        sums, objectives = torch.zeros(len(step.term_names), 2, device=device), Objectives(0)
        with no_waiting(device):
            for number in range(4, 10):
                terms = step(batches[number % 2], number, ROWS)
                sums += terms
                objectives.keep(terms)
        assert sums.isfinite().all()


@on_both
@pytest.mark.usefixtures("graphs")
@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("loader", ["resident", "arrow"])
def test_the_loop_waits_for_the_device_at_records_only(
    tiny_data_set: Path,
    tmp_path: Path,
    device: torch.device,
    loader: str,
    captured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From a record to the sum over ranks that begins the next one; epochs begin there too."""
    watched: list[int] = []

    class Watching(World):
        def all_reduce_sum(self, values: Tensor) -> Tensor:
            watch(device, "default")
            return super().all_reduce_sum(values)

        def gather(self, values: Tensor) -> Tensor:  # begins a checkpoint
            watch(device, "default")
            return super().gather(values)

    def record(kind: str, step: int, metrics: dict[str, float]) -> None:
        # An epoch's last record is followed by its checkpoint; captures are made in the first epochs.
        if kind == "train" and step > 24:
            watch(device, "error")
            watched.append(step)

    config = with_loader(small_run(tiny_data_set, epochs=4, cuda_graphs=captured), loader)
    try:
        train(config, tmp_path, DataSet(tiny_data_set), Watching(rank=0, size=1, device=device), record)
    finally:
        watch(device, "default")
    assert len(watched) >= 4


@on_both
def test_one_rank_with_its_process_group_is_the_rank_without(tmp_path: Path, device: torch.device) -> None:
    """NCCL on a GPU: DistributedDataParallel's buckets and the agreements between hosts."""
    case = next(case for case in CASES if str(case) == "ccvae-celeba-faces")
    alone = start(case, device)
    expected = {"terms": some_steps(case, alone, device)} | parameters(alone)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        BACKENDS[device.type], rank=0, world_size=1, init_method=f"file://{tmp_path / 'meeting'}"
    )
    try:
        step = start(case, device)
        found = {"terms": some_steps(case, step, device)} | parameters(step)
        world = step.world
        assert world.is_joined
        assert world.any_of([True, False]) == [True, False]
        assert world.broadcast(7) == world.all_reduce_min(7) == 7
        sums = torch.arange(4.0, device=device)
        assert torch.equal(world.gather(sums), sums[None])
        assert torch.equal(world.all_reduce_sum(sums.clone()), sums)
        world.barrier()
    finally:
        dist.destroy_process_group()
    assert_bitwise_equal(expected, found)


@pytest.mark.slow(60)
@on_both
def test_compiled_equals_eager(device: torch.device) -> None:
    """In processes of their own, where the shape checks of the tests, which cannot be compiled, are not installed."""
    chosen = list(ON_FACES.values()) if device.type == "cuda" else [Case("vae", "digits")]
    parts = [chosen[number::8] for number in range(8)]
    command = [sys.executable, "-m", "tests.pipeline.training.compiled_distance", device.type]
    running = [
        subprocess.Popen(
            [*command, *map(str, part)],
            env=os.environ | {"TORCHINDUCTOR_COMPILE_THREADS": "2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for part in parts
        if part
    ]
    found: dict[str, Any] = {}
    for process in running:
        output, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-3000:]
        found |= json.loads(output.splitlines()[-1])
    assert len(found) == len(chosen)
    too_far = {name: far for name, far in found.items() if far[0] > OBJECTIVE or far[1] > GRADIENT}
    assert not too_far
