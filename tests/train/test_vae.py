"""Autoencoders of small pictures: each loss against its formula, bounds in their order, and files that cannot harm."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from nicodec.errors import BadFile, MissingExtra, NicError  # noqa: E402
from nicodec.train import figures, small, vae  # noqa: E402

SHORT = vae.Config(hidden=32, width=8, steps=4, batch=20)


@pytest.fixture(scope="module")
def drawn() -> small.Data:
    data = small.load("drawn")
    return small.Data(data.train[:300], data.train_labels[:300], data.test[:40], data.test_labels[:40])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# --- Losses


def test_cross_entropy_and_squared_error_are_sums_over_pixels() -> None:
    logits, x = torch.randn(3, 1, 4, 4), torch.rand(3, 1, 4, 4)
    s = 1 / (1 + torch.exp(-logits))
    entropy = -(x * s.log() + (1 - x) * (1 - s).log()).sum((1, 2, 3))
    assert torch.allclose(vae.distortion(logits, x, "bce"), entropy, atol=1e-4)
    assert torch.allclose(vae.distortion(logits, x, "mse"), ((s - x) ** 2).sum((1, 2, 3)), atol=1e-5)


@pytest.mark.parametrize(
    ("mu", "sd", "mu2", "sd2"), [(0.7, 0.3, 0.0, 1.0), (-1.0, 2.0, 0.5, 0.8), (0.0, 1.0, 0.0, 1.0)]
)
def test_kl_of_two_gaussians_is_the_integral(mu: float, sd: float, mu2: float, sd2: float) -> None:
    x = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    log_p, log_q = (
        -((x - m) ** 2) / (2 * s * s) - math.log(s * math.sqrt(2 * math.pi)) for m, s in ((mu, sd), (mu2, sd2))
    )
    integral = torch.trapezoid(log_p.exp() * (log_p - log_q), x)
    variances = [torch.tensor(2 * math.log(s), dtype=torch.float64) for s in (sd, sd2)]
    kl = vae.kl_normal(torch.tensor(mu, dtype=torch.float64), variances[0], mu2, variances[1])
    assert float(kl) == pytest.approx(float(integral), abs=1e-6)


def test_the_density_of_a_latent_is_that_of_torch() -> None:
    z, mu, logvar = torch.randn(3, 5, 4)
    expected = torch.distributions.Normal(mu, (logvar / 2).exp()).log_prob(z).sum(-1)
    assert torch.allclose(vae.log_normal(z, mu, logvar), expected, atol=1e-4)


def test_a_reparameterised_draw_has_its_mean_its_spread_and_its_gradient() -> None:
    mu = torch.full((20_000, 1), 3.0, requires_grad=True)
    logvar = torch.full((20_000, 1), math.log(0.25), requires_grad=True)
    z = vae.reparameterised(mu, logvar)
    assert z.mean().item() == pytest.approx(3.0, abs=0.02)
    assert z.std().item() == pytest.approx(0.5, abs=0.02)
    z.sum().backward()
    assert torch.equal(mu.grad, torch.ones_like(mu))
    assert torch.allclose(logvar.grad, (z - mu).detach() / 2, atol=1e-5)


def test_free_bits_are_a_floor_under_each_latent_and_stop_its_gradient() -> None:
    kl = torch.tensor([[0.0, 4.0], [0.2, 2.0]], requires_grad=True)
    loss = vae.free_bits(kl, 0.5)
    assert loss.item() == pytest.approx(0.5 + 3.0)
    loss.backward()
    assert kl.grad.tolist() == [[0, 0.5], [0, 0.5]]


def test_the_weight_of_the_kl_follows_its_schedule() -> None:
    assert [vae.beta_at(t, "constant", 2.0) for t in (0.0, 0.5, 1.0)] == [2, 2, 2]
    assert [vae.beta_at(t, "anneal", 2.0) for t in (0.0, 0.1, 0.2, 1.0)] == pytest.approx([0, 1, 2, 2])
    cyclic = [vae.beta_at(t, "cyclic", 1.0) for t in (0.0, 0.0625, 0.125, 0.2, 0.25, 0.3125, 1.0)]
    assert cyclic == pytest.approx([0, 0.5, 1, 1, 0, 0.5, 1])


def test_the_kl_to_a_rate_is_that_of_two_coins() -> None:
    activation = torch.tensor([[0.1, 0.9], [0.3, 0.5]])
    coins = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(0.05), torch.distributions.Bernoulli(torch.tensor([0.2, 0.7]))
    )
    assert float(vae.kl_to_rate(activation, 0.05)) == pytest.approx(float(coins.sum()), abs=1e-6)
    assert float(vae.kl_to_rate(torch.full((4, 3), 0.05), 0.05)) == pytest.approx(0, abs=1e-6)


def test_the_random_jacobian_norm_has_the_true_one_as_its_mean() -> None:
    weight, x = torch.randn(3, 6), torch.randn(20_000, 6, requires_grad=True)
    norm = vae.jacobian_norm(x @ weight.T, x)
    assert norm.mean().item() == pytest.approx(float(weight.square().sum()), rel=0.05)
    one = torch.randn(1, 6, requires_grad=True)
    assert vae.jacobian_norm(torch.tanh(one @ weight.T), one).requires_grad  # it is a loss: it has a gradient itself


def test_finite_scalars_take_each_level_and_no_other() -> None:
    z = torch.linspace(-6, 6, 4001)[:, None, None].expand(-1, 1, vae.TOKEN)
    rounded, code = vae.fsq(z)
    for number, levels in enumerate(vae.LEVELS):
        values = rounded[..., number].unique()
        assert len(values) == levels
        assert values.min() >= -1
        assert values.max() <= 1
    every, codes = vae.fsq(torch.randn(200_000, 1, vae.TOKEN) * 2)
    assert int(code.min()) >= 0
    assert len(codes.unique()) == math.prod(vae.LEVELS) == int(codes.max()) + 1
    assert len(every.flatten(0, 1).unique(dim=0)) == len(codes.unique())


def test_finite_scalars_pass_the_gradient_of_the_bound() -> None:
    z = torch.zeros(1, 1, vae.TOKEN, requires_grad=True)
    vae.fsq(z)[0].sum().backward()
    assert (z.grad > 0).all()


def test_a_codebook_takes_the_nearest_and_follows_the_mean() -> None:
    book = vae.Codebook(2)
    book.total.copy_(torch.tensor([[0.0] * 4, [1.0] * 4]))
    book.count.fill_(1)
    z = torch.tensor([[[0.2] * 4, [0.9] * 4]], requires_grad=True)
    near, commitment, code = book.eval()(z)
    assert code.tolist() == [[0, 1]]
    assert torch.allclose(near, torch.tensor([[[0.0] * 4, [1.0] * 4]]))
    assert commitment.item() == pytest.approx(4 * (0.2**2 + 0.1**2))
    (3 * near).sum().backward()
    assert torch.equal(z.grad, torch.full_like(z, 3))
    book.train()
    book(z.detach())
    assert torch.allclose(book.total[0] / book.count[0], torch.full((4,), 0.01 * 0.2 / (0.99 + 0.01)))


def test_a_dead_code_starts_again_at_a_token() -> None:
    book, z = vae.Codebook(5).train(), torch.randn(6, 2, 4)
    book(z)
    starts = {tuple(row.tolist()) for row in z.flatten(0, 1)}
    assert book.count.min() > 0.9
    assert len(starts) == 12
    assert (torch.cdist(book.total / book.count[:, None], z.flatten(0, 1)).min(1)[0] < 0.1).all()


# --- Bounds and figures


def test_the_elbo_is_not_above_the_importance_weighted_bound(drawn: small.Data) -> None:
    model = vae.fit(replace(SHORT, binarise=True), drawn)
    x = torch.bernoulli(drawn.test[:20].float() / 255)
    weights = figures.log_weights(model, x, drawn.test_labels[:20], 60)
    assert weights.shape == (20, 60)
    bounds = [weights.view(20, -1, k).logsumexp(2).mean() - math.log(k) for k in (1, 5, 60)]
    assert bounds[0] < bounds[1] < bounds[2]
    assert float(bounds[0]) == pytest.approx(float(weights.mean()), abs=1e-3)


def test_the_importance_weighted_bound_reaches_a_likelihood_that_is_known() -> None:
    """One pixel, a decoder that is flat: ln p(x) is the logarithm of its probability, whatever the encoder draws."""
    model = vae.Autoencoder(replace(SHORT, side=4, width=2)).requires_grad_(False)
    for p in model.decoder.parameters():
        p.zero_()
    x = torch.zeros(3, 1, 4, 4)
    weights = figures.log_weights(model, x, torch.zeros(3).long(), 4000)
    bound = weights.logsumexp(1) - math.log(4000)
    assert torch.allclose(bound, torch.full((3,), -16 * math.log(2)), atol=0.05)


def test_the_jacobian_is_that_of_the_encoder(drawn: small.Data) -> None:
    model = vae.Autoencoder(replace(SHORT, latent="contractive")).eval().requires_grad_(False)
    x, label = drawn.test[:3].float() / 255, drawn.test_labels[:3]
    one = torch.func.jacrev(lambda x: model.encode(x[None], label[:1])[0])
    expected = torch.stack([one(picture).norm() for picture in x])
    assert torch.allclose(figures.jacobians(model, x, label), expected, rtol=1e-4)


def test_slerp_keeps_to_the_circle() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    half = figures.slerp(a, b, 0.5)
    assert torch.allclose(half, torch.full((1, 2), math.sqrt(0.5)))
    assert torch.allclose(figures.slerp(a, b, 0.0), a, atol=1e-6)
    assert torch.allclose(figures.slerp(a, b, 1.0), b, atol=1e-6)


KINDS: list[dict[str, Any]] = [{"latent": kind} for kind in vae.LATENTS] + [
    {"latent": "plain", "net": "conv", "pool": pool} for pool in vae.POOLS
] + [
    {"free_bits": 0.1}, {"conditional": True, "schedule": "cyclic"}, {"norm": True, "dropout": 0.1, "width": 1},
    {"hole": 0.3, "loss": "mse"}, {"only": 0, "bf16": True, "net": "conv"},
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(str(value) for value in kind.values()))
def test_every_kind_is_trained_kept_measured_and_drawn(kind: dict[str, Any], drawn: small.Data, tmp_path: Path) -> None:
    model = vae.fit(replace(SHORT, **kind), drawn)
    vae.write_model(tmp_path / "m.vae", model, overwrite=False)
    back = vae.read_model(tmp_path / "m.vae")
    assert back.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), back.state_dict().values(), strict=True))
    found = figures.measure(back, drawn, samples=2, naming=2)
    assert all(math.isfinite(value) for value in found.values())
    for name in ("sample", "reconstruct", "interpolate", "traverse"):
        sheet = figures.sheet(back, name, drawn, columns=3)
        assert sheet.shape[1:] == (3, 1, 28, 28)
        assert 0 <= float(sheet.min()) <= float(sheet.max()) <= 1


@pytest.mark.parametrize("conditional", [False, True])
def test_a_flow_is_a_prior(conditional: bool, drawn: small.Data, tmp_path: Path) -> None:
    pytest.importorskip("zuko")
    model = vae.fit(replace(SHORT, prior="flow", conditional=conditional), drawn)
    vae.write_model(tmp_path / "m.vae", model, overwrite=False)
    back, label = vae.read_model(tmp_path / "m.vae"), drawn.test_labels[:5]
    z = torch.randn(5, 8)
    assert torch.equal(model.log_prior(z, label), back.log_prior(z, label))
    assert back.draw(label).shape == (5, 1, 28, 28)


def test_a_flow_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zuko.flows", None)
    with pytest.raises(MissingExtra, match=r"pip install 'nicodec\[recipes\]'"):
        vae.Autoencoder(replace(SHORT, prior="flow"))


def test_a_run_is_the_same_run_again(drawn: small.Data) -> None:
    first, second = (vae.fit(SHORT, drawn).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_lowers_the_error_and_ends_early_where_it_does_not(
    drawn: small.Data, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = replace(SHORT, latent="plain", steps=100, lr=5e-3)
    before, after = (figures.measure(vae.fit(replace(plain, steps=n), drawn), drawn) for n in (1, 100))
    assert after["squared error"] < 0.5 * before["squared error"]
    capsys.readouterr()
    vae.fit(replace(plain, patience=1, steps=100, dropout=0.9, lr=0.3), drawn)
    assert "ended early" in capsys.readouterr().err


def test_only_one_label_is_learnt_and_the_others_are_odd(drawn: small.Data) -> None:
    model = vae.fit(replace(SHORT, latent="plain", only=0, steps=150, lr=5e-3), drawn)
    assert figures.measure(model, drawn)["AUROC"] > 0.7


# --- Options, files, commands


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent": "kll"}, "latent is one of plain, kl"),
        ({"width": 0}, "width is 1 to 1024; 0 is not"),
        ({"width": True}, "width is"),
        ({"lr": float("nan")}, "lr is"),
        ({"free_bits": -1.0}, "free-bits is 0 to 100"),
        ({"latent": "vq", "width": 6}, "multiple of 4"),
        ({"latent": "plain", "prior": "flow"}, "a flow is a prior of the latent kl"),
        ({"side": 30}, "multiple of 4"),
    ],
)
def test_an_option_out_of_its_range_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NicError, match=message):
        vae.Config(**options)


def test_a_file_that_is_no_model_is_an_error(tmp_path: Path) -> None:
    path, model = tmp_path / "m.vae", vae.Autoencoder(SHORT)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    options = vae.asdict(SHORT)

    def refused(metadata: dict[str, str] | None, tensors: dict[str, Any]) -> None:
        save_file(tensors, path, metadata)
        with pytest.raises(BadFile, match=r"m\.vae: "):
            vae.read_model(path)

    refused(None, tensors)
    refused({"nicodec.vae": "[" * 100_000}, tensors)
    refused({"nicodec.vae": "[1]"}, tensors)
    refused({"nicodec.vae": json.dumps(options | {"width": 10**9})}, tensors)
    refused({"nicodec.vae": json.dumps(options | {"width": 9})}, tensors)
    refused({"nicodec.vae": json.dumps(options | {"more": 1})}, tensors)
    refused({"nicodec.vae": json.dumps(options)}, {k: v for k, v in tensors.items() if k != "head.bias"})
    refused({"nicodec.vae": json.dumps(options)}, tensors | {"head.bias": torch.zeros(1)})
    for data in (b"", b"\x80\x04.", bytes(100)):
        path.write_bytes(data)
        with pytest.raises(BadFile, match=r"m\.vae: not a model"):
            vae.read_model(path)


def test_the_program_goes_from_pictures_to_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["--hidden", "16", "--steps", "3", "--batch", "10"]
    vae.main(["train", "drawn", "-o", "m.vae", "--width", "2", *few])
    vae.main(["measure", "m.vae", "drawn", "--samples", "2", "--most", "20"])
    assert json.loads(capsys.readouterr().out)["NLL"] > 0
    for command in ("sample", "grid"):
        vae.main([command, "m.vae", "-o", f"{command}.png"])
    for command in ("reconstruct", "interpolate", "traverse"):
        vae.main([command, "m.vae", "drawn", "-o", f"{command}.png"])
    vae.main(["elbow", "drawn", "-o", "elbow.png", "--latent", "plain", "--widths", "1", "2", *few])
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in tmp_path.glob("*.png"))
    assert len(list(tmp_path.glob("*.png"))) == 6
    with pytest.raises(NicError, match=r"m\.vae: exists already"):
        vae.main(["train", "drawn", "-o", "m.vae", *few])
    with pytest.raises(NicError, match=r"there is no folder missing"):
        vae.main(["train", "drawn", "-o", "missing/m.vae", *few])


def test_a_model_of_other_pictures_is_refused(drawn: small.Data) -> None:
    model = vae.Autoencoder(replace(SHORT, side=32))
    for use in (lambda: figures.measure(model, drawn), lambda: figures.sheet(model, "reconstruct", drawn)):
        with pytest.raises(NicError, match="another size"):
            use()
    with pytest.raises(NicError, match="width 2"):
        figures.sheet(model, "grid", small.NONE)


@pytest.mark.parametrize(("samples", "most"), [(-5, 10), (0, 0), (0, -1)])
def test_an_impossible_number_of_draws_or_pictures_is_an_error(drawn: small.Data, samples: int, most: int) -> None:
    with pytest.raises(NicError, match="at least"):
        figures.measure(vae.Autoencoder(SHORT), drawn, samples, most)


def test_a_width_that_cannot_be_is_an_error_before_the_first_run(
    drawn: small.Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "fit", lambda *_: pytest.fail("a run was begun"))
    with pytest.raises(NicError, match="multiple of 4, not 6"):
        figures.elbow(replace(SHORT, latent="vq"), drawn, [4, 6])
    with pytest.raises(NicError, match="width is 1 to 1024"):
        figures.elbow(SHORT, drawn, [1, 2000])


def test_one_hot_labels_reach_encoder_and_decoder() -> None:
    model = vae.Autoencoder(replace(SHORT, conditional=True, labels=4)).eval()
    x, z = torch.rand(1, 1, 28, 28).expand(4, -1, -1, -1), torch.zeros(4, 8)
    label = torch.arange(4)
    assert len(model.encode(x, label).unique(dim=0)) == 4
    assert len(model.decode(z, label).flatten(1).unique(dim=0)) == 4
    assert torch.equal(torch.eye(4)[label], F.one_hot(label, 4).float())


def test_without_torch_the_program_names_the_extra() -> None:
    code = "import runpy, sys; sys.modules['torch'] = None; runpy.run_module('nicodec.train.vae', run_name='__main__')"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.returncode == 1
    assert shown.stderr == "training needs torch: pip install 'nicodec[train]'\n"
