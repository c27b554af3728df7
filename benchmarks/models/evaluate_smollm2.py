"""Perplexity of SmolLM2-135M (a decoder with grouped-query attention) on 3,072 tokens of the King James Bible.

Reads GGUF with float or block-quantized tensors, these made float32. Needs numpy, torch, gguf and tokenizers; the
forward pass is Llama's, written out.
"""

import math

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.nn import functional

import fetched
import metrics

WINDOWS, WINDOW = 6, 512  # tokens in a window
TEXT = 40_000  # characters to take them from


def setting(reader, name):
    return reader.fields["llama." + name].contents()


def tokens(reader):
    """Token numbers [WINDOWS, WINDOW], made with the vocabulary that the file carries."""
    vocabulary = {token: number for number, token in enumerate(reader.fields["tokenizer.ggml.tokens"].contents())}
    merges = [tuple(pair.split(" ")) for pair in reader.fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    text = (fetched.folder("text") / "kjv.txt").read_text(encoding="utf-8").replace("\n", " ")
    numbers = tokenizer.encode(text[:TEXT]).ids[: WINDOWS * WINDOW]
    return torch.tensor(numbers).view(WINDOWS, WINDOW)


class Decoder:
    def __init__(self, reader):
        self.heads = setting(reader, "attention.head_count")
        self.shared_heads = setting(reader, "attention.head_count_kv")
        self.layers = setting(reader, "block_count")
        self.epsilon = setting(reader, "attention.layer_norm_rms_epsilon")
        self.base = setting(reader, "rope.freq_base")
        self.tensors = {tensor.name: self.load(tensor) for tensor in reader.tensors}

    def load(self, tensor):
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        matrix = torch.from_numpy(values.reshape(tensor.shape[::-1].tolist()))
        # GGUF interleaves the two halves of each head that are rotated together.
        if tensor.name.endswith("attn_q.weight"):
            return self.separate(matrix, self.heads)
        if tensor.name.endswith("attn_k.weight"):
            return self.separate(matrix, self.shared_heads)
        return matrix

    @staticmethod
    def separate(matrix, heads):
        return matrix.view(heads, -1, 2, matrix.shape[1]).transpose(1, 2).reshape(matrix.shape)

    def normalize(self, x, name):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.tensors[name + ".weight"]

    def connect(self, x, name):
        return functional.linear(x, self.tensors[name + ".weight"])

    def rotate(self, x):
        """Rotary position embedding of `x` [windows, heads, time, size]."""
        time, size = x.shape[2:]
        frequencies = self.base ** (-torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(time).float(), frequencies).repeat(1, 2)
        first, second = x.chunk(2, dim=-1)
        return x * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()

    def attend(self, x, block):
        query, key, value = (
            self.connect(x, f"{block}.attn_{name}").view(*x.shape[:2], heads, -1).transpose(1, 2)
            for name, heads in (("q", self.heads), ("k", self.shared_heads), ("v", self.shared_heads))
        )
        times = self.heads // self.shared_heads
        key, value = self.rotate(key).repeat_interleave(times, 1), value.repeat_interleave(times, 1)
        attended = functional.scaled_dot_product_attention(self.rotate(query), key, value, is_causal=True)
        return self.connect(attended.transpose(1, 2).flatten(2), block + ".attn_output")

    def predict(self, numbers):
        """Logits [windows, time, vocabulary]."""
        x = self.tensors["token_embd.weight"][numbers]
        for index in range(self.layers):
            block = f"blk.{index}"
            x = x + self.attend(self.normalize(x, block + ".attn_norm"), block)
            y = self.normalize(x, block + ".ffn_norm")
            gated = functional.silu(self.connect(y, block + ".ffn_gate")) * self.connect(y, block + ".ffn_up")
            x = x + self.connect(gated, block + ".ffn_down")
        x = self.normalize(x, "output_norm")
        return functional.linear(x, self.tensors.get("output.weight", self.tensors["token_embd.weight"]))


@torch.no_grad()
def evaluate(model):
    reader = GGUFReader(model)
    decoder = Decoder(reader)
    # What the network gives each token that comes next; the whole distributions would take 600 MB.
    found = []
    for window in tokens(reader):
        predicted = decoder.predict(window[None])[0, :-1].log_softmax(dim=-1)
        found.append(predicted.gather(1, window[1:, None])[:, 0].numpy())
    outputs = np.stack(found)
    return {"perplexity": math.exp(-outputs.mean())}, outputs


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
