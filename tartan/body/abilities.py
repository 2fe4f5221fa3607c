"""Abilities of a body that only some objectives need. Each is verified when one first asks."""

from collections.abc import Callable, Mapping
from typing import Literal

from torch import Tensor

from tartan.body.direction import reason_against_causal
from tartan.body.verification import reason_against_embeddings, reason_against_places
from tartan.packed import Packed

Ability = Literal["causal", "backwards", "places", "embeddings"]
ABILITIES: Mapping[Ability, str] = {
    "causal": "read left to right",
    "backwards": "read the tokens of a text backwards",
    "places": "read the tokens of a text in another order",
    "embeddings": "read token embeddings",
}
"""What a body with each ability can do, as errors say it."""


def reason_against(
    ability: Ability,
    read: Callable[[Packed, Tensor | None], Tensor],
    embed: Callable[[Packed], Tensor],
    packed: Packed,
) -> str | None:
    """Verify an ability; return the reason why a body does not have it, None if it does.

    Args:
        ability: which.
        read: from sequences, and perhaps their embeddings [tokens, width], to hidden states
            [tokens, hidden], of a model in eval mode.
        embed: from sequences to their embeddings.
        packed: sequences of `trial`.
    """
    if ability == "embeddings":
        return reason_against_embeddings(read, embed, packed)
    if ability == "causal":
        return reason_against_causal(lambda sequences: read(sequences, None), packed)
    backwards = ability == "backwards"
    return reason_against_places(
        lambda sequences: read(sequences, None), packed, backwards=backwards
    )
