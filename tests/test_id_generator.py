"""Ids made in Python."""

from __future__ import annotations

import random
from collections.abc import Iterator
from unittest import mock

import pytest
from opentelemetry.sdk.trace import id_generator as sdk

from tracecore import id_generator as tested
from tracecore.id_generator import IdGenerator, RandomIdGenerator


def test_ids_fill_their_64_and_128_bits() -> None:
    ids = RandomIdGenerator()
    span_ids = [ids.generate_span_id() for _ in range(500)]
    trace_ids = [ids.generate_trace_id() for _ in range(500)]
    for made, n_bits in ((span_ids, 64), (trace_ids, 128)):
        every_bit, common_bits = 0, -1
        for one in made:
            every_bit |= one
            common_bits &= one
        # Of 500 random ids each bit is set in some and clear in others, but for one run in 2**490.
        assert every_bit == 2**n_bits - 1
        assert common_bits == 0
        assert len(set(made)) == len(made)


def test_the_id_that_stands_for_none_is_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[bytes] = iter([bytes(8), bytes(8), b"\x01" + bytes(7)])
    monkeypatch.setattr(tested, "os", mock.Mock(urandom=lambda n_bytes: next(answers)))
    assert RandomIdGenerator().generate_span_id() == 1


def test_a_program_that_seeds_random_does_not_repeat_its_ids() -> None:
    ids, made = RandomIdGenerator(), set()
    for _ in range(2):
        random.seed(1)
        made |= {ids.generate_trace_id(), ids.generate_span_id()}
    assert len(made) == 4


def test_random_ids_are_promised_and_those_of_another_generator_are_not() -> None:
    class Counts(IdGenerator):
        def generate_span_id(self) -> int:
            return 1

        def generate_trace_id(self) -> int:
            return 1

    assert RandomIdGenerator().is_trace_id_random() is sdk.RandomIdGenerator().is_trace_id_random() is True
    assert Counts().is_trace_id_random() is False
