from __future__ import annotations

import pytest
import torch

from r2ag.adapter.controls import DocumentProjector
from r2ag.errors import InputError
from r2ag.method.former import FormerConfig, R2Former

SIZES = {"llm_hidden_size": 24, "hidden_size": 32, "feed_forward_size": 64, "max_documents": 8, "slots": 2}


def small_former(**changes) -> R2Former:
    return R2Former(FormerConfig(**(SIZES | changes))).eval()


def unequal_batch(lengths: list[int], k: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(len(lengths), k, 3), torch.arange(k) < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("changes", [{}, {"layers": 2}, {"positions": False}])
def test_a_batch_of_unequal_lists_equals_one_at_a_time(changes, training):
    # In evaluation without gradients PyTorch takes another, fused, path than in training.
    former = small_former(**changes, dropout=0.0).train(training)
    lengths = [1, 8, 3, 5]
    features, mask = unequal_batch(lengths, 8)
    with torch.set_grad_enabled(training):
        together = former(features, mask)
        for row, k in enumerate(lengths):
            one = slice(row, row + 1), slice(0, k)
            alone = former(features[one], mask[one])
            torch.testing.assert_close(together.logits[one], alone.logits, atol=1e-6, rtol=1e-5)
            torch.testing.assert_close(together.anchors[one], alone.anchors, atol=1e-6, rtol=1e-5)


def test_shapes():
    former = small_former()
    output = former(*unequal_batch([3, 5], 5))
    assert output.logits.shape == (2, 5)
    assert output.anchors.shape == (2, 5, 2, 24)


def test_padding_never_influences_real_documents():
    former = small_former()
    features, mask = unequal_batch([2, 6], 6)
    spoilt = features.masked_fill(~mask[..., None], 1e6)
    before, after = former(features, mask), former(spoilt, mask)
    torch.testing.assert_close(after.logits[mask], before.logits[mask])
    torch.testing.assert_close(after.anchors[mask], before.anchors[mask])


def test_every_real_document_influences_every_other():
    former = small_former(dropout=0.0)
    features, mask = unequal_batch([4], 4)
    features.requires_grad_()
    for document in range(4):
        (gradient,) = torch.autograd.grad(former(features, mask).logits[0, document], features)
        assert (gradient[0].abs().sum(dim=-1) > 0).all()


def test_positions_tell_equal_documents_apart():
    features, mask = torch.zeros(1, 3, 3), torch.ones(1, 3, dtype=torch.bool)
    assert len(small_former()(features, mask).logits[0].unique()) == 3
    assert torch.allclose(small_former(positions=False)(features, mask).logits.diff(), torch.zeros(1, 2), atol=1e-6)


def test_more_documents_than_it_was_made_for_are_refused():
    former = small_former()
    assert former(*unequal_batch([8], 8)).logits.shape == (1, 8)
    with pytest.raises(InputError, match=r"9 documents are more than .* 8"):
        former(*unequal_batch([9], 9))


@pytest.mark.parametrize("changes", [{"heads": 3}, {"slots": 0}, {"layers": 0}, {"max_documents": 0}])
def test_impossible_sizes_are_refused(changes):
    with pytest.raises(InputError):
        FormerConfig(**(SIZES | changes))


def test_the_published_sizes_are_the_defaults():
    former = R2Former(FormerConfig(llm_hidden_size=24))
    layer = former.encoder.layers[0]
    assert (former.input.out_features, layer.self_attn.num_heads, len(former.encoder.layers)) == (256, 4, 1)
    assert (layer.linear1.out_features, layer.dropout.p) == (2048, 0.1)


def test_standardises_by_the_real_documents_of_training():
    former = small_former()
    features, mask = unequal_batch([3, 6], 6)
    features = features * torch.tensor([1.0, 5.0, 0.1]) + torch.tensor([0.0, -2.0, 9.0])
    former.standardise_by(features.masked_fill(~mask[..., None], torch.nan), mask)
    standard = (features[mask] - former.mean) / former.deviation
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(standard.std(dim=0, correction=0), torch.ones(3))
    assert {"mean", "deviation"} <= set(former.state_dict())


@pytest.mark.parametrize("k", [1, 4])
def test_a_feature_that_never_varies_stays_finite(k):
    former = small_former()
    features, mask = unequal_batch([k], k)
    features[..., 2] = 0.5
    former.standardise_by(features, mask)
    assert former(features, mask).logits.isfinite().all()


@pytest.mark.parametrize("scale", [0.02, 3.0])
def test_anchors_start_where_the_llms_own_embeddings_are(scale):
    former = small_former(hidden_size=64, llm_hidden_size=48)
    embeddings = scale * (torch.randn(500, 48) + torch.linspace(-20, 20, 48))
    former.scale_anchors_to(embeddings)
    anchors = former(*unequal_batch([8] * 50, 8)).anchors
    away = anchors.reshape(-1, 48) - embeddings.mean(dim=0)
    assert away.pow(2).mean().sqrt().item() == pytest.approx(scale, rel=0.3)


def test_the_heads_probability_moves_the_anchors_along_the_direction():
    former = small_former(relevance_direction=True)
    former.scale_anchors_to(torch.randn(100, 24))
    features, mask = unequal_batch([4, 2], 4)
    output = former(features, mask)
    probability = torch.rand(2, 4)
    moved = former(features, mask, probability)
    assert former.direction is not None
    step = (former.projection.weight @ former.direction).unflatten(0, (2, 24))
    expected = output.anchors + (probability - output.logits.sigmoid())[..., None, None] * step
    torch.testing.assert_close(moved.anchors[mask], expected[mask])
    assert torch.equal(moved.logits, output.logits)
    unknown = torch.full((2, 4), torch.nan)
    assert torch.equal(former(features, mask, unknown).anchors, output.anchors)


def test_the_answers_loss_moves_the_head_only_through_the_list():
    """L_QDM alone teaches the head itself, so that its logits stay a relevance."""
    former = small_former(relevance_direction=True)
    former.scale_anchors_to(torch.randn(100, 24))
    former(*unequal_batch([4], 4)).anchors.square().sum().backward()
    assert former.head.weight.grad is None
    assert former.direction is not None
    assert former.direction.grad is not None


def test_an_unknown_score_counts_as_the_training_mean():
    former = small_former(features=("relevance", "bm25"))
    features, mask = torch.rand(2, 4, 2) * 20, torch.ones(2, 4, dtype=torch.bool)
    features[0, 1, 1] = torch.nan
    former.standardise_by(features, mask)
    known = features[..., 1][~features[..., 1].isnan()]
    torch.testing.assert_close(former.mean[1], known.mean())
    torch.testing.assert_close(former.deviation[1], known.std(correction=0))
    filled = features.clone()
    filled[0, 1, 1] = former.mean[1]
    assert torch.equal(former(features, mask).logits, former(filled, mask).logits)


@pytest.mark.parametrize("features", [(), ("relevance", "relevance")])
def test_features_are_named_once(features):
    with pytest.raises(InputError, match="each named once"):
        small_former(features=features)


def test_a_projector_knows_each_document_alone():
    config = FormerConfig(24, features=("vector",), vector_size=16, slots=2)
    projector = DocumentProjector(config)
    projector.scale_anchors_to(0.1 * torch.randn(50, 24))
    vectors = torch.nn.functional.normalize(torch.randn(2, 5, 16), dim=-1)
    output = projector(vectors, torch.ones(2, 5, dtype=torch.bool))
    assert output.anchors.shape == (2, 5, 2, 24)
    assert not output.logits.any()
    assert 0.05 < output.anchors.std() < 0.2  # at the scale of the embeddings
    alone = projector(vectors[:, 3:4], torch.ones(2, 1, dtype=torch.bool))
    torch.testing.assert_close(alone.anchors, output.anchors[:, 3:4])


@pytest.mark.parametrize(
    "changes", [{"features": ("vector",)}, {"vector_size": 8}, {"features": ("vector", "relevance"), "vector_size": 8}]
)
def test_vectors_stand_alone_in_place_of_features(changes):
    with pytest.raises(InputError, match="stands alone"):
        FormerConfig(24, **changes)
