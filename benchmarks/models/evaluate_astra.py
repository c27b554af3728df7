"""Agreement of Astra's image encoder (a 3-D ResNet-152 in bfloat16) with the original, given as reference.

No labeled scans ship in a package, so the pooled features of four synthetic volumes (ellipsoids and noise) are compared
with the original's. Needs numpy and torch.
"""

import numpy as np
import torch
from torch.nn import functional

import metrics

SHAPE = (32, 96, 96)  # depth, height and width of a volume
VOLUMES, ELLIPSOIDS = 4, 25
BLOCKS = (3, 8, 36, 3)


def volumes():
    """Volumes [VOLUMES, 3, depth, height, width], three equal channels, values 0...1."""
    random = np.random.RandomState(0)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij"))
    result = []
    for _ in range(VOLUMES):
        volume = np.zeros(SHAPE, np.float32)
        for _ in range(ELLIPSOIDS):
            center = random.uniform(-0.8, 0.8, (3, 1, 1, 1))
            radii = random.uniform(0.1, 0.6, (3, 1, 1, 1))
            volume += random.uniform(-0.5, 0.6) * ((((grid - center) / radii) ** 2).sum(axis=0) < 1)
        result.append(np.clip(volume + random.normal(0, 0.05, SHAPE), 0, 1))
    return torch.from_numpy(np.stack(result).astype(np.float32))[:, None].repeat(1, 3, 1, 1, 1)


def convolve(state, x, layer, stride=1):
    weight = state[layer + ".weight"]
    return functional.conv3d(x, weight, stride=stride, padding=[size // 2 for size in weight.shape[2:]])


def normalize(state, x, layer):
    mean, variance = state[layer + ".running_mean"], state[layer + ".running_var"]
    return functional.batch_norm(x, mean, variance, state[layer + ".weight"], state[layer + ".bias"])


def run_block(state, x, block, stride):
    """Bottleneck block: three convolutions beside a shortcut."""
    y = functional.relu(normalize(state, convolve(state, x, block + ".conv1"), block + ".bn1"))
    y = functional.relu(normalize(state, convolve(state, y, block + ".conv2", stride), block + ".bn2"))
    y = normalize(state, convolve(state, y, block + ".conv3"), block + ".bn3")
    if block + ".downsample.0.weight" in state:
        x = normalize(state, convolve(state, x, block + ".downsample.0", stride), block + ".downsample.1")
    return functional.relu(x + y)


def features(model, x):
    """Pooled features [volumes, 2048]."""
    stored = torch.load(model, map_location="cpu", weights_only=True)["state_dict"]
    state = {name: value.float() for name, value in stored.items() if value.is_floating_point()}
    x = functional.relu(normalize(state, convolve(state, x, "conv1", (1, 2, 2)), "bn1"))
    x = functional.max_pool3d(x, 3, 2, 1)
    for layer, count in enumerate(BLOCKS, 1):
        for index in range(count):
            x = run_block(state, x, f"layer{layer}.{index}", stride=2 if layer > 1 and index == 0 else 1)
    return x.mean(dim=(2, 3, 4)).numpy()


@torch.no_grad()
def evaluate(model):
    return {}, features(model, volumes())


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
