"""Requested resources, checked field by field."""

from __future__ import annotations

import math

import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import ConfigError
from launch.clusters.resources import Resources

wishes = st.builds(
    Resources,
    partition=st.none() | st.sampled_from(["main", "gpu"]),
    nodes=st.none() | st.integers(1, 4),
    gpus_per_node=st.none() | st.integers(0, 8),
    hours=st.none() | st.floats(1.0, 100.0),
    retries=st.none() | st.integers(0, 5),
    sbatch=st.dictionaries(st.sampled_from(["mail-type", "reservation"]), st.sampled_from(["END", "x"])),
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nodes", 0),
        ("gpus_per_node", -1),
        ("cpus_per_task", 0),
        ("memory_gb", 0.0001),
        ("gpus_per_node", "a100:"),
        ("gpus_per_node", "a100:x"),
        ("gpus_per_node", ""),
        ("small_gpus", -1),
        ("small_hours", 0.0),
        ("small_memory_gb", -1.0),
        ("small_cpus", 0),
        ("small_partition", " "),
        ("setup", ("module load a\nrm b",)),
        ("memory_gb", math.nan),
        ("hours", 0.0),
        ("hours", 0.001),  # SLURM would get a limit of 0 minutes, which is none
        ("hours", math.inf),
        ("signal_delay_s", -1),
        ("max_parallel", 0),
        ("retries", -1),
        ("partition", ""),
        ("account", " "),
        ("constraint", "a\nb"),
    ],
)
def test_a_bad_value_is_refused_with_the_name_of_its_field(field, value):
    with pytest.raises(ConfigError, match=field):
        Resources(**{field: value})


def test_a_signal_before_the_job_begins_is_refused():
    with pytest.raises(ConfigError, match=r"signal_delay_s is 90, which is all of the 0\.02 hours"):
        Resources(hours=0.02, signal_delay_s=90)


@pytest.mark.parametrize("option", ["array", "--output", "dependency", "comment", "job-name", "requeue"])
def test_an_option_that_the_launcher_sets_is_refused_by_name(option):
    with pytest.raises(ConfigError, match=f"{option.removeprefix('--')} is set by the launcher"):
        Resources(sbatch={option: "x"})


@pytest.mark.parametrize(
    ("option", "field"), [("time", "hours"), ("mem", "memory_gb"), ("gpus_per_node", "gpus_per_node")]
)
def test_an_option_with_a_field_of_its_own_names_it(option, field):
    with pytest.raises(ConfigError, match=rf"use --{field.replace('_', '-')} \({field} in cluster.toml\)"):
        Resources(sbatch={option: "1"})


@pytest.mark.parametrize("option", ["J", "", "mail type", "mail-type=END\n#SBATCH --uid", "-p"])
def test_only_long_option_names_are_accepted(option):
    with pytest.raises(ConfigError, match="not an sbatch option"):
        Resources(sbatch={option: "x"})


def test_options_are_given_on_the_command_line_and_explained_there(capsys):
    asked = tyro.cli(
        Resources,
        args=["--sbatch", "mail_type", "END", "exclusive", "true", "--nodes", "2"],
    )
    assert asked == Resources(sbatch={"mail-type": "END", "exclusive": "true"}, nodes=2)
    with pytest.raises(SystemExit):
        tyro.cli(Resources, args=["--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--sbatch mail-type END exclusive true" in shown


def test_gpus_in_sbatchs_own_notation_are_counted_as_gpus():
    assert Resources(sbatch={"gres": "gpu:v100:2"}) == Resources(gpus_per_node="v100:2")
    assert Resources(sbatch={"gres": "gpu:v100"}) == Resources(gpus_per_node="v100:1")
    assert Resources(sbatch={"gres": "gpu"}) == Resources(gpus_per_node=1)
    assert Resources(gpus_per_node=0, sbatch={"gres": "gpu:2"}) == Resources(gpus_per_node=2)
    both = Resources(sbatch={"--gres": "tmpdisk:10,gpu:4"})
    assert (both.gpus_per_node, both.sbatch) == (4, {"gres": "tmpdisk:10"})
    assert Resources(small_sbatch={"gres": "gpu:1"}) == Resources(small_gpus=1)
    with pytest.raises(
        ConfigError, match="requested twice: gpus_per_node is 2, and the sbatch option gres has v100:1"
    ):
        Resources(gpus_per_node=2, sbatch={"gres": "gpu:v100:1"})
    with pytest.raises(ConfigError, match="GPUs of two types in one job"):
        Resources(sbatch={"gres": "gpu:a100:1,gpu:v100:1"})


TRAINING = Resources(
    partition="gpu",
    account="vision",
    qos="long",
    constraint="h100",
    nodes=2,
    gpus_per_node="h100:4",
    cpus_per_task=16,
    hours=12.0,
    max_parallel=3,
    sbatch={"exclusive": "true", "gres": "tmpdisk:10", "mail-type": "END", "nice": "5"},
    setup=("module load cuda",),
)


def test_options_for_training_stay_off_the_small_jobs():
    small = TRAINING.of_small_jobs()
    assert small == Resources(
        partition="gpu",
        account="vision",
        qos="long",
        constraint="h100",
        nodes=1,
        gpus_per_node=0,
        cpus_per_task=1,
        hours=12.0,
        max_parallel=3,
        sbatch={"mail-type": "END", "nice": "5"},
        setup=("module load cuda",),
    )


def test_small_jobs_have_resources_of_their_own():
    own = Resources(
        small_partition="cpu", small_cpus=2, small_hours=1.0, small_sbatch={"nice": "0", "exclude": "n1"}
    )
    assert own.over(TRAINING).of_small_jobs() == Resources(
        partition="cpu",
        account="vision",
        nodes=1,
        gpus_per_node=0,
        cpus_per_task=2,
        hours=1.0,
        max_parallel=3,
        sbatch={"mail-type": "END", "nice": "0", "exclude": "n1"},
        setup=("module load cuda",),
    )
    on_gpus = Resources(small_gpus="h100:1", small_account="shared").over(TRAINING).of_small_jobs()
    assert (on_gpus.gpus_per_node, on_gpus.account, on_gpus.partition) == ("h100:1", "shared", "gpu")


def test_a_short_job_is_signalled_when_part_of_its_time_is_left():
    assert Resources(hours=3 / 60).completed().signal_delay_s == 30


@given(first=wishes, second=wishes)
def test_the_first_resources_take_precedence_and_the_second_fill_the_gaps(first, second):
    both = first.over(second)
    for name, value in first.given().items():
        if name != "sbatch":
            assert getattr(both, name) == value
    for name, value in second.given().items():
        if name != "sbatch" and name not in first.given():
            assert getattr(both, name) == value
    assert both.sbatch == second.sbatch | first.sbatch


@given(asked=wishes)
def test_completing_is_done_once(asked):
    whole = asked.completed()
    assert whole.completed() == whole
    assert whole.given() | asked.given() == whole.given()
