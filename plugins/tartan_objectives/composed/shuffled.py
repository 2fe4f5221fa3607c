"""Shuffled token detection: which tokens of a text were moved."""

from collections.abc import Mapping
from dataclasses import dataclass

from tartan import Context, CorpusOptions
from tartan_objectives.composed.objective import Composed
from tartan_objectives.composed.options import ComposedOptions


@dataclass
class ShuffledOptions(CorpusOptions):
    """Options of `shuffled`.

    Attributes:
        share: share of tokens that are shuffled, in (0, 1]; special tokens never are.
    """

    share: float = 0.15


class Shuffled(Composed):
    """Detect shuffled tokens (Panda et al., NAACL SRW 2021, who shuffle words). Items: all tokens.

    15 % of a text's tokens are permuted among themselves, and each token is classified as moved or
    not. It is `composed` with transform=shuffle, attention=both and output=changed; unlike `rtd` it
    needs no generator.
    """

    Options = ShuffledOptions  # type: ignore[assignment]  # fewer options than its base

    def __init__(self, options: ShuffledOptions, context: Context) -> None:
        super().__init__(composed(options), context)

    @classmethod
    def factors(cls, options: ShuffledOptions) -> Mapping[str, str]:  # type: ignore[override]
        """Return the four choices."""
        return Composed.factors(composed(options))


def composed(options: ShuffledOptions) -> ComposedOptions:
    """Return the options of `composed` that `shuffled` stands for."""
    return ComposedOptions(
        options.corpus, options.mix_temperature, "shuffle", options.share, "both", "changed"
    )
