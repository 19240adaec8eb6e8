"""A call of a torch function as the rules of explanations see it, and what kind of function each one is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import resolve_name
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from pipeline.errors import TraitError


class NoRuleError(TraitError):
    """A network calls a function that a modified backward pass has no rule for."""


# What depends on the input by jumps alone, or not at all: it has no gradient.
_CONSTANT = """
    shape dtype device layout size dim ndim ndimension numel nelement stride storage_offset len itemsize nbytes
    is_contiguous is_floating_point is_complex is_cuda is_cpu is_mps is_meta is_sparse is_quantized is_nested is_leaf
    is_same_size get_device element_size data_ptr untyped_storage storage requires_grad retain_grad grad grad_fn names
    _version _is_view _base register_hook hash repr str format bool int index item tolist numpy array detach data
    zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones new_empty new_full
    new_tensor new eq ne lt le gt ge isnan isinf isfinite isposinf isneginf isclose allclose equal signbit any all
    logical_and logical_or logical_not logical_xor and or xor invert argmax argmin argsort bucketize searchsorted
    nonzero count_nonzero long short char byte can_cast result_type promote_types broadcast_shapes
"""
# Straight in all tensors that depend on the input together, up to constants.
_LINEAR = """
    view reshape view_as reshape_as flatten unflatten ravel squeeze unsqueeze permute transpose t T mT adjoint movedim
    moveaxis swapaxes swapdims expand expand_as broadcast_to broadcast_tensors repeat repeat_interleave tile contiguous
    clone to float double half bfloat16 cpu cuda type type_as narrow select diagonal diag diag_embed tril triu unfold
    fold
    as_strided index_select gather take take_along_dim masked_select getitem setitem split split_with_sizes chunk
    tensor_split hsplit vsplit dsplit unbind iter cat concat concatenate stack hstack vstack dstack column_stack
    row_stack flip fliplr flipud roll rot90 pad pixel_shuffle pixel_unshuffle channel_shuffle meshgrid atleast_1d
    atleast_2d atleast_3d block_diag index_add index_copy index_put index_fill scatter scatter_add masked_scatter
    select_scatter slice_scatter diagonal_scatter fill fill_diagonal zero copy add radd sub rsub subtract neg negative
    pos positive sum mean cumsum diff trace avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d interpolate upsample upsample_nearest upsample_bilinear constant_pad_nd
"""
# Straight in each of two tensors, so a product of the two.
_PRODUCT = """
    mul multiply rmul matmul rmatmul mm bmm mv dot vdot inner outer ger kron tensordot einsum linear conv1d conv2d
    conv3d conv_transpose1d conv_transpose2d conv_transpose3d
"""
_QUOTIENT = "div divide truediv true_divide"
# Each number of one tensor by itself; everything else that goes in is constant.
_ELEMENTWISE = """
    abs absolute square pow rpow float_power sqrt rsqrt reciprocal rdiv rtruediv exp exp2 expm1 log log2 log10 log1p
    sin cos tan asin acos atan arcsin arccos arctan sinh cosh tanh asinh acosh atanh arcsinh arccosh arctanh sinc erf
    erfc erfinv lgamma digamma sigmoid special_expit special_erf special_erfc special_ndtr special_ndtri
    special_log_ndtr special_gammaln special_digamma special_log1p special_expm1 logit special_logit log_sigmoid
    logsigmoid softplus softsign tanhshrink hardshrink softshrink relu relu6 elu selu celu gelu silu mish leaky_relu
    prelu hardtanh hardsigmoid hardswish threshold clamp clip clamp_min clamp_max nan_to_num
"""
_LARGEST = """
    max amax maximum min amin minimum max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d
    adaptive_max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
"""
_SOFT = "softmax log_softmax logsumexp special_softmax special_log_softmax special_logsumexp"

KINDS: Mapping[str, str] = {
    name: kind
    for kind, names in (
        ("constant", _CONSTANT),
        ("linear", _LINEAR),
        ("product", _PRODUCT),
        ("quotient", _QUOTIENT),
        ("elementwise", _ELEMENTWISE),
        ("largest", _LARGEST),
        ("soft", _SOFT),
        ("choice", "where"),
    )
    for name in names.split()
}
"""Kind of every function that is known by its name alone; methods, operators and functions share one name."""

READS = frozenset({"bool", "int", "index", "item", "tolist", "numpy", "array"})
"""Constants that read numbers, which torch does not like of tensors with a gradient."""

LAYERS = frozenset(name for name in _PRODUCT.split() if name == "linear" or name.startswith("conv"))
"""Functions (input, weight, bias, ...) whose third argument is added."""

_ORDER: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(LAYERS, ("input", "weight", "bias")),
    **dict.fromkeys(_QUOTIENT.split(), ("input", "other")),
    "where": ("condition", "input", "other"),
}
_ARITHMETIC = ("add", "sub", "mul", "div", "truediv", "pow", "matmul", "and", "or", "xor")
_IN_PLACE = {f"__i{name}__": name for name in _ARITHMETIC}


@dataclass(frozen=True, eq=False)
class Call:
    """One call: the function out of place, what goes in, and the tensor that the answer is written to.

    Parameters
    ----------
    function : callable
        Gives the answer and writes nowhere, if ``function`` exists in such a form; else as it was called.
    name : str
        ``relu`` for ``Tensor.relu_``, ``functional.relu`` and ``torch.relu``; ``add`` for ``+``.
    leaves : tuple
        All arguments, taken out of the tuples and lists that they came in.
    spec : TreeSpec
        How they came.
    target : Tensor or None
        What is overwritten.
    written : bool
        Whether ``function`` overwrites the target itself.
    """

    function: Callable[..., Any]
    name: str
    leaves: tuple[Any, ...]
    spec: TreeSpec
    target: Tensor | None = None
    written: bool = False

    @classmethod
    def of(cls, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        """Return the call that a mode was told of."""
        raw = _raw_name(function)
        named = dict(kwargs)
        target, written = named.pop("out", None), False
        if raw == "__setitem__":
            name, target, written = "setitem", args[0], True
        elif raw in _IN_PLACE or (raw.endswith("_") and not raw.endswith("__")):
            name, target = _IN_PLACE.get(raw, raw.removesuffix("_")), args[0] if args else named.get("input")
            twin = getattr(torch.Tensor, name, None) or getattr(functional, name, None)
            written = twin is None or KINDS.get(name) == "linear"
            function = function if twin is None or written else twin
        else:
            # Python's float() of a tensor reads it, the tensor's own makes another tensor.
            name = "item" if raw == "__float__" else raw[2:-2] if raw.startswith("__") and raw.endswith("__") else raw
            if named.get("inplace"):
                named["inplace"], target = False, args[0] if args else named.get("input")
        leaves, spec = tree_flatten((_in_order(name, args, named), named))
        return cls(function, name, tuple(leaves), spec, target, written)

    def __call__(self) -> Any:
        """Return what the function answers."""
        args, kwargs = self.arguments
        return self.function(*args, **kwargs)

    @property
    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments by place and by name."""
        args, kwargs = tree_unflatten(list(self.leaves), self.spec)
        return args, kwargs

    def given(self, changed: Mapping[int, Any]) -> Any:
        """Return what the function answers with other leaves at some places."""
        return replace(self, leaves=tuple(changed.get(place, leaf) for place, leaf in enumerate(self.leaves)))()

    def still(self) -> Any:
        """Return the answer without a gradient."""
        with torch.no_grad():
            return self()

    def refused(self, why: str = "") -> NoRuleError:
        """Return the error that says there is no rule for this call."""
        title = resolve_name(self.function) or self.name
        return NoRuleError(
            f"expected functions that the rules of explanations know, got {title}{why and ' ' + why}. "
            "Take a method that needs no rules, such as integrated_gradients."
        )


def _raw_name(function: Callable[..., Any]) -> str:
    name: str = getattr(function, "__name__", repr(function))
    if name != "__get__":
        return name
    attribute: Any = getattr(function, "__self__", None)  # a property of a tensor, such as its shape
    return str(getattr(attribute, "__name__", None) or getattr(attribute.fget, "__name__", name))


def _in_order(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """Return arguments by place where rules find them by it; they are taken out of ``named``."""
    for key in _ORDER.get(name, ())[len(args) :]:
        if key not in named:
            break
        args = (*args, named.pop(key))
    return args
