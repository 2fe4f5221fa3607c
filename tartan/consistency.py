"""Functions shared by objectives that compare two predictions for the same input."""

from torch import Tensor
from torch.nn import functional
from torch.nn.functional import logsigmoid

from tartan.batch import LabelKind


def divergence(expected: Tensor, outputs: Tensor, kind: LabelKind) -> Tensor:
    """Return how far predictions are from expected ones, summed over the items: [] float32.

    For classes and tags it is the Kullback-Leibler divergence KL(expected || outputs) of the two
    softmax distributions, in nats; for sets of labels, the mean over the labels of that of the two
    Bernoulli distributions; for numbers, half the squared difference, which is the
    divergence of two normal distributions of variance 1. Gradients flow to both arguments.

    Args:
        expected: [items, outputs] float, logits or numbers.
        outputs: the same shape, the predictions to compare with them.
        kind: the type of the labels that are predicted.
    """
    expected, outputs = expected.float(), outputs.float()
    if kind is LabelKind.NUMBER:
        return (expected - outputs).square().sum() / 2
    if kind is LabelKind.SETS:
        present = expected.sigmoid() * (logsigmoid(expected) - logsigmoid(outputs))
        absent = (-expected).sigmoid() * (logsigmoid(-expected) - logsigmoid(-outputs))
        return (present + absent).mean(-1).sum()
    log_expected, log_found = expected.log_softmax(-1), outputs.log_softmax(-1)
    return functional.kl_div(log_found, log_expected, reduction="sum", log_target=True)
