#!/usr/bin/env python3
"""Train the digits network and write digits.safetensors, digits.pt and digits_test.npz beside this file.

    pip install -r requirements.txt && python train_digits.py

A small convolutional-recurrent classifier of handwritten digits with every kind of layer that wcodec packs:
convolutions (full, depthwise, 1x1), a bidirectional LSTM that reads the image row by row, and fully connected layers.
One thread and fixed seeds: the same versions of the packages on the same kind of processor train the same weights.
"""

import os

import numpy as np
import safetensors.torch
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

import evaluate_digits

FOLDER = os.path.dirname(os.path.abspath(__file__))
SEED = 20
TEST_IMAGES = 600
EPOCHS = 80
BATCH = 64
LABEL_SMOOTHING = 0.05


class DigitsNetwork(nn.Module):
    """Logits [images, 10] of images [images, 8, 8] with gray values 0...16."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.conv1_norm = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 128, 3, padding=1, bias=False)
        self.conv2_norm = nn.BatchNorm2d(128)
        self.depthwise = nn.Conv2d(128, 128, 3, padding=1, groups=128, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(128)
        self.pointwise = nn.Conv2d(128, 64, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(64)
        self.lstm = nn.LSTM(64 * 4, 64, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(128, 128)
        self.output = nn.Linear(128, 10)
        self.dropout = nn.Dropout(0.3)

    def forward(self, images):
        x = (images / 8 - 1)[:, None]
        x = functional.relu(self.conv1_norm(self.conv1(x)))
        x = functional.relu(self.conv2_norm(self.conv2(x)))
        x = functional.relu(self.depthwise_norm(self.depthwise(x)))
        x = functional.relu(self.pointwise_norm(self.pointwise(x)))
        x = functional.max_pool2d(x, (1, 2))
        rows = x.transpose(1, 2).flatten(2)
        states, _ = self.lstm(self.dropout(rows))
        x = states.amax(dim=1)
        return self.output(self.dropout(functional.relu(self.dense(self.dropout(x)))))


def shift(images, generator):
    """Each image moved by up to one pixel in each direction, zeros moving in."""
    padded = functional.pad(images, (1, 1, 1, 1))
    moved = torch.empty_like(images)
    for index, (row, column) in enumerate(torch.randint(3, (len(images), 2), generator=generator).tolist()):
        moved[index] = padded[index, row : row + 8, column : column + 8]
    return moved


def train(images, labels):
    """Network trained on `images` [images, 8, 8] and `labels` [images], in evaluation mode."""
    generator = torch.Generator().manual_seed(SEED)
    network = DigitsNetwork()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            logits = network(shift(images[batch], generator))
            loss = functional.cross_entropy(logits, labels[batch], label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        schedule.step()
        print(f"epoch {epoch + 1}/{EPOCHS}: training cross-entropy {total / len(images):.4f}", flush=True)
    return network.eval()


def check_evaluation(network, images):
    """Assert that evaluate_digits.py, which has no torch, computes the same logits from the files as torch does."""
    with torch.no_grad():
        expected = network(torch.from_numpy(images).float()).numpy()
    for name in ("digits.safetensors", "digits.pt"):
        found = evaluate_digits.classify(evaluate_digits.read_model(os.path.join(FOLDER, name)), images)
        error = np.abs(found - expected).max()
        assert error < 1e-4, f"{name}: logits differ from torch's by {error}"
        print(f"{name}: logits within {error:.1e} of torch's")


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    data = load_digits()
    images, labels = data.images.astype(np.uint8), data.target.astype(np.uint8)
    images, test_images, labels, test_labels = train_test_split(
        images, labels, test_size=TEST_IMAGES, stratify=labels, random_state=SEED
    )
    network = train(torch.from_numpy(images).float(), torch.from_numpy(labels).long())

    state = network.state_dict()
    # One entry only: safetensors writes several in random order, and the file would differ from run to run.
    safetensors.torch.save_file(state, os.path.join(FOLDER, "digits.safetensors"), {"format": "pt"})
    torch.save(state, os.path.join(FOLDER, "digits.pt"))
    np.savez_compressed(os.path.join(FOLDER, "digits_test.npz"), images=test_images, labels=test_labels)

    print(f"{sum(value.numel() for value in network.parameters())} parameters")
    check_evaluation(network, test_images)
    for name, value in evaluate_digits.measure(evaluate_digits.read_model(os.path.join(FOLDER, "digits.pt"))).items():
        print(f"{name} {value:.6f}")


if __name__ == "__main__":
    main()
