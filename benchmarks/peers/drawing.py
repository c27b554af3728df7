"""Draws the curves of bits against error."""

import bars
import measure
import sources

STYLES = {
    "wcodec": dict(color="#c1121f", marker="o"),
    "wcodec, effort 9": dict(color="#780000", marker="s"),
    "wcodec, effort 9, auto": dict(color="#3d0000", marker="D"),
    "wcodec, effort 9, video": dict(color="#e07a5f", marker="^"),
    "wcodec, effort 9, audio": dict(color="#f2a65a", marker="v"),
    "wcodec, uniform": dict(color="#e5989b", marker="."),
    "nncodec": dict(color="#0b4f9c", marker="x"),
    "nncodec, lambda": dict(color="#4fa3e0", marker="+"),
    "sz3": dict(color="#2a9d4a", marker="."),
    "zfp": dict(color="#8a8a8a", marker="."),
    "gguf": dict(color="#8e5bb5", marker="*", linestyle="none"),
}
WIDTH = 3  # panels in a row


def draw(results, path):
    """Writes `path`, the SNR by the bits for each weight, and beside it what these are above R(D) by the SNR."""
    draw_panels(results, path, draw_curves)
    draw_panels(results, path.with_stem(f"{path.stem}-excess"), draw_excess)


def draw_curves(panel, curves):
    for points, style in curves:
        panel.plot(list(map(measure.rate, points)), list(map(measure.snr, points)), **style)
    panel.plot([1, 5], [measure.BOUND, 5 * measure.BOUND], "k--", linewidth=0.8, label="R(D), Gaussian")
    panel.set(xlim=(1.5, 5), ylim=(5, 36), xlabel="bits for each weight", ylabel="SNR, dB")


def draw_excess(panel, curves):
    for points, style in curves:
        panel.plot(list(map(measure.snr, points)), list(map(bars.above_bound, points)), **style)
    panel.axhline(0, color="k", linestyle="--", linewidth=0.8, label="R(D), Gaussian")
    best = min(bars.above_bound(point) for points, _ in curves for point in points)
    panel.set(xlim=(8, 32), ylim=(min(best, 0) - 0.1, best + 0.9), xlabel="SNR, dB", ylabel="bits above R(D)")


def draw_panels(results, path, draw_panel):
    """One panel for each source."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = results.sources()
    if not names:
        return
    rows = -(-len(names) // WIDTH)
    figure, panels = pyplot.subplots(rows, WIDTH, figsize=(4.6 * WIDTH, 3.4 * rows + 0.6), squeeze=False)
    for panel, source in zip(panels.flat, names):
        found = [(results.curve(source, name), name) for name in STYLES]
        line = {"linewidth": 1, "markersize": 5}
        curves = [(points, line | STYLES[name] | {"label": name}) for points, name in found if points]
        draw_panel(panel, curves)
        panel.set_title("Gaussian noise" if source == sources.GAUSSIAN else source, fontsize=10)
        panel.grid(alpha=0.3)
    for panel in list(panels.flat)[len(names) :]:
        panel.axis("off")
    lines = {label: line for panel in panels.flat for line, label in zip(*panel.get_legend_handles_labels())}
    figure.legend(lines.values(), lines.keys(), loc="lower center", ncols=5, fontsize=9, frameon=False)
    figure.tight_layout(rect=(0, 0.6 / (3.4 * rows + 0.6), 1, 1))
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
