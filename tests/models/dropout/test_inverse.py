"""A table of cells against a search."""

import pytest
import torch
from torch import Tensor

from dropout_lab.models.dropout.multinomial import first_above


def numbers(kind: str) -> Tensor:
    if kind == "many alike":
        return torch.ones(200, dtype=torch.float64)
    if kind == "one is nearly all":
        return torch.cat([torch.full((300,), 1e-12), torch.ones(1), torch.full((300,), 1e-12)]).double()
    if kind == "most are 0":
        return torch.zeros(500, dtype=torch.float64).index_fill(0, torch.tensor([3, 77, 499]), 0.5)
    if kind == "the last are 0":
        return torch.cat([torch.rand(50, dtype=torch.float64), torch.zeros(50, dtype=torch.float64)])
    if kind == "one":
        return torch.tensor([2.5], dtype=torch.float64)
    return torch.rand(1000, dtype=torch.float64)


@pytest.mark.parametrize(
    "kind", ["many alike", "one is nearly all", "most are 0", "the last are 0", "one", "random"]
)
def test_equals_a_search(kind: str) -> None:
    cumulated = numbers(kind).cumsum(0)
    points = torch.rand(40, 500, dtype=torch.float64) * cumulated[-1]
    # The cumulated numbers themselves, the very ends, and what rounding may put beyond.
    edges = torch.cat(
        [cumulated, torch.zeros(1, dtype=torch.float64), cumulated[-1:].nextafter(torch.tensor(1e9))]
    )
    for each in (points, edges, cumulated.nextafter(torch.tensor(0.0, dtype=torch.float64)).clamp(min=0)):
        expected = torch.searchsorted(cumulated, each, right=True).clamp(max=len(cumulated) - 1)
        assert torch.equal(first_above(cumulated, each), expected)
