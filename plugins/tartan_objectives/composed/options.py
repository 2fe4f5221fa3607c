"""The four choices of `composed`, and which combinations have a meaning."""

from dataclasses import dataclass

from tartan import ConfigError, CorpusOptions, check_choice, check_ranges

TRANSFORMS = ("none", "mask", "replace", "bert", "shuffle")
ATTENTIONS = ("both", "left_to_right", "right_to_left", "random")
OUTPUTS = ("original", "all", "next", "changed")


@dataclass
class ComposedOptions(CorpusOptions):
    """Options of `composed`; the defaults are BERT's masked language modelling.

    Attributes:
        transform: what is done to the chosen tokens: `none`; `mask`, replaced by the mask token;
            `replace`, by random tokens; `bert`, 80 % masked, 10 % replaced, 10 % unchanged; or
            `shuffle`, permuted among themselves within each text.
        share: share of tokens that are chosen, in (0, 1]; special tokens never are.
        attention: the tokens that a token attends to: `both`, all of its text; `left_to_right`,
            earlier ones; `right_to_left`, later ones; or `random`, those before it in an order of
            the text that each batch samples again.
        output: what is predicted: `original`, the original tokens at the chosen places; `all`, the
            original tokens at all places; `next`, each next token in the order of attention; or
            `changed`, which tokens differ from the original.
    """

    transform: str = "bert"
    share: float = 0.15
    attention: str = "both"
    output: str = "original"


def illegal(transform: str, attention: str, output: str) -> str | None:
    """Return why a combination has no meaning; None if it has one."""
    if transform == "none" and output != "next":
        return f"nothing is changed, so output={output} has nothing to predict: set output=next"
    if output == "next" and attention == "both":
        return "each token sees the next one: set attention=left_to_right, right_to_left or random"
    if output == "next" and transform == "shuffle":
        return "the next token may have been shuffled before this one: set another transform"
    if output == "changed" and transform in ("mask", "bert"):
        return "a mask token tells that it was changed: set transform=replace or shuffle"
    return None


def check(options: ComposedOptions, where: str) -> None:
    """Raise ConfigError unless the options' values are valid together."""
    choices = {"transform": TRANSFORMS, "attention": ATTENTIONS, "output": OUTPUTS}
    for key, valid in choices.items():
        check_choice(f"{where}.{key}", getattr(options, key), valid)
    check_ranges(where, options, share="(0, 1]")
    reason = illegal(options.transform, options.attention, options.output)
    if reason is not None:
        raise ConfigError(
            f"{where}: transform={options.transform}, attention={options.attention} and "
            f"output={options.output} cannot be combined: {reason}."
        )
