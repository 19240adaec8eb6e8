"""Benchmarks of attribution methods in made worlds, where what each input adds to the answer is known."""
