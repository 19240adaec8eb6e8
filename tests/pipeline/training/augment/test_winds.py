"""Which names are components of vectors: those of the archives of the field, and of the docs."""

import re
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.training.augment._winds import _WORDS, kind_of, turned

DOCS = Path(__file__).resolve().parents[4] / "docs/augmentation.md"
# Names of ERA5 (GRIB and CDS), CMIP6, NCEP, WRF, MERRA-2 and ClimateNet.
EAST = "10u 100u u10 u10n U10 u ua uas ua850 ua_500hPa UGRD uwnd U850 UBOT uo uos usi tauu tauuo ewss iews viwve TAUX"
NORTH = "10v 100v v10 v10n V10 v va vas va850 va_500hPa VGRD vwnd V850 VBOT vos vsi tauv tauvo nsss inss viwvn TAUY"
LONG_EAST = (
    "eastward_wind 10m_u_component_of_wind vertical_integral_of_eastward_water_vapour_flux surface_eastward_stress"
)
LONG_NORTH = "northward_wind 100m_v_component_of_wind vertical_integral_of_northward_water_vapour_flux meridional_wind"
OTHERS = "tas pr psl zg500 hus850 vpd visibility uvb rsds TMQ wd tasmax vsm ts evap 2m_temperature v2mean uncertainty us_rain"


@pytest.mark.parametrize(
    ("names", "kind"), [(EAST, "east"), (NORTH, "north"), (LONG_EAST, "east"), (LONG_NORTH, "north"), (OTHERS, None)]
)
def test_names_of_archives_are_what_they_are(names, kind):
    assert {name: kind_of(name) for name in names.split()} == dict.fromkeys(names.split(), kind)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("atmosphere_relative_vorticity", "spin"),
        ("vort850", "spin"),
        ("ertel_potential_vorticity", "absolute"),
        ("absv", "absolute"),
        ("wind_from_direction", "direction"),
        ("10m_wdir", "direction"),
    ],
)
def test_what_turns_and_what_points(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize("lag", ["", "@-3", "@+2"])
def test_a_lag_or_a_lead_is_no_part_of_the_name(lag):
    assert turned([f"u10{lag}", f"v10{lag}", f"tas{lag}"], "north", "flip") == [f"v10{lag}"]


def test_a_current_is_told_from_a_vorticity_by_the_other_component():
    assert turned(["uo", "vo", "zos"], "east", "flip") == ["uo"]
    assert turned(["uo", "vo", "zos"], "north", "flip") == ["vo"]
    assert turned(["vo", "zg"], "north", "flip") == ["vo"]
    with pytest.raises(ConfigError, match="expected to be told whether vo changes its sign"):
        turned(["vo", "zg"], "east", "flip")


def test_the_turning_of_the_planet_has_a_mirror_image_in_latitude_alone():
    assert turned(["pv", "tas"], "north", "flip") == ["pv"]
    with pytest.raises(ConfigError, match="expected to be told whether pv changes its sign"):
        turned(["pv", "tas"], "east", "flip")


@pytest.mark.parametrize(
    ("kind", "heading"),
    [("north", "to the north"), ("east", "to the east"), ("spin", "what turns"), ("absolute", "with the planet's own turning")],
)  # fmt: skip
def test_the_docs_name_them_all(kind, heading):
    listed = re.search(rf"^- {heading}: (.*?)(?=\n\n|\n- )", DOCS.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)[1]
    assert set(re.findall(r"\w+", listed)) == _WORDS[kind]
