"""TorchJD's methods as weightings, with `pip install 'tartan[torchjd]'`; without it, none.

Each is called `torchjd_` and the name of TorchJD's module: `torchjd_upgrad`, `torchjd_nash_mtl`.
The options are the parameters of TorchJD's constructors, with their defaults; where a parameter
has none, the paper's value is the default. A vector has a number for each objective, by its name.

Aggregators that are functions of the Gramian, and scalarizers, functions of the losses, are
offered. Others are not, for the reasons in `LEFT_OUT`.
"""

from importlib.util import find_spec

from tartan import Weighting, hookimpl

EXTRA = "pip install 'tartan[torchjd]'"

LEFT_OUT = {
    "Constant": "the scalarizer of the name does the same in one backward pass",
    "CRMOGMWeighting": "it smooths the weights of another weighting, which no option can name",
    "ExcessMTL": "it keeps a squared gradient of every parameter for every objective",
    "GradDrop": "it chooses by sign, each parameter by itself: there are no weights",
    "Mean": "the scalarizer of the name does the same in one backward pass",
    "MoDoWeighting": "it needs the products of gradients of two independent batches",
    "Random": "the scalarizer of the name does the same in one backward pass",
    "SDMGradWeighting": "it needs the products of gradients of two independent batches",
    "Sum": "the scalarizer of the name does the same in one backward pass",
    "TrimmedMean": "it trims each parameter by itself: there are no weights",
}
"""What TorchJD has in `torchjd.aggregation` that is not offered, and why."""


@hookimpl
def tartan_weightings() -> dict[str, type[Weighting]]:
    """Offer TorchJD's methods where it is installed."""
    if find_spec("torchjd") is None:
        return {}
    # Importing tartan or this module does not import TorchJD.
    from tartan_weightings.torchjd import gramian, scalarizers  # noqa: PLC0415

    return {**gramian.offered(), **scalarizers.offered()}


@hookimpl
def tartan_missing() -> dict[str, str]:
    """Tell how to install TorchJD where it is not installed."""
    return {} if find_spec("torchjd") else {"torchjd_": EXTRA}
