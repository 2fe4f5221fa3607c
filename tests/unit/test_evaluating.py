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
