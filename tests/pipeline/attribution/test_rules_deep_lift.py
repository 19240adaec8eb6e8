"""DeepLIFT's multipliers: those of Captum where it can, and exactly complete where it cannot."""

import pytest
import torch
from captum.attr import DeepLift as Captum
from torch import nn
from torch.nn import functional

from pipeline.attribution._rules import NoRuleError, deep_lift_gradient


def maps(rows=5, channels=3, size=6):
    return torch.randn(rows, channels, size, size, dtype=torch.float64)


def gap(forward, inputs, reference):
    """Return the largest miss of the contributions' sums, as a share of the mean difference."""
    multipliers = deep_lift_gradient(forward, inputs, reference)
    assert multipliers.shape == inputs.shape
    with torch.no_grad():
        whole = forward(inputs.clone()) - forward(reference.expand_as(inputs).clone())
    found = ((inputs - reference) * multipliers).flatten(1).sum(1)
    assert whole.abs().min() > 0
    return float((found - whole).abs().max() / whole.abs().mean())


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.Softplus, nn.LeakyReLU])
@pytest.mark.parametrize("pool", [nn.AvgPool2d, nn.MaxPool2d])
def test_it_is_captums_where_modules_are_used_once(activation, pool):
    # Captum's contributions do not add up where an activation is the neighbour of a maximum.
    middle = nn.Sequential() if pool is nn.MaxPool2d else nn.Sequential(activation(), nn.Conv2d(4, 4, 1), activation())
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), pool(2), *middle, nn.Flatten(), nn.Linear(36, 5), activation(), nn.Linear(5, 1)
    ).double()
    inputs, reference = maps(), maps(1)
    expected = Captum(net).attribute(inputs, reference.expand_as(inputs).clone(), target=0)
    found = (inputs - reference) * deep_lift_gradient(lambda x: net(x)[:, 0], inputs, reference)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)
    assert expected.abs().max() > 0


NORMS = [
    nn.Identity(),
    nn.GroupNorm(2, 6),
    nn.InstanceNorm2d(6, affine=True),
    nn.InstanceNorm2d(6, track_running_stats=True),
    nn.LayerNorm((6, 6)),
    nn.RMSNorm((6, 6)),
    nn.BatchNorm2d(6),
]
ACTIVATIONS = [
    nn.ReLU(inplace=True), nn.SiLU(inplace=True), nn.GELU(), nn.Softplus(), nn.PReLU(6), nn.Mish(), nn.Hardtanh(),
    nn.Softmax(1), nn.LogSoftmax(2), nn.MaxPool2d(3, 2, padding=1), nn.AdaptiveMaxPool2d(2), nn.GLU(2),
]  # fmt: skip


@pytest.mark.parametrize("norm", NORMS, ids=lambda module: type(module).__name__)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_contributions_add_up_behind_norms_and_activations(norm, activation):
    for module in (norm, activation):
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), norm, activation, nn.Conv2d(6, 2, 1), nn.Tanh())
    net = net.double().eval()
    net[0].weight.data *= 3
    assert gap(lambda x: net(x).sum((1, 2, 3)), maps(), maps(1)) < 1e-10


FUNCTIONS = {
    "product": lambda x: x[:, 0] * x[:, 1].exp() * x[:, 2].sin(),
    "square by itself": lambda x: x[:, 0] * x[:, 0],
    "quotient": lambda x: x[:, 0] / (x[:, 1] ** 2 + 1) + 1 / (2 + x[:, 2].square()),
    "power": lambda x: 2.0 ** x[:, 0] + x[:, 1].abs().sqrt() + (x[:, 2] ** 2 + 1) ** -0.5,
    "matrices": lambda x: (x[:, 0] @ x[:, 1].mT).softmax(-1) @ x[:, 2],
    "einsum": lambda x: torch.einsum("rij,rjk->rik", x[:, 0], x[:, 1]),
    "convolution with weights of the input": lambda x: torch.cat(
        [functional.conv2d(one[None, :1], one[None, 1:2, :3, :3], one[2, 0, :1]) for one in x]
    ),
    "maximum": lambda x: torch.maximum(x[:, 0], x[:, 1]) * x[:, 2].amax((1, 2), keepdim=True),
    "minimum": lambda x: torch.min(x[:, 0], x[:, 1]) + x[:, 2].min(dim=1, keepdim=True).values,
    "maximum and a number": lambda x: torch.maximum(x[:, 0], torch.tensor(0.3)) + x[:, 1].clamp(-0.5, 0.2),
    "moments": lambda x: x[:, 0] / x[:, 1].std((1, 2), keepdim=True) + x[:, 2].var(dim=2, correction=0)[:, None],
    "likelihoods": lambda x: x.logsumexp(1) + functional.logsigmoid(x[:, 0]) + x[:, 1].log_softmax(1),
    "interpolation": lambda x: functional.interpolate(x, scale_factor=2, mode="bicubic").exp(),
    "written in place": lambda x: x.mul_(2.0).sigmoid_().add_(x.new_ones(())).mul_(x[:, :1].clone()),
    "written into a part": lambda x: written(x),
    "written to another": lambda x: torch.mul(x[:, 0].exp(), x[:, 1].exp(), out=torch.empty(0, dtype=x.dtype)),
    "kept from the gradient": lambda x: (x - x.detach().amax((2, 3), keepdim=True)).exp() * x.data,
    "computed without a gradient": lambda x: without(x),
    "step of a third order": lambda x: torch.lerp(x[:, 0], x[:, 1], x[:, 2].sigmoid()),
    "mask that moves": lambda x: torch.where(x[:, 0] > 0, x[:, 0], 0.1 * x[:, 0]) + x.where(x > 0, torch.zeros(())).sum(1),
}  # fmt: skip


def written(x):
    whole = x.new_zeros(len(x), 4, *x.shape[2:])
    part = whole[:, 1]
    whole[:, 0] = x[:, 0].exp()
    part.copy_(x[:, 1])  # `whole` does not come up in this call
    whole[:, 2:3] += part[:, None].tanh() * whole[:, :1]
    return whole


def without(x):
    with torch.no_grad():
        size = x.square().mean((1, 2, 3), keepdim=True).sqrt()
    return x / size


@pytest.mark.parametrize("name", FUNCTIONS)
def test_contributions_add_up_behind_functions(name):
    assert gap(lambda x: FUNCTIONS[name](x * 1.0).flatten(1).mean(1), maps(), maps(1)) < 1e-10


def test_a_linear_network_gives_its_weights():
    convolve, carry = nn.Conv2d(3, 2, 3).double(), nn.ConvTranspose2d(2, 2, 2, stride=2).double()
    index = torch.tensor([1, 0, 1])

    def forward(x):
        wide = functional.pad(x, (1, 1, 1, 1), mode="circular")
        inner = functional.avg_pool2d(convolve(wide), 2).index_select(1, index[:2])
        outer = functional.interpolate(carry(inner), scale_factor=2, mode="bilinear")
        return torch.cat([outer.flip(2), outer[:, :1]], 1).cumsum(2).sum((1, 2, 3)) - 3.0

    inputs, reference = maps(), maps(1)
    point = inputs.clone().requires_grad_()
    weights = torch.autograd.grad(forward(point).sum(), point)[0]
    torch.testing.assert_close(deep_lift_gradient(forward, inputs, reference), weights)


def test_what_a_network_ignores_gets_exactly_nothing():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Flatten(), nn.Linear(64, 1)).double()
    found = deep_lift_gradient(lambda x: net(x[:, 1:2])[:, 0], maps(), maps(1))
    assert found[:, 1].abs().min() > 0
    assert (found[:, [0, 2]] == 0).all()


def test_a_network_of_constants_gets_zeros():
    assert (deep_lift_gradient(lambda x: torch.ones(len(x)), maps(), maps(1)) == 0).all()


def test_the_larger_winner_takes_the_difference_of_two_maxima():
    inputs, reference = torch.tensor([[1.0, 5.0], [1.0, 0.0]]), torch.tensor([[3.0, 0.0], [3.0, 0.0]])
    found = deep_lift_gradient(lambda x: x.amax(1), inputs, reference)
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.4], [1.0, 0.0]]))


def test_near_a_reference_the_slope_is_the_derivative():
    inputs = torch.tensor([[1.0], [1.0 + 1e-6], [1.0]])
    reference = torch.tensor([[1.0], [1.0], [1.0 - 1e-7]])
    found = deep_lift_gradient(lambda x: x[:, 0].exp() + x[:, 0].sigmoid(), inputs, reference)
    torch.testing.assert_close(found, torch.full((3, 1), 2.91489), rtol=1e-5, atol=0)


def test_what_does_not_change_has_no_part_however_steep_it_is():
    found = deep_lift_gradient(lambda x: x.sqrt().sum(1), torch.tensor([[0.0, 4.0]]), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.0, 1 / 3]]))


def test_logits_far_apart_and_masked_ones_keep_the_softmax_finite():
    def forward(x):
        return x.masked_fill(torch.tensor([False, False, True]), -torch.inf).softmax(1)[:, 0]

    inputs, reference = torch.tensor([[2000.0, 0.0, 1.0]]), torch.tensor([[0.0, 3000.0, 5.0]])
    found = deep_lift_gradient(forward, inputs, reference)
    assert found.isfinite().all()
    torch.testing.assert_close(((inputs - reference) * found).sum(), torch.tensor(1.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_is_kept_though_the_answer_may_be_wider(dtype):
    weight = torch.randn(3, 1, dtype=torch.float64)
    found = deep_lift_gradient(
        lambda x: (x.tanh().double() @ weight)[:, 0], torch.randn(4, 3).to(dtype), torch.zeros(3)
    )
    assert found.dtype == dtype


JUMPS = {
    "other constants of mul": lambda x: (x > 0).double() * x.exp(),
    "other constants of getitem": lambda x: x.exp()[torch.arange(len(x)), x.argmax(1)][:, None],
    "other constants of getitem for the reference than": lambda x: x.exp()[x > 0].sum() + x,
    "a choice that jumps": lambda x: torch.where(x > 0, x.clamp(1, 1) + 1, 0.0),
    "changes without a gradient": lambda x: (x > 0).double(),
    "exp for the reference|for the input": lambda x: x.exp() if bool((x > 0.5).all()) else x.sin(),
    "other constants of add": lambda x: x + torch.rand(()),
}


@pytest.mark.parametrize("said", JUMPS)
def test_what_changes_by_no_gradient_is_refused(said):
    inputs, reference = torch.ones(2, 3, dtype=torch.float64), -torch.ones(1, 3, dtype=torch.float64)
    inputs[:, 1] = 2.0
    with pytest.raises(NoRuleError, match=said):
        deep_lift_gradient(lambda x: JUMPS[said](x).sum(1), inputs, reference)


def test_calls_that_one_pass_alone_makes_are_refused():
    def forward(x, sign):
        whole = x.sum(1)
        return whole if bool((sign * x > 0).all()) else whole.sin()

    inputs, reference = torch.ones(2, 3), -torch.ones(1, 3)
    with pytest.raises(NoRuleError, match="3 calls for the reference and 2 for the input"):
        deep_lift_gradient(lambda x: forward(x, 1), inputs, reference)
    with pytest.raises(NoRuleError, match="sin for the input after all calls for the reference"):
        deep_lift_gradient(lambda x: forward(x, -1), inputs, reference)


def test_a_constant_that_is_overwritten_later_is_compared_as_it_was():
    def forward(x):
        counter = torch.zeros(())
        first = x + counter
        counter += 1.0
        return (first.exp() * counter).sum(1)

    assert gap(forward, torch.randn(4, 3), torch.zeros(1, 3)) < 1e-5
