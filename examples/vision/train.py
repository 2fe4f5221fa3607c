"""Train a small wide residual network on few labelled digits with auxiliary objectives.

The end task is five digits with 10 labels. Auxiliary objectives are the five other digits, and
random labels, which are harmful. `python train.py` prints one row for each weighting and seed.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import tartan
from tartan_weightings.meta import Meta, MetaOptions
from tartan_weightings.static import Static, StaticOptions

CLASSES = {"digits": 5, "others": 5, "random": 10}
OWN = torch.tensor([1, 2, 3, 8, 9])
METHODS = {
    "end task alone": lambda: Static(StaticOptions(), ("digits",)),
    "static": lambda: Static(StaticOptions(), tuple(CLASSES)),
    "meta": lambda: Meta(MetaOptions(lr=0.1), tuple(CLASSES)),
}


class Block(nn.Module):
    """A pre-activation residual block (Zagoruyko and Komodakis, 2016), with group norm."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.skip = nn.Conv2d(inputs, width, 1, stride, bias=False)
        self.norms = nn.ModuleList([nn.GroupNorm(4, inputs), nn.GroupNorm(4, width)])

    def forward(self, x: Tensor) -> Tensor:
        """Map [images, inputs, side, side] to [images, width, side / stride, side / stride]."""
        active = self.norms[0](x).relu()
        return self.skip(active) + self.second(self.norms[1](self.first(active)).relu())


def network() -> nn.Sequential:
    """Return the shared body, from images [images, 1, 8, 8] to features [images, 64]."""
    blocks = [nn.Conv2d(1, 16, 3, padding=1), Block(16, 32, 1), Block(32, 64, 2)]
    return nn.Sequential(*blocks, nn.GroupNorm(4, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def mean_loss(logits: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean cross-entropy, []."""
    return functional.cross_entropy(logits, batch[1])


def train(method: str, seed: int, steps: int) -> tuple[float, float, list[float]]:
    """Return the accuracy on dev and on test, in percent, and the objectives' last weights."""
    torch.manual_seed(seed)
    pixels, digits = map(torch.tensor, load_digits(return_X_y=True))
    images = pixels.float().view(-1, 1, 8, 8) / 16
    own, mixed = torch.isin(digits, OWN), torch.randperm(len(images))
    labels, noise = torch.zeros_like(digits), torch.randint(10, (len(images),))
    for kind in own, ~own:  # each numbers its five digits from 0
        labels[kind] = torch.unique(digits[kind], return_inverse=True)[1]
    inside, others = mixed[own[mixed]], mixed[~own[mixed]]
    task, dev, test = inside[:10], inside[10:110], inside[110:]
    weighting, body = METHODS[method](), network()
    names = list(CLASSES)[: len(weighting.weights())]
    heads = {name: nn.Linear(64, CLASSES[name]) for name in names}
    shared = tartan.Shared(body.parameters())
    optimiser = torch.optim.AdamW([*body.parameters(), *nn.ModuleDict(heads).parameters()], lr=2e-3)
    for _ in range(steps):
        other = others[torch.randperm(len(others))[:32]]
        batches = {"digits": (images[task], labels[task]), "others": (images[other], labels[other])}
        batches["random"] = images[other], noise[other]
        terms = []
        for name, head in heads.items():
            loss = mean_loss(head(body(batches[name][0])), batches[name])
            terms.append(tartan.Term.of(loss, head.parameters()))
        held = None
        if tartan.Needs.DEV in weighting.needs:
            parts = [(images[i], labels[i]) for i in dev[torch.randperm(100)].split([32, 68])]
            probe, features = nn.Linear(64, 5), lambda batch: body(batch[0])
            held = tartan.dev_term(body, probe, features, mean_loss, *parts)
        weighting.update(tartan.backward(terms, weighting, shared, dev=held))
        optimiser.step()
    right = heads["digits"](body(images)).argmax(1) == labels
    found = (100 * right[rows].float().mean().item() for rows in (dev, test))
    return *found, weighting.weights().tolist()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for method in METHODS:
        for seed in range(options.seeds):
            *found, weights = train(method, seed, options.steps)
            row = [*(f"{each:.1f}" for each in found), ", ".join(f"{w:.2f}" for w in weights)]
            print(" | ".join([method, str(seed), *row]))
