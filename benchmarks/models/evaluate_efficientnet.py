"""Accuracy and cross-entropy of EfficientNet-Lite0 (depthwise-separable convolutions) on 20 labeled ImageNet images.

Five views of each image (center and corners, 87.5 % of its shorter side) make 100 crops. The images are
foolbox's. Needs numpy, torch and Pillow.
"""

import sys

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

import fetched
import metrics

SIZE = 224  # pixels, width and height of the network's input
MEAN, DEVIATION = 127 / 255, 128 / 255  # of the pixels, as the network was trained with
BATCH = 20


def views(image):
    """The center and the four corners of `image`, scaled to the network's input."""
    width, height = image.size
    side = int(min(width, height) * 0.875)
    left, top = (width - side) // 2, (height - side) // 2
    right, bottom = width - side, height - side
    for x, y in ((left, top), (0, 0), (right, 0), (0, bottom), (right, bottom)):
        yield image.crop((x, y, x + side, y + side)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def crops():
    """Pixels [100, 3, SIZE, SIZE], normalized, and labels [100]; the first of each five is the center."""
    pixels, labels = [], []
    for path in sorted((fetched.folder("efficientnet") / "images").glob("imagenet_*.jpg")):
        with Image.open(path) as image:
            pixels += [np.asarray(view, np.float32) for view in views(image.convert("RGB"))]
        labels += [int(path.stem.split("_")[-1])] * 5
    normalized = (np.stack(pixels) / 255 - np.float32(MEAN)) / np.float32(DEVIATION)
    return torch.from_numpy(normalized.transpose(0, 3, 1, 2).copy()), torch.tensor(labels)


def log_probabilities(model, pixels):
    """Natural logarithm of the probability of each class [crops, 1000]."""
    sys.path.insert(0, str(fetched.folder("efficientnet")))
    from efficientnet_lite_pytorch import EfficientNet  # found only now that its folder is on the path

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(model, map_location="cpu", weights_only=True))
    network.eval()
    return torch.cat([network(batch) for batch in pixels.split(BATCH)]).log_softmax(dim=1)


@torch.no_grad()
def evaluate(model):
    pixels, labels = crops()
    found = log_probabilities(model, pixels)
    hits = (found.argmax(dim=1) == labels).double()
    results = {"accuracy": hits[::5].mean().item(), "accuracy-crops": hits.mean().item()}
    results["cross-entropy"] = functional.nll_loss(found, labels).item()
    return results, found.numpy()


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
