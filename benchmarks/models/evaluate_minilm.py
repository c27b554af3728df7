"""Agreement of MiniLM-L6 (a transformer that embeds sentences) with human judgments of similarity.

Correlation of its cosines with what people said of 1,225 pairs of news articles (Lee), 353 pairs of words (WordSim-353)
and 999 (SimLex-999). The judgments are gensim's. Needs numpy, scipy, torch, safetensors and tokenizers.
"""

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.stats import pearsonr, spearmanr
from tokenizers import Tokenizer
from torch.nn import functional

import fetched
import metrics

LAYERS, HEADS = 6, 12
BATCH = 32
LONGEST = 256  # tokens; what follows is cut off, as in the model's own configuration
NORM_EPSILON = 1e-12


class Encoder:
    """Embeds texts with the weights of a file: BERT's forward pass, the mean over tokens, length 1."""

    def __init__(self, model):
        self.tensors = load_file(model)
        self.tokenizer = Tokenizer.from_file(str(fetched.folder("minilm") / "tokenizer.json"))
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.enable_padding()

    def connect(self, x, layer):
        return functional.linear(x, self.tensors[layer + ".weight"], self.tensors[layer + ".bias"])

    def normalize(self, x, layer):
        weight, bias = self.tensors[layer + ".weight"], self.tensors[layer + ".bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, NORM_EPSILON)

    def attend(self, x, mask, layer):
        texts, tokens, _ = x.shape
        query, key, value = (
            self.connect(x, f"{layer}.self.{name}").view(texts, tokens, HEADS, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        heads = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None].bool())
        attended = self.connect(heads.transpose(1, 2).flatten(2), layer + ".output.dense")
        return self.normalize(x + attended, layer + ".output.LayerNorm")

    def embed_batch(self, texts):
        encodings = self.tokenizer.encode_batch(texts)
        tokens = torch.tensor([encoding.ids for encoding in encodings])
        mask = torch.tensor([encoding.attention_mask for encoding in encodings])
        positions = self.tensors["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        x = self.tensors["embeddings.word_embeddings.weight"][tokens] + positions
        x = self.normalize(x + self.tensors["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for index in range(LAYERS):
            layer = f"encoder.layer.{index}"
            x = self.attend(x, mask, layer + ".attention")
            widened = functional.gelu(self.connect(x, layer + ".intermediate.dense"))
            x = self.normalize(x + self.connect(widened, layer + ".output.dense"), layer + ".output.LayerNorm")
        weights = mask[..., None].float()
        return functional.normalize((x * weights).sum(dim=1) / weights.sum(dim=1), dim=1)

    def embed(self, texts):
        """Embeddings [texts, 384]."""
        # Texts of like length share a batch, so that little of it is padding.
        order = np.argsort([len(text) for text in texts], kind="stable")
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        embeddings = torch.cat([self.embed_batch([texts[index] for index in batch]) for batch in batches]).numpy()
        return embeddings[np.argsort(order)]


def articles():
    """The 50 articles of Lee's study, and how similar people found each two of them [50, 50]."""
    lines = (fetched.folder("minilm") / "lee.cor").read_text(encoding="latin-1").splitlines()
    similarities = np.loadtxt(fetched.folder("minilm") / "similarities0-1.txt")
    return [line.strip() for line in lines if line.strip()], similarities


def word_correlation(encoder, file):
    """Spearman's correlation with the judgments on pairs of words in a tab-separated file."""
    lines = (fetched.folder("minilm") / file).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t")[:3] for line in lines if not line.startswith(("#", "Word 1"))]
    words = sorted({word for row in rows for word in row[:2]})
    embeddings = dict(zip(words, encoder.embed(words)))
    cosines = [embeddings[first] @ embeddings[second] for first, second, _ in rows]
    return spearmanr(cosines, [float(judgment) for *_, judgment in rows]).statistic


@torch.no_grad()
def evaluate(model):
    encoder = Encoder(model)
    texts, similarities = articles()
    embeddings = encoder.embed(texts)
    results = {
        "wordsim-spearman": word_correlation(encoder, "wordsim353.tsv"),
        "simlex-spearman": word_correlation(encoder, "simlex999.txt"),
    }
    pairs = np.triu_indices(len(texts), 1)
    results["lee-pearson"] = pearsonr((embeddings @ embeddings.T)[pairs], similarities[pairs]).statistic
    return results, embeddings


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
