"""Random choices are functions of (seed, purpose), and do not change the generators of others."""

import pytest
import torch

from tartan.seeding import seeded


def test_of_several_gpus_only_the_current_ones_generator_is_seeded_and_restored(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
):
    """The others are other processes', and torch warns where all are read."""
    done: list[tuple[str, object]] = []
    states = {device: torch.tensor([device]) for device in range(8)}

    def read(device: int) -> torch.Tensor:
        done.append(("read", device))
        return states[device]

    def restore(state: torch.Tensor, device: int) -> None:
        done.append(("restore", device))
        assert state is states[device]

    cuda = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: len(states),
        "current_device": lambda: 3,
        "get_rng_state": read,
        "set_rng_state": restore,
        "manual_seed": lambda _: done.append(("seed", 3)),
        "manual_seed_all": lambda _: done.append(("seed", "all")),
    }
    for name, stand_in in cuda.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch.random, "_fork_rng_warned_already", False)
    before = torch.get_rng_state()
    with seeded(0, "order"):
        first = torch.rand(2)
    assert done == [("read", 3), ("seed", 3), ("restore", 3)]
    assert torch.get_rng_state().equal(before)
    assert not recwarn.list
    with seeded(0, "order"):
        assert torch.rand(2).equal(first)
