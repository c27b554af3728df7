"""Writes the TorchScript, Lightning and sharded fixtures beside this script, and expected_torch.json with what is in them.

Needs torch 2.13, safetensors and pytorch-lightning 2.6; run it as `python3 make_torch_fixtures.py`. The files are committed,
so that tests need none of these.
"""

import argparse
import io
import json
import pathlib
import warnings
import zipfile

import pytorch_lightning as lightning
import torch
from torch import nn

from make_fixtures import HERE, describe, flatten

warnings.filterwarnings("ignore")
expected = {}


class Tied(nn.Module):
    """An embedding whose weights are those of the output layer too."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(6, 4)
        self.decoder = nn.Linear(4, 6)
        self.decoder.weight = self.encoder.weight

    def forward(self, symbols):
        return self.decoder(self.encoder(symbols))


class Shift(nn.Module):
    """Tracing makes a constant of the code's own out of the tensor."""

    def forward(self, x):
        return x + torch.tensor([[0.25, 0.5, 0.75]])


class Script(nn.Module):
    """Modules, tied weights, a buffer in bfloat16, lists of tensors, and a constant in the code."""

    pieces: list[torch.Tensor]

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.mix = nn.Conv2d(2, 3, 1)
        self.layers = nn.ModuleList([nn.Linear(3, 4), nn.Linear(4, 2)])
        self.rnn = nn.LSTMCell(2, 3)
        self.tied = Tied()
        self.register_buffer("scale", torch.randn(2, 3).bfloat16())
        self.pieces = [torch.randn(2), torch.randn(1, 2)]
        self.shift = torch.jit.trace(Shift(), torch.zeros(1, 3))

    def forward(self, x: torch.Tensor):
        x = self.mix(self.conv(x)).mean((1, 2))
        for layer in self.layers:
            x = layer(x)
        h, _ = self.rnn(x + self.pieces[0] + self.pieces[1])
        return self.shift(h) * self.scale[0].float(), self.tied(torch.tensor([1, 2]))


SCRIPT_KINDS = {"mix.weight": "conv", "layers.0.weight": "fc", "layers.1.weight": "fc", "rnn.weight_ih": "lstm",
                "rnn.weight_hh": "lstm", "tied.encoder.weight": "embedding", "tied.decoder.weight": "fc"}


def save_script(file, module, tensors):
    """A TorchScript archive without its debugging entries, which name folders of the machine it was made on."""
    script = io.BytesIO()
    torch.jit.save(module, script)
    with zipfile.ZipFile(script) as source, zipfile.ZipFile(HERE / file, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                info = zipfile.ZipInfo(entry.filename)
                # As torch.jit.save does: long pieces of code are compressed.
                info.compress_type = entry.compress_type
                target.writestr(info, source.read(entry.filename))
    loaded = torch.jit.load(HERE / file)
    assert loaded(torch.ones(1, 4, 4))[0].isfinite().all()
    state = loaded.state_dict()
    assert state["tied.encoder.weight"].data_ptr() == state["tied.decoder.weight"].data_ptr()
    expected[file] = tensors(loaded)


def script_tensors(module):
    names = [describe(name, tensor, SCRIPT_KINDS.get(name)) for name, tensor in module.state_dict().items()]
    # Among the attributes the list comes behind the buffer.
    names[1:1] = [describe(f"pieces.{i}", piece) for i, piece in enumerate(module.pieces)]
    return names + [describe("CONSTANTS.c0", module.shift.code_with_constants[1].c0)]


class Averages(lightning.Callback):
    """Keeps a moving average of the weights in the checkpoint, as many callbacks do."""

    def state_dict(self):
        return {"decay": 0.9, "weights": {"layer.weight": torch.ones(3, 4).bfloat16()}}


class Regression(lightning.LightningModule):
    def __init__(self, rate, options):
        super().__init__()
        self.save_hyperparameters()
        self.layer = nn.Linear(4, 3)
        self.tied = Tied()

    def training_step(self, batch, _):
        return self.layer(batch).float().square().mean() + self.tied(torch.tensor([1])).float().square().mean()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.rate)


def save_lightning(file):
    module = Regression(0.1, argparse.Namespace(name="a", sizes=[1, 2]))
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, precision="bf16-true", callbacks=[Averages()])
    trainer.fit(module, torch.utils.data.DataLoader(torch.randn(1, 4), batch_size=1))
    trainer.save_checkpoint(HERE / file)
    loaded = torch.load(HERE / file, weights_only=False)
    assert loaded["state_dict"]["layer.weight"].dtype == torch.bfloat16
    expected[file] = [describe(name, tensor) for name, tensor in flatten(loaded)]


def save_shards(folder, legacy):
    """What `save_pretrained(safe_serialization=False)` of transformers writes."""
    tensors = {"a.weight": torch.randn(3, 4), "a.bias": torch.randn(3), "b.weight": torch.randn(2, 2).bfloat16(),
               "b.count": torch.tensor([7])}
    shards = {"pytorch_model-00001-of-00002.bin": ["a.weight", "b.count"], "pytorch_model-00002-of-00002.bin": ["a.bias", "b.weight"]}
    (HERE / folder).mkdir(exist_ok=True)
    for shard, names in shards.items():
        torch.save({name: tensors[name] for name in names}, HERE / folder / shard, _use_new_zipfile_serialization=not legacy)
    index = {"metadata": {"total_size": 76}, "weight_map": {name: shard for shard, names in shards.items() for name in names}}
    (HERE / folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")
    expected[f"{folder}/pytorch_model.bin.index.json"] = [describe(name, tensors[name]) for names in shards.values() for name in names]


def main():
    torch.manual_seed(6)
    save_script("torchscript.pt", torch.jit.script(Script()), script_tensors)
    save_lightning("zip_lightning.ckpt")
    save_shards("sharded_zip", legacy=False)
    save_shards("sharded_legacy", legacy=True)
    (HERE / "expected_torch.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
