"""traitvae from a script or a notebook.

``open_data`` prepares and opens a data set, ``train`` trains a run on it in this process, ``load`` opens a trained run or an
export, ``measure`` measures a model. All that is here is defined elsewhere, and imported when it is first used, so that
``import traitvae`` takes no time. For example::

    import traitvae
    from traitvae import CCVAEConfig, DataConfig, RunConfig, TrainingConfig

    data = traitvae.open_data("drawn-faces", options={"count": 200})
    config = RunConfig(
        model=CCVAEConfig(style_size=10, network="mlp"),
        data=DataConfig(supervision_rate=0.5),
        training=TrainingConfig(epochs=2, batch_size=50),
    )
    model = traitvae.train(config, data)
    numbers = traitvae.measure(model, data, ["classification"])
    print(numbers["classification_accuracy"].value)
    faces = data.images("test").all()[:8]
    smiling = model.intervene(faces, "Smiling", "yes")  # (draw, face, channel, height, width), in [0, 1]
    print(smiling.shape)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_prep.errors import UserError
    from launch.scripting import load, measure, open_data, train
    from pipeline.config import RunConfig
    from pipeline.data.dataset import DataSet
    from pipeline.data.settings import DataConfig
    from pipeline.measures.settings import MeasuresConfig
    from pipeline.models.beta_tcvae import BetaTCVAEConfig
    from pipeline.models.beta_vae import BetaVAEConfig
    from pipeline.models.ccvae import CCVAEConfig
    from pipeline.models.ccvae_one_per_class import OnePerClassCCVAEConfig
    from pipeline.models.cond_vae import CondVAEConfig, CondVAEInfoConfig
    from pipeline.models.csvae import CSVAEConfig
    from pipeline.models.dip_vae import DipVAEIConfig, DipVAEIIConfig
    from pipeline.models.diva import DivaConfig
    from pipeline.models.diva_original import DivaOriginalConfig
    from pipeline.models.label_reader import LabelReaderConfig
    from pipeline.models.m2 import M2Config
    from pipeline.models.m3 import M3Config
    from pipeline.models.mathieu import MathieuConfig
    from pipeline.models.mvae import MVAEConfig
    from pipeline.models.rb_vae import RbVAEConfig
    from pipeline.models.srb_vae import SRbVAEConfig
    from pipeline.models.svae import SVAEConfig
    from pipeline.models.vae import VAEConfig
    from pipeline.tracking.settings import TrackingSettings
    from pipeline.trained_model import TrainedModel
    from pipeline.training.settings import OptimiserConfig, TrainingConfig

_DEFINED_IN = {
    "BetaTCVAEConfig": "pipeline.models.beta_tcvae",
    "BetaVAEConfig": "pipeline.models.beta_vae",
    "CCVAEConfig": "pipeline.models.ccvae",
    "CSVAEConfig": "pipeline.models.csvae",
    "CondVAEConfig": "pipeline.models.cond_vae",
    "CondVAEInfoConfig": "pipeline.models.cond_vae",
    "DataConfig": "pipeline.data.settings",
    "DataSet": "pipeline.data.dataset",
    "DipVAEIConfig": "pipeline.models.dip_vae",
    "DipVAEIIConfig": "pipeline.models.dip_vae",
    "DivaConfig": "pipeline.models.diva",
    "DivaOriginalConfig": "pipeline.models.diva_original",
    "LabelReaderConfig": "pipeline.models.label_reader",
    "M2Config": "pipeline.models.m2",
    "M3Config": "pipeline.models.m3",
    "MVAEConfig": "pipeline.models.mvae",
    "MathieuConfig": "pipeline.models.mathieu",
    "MeasuresConfig": "pipeline.measures.settings",
    "OnePerClassCCVAEConfig": "pipeline.models.ccvae_one_per_class",
    "OptimiserConfig": "pipeline.training.settings",
    "RbVAEConfig": "pipeline.models.rb_vae",
    "RunConfig": "pipeline.config",
    "SRbVAEConfig": "pipeline.models.srb_vae",
    "SVAEConfig": "pipeline.models.svae",
    "TrackingSettings": "pipeline.tracking.settings",
    "TrainedModel": "pipeline.trained_model",
    "TrainingConfig": "pipeline.training.settings",
    "UserError": "data_prep.errors",
    "VAEConfig": "pipeline.models.vae",
    "load": "launch.scripting",
    "measure": "launch.scripting",
    "open_data": "launch.scripting",
    "train": "launch.scripting",
}

__all__ = [
    "BetaTCVAEConfig", "BetaVAEConfig", "CCVAEConfig", "CSVAEConfig", "CondVAEConfig", "CondVAEInfoConfig",
    "DataConfig", "DataSet", "DipVAEIConfig", "DipVAEIIConfig", "DivaConfig", "DivaOriginalConfig",
    "LabelReaderConfig", "M2Config", "M3Config", "MVAEConfig", "MathieuConfig", "MeasuresConfig",
    "OnePerClassCCVAEConfig", "OptimiserConfig", "RbVAEConfig", "RunConfig", "SRbVAEConfig", "SVAEConfig",
    "TrackingSettings", "TrainedModel", "TrainingConfig", "UserError", "VAEConfig", "load", "measure", "open_data",
    "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _DEFINED_IN:
        raise AttributeError(f"module 'traitvae' has no attribute {name!r}")
    from importlib import import_module

    from data_prep.start_up import importing

    with importing():
        return getattr(import_module(_DEFINED_IN[name]), name)


def __dir__() -> list[str]:
    return __all__
