"""The figures of the regret meter as a picture: what each policy costs above the bound."""

from pathlib import Path

import polars as pl

from schemas.errors import InputError

FORMATS = (".png", ".svg", ".pdf")


def plot(figures: pl.DataFrame, file: Path) -> None:
    """A bar per policy, its cost above the bound in percent; the dots are single cases.

    Raises:
        InputError: the file's ending names no format, or it cannot be written.
    """
    if file.suffix.lower() not in FORMATS:
        raise InputError(f"--plot {file}: the ending must be one of {', '.join(FORMATS)}")
    import matplotlib as mpl  # takes a second, which whoever wants no picture need not wait
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "crossdock"  # ids that do not change from run to run
    picture = Figure(figsize=(9, 4.5), layout="constrained")
    axes = picture.add_subplot()
    policies = figures["policy"].unique(maintain_order=True).to_list()
    for place, policy in enumerate(policies):
        gaps = [100 * gap for gap in figures.filter(pl.col("policy") == policy)["gap"].to_list()]
        mean = sum(gaps) / len(gaps)
        axes.bar(place, mean, color="#7aa6c2", width=0.6)
        axes.plot([place] * len(gaps), gaps, ".", color="#22313f", markersize=4)
        axes.annotate(f"{mean:.1f} %", (place, mean), ha="center", va="bottom")
    axes.set_xticks(range(len(policies)), policies, rotation=20, ha="right")
    axes.set_ylabel("cost above the bound, %")
    axes.set_title("Regret: what hindsight would have saved")
    try:
        picture.savefig(file, metadata={"Date": None} if file.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise InputError(f"--plot {file} cannot be written: {error.strerror}") from error
