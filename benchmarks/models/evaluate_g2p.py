"""How well g2p-en (two GRUs that spell English words as phonemes) agrees with a dictionary, on 2,000 of its words.

The rate of wrong phonemes in what it spells, and its cross-entropy, in nats a phoneme, when each phoneme follows the
right ones. The dictionary is cmudict. Needs only numpy: the forward pass is the package's own (g2p_en/g2p.py), written
out.
"""

import string

import numpy as np

import fetched
import metrics

WORDS = 2000
LONGEST = 20  # phonemes
LETTERS = ["<pad>", "<unk>", "</s>", *string.ascii_lowercase]
VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()
CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()
# A vowel comes with each of three stresses, and UW also with none.
PHONEMES = ["<pad>", "<unk>", "<s>", "</s>"] + sorted(
    CONSONANTS + [vowel + stress for vowel in VOWELS for stress in "012"] + ["UW"]
)
START, END = PHONEMES.index("<s>"), PHONEMES.index("</s>")


def dictionary():
    """Words, and the pronunciations of each as numbers of phonemes."""
    words = {}
    for line in (fetched.folder("g2p") / "cmudict.dict").read_text(encoding="utf-8").splitlines():
        entry, *phonemes = line.split("#")[0].split()
        word = entry.split("(")[0]
        if word.isalpha() and word.isascii():
            words.setdefault(word, []).append([PHONEMES.index(phoneme) for phoneme in phonemes])
    names = sorted(words)
    chosen = [names[index] for index in np.random.RandomState(0).permutation(len(names))[:WORDS]]
    return chosen, [words[word] for word in chosen]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Network:
    def __init__(self, tensors):
        self.tensors = tensors

    def step(self, part, tokens, hidden):
        """The GRU's next state [words, 256]; `part` is "enc" or "dec"."""
        embedded = self.tensors[part + "_emb"][tokens]
        driven = embedded @ self.tensors[part + "_w_ih"].T + self.tensors[part + "_b_ih"]
        recurrent = hidden @ self.tensors[part + "_w_hh"].T + self.tensors[part + "_b_hh"]
        size = hidden.shape[1]
        reset, update = np.split(sigmoid(driven[:, : 2 * size] + recurrent[:, : 2 * size]), 2, axis=1)
        candidate = np.tanh(driven[:, 2 * size :] + reset * recurrent[:, 2 * size :])
        return (1 - update) * candidate + update * hidden

    def encode(self, words):
        letters = [[LETTERS.index(letter) for letter in word] + [LETTERS.index("</s>")] for word in words]
        hidden = np.zeros((len(words), self.tensors["enc_w_hh"].shape[1]), np.float32)
        for position in range(max(map(len, letters))):
            tokens = np.array([word[position] if position < len(word) else 0 for word in letters])
            reads = np.array([position < len(word) for word in letters])
            hidden = np.where(reads[:, None], self.step("enc", tokens, hidden), hidden)
        return hidden

    def predict(self, hidden):
        """Logits [words, phonemes]."""
        return hidden @ self.tensors["fc_w"].T + self.tensors["fc_b"]

    def spell(self, hidden):
        """The likeliest phonemes, one after another, of each word."""
        tokens = np.full(len(hidden), START)
        spelled = [[] for _ in hidden]
        ended = np.zeros(len(hidden), bool)
        for _ in range(LONGEST):
            hidden = self.step("dec", tokens, hidden)
            tokens = self.predict(hidden).argmax(axis=1)
            ended |= tokens == END
            for index in np.flatnonzero(~ended):
                spelled[index].append(tokens[index])
        return spelled

    def follow(self, hidden, pronunciations):
        """Logits [phonemes, classes] of every phoneme after the right ones before it, and the right one."""
        logits, labels = [], []
        tokens = np.full(len(hidden), START)
        for position in range(max(map(len, pronunciations)) + 1):
            hidden = self.step("dec", tokens, hidden)
            counts = np.array([position <= len(word) for word in pronunciations])
            tokens = np.array([word[position] if position < len(word) else END for word in pronunciations])
            logits.append(self.predict(hidden)[counts])
            labels.append(tokens[counts])
        return np.concatenate(logits), np.concatenate(labels)


def error_rate(spelled, pronunciations):
    """Wrong phonemes by phonemes, each word against the pronunciation that it comes closest to."""
    wrong = total = 0
    for found, accepted in zip(spelled, pronunciations):
        errors, length = min(
            ((metrics.edit_distance(found, phonemes), len(phonemes)) for phonemes in accepted),
            key=lambda pair: pair[0] / pair[1],
        )
        wrong, total = wrong + errors, total + length
    return wrong / total


def evaluate(model):
    with np.load(model) as file:
        network = Network({name: file[name] for name in file.files})
    words, pronunciations = dictionary()
    hidden = network.encode(words)
    logits, labels = network.follow(hidden, [accepted[0] for accepted in pronunciations])
    results = {
        "phoneme-error-rate": error_rate(network.spell(hidden), pronunciations),
        "cross-entropy": metrics.cross_entropy(logits, labels),
    }
    return results, logits


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
