"""A site's file: where it is looked for, and messages for mistakes in it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import ConfigError
from launch.clusters.resources import Resources
from launch.clusters.slurm.site_file import read_site_file, site_file

WHOLE = """\
# our cluster
partition = "gpu"
account = "vision"
hours = 12
memory_gb = 64.5
gpus_per_node = "a100:4"
retries = 0
setup = ["module load cuda/12", "source env.sh"]
small_partition = "cpu"
small_gpus = 0
small_hours = 1

[sbatch]
mail-type = "END"
exclusive = true
nice = 100

[small_sbatch]
nice = 0
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        file = tmp_path / "cluster.toml"
        file.write_text(text)
        return file

    return write


def test_a_complete_file_is_read(written):
    assert read_site_file(written(WHOLE)) == Resources(
        partition="gpu",
        account="vision",
        hours=12.0,
        memory_gb=64.5,
        gpus_per_node="a100:4",
        retries=0,
        setup=("module load cuda/12", "source env.sh"),
        small_partition="cpu",
        small_gpus=0,
        small_hours=1.0,
        small_sbatch={"nice": "0"},
        sbatch={"mail-type": "END", "exclusive": "true", "nice": "100"},
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '\npartion = "gpu"\n',
            r"cluster\.toml, line 2: 'partion' is not a field .*; did you mean partition\?",
        ),
        ("gpus-per-node = 4\n", r"line 1: .*did you mean gpus_per_node\?"),
        ('time = "1:00:00"\n', r"line 1: .*did you mean hours\?"),
        ("[slurm]\nnodes = 1\n", r"line 1: 'slurm' is not a field .*; known fields: partition, .*\[sbatch\]"),
        ('nodes = 1\nhours = "12"\n', r"line 2: hours is '12'; it must be a number"),
        (
            'setup = "module load cuda"\n',
            r"line 1: setup is .*; it must be a list of quoted strings, such as",
        ),
        ("setup = [1]\n", r"line 1: setup is \[1\]; it must be a list of quoted strings"),
        ("gpus_per_node = 1.5\n", r"line 1: gpus_per_node is 1\.5; it must be an integer or a quoted string"),
        ('[sbatch]\ngres = "gpu:a:1,gpu:b:1"\n', r"line 1: gres is .*; GPUs of two types in one job"),
        ("nodes = 1.5\n", r"line 1: nodes is 1\.5; it must be an integer"),
        ("nodes = true\n", r"line 1: nodes is true; it must be an integer"),
        ("partition = 3\n", r"line 1: partition is 3; it must be a quoted string"),
        ("\n\nnodes = 0\n", r"line 3: nodes is 0; it must be at least 1"),
        ('sbatch = "x"\n', r"line 1: sbatch is 'x'; it must be a table"),
        ('nodes = 1\n[sbatch]\narray = "1-3"\n', r"line 2: sbatch option array is set by the launcher"),
        ("[sbatch]\nnice = 1.5\n", r"line 1: option nice is 1\.5; it must be a string"),
        ("[sbatch]\nhold = false\n", r"line 1: option hold is false; it must be"),
        ("nodes = \n", r"cluster\.toml is not TOML: .*line 1"),
        ("nodes = 1\nnodes = 2\n", r"cluster\.toml is not TOML: .*line 2"),
        ("hours = 0.1\nsignal_delay_s = 600\n", r"cluster\.toml: signal_delay_s is 600, which is all of"),
    ],
)
def test_a_mistake_is_reported_with_file_and_line(written, text, sentence):
    with pytest.raises(ConfigError, match=sentence) as refusal:
        read_site_file(written(text))
    assert "\n" not in str(refusal.value)


def test_a_missing_or_binary_file_is_reported_in_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the cluster file .*nowhere\.toml: No such file"):
        read_site_file(tmp_path / "nowhere.toml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_site_file(tmp_path / "binary")


@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_sentence(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text, newline="")
    with contextlib.suppress(ConfigError):  # anything else is a bug
        assert isinstance(read_site_file(file), Resources)


def test_the_users_own_file_follows_the_xdg_specification(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert site_file() == tmp_path / ".config/traitvae/cluster.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert site_file() == tmp_path / ".config/traitvae/cluster.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
    assert site_file() == tmp_path / "elsewhere/traitvae/cluster.toml"
