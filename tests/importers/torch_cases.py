"""Models and functions of PyTorch, generic ones and at ties: real tensors are parameters, and integers data."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)


class Held(nn.Module):
    """A function of tensors as a module: real tensors are its parameters, and the others its inputs.

    Of several results, it returns the first.
    """

    def __init__(self, function: Callable[..., Any], tensors: tuple[torch.Tensor, ...]) -> None:
        super().__init__()
        self.function = function
        self.real = [tensor.is_floating_point() for tensor in tensors]
        self.held = nn.ParameterList([nn.Parameter(t.clone()) for t in tensors if t.is_floating_point()])
        self.given = tuple(tensor for tensor in tensors if not tensor.is_floating_point())

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        held, given = iter(self.held), iter(inputs)
        result = self.function(*[next(held) if real else next(given) for real in self.real])
        return result[0] if isinstance(result, tuple) else result


class Cnn(nn.Module):
    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.first, self.pool = nn.Conv2d(1, 4, 3, padding=1), pool
        self.second, self.last = nn.Conv2d(4, 4, 3), nn.Linear(4, 10)

    def forward(self, a):
        return self.last(torch.flatten(self.pool(F.relu(self.second(self.pool(F.relu(self.first(a)))))), 1))


class Recurrent(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, a):
        h = torch.zeros(a.shape[0], 4, dtype=a.dtype)
        h = (h, h) if isinstance(self.cell, nn.LSTMCell) else h
        for t in range(3):
            h = self.cell(a[:, t], h)
        return h[0] if isinstance(h, tuple) else h


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))
        self.norm = nn.LayerNorm(8)

    def forward(self, a):
        b, t, _ = a.shape
        q, k, v = (layer(a).view(b, t, 2, 4).transpose(1, 2) for layer in (self.q, self.k, self.v))
        weights = torch.softmax(q @ k.transpose(-1, -2) / 2.0, -1)
        return self.norm(a + self.o((weights @ v).transpose(1, 2).reshape(b, t, 8)))


class Embedded(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(10, 4, **options), nn.Linear(4, 3)

    def forward(self, i):
        return self.last(self.table(i).mean(1))


class InPlace(nn.Module):
    """Operations that write into tensors, and into views of them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)

    def forward(self, a):
        h = self.first(a)
        F.relu(h[:, :2], inplace=True)
        out = torch.zeros(a.shape[0], 6, dtype=a.dtype)
        out[:, :4] = h
        out[:, 4:] += h[:, 1:3] * 2
        return out.mul_(3.0)


def models() -> dict[str, tuple[Any, tuple[torch.Tensor, ...]]]:
    """Return modules, or functions of tensors, with their arguments."""
    torch.manual_seed(0)

    def x(*shape):
        return torch.randn(*shape, dtype=torch.float64)

    y = torch.tensor([1, 2])
    heads = nn.MultiheadAttention(4, 2, batch_first=True).double()
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    listed = {
        "mlp relu": (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), (x(2, 4),)),
        "mlp of activations": (
            nn.Sequential(
                nn.Linear(4, 4),
                nn.GELU(),
                nn.SiLU(),
                nn.Tanh(),
                nn.LeakyReLU(),
                nn.ELU(),
                nn.SELU(),
                nn.Softplus(),
                nn.Hardtanh(-2.0, 2.0),
                nn.ReLU6(),
                nn.Hardswish(),
            ),
            (x(2, 4),),
        ),
        "other activations": (
            lambda a: torch.stack(
                [
                    F.mish(a),
                    F.celu(a, 2.0),
                    F.gelu(a, approximate="tanh"),
                    F.logsigmoid(a),
                    F.softsign(a),
                    F.sigmoid(a),
                    F.tanhshrink(a),
                    F.hardshrink(a),
                    F.softshrink(a),
                    F.threshold(a, 0.1, 2.0),
                    F.softplus(a, 2.0),
                    F.rrelu(a),
                    torch.sinc(a),
                    torch.erf(a),
                    torch.exp2(a),
                    torch.expm1(a),
                    torch.cosh(a),
                ]
            ),
            (x(8),),
        ),
        "hardsigmoid": (F.hardsigmoid, (x(8),)),
        "prelu": (nn.PReLU(), (x(2, 4),)),
        "prelu of channels": (nn.PReLU(4), (x(2, 4, 3),)),
        "cnn max_pool": (Cnn(nn.MaxPool2d(2)), (x(2, 1, 10, 10),)),
        "cnn avg_pool": (Cnn(nn.AvgPool2d(2)), (x(2, 1, 10, 10),)),
        "convolution with everything": (
            nn.Conv2d(4, 6, 3, stride=2, padding=(1, 2), dilation=(1, 2), groups=2),
            (x(1, 4, 7, 8),),
        ),
        "convolution, padding same": (nn.Conv1d(2, 3, 4, padding="same"), (x(2, 2, 8),)),
        "transposed convolution": (
            nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
            (x(1, 4, 3, 2),),
        ),
        "inverse functions": (
            lambda a: torch.asinh(a) + torch.acosh(a * a + 1.5) + torch.atanh(a / 9) + torch.logit(torch.sigmoid(a)),
            (x(4),),
        ),
        "tensordot, var_mean": (
            lambda a, b: torch.tensordot(a, b, dims=([1], [0])) + torch.var_mean(a, 1)[0][:, None],
            (x(2, 3), x(3, 2)),
        ),
        "conv1d": (nn.Conv1d(2, 3, 3), (x(2, 2, 8),)),
        "max_pool with padding": (lambda a: F.max_pool2d(a, 3, 2, 1, ceil_mode=True), (x(1, 2, 6, 7),)),
        "avg_pool with padding": (lambda a: F.avg_pool2d(a, 3, 2, 1), (x(1, 2, 6, 7),)),
        "avg_pool without the padding": (lambda a: F.avg_pool1d(a, 3, 2, 1, count_include_pad=False), (x(1, 2, 7),)),
        "adaptive avg pool": (nn.AdaptiveAvgPool2d((1, 3)), (x(2, 4, 6, 6),)),
        "adaptive max pool": (nn.AdaptiveMaxPool1d(2), (x(2, 4, 6),)),
        "layer_norm": (nn.LayerNorm(4), (x(2, 4),)),
        "group_norm": (nn.GroupNorm(2, 4), (x(2, 4),)),
        "rms_norm": (nn.RMSNorm(4), (x(2, 4),)),
        "instance_norm": (nn.InstanceNorm1d(3, affine=True), (x(2, 3, 5),)),
        "batch_norm eval": (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), (x(2, 1, 6, 6),)),
        "dropout eval": (nn.Dropout(0.5), (x(2, 4),)),
        "softmax": (nn.Softmax(-1), (x(2, 4),)),
        "log_softmax": (nn.LogSoftmax(-1), (x(2, 4),)),
        "cross_entropy": (F.cross_entropy, (x(2, 4), y)),
        "cross_entropy smoothed": (lambda a, b: F.cross_entropy(a, b, label_smoothing=0.1), (x(2, 4), y)),
        "cross_entropy weighted": (lambda a, b: F.cross_entropy(a, b, torch.arange(1.0, 5.0).double()), (x(2, 4), y)),
        "cross_entropy with everything": (
            lambda a, b: F.cross_entropy(a, b, torch.arange(1.0, 5.0).double(), ignore_index=1, label_smoothing=0.2),
            (x(3, 4), torch.tensor([1, 2, 0])),
        ),
        "cross_entropy of known labels": (
            lambda a: F.cross_entropy(a, torch.tensor([2, -100, 0]), label_smoothing=0.2),
            (x(3, 4),),
        ),
        "nll with weights": (
            lambda a, b: F.nll_loss(a, b, torch.arange(1.0, 5.0).double()),
            (x(3, 4), torch.tensor([1, 2, 0])),
        ),
        "copysign": (lambda a: torch.copysign(a, torch.tensor([1.0, -1.0, 2.0]).double()), (x(3),)),
        "cross_entropy of images": (F.cross_entropy, (x(2, 3, 2), torch.tensor([[0, 2], [1, 1]]))),
        "cross_entropy of probabilities": (lambda a: F.cross_entropy(a, torch.full((2, 4), 0.25).double()), (x(2, 4),)),
        "nll": (lambda a, b: F.nll_loss(F.log_softmax(a, 1), b, reduction="sum"), (x(2, 4), y)),
        "bce_with_logits": (F.binary_cross_entropy_with_logits, (x(4), torch.rand(4).double())),
        "bce": (lambda a: F.binary_cross_entropy(torch.sigmoid(a), torch.tensor([0.0, 1.0, 0.5]).double()), (x(3),)),
        "kl_div": (
            lambda a: F.kl_div(F.log_softmax(a, 0), torch.tensor([0.0, 0.25, 0.75]).double(), reduction="sum"),
            (x(3),),
        ),
        "mse": (F.mse_loss, (x(4), x(4))),
        "l1": (F.l1_loss, (x(4), x(4))),
        "huber": (lambda a, b: F.huber_loss(a, b, delta=0.7), (x(4), x(4))),
        "smooth_l1": (lambda a, b: F.smooth_l1_loss(a, b, beta=0.5), (x(4), x(4))),
        "hinge by clamp": (lambda a, b: torch.clamp(1 - a * b, min=0).mean(), (x(4), x(4))),
        "multi_margin": (F.multi_margin_loss, (x(2, 4), y)),
        "hinge_embedding": (lambda a: F.hinge_embedding_loss(a, signs), (x(4),)),
        "margin_ranking": (lambda a, b: F.margin_ranking_loss(a, b, signs), (x(4), x(4))),
        "soft_margin": (lambda a: F.soft_margin_loss(a, signs), (x(4),)),
        "triplet": (F.triplet_margin_loss, (x(2, 3), x(2, 3), x(2, 3))),
        "cosine_embedding": (lambda a, b: F.cosine_embedding_loss(a, b, signs[:2]), (x(2, 3), x(2, 3))),
        "poisson_nll": (lambda a: F.poisson_nll_loss(a, torch.ones(4).double()), (x(4),)),
        "quantile loss by max": (lambda a, b: torch.max(0.9 * (b - a), -0.1 * (b - a)).mean(), (x(4), x(4))),
        "quantile loss by where": (lambda a, b: torch.where(b > a, 0.9 * (b - a), 0.1 * (a - b)).mean(), (x(4), x(4))),
        "gru cell": (Recurrent(nn.GRUCell(2, 4)), (x(2, 3, 2),)),
        "lstm cell": (Recurrent(nn.LSTMCell(2, 4)), (x(2, 3, 2),)),
        "rnn cell relu": (Recurrent(nn.RNNCell(2, 4, nonlinearity="relu")), (x(2, 3, 2),)),
        "gru": (nn.GRU(2, 4, batch_first=True), (x(2, 3, 2),)),
        "gru of two layers, both ways": (nn.GRU(2, 3, 2, bidirectional=True), (x(3, 1, 2),)),
        "lstm": (nn.LSTM(2, 4, batch_first=True), (x(2, 3, 2),)),
        "rnn": (nn.RNN(2, 3, nonlinearity="relu", bias=False), (x(3, 1, 2),)),
        "attention": (Attention(), (x(2, 3, 8),)),
        "sdpa": (F.scaled_dot_product_attention, (x(1, 2, 3, 4), x(1, 2, 3, 4), x(1, 2, 3, 4))),
        "sdpa causal": (
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
            (x(1, 3, 4), x(1, 3, 4), x(1, 3, 4)),
        ),
        "masked softmax": (
            lambda a: torch.softmax(a.masked_fill(torch.ones(3, 3).triu(1).bool(), float("-inf")), -1),
            (x(3, 3),),
        ),
        "multihead attention": (
            lambda a: heads(a, a, a, need_weights=False)[0],
            (x(1, 3, 4),),
        ),
        "transformer layer": (nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), (x(1, 3, 4),)),
        "embedding": (Embedded(), (torch.tensor([[1, 2], [3, 4]]),)),
        "embedding with padding": (Embedded(padding_idx=2), (torch.tensor([[1, 2], [3, 4]]),)),
        "in place": (InPlace(), (x(2, 3),)),
        "clamp min": (lambda a: torch.clamp(a, min=0.0), (x(4),)),
        "clamp": (lambda a: torch.clamp(a, -1.0, 1.0), (x(4),)),
        "clamp by tensors": (torch.clamp, (x(4), x(4), x(4))),
        "where": (lambda a: torch.where(a > 0, a, torch.zeros_like(a)), (x(4),)),
        "where of a number": (lambda a: torch.where(a > 0, a, 0.0), (x(4),)),
        "where of several": (lambda a: torch.where((a > 0) & ~(a > 1) | (a < -1), a, a * a), (x(6),)),
        "abs": (torch.abs, (x(4),)),
        "sign": (lambda a: a * torch.sign(a), (x(4),)),
        "maximum": (torch.maximum, (x(4), x(4))),
        "fmax": (torch.fmax, (x(4), x(4))),
        "max()": (torch.max, (x(4),)),
        "max(dim)": (lambda a: torch.max(a, 0)[0], (x(4),)),
        "min(dim)": (lambda a: a.min(1, keepdim=True).values, (x(2, 4),)),
        "amax": (lambda a: torch.amax(a, 0), (x(4),)),
        "aminmax": (lambda a: torch.aminmax(a, dim=0)[0], (x(4),)),
        "sort": (lambda a: torch.sort(a)[0], (x(4),)),
        "argsort and gather": (lambda a: a[torch.argsort(a)], (x(4),)),
        "topk": (lambda a: torch.topk(a, 2)[0], (x(4),)),
        "topk, its positions": (lambda a: a.gather(1, torch.topk(a, 2)[1]), (x(2, 4),)),
        "argmax": (lambda a: a[torch.argmax(a)], (x(4),)),
        "kthvalue": (lambda a: torch.kthvalue(a, 2)[0], (x(4),)),
        "median()": (torch.median, (x(4),)),
        "median(dim)": (lambda a: torch.median(a, 0)[0], (x(4),)),
        "quantile": (lambda a: torch.quantile(a, 0.4), (x(4),)),
        "cummax": (lambda a: torch.cummax(a, 0)[0], (x(4),)),
        "cumsum and cumprod": (lambda a: torch.cumsum(a, 1) * torch.cumprod(a, 0), (x(3, 3),)),
        "norm 2": (torch.linalg.vector_norm, (x(4),)),
        "norm 1": (lambda a: torch.linalg.vector_norm(a, 1), (x(4),)),
        "norm inf": (lambda a: torch.linalg.vector_norm(a, float("inf")), (x(4),)),
        "torch.norm": (torch.norm, (x(4),)),
        "frobenius": (torch.linalg.matrix_norm, (x(3, 3),)),
        "cdist": (torch.cdist, (x(2, 3), x(2, 3))),
        "logsumexp": (lambda a: torch.logsumexp(a, 0), (x(4),)),
        "std": (torch.std, (x(4),)),
        "var": (lambda a: torch.var(a, 1, correction=0), (x(2, 4),)),
        "total variation": (lambda a: (a[1:] - a[:-1]).abs().sum(), (x(4),)),
        "gather": (lambda a, i: a.gather(1, i), (x(2, 4), torch.tensor([[0], [1]]))),
        "index by data": (lambda a, i: a[torch.arange(2), i], (x(2, 4), y)),
        "one_hot": (lambda a, i: (F.one_hot(i, 4) * a).sum(), (x(2, 4), y)),
        "pow, sqrt, exp, log": (lambda a: (a * a + 1).sqrt().log().exp() ** 1.5, (x(4),)),
        "powers": (lambda a: a**2 + a**3 + 2**a + a.abs() ** a, (x(4),)),
        "einsum": (lambda a, b: torch.einsum("ij,jk->ik", a, b), (x(2, 3), x(3, 2))),
        "einsum of three": (lambda a, b, c: torch.einsum("bij,jk,bk->i", a, b, c), (x(2, 3, 3), x(3, 2), x(2, 2))),
        "bilinear": (nn.Bilinear(2, 3, 2), (x(2, 2), x(2, 3))),
        "addmm": (lambda b, m, n: torch.addmm(b, m, n, beta=2.0, alpha=0.5), (x(2), x(3, 2), x(2, 2))),
        "pad, concat, stack, roll": (
            lambda a: torch.stack([F.pad(a, (1, 1)), torch.cat([a, a[:2]]), torch.roll(torch.cat([a, a[:2]]), 1)]),
            (x(4),),
        ),
        "reflected": (lambda a: F.pad(a, (2, 1), mode="reflect"), (x(1, 1, 4),)),
        "shapes": (
            lambda a: torch.cat([a.permute(1, 0).flip(0).reshape(-1), *a.unsqueeze(0).repeat(2, 1, 1).unbind(1)[0]]),
            (x(2, 3),),
        ),
        "unfold, tril, diagonal": (
            lambda a: a.unfold(1, 2, 1).sum(-1) + a.tril()[:, :2] + a.diagonal()[:1],
            (x(3, 3),),
        ),
        "detach and no_grad": (stopped, (x(4),)),
        "casts": (lambda a: a * (a > 0).to(a.dtype) + (a * 3).to(torch.int64) * a, (x(4),)),
        "remainder": (lambda a: torch.remainder(a, 0.7) + torch.fmod(a, 0.7), (x(6),)),
    }
    return {
        name: (model.double().eval() if isinstance(model, nn.Module) else model, arguments)
        for name, (model, arguments) in listed.items()
    }


def stopped(a: torch.Tensor) -> torch.Tensor:
    """Pass no derivative through `detach`, and through what is computed without one."""
    with torch.no_grad():
        scale = torch.relu(a) + 1
    return a * a.detach() + scale * a


def ties() -> dict[str, tuple[Any, tuple[torch.Tensor, ...]]]:
    """Return functions with arguments at which they are tied, or at an edge of their domain."""

    def at(*values):
        return torch.tensor(values, dtype=torch.float64)

    one, zero, ones = at(1.0), at(0.0), at(1.0, 1.0, 1.0)
    cases = {
        "relu at 0": (torch.relu, zero),
        "leaky_relu at 0": (lambda a: F.leaky_relu(a, 0.25), zero),
        "prelu at 0": (F.prelu, zero, at(0.25)),
        "elu at 0": (lambda a: F.elu(a, 0.5), zero),
        "celu at 0": (lambda a: F.celu(a, 2.0), zero),
        "selu at 0": (F.selu, zero),
        "gelu at 0": (F.gelu, zero),
        "hardtanh at its bounds": (F.hardtanh, at(-1.0, 1.0)),
        "relu6 at its bounds": (F.relu6, at(0.0, 6.0)),
        "hardtanh of other bounds": (lambda a: F.hardtanh(a, -2.0, 0.5), at(-2.0, 0.5)),
        "hardswish at its bounds": (F.hardswish, at(-3.0, 3.0)),
        "hardsigmoid at its bounds": (F.hardsigmoid, at(-3.0, 3.0)),
        "softshrink at its kink": (F.softshrink, at(0.5, -0.5)),
        "hardshrink at its jump": (F.hardshrink, at(0.5, -0.5)),
        "threshold": (lambda a: F.threshold(a, 0.0, 0.0), zero),
        "rrelu": (F.rrelu, zero),
        "glu": (F.glu, at(0.0, 0.0)),
        "huber at its threshold": (lambda a: F.huber_loss(a, torch.zeros(1).double()), one),
        "smooth_l1 at its threshold": (lambda a: F.smooth_l1_loss(a, torch.zeros(1).double()), one),
        "l1 at a match": (F.l1_loss, one, one),
        "mse at a match": (F.mse_loss, one, one),
        "bce_with_logits": (lambda a: F.binary_cross_entropy_with_logits(a, torch.ones(1).double()), zero),
        "logsigmoid": (F.logsigmoid, zero),
        "softplus": (F.softplus, zero),
        "multi_margin at its kink": (lambda a: F.multi_margin_loss(a, torch.tensor([0])), at(1.0, 0.0)[None]),
        "hinge_embedding at its kink": (lambda a: F.hinge_embedding_loss(a, -torch.ones(1).double()), one),
        "margin_ranking at its kink": (
            lambda a: F.margin_ranking_loss(a, torch.zeros(1).double(), torch.ones(1).double()),
            zero,
        ),
        "clamp min": (lambda a: torch.clamp(a, min=0.0), zero),
        "clamp max": (lambda a: torch.clamp(a, max=0.0), zero),
        "clamp at both": (lambda a: torch.clamp(a, -1, 1), at(-1.0, 1.0, 0.0)),
        "clamp by a tensor": (lambda a, b: torch.clamp(a, min=b), zero, zero),
        "clamp at the lower of two": (torch.clamp, zero, zero, one),
        "clamp at equal bounds": (torch.clamp, zero, zero, zero),
        "clamp below equal bounds": (torch.clamp, at(-1.0), zero, zero),
        "clamp with crossed bounds": (torch.clamp, at(0.5), one, zero),
        "maximum": (torch.maximum, one, one),
        "minimum": (torch.minimum, one, one),
        "max of two": (torch.max, one, one),
        "fmax": (torch.fmax, one, one),
        "fmin": (torch.fmin, one, one),
        "max()": (torch.max, at(1.0, 1.0)),
        "max(dim)": (lambda a: torch.max(a, 0)[0], at(1.0, 1.0)),
        "min()": (torch.min, at(1.0, 1.0, 2.0)),
        "min(dim)": (lambda a: torch.min(a, 0)[0], at(1.0, 1.0)),
        "amax": (lambda a: torch.amax(a, 0), at(2.0, 1.0, 2.0)),
        "amin": (lambda a: torch.amin(a, 0), at(1.0, 1.0)),
        "aminmax": (lambda a: torch.aminmax(a, dim=0)[0], at(1.0, 1.0)),
        "sort": (lambda a: torch.sort(a)[0], at(2.0, 1.0, 2.0)),
        "sort descending": (lambda a: torch.sort(a, descending=True)[0], at(2.0, 1.0, 2.0)),
        "topk": (lambda a: torch.topk(a, 2)[0], at(2.0, 2.0, 1.0)),
        "median(dim)": (lambda a: torch.median(a, 0)[0], ones),
        "quantile": (lambda a: torch.quantile(a, 0.5), ones),
        "cummax": (lambda a: torch.cummax(a, 0)[0], ones),
        "cummin": (lambda a: torch.cummin(a, 0)[0], ones),
        "argmax": (lambda a: a[torch.argmax(a)], at(1.0, 1.0, 0.0)),
        "logsumexp": (lambda a: torch.logsumexp(a, 0), at(1.0, 1.0)),
        "softmax": (lambda a: F.softmax(a, 0), at(1.0, 1.0)),
        "cross_entropy": (lambda a: F.cross_entropy(a, torch.tensor([0]), label_smoothing=0.1), at(1.0, 1.0)[None]),
        "norm 2 at 0": (torch.linalg.vector_norm, at(0.0, 0.0)),
        "torch.norm at 0": (torch.norm, at(0.0, 0.0)),
        "norm 1 at 0": (lambda a: torch.linalg.vector_norm(a, 1), at(0.0, 0.0)),
        "norm inf at 0": (lambda a: torch.linalg.vector_norm(a, float("inf")), at(0.0, 0.0)),
        "norm inf at a tie": (lambda a: torch.linalg.vector_norm(a, float("inf")), at(1.0, -1.0)),
        "std of a constant": (torch.std, at(1.0, 1.0)),
        "dist at 0": (torch.dist, at(1.0, 1.0), at(1.0, 1.0)),
        "cdist at 0": (lambda a: torch.cdist(a[None], torch.zeros(1, 2).double()), at(0.0, 0.0)),
        "normalize at 0": (lambda a: F.normalize(a[None]), at(0.0, 0.0)),
        "cosine_similarity at 0": (lambda a: F.cosine_similarity(a[None], torch.ones(1, 2).double()), at(0.0, 0.0)),
        "triplet": (
            lambda a: F.triplet_margin_loss(a[None], torch.zeros(1, 2).double(), torch.ones(1, 2).double()),
            at(0.5, 0.5),
        ),
        "max_pool1d": (lambda a: F.max_pool1d(a[None, None], 2)[0, 0], at(1.0, 1.0, 1.0, 1.0)),
        "adaptive_max_pool1d": (lambda a: F.adaptive_max_pool1d(a[None, None], 1)[0, 0], at(1.0, 1.0, 1.0, 1.0)),
        "max_pool2d": (lambda a: F.max_pool2d(a[None, None], 2)[0, 0], torch.ones(4, 4).double()),
        "max_pool2d with padding": (lambda a: F.max_pool2d(a[None, None], 3, 2, 1)[0, 0], torch.ones(4, 4).double()),
        "logaddexp": (torch.logaddexp, one, one),
        "abs": (torch.abs, zero),
        "sign": (torch.sign, zero),
        "half of x + |x|": (lambda a: 0.5 * (a + a.abs()), zero),
        "floor": (torch.floor, one),
        "sinc": (torch.sinc, zero),
        "where >": (lambda a: torch.where(a > 0, a, 0.0), zero),
        "where >=": (lambda a: torch.where(a >= 0, a, 0.0), zero),
        "zero of the paper": (lambda a: (torch.relu(-a) + a) - torch.relu(a), zero),
        "prod with a zero": (torch.prod, at(0.0, 2.0, 3.0)),
        "x ** 0": (lambda a: a**0, zero),
        "x ** 1": (lambda a: a**1, zero),
        "cumprod with a zero": (lambda a: torch.cumprod(a, 0), at(0.0, 2.0, 3.0)),
        "xlogy": (torch.xlogy, zero, at(2.0)),
        "detach": (lambda a: a * a.detach(), at(3.0)),
        "total variation": (lambda a: (a[1:] - a[:-1]).abs().sum(), ones),
        "mlp of zeros": (
            lambda w, v: torch.relu(torch.ones(1, 2).double() @ w) @ v,
            torch.zeros(2, 3).double(),
            torch.zeros(3).double(),
        ),
    }
    return {name: (function, tuple(arguments)) for name, (function, *arguments) in cases.items()}
