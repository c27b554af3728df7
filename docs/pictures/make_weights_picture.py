"""Draws docs/pictures/weights.png: layers of the sample network as wcodec stores them. Needs wcodec and Pillow.

    python docs/pictures/make_weights_picture.py .build/release/wcodec
"""
import pathlib
import subprocess
import sys
import tempfile

from PIL import Image, ImageDraw

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parent.parent / "samples/digits.safetensors"


def pictures(wcodec, layer, folder):
    """The pictures of a layer, one for each matrix it holds."""
    target = pathlib.Path(folder) / f"{layer}.png"
    command = [wcodec, "inspect", MODEL, "--image", layer, "--range", "layer", "-o", target]
    written = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [Image.open(path).convert("L") for path in written]


def main():
    wcodec = pathlib.Path(sys.argv[1]).resolve()
    canvas = Image.new("L", (880, 330), 255)
    draw = ImageDraw.Draw(canvas)
    with tempfile.TemporaryDirectory() as folder:
        (conv,) = pictures(wcodec, "conv2.weight", folder)
        gates = pictures(wcodec, "lstm.weight_ih_l0", folder)
        draw.text((10, 6), "conv2: 32 x 128 kernels of 3 x 3", fill=0)
        canvas.paste(conv.crop((0, 0, 96, 288)), (10, 24))
        draw.text((216, 6), "its first 144 kernels", fill=0)
        canvas.paste(conv.crop((0, 0, 36, 36)).resize((288, 288), Image.NEAREST), (216, 24))
        draw.text((520, 6), "lstm: gates i, f, g, o, an image each", fill=0)
        for index, gate in enumerate(gates):
            canvas.paste(gate, (520, 24 + index * 74))
    canvas.crop((0, 0, 790, 322)).save(HERE / "weights.png", optimize=True)


main()
