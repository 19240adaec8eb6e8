import itertools

from pipeline.seeding import derive_seed, generator


def test_seeds_differ_in_every_argument_and_fit_in_63_bits():
    seeds = [derive_seed(s, p, m) for s, p, m in itertools.product(range(5), ("fit", "bootstrap"), range(20))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_of_two_purposes_do_not_share_their_stream():
    a, b = generator(1, "fit").normal(size=1000), generator(1, "bootstrap").normal(size=1000)
    assert abs((a * b).mean()) < 0.15  # five standard errors of the product of independent normals


def test_the_stream_is_the_same_on_every_machine():
    assert derive_seed(1, "fit:unet", 0) == 4477302371031136718
