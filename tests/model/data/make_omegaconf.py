"""Makes `omegaconf.ckpt`: hyper-parameters that Lightning keeps as OmegaConf's, without weights.

python tests/model/data/make_omegaconf.py
"""

from pathlib import Path

import torch
from omegaconf import OmegaConf

values = OmegaConf.create(
    {"channels": 6, "model": {"width": 5}, "rates": [0.1, 0.2], "also": "${model.width}", "act": None}
)
document = {"hyper_parameters": values, "hparams_type": type(values), "hparams_name": "config"}
torch.save(document, Path(__file__).parent / "omegaconf.ckpt")
