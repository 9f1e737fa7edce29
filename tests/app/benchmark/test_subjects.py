"""What is measured is a training step, and all variants in a network have its weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropout_lab.app.benchmark.steps import MEGABYTE, peak_megabytes
from dropout_lab.app.benchmark.subjects import LayerSubject, NetworkSubject, Setup, Workload, forget_masks
from dropout_lab.app.errors import UserError
from dropout_lab.models.dropout import Dropout
from dropout_lab.models.networks import Network

CPU = torch.device("cpu")
TINY = "FullyConnected(hidden=[20, 30])"


def tiny(variant: str = "NoDropout", setup: Setup | None = None) -> Workload:
    return NetworkSubject(TINY, (1, 4, 4), 7).workload(variant, setup or Setup(CPU))


def test_a_step_leaves_gradients_and_the_weights_where_they_were() -> None:
    torch.manual_seed(0)
    measured = tiny("StandardDropout(p=0.25)")
    network = measured.module
    assert isinstance(network, Network)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    measured.step()
    for parameter, old in zip(network.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
    images, target = measured.tensors[:2]
    assert images.shape == (7, 1, 4, 4)
    network.eval()
    loss = F.cross_entropy(network(images), target)
    assert loss.item() == pytest.approx(2.3, abs=0.3)


def test_variants_share_weights_but_for_their_own() -> None:
    whole = NetworkSubject(TINY, (1, 4, 4), 7)
    first, second, third = (
        whole.workload(name, Setup(CPU))
        for name in ("NoDropout", "VariationalDropout", "DropConnect(mask='batch')")
    )
    weights = dict(first.module.named_parameters())
    own = {name for name, parameter in second.module.named_parameters() if parameter is not weights.get(name)}
    assert own
    assert all("log_alpha" in name for name in own)
    assert [id(each) for each in third.module.parameters()] == [
        id(each) for each in first.module.parameters()
    ]


def test_a_layer_alone_runs_forward_and_backward() -> None:
    measured = LayerSubject(50, 8).workload("MalDrop(rho=3)", Setup(CPU))
    measured.step()
    units = measured.tensors[0]
    assert units.grad is not None
    assert (units.grad == 0).sum() == 3 * 8
    assert (units == 0).double().mean().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("subject", "variant", "reason"),
    [
        (LayerSubject(50), "DropConnect", "DropConnect masks weights"),
        (LayerSubject(50), "MalDropp", "no dropout variant 'MalDropp' for dropout; did you mean MalDrop?"),
        (LayerSubject(50), "MalDrop(rho=51)", "rho must be at most 50"),
        (LayerSubject(50), "MalDrop", "missing: .*rho"),
        (LayerSubject(50), "StandardDropout(p=1.5)", "p must be in"),
        (NetworkSubject("MalDropCNN", None, 2), "DropConnect", "cannot follow Conv2d"),
        (NetworkSubject("MalDropCNN", None, 2), "StandardDropout(q=1)", "no option .*q; .*p"),
        (NetworkSubject("GavierMNIST", (1, 27, 27), 2), "NoDropout", "multiple of 2"),
    ],
)
def test_what_cannot_be_measured_says_why(
    subject: LayerSubject | NetworkSubject, variant: str, reason: str
) -> None:
    with pytest.raises(UserError, match=reason) as error:
        subject.workload(variant, Setup(CPU))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ("GavierMIST", "no network 'GavierMIST' for network; did you mean GavierMNIST?"),
        ("GavierMNIST(p=1)", "no option network.p"),
        ("FullyConnected", "missing: .*hidden"),
    ],
)
def test_a_wrong_network_is_told_at_once(network: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        NetworkSubject(network, None, None)


def test_optimizer_and_batch_follow_from_the_class_however_it_is_named() -> None:
    for name in ("VGG16", "VGG16()", "dropout_lab.models.networks.VGG16(num_classes=3)"):
        assert NetworkSubject(name, None, None).batch_size == 32
    states = len(NetworkSubject("MalDropCNN", (1, 4, 4), 2).workload("NoDropout", Setup(CPU)).tensors)
    called = NetworkSubject("MalDropCNN(num_classes=10)", (1, 4, 4), 2).workload("NoDropout", Setup(CPU))
    # Images and labels: SGD keeps nothing.
    assert len(called.tensors) == states == 2


def test_all_masks_are_forgotten_those_within_a_chain_too() -> None:
    measured = LayerSubject(50, 8).workload("Chain(layers=[StandardDropout(), DropAct()])", Setup(CPU))
    layers = [each for each in measured.module.modules() if isinstance(each, Dropout)]
    assert [each.kept is None for each in layers] == [False] * 3
    forget_masks(measured.module)
    assert [each.kept is None for each in layers] == [True] * 3


def test_the_dropout_is_not_the_networks_to_say() -> None:
    with pytest.raises(UserError, match="the dropout comes from --variants"):
        NetworkSubject("GavierMNIST(dropout=DropAct())", None, None)


def test_autocast_reaches_the_network() -> None:
    seen = []
    measured = tiny(setup=Setup(CPU, precision="bf16"))
    linear = next(each for each in measured.module.modules() if isinstance(each, nn.Linear))
    linear.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    measured.step()
    measured.evaluate()
    assert seen == [torch.bfloat16] * 2


def test_the_peak_of_a_step_is_what_it_holds_at_a_time() -> None:
    numbers = 2**18
    kept = torch.zeros(numbers)

    def step() -> None:
        first = torch.ones(numbers)
        second = first + 1
        del first
        third = second * 2
        del second, third

    measured = Workload(nn.Linear(1, 1, bias=False), step, step, [kept, kept[10:]])
    # The tensor that is there, and two of the three: all of 1 MiB.
    assert peak_megabytes(measured, CPU) == pytest.approx(3 * 4 * numbers / MEGABYTE, rel=0.01)


def test_a_mask_of_floats_is_seen() -> None:
    with_none, with_noise = (
        peak_megabytes(LayerSubject(4096, 64).workload(name, Setup(CPU)), CPU)
        for name in ("NoDropout", "GaussianDropout")
    )
    assert with_noise > with_none + 1
