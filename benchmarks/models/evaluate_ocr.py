"""How well PP-OCRv4 (convolutions and attention that read a line of print) reads 150 rendered lines of English.

The share of right characters, spaces aside, and the loss it was trained with (connectionist temporal classification),
in nats a character; so small that it hangs on a few unclear ones. The lines begin verses of the King James Bible, in
Pillow's own font, blurred, noisy and a little rotated. Needs numpy, onnxruntime and Pillow.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import fetched
import metrics
import onnx_session

LINES, WORDS = 150, 5
FONT_SIZE, HEIGHT = 40, 48  # pixels: of the font, and of the network's input
PAPER = 235
BLANK = 0  # class of the steps that read nothing
EXAMPLES = 10  # lines whose whole output is compared


def render(text, random):
    """Picture of a line of text."""
    font = ImageFont.load_default(FONT_SIZE)
    left, _, right, _ = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 24, FONT_SIZE + 22), PAPER)
    ImageDraw.Draw(image).text((12 - left, 6), text, font=font, fill=int(random.randint(10, 70)))
    image = image.rotate(random.uniform(-1.5, 1.5), fillcolor=PAPER, resample=Image.Resampling.BICUBIC)
    image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.4)))
    noisy = np.asarray(image, np.float32) + random.normal(0, 9, image.size[::-1])
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def lines():
    """Texts, and a picture of each [1, 3, HEIGHT, width] with values -1...1."""
    random = np.random.RandomState(1)
    verses = (fetched.folder("text") / "kjv.txt").read_text(encoding="utf-8").splitlines()
    texts = [" ".join(verses[index].split()[:WORDS]) for index in random.permutation(len(verses))[:LINES]]
    pictures = []
    for text in texts:
        image = render(text, random)
        scaled = image.resize((int(image.width * HEIGHT / image.height), HEIGHT), Image.Resampling.BICUBIC)
        pixels = np.asarray(scaled, np.float32) / 127.5 - 1
        pictures.append(np.repeat(pixels[None, None], 3, axis=1))
    return texts, pictures


def alignment_loss(probabilities, labels):
    """Minus the logarithm of the probability of reading `labels`, over all the ways to spread them over the steps."""
    log = np.log(np.maximum(probabilities, 1e-12))
    # A blank may stand before, between and after the labels, and must between two equal ones.
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    may_skip = np.zeros(len(states), bool)
    may_skip[2:] = (states[2:] != BLANK) & (states[2:] != states[:-2])
    paths = np.full(len(states), -np.inf)
    paths[:2] = log[0, states[:2]]
    for step in log[1:]:
        previous = np.concatenate([[-np.inf], paths[:-1]])
        skipped = np.where(may_skip, np.concatenate([[-np.inf, -np.inf], paths[:-2]]), -np.inf)
        paths = np.logaddexp(np.logaddexp(paths, previous), skipped) + step[states]
    return -np.logaddexp(paths[-1], paths[-2])


def read(probabilities, characters):
    """The likeliest text."""
    steps = probabilities.argmax(axis=1)
    changes = np.concatenate([[True], steps[1:] != steps[:-1]])
    return "".join(characters[step] for step in steps[changes & (steps != BLANK)])


def evaluate(model):
    session = onnx_session.open(model)
    alphabet = session.get_modelmeta().custom_metadata_map["character"].splitlines()
    characters = ["", *alphabet, " "]
    numbers = {character: number for number, character in enumerate(characters)}
    wrong = total = 0
    loss, outputs = 0.0, []
    for text, picture in zip(*lines()):
        probabilities = session.run(None, {session.get_inputs()[0].name: picture})[0][0]
        if len(outputs) < EXAMPLES:
            outputs.append(probabilities.ravel())
        # The network seldom reads spaces: a step that may be one may as well read nothing.
        probabilities[:, BLANK] += probabilities[:, -1]
        expected = text.replace(" ", "")
        wrong += metrics.edit_distance(read(probabilities[:, :-1], characters), expected)
        total += len(expected)
        loss += alignment_loss(probabilities, [numbers[character] for character in expected])
    return {"loss": loss / total, "character-accuracy": 1 - wrong / total}, np.concatenate(outputs)[None]


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
