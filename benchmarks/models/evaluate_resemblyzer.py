"""Equal error rate and AUC of Resemblyzer (a three-layer LSTM that tells voices apart) on 13 speakers in meetings.

Each 1.6 s in which one person speaks alone becomes an embedding; two of the same speaker should be closer than two of
different ones. Needs numpy and torch.
"""

import numpy as np
import torch

import metrics
import speech

WINDOW, HOP = 400, 160  # samples in a frame of the spectrum, and from one to the next
FRAMES, BANDS, HIDDEN = 160, 40, 256
GRID = 0.02  # seconds between the moments at which the turns are looked at
SEGMENT, STEP = 80, 10  # moments in a segment, and from a rejected one to the next
TARGET_LEVEL = -30  # dB of full scale to which quieter segments are raised


def hertz_to_mel(hertz):
    """Slaney's mel scale, linear below 1 kHz."""
    return np.where(hertz < 1000, hertz * 3 / 200, 15 + np.log(np.maximum(hertz, 1e-9) / 1000) * 27 / np.log(6.4))


def mel_to_hertz(mel):
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def mel_filters():
    """Triangular filters of equal area [BANDS, frequencies], as librosa makes them."""
    frequencies = np.linspace(0, speech.RATE / 2, WINDOW // 2 + 1)
    low, high = hertz_to_mel(np.array([0, speech.RATE / 2]))
    edges = mel_to_hertz(np.linspace(low, high, BANDS + 2))
    widths = np.diff(edges)[:, None]
    rising = (frequencies - edges[:-2, None]) / widths[:-1]
    falling = (edges[2:, None] - frequencies) / widths[1:]
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])[:, None]


def mel_spectrum(samples):
    """Power in each mel band [FRAMES, BANDS] of 1.6 s of sound."""
    level = 20 * np.log10(max(np.sqrt(np.mean(samples**2)), 1e-6))
    padded = np.pad(samples * 10 ** (max(TARGET_LEVEL - level, 0) / 20), WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:FRAMES]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW + 1)[:-1], axis=1)) ** 2
    return (power @ mel_filters().T).astype(np.float32)


def segments():
    """Mel spectra [segments, FRAMES, BANDS] of the 1.6 s in which one speaks alone, and the speaker of each."""
    spectra, speakers = [], []
    for recording in speech.recordings():
        moments = np.arange(0, len(recording.samples) / speech.RATE, GRID)
        names = sorted({turn.speaker for turn in recording.turns})
        speaking = np.zeros((len(names), len(moments)), bool)
        for turn in recording.turns:
            speaking[names.index(turn.speaker)] |= (moments >= turn.start) & (moments < turn.end)
        for name, spoken in zip(names, speaking):
            alone = spoken & (speaking.sum(axis=0) == 1)
            first = 0
            while first + SEGMENT <= len(moments):
                if alone[first : first + SEGMENT].mean() < 0.9:
                    first += STEP
                    continue
                start = int(moments[first] * speech.RATE)
                spectra.append(mel_spectrum(recording.samples[start : start + FRAMES * HOP]))
                speakers.append(name)
                first += SEGMENT
    return np.stack(spectra), np.array(speakers)


def embed(state, spectra):
    """Embeddings [segments, 256] of length 1."""
    lstm = torch.nn.LSTM(BANDS, HIDDEN, num_layers=3, batch_first=True)
    lstm.load_state_dict({name.removeprefix("lstm."): state[name] for name in state if name.startswith("lstm.")})
    _, (hidden, _) = lstm(torch.from_numpy(spectra))
    embeddings = torch.relu(hidden[-1] @ state["linear.weight"].T + state["linear.bias"])
    return (embeddings / embeddings.norm(dim=1, keepdim=True)).numpy()


@torch.no_grad()
def evaluate(model):
    spectra, speakers = segments()
    embeddings = embed(torch.load(model, map_location="cpu", weights_only=True)["model_state"], spectra)
    pairs = np.triu_indices(len(embeddings), 1)
    similarities = (embeddings @ embeddings.T)[pairs]
    same = (speakers[:, None] == speakers[None])[pairs]
    results = {
        "equal-error-rate": metrics.equal_error_rate(similarities, same),
        "AUC": metrics.area_under_roc_curve(similarities, same),
    }
    return results, embeddings


if __name__ == "__main__":
    metrics.report(evaluate, __doc__)
