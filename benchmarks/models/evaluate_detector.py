"""How well PP-OCRv4's detector (depthwise convolutions that find lines of print) marks the text on 12 rendered pages.

The figure of merit is the IoU (intersection over union) of the pixels that the network calls text with those of the
lines' boxes, made smaller as for its training. The lines begin verses of the King James Bible, in Pillow's own font,
in several sizes, blurred and noisy. Needs numpy, onnxruntime and Pillow.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import fetched
import metrics
import onnx_session

PAGES, SIDE = 12, 640  # pixels: height and width of a page
THRESHOLD = 0.3  # probability from which a pixel counts as text, PP-OCR's own
SHRINKING = 0.4  # of a box, in the training: it loses a border of (1 - SHRINKING^2) * area / perimeter
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of ImageNet's colors


def page(verses, random):
    """A picture [SIDE, SIDE] of lines of text, and which of its pixels lie in a line's smaller box."""
    image = Image.new("L", (SIDE, SIDE), int(random.randint(200, 250)))
    draw = ImageDraw.Draw(image)
    boxes = np.zeros((SIDE, SIDE), bool)
    top = int(random.randint(10, 40))
    while top < SIDE - 60:
        size = int(random.randint(14, 44))
        words = verses[random.randint(len(verses))].split()
        text = " ".join(words[: random.randint(2, 8)])
        left = int(random.randint(5, 120))
        font = ImageFont.load_default(size)
        draw.text((left, top), text, font=font, fill=int(random.randint(0, 90)))
        x0, y0, x1, y1 = draw.textbbox((left, top), text, font=font)
        x1 = min(x1, SIDE)
        width, height = x1 - x0, y1 - y0
        border = (1 - SHRINKING**2) * width * height / (2 * (width + height))
        boxes[int(y0 + border) : math.ceil(y1 - border), int(x0 + border) : math.ceil(x1 - border)] = True
        top += size + int(random.randint(8, 60))
    image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.2, 1.2)))
    noisy = np.asarray(image, np.float32) + random.normal(0, 7, (SIDE, SIDE))
    return np.clip(noisy, 0, 255), boxes


def pages(seed=1):
    """Pictures [PAGES, 3, SIDE, SIDE] as the network takes them, and the pixels of text [PAGES, SIDE, SIDE]."""
    random = np.random.RandomState(seed)
    verses = (fetched.folder("text") / "kjv.txt").read_text(encoding="utf-8").splitlines()
    pictures, boxes = zip(*(page(verses, random) for _ in range(PAGES)))
    colors = np.stack(pictures)[:, None] / 255
    return ((colors - MEAN[:, None, None]) / DEVIATION[:, None, None]).astype(np.float32), np.stack(boxes)


def evaluate(model):
    session = onnx_session.open(model)
    name = session.get_inputs()[0].name
    pictures, boxes = pages()
    probabilities = np.concatenate([session.run(None, {name: picture[None]})[0][:, 0] for picture in pictures])
    found = probabilities > THRESHOLD
    overlap = (found & boxes).sum() / (found | boxes).sum()
    return {"IoU": overlap}, probabilities.reshape(PAGES, -1)


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
