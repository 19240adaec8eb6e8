"""Which names of variables are components of vectors, by the names that data of the field have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.samples import variable_of

Kind = Literal["east", "north", "spin", "absolute", "direction", "vo"]

# Beginning and end of names such as u, uas, ugrd: one letter tells the components apart.
_PAIRS = [
    "{}",
    "{}a",
    "{}as",
    "{}s",
    "{}o",
    "{}os",
    "{}si",
    "{}bot",
    "{}grd",
    "{}wind",
    "{}wnd",
    "{}comp",
    "wind{}",
    "{}tau",
    "tau{}",
    "tau{}o",
    "{}ivt",
    "ivt{}",
]
_WORDS: dict[Kind, frozenset[str]] = {
    "east": frozenset({*(each.format("u") for each in _PAIRS), "taux", "ewss", "iews", "ivte", "viwve"}),
    "north": frozenset({*(each.format("v") for each in _PAIRS), "tauy", "nsss", "inss", "ivtn", "viwvn"} - {"vo"}),
    "spin": frozenset({"vort", "vor", "relvort"}),
    "absolute": frozenset({"pv", "absv", "absvort"}),
    "direction": frozenset({"wdir", "winddir", "mwd"}),
    "vo": frozenset({"vo"}),  # relative vorticity in one archive, a northward current in the other
}
# Long names, as standard names and variables of archives spell them.
_INSIDE: tuple[tuple[str, Kind], ...] = (
    ("direction", "direction"),
    ("potentialvorticity", "absolute"),
    ("absolutevorticity", "absolute"),
    ("vorticity", "spin"),
    ("eastward", "east"),
    ("zonalwind", "east"),
    ("ucomponent", "east"),
    ("northward", "north"),
    ("meridional", "north"),
    ("vcomponent", "north"),
)


def kind_of(name: str) -> Kind | None:
    """Return what a variable is to a mirror; None for what it leaves as it is, and for names unknown.

    Examples
    --------
    >>> [kind_of(name) for name in ("V850@-1", "va_500", "10v", "v10m", "V_GRD", "10m_v_component_of_wind", "viwvn")]
    ['north', 'north', 'north', 'north', 'north', 'north', 'north']
    >>> kind_of("relative_vorticity"), kind_of("pv"), kind_of("tas")
    ('spin', 'absolute', None)
    """
    flat = re.sub(r"[_\-. ]", "", variable_of(name).lower())
    for part, kind in _INSIDE:
        if part in flat:
            return kind
    bare = re.sub(r"^\d+m?(?=[a-z])", "", flat)  # 10u, 10m_u, 100v
    bare = re.sub(r"^([a-z]+?)\d+(m|n|hpa|mb|pa)?$", r"\1", bare)  # u10, u10m, u10n, ua850, va_500hpa
    return next((kind for kind, words in _WORDS.items() if bare in words), None)


def turned(
    names: Sequence[str], towards: Literal["east", "north"], flip: str, targets: Sequence[str] = ()
) -> list[str]:
    """Return whose sign a mirror changes: one component of every vector, and what turns.

    Parameters
    ----------
    names : sequence of str
        Channels.
    towards : str
        The component that is turned round: "north" where rows are mirrored, "east" for columns.
    flip : str
        The augmentation, for the message.
    targets : sequence of str
        A target may be one component alone.

    Raises
    ------
    ConfigError
        If a name means two things, if a variable has no mirror image that a change of its sign makes, or if one
        component of a vector is known and there is none of the other.
    """
    kinds = {name: kind_of(name) for name in [*names, *targets]}
    if any(variable_of(name).lower() == "uo" for name in kinds):
        kinds |= {name: "north" for name, kind in kinds.items() if kind == "vo"}
    _refuse_doubtful(kinds, towards, flip)
    east, north = ({variable_of(name) for name in names if kinds[name] == one} for one in ("east", "north"))
    if len(east) != len(north):
        raise ConfigError(
            f"{flip}: expected both components of every wind by a name that is known, got {_list(east)} to the east "
            f"and {_list(north)} to the north. Say under negate what changes its sign, [] for nothing."
        )
    changed: tuple[Kind | None, ...] = ("north", "spin", "absolute", "vo") if towards == "north" else ("east", "spin")
    return [name for name, kind in kinds.items() if kind in changed]


def _refuse_doubtful(kinds: dict[str, Kind | None], towards: str, flip: str) -> None:
    angles = [name for name, kind in kinds.items() if kind == "direction"]
    if angles:
        raise ConfigError(
            f"{flip}: expected vectors as components, got {_list(angles)}: the mirror image of an angle is not its "
            "negative. Leave it out, or list under negate what changes its sign all the same, [] for nothing."
        )
    if towards == "north":
        return  # absolute vorticity changes its sign, and vo does whichever it is
    doubtful = [name for name, kind in kinds.items() if kind in ("vo", "absolute")]
    if doubtful:
        raise ConfigError(
            f"{flip}: expected to be told whether {_list(doubtful)} changes its sign, as relative vorticity does and a "
            f"northward current or the planet's rotation does not. List all that do under negate, such as "
            f"negate: [{variable_of(doubtful[0])}]."
        )


def _list(names: Sequence[str] | set[str]) -> str:
    return ", ".join(dict.fromkeys(variable_of(name) for name in sorted(names))) or "none"
