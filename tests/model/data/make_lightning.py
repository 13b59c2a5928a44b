"""Makes `lightning.ckpt` with pytorch-lightning itself, and `lightning.npz`, what its model gives.

python tests/model/data/make_lightning.py
"""

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

HERE = Path(__file__).parent


class Net(pl.LightningModule):
    """Has hyper-parameters that change the network, and others that don't."""

    def __init__(self, channels: int, width: int = 7, lr: float = 1e-3, folder: Path = Path()) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.scan = nn.Conv1d(4, channels, width)
        self.head = nn.Linear(channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Score windows (N, 4, L)."""
        return self.head(self.scan(x).relu().amax(2))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Give the loss of a batch."""
        return ((self(batch[0]) - batch[1]) ** 2).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Give an optimiser whose state the checkpoint holds, too."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])


def main() -> None:
    """Train for two steps and write the files."""
    pl.seed_everything(0)
    bases = torch.randint(4, (8, 30))
    x = nn.functional.one_hot(bases, 4).transpose(1, 2).float()
    net = Net(6, width=5, folder=Path("runs"))
    trainer = pl.Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(net, DataLoader(TensorDataset(x, torch.zeros(8, 2)), batch_size=4))
    trainer.save_checkpoint(HERE / "lightning.ckpt")
    np.savez(HERE / "lightning.npz", x=x.numpy(), y=net.eval()(x).detach().numpy())


if __name__ == "__main__":
    main()
