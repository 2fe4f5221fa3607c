import pytest
from torch import nn

from tartan.evaluating import evaluating


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_restored_after_an_error_too(training):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train(training)

    def fail():
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert all(module.training == training for module in model.modules())


def test_each_module_gets_its_own_mode_back():
    """As a BatchNorm whose statistics are kept, with a part that trains."""
    kept = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    model = nn.Sequential(nn.Linear(2, 2), kept, nn.Dropout())
    kept.eval()
    kept[1].train()
    before = [module.training for module in model.modules()]
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == before
